/** `<demonstration-editor>`: the conversation on the left, the answer the model should give on the right. */
import { fragment } from "../js/api.js";
import { fill, gettext, ngettext } from "../js/words.js";
import { Kind } from "./kind.js";
import { ModelDraft } from "./model_draft.js";

export const wordsIn = (text) => text.match(/\S+/g)?.length ?? 0;

export class DemonstrationEditor extends Kind {
  build() {
    this.text.addEventListener("input", () => {
      this.paint();
      this.changed();
    });
    for (const tab of this.querySelectorAll("[data-face]")) {
      tab.addEventListener("click", () => this.turn(tab.dataset.face));
    }
    if (this.task.drafts) this.draft = new ModelDraft(this);
    this.paint();
  }

  disconnectedCallback() {
    this.draft?.stop();
  }

  get text() {
    return this.querySelector("textarea");
  }

  get hint() {
    return gettext("Write an answer.");
  }

  /** The text that counts, and that the preview shows. */
  get written() {
    return this.text.value;
  }

  get answer() {
    return { text: this.text.value };
  }

  set answer(answer) {
    this.text.value = typeof answer?.text === "string" ? answer.text : "";
    this.paint();
  }

  get lack() {
    return this.text.value.trim() ? null : gettext("The answer is empty. Write what the model should say.");
  }

  get empty() {
    return !this.text.value;
  }

  begin() {
    this.showLastTurns();
    this.text.focus({ preventScroll: true });
  }

  /** Of a long conversation the end is in view: the whole last turn, or its beginning where it is longer. */
  showLastTurns() {
    const box = this.querySelector(".prompt:not([hidden])");
    const last = box.querySelector(".turn.last");
    if (!last || box.scrollHeight <= box.clientHeight) return;
    // Whoever has no wheel scrolls it with the arrows.
    box.tabIndex = 0;
    const top = last.getBoundingClientRect().top - box.getBoundingClientRect().top - 12;
    box.scrollTop = Math.min(top, box.scrollHeight - box.clientHeight);
  }

  pointOut() {
    this.turn("write");
    this.text.focus();
  }

  key(name) {
    if (name === "e" || name === "Enter") return () => this.pointOut();
    if (name === "d" && this.draft) return () => this.draft.act();
    if (name === "u" && this.draft?.canUndo) return () => this.undo();
    return name === "p" ? () => this.turn(this.face === "preview" ? "write" : "preview") : null;
  }

  undo() {
    this.draft?.undo();
  }

  /** Another text takes the place of the one in the editor. */
  become(text, words) {
    this.text.value = text;
    this.paint();
    this.say(words);
    this.changed();
  }

  describe(answer) {
    return answer?.text || gettext("(empty)");
  }

  get face() {
    return this.querySelector("[data-face][aria-pressed=true]").dataset.face;
  }

  async turn(face) {
    for (const tab of this.querySelectorAll("[data-face]")) {
      tab.setAttribute("aria-pressed", String(tab.dataset.face === face));
    }
    this.uncover(face);
    if (face === "preview") await this.#render();
  }

  /** Show what belongs to a face: the text or its preview. */
  uncover(face) {
    this.querySelector("[data-preview]").hidden = face !== "preview";
    this.text.hidden = face !== "write";
  }

  async #render() {
    const preview = this.querySelector("[data-preview]");
    try {
      const path = `/projects/${document.body.dataset.project}/preview/`;
      // The server rendered and sanitised it; the page's policy lets no script run besides.
      preview.innerHTML = await fragment(path, { method: "POST", form: { text: this.written } });
    } catch (problem) {
      preview.textContent = fill(gettext("No preview now: %(why)s"), { why: problem.message });
    }
  }

  paint() {
    const text = this.written;
    const words = wordsIn(text);
    const count = fill(ngettext("%(n)s word", "%(n)s words", words), { n: words.toLocaleString() });
    const size = fill(gettext("%(n)s characters"), { n: [...text].length.toLocaleString() });
    this.querySelector("[data-count]").textContent = `${count} · ${size}`;
  }
}

customElements.define("demonstration-editor", DemonstrationEditor);
