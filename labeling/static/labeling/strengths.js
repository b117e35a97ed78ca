/** How much better one of two answers is. Steps: -3 is "answer 1 much better", 0 a tie, 3 "answer 2 much better". */
import { fill, gettext } from "../js/words.js";

export const STRENGTHS = ["tie", "slightly", "better", "much"];
export const FURTHEST = STRENGTHS.length - 1;

const WORDS = {
  tie: () => gettext("tie"),
  slightly: () => gettext("slightly better"),
  better: () => gettext("better"),
  much: () => gettext("much better"),
};

export const strengthOf = (step) => STRENGTHS[Math.abs(step)];

export const wordsOf = (step) => WORDS[strengthOf(step)]();

export function sentence(step) {
  if (!step) return gettext("The answers tie");
  return fill(gettext("Answer %(n)s is %(words)s"), { n: step < 0 ? 1 : 2, words: wordsOf(step) });
}

/** One step further towards answer 1 or 2. */
export function towards(number, step) {
  const side = number === 1 ? -1 : 1;
  return side * Math.min(FURTHEST, Math.max(0, (step ?? 0) * side) + 1);
}

/** Fill a `[data-strengths]` field set with its seven radio buttons. */
export function buildScale(fieldset, choose) {
  const steps = Array.from({ length: 2 * FURTHEST + 1 }, (_, at) => option(at - FURTHEST, choose));
  fieldset.querySelector(".end-of-scale").after(...steps);
}

function option(step, choose) {
  const label = document.createElement("label");
  label.className = "strength";
  label.dataset.step = step;
  const input = document.createElement("input");
  input.type = "radio";
  input.name = "strength";
  input.value = step;
  input.setAttribute("aria-label", sentence(step));
  input.addEventListener("change", () => choose(step));
  const words = document.createElement("span");
  words.textContent = wordsOf(step);
  label.append(input, words);
  return label;
}

/** Show the step on the scale and on the two cards. */
export function paintScale(fieldset, cards, step) {
  for (const input of fieldset.querySelectorAll("input")) input.checked = step !== null && Number(input.value) === step;
  for (const [at, card] of cards.entries()) {
    const better = Boolean(step) && at === (step < 0 ? 0 : 1);
    card.classList.toggle("picked", better);
    card.querySelector(".key").setAttribute("aria-pressed", String(better));
    const tag = card.querySelector(".place");
    tag.textContent = better || step === 0 ? wordsOf(step) : "";
    tag.classList.toggle("accent", better);
  }
}
