/**
 * A draft saves itself: at once in this browser, a moment later on the server.
 *
 * Dispatches `state` with `{state, at}`: "writing", "saving", "saved", "kept" (the server is away and this
 * browser holds the text), "unkept" (nobody holds it but this page), "signed-out", and "stale" with `stored`
 * when another tab saved since; nothing is sent then until `settle` chose one of the two. "refused" carries
 * the `reason` why the server cannot store such a text at all.
 */
import { api } from "../js/api.js";
import { Retry } from "./retry.js";

const PAUSE = 700;
const LONGEST = 3000;

export class Draft extends EventTarget {
  /** @param {{onServer: boolean}} options with `onServer: false` the text stays in this browser alone */
  constructor({ task, kept, onServer = true, name = `draft:${task.id}` }) {
    super();
    this.task = task;
    this.kept = kept;
    this.name = name;
    this.onServer = onServer;
    this.answer = task.draft?.answer ?? null;
    this.version = task.draft?.version ?? 0;
    this.dirty = false;
    this.closed = false;
    this.sending = null;
    this.retry = new Retry(() => this.save());
    this.leaving = () => this.dirty && !this.sending && this.save({ keepalive: true });
    addEventListener("pagehide", this.leaving);
    this.takeUp();
  }

  /**
   * A text that this browser kept and the server has not got comes before the server's; saved upon the version
   * it was written upon, it meets another one there as in `failed`. A task that was `held` here while the
   * server is away is as old as its fetching, so the kept text is newer.
   */
  takeUp() {
    if (this.task.held) queueMicrotask(() => this.tell("kept"));
    const mine = this.kept.get(this.name);
    if (!mine || !(mine.dirty || (this.task.held && mine.version >= this.version))) return;
    Object.assign(this, mine);
    this.safeHere = true;
    if (this.dirty) queueMicrotask(() => this.save());
  }

  change(answer) {
    if (this.closed) return;
    this.answer = answer;
    this.dirty = true;
    this.keepHere();
    if (this.stale) return;
    this.tell(this.onServer ? "writing" : this.safeHere ? "kept" : "unkept");
    if (!this.onServer) return;
    this.since ??= Date.now();
    clearTimeout(this.timer);
    const wait = Math.max(0, Math.min(PAUSE, this.since + LONGEST - Date.now()));
    this.timer = setTimeout(() => this.save(), wait);
  }

  /** Whether nobody but this page holds the newest text. */
  get unsafe() {
    return this.dirty && !this.safeHere && !this.closed;
  }

  /** What the server last had, as a task carries it. */
  get stored() {
    return this.version ? { answer: this.answer, version: this.version } : null;
  }

  keepHere() {
    if (this.forgotten) return;
    this.safeHere = this.kept.put(this.name, {
      answer: this.answer,
      version: this.version,
      dirty: this.dirty,
    });
    // No room for a copy of what the server has: better none than an older one.
    if (!this.safeHere && !this.dirty) this.kept.drop(this.name);
  }

  async save(options) {
    clearTimeout(this.timer);
    if (this.sending || this.stale || this.closed || !this.dirty || !this.onServer) return;
    const sent = this.answer;
    this.since = null;
    this.tell("saving");
    this.sending = this.send(sent, options);
    await this.sending;
    this.sending = null;
    if (this.dirty && !this.stale && !this.closed && !this.retry.timer) this.change(this.answer);
  }

  async send(answer, options) {
    try {
      const body = { answer, version: this.version };
      const { version, saved_at: at } = await api.put(`/api/leases/${this.task.lease}/draft/`, body, options);
      this.version = version;
      this.dirty = this.answer !== answer;
      this.retry.done();
      this.keepHere();
      this.tell("saved", { at: new Date(at) });
    } catch (problem) {
      this.failed(problem);
    }
  }

  failed(problem) {
    if (problem.status === 409 && problem.body.stored) {
      this.turnStale(problem.body.stored);
    } else if (problem.signedOut) {
      this.tell("signed-out");
      this.retry.later();
    } else if (problem.away) {
      this.tell(this.safeHere ? "kept" : "unkept");
      this.retry.later();
    } else {
      this.retry.done();
      this.dirty = false;
      this.tell("refused", { reason: problem.errors[0]?.message ?? problem.message });
    }
  }

  turnStale(stored) {
    this.stale = stored;
    this.tell("stale", { stored });
  }

  /** Choose between the two texts: mine goes upon theirs, or theirs takes its place here. */
  settle({ mine }) {
    const { answer, version } = this.stale;
    this.stale = null;
    this.version = version;
    if (mine) {
      this.change(this.answer);
    } else {
      this.answer = answer;
      this.dirty = false;
      this.keepHere();
      this.tell("saved", { at: new Date() });
    }
  }

  /** Stop saving; resolves when nothing of it is on its way, so that a submit can follow. */
  async close() {
    this.closed = true;
    clearTimeout(this.timer);
    this.retry.done();
    removeEventListener("pagehide", this.leaving);
    await this.sending;
  }

  /** The task is done with; a save still on its way must not put the text back. */
  forget() {
    this.forgotten = true;
    this.kept.drop(this.name);
  }

  tell(state, detail = {}) {
    this.dispatchEvent(new CustomEvent("state", { detail: { state, ...detail } }));
  }
}
