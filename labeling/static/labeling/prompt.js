/** `<prompt-editor>`: a brief or a conversation on the left, what a person would say (next) on the right. */
import { fill, gettext } from "../js/words.js";
import { FEWEST, MOST, compose, parts } from "./few_shot.js";
import { copyOf } from "./kind.js";
import { reading } from "./reading.js";
import { DemonstrationEditor } from "./write.js";

export class PromptEditor extends DemonstrationEditor {
  /** Examples that were removed, with their place, so that they can come back. */
  #removed = [];
  #at = null;

  build(task) {
    const { form, text, use_case: useCase } = task.brief;
    this.fewShot = form === "few_shot";
    this.goesOn = task.prompt.some(({ role }) => role !== "system");
    this.querySelector("[data-brief]").hidden = this.goesOn;
    this.querySelector("[data-so-far]").hidden = !this.goesOn;
    for (const part of this.querySelectorAll("[data-form]")) part.hidden = part.dataset.form !== (form ?? "plain");
    this.#put("[data-use-case]", useCase);
    this.#put("[data-brief-text]", text);
    this.#name(this.goesOn ? gettext("What the person says next") : gettext("Your prompt"));
    if (this.fewShot) this.#buildFewShot();
    super.build();
  }

  get hint() {
    if (this.goesOn) return gettext("Write what the person says next.");
    return this.fewShot ? gettext("Write a few-shot prompt.") : gettext("Write a prompt.");
  }

  get written() {
    return this.fewShot ? (this.empty ? "" : compose(this.#parts)) : super.written;
  }

  get answer() {
    return this.fewShot ? this.#parts : super.answer;
  }

  set answer(answer) {
    if (this.fewShot) this.#show(parts(answer));
    else super.answer = answer;
    this.paint();
  }

  get lack() {
    if (this.fewShot) return this.#lack?.words ?? null;
    return this.text.value.trim() ? null : gettext("The prompt is empty. Write what a person would say.");
  }

  get empty() {
    return this.fewShot ? [...this.#fields.querySelectorAll("textarea")].every((field) => !field.value) : super.empty;
  }

  begin() {
    if (!this.fewShot) return super.begin();
    this.#named("instruction").focus({ preventScroll: true });
  }

  pointOut() {
    if (!this.fewShot) return super.pointOut();
    this.turn("write");
    (this.#lack?.field ?? this.#named("instruction")).focus();
  }

  key(name) {
    if (this.fewShot && name === "+") return () => this.addExample();
    if (this.fewShot && name === "-") return () => this.removeExample();
    if (name === "u") return this.#removed.length ? () => this.undo() : null;
    return super.key(name);
  }

  addExample() {
    const examples = this.#examples;
    if (examples.length >= MOST) {
      this.say(fill(gettext("%(n)s examples are the most."), { n: MOST }));
      return;
    }
    this.turn("write");
    this.#insert({ input: "", output: "" }, examples.length);
    this.#examples.at(-1).querySelector("[name=input]").focus();
    this.say(fill(gettext("Example %(n)s."), { n: examples.length + 1 }));
    this.#edited();
  }

  /** Take an example out: the one that was written in last, else the last one. */
  removeExample(example = this.#at?.isConnected ? this.#at : this.#examples.at(-1)) {
    const at = this.#examples.indexOf(example);
    if (this.#examples.length <= FEWEST) {
      this.say(fill(gettext("A few-shot prompt has at least %(n)s examples."), { n: FEWEST }));
      return;
    }
    this.#removed.push({ at, ...this.#read(example) });
    example.remove();
    this.#number();
    const next = this.#examples[Math.min(at, this.#examples.length - 1)];
    next.querySelector("[data-remove]").focus();
    this.say(fill(gettext("Example %(n)s is out. Undo brings it back."), { n: at + 1 }));
    this.#edited();
  }

  undo() {
    const { at, ...example } = this.#removed.pop();
    this.#insert(example, at);
    this.say(fill(gettext("Example %(n)s is back."), { n: at + 1 }));
    this.#edited();
  }

  describe(answer) {
    if (!this.fewShot) return super.describe(answer);
    return compose(parts(answer));
  }

  uncover(face) {
    if (!this.fewShot) return super.uncover(face);
    this.querySelector("[data-preview]").hidden = face !== "preview";
    this.#fields.hidden = face !== "write";
  }

  /** What the model is given, letter for letter where its layout is ours. */
  async turn(face) {
    if (!this.fewShot || face !== "preview") return super.turn(face);
    for (const tab of this.querySelectorAll("[data-face]")) {
      tab.setAttribute("aria-pressed", String(tab.dataset.face === face));
    }
    this.uncover(face);
    reading(this.querySelector("[data-preview]"), { text: compose(this.#parts) });
  }

  get #fields() {
    return this.querySelector("[data-few-shot]");
  }

  get #examples() {
    return [...this.#fields.querySelectorAll(".example")];
  }

  get #parts() {
    const value = (name) => this.#named(name).value;
    return { instruction: value("instruction"), examples: this.#examples.map((one) => this.#read(one)), input: value("last") };
  }

  get #lack() {
    const lacks = (field, words) => !field.value.trim() && { field, words };
    const inExample = (one, at) =>
      lacks(one.querySelector("[name=input]"), fill(gettext("Example %(n)s has no input."), { n: at + 1 })) ||
      lacks(one.querySelector("[name=output]"), fill(gettext("Example %(n)s has no output."), { n: at + 1 }));
    return (
      lacks(this.#named("instruction"), gettext("The instruction is empty. Say what is to be done with each input.")) ||
      this.#examples.map(inExample).find(Boolean) ||
      lacks(this.#named("last"), gettext("The last input is empty. Write what the model should answer."))
    );
  }

  #named(name) {
    return this.#fields.querySelector(`[name=${name}]`);
  }

  #read(example) {
    const value = (name) => example.querySelector(`[name=${name}]`).value;
    return { input: value("input"), output: value("output") };
  }

  #buildFewShot() {
    this.text.hidden = true;
    this.text.disabled = true;
    this.#fields.hidden = false;
    this.#fields.addEventListener("input", () => this.#edited());
    this.#fields.addEventListener("focusin", ({ target }) => (this.#at = target.closest(".example") ?? this.#at));
    this.#fields.addEventListener("click", ({ target }) => {
      const button = target.closest("[data-remove]");
      if (button) this.removeExample(button.closest(".example"));
      else if (target.closest("[data-add]")) this.addExample();
    });
    this.#show(parts(null));
  }

  #show({ instruction, examples, input }) {
    this.#removed = [];
    this.#named("instruction").value = instruction;
    this.#named("last").value = input;
    this.#fields.querySelector("[data-examples]").replaceChildren();
    examples.forEach((example, at) => this.#insert(example, at));
  }

  #insert({ input, output }, at) {
    const example = copyOf("few-shot-example");
    example.querySelector("[name=input]").value = input;
    example.querySelector("[name=output]").value = output;
    const list = this.#fields.querySelector("[data-examples]");
    list.insertBefore(example, list.children[at] ?? null);
    this.#number();
  }

  #number() {
    for (const [at, example] of this.#examples.entries()) {
      example.querySelector("legend").textContent = fill(gettext("Example %(n)s"), { n: at + 1 });
    }
    const few = this.#examples.length <= FEWEST;
    for (const button of this.#fields.querySelectorAll("[data-remove]")) button.setAttribute("aria-disabled", String(few));
  }

  #edited() {
    this.paint();
    this.changed();
  }

  #put(selector, text) {
    const line = this.querySelector(selector);
    line.hidden = !text;
    line.textContent = text ?? "";
  }

  #name(words) {
    this.querySelector(".editor h2").textContent = words;
    this.querySelector(".editor").setAttribute("aria-label", words);
    this.text.setAttribute("aria-label", words);
  }
}

customElements.define("prompt-editor", PromptEditor);
