/** Turns of a talk, as the API has them: `{said, reply, chosen, strength, both_bad?}`, stored ones by completions. */
import { fill, gettext, ngettext } from "../js/words.js";
import { numberedAnswer } from "./answer_card.js";
import { sentence, STRENGTHS } from "./strengths.js";

/** Which of the two answers the talk went on with, 0 or 1. */
const chosenAt = ({ chosen, completions }) => (completions ? completions.indexOf(chosen) : chosen);

/** A turn's choice as a step of the scale, see `strengths.js`. */
export const stepOf = (turn) => STRENGTHS.indexOf(turn.strength) * (chosenAt(turn) === 1 ? 1 : -1) || 0;

function verdict(turn) {
  const words = sentence(stepOf(turn));
  return turn.both_bad ? `${words}. ${gettext("Both are bad.")}` : `${words}.`;
}

/** What the empty text of the next message says. */
export function invitation({ somebody, full, open, whole, chosen }) {
  if (!somebody) return gettext("No checkpoint is current here, so nobody answers. Skip this task for now.");
  if (full) return gettext("The talk is as long as it may be. Submit it.");
  if (!open) return gettext("Say something to the model.");
  if (chosen) return gettext("Say more, or submit.");
  return whole ? gettext("Choose an answer first.") : gettext("Your next message comes after the answers.");
}

/** A talk as a few lines of text. */
export function described(answer) {
  const turns = Array.isArray(answer?.turns) ? answer.turns : [];
  const lines = turns.map((turn) => `${turn.said}\n→ ${verdict(turn)}`);
  for (const text of [answer?.unsent?.said, answer?.unsent?.writing]) if (text) lines.push(text);
  if (answer?.comment) lines.push(`“${answer.comment}”`);
  return lines.join("\n\n") || gettext("(empty)");
}

/** The last look before it is sent; `isMore` where words would be left out. */
export function reviewed(turns, isMore) {
  const whole = document.createElement("div");
  whole.className = "reviewed";
  const words = document.createElement("p");
  words.className = "big-words";
  words.textContent = fill(ngettext("%(n)s turn", "%(n)s turns", turns.length), { n: turns.length });
  whole.append(words);
  if (isMore) {
    const left = document.createElement("p");
    left.className = "card warn";
    left.textContent = gettext("Your last words were not answered and judged. They are left out if you send it now.");
    whole.append(left);
  }
  whole.append(...turns.map((turn, at) => numberedAnswer({ text: turn.said }, at + 1, verdict(turn))));
  return whole;
}

/** The conversation that turns make, each with the answer it went on with, and the open message last. */
export function messagesOf(turns, open, replies) {
  const person = ({ said, reply }) => ({ role: "user", content: said, html: replies.get(reply)?.said?.html });
  const model = (turn) => {
    const { text, html } = replies.get(turn.reply)?.texts[chosenAt(turn)] ?? {};
    return { role: "assistant", content: text ?? gettext("(its text comes when the server is back)"), html };
  };
  return [...turns.flatMap((turn) => [person(turn), model(turn)]), ...(open ? [person(open)] : [])];
}
