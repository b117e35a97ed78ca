/**
 * A text letter for letter, a line an element, with passages underlaid; and which unit of the text a point of
 * the page is. Only lines that change are drawn anew.
 */
import { UNSEEN, named } from "./reading.js";
import { firstWhere } from "./passages.js";

const LANES = 3;

export class MarkedText {
  constructor(element, text) {
    this.element = element;
    this.text = text;
    let start = 0;
    this.lines = text.split("\n").map((words) => {
      const line = { start, end: start + words.length, drawn: null, runs: [], element: document.createElement("div") };
      line.element.className = "line";
      start = line.end + 1;
      return line;
    });
    element.replaceChildren(...this.lines.map((line) => line.element));
    this.paint([]);
  }

  /** Draw `passages`: `{start, end, lane, tint, number, current}` each, or `{start, end, selected: true}`. */
  paint(passages) {
    const byLine = this.lines.map(() => []);
    for (const passage of passages) {
      for (let at = this.lineAt(passage.start); this.lines[at]?.start < passage.end; at++) byLine[at].push(passage);
    }
    for (const [at, line] of this.lines.entries()) {
      const drawn = JSON.stringify(byLine[at]);
      if (line.drawn === drawn) continue;
      line.drawn = drawn;
      this.#draw(line, byLine[at]);
    }
  }

  /** Show nothing as chosen, and draw nothing anew: a hand that comes down wants its text to stay. */
  unchoose() {
    for (const chosen of this.element.querySelectorAll(".chosen")) {
      chosen.classList.remove("chosen");
      this.lines.find(({ element }) => element.contains(chosen)).drawn = null;
    }
  }

  lineAt(unit) {
    return firstWhere(this.lines.length, (at) => this.lines[at].start > unit) - 1;
  }

  /** The unit at a point of the document inside the text. */
  unitAt(node, offset) {
    if (node === this.element) return this.lines[offset]?.start ?? this.text.length;
    const element = (node.nodeType === Node.TEXT_NODE ? node.parentElement : node).closest(".line");
    const line = this.lines.find((one) => one.element === element);
    if (!line) return null;
    const range = document.createRange();
    range.setStart(line.element, 0);
    range.setEnd(node, offset);
    let shown = range.toString().length;
    for (const run of line.runs) {
      const length = run.node.textContent.length;
      // Inside the name of an unseen character is before it.
      if (shown < length) return run.start + (run.named ? 0 : shown);
      shown -= length;
      if (!shown) return run.end;
    }
    return line.end;
  }

  /** The unit under a point of the window, or null. */
  unitUnder(x, y) {
    const place = document.caretPositionFromPoint?.(x, y);
    const range = place ? null : document.caretRangeFromPoint?.(x, y);
    const [node, offset] = place
      ? [place.offsetNode, place.offset]
      : [range?.startContainer, range?.startOffset];
    return node && this.element.contains(node) ? this.unitAt(node, offset) : null;
  }

  /** Where the beginning of a passage is drawn. */
  boxOf({ start, end }) {
    const line = this.lines[this.lineAt(start)];
    const run = line.runs.find((one) => one.start <= start && start < one.end);
    if (!run) return line.element.getBoundingClientRect();
    const range = document.createRange();
    if (run.named) range.selectNode(run.node);
    else {
      range.setStart(run.node, start - run.start);
      range.setEnd(run.node, Math.min(end, run.end) - run.start);
    }
    return range.getClientRects()[0] ?? range.getBoundingClientRect();
  }

  /** Of `words`, some null, the place of the nearest to `x` on the line a `step` beyond the box `from` of `at`. */
  beyond({ words, at, from, step, x }) {
    const middle = (box) => box.top + box.height / 2;
    let [best, nearest, line] = [at, Infinity, null];
    for (let to = at + step; to in words; to += step) {
      if (!words[to]) continue;
      const box = this.boxOf(words[to]);
      if (Math.abs(middle(box) - middle(from)) < from.height / 2) continue;
      line ??= middle(box);
      if (Math.abs(middle(box) - line) > box.height / 2) break;
      const far = Math.abs(box.left + box.width / 2 - x);
      if (far < nearest) [best, nearest] = [to, far];
    }
    return best;
  }

  /** Bring a passage's line before the reader's eyes, clear of what stands above and below. */
  show({ start, end }, { above, below }) {
    const box = this.boxOf({ start, end });
    if (box.top < above) scrollBy({ top: box.top - above, behavior: "instant" });
    else if (box.bottom > innerHeight - below) scrollBy({ top: box.bottom - innerHeight + below, behavior: "instant" });
  }

  #draw(line, passages) {
    const ends = passages.flatMap(({ start, end }) => [start, end]).filter((at) => at > line.start && at < line.end);
    const cuts = [...new Set([line.start, ...ends, line.end])].sort((one, other) => one - other);
    line.runs = [];
    const drawn = cuts.slice(1).map((end, at) => {
      const start = cuts[at];
      const over = passages.filter((one) => one.start < end && one.end > start);
      return this.#run(line, { start, end }, over);
    });
    // An empty line is as high as another.
    line.element.replaceChildren(...(drawn.length ? drawn : [document.createElement("br")]));
  }

  /** One stretch under the same passages, the lowest lane innermost. */
  #run(line, { start, end }, over) {
    let at = start;
    const pieces = this.text.slice(start, end).split(UNSEEN).map((piece, n) => {
      // A line may end as on another system; that is no character to name.
      const ends = piece === "\r" && at === line.end - 1;
      const node = n % 2 && !ends ? named(piece) : document.createTextNode(ends ? "" : piece);
      line.runs.push({ start: at, end: (at += piece.length), node, named: n % 2 === 1 });
      return node;
    });
    const lanes = over.filter((one) => !one.selected).sort((one, other) => one.lane - other.lane);
    let inner = pieces;
    for (const passage of lanes) inner = [underlay(passage, inner, passage.start === start)];
    const selected = over.find((one) => one.selected);
    if (!selected && inner.length === 1) return inner[0];
    const whole = document.createElement("span");
    whole.classList.toggle("chosen", Boolean(selected));
    whole.append(...inner);
    return whole;
  }
}

function underlay({ tint, lane, number, current }, inner, begins) {
  const mark = document.createElement("mark");
  mark.className = "passage";
  mark.dataset.tint = tint;
  mark.dataset.lane = lane % LANES;
  mark.classList.toggle("current", current);
  // A pseudo-element: it is no letter of the text.
  if (begins) mark.dataset.number = number;
  mark.append(...inner);
  return mark;
}
