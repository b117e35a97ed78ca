/** `<rank-board>`: 2 to 9 answers put into tiers. The texts never move; the rail beside them does. */
import { fill, gettext, ngettext, ordinal } from "../js/words.js";
import { answerCard, numberedAnswer, show } from "./answer_card.js";
import { draggable } from "./drag.js";
import { Kind, copyOf } from "./kind.js";
import { down, mended, moved, same, tie, tierOf, up } from "./tiers.js";

const MOVES = { up, down, tie };
const LEAST_PLACED = 2;

export class RankBoard extends Kind {
  #tiers = [];
  #allBad = false;
  #past = [];
  #picked = null;
  #cards = new Map();
  #chips = new Map();
  #notes = new Map();

  build(task) {
    task.candidates.forEach((candidate, at) => this.#add(candidate, at + 1));
    this.querySelector(".answers").dataset.count = task.candidates.length;
    this.addEventListener("click", (event) => this.#clicked(event));
    this.#badBox.addEventListener("change", () => this.toggleAllBad());
    this.#badBox.closest("label").hidden = !this.#mayBeBad;
    draggable(this, {
      handle: ".chip, .key",
      placeAt: (x, y) => this.#placeAt(x, y),
      aim: (place) => this.#aim(place),
      drop: (id, place) => this.#drop(id, place),
    });
    this.#paint();
  }

  get hint() {
    return fill(gettext("Rank %(n)s answers."), { n: this.#ids.length });
  }

  get heading() {
    return gettext("Your ranking, best first");
  }

  get answer() {
    return this.commented({ tiers: this.#tiers, ...(this.#allBad ? { all_bad: true } : {}) });
  }

  set answer(answer) {
    this.#tiers = mended(answer?.tiers, this.#ids);
    this.#allBad = this.#mayBeBad && answer?.all_bad === true;
    this.keepComment(answer);
    this.#past = [];
    this.#paint();
  }

  get lack() {
    if (this.#allBad) return null;
    const [all, n] = [this.#ids.length, this.#unplaced.length];
    if (this.task.partial) {
      const enough = all - n >= Math.min(all, LEAST_PLACED);
      return enough ? null : gettext("Place at least two answers; the others may be left out.");
    }
    if (!n) return null;
    const text = ngettext("%(n)s answer is still to place.", "%(n)s answers are still to place.", n);
    return fill(text, { n });
  }

  get empty() {
    return !this.#tiers.length && !this.#allBad && !this.comment;
  }

  /** Some are left out, which may be an oversight. */
  get doubt() {
    return !this.#allBad && this.#unplaced.length > 0;
  }

  pointOut() {
    if (this.#unplaced.length) this.pick(this.#unplaced[0]);
  }

  key(name) {
    const number = /^[1-9]$/.test(name) ? Number(name) : 0;
    if (number) return number <= this.#ids.length ? () => this.pick(this.#ids[number - 1]) : null;
    if (name === "x" && this.#mayBeBad) return () => this.toggleAllBad();
    if (name === "u") return this.#past.length ? () => this.undo() : null;
    if (this.#picked === null) return null;
    const move = { ArrowUp: "up", ArrowDown: "down", "=": "tie", Escape: "unpick" }[name];
    if (!move) return null;
    return move === "unpick" ? () => this.pick(null) : () => this.move(this.#picked, MOVES[move]);
  }

  /** Take an answer into hand; `quietly` shows it as picked and leaves focus where it is. */
  pick(id, { quietly = false } = {}) {
    this.#picked = id;
    this.#paint();
    this.dispatchEvent(new CustomEvent("pick", { detail: id }));
    if (id === null) return;
    const card = this.#cards.get(id);
    if (!quietly) card.focus({ preventScroll: true });
    show(card);
    if (quietly) return;
    this.say(fill(gettext("Answer %(n)s picked, %(place)s."), { n: this.#number(id), place: this.#place(id) }));
  }

  move(id, how) {
    this.#become(how(this.#tiers, id), id);
  }

  toggleAllBad() {
    this.#remember();
    this.#allBad = !this.#allBad;
    this.say(
      this.#allBad
        ? gettext("All are bad. You may place some of them, or none.")
        : fill(gettext("Not all are bad. %(lack)s"), { lack: this.lack ?? gettext("All are placed.") }),
    );
    this.#repaint();
  }

  undo() {
    if (!this.#past.length) return;
    ({ tiers: this.#tiers, allBad: this.#allBad } = this.#past.pop());
    this.say(gettext("Move undone."));
    this.#repaint();
  }

  /** A few words on an answer for its card, and all of them for the review. */
  note(id, text, inFull = text) {
    this.#notes.set(id, inFull);
    this.#cards.get(id).querySelector(".note").textContent = text;
  }

  describe(answer) {
    const tiers = mended(answer?.tiers, this.#ids);
    const lines = tiers.map((tier, at) => {
      const numbers = tier.map((id) => this.#number(id)).sort();
      return `${ordinal(at + 1)}: ${numbers.join(" = ")}`;
    });
    const rest = this.#ids.filter((id) => tierOf(tiers, id) < 0).map((id) => this.#number(id));
    if (rest.length) lines.push(`${this.#restWords(answer?.all_bad)}: ${rest.join(", ")}`);
    if (answer?.all_bad) lines.unshift(gettext("All bad"));
    if (answer?.comment) lines.push(`“${answer.comment}”`);
    return lines.join("\n");
  }

  /** The ranking in order with its texts, for the last look before it is sent. */
  review() {
    const list = document.createElement("ol");
    list.className = "review-tiers";
    list.append(...this.#tiers.map((tier) => this.#reviewed(this.#inOrder(tier))));
    const rest = this.#unplaced;
    if (rest.length) {
      const item = this.#reviewed(rest);
      item.className = "left-out";
      item.prepend(part("p", this.#restWords(this.#allBad), "soft small"));
      list.append(item);
    }
    if (!this.#allBad) return list;
    const whole = document.createElement("div");
    whole.append(part("p", gettext("All are bad."), "tag bad"), list);
    return whole;
  }

  #reviewed(ids) {
    const item = document.createElement("li");
    item.append(...ids.map((id) => numberedAnswer(this.#candidate(id), this.#number(id), this.#notes.get(id))));
    return item;
  }

  get #badBox() {
    return this.querySelector("[data-all-bad]");
  }

  /** Within a rating the scales say it already. */
  get #mayBeBad() {
    return this.task.kind === "rank";
  }

  get #ids() {
    return this.task.candidates.map((candidate) => candidate.id);
  }

  get #unplaced() {
    return this.#ids.filter((id) => tierOf(this.#tiers, id) < 0);
  }

  #restWords(allBad) {
    return allBad || this.task.partial ? gettext("left out") : gettext("to place");
  }

  #candidate(id) {
    return this.task.candidates.find((candidate) => candidate.id === id);
  }

  #number(id) {
    return this.#ids.indexOf(id) + 1;
  }

  #inOrder(tier) {
    return [...tier].sort((one, other) => this.#number(one) - this.#number(other));
  }

  #place(id) {
    const at = tierOf(this.#tiers, id);
    if (at < 0) return this.lack === null ? gettext("left out") : gettext("to place");
    const tied = this.#tiers[at].length > 1;
    return fill(tied ? gettext("%(nth)s, tied") : gettext("%(nth)s"), { nth: ordinal(at + 1) });
  }

  #become(tiers, id) {
    if (same(tiers, this.#tiers)) {
      this.say(gettext("It cannot go further."));
      return;
    }
    this.#remember();
    this.#tiers = tiers;
    this.#picked = id;
    const done = this.#unplaced.length ? "" : gettext("All are placed.");
    const values = { n: this.#number(id), place: this.#place(id), lack: this.lack ?? done };
    this.say(fill(gettext("Answer %(n)s: %(place)s. %(lack)s"), values));
    this.#repaint();
  }

  #remember() {
    this.#past.push({ tiers: this.#tiers, allBad: this.#allBad });
  }

  #repaint() {
    this.#paint();
    this.changed();
  }

  #add(candidate, number) {
    const card = answerCard(candidate, number, fill(gettext("Pick answer %(n)s"), { n: number }));
    card.querySelector("header").append(copyOf("rank-moves"));
    this.querySelector(".answers").append(card);
    this.#cards.set(candidate.id, card);

    const chip = document.createElement("button");
    chip.type = "button";
    chip.className = "chip";
    chip.dataset.id = candidate.id;
    // Read aloud it is "Answer 1 Once upon a time, 2nd": what is seen is part of its name.
    const start = part("span", candidate.text.slice(0, 80), "start");
    chip.append(part("span", gettext("Answer"), "visually-hidden"), part("b", number), start);
    chip.append(part("span", "", "visually-hidden"));
    this.#chips.set(candidate.id, chip);
  }

  #paint() {
    const focused = document.activeElement;
    this.querySelector(".tiers").replaceChildren(...this.#tiers.map((tier, at) => this.#tier(tier, at)));
    this.querySelector("[data-tray-chips]").replaceChildren(...this.#unplaced.map((id) => this.#chips.get(id)));
    this.querySelector("[data-tray-title]").textContent =
      this.lack === null ? gettext("Left out") : gettext("To place");
    this.querySelector(".tray").classList.toggle("done", !this.#unplaced.length);
    this.querySelector(".rail-hint").hidden = this.#tiers.length > 0 || this.#allBad;
    this.#badBox.checked = this.#allBad;
    for (const [id, card] of this.#cards) {
      const [picked, place] = [id === this.#picked, this.#place(id)];
      card.classList.toggle("picked", picked);
      card.querySelector(".key").setAttribute("aria-pressed", String(picked));
      const tag = card.querySelector(".place");
      tag.textContent = place;
      tag.classList.toggle("accent", tierOf(this.#tiers, id) >= 0);
      const chip = this.#chips.get(id);
      chip.classList.toggle("picked", picked);
      chip.lastChild.textContent = `, ${place}`;
      chip.setAttribute("aria-pressed", String(picked));
    }
    if (focused?.matches(".chip") && this.contains(focused)) focused.focus({ preventScroll: true });
  }

  #tier(tier, at) {
    const item = document.createElement("li");
    item.className = "tier";
    item.dataset.tier = at;
    const nth = document.createElement("b");
    nth.className = "num";
    nth.textContent = at + 1;
    const chips = document.createElement("span");
    chips.className = "tier-chips";
    chips.append(...this.#inOrder(tier).map((id) => this.#chips.get(id)));
    item.append(nth, chips);
    return item;
  }

  #clicked(event) {
    const move = event.target.closest("[data-move]");
    if (move) {
      const id = Number(move.closest("[data-id]").dataset.id);
      this.move(id, MOVES[move.dataset.move]);
      return;
    }
    const chip = event.target.closest(".chip, .key");
    if (chip) {
      this.pick(Number(chip.dataset.id));
      return;
    }
    const card = event.target.closest(".answer");
    // Marking a passage to read it again is no pick, and neither is a link.
    if (card && getSelection().isCollapsed && !event.target.closest("a, summary, button")) {
      this.pick(Number(card.dataset.id));
    }
    const tier = event.target.closest(".tier");
    if (tier && this.#picked !== null) this.#drop(this.#picked, { into: Number(tier.dataset.tier) });
  }

  /** The middle of a tier ties with it; its edges, and the space between two, make a place of their own. */
  #placeAt(x, y) {
    const rail = this.querySelector(".rail").getBoundingClientRect();
    if (x < rail.left || x > rail.right || y < rail.top || y > rail.bottom) return null;
    const sideways = getComputedStyle(this.querySelector(".tiers")).flexDirection === "row";
    const tray = this.querySelector(".tray").getBoundingClientRect();
    if (sideways ? x >= tray.left : y >= tray.top) return { tray: true };
    const tiers = [...this.querySelectorAll(".tier")];
    for (const [at, tier] of tiers.entries()) {
      const box = tier.getBoundingClientRect();
      const share = sideways ? (x - box.left) / box.width : (y - box.top) / box.height;
      if (share < 0.25) return { before: at };
      if (share <= 0.75) return { into: at };
    }
    return { before: tiers.length };
  }

  #aim(place) {
    const tiers = [...this.querySelectorAll(".tier")];
    for (const tier of tiers) delete tier.dataset.aim;
    this.querySelector(".tray").classList.toggle("aimed", Boolean(place?.tray));
    if (place?.into !== undefined) tiers[place.into].dataset.aim = "into";
    if (place?.before === undefined) return;
    if (place.before < tiers.length) tiers[place.before].dataset.aim = "before";
    else if (tiers.length) tiers.at(-1).dataset.aim = "after";
  }

  #drop(id, place) {
    this.#become(moved(this.#tiers, id, place.tray ? null : place), id);
  }
}

function part(name, text, className = "") {
  const element = document.createElement(name);
  element.className = className;
  element.textContent = text;
  return element;
}

customElements.define("rank-board", RankBoard);
