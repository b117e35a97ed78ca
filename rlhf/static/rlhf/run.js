/**
 * The page of a run: curves that grow while it trains.
 *
 * Metrics are numbered; this asks for those since the last number it has, whenever a live event says that there
 * are more, every other second while the socket is away, and slowly in any case while the run goes on. A curve
 * is made for each metric on its first value. Points that a resume has superseded are dropped.
 */
import { api } from "../js/api.js";
import { fill } from "../js/words.js";
import { span } from "./span.js";

const AWAY = 2000;
const SLOW = 15_000;
const PORTION = 1000;
const UNSEEN = new Set(["n", "step", "time", "superseded", "superseded_from", "superseded_to", "epoch", "num_tokens", "seconds"]);

const page = document.querySelector("[data-run]");
const board = document.getElementById("board");
const more = document.getElementById("more");
const newer = document.getElementById("newer");
const charts = new Map();
let rows = [];
let newest = -1;
let busy = false;
let again = false;
let away = false;
let last = 0;
let uPlot;

try {
  ({ default: uPlot } = await import("../vendor/uplot/uPlot.esm.js"));
} catch {
  // Without the drawing library the newest numbers still stand, live.
}

const number = (value, share) => {
  if (share) return `${Math.round(value * 100)}\u202f%`;
  const size = Math.abs(value);
  if (size !== 0 && (size < 0.001 || size >= 1e6)) return value.toExponential(1);
  return value.toFixed(size >= 1000 ? 0 : size >= 100 ? 1 : size >= 1 ? 2 : 3);
};

/** A colour token as the canvas understands it. */
function colour(token) {
  const probe = document.createElement("i");
  probe.className = `ink-${token}`;
  board.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}

function figureOf(key) {
  const known = board.querySelector(`[data-key="${CSS.escape(key)}"]`);
  if (known) return known;
  const figure = board.querySelector("template").content.firstElementChild.cloneNode(true);
  figure.dataset.key = key;
  figure.querySelector(".name").textContent = key.replaceAll("_", " ");
  figure.querySelector(".plot").setAttribute("aria-label", key.replaceAll("_", " "));
  more.querySelector(".curves").append(figure);
  return figure;
}

class Chart {
  constructor(key) {
    this.key = key;
    this.figure = figureOf(key);
    this.figure.hidden = false;
    if (more.contains(this.figure)) more.hidden = false;
    this.share = "share" in this.figure.dataset;
    this.value = this.figure.querySelector("[data-value]");
    this.plot = this.figure.querySelector(".plot");
    this.data = [[], []];
    new ResizeObserver(() => this.fit()).observe(this.plot);
  }

  set(points) {
    this.data = [points.map((row) => row.step), points.map((row) => row[this.key])];
    this.say(this.data[1].length - 1);
    if (!uPlot) return;
    if (this.drawn) this.drawn.setData(this.data);
    else if (this.plot.clientWidth) this.draw();
  }

  say(index) {
    const value = this.data[1][index];
    if (value !== undefined) this.value.textContent = number(value, this.share);
  }

  draw() {
    this.drawn?.destroy();
    const [ink, line, curve] = ["soft", "line", "accent"].map(colour);
    const font = `11px ${getComputedStyle(document.body).fontFamily}`;
    const axis = { stroke: ink, font, ticks: { show: false }, grid: { stroke: line, width: 1 } };
    this.drawn = new uPlot(
      {
        width: this.plot.clientWidth,
        height: this.plot.clientHeight,
        padding: [8, 8, 0, 0],
        legend: { show: false },
        cursor: { y: false, drag: { x: false, y: false }, sync: { key: "run" }, points: { size: 7 } },
        scales: { x: { time: false, range: (_, low, high) => [low, Math.max(high, last, low + 1)] }, y: { range: (_, low, high) => this.range(low, high) } },
        axes: [
          { ...axis, size: 24, gap: 4, grid: { show: false }, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000] },
          { ...axis, size: 46, gap: 6, space: 28, values: (_, ticks) => ticks.map((tick) => this.tick(tick)) },
        ],
        series: [{}, { stroke: curve, width: 1.75, points: { show: this.data[0].length < 3, size: 5, fill: curve } }],
        hooks: { setCursor: [(drawn) => this.say(drawn.cursor.idx ?? this.data[1].length - 1)] },
      },
      this.data,
      this.plot,
    );
  }

  range(low, high) {
    if (this.share) return [0, 1];
    if (low === null) return [0, 1];
    const room = (high - low || Math.abs(high) || 1) * 0.08;
    return [low >= 0 && low - room < 0 ? 0 : low - room, high + room];
  }

  tick(value) {
    if (this.share) return `${Math.round(value * 100)}%`;
    return Math.abs(value) > 0 && Math.abs(value) < 0.001 ? value.toExponential(0) : String(Number(value.toPrecision(4)));
  }

  fit() {
    if (!this.plot.clientWidth || !uPlot) return;
    if (this.drawn) this.drawn.setSize({ width: this.plot.clientWidth, height: this.plot.clientHeight });
    else if (this.data[0].length) this.draw();
  }
}

function take(fresh) {
  for (const row of fresh) {
    newest = Math.max(newest, row.n);
    if (row.superseded_from !== undefined) {
      rows = rows.filter(({ n }) => n < row.superseded_from || n > row.superseded_to);
    } else if (!row.superseded) {
      rows.push(row);
    }
  }
  for (const key of new Set(rows.flatMap(Object.keys))) {
    if (UNSEEN.has(key)) continue;
    const points = rows.filter((row) => typeof row[key] === "number");
    if (!points.length) continue;
    if (!charts.has(key)) charts.set(key, new Chart(key));
    charts.get(key).set(points);
  }
  document.getElementById("no-numbers").hidden = rows.length > 0;
}

function showProgress(progress) {
  const bar = document.getElementById("progress");
  const text = document.getElementById("progress-text");
  if (!bar || !progress) return;
  bar.max = progress.of;
  bar.value = progress.step;
  const left = progress.eta_s ? fill(text.dataset.left, { left: span(progress.eta_s) }) : "";
  text.textContent = [fill(text.dataset.template, progress), left].filter(Boolean).join(" · ");
}

function offerNewer() {
  if (!newer) return;
  const shown = Number(document.getElementById("rollouts-step")?.dataset.step ?? 0);
  const step = Math.max(0, ...rows.map((row) => row.step));
  newer.hidden = step <= shown;
  newer.textContent = fill(newer.dataset.template, { step });
  // The first answers need no press: nothing is being read yet.
  if (!shown && step) document.dispatchEvent(new CustomEvent("page:refresh", { detail: { parts: ["#rollouts"] } }));
}

async function catchUp() {
  if (busy) {
    again = true;
    return;
  }
  busy = true;
  try {
    const answer = await api.get(`/api/runs/${page.dataset.run}/metrics/${newest < 0 ? "" : `?since=${newest}`}`);
    // While the run goes on the axis reaches to its end, so that the curves grow into it.
    last = ["queued", "running"].includes(answer.state) ? (answer.progress?.of ?? 0) : 0;
    take(answer.metrics);
    // A long run comes in portions.
    again ||= answer.metrics.length >= PORTION;
    showProgress(answer.progress);
    offerNewer();
    if (answer.state !== page.dataset.runState) {
      page.dataset.runState = answer.state;
      document.dispatchEvent(new CustomEvent("page:refresh"));
    }
  } catch (problem) {
    if (!problem.away) throw problem;
  } finally {
    busy = false;
  }
  if (again) {
    again = false;
    catchUp();
  }
}

const goesOn = () => ["queued", "running"].includes(page.dataset.runState);
const mine = ({ detail }) => detail.run === page.dataset.run && catchUp();

document.addEventListener("live:metric", mine);
document.addEventListener("live:run", mine);
document.addEventListener("live:reload", catchUp);
document.addEventListener("live:state", ({ detail }) => {
  away = detail.state !== "live";
  if (!away) catchUp();
});
document.addEventListener("page:fresh", offerNewer);
setInterval(() => away && !document.hidden && catchUp(), AWAY);
setInterval(() => goesOn() && !document.hidden && catchUp(), SLOW);
newer?.addEventListener("click", () => {
  document.dispatchEvent(new CustomEvent("page:refresh", { detail: { parts: ["#rollouts"] } }));
});
const repaint = () => requestAnimationFrame(() => charts.forEach((chart) => chart.drawn && chart.draw()));
document.addEventListener("theme", repaint);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
catchUp();
