/** A label as its kind reads it: the parts that `labeling/reviewing/readings.py` makes of an answer, as elements. */
import { fill, gettext } from "../js/words.js";
import { reading } from "./reading.js";
import { wordDiff } from "./word_diff.js";

export function labelParts({ parts, comment }) {
  const shown = parts.map(element);
  if (comment) shown.push(quoted(comment, gettext("Comment")));
  return shown;
}

function element(part) {
  if (part.tiers) return tiers(part);
  if (part.values) return values(part);
  if (part.quote !== undefined) return quoted(part.quote, part.line);
  if (part.was !== undefined) return changes(part);
  if (part.text !== undefined) return text(part);
  return made("p", "", part.line);
}

function tiers({ tiers: ranked, left_out: leftOut }) {
  const list = made("ol", "ranked");
  for (const tier of ranked) {
    const item = document.createElement("li");
    const tied = made("span", tier.length > 1 ? "tied" : "");
    tied.append(...tier.map((number) => made("b", "", number)));
    item.append(tied);
    list.append(item);
  }
  if (leftOut.length) {
    const item = made("li", "left-out", fill(gettext("left out: %(numbers)s"), { numbers: leftOut.join(", ") }));
    list.append(item);
  }
  return list;
}

function values({ about, values: said }) {
  const line = made("p", "rated");
  const words = said.map(([criterion, value]) => `${criterion}: ${value}`).join(" · ");
  line.append(made("b", "", about), ` ${words}`);
  return line;
}

function quoted(quote, words) {
  const block = made("figure", "quoted");
  const passage = made("blockquote", "", quote);
  passage.dir = "auto";
  block.append(made("figcaption", "soft small", words), passage);
  return block;
}

function text({ title, ...given }) {
  const block = made("div", "said");
  if (title) block.append(made("p", "soft small", title));
  const body = document.createElement("div");
  reading(body, given);
  block.append(body);
  return block;
}

/** What was taken out of the model's answer and what was put in. */
function changes({ text: after, was }) {
  const block = made("div", "changes plain reading");
  block.dir = "auto";
  for (const run of wordDiff(was, after)) {
    if (run.same !== undefined) block.append(run.same);
    else {
      if (run.out) block.append(made("del", "", run.out));
      if (run.in) block.append(made("ins", "", run.in));
    }
  }
  return block;
}

function made(name, className, words) {
  const one = document.createElement(name);
  if (className) one.className = className;
  if (words !== undefined) one.textContent = words;
  return one;
}
