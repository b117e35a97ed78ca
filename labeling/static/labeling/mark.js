/** `<mark-sheet>`: one answer letter for letter; its passages are marked, each for a criterion of the guideline. */
import { fill, gettext, ngettext } from "../js/words.js";
import { Kind, copyOf } from "./kind.js";
import { MarkList, markLines } from "./mark_list.js";
import { MarkedText } from "./marked_text.js";
import { CodePoints, inOrder, lanesOf, marksIn, shortened, trimmed, wordAt, wordsOf } from "./passages.js";

const TINTS = 6;
const LONGEST_QUOTE = 90;
const LONGEST_SAID = 160;

export class MarkSheet extends Kind {
  /** `{start, end, criterion, comment}` in UTF-16 units, in order; only a comment ever changes. */
  #marks = [];
  #current = null;
  /** The words that the cursor began at and stands on; the passage they span, or that was selected by hand. */
  #anchor = -1;
  #head = -1;
  #chosen = null;
  /** Where up and down aim at. */
  #aim = null;
  #past = [];
  #criteria;
  #list;
  #text;
  #points;
  #words;

  build(task) {
    this.#criteria = task.criteria.filter(({ type }) => type === "span");
    const text = task.candidates[0].text;
    this.#points = new CodePoints(text);
    this.#words = wordsOf(text);
    const element = this.querySelector("[data-marked]");
    this.#text = new MarkedText(element, text);
    this.querySelector("[data-criteria]").append(...this.#criteria.map((_, at) => this.#chip(at)));
    this.querySelector("[data-nothing]").hidden = this.#criteria.length > 0;
    this.#list = new MarkList(this.querySelector(".rail .marks"), {
      inWords: (mark) => this.#inWords(mark, LONGEST_QUOTE),
      open: (mark) => this.#goToMark(mark),
      takeAway: (mark) => this.takeAway(mark),
      commented: () => this.changed(),
    });
    element.addEventListener("pointerdown", (event) => event.shiftKey || this.#letGo());
    element.addEventListener("click", (event) => this.#clicked(event));
    const steps = { "[data-less]": -1, "[data-more]": 1 };
    for (const [name, step] of Object.entries(steps)) {
      this.querySelector(name).addEventListener("click", () => this.move(step, { extend: true }));
    }
    // A button pressed with the mouse must not take the selection away.
    this.querySelector(".palette").addEventListener("pointerdown", (event) => {
      if (event.pointerType === "mouse") event.preventDefault();
    });
    this.#paint();
  }

  connectedCallback() {
    this.selecting = () => this.#selected();
    document.addEventListener("selectionchange", this.selecting);
  }

  disconnectedCallback() {
    document.removeEventListener("selectionchange", this.selecting);
  }

  get hint() {
    return gettext("Mark passages of the answer.");
  }

  get heading() {
    return this.doubt ? gettext("Nothing to mark?") : gettext("Your marks");
  }

  get answer() {
    const marks = this.#marks.map(({ start, end, criterion, comment }) => ({
      start: this.#points.of(start),
      end: this.#points.of(end),
      criterion,
      ...(comment.trim() ? { comment } : {}),
    }));
    return this.commented({ marks });
  }

  set answer(answer) {
    this.#marks = this.#read(answer);
    this.keepComment(answer);
    this.#past = [];
    this.#current = null;
    this.#paint();
  }

  misfits(answer) {
    const known = new Set(this.#criteria.map(({ key }) => key));
    return marksIn(answer, this.#points, this.#text.text.length)
      .filter(({ criterion }) => !known.has(criterion))
      .map((mark) => `“${this.#quote(mark, LONGEST_QUOTE)}”: ${mark.criterion}${mark.comment ? ` · ${mark.comment}` : ""}`);
  }

  get lack() {
    return null;
  }

  get empty() {
    return !this.#marks.length && !this.comment;
  }

  /** An answer without a mark is a statement of its own. */
  get doubt() {
    return !this.#marks.length;
  }

  pointOut() {
    this.#text.element.focus({ preventScroll: true });
  }

  key(name, event) {
    const extend = Boolean(event?.shiftKey);
    const act = {
      ArrowLeft: () => this.move(-1, { extend }),
      ArrowRight: () => this.move(1, { extend }),
      ArrowUp: () => this.moveLine(-1, { extend }),
      ArrowDown: () => this.moveLine(1, { extend }),
      "[": () => this.step(-1),
      "]": () => this.step(1),
    }[name];
    if (act) return act;
    if (name === "u") return this.#past.length ? () => this.undo() : null;
    if (name === "c") return this.#current ? () => this.#list.comment(this.#current) : null;
    if (name === "Delete") return this.#atHand ? () => this.takeAway(this.#atHand) : null;
    const criterion = /^[1-9]$/.test(name) && this.#criteria[Number(name) - 1];
    return criterion ? () => this.mark(criterion) : null;
  }

  /** Go `step` words on; with `extend` what lies between stays chosen. */
  move(step, { extend = false } = {}) {
    this.#aim = null;
    let to = this.#head < 0 ? 0 : this.#head + step;
    // A comma is taken on the way, and is no place to stop at.
    while (!extend && this.#words[to] && !this.#words[to].stop) to += step;
    this.#goTo(this.#words[to] ? to : this.#head, { extend });
  }

  /** To the word above or below, as the lines are drawn now. */
  moveLine(step, { extend = false } = {}) {
    if (this.#head < 0) {
      this.move(1);
      return;
    }
    const from = this.#text.boxOf(this.#words[this.#head]);
    this.#aim ??= from.left + from.width / 2;
    const words = this.#words.map((word) => (extend || word.stop ? word : null));
    this.#goTo(this.#text.beyond({ words, at: this.#head, from, step, x: this.#aim }), { extend });
  }

  mark(criterion) {
    // The browser tells of a selection a moment after it is made.
    this.#selected();
    if (!this.#chosen) {
      this.say(gettext("Choose a passage first: arrows go by word, Shift with arrows takes more."));
      return;
    }
    const { start, end } = this.#chosen;
    const alike = (one) => one.start === start && one.end === end && one.criterion === criterion.key;
    const there = this.#marks.find(alike);
    if (there) {
      this.say(gettext("It is marked so already."));
    } else {
      this.#remember();
      this.#marks = [...this.#marks, { start, end, criterion: criterion.key, comment: "" }].sort(inOrder);
      const words = { label: criterion.label, quote: this.#quote(this.#chosen, LONGEST_SAID) };
      this.say(fill(gettext("%(label)s: “%(quote)s”. %(count)s."), { ...words, count: this.#count }));
    }
    this.#current = this.#marks.find(alike);
    getSelection().removeAllRanges();
    this.#paint();
    if (!there) this.changed();
  }

  takeAway(mark) {
    const focused = this.#list.holdsFocus(mark);
    const at = this.#marks.indexOf(mark);
    this.#remember();
    this.#marks = this.#marks.filter((one) => one !== mark);
    if (this.#current === mark) this.#current = this.#marks[at] ?? this.#marks[at - 1] ?? null;
    this.#paint();
    if (focused && this.#current) this.#list.focus(this.#current);
    else if (focused) this.pointOut();
    this.say(fill(gettext("Taken away. %(count)s."), { count: this.#count }));
    this.changed();
  }

  /** To the next mark, or the one before. */
  step(by) {
    if (!this.#marks.length) {
      this.say(gettext("Nothing is marked yet."));
      return;
    }
    const from = this.#head < 0 ? -1 : this.#words[this.#head].start;
    const after = this.#marks.findIndex(({ start }) => start > from);
    const near = by > 0 ? after : after < 0 ? this.#marks.length - 1 : after - 1;
    const at = this.#current ? this.#marks.indexOf(this.#current) + by : near;
    const mark = this.#marks[Math.min(this.#marks.length - 1, Math.max(0, at))];
    this.#goToMark(mark);
    this.#list.focus(mark);
    this.say(this.#sentence(mark));
  }

  undo() {
    if (!this.#past.length) return;
    ({ marks: this.#marks, current: this.#current } = this.#past.pop());
    this.#paint();
    this.say(fill(gettext("Undone. %(count)s."), { count: this.#count }));
    this.changed();
  }

  describe(answer) {
    const lines = this.#read(answer).map((mark) => {
      const words = `“${this.#quote(mark, LONGEST_QUOTE)}”: ${this.#labelOf(mark)}`;
      return mark.comment ? `${words} · ${mark.comment}` : words;
    });
    if (!lines.length) lines.push(gettext("(nothing marked)"));
    if (answer?.comment) lines.push(`“${answer.comment}”`);
    return lines.join("\n");
  }

  review() {
    const whole = document.createElement("div");
    whole.className = "reviewed";
    const words = document.createElement("p");
    words.className = this.doubt ? "" : "soft small";
    words.textContent = this.doubt
      ? gettext("You marked nothing: it is sent as an answer in which there is nothing to mark.")
      : this.#count;
    whole.append(words);
    if (!this.doubt) whole.append(markLines(this.#marks, (mark) => this.#inWords(mark, LONGEST_SAID)));
    return whole;
  }

  get #count() {
    const n = this.#marks.length;
    return fill(ngettext("%(n)s mark", "%(n)s marks", n), { n });
  }

  /** The mark that Delete takes: the one stepped to, else the shortest under the cursor. */
  get #atHand() {
    if (this.#current) return this.#current;
    return this.#under.sort((one, other) => one.end - one.start - (other.end - other.start))[0] ?? null;
  }

  /** The marks under what is chosen. */
  get #under() {
    const chosen = this.#chosen;
    return chosen ? this.#marks.filter(({ start, end }) => start < chosen.end && end > chosen.start) : [];
  }

  #goTo(at, { extend }) {
    if (!this.#words[at]) return;
    this.#head = at;
    if (!extend || this.#anchor < 0) this.#anchor = at;
    const [first, last] = [Math.min(this.#anchor, at), Math.max(this.#anchor, at)];
    this.#chosen = { start: this.#words[first].start, end: this.#words[last].end };
    this.#current = null;
    getSelection().removeAllRanges();
    this.#paint();
    this.#show(this.#words[at]);
    const under = [...new Set(this.#under.map((mark) => this.#labelOf(mark)))].join(", ");
    const quote = this.#quote(this.#chosen, LONGEST_SAID);
    this.say(under ? fill(gettext("%(quote)s, marked: %(labels)s"), { quote, labels: under }) : quote);
  }

  #goToMark(mark) {
    this.#current = mark;
    this.#chosen = { start: mark.start, end: mark.end };
    this.#anchor = wordAt(this.#words, mark.start);
    this.#head = wordAt(this.#words, mark.end - 1);
    this.#aim = null;
    this.#paint();
    this.#show(mark);
    this.#list.show(mark);
  }

  #show(passage) {
    const { bottom } = document.querySelector(".bar")?.getBoundingClientRect() ?? { bottom: 0 };
    const palette = this.querySelector(".palette").getBoundingClientRect();
    const foot = document.querySelector(".foot").getBoundingClientRect();
    // On a phone the criteria stand above the footer.
    const covered = palette.width > innerWidth * 0.8 ? palette.height + foot.height : foot.height;
    this.#text.show(passage, { above: Math.max(0, bottom) + 24, below: covered + 24 });
  }

  /** What a person selected with mouse or finger. */
  #selected() {
    const selection = getSelection();
    if (!selection.rangeCount || selection.isCollapsed) return;
    const range = selection.getRangeAt(0);
    if (!this.#text.element.contains(range.commonAncestorContainer)) return;
    const start = this.#text.unitAt(range.startContainer, range.startOffset);
    const end = this.#text.unitAt(range.endContainer, range.endOffset);
    const passage = start === null || end === null ? null : trimmed(this.#text.text, { start, end });
    if (!passage) return;
    this.#chosen = passage;
    this.#current = null;
    this.#anchor = Math.max(0, wordAt(this.#words, passage.start));
    this.#head = Math.max(0, wordAt(this.#words, passage.end - 1));
    this.#paintPalette();
  }

  /** Before a new selection by hand. */
  #letGo() {
    this.#chosen = null;
    this.#current = null;
    this.#aim = null;
    this.#text.unchoose();
    this.#list.paint(this.#marks, null);
    this.#paintPalette();
  }

  /** The word under a click or tap, and the mark there. */
  #clicked({ clientX, clientY, shiftKey }) {
    if (!getSelection().isCollapsed) return;
    const unit = this.#text.unitUnder(clientX, clientY);
    const at = unit === null ? -1 : wordAt(this.#words, unit);
    if (at < 0) return;
    this.#goTo(at, { extend: shiftKey });
    const there = this.#under.sort((one, other) => one.end - one.start - (other.end - other.start))[0];
    if (there && !shiftKey) this.#goToMark(there);
  }

  #remember() {
    this.#past.push({ marks: this.#marks, current: this.#current });
  }

  /** The marks of an answer that fit the text and the criteria. */
  #read(answer) {
    const known = new Set(this.#criteria.map(({ key }) => key));
    return marksIn(answer, this.#points, this.#text.text.length).filter(({ criterion }) => known.has(criterion));
  }

  #quote({ start, end }, longest) {
    return shortened(this.#text.text.slice(start, end), longest);
  }

  #numberOf({ criterion }) {
    return this.#criteria.findIndex(({ key }) => key === criterion) + 1;
  }

  #labelOf(mark) {
    return this.#criteria[this.#numberOf(mark) - 1]?.label || mark.criterion;
  }

  #inWords(mark, longest) {
    const number = this.#numberOf(mark);
    return { number, tint: (number - 1) % TINTS, label: this.#labelOf(mark), quote: this.#quote(mark, longest) };
  }

  #sentence(mark) {
    const words = { n: this.#marks.indexOf(mark) + 1, of: this.#marks.length, label: this.#labelOf(mark) };
    const text = fill(gettext("Mark %(n)s of %(of)s: %(label)s, “%(quote)s”"), {
      ...words,
      quote: this.#quote(mark, LONGEST_SAID),
    });
    return mark.comment ? `${text}. ${mark.comment}` : text;
  }

  #chip(at) {
    const { label, help, key } = this.#criteria[at];
    const chip = copyOf("mark-criterion");
    chip.dataset.tint = at % TINTS;
    const badge = chip.querySelector("b");
    badge.textContent = at + 1;
    // Nine have a key of their own; the others are pressed.
    badge.classList.toggle("soft", at > 8);
    chip.querySelector("span").textContent = label || key;
    chip.title = help ?? "";
    chip.addEventListener("click", () => this.mark(this.#criteria[at]));
    return chip;
  }

  #paint() {
    const lanes = lanesOf(this.#marks);
    const passages = this.#marks.map((mark, at) => ({
      start: mark.start,
      end: mark.end,
      lane: lanes[at],
      number: this.#numberOf(mark),
      tint: (this.#numberOf(mark) - 1) % TINTS,
      current: mark === this.#current,
    }));
    // A selection by hand is drawn by the browser.
    const byHand = !getSelection().isCollapsed;
    if (this.#chosen && !byHand) passages.push({ ...this.#chosen, selected: true });
    this.#text.paint(passages);
    this.#list.paint(this.#marks, this.#current);
    this.querySelector("[data-count]").textContent = this.#marks.length ? this.#count : "";
    this.querySelector("[data-none]").hidden = this.#marks.length > 0;
    this.#paintPalette();
  }

  #paintPalette() {
    for (const chip of this.querySelectorAll("[data-criteria] button")) {
      chip.setAttribute("aria-disabled", String(!this.#chosen));
    }
    for (const step of this.querySelectorAll("[data-less], [data-more]")) {
      step.setAttribute("aria-disabled", String(!this.#chosen));
    }
  }
}

customElements.define("mark-sheet", MarkSheet);
