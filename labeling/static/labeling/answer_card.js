/** An answer as a card: its number, a tag for its place, a note, and the text in full. */
import { fill, gettext } from "../js/words.js";
import { copyOf } from "./kind.js";
import { reading } from "./reading.js";

export function answerCard(candidate, number, keyLabel) {
  const card = copyOf("answer-card");
  card.dataset.id = candidate.id;
  card.setAttribute("aria-label", fill(gettext("Answer %(n)s"), { n: number }));
  const key = card.querySelector(".key");
  key.textContent = number;
  key.dataset.id = candidate.id;
  key.setAttribute("aria-label", keyLabel);
  reading(card.querySelector("[data-text]"), candidate);
  return card;
}

/** An answer as a numbered block, for the last look before it is sent. */
export function numberedAnswer(candidate, number, note = "") {
  const block = document.createElement("div");
  block.className = "numbered";
  const badge = document.createElement("b");
  badge.textContent = number;
  const text = document.createElement("div");
  reading(text, candidate);
  block.append(badge, text);
  if (note) {
    const line = document.createElement("p");
    line.className = "soft small";
    line.textContent = note;
    block.append(line);
  }
  return block;
}

/** Bring a card before the reader's eyes; a long answer is read from its beginning. */
export function show(card) {
  card.scrollIntoView({ block: card.offsetHeight > innerHeight * 0.6 ? "start" : "nearest" });
}
