/**
 * Labels on their way. Each is stored in this browser before it is sent and until the server has it, under a
 * name of its own, so that two tabs never overwrite each other's; the `submission_id` stays the same over all
 * attempts, so a repeat, from another tab too, is harmless.
 *
 * Dispatches `sent` `{item, label}`, `refused` `{item}` and `change`.
 */
import { api } from "../js/api.js";
import { uuid } from "./kept.js";
import { Retry } from "./retry.js";

export class Outbox extends EventTarget {
  constructor({ kept }) {
    super();
    this.kept = kept;
    this.items = kept.all("outbox:").sort((one, other) => one.at - other.at);
    this.retry = new Retry(() => this.drain());
    /** Which trouble holds the labels back: "away", "signed-out", or null. */
    this.trouble = null;
    /** Whether this browser could keep them. */
    this.safe = true;
  }

  get waiting() {
    return this.items.filter((item) => !item.refused);
  }

  get refused() {
    return this.items.filter((item) => item.refused);
  }

  add({ task, answer, activeSeconds, label = null }) {
    const item = {
      id: uuid(),
      at: Date.now(),
      task,
      answer,
      path: label ? `/api/annotations/${label}/revise/` : `/api/leases/${task.lease}/submit/`,
      active: Math.round(activeSeconds),
      label,
    };
    this.items.push(item);
    this.store(item);
    return item;
  }

  /** Take out a label that never left; false where the server may have it already. */
  takeBack(item) {
    if (item.tried || !this.items.includes(item)) return false;
    this.remove(item);
    return true;
  }

  remove(item) {
    this.items = this.items.filter((other) => other !== item);
    this.kept.drop(`outbox:${item.id}`);
    this.dispatchEvent(new Event("change"));
  }

  store(item) {
    this.safe = this.kept.put(`outbox:${item.id}`, item);
    this.dispatchEvent(new Event("change"));
  }

  /** Send what waits, oldest first; resolves when all is sent or the server is away. */
  drain() {
    this.draining ??= this.sendAll().finally(() => (this.draining = null));
    return this.draining;
  }

  async sendAll() {
    let item;
    while ((item = this.waiting[0])) {
      item.tried = true;
      this.store(item);
      if (!(await this.send(item))) return this.retry.later();
    }
    return this.retry.done();
  }

  async send(item) {
    try {
      const body = { submission_id: item.id, answer: item.answer };
      if (item.active !== undefined) body.active_seconds = item.active;
      const label = await api.post(item.path, body);
      this.trouble = null;
      this.remove(item);
      this.dispatchEvent(new CustomEvent("sent", { detail: { item, label } }));
    } catch (problem) {
      if (problem.away || problem.signedOut) {
        this.trouble = problem.signedOut ? "signed-out" : "away";
        this.dispatchEvent(new Event("change"));
        return false;
      }
      this.trouble = null;
      item.refused = problem.errors?.map((error) => error.message).join(" ") || problem.message;
      this.store(item);
      this.dispatchEvent(new CustomEvent("refused", { detail: { item } }));
    }
    return true;
  }
}
