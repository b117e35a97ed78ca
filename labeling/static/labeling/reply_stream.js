/**
 * What the model says to one lease, as it is said: pieces over a WebSocket, and by asking again and again, so
 * that all works without one. Dispatches `reply` with a reply as the API has it (a piece has no `html` yet),
 * and `trouble` with words, or null once there is none.
 */
import { api } from "../js/api.js";
import { gettext } from "../js/words.js";

/** Milliseconds between two looks: at first, and where pieces come by themselves or nobody answers. */
const ASKS = 700;
const ASKS_SELDOM = 3000;
const AGAIN = 2000;
/** Seconds without a sign after which nobody seems to answer. */
const PATIENCE = 5;

export const isOver = (reply) => reply.state === "done" || reply.state === "failed";

/** A reply as it goes on: who takes it over begins anew and says the same, and what is read does not go away. */
export function goingOn(before, reply) {
  if (!before || isOver(reply)) return reply;
  const texts = reply.texts.map((one, at) => {
    const shown = before.texts[at] ?? one;
    return shown.text.startsWith(one.text) ? shown : one;
  });
  return { ...reply, texts };
}

/** Why a reply that is not over may take longer, or null. */
export function delay({ state, quiet_seconds: quiet, busy, texts }) {
  if (state === "waiting" && busy) return gettext("The model answers somebody else first. Yours follows.");
  if (quiet < PATIENCE) return texts.some(({ text }) => text) ? null : gettext("The model begins…");
  if (state === "waiting") {
    return gettext("Nobody answers for the model now; your message is kept, and answered as soon as somebody does.");
  }
  return gettext("The answer broke off. It goes on as soon as somebody takes it over.");
}

export class ReplyStream extends EventTarget {
  constructor(lease) {
    super();
    this.lease = lease;
    this.number = null;
  }

  /** Follow a reply until it is over. */
  follow(number) {
    this.number = number;
    this.heard = 0;
    this.quiet = false;
    this.listen();
    this.ask();
  }

  /** A reply that is over, fetched once. */
  fetch(number) {
    return api.get(`/api/leases/${this.lease}/replies/${number}/`);
  }

  stop() {
    this.number = null;
    clearTimeout(this.timer);
    clearTimeout(this.again);
    this.socket?.close();
    this.socket = null;
  }

  async ask() {
    clearTimeout(this.timer);
    const { number } = this;
    if (number === null || this.asking) return;
    this.asking = true;
    try {
      const reply = await this.fetch(number);
      if (this.number !== number) return;
      this.tell("trouble", null);
      this.quiet = reply.quiet_seconds >= PATIENCE;
      if (isOver(reply)) this.stop();
      this.tell("reply", reply);
    } catch (problem) {
      if (this.number !== number) return;
      this.tell("trouble", problem.message);
      if (!problem.away && !problem.signedOut) this.stop();
    } finally {
      this.asking = false;
      if (this.number !== null) this.timer = setTimeout(() => this.ask(), this.hears || this.quiet ? ASKS_SELDOM : ASKS);
    }
  }

  get hears() {
    return Date.now() - this.heard < ASKS_SELDOM;
  }

  listen() {
    if (this.socket || this.number === null) return;
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    this.socket = new WebSocket(`${scheme}//${location.host}/ws/leases/${this.lease}/`);
    this.socket.addEventListener("message", ({ data }) => this.receive(JSON.parse(data)));
    this.socket.addEventListener("close", ({ target, code }) => this.closed(target, code));
  }

  receive({ event, number, texts }) {
    if (event === "said" && number === this.number) {
      this.heard = Date.now();
      const pieces = texts.map((text) => ({ text, html: null }));
      this.tell("reply", { number, state: "answering", texts: pieces, quiet_seconds: 0, busy: false, fault: "" });
    } else if (event === "ready" || number === this.number) {
      this.ask();
    }
  }

  closed(socket, code) {
    if (socket !== this.socket) return;
    this.socket = null;
    this.heard = 0;
    if (code !== 4404) this.again = setTimeout(() => this.listen(), AGAIN);
  }

  tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}
