/**
 * The project's live events. A page with `<body data-project="slug">` is connected by loading this module, and
 * one with `<main data-live="slug slug …">` to each of several projects.
 *
 * Every event is dispatched on `document` twice: as `live` and as `live:<event>`, both with the message
 * (`{event, n, …references}`) as `detail`. After a cut the socket comes back by itself, asks for what it
 * missed, and dispatches that in order; `live:reload` says that too much was missed to list, so fetch anew.
 * `live:state` carries `{state: "live" | "away"}`. Pages must work without any of it.
 *
 *     document.addEventListener("live:metric", ({ detail }) => draw(detail.run, detail.n));
 */
import { gettext } from "./words.js";

const SLOWEST = 20_000;
/** Projects that one page follows; it asks for news of the others now and then. */
const MOST = 6;

class Live {
  constructor(slug, since) {
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    this.address = `${scheme}//${location.host}/ws/projects/${encodeURIComponent(slug)}/`;
    // The newest event when the page was rendered: nothing between the rendering and the socket is missed.
    this.last = since;
    this.failures = 0;
    this.connect();
    addEventListener("online", () => this.hurry());
    document.addEventListener("visibilitychange", () => document.hidden || this.hurry());
  }

  connect() {
    clearTimeout(this.timer);
    // Asked for in the address, what was missed comes before anything new, so that a last number suffices.
    const since = this.last === null ? "" : `?since=${this.last}`;
    this.socket = new WebSocket(this.address + since);
    this.socket.addEventListener("message", ({ data }) => this.receive(JSON.parse(data)));
    this.socket.addEventListener("close", ({ code }) => this.retry(code));
  }

  receive(message) {
    if (message.event === "ready") {
      this.failures = 0;
      this.last ??= message.n;
      this.tell("state", { state: "live" });
      return;
    }
    if (message.n === undefined || message.n <= this.last) return;
    this.last = message.n;
    this.tell(message.event, message);
    document.dispatchEvent(new CustomEvent("live", { detail: message }));
  }

  retry(code) {
    this.tell("state", { state: "away" });
    if (code === 4404) return;
    // Spread out, or a restarted server would meet everybody in the same second.
    const wait = Math.min(SLOWEST, 500 * 2 ** this.failures++) * (0.5 + Math.random() / 2);
    this.timer = setTimeout(() => this.connect(), wait);
  }

  hurry() {
    if (this.socket.readyState !== WebSocket.CLOSED) return;
    this.failures = 0;
    this.connect();
  }

  tell(name, detail) {
    document.dispatchEvent(new CustomEvent(`live:${name}`, { detail }));
  }
}

function show(state) {
  const badge = document.querySelector("[data-live-state]");
  if (!badge) return;
  badge.dataset.state = state === "live" ? "good" : "warn";
  badge.textContent = state === "live" ? gettext("live") : gettext("reconnecting");
  badge.title =
    state === "live"
      ? gettext("This page follows what happens in the project.")
      : gettext("The connection is away; the page goes on without it and catches up later.");
}

const { project, liveSince } = document.body.dataset;
const several = document.querySelector("main[data-live]")?.dataset.live.split(" ").filter(Boolean) ?? [];
if (project || several.length) {
  document.addEventListener("live:state", ({ detail }) => show(detail.state));
  // By then every module of the page listens: what was missed since the rendering must not come before.
  const start = () => {
    if (project) new Live(project, liveSince ? Number(liveSince) : null);
    else for (const slug of several.slice(0, MOST)) new Live(slug, null);
  };
  if (document.readyState === "complete") start();
  else document.addEventListener("DOMContentLoaded", start, { once: true });
}
