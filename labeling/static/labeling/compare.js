/** `<compare-board>`: two answers side by side, and a scale of strength between them. */
import { fill, gettext } from "../js/words.js";
import { answerCard, numberedAnswer } from "./answer_card.js";
import { Kind } from "./kind.js";
import { buildScale, FURTHEST, paintScale, sentence, STRENGTHS, strengthOf, towards } from "./strengths.js";

export class CompareBoard extends Kind {
  #step = null;
  #bothBad = false;
  #past = [];
  #cards;

  build(task) {
    this.#cards = task.candidates.map((candidate, at) =>
      answerCard(candidate, at + 1, fill(gettext("Answer %(n)s is better; again: by more"), { n: at + 1 })),
    );
    const answers = this.querySelector(".answers");
    answers.dataset.count = this.#cards.length;
    answers.append(...this.#cards);
    for (const [at, card] of this.#cards.entries()) {
      card.querySelector(".key").addEventListener("click", () => this.prefer(at + 1));
    }
    buildScale(this.#scale, (step) => this.choose(step));
    this.#badBox.addEventListener("change", () => this.toggleBothBad());
    this.#paint();
  }

  get hint() {
    return gettext("Compare two answers.");
  }

  get heading() {
    return gettext("Your comparison");
  }

  get answer() {
    const id = this.#step ? this.#id(this.#step) : null;
    const strength = this.#step === null ? {} : { preferred: id, strength: strengthOf(this.#step) };
    return this.commented({ ...strength, ...(this.#bothBad ? { both_bad: true } : {}) });
  }

  set answer(answer) {
    this.#step = this.#stepOf(answer);
    this.#bothBad = answer?.both_bad === true;
    this.keepComment(answer);
    this.#past = [];
    this.#paint();
  }

  get lack() {
    return this.#step === null ? gettext("Say which answer is better, or that they tie.") : null;
  }

  get empty() {
    return this.#step === null && !this.#bothBad && !this.comment;
  }

  pointOut() {
    this.querySelector("[data-strengths] input").focus({ preventScroll: true });
  }

  key(name) {
    const act = {
      1: () => this.prefer(1),
      2: () => this.prefer(2),
      0: () => this.choose(0),
      "=": () => this.choose(0),
      x: () => this.toggleBothBad(),
      ArrowLeft: () => this.choose(Math.max(-FURTHEST, (this.#step ?? 0) - 1)),
      ArrowRight: () => this.choose(Math.min(FURTHEST, (this.#step ?? 0) + 1)),
    }[name];
    if (name === "u") return this.#past.length ? () => this.undo() : null;
    return act ?? null;
  }

  /** Lean towards answer 1 or 2, each time a step further. */
  prefer(number) {
    this.choose(towards(number, this.#step));
  }

  choose(step) {
    if (step === this.#step) {
      this.say(fill(gettext("%(what)s. It cannot go further."), { what: sentence(step) }));
      return;
    }
    this.#remember();
    this.#step = step;
    this.say(`${sentence(step)}.`);
    this.#repaint();
  }

  toggleBothBad() {
    this.#remember();
    this.#bothBad = !this.#bothBad;
    if (this.#bothBad && this.#step === null) {
      this.#step = 0;
      this.say(gettext("Both are bad, a tie; say which is less bad if one is."));
    } else {
      this.say(this.#bothBad ? gettext("Both are bad.") : gettext("Not both are bad."));
    }
    this.#repaint();
  }

  undo() {
    if (!this.#past.length) return;
    ({ step: this.#step, bothBad: this.#bothBad } = this.#past.pop());
    const now = this.#step === null ? gettext("nothing chosen") : sentence(this.#step);
    this.say(fill(gettext("Undone: %(now)s."), { now }));
    this.#repaint();
  }

  describe(answer) {
    const step = this.#stepOf(answer);
    const lines = [step === null ? gettext("(nothing chosen)") : sentence(step)];
    if (answer?.both_bad) lines.push(gettext("Both bad"));
    if (answer?.comment) lines.push(`“${answer.comment}”`);
    return lines.join("\n");
  }

  /** The better one first, with its text. */
  review() {
    const whole = document.createElement("div");
    whole.className = "reviewed";
    const verdict = document.createElement("p");
    verdict.className = "big-words";
    verdict.textContent = `${sentence(this.#step)}.`;
    if (this.#bothBad) verdict.textContent += ` ${gettext("Both are bad.")}`;
    const order = this.#step > 0 ? [2, 1] : [1, 2];
    const texts = order.map((number) => numberedAnswer(this.task.candidates[number - 1], number));
    whole.append(verdict, ...texts);
    return whole;
  }

  get #scale() {
    return this.querySelector("[data-strengths]");
  }

  get #badBox() {
    return this.querySelector("[data-both-bad]");
  }

  #id(step) {
    return this.task.candidates[step < 0 ? 0 : 1].id;
  }

  #stepOf(answer) {
    const size = STRENGTHS.indexOf(answer?.strength);
    if (size < 1) return size === 0 ? 0 : null;
    const at = this.task.candidates.findIndex((candidate) => candidate.id === answer.preferred);
    return at < 0 ? null : at === 0 ? -size : size;
  }

  #remember() {
    this.#past.push({ step: this.#step, bothBad: this.#bothBad });
  }

  #repaint() {
    this.#paint();
    this.changed();
  }

  #paint() {
    this.#badBox.checked = this.#bothBad;
    paintScale(this.#scale, this.#cards, this.#step);
  }
}

customElements.define("compare-board", CompareBoard);
