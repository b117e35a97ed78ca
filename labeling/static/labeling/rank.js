/**
 * `<rank-board>`: 2 to 9 answers put into tiers. The texts never move; the rail beside them does.
 *
 * A kind of task is an element with `task`, `answer` (get, set), `lack` (why it cannot be sent, or null),
 * `key(name)` (what a single key does now), `describe(answer)`, `review()`, `undo()`, and the events `change`
 * and `say`.
 */
import { fill, gettext, ngettext, ordinal } from "../js/words.js";
import { conversation } from "./conversation.js";
import { draggable } from "./drag.js";
import { down, mended, moved, same, tie, tierOf, up } from "./tiers.js";

const MOVES = { up, down, tie };

export class RankBoard extends HTMLElement {
  #task;
  #tiers = [];
  #past = [];
  #comment = "";
  #picked = null;
  #cards = new Map();
  #chips = new Map();

  set task(task) {
    this.#task = task;
    this.replaceChildren(document.getElementById("rank-board").content.cloneNode(true));
    this.querySelector("[data-prompt]").append(conversation(task.prompt));
    task.candidates.forEach((candidate, at) => this.#add(candidate, at + 1));
    this.querySelector(".answers").dataset.count = task.candidates.length;
    this.addEventListener("click", (event) => this.#clicked(event));
    draggable(this, {
      handle: ".chip, .key",
      placeAt: (x, y) => this.#placeAt(x, y),
      aim: (place) => this.#aim(place),
      drop: (id, place) => this.#drop(id, place),
    });
    this.#paint();
  }

  get task() {
    return this.#task;
  }

  get answer() {
    return { tiers: this.#tiers, ...(this.#comment.trim() ? { comment: this.#comment } : {}) };
  }

  set answer(answer) {
    this.#tiers = mended(answer?.tiers, this.#ids);
    this.#comment = typeof answer?.comment === "string" ? answer.comment : "";
    this.#past = [];
    this.#paint();
  }

  get comment() {
    return this.#comment;
  }

  set comment(text) {
    this.#comment = text;
    this.#changed();
  }

  get lack() {
    const n = this.#unplaced.length;
    if (!n) return null;
    const text = ngettext("%(n)s answer is still to place.", "%(n)s answers are still to place.", n);
    return fill(text, { n });
  }

  get empty() {
    return !this.#tiers.length && !this.#comment;
  }

  /** Lead the eye to what is lacking. */
  pointOut() {
    if (this.#unplaced.length) this.pick(this.#unplaced[0]);
  }

  key(name) {
    const number = /^[1-9]$/.test(name) ? Number(name) : 0;
    if (number) return number <= this.#ids.length ? () => this.pick(this.#ids[number - 1]) : null;
    if (name === "u") return this.#past.length ? () => this.undo() : null;
    if (this.#picked === null) return null;
    const move = { ArrowUp: "up", ArrowDown: "down", "=": "tie", Escape: "unpick" }[name];
    if (!move) return null;
    return move === "unpick" ? () => this.pick(null) : () => this.move(this.#picked, MOVES[move]);
  }

  pick(id) {
    this.#picked = id;
    this.#paint();
    if (id === null) return;
    const card = this.#cards.get(id);
    card.focus({ preventScroll: true });
    // A long answer is read from its beginning.
    card.scrollIntoView({ block: card.offsetHeight > innerHeight * 0.6 ? "start" : "nearest" });
    this.#say(fill(gettext("Answer %(n)s picked, %(place)s."), { n: this.#number(id), place: this.#place(id) }));
  }

  move(id, how) {
    this.#become(how(this.#tiers, id), id);
  }

  undo() {
    if (!this.#past.length) return;
    this.#tiers = this.#past.pop();
    this.#say(gettext("Move undone."));
    this.#changed();
  }

  describe(answer) {
    const tiers = mended(answer?.tiers, this.#ids);
    const lines = tiers.map((tier, at) => {
      const numbers = tier.map((id) => this.#number(id)).sort();
      return `${ordinal(at + 1)}: ${numbers.join(" = ")}`;
    });
    const rest = this.#ids.filter((id) => tierOf(tiers, id) < 0).map((id) => this.#number(id));
    if (rest.length) lines.push(`${gettext("to place")}: ${rest.join(", ")}`);
    if (answer?.comment) lines.push(`“${answer.comment}”`);
    return lines.join("\n");
  }

  /** The ranking in order with its texts, for the last look before it is sent. */
  review() {
    const list = document.createElement("ol");
    list.className = "review-tiers";
    this.#tiers.forEach((tier) => {
      const item = document.createElement("li");
      this.#inOrder(tier).forEach((id) => {
        const text = document.createElement("div");
        text.className = "plain";
        text.dir = "auto";
        text.dataset.number = this.#number(id);
        text.textContent = this.#candidate(id).text;
        item.append(text);
      });
      list.append(item);
    });
    return list;
  }

  get #ids() {
    return this.#task.candidates.map((candidate) => candidate.id);
  }

  get #unplaced() {
    return this.#ids.filter((id) => tierOf(this.#tiers, id) < 0);
  }

  #candidate(id) {
    return this.#task.candidates.find((candidate) => candidate.id === id);
  }

  #number(id) {
    return this.#ids.indexOf(id) + 1;
  }

  #inOrder(tier) {
    return [...tier].sort((one, other) => this.#number(one) - this.#number(other));
  }

  #place(id) {
    const at = tierOf(this.#tiers, id);
    if (at < 0) return gettext("to place");
    const tied = this.#tiers[at].length > 1;
    return fill(tied ? gettext("%(nth)s, tied") : gettext("%(nth)s"), { nth: ordinal(at + 1) });
  }

  #become(tiers, id) {
    if (same(tiers, this.#tiers)) {
      this.#say(gettext("It cannot go further."));
      return;
    }
    this.#past.push(this.#tiers);
    this.#tiers = tiers;
    this.#picked = id;
    const values = { n: this.#number(id), place: this.#place(id), lack: this.lack ?? gettext("All are placed.") };
    this.#say(fill(gettext("Answer %(n)s: %(place)s. %(lack)s"), values));
    this.#changed();
  }

  #changed() {
    this.#paint();
    this.dispatchEvent(new Event("change"));
  }

  #say(text) {
    this.dispatchEvent(new CustomEvent("say", { detail: text }));
  }

  #add(candidate, number) {
    const card = document.getElementById("rank-answer").content.cloneNode(true).firstElementChild;
    card.dataset.id = candidate.id;
    card.setAttribute("aria-label", fill(gettext("Answer %(n)s"), { n: number }));
    const key = card.querySelector(".key");
    key.textContent = number;
    key.dataset.id = candidate.id;
    key.setAttribute("aria-label", fill(gettext("Pick answer %(n)s"), { n: number }));
    card.querySelector("[data-text]").textContent = candidate.text;
    this.querySelector(".answers").append(card);
    this.#cards.set(candidate.id, card);

    const chip = document.createElement("button");
    chip.type = "button";
    chip.className = "chip";
    chip.dataset.id = candidate.id;
    const badge = document.createElement("b");
    badge.textContent = number;
    const start = document.createElement("span");
    start.textContent = candidate.text.slice(0, 80);
    chip.append(badge, start);
    this.#chips.set(candidate.id, chip);
  }

  #paint() {
    const focused = document.activeElement;
    this.querySelector(".tiers").replaceChildren(...this.#tiers.map((tier, at) => this.#tier(tier, at)));
    this.querySelector("[data-tray-chips]").replaceChildren(...this.#unplaced.map((id) => this.#chips.get(id)));
    this.querySelector(".tray").classList.toggle("done", !this.#unplaced.length);
    this.querySelector(".rail-hint").hidden = this.#tiers.length > 0;
    for (const [id, card] of this.#cards) {
      const [picked, place] = [id === this.#picked, this.#place(id)];
      card.classList.toggle("picked", picked);
      card.querySelector(".key").setAttribute("aria-pressed", String(picked));
      const tag = card.querySelector(".place");
      tag.textContent = place;
      tag.classList.toggle("accent", tierOf(this.#tiers, id) >= 0);
      const chip = this.#chips.get(id);
      chip.classList.toggle("picked", picked);
      const label = fill(gettext("Answer %(n)s, %(place)s"), { n: this.#number(id), place });
      chip.setAttribute("aria-label", label);
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
    // Marking a passage to read it again is no pick.
    if (card && getSelection().isCollapsed) this.pick(Number(card.dataset.id));
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

customElements.define("rank-board", RankBoard);
