/**
 * What lies over a task that is marked as sensitive until its reader asks: neither eyes nor a screen reader,
 * neither Tab nor a search of the page finds what is beneath.
 */
import { gettext } from "../js/words.js";
import { copyOf } from "./kind.js";

export class Cover {
  #shown = new Set();
  #task;
  #view;
  #bar;

  /** @param {{always: boolean, say: (text: string) => void}} how `always` shows what is sensitive from the start */
  constructor({ always, say }) {
    this.always = always;
    this.say = say;
  }

  get covered() {
    return Boolean(this.#view?.isConnected && this.#view.inert);
  }

  /** Whether there is anything to cover or show. */
  get applies() {
    return Boolean(this.#view?.isConnected && this.#bar);
  }

  /** Lie over a task that just came on screen, where it is sensitive. */
  arrived(task, view) {
    this.#task = task;
    this.#view = view;
    this.#bar = null;
    if (!task.sensitive) return;
    this.#bar = copyOf("cover");
    view.before(this.#bar);
    this.#paint(!this.always && !this.#shown.has(task.id));
  }

  /** Where the hands of its reader are wanted. */
  pointOut() {
    this.#bar.querySelector("button").focus();
    this.say(gettext("This task is covered. Show it first, or skip it."));
  }

  toggle() {
    if (!this.applies) return;
    const cover = !this.covered;
    if (cover) this.#shown.delete(this.#task.id);
    else this.#shown.add(this.#task.id);
    this.#paint(cover);
    this.say(cover ? gettext("Covered.") : gettext("Shown."));
    // What held the focus may be out of reach now.
    if (cover) this.#bar.querySelector("button").focus();
  }

  #paint(cover) {
    this.#view.inert = cover;
    this.#view.classList.toggle("covered", cover);
    this.#bar.querySelector("[data-covered]").hidden = !cover;
    this.#bar.querySelector("[data-shown]").hidden = cover;
    this.#bar.querySelector("button span").textContent = cover ? gettext("Show it") : gettext("Cover it");
  }
}
