/** `<demonstration-editor>`: the conversation on the left, the answer the model should give on the right. */
import { fragment } from "../js/api.js";
import { fill, gettext, ngettext } from "../js/words.js";
import { conversation } from "./conversation.js";

export class DemonstrationEditor extends HTMLElement {
  #task;

  set task(task) {
    this.#task = task;
    this.replaceChildren(document.getElementById("demonstration-editor").content.cloneNode(true));
    this.querySelector("[data-prompt]").append(conversation(task.prompt));
    this.text.addEventListener("input", () => {
      this.#count();
      this.dispatchEvent(new Event("change"));
    });
    for (const tab of this.querySelectorAll("[data-face]")) {
      tab.addEventListener("click", () => this.turn(tab.dataset.face));
    }
    this.#count();
  }

  get task() {
    return this.#task;
  }

  get text() {
    return this.querySelector("textarea");
  }

  get answer() {
    return { text: this.text.value };
  }

  set answer(answer) {
    this.text.value = typeof answer?.text === "string" ? answer.text : "";
    this.#count();
  }

  get lack() {
    return this.text.value.trim() ? null : gettext("The answer is empty. Write what the model should say.");
  }

  get empty() {
    return !this.text.value;
  }

  pointOut() {
    this.turn("write");
    this.text.focus();
  }

  key(name) {
    if (name === "e" || name === "Enter") return () => this.pointOut();
    return name === "p" ? () => this.turn(this.#face === "write" ? "preview" : "write") : null;
  }

  describe(answer) {
    return answer?.text || gettext("(empty)");
  }

  undo() {}

  get #face() {
    return this.querySelector("[data-face][aria-pressed=true]").dataset.face;
  }

  async turn(face) {
    for (const tab of this.querySelectorAll("[data-face]")) {
      tab.setAttribute("aria-pressed", String(tab.dataset.face === face));
    }
    const preview = this.querySelector(".preview");
    preview.hidden = face === "write";
    this.text.hidden = face !== "write";
    if (face === "write") return;
    try {
      const path = `/projects/${document.body.dataset.project}/preview/`;
      // The server rendered and sanitised it; the page's policy lets no script run besides.
      preview.innerHTML = await fragment(path, { method: "POST", form: { text: this.text.value } });
    } catch (problem) {
      preview.textContent = fill(gettext("No preview now: %(why)s"), { why: problem.message });
    }
  }

  #count() {
    const text = this.text.value;
    const words = text.match(/\S+/g)?.length ?? 0;
    const count = fill(ngettext("%(n)s word", "%(n)s words", words), { n: words.toLocaleString() });
    const size = fill(gettext("%(n)s characters"), { n: [...text].length.toLocaleString() });
    this.querySelector("[data-count]").textContent = `${count} · ${size}`;
  }
}

customElements.define("demonstration-editor", DemonstrationEditor);
