/**
 * Keeps the lease of the task on screen while somebody is at work, and says in time when it is about to run out:
 * whoever left goes without the task, and whoever comes back finds their text and what can be done. Clocks of
 * browsers are off, so the server says how many seconds are left, never when.
 */
import { api } from "../js/api.js";
import { fill, gettext } from "../js/words.js";
import { idleFor } from "./effort.js";

const BEAT = 60_000;
const QUIET = 60_000;
const WARNING = 60_000;
/** Whoever is back keeps the task at once, and asks again so often. */
const AGAIN = 3000;

export class LeaseWatch {
  constructor(work) {
    this.work = work;
    this.card = document.getElementById("lease");
    this.title = document.title;
    setInterval(() => this.tick(), 1000);
    document.addEventListener("visibilitychange", () => document.hidden || this.beat());
    // A sleeping tab's timers rest; what the server says wakes it.
    document.addEventListener("live:lease", ({ detail }) => this.heard(detail));
  }

  /** A task came just now. */
  static received(task) {
    if (!task || task.until) return task;
    task.span = (task.expires_in ?? 600) * 1000;
    task.until = Date.now() + task.span;
    task.beaten = Date.now();
    return task;
  }

  /** The task on screen, where it has a lease to keep. */
  get task() {
    return this.work.view && !this.work.revising ? this.work.task : null;
  }

  tick() {
    const { task } = this;
    // One that the browser held while the server was away is asked for anew first.
    if (!task || task.held) {
      this.hide();
      return;
    }
    const left = task.until - Date.now();
    const present = !document.hidden && idleFor() < Math.min(QUIET, task.span / 4);
    if (present && !task.gone) {
      const pause = this.state ? AGAIN : Math.min(BEAT, task.span / 3);
      if (Date.now() - task.beaten >= pause) this.beat();
      if (left <= 0 && !this.state) return;
    }
    // Without the server nobody knows; the line on top says so.
    if (this.away || (left > 0 && present)) {
      if (!task.gone) this.hide();
    } else if (left <= 0) {
      this.over(task);
    } else if (left <= Math.min(WARNING, task.span / 2)) {
      this.warn(left);
    }
  }

  /** Keep the leases of this task and of those fetched ahead. */
  async beat() {
    const { task } = this;
    if (!task || this.beating) return;
    this.beating = true;
    task.beaten = Date.now();
    try {
      const active = Math.round(this.work.effort.seconds);
      this.extend(task, await api.post(`/api/leases/${task.lease}/heartbeat/`, { active_seconds: active }));
      for (const one of this.work.ahead) {
        this.extend(one.task, await api.post(`/api/leases/${one.task.lease}/heartbeat/`));
      }
    } catch (problem) {
      this.away = problem.away || problem.signedOut;
      if (!this.away && this.task === task) this.gone(task);
    } finally {
      this.beating = false;
    }
  }

  extend(task, { expires_in: seconds }) {
    this.away = false;
    task.until = Date.now() + seconds * 1000;
    task.gone = false;
    if (task !== this.task) return;
    if (this.state === "over") this.work.panels.say(gettext("The task is yours again."));
    this.hide();
  }

  heard({ state, leases }) {
    const { task } = this;
    if (!task || !leases.includes(task.lease)) return;
    if (state === "over") task.until = Date.now();
    this.tick();
  }

  warn(left) {
    const seconds = Math.ceil(left / 1000);
    const text = gettext("Nothing has moved here for a while. This task goes back to the queue in %(n)s s; any key keeps it.");
    this.show("warned", fill(text, { n: seconds }), { keep: true });
    document.title = fill(gettext("%(n)s s left · %(title)s"), { n: seconds, title: this.title });
  }

  over(task) {
    if (task.gone) return;
    const text = gettext("This task ran out of time and went back to the queue. Your text is kept: take the task up again, or leave it.");
    this.show("over", text, { keep: true, next: true });
    document.title = this.title;
  }

  gone(task) {
    task.gone = true;
    const text = gettext("This task ran out of time and went to somebody else. Your text is kept: send it all the same, or leave it.");
    this.show("gone", text, { next: true });
  }

  show(state, text, { keep = false, next = false }) {
    const isNew = this.state !== state;
    this.state = state;
    this.card.hidden = false;
    this.card.querySelector("p").textContent = text;
    this.card.querySelector("[data-do=keep]").hidden = !keep;
    this.card.querySelector("[data-do=next]").hidden = !next;
    if (isNew) this.work.panels.say(text);
  }

  hide() {
    if (!this.state) return;
    this.state = null;
    this.card.hidden = true;
    this.card.querySelector("p").textContent = "";
    document.title = this.title;
  }
}
