/** `<review-board>`: the labels of one task in words, a verdict for each, and the reason where one goes back. */
import { fill, gettext, ngettext } from "../js/words.js";
import { numberedAnswer, show } from "./answer_card.js";
import { Kind, copyOf } from "./kind.js";
import { labelParts } from "./label_parts.js";
import { reading } from "./reading.js";

const VERDICTS = {
  accept: () => gettext("accepted"),
  send_back: () => gettext("sent back"),
};

export class ReviewBoard extends Kind {
  /** By label's id: `{verdict, reason}`, either may lack. */
  #decisions = {};
  #cards = [];
  #at = 0;
  #past = [];

  build(task) {
    const answers = task.candidates.map((candidate, at) => {
      const card = document.createElement("div");
      card.className = "card answer";
      card.tabIndex = -1;
      card.append(numberedAnswer(candidate, at + 1));
      return card;
    });
    this.querySelector("[data-answers]").append(...answers);
    this.#cards = task.labels.map((label, at) => this.#card(label, at));
    this.querySelector("[data-labels]").append(...this.#cards);
    this.querySelector("[data-none]").hidden = this.#cards.length > 0;
    this.#paintDiffer(task.differ);
    this.#paint();
  }

  get hint() {
    const form = ngettext("Review %(n)s label.", "Review %(n)s labels.", this.#cards.length);
    return fill(form, { n: this.#cards.length });
  }

  get heading() {
    return gettext("Your verdicts");
  }

  get answer() {
    const said = this.task.labels.map(({ id }) => [id, this.#decision(id)]);
    const decided = said.filter(([, { verdict, reason }]) => verdict || reason);
    return this.commented({ decisions: Object.fromEntries(decided) });
  }

  /** Of a label that was revised since, the reason stays with its newer version, and the verdict is asked anew. */
  set answer(answer) {
    const given = answer?.decisions ?? {};
    this.#decisions = {};
    for (const { id, earlier } of this.task.labels) {
      const { verdict, reason } = given[id] ?? { reason: given[earlier]?.reason };
      this.#decisions[id] = { ...(verdict in VERDICTS ? { verdict } : {}), ...(reason ? { reason } : {}) };
    }
    this.keepComment(answer);
    this.#past = [];
    this.#at = Math.max(0, this.#undecided());
    this.#paint();
  }

  get lack() {
    const left = this.task.labels.filter(({ id }) => !this.#decisions[id]?.verdict).length;
    if (left) {
      return fill(ngettext("%(n)s label is still to decide.", "%(n)s labels are still to decide.", left), { n: left });
    }
    const silent = this.task.labels.find(({ id }) => this.#lacksReason(id));
    return silent ? fill(gettext("Say why label %(name)s goes back: its author reads it."), silent) : null;
  }

  get empty() {
    return !this.comment && !Object.values(this.#decisions).some(({ verdict, reason }) => verdict || reason);
  }

  begin() {
    this.#cards[this.#at]?.focus({ preventScroll: true });
  }

  pointOut() {
    const undecided = this.#undecided();
    this.#go(undecided < 0 ? this.task.labels.findIndex(({ id }) => this.#lacksReason(id)) : undecided);
    if (undecided < 0) this.#reason(this.#at).focus();
  }

  key(name) {
    if (/^[1-9]$/.test(name)) return () => this.#lookAt(Number(name));
    if (name === "u") return this.#past.length ? () => this.undo() : null;
    if (!this.#cards.length) return null;
    return {
      ArrowUp: () => this.#go(this.#at - 1),
      ArrowDown: () => this.#go(this.#at + 1),
      a: () => this.#decide(this.#at, "accept", true),
      x: () => this.#decide(this.#at, "send_back", true),
      c: () => this.#reason(this.#at).focus(),
    }[name];
  }

  undo() {
    if (!this.#past.length) return;
    const { at, decision } = this.#past.pop();
    this.#decisions[this.task.labels[at].id] = decision;
    this.#repaint();
    this.#go(at);
    this.say(fill(gettext("Undone: %(now)s."), { now: this.#words(at, decision) }));
  }

  describe(answer) {
    const said = Object.entries(answer?.decisions ?? {}).map(([id, decision]) => {
      const at = this.task.labels.findIndex((label) => String(label.id) === id);
      return at < 0 ? null : this.#words(at, decision) + (decision.reason ? `: ${decision.reason}` : "");
    });
    const lines = said.filter(Boolean);
    if (answer?.comment) lines.push(`“${answer.comment}”`);
    return lines.join("\n") || gettext("(nothing decided)");
  }

  review() {
    const whole = document.createElement("div");
    whole.className = "reviewed";
    for (const at of this.#cards.keys()) {
      const { verdict, reason } = this.#decision(this.task.labels[at].id);
      const line = document.createElement("p");
      const words = document.createElement("b");
      words.textContent = this.#words(at, { verdict });
      line.append(words);
      if (reason) {
        const why = document.createElement("span");
        why.className = "why";
        why.dir = "auto";
        why.textContent = reason;
        line.append(why);
      }
      whole.append(line);
    }
    return whole;
  }

  #decision(id) {
    return this.#decisions[id] ?? {};
  }

  #lacksReason(id) {
    const { verdict, reason } = this.#decision(id);
    return verdict === "send_back" && !reason?.trim();
  }

  #undecided() {
    return this.task.labels.findIndex(({ id }) => !this.#decisions[id]?.verdict);
  }

  #words(at, { verdict }) {
    const words = verdict ? VERDICTS[verdict]() : gettext("not decided");
    return fill(gettext("Label %(name)s: %(words)s"), { name: this.task.labels[at].name, words });
  }

  #reason(at) {
    return this.#cards[at].querySelector("textarea");
  }

  #card(label, at) {
    const card = copyOf("judged-label");
    const name = fill(gettext("Label %(name)s"), label);
    card.dataset.id = label.id;
    card.setAttribute("aria-label", name);
    card.querySelector("h3").textContent = name;
    card.querySelector("legend").textContent = fill(gettext("Verdict on label %(name)s"), label);
    card.querySelector(".parts").append(...labelParts(label));
    if (label.appeal !== undefined) this.#dispute(card.querySelector(".dispute"), label);
    for (const input of card.querySelectorAll("[type=radio]")) {
      input.name = `verdict-${label.id}`;
      input.addEventListener("change", () => this.#decide(at, input.value));
    }
    card.addEventListener("focusin", () => this.#stand(at));
    card.addEventListener("click", () => this.#stand(at));
    const reason = card.querySelector("textarea");
    reason.addEventListener("input", () => {
      this.#decisions[label.id] = { ...this.#decision(label.id), reason: reason.value };
      this.#paint();
      this.changed();
    });
    return card;
  }

  #dispute(box, { sent_back: reason, appeal }) {
    box.hidden = false;
    for (const [title, text] of [
      [gettext("Why it was sent back"), reason],
      [gettext("Its author appeals"), appeal],
    ]) {
      const line = document.createElement("h4");
      line.className = "label";
      line.textContent = title;
      const words = document.createElement("div");
      reading(words, { text });
      box.append(line, words);
    }
    const end = document.createElement("p");
    end.className = "soft small";
    end.textContent = gettext("Your verdict is final.");
    box.append(end);
  }

  #decide(at, verdict, byKey = false) {
    const { id } = this.task.labels[at];
    this.#past.push({ at, decision: this.#decision(id) });
    this.#decisions[id] = { ...this.#decision(id), verdict };
    this.say(`${this.#words(at, { verdict })}.`);
    this.#repaint();
    if (verdict === "send_back" && !this.#decision(id).reason) this.#reason(at).focus();
    else if (byKey && verdict === "accept" && this.#undecided() >= 0) this.#go(this.#undecided());
  }

  #stand(at) {
    if (this.#at === at) return;
    this.#at = at;
    this.#paint();
  }

  #go(at) {
    if (!this.#cards[at]) return;
    this.#stand(at);
    this.#cards[at].focus({ preventScroll: true });
    show(this.#cards[at]);
  }

  #lookAt(number) {
    const card = this.querySelectorAll("[data-answers] > .card")[number - 1];
    if (!card) return;
    show(card);
    card.classList.add("looked-at");
    setTimeout(() => card.classList.remove("looked-at"), 1500);
  }

  #repaint() {
    this.#paint();
    this.changed();
  }

  #paint() {
    for (const [at, card] of this.#cards.entries()) {
      const { verdict, reason = "" } = this.#decision(this.task.labels[at].id);
      card.classList.toggle("current", at === this.#at && this.#cards.length > 1);
      for (const input of card.querySelectorAll("[type=radio]")) input.checked = input.value === verdict;
      const tag = card.querySelector("[data-verdict]");
      tag.textContent = verdict ? VERDICTS[verdict]() : "";
      tag.className = `tag ${{ accept: "good", send_back: "warn" }[verdict] ?? ""}`;
      card.querySelector("[data-reason-label]").textContent =
        verdict === "send_back" ? gettext("Reason, for its author") : gettext("Reason, if you like");
      const { appeal } = this.task.labels[at];
      card.querySelector(".field").hidden = verdict !== "send_back" && appeal === undefined && !reason;
      const text = card.querySelector("textarea");
      if (text.value !== reason) text.value = reason;
    }
    const done = this.task.labels.filter(({ id }) => this.#decisions[id]?.verdict).length;
    const form = gettext("%(done)s of %(all)s decided");
    this.querySelector("[data-progress]").textContent = fill(form, { done, all: this.#cards.length });
  }

  #paintDiffer({ pairs, values }) {
    const over = (first, second, names) =>
      names.length ? `${fill(gettext("%(a)s over %(b)s"), { a: first, b: second })}: ${names.join(", ")}` : null;
    const lines = pairs.map(({ pair: [a, b], first, second, tie }) =>
      [over(a, b, first), over(b, a, second), tie.length ? `${gettext("tie")}: ${tie.join(", ")}` : null]
        .filter(Boolean)
        .join(" · "),
    );
    for (const { about, criterion, values: said } of values) {
      lines.push(`${about}, ${criterion}: ${said.map(([name, value]) => `${name} ${value}`).join(" · ")}`);
    }
    const box = this.querySelector("[data-differ]");
    box.hidden = !lines.length;
    box.querySelector("ul").append(
      ...lines.map((text) => {
        const line = document.createElement("li");
        line.textContent = text;
        return line;
      }),
    );
  }
}

customElements.define("review-board", ReviewBoard);
