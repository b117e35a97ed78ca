/** `<edit-sheet>`: the model's answer in an editor, made right; what changed shows beside it word by word. */
import { fill, gettext, ngettext } from "../js/words.js";
import { wordDiff } from "./word_diff.js";
import { DemonstrationEditor, wordsIn } from "./write.js";

/** A long text is compared a moment after the last key, not at each. */
const PAUSE = 120;

/** On a phone one face is shown at a time, see edit.css. */
const narrow = matchMedia("(max-width: 860px)");

export class EditSheet extends DemonstrationEditor {
  /** The text as it was before it went back to the model's. */
  #mine = null;

  build() {
    this.text.value = this.original;
    this.text.setSelectionRange(0, 0);
    super.build();
    this.querySelector("[data-restore]").addEventListener("click", () => this.restore());
    this.turn(narrow.matches ? "write" : "changes");
    this.#paintChanges();
  }

  get original() {
    return this.task.candidates[0].text;
  }

  get hint() {
    return gettext("Mend the model's answer, or send it as it is if nothing is wrong.");
  }

  get heading() {
    return this.doubt ? gettext("Nothing to mend?") : gettext("What you changed");
  }

  get answer() {
    return this.commented(super.answer);
  }

  set answer(answer) {
    this.keepComment(answer);
    this.#mine = null;
    super.answer = typeof answer?.text === "string" ? answer : { text: this.original };
    this.#paintChanges();
  }

  get lack() {
    return this.text.value.trim() ? null : gettext("The answer is empty. Write it anew, or go back to the model's.");
  }

  get empty() {
    return this.text.value === this.original && !this.comment;
  }

  /** An answer sent as it came is a statement of its own. */
  get doubt() {
    return this.text.value === this.original;
  }

  /** The answer is read first; its editor waits for a key. */
  begin() {}

  key(name) {
    if (name === "e") return () => this.pointOut();
    if (name === "p") return () => this.turn(this.face === "preview" ? "changes" : "preview");
    if (name === "r") return this.doubt ? null : () => this.restore();
    return name === "u" && this.#mine !== null ? () => this.undo() : null;
  }

  /** Wide, the editor is in sight beside every face. */
  pointOut() {
    if (narrow.matches) this.turn("write");
    this.text.focus();
  }

  restore() {
    if (this.doubt) return;
    this.#mine = this.text.value;
    this.become(this.original, gettext("Back to the model's answer. Undo brings yours again."));
  }

  undo() {
    if (this.#mine === null) return;
    const text = this.#mine;
    this.#mine = null;
    this.become(text, gettext("Your text is back."));
  }

  review() {
    const whole = document.createElement("div");
    whole.className = "reviewed";
    const words = document.createElement("p");
    words.className = "soft small";
    words.textContent = this.doubt
      ? gettext("You changed nothing: the answer is sent as right as it stands.")
      : this.querySelector("[data-changed]").textContent;
    const text = document.createElement("div");
    text.className = "changes plain reading card";
    text.dir = "auto";
    text.append(...marked(wordDiff(this.original, this.text.value)));
    whole.append(words, text);
    return whole;
  }

  /** Wide, the text stays beside what is looked at. */
  uncover(face) {
    this.dataset.face = face;
    this.querySelector("[data-preview]").hidden = face !== "preview";
    this.querySelector("[data-changes]").hidden = face === "preview";
  }

  paint() {
    super.paint();
    clearTimeout(this.waits);
    this.waits = setTimeout(() => this.#paintChanges(), PAUSE);
  }

  become(text, words) {
    super.become(text, words);
    this.#paintChanges();
  }

  #paintChanges() {
    clearTimeout(this.waits);
    const runs = wordDiff(this.original, this.text.value);
    this.querySelector("[data-changes]").replaceChildren(...marked(runs));
    this.querySelector("[data-changed]").textContent = summed(runs);
    // Not `disabled`: a button that goes dead under the finger would drop focus.
    this.querySelector("[data-restore]").setAttribute("aria-disabled", String(this.doubt));
  }
}

function marked(runs) {
  return runs.flatMap((run) => {
    if (run.same !== undefined) return [document.createTextNode(run.same)];
    return [mark("del", run.out), mark("ins", run.in)].filter((one) => one.textContent);
  });
}

function mark(name, text) {
  const element = document.createElement(name);
  element.textContent = text;
  return element;
}

function summed(runs) {
  const [out, put] = ["out", "in"].map((part) => runs.reduce((n, run) => n + wordsIn(run[part] ?? ""), 0));
  if (runs.every((run) => run.same !== undefined)) return gettext("Nothing changed yet.");
  const words = (n) => fill(ngettext("%(n)s word", "%(n)s words", n), { n: n.toLocaleString() });
  return fill(gettext("%(out)s out, %(in)s in"), { out: words(out), in: words(put) });
}

customElements.define("edit-sheet", EditSheet);
