/**
 * `<rate-sheet>`: each answer on the version's scales and flags, the prompt on its own, then, where there are
 * several answers, their ranking: one walk of stops over the texts of one `<rank-board>`, which never move.
 */
import { fill, gettext, ngettext } from "../js/words.js";
import { numberedAnswer } from "./answer_card.js";
import { criterionControl, fitting, inWords, inputOf, labelOf, showValue } from "./criteria.js";
import { Kind } from "./kind.js";
import "./rank.js";

const PROMPT = "prompt";
const RANK = "rank";

export class RateSheet extends Kind {
  /** Values by candidate id, and those of the prompt under `PROMPT`. */
  #values = new Map();
  #past = [];
  #stop;
  #at = 0;
  #board;
  #controls = { completion: [], prompt: [] };

  build(task) {
    const side = this.querySelector(".side");
    this.#board = document.createElement("rank-board");
    this.replaceChildren(this.#board);
    this.#board.task = task;
    // The rail of tiers takes turns with the criteria beside the same texts.
    side.append(this.#board.querySelector(".rail"));
    this.#board.append(side);
    this.#board.addEventListener("change", () => this.#repaint());
    this.#board.addEventListener("say", ({ detail }) => this.say(detail));
    this.#board.addEventListener("pick", ({ detail }) => this.#picked(detail));
    this.addEventListener("click", (event) => this.#clicked(event));
    this.addEventListener("focusin", (event) => this.#focused(event));
    for (const scope of ["completion", "prompt"]) this.#dress(scope);
    this.querySelector(".stops").append(...this.#stops.map((stop) => this.#stopButton(stop)));
    this.goTo(this.#stops[0], { quietly: true });
  }

  get hint() {
    const n = this.task.candidates.length;
    return fill(ngettext("Rate %(n)s answer.", "Rate %(n)s answers, then rank them.", n), { n });
  }

  get heading() {
    return gettext("Your rating");
  }

  get answer() {
    const ratings = Object.fromEntries(this.#ids.map((id) => [id, this.#values.get(id)]));
    const tiers = this.#ranks ? { tiers: this.#board.answer.tiers } : {};
    return this.commented({ ratings, prompt: this.#values.get(PROMPT), ...tiers });
  }

  set answer(answer) {
    for (const id of this.#ids) this.#values.set(id, this.#mended(id, answer?.ratings?.[id]));
    this.#values.set(PROMPT, this.#mended(PROMPT, answer?.prompt));
    this.#board.answer = { tiers: answer?.tiers };
    this.keepComment(answer);
    this.#past = [];
    this.goTo(this.#firstOpen ?? this.#stops[0], { quietly: true });
  }

  get lack() {
    const open = this.#ids.filter((id) => !this.#isDone(id)).length;
    if (open) {
      const text = ngettext("%(n)s answer is still to rate.", "%(n)s answers are still to rate.", open);
      return fill(text, { n: open });
    }
    if (!this.#isDone(PROMPT)) return gettext("The prompt is still to rate.");
    return this.#ranks ? this.#board.lack : null;
  }

  get empty() {
    const none = [...this.#values.values()].every((values) => !Object.keys(values).length);
    return none && this.#board.empty && !this.comment;
  }

  get doubt() {
    return this.#ranks && this.#board.doubt;
  }

  pointOut() {
    const open = this.#firstOpen;
    if (open === undefined) return;
    this.goTo(open);
    if (open === RANK) this.#board.pointOut();
    else this.#focus();
  }

  key(name) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[name];
    if (step) return () => this.walk(step);
    // On to what is still to do; with nothing left the page reviews.
    if (name === "Enter") return this.lack && this.#isDone(this.#stop) ? () => this.onward() : null;
    if (this.#stop === RANK) return this.#board.key(name);
    if (name === "u") return this.#past.length ? () => this.undo() : null;
    const turn = { ArrowUp: -1, ArrowDown: 1 }[name];
    if (turn) return this.#criteria.length ? () => this.#turn(turn) : null;
    const current = this.#criteria[this.#at];
    if (name === " ") return current?.type === "flag" && !this.#onControl ? () => this.#toggle(current) : null;
    if (!/^[0-9]$/.test(name)) return null;
    const scale = this.#scaleInHand;
    // On a scale from 1 to 10 the key 0 stands for 10.
    const value = scale && [Number(name), name === "0" ? 10 : null].find((one) => fitting(scale, one) !== undefined);
    return Number.isInteger(value) ? () => this.#set(scale, value) : null;
  }

  /** To the stop before or after this one. */
  walk(step) {
    const next = this.#stops[this.#stops.indexOf(this.#stop) + step];
    if (next === undefined) {
      this.say(gettext("It cannot go further."));
      return;
    }
    this.goTo(next);
    if (next !== RANK) this.#focus();
  }

  /** To the next stop where something is still to do. */
  onward() {
    const from = this.#stops.indexOf(this.#stop);
    const ahead = [...this.#stops.slice(from + 1), ...this.#stops.slice(0, from)];
    const next = ahead.find((stop) => !this.#isDone(stop));
    if (next === undefined) return;
    this.goTo(next);
    if (next === RANK) this.#board.pointOut();
    else this.#focus();
  }

  goTo(stop, { quietly = false } = {}) {
    const moved = stop !== this.#stop;
    this.#stop = stop;
    this.dataset.stop = [PROMPT, RANK].includes(stop) ? stop : "answer";
    const required = this.#criteria.findIndex((criterion) => this.#isOpen(criterion));
    if (moved) this.#at = Math.max(0, required);
    this.#board.pick(this.#ids.includes(stop) ? stop : null, { quietly: true });
    if (stop === PROMPT && !quietly) this.querySelector(".prompt").scrollIntoView({ block: "nearest" });
    this.#paint();
    const [strip, here] = [this.querySelector(".stops"), this.querySelector(".stops [aria-current]")];
    strip.scrollLeft = here.offsetLeft + here.offsetWidth / 2 - strip.clientWidth / 2;
    if (!quietly) this.say(this.#stopWords(stop));
  }

  undo() {
    if (this.#stop === RANK) {
      this.#board.undo();
      return;
    }
    const last = this.#past.pop();
    if (!last) return;
    this.#values.set(last.stop, last.values);
    if (last.stop !== this.#stop) this.goTo(last.stop, { quietly: true });
    this.say(fill(gettext("Undone. %(where)s"), { where: this.#stopWords(last.stop) }));
    this.#repaint();
  }

  misfits(answer) {
    const said = (stop, values, where) => {
      const fits = this.#mended(stop, values);
      const lost = Object.entries(values ?? {}).filter(([key, value]) => value !== false && !(key in fits));
      return lost.map(([key, value]) => `${where}: ${key} ${value === true ? "✓" : value}`);
    };
    const answers = this.#ids.flatMap((id) => said(id, answer?.ratings?.[id], String(this.#number(id))));
    return [...answers, ...said(PROMPT, answer?.prompt, gettext("Prompt"))];
  }

  describe(answer) {
    const lines = this.#ids.map((id) => {
      const words = inWords(this.#criteriaOf(id), this.#mended(id, answer?.ratings?.[id]));
      return `${this.#number(id)}: ${words || gettext("to rate")}`;
    });
    const prompt = inWords(this.#criteriaOf(PROMPT), this.#mended(PROMPT, answer?.prompt));
    if (prompt) lines.push(`${gettext("Prompt")}: ${prompt}`);
    if (this.#ranks) lines.push(this.#board.describe({ tiers: answer?.tiers }));
    if (answer?.comment) lines.push(`“${answer.comment}”`);
    return lines.join("\n");
  }

  review() {
    const whole = document.createElement("div");
    whole.className = "reviewed";
    const prompt = inWords(this.#criteriaOf(PROMPT), this.#values.get(PROMPT));
    if (prompt) {
      const line = document.createElement("p");
      line.className = "small";
      line.textContent = `${gettext("Prompt")}: ${prompt}`;
      whole.append(line);
    }
    const [only] = this.task.candidates;
    whole.append(this.#ranks ? this.#board.review() : numberedAnswer(only, 1, this.#inWords(only.id)));
    return whole;
  }

  get #ids() {
    return this.task.candidates.map((candidate) => candidate.id);
  }

  get #ranks() {
    return this.#ids.length > 1;
  }

  get #stops() {
    const prompt = this.#criteriaOf(PROMPT).length ? [PROMPT] : [];
    return [...this.#ids, ...prompt, ...(this.#ranks ? [RANK] : [])];
  }

  get #firstOpen() {
    return this.#stops.find((stop) => !this.#isDone(stop));
  }

  #criteriaOf(stop) {
    const scope = stop === PROMPT ? "prompt" : "completion";
    return stop === RANK ? [] : this.task.criteria.filter((criterion) => criterion.scope === scope);
  }

  get #criteria() {
    return this.#criteriaOf(this.#stop);
  }

  get #panel() {
    return this.#controls[this.#stop === PROMPT ? "prompt" : "completion"];
  }

  /** The scale that a digit sets: the one under the hands, or the only one. */
  get #scaleInHand() {
    const current = this.#criteria[this.#at];
    if (current?.type === "scale") return current;
    const scales = this.#criteria.filter((criterion) => criterion.type === "scale");
    return scales.length === 1 ? scales[0] : null;
  }

  get #onControl() {
    return Boolean(document.activeElement?.closest("button, input, a, summary"));
  }

  #number(id) {
    return this.#ids.indexOf(id) + 1;
  }

  #isOpen(criterion, stop = this.#stop) {
    const value = this.#values.get(stop)?.[criterion.key];
    return criterion.required && value === undefined;
  }

  #isDone(stop) {
    if (stop === RANK) return this.#board.lack === null;
    return !this.#criteriaOf(stop).some((criterion) => this.#isOpen(criterion, stop));
  }

  /** Only known criteria with values that fit: what an old draft is trusted with. */
  #mended(stop, values) {
    const pairs = this.#criteriaOf(stop).map((one) => [one.key, fitting(one, values?.[one.key])]);
    return Object.fromEntries(pairs.filter(([, value]) => value !== undefined));
  }

  #inWords(id) {
    return inWords(this.#criteriaOf(id), this.#values.get(id));
  }

  #stopWords(stop) {
    if (stop === RANK) return gettext("Now rank the answers, best first.");
    if (stop === PROMPT) return gettext("The prompt.");
    const values = { n: this.#number(stop), of: this.#ids.length, rated: this.#inWords(stop) || gettext("to rate") };
    return fill(gettext("Answer %(n)s of %(of)s: %(rated)s."), values);
  }

  #dress(scope) {
    const criteria = this.task.criteria.filter((criterion) => criterion.scope === scope);
    const panel = this.querySelector(`[data-scope=${scope}]`);
    this.#controls[scope] = criteria.map((one) => criterionControl(one, (value) => this.#set(one, value)));
    panel.append(...this.#controls[scope]);
    if (scope === "completion") for (const id of this.#ids) this.#values.set(id, {});
    else this.#values.set(PROMPT, {});
  }

  #stopButton(stop) {
    const button = document.createElement("button");
    button.type = "button";
    button.dataset.to = stop;
    button.textContent = { [PROMPT]: gettext("Prompt"), [RANK]: gettext("Rank") }[stop] ?? this.#number(stop);
    return button;
  }

  #set(criterion, value) {
    const before = this.#values.get(this.#stop);
    this.#past.push({ stop: this.#stop, values: before });
    const { [criterion.key]: _, ...others } = before;
    this.#values.set(this.#stop, value === false ? others : { ...others, [criterion.key]: value });
    this.#at = this.#criteria.indexOf(criterion);
    const said = criterion.type === "flag" ? (value ? gettext("yes") : gettext("no")) : value;
    const words = fill(gettext("%(label)s: %(value)s."), { label: labelOf(criterion), value: said });
    this.say(this.lack ? words : `${words} ${gettext("All is rated.")}`);
    this.#repaint();
  }

  #toggle(criterion) {
    this.#set(criterion, !this.#values.get(this.#stop)[criterion.key]);
  }

  #turn(step) {
    const n = this.#criteria.length;
    this.#at = (this.#at + step + n) % n;
    this.#focus();
    this.#paint();
  }

  #focus() {
    const control = this.#panel[this.#at];
    if (!control) return;
    const input = inputOf(control);
    input.focus({ preventScroll: true });
    control.scrollIntoView({ block: "nearest" });
  }

  #focused({ target }) {
    const at = this.#panel.findIndex((control) => control.contains(target));
    if (at < 0 || at === this.#at) return;
    this.#at = at;
    this.#paint();
  }

  /** A card or number that was pressed: while rating it is the answer to rate. */
  #picked(id) {
    if (id === null || this.#stop === RANK || id === this.#stop) return;
    this.goTo(id);
  }

  #clicked({ target }) {
    const button = target.closest("[data-to]");
    if (button) {
      this.goTo(stopOf(button));
    } else if (target.closest("[data-onward]")) {
      if (this.lack) this.onward();
      else this.dispatchEvent(new CustomEvent("ready"));
    }
  }

  #repaint() {
    this.#paint();
    this.changed();
  }

  #paint() {
    const values = this.#values.get(this.#stop) ?? {};
    for (const [at, control] of this.#panel.entries()) {
      showValue(control, values[control.dataset.key]);
      control.classList.toggle("current", at === this.#at && this.#stop !== RANK);
    }
    this.querySelector("[data-scope=completion]").hidden = this.#stop === PROMPT;
    this.querySelector("[data-scope=prompt]").hidden = this.#stop !== PROMPT;
    this.querySelector(".criteria").hidden = this.#stop === RANK;
    this.querySelector(".rail").hidden = this.#stop !== RANK;
    this.querySelector("[data-of]").textContent =
      this.#stop === PROMPT ? gettext("The prompt") : fill(gettext("Answer %(n)s"), { n: this.#number(this.#stop) });
    const rated = this.#ids.filter((id) => this.#isDone(id)).length;
    const progress = { n: rated, of: this.#ids.length };
    this.querySelector("[data-progress]").textContent = fill(gettext("%(n)s of %(of)s answers rated"), progress);
    this.querySelector(".prompt").classList.toggle("picked", this.#stop === PROMPT);
    for (const id of this.#ids) this.#board.note(id, this.#short(id), this.#inWords(id));
    for (const button of this.querySelectorAll(".stops button")) this.#paintStop(button);
    this.#paintOnward();
  }

  /** In a card there is room for the numbers; the words are in the review. */
  #short(id) {
    const values = this.#values.get(id);
    const scales = this.#criteriaOf(id).filter((one) => one.type === "scale" && values[one.key] !== undefined);
    const flags = this.#criteriaOf(id).filter((one) => one.type === "flag" && values[one.key]).length;
    const said = scales.map((one) => `${values[one.key]}/${one.max}`);
    if (flags) said.push(fill(ngettext("%(n)s flag", "%(n)s flags", flags), { n: flags }));
    return said.join(" · ");
  }

  #paintStop(button) {
    const stop = stopOf(button);
    if (stop === this.#stop) button.setAttribute("aria-current", "step");
    else button.removeAttribute("aria-current");
    const done = this.#isDone(stop) && (stop !== PROMPT || Object.keys(this.#values.get(PROMPT)).length > 0);
    button.classList.toggle("done", done);
    if (!this.#ids.includes(stop)) return;
    const label = this.#isDone(stop) ? gettext("Answer %(n)s, rated") : gettext("Answer %(n)s, to rate");
    button.setAttribute("aria-label", fill(label, { n: this.#number(stop) }));
  }

  #paintOnward() {
    const button = this.querySelector("[data-onward]");
    const open = this.#firstOpen;
    button.textContent =
      open === undefined
        ? gettext("Review")
        : open === RANK
          ? gettext("Rank the answers")
          : gettext("Next answer");
    button.setAttribute("aria-disabled", String(open === this.#stop));
  }
}

const stopOf = ({ dataset: { to } }) => ([PROMPT, RANK].includes(to) ? to : Number(to));

customElements.define("rate-sheet", RateSheet);
