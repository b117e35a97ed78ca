/** The marks beside their text: each with its quote, criterion and comment, to go to, to write on, to take away. */
import { fill, gettext } from "../js/words.js";
import { copyOf } from "./kind.js";

export class MarkList {
  #items = new Map();

  /**
   * @param {HTMLElement} element the list
   * @param {{inWords: (mark) => {number, tint, label, quote}, open: (mark) => void, takeAway: (mark) => void,
   *   commented: () => void}} actions
   */
  constructor(element, actions) {
    this.element = element;
    this.actions = actions;
  }

  /** Show `marks` in their order. */
  paint(marks, current) {
    for (const [mark, item] of this.#items) {
      if (marks.includes(mark)) continue;
      item.remove();
      this.#items.delete(mark);
    }
    for (const [at, mark] of marks.entries()) {
      if (!this.#items.has(mark)) this.#items.set(mark, this.#item(mark));
      const item = this.#items.get(mark);
      // Moved only where it stands elsewhere: a moved element loses its focus.
      if (this.element.children[at] !== item) this.element.insertBefore(item, this.element.children[at] ?? null);
      item.classList.toggle("current", mark === current);
      item.querySelector("[data-open]").setAttribute("aria-current", String(mark === current));
    }
  }

  /** Whether the focus is on one of a mark's own controls. */
  holdsFocus(mark) {
    return this.#items.get(mark).contains(document.activeElement);
  }

  focus(mark) {
    this.#items.get(mark).querySelector("[data-open]").focus({ preventScroll: true });
  }

  comment(mark) {
    this.#items.get(mark).querySelector("input").focus();
  }

  show(mark) {
    this.#items.get(mark).scrollIntoView({ block: "nearest" });
  }

  #item(mark) {
    const { number, tint, label, quote } = this.actions.inWords(mark);
    const item = copyOf("mark-item");
    item.dataset.tint = tint;
    item.querySelector("b").textContent = number;
    item.querySelector("q").textContent = quote;
    item.querySelector(".criterion").textContent = label;
    const button = item.querySelector("[data-open]");
    button.addEventListener("click", () => this.actions.open(mark));
    const remove = item.querySelector("[data-remove]");
    remove.setAttribute("aria-label", fill(gettext("Take away the mark on “%(quote)s”"), { quote }));
    remove.addEventListener("click", () => this.actions.takeAway(mark));
    const comment = item.querySelector("input");
    comment.setAttribute("aria-label", fill(gettext("Comment on “%(quote)s”"), { quote }));
    comment.value = mark.comment;
    comment.addEventListener("focus", () => item.classList.contains("current") || this.actions.open(mark));
    comment.addEventListener("input", () => {
      mark.comment = comment.value;
      this.actions.commented();
    });
    comment.addEventListener("keydown", (event) => {
      if (!["Enter", "Escape"].includes(event.key) || event.ctrlKey || event.metaKey || event.isComposing) return;
      // Back to the keys, with nothing thrown away.
      event.preventDefault();
      button.focus();
    });
    return item;
  }
}

/** The marks for the last look before they are sent. */
export function markLines(marks, inWords) {
  const list = document.createElement("ol");
  list.className = "marks";
  for (const mark of marks) {
    const { number, tint, label, quote } = inWords(mark);
    const line = document.createElement("li");
    line.dataset.tint = tint;
    const badge = document.createElement("b");
    badge.className = "badge";
    badge.textContent = number;
    const words = document.createElement("div");
    const quoted = document.createElement("q");
    quoted.dir = "auto";
    quoted.textContent = quote;
    const about = document.createElement("p");
    about.className = "soft small";
    about.textContent = [label, mark.comment].filter(Boolean).join(" · ");
    words.append(quoted, about);
    line.append(badge, words);
    list.append(line);
  }
  return list;
}
