/**
 * Keeps what the server rendered up to date, without a second rendering in the browser.
 *
 * `<main data-live-on="label round">` names the live events that concern the page; with `data-run` only those of
 * that run. On one of them the page is fetched again, at most once a second, and its `[data-live-part]` elements
 * take the new content. `data-live-part="metric"` follows metrics too, `data-live-part="asked"` moves only when
 * `page:refresh` names it. While the socket is away the page asks every five seconds instead.
 */
import { fragment } from "../js/api.js";
import { span } from "./span.js";

const PACE = 1000;
const POLL = 5000;

const page = document.querySelector("[data-live-on]");
const pending = new Set();
let last = 0;
let timer;
let poll;
let busy = false;

const concerns = (detail) => !page.dataset.run || !detail?.run || detail.run === page.dataset.run;

function soon(kinds) {
  kinds.forEach((kind) => pending.add(kind));
  if (!busy && !timer) timer = setTimeout(refresh, Math.max(50, last + PACE - Date.now()));
}

async function refresh() {
  timer = undefined;
  busy = true;
  const kinds = new Set(pending);
  pending.clear();
  try {
    const fresh = new DOMParser().parseFromString(await fragment(location.href), "text/html");
    for (const part of page.querySelectorAll("[data-live-part]")) {
      const replacement = fresh.getElementById(part.id);
      if (replacement && (kinds.has(part.dataset.livePart) || kinds.has(`#${part.id}`))) swap(part, replacement);
    }
    document.dispatchEvent(new CustomEvent("page:fresh"));
  } catch {
    // The next event or the next poll tries again; what is shown stays.
  }
  last = Date.now();
  busy = false;
  if (pending.size) soon([]);
}

/** The form token differs in every rendering and changes nothing. */
const substance = (element) =>
  element.innerHTML.replace(/(name="csrfmiddlewaretoken" value=)"[^"]*"/g, "$1");

function swap(part, fresh) {
  const written = [...part.querySelectorAll("input:not([type=hidden]), textarea")];
  if (written.some((field) => field.value !== field.defaultValue || field === document.activeElement)) return;
  part.className = fresh.className;
  if (substance(part) === substance(fresh)) return;
  const focused = part.contains(document.activeElement) ? document.activeElement.id : "";
  const scrolled = part.querySelector("pre");
  const atEnd = scrolled && scrolled.scrollHeight - scrolled.scrollTop - scrolled.clientHeight < 40;
  part.replaceChildren(...fresh.childNodes);
  if (focused) document.getElementById(focused)?.focus();
  if (atEnd) toEnd(part);
}

const toEnd = (element) => element.querySelectorAll("pre.log").forEach((log) => (log.scrollTop = log.scrollHeight));

for (const event of [...page.dataset.liveOn.split(" "), "reload"]) {
  document.addEventListener(`live:${event}`, ({ detail }) => concerns(detail) && soon(["", "metric"]));
}
document.addEventListener("live:metric", ({ detail }) => concerns(detail) && soon(["metric"]));
document.addEventListener("page:refresh", ({ detail }) => soon(detail?.parts ?? ["", "metric"]));
document.addEventListener("live:state", ({ detail }) => {
  clearInterval(poll);
  if (detail.state !== "live") poll = setInterval(() => document.hidden || soon(["", "metric"]), POLL);
});
setInterval(() => {
  for (const element of page.querySelectorAll("[data-since]")) {
    element.textContent = span((Date.now() - new Date(element.dataset.since)) / 1000);
  }
}, 1000);
toEnd(page);
