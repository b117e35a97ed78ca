/**
 * The author's draft: on the server a moment after each change. Where another window saved since, both texts are
 * shown and nothing is sent until one is chosen.
 */
import { api, request } from "../js/api.js";
import { clock, fill, gettext } from "../js/words.js";

const PAUSE = 700;
const AGAIN = 4000;

export class OwnDraft {
  constructor(form, lists) {
    Object.assign(this, { form, lists });
    this.address = form.dataset.draft;
    this.version = Number(form.dataset.draftVersion);
    this.line = document.querySelector("[data-saved]");
    this.closed = false;
    this.discarder = document.querySelector("[data-discard]");
    if (this.discarder) this.discarder.hidden = false;
    this.discarder?.addEventListener("click", () => this.discard());
    for (const button of document.querySelectorAll("[data-keep]")) {
      button.addEventListener("click", () => this.settle(button.dataset.keep));
    }
    addEventListener("pagehide", () => this.dirty && this.save({ keepalive: true }));
    addEventListener("beforeunload", (event) => {
      if (this.dirty && !this.closed) event.preventDefault();
    });
  }

  get content() {
    const { body, note, based_on: basedOn } = this.form.elements;
    const lists = this.lists.map(({ name, text }) => [name, listOf(text.value)]);
    return {
      body: body.value,
      note: note.value,
      based_on: Number(basedOn.value),
      ...Object.fromEntries(lists.filter(([, list]) => list)),
    };
  }

  changed() {
    if (this.closed) return;
    this.dirty = true;
    if (this.stale) return;
    this.tell("busy", gettext("saving…"));
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.save(), PAUSE);
  }

  async save(options) {
    clearTimeout(this.timer);
    if (this.sending || this.stale || this.closed || !this.dirty) return;
    this.dirty = false;
    this.sending = this.send(options);
    await this.sending;
    this.sending = null;
    if (this.dirty && !this.stale && !this.closed) this.timer ??= setTimeout(() => this.save(), PAUSE);
  }

  async send(options) {
    this.timer = null;
    try {
      const saved = await api.put(this.address, { ...this.content, version: this.version }, options);
      this.version = saved.version;
      if (!this.dirty) this.tell("good", fill(gettext("saved %(time)s"), { time: clock(new Date(saved.saved_at)) }));
    } catch (problem) {
      this.failed(problem);
    }
  }

  failed(problem) {
    this.dirty = true;
    if (problem.status === 409 && problem.body.stored) {
      this.stale = problem.body.stored;
      this.tell("bad", gettext("two texts: choose one"));
      document.getElementById("stale-mine").textContent = this.form.elements.body.value;
      document.getElementById("stale-theirs").textContent = this.stale.body;
      document.getElementById("stale").showModal();
    } else if (problem.away || problem.signedOut) {
      this.tell("bad", problem.signedOut ? gettext("signed out: not saved") : gettext("not saved: leave this page open"));
      this.timer = setTimeout(() => this.save(), AGAIN);
    } else {
      this.dirty = false;
      this.tell("bad", problem.errors[0]?.message ?? problem.message);
    }
  }

  /** Mine goes upon theirs, or theirs takes its place here. */
  settle(whose) {
    const { stale, form } = this;
    this.stale = null;
    this.version = stale.version;
    document.getElementById("stale").close();
    if (whose === "theirs") {
      form.elements.body.value = stale.body;
      form.elements.note.value = stale.note;
      for (const list of this.lists) {
        list.text.value = JSON.stringify(stale[list.name], null, 1);
        list.read();
      }
      this.dirty = false;
      this.tell("good", fill(gettext("saved %(time)s"), { time: clock(new Date(stale.saved_at)) }));
      document.dispatchEvent(new CustomEvent("draft:taken"));
    } else {
      this.changed();
    }
  }

  async discard() {
    await this.close();
    try {
      await request("DELETE", this.address);
      location.assign(location.pathname);
    } catch (problem) {
      this.closed = false;
      this.tell("bad", problem.message);
    }
  }

  /** Stop saving; resolves when nothing is on its way. */
  async close() {
    clearTimeout(this.timer);
    this.closed = true;
    await this.sending;
  }

  tell(state, text) {
    this.line.dataset.state = state;
    if (this.line.textContent !== text) this.line.textContent = text;
  }
}

function listOf(text) {
  try {
    const list = JSON.parse(text || "[]");
    return Array.isArray(list) ? list : null;
  } catch {
    return null;
  }
}
