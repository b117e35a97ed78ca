/**
 * A text as it is to be read: laid out by the server (`guidelines/render.py`), or as plain text, letter for
 * letter, while a person asks for that. Characters that would act unseen are named in both.
 */
import { gettext } from "../js/words.js";

export const UNSEEN = /([\0-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+)/;

const given = new WeakMap();
let plain = false;

/**
 * Fill `element` with a text; without `html`, which our own server must have made, it is shown as plain text.
 * With `letters` the `html` is plain too: what a program wrote, in lines.
 */
export function reading(element, { text, html, letters = false }) {
  if (!given.has(element)) element.addEventListener("keydown", scrolls);
  given.set(element, { text, html, letters });
  element.classList.add("reading");
  paint(element);
}

/** Let the texts in what our own server laid out be shown letter for letter too, see `message_html.py`. */
export function dress(element) {
  for (const part of element.querySelectorAll("[data-raw]")) {
    const letters = !part.classList.contains("markdown");
    reading(part, { text: part.dataset.raw, html: part.innerHTML, letters });
  }
}

/** Show every text of the page letter for letter, or laid out again; returns what to say of it. */
export function switchPlain() {
  plain = !plain;
  for (const element of document.querySelectorAll(".reading")) if (given.has(element)) paint(element);
  return plain ? gettext("Texts are shown letter for letter.") : gettext("Texts are laid out.");
}

function paint(element) {
  const { text, html, letters } = given.get(element);
  const raw = plain || typeof html !== "string";
  element.classList.toggle("markdown", !raw && !letters);
  element.classList.toggle("plain", raw || letters);
  if (raw) {
    if (!letters) element.dir = "auto";
    element.replaceChildren(...pieces(text));
  } else {
    // Each block has a direction of its own.
    if (!letters) element.removeAttribute("dir");
    element.innerHTML = html;
  }
}

function pieces(text) {
  return text
    .replaceAll("\r\n", "\n")
    .split(UNSEEN)
    .map((piece, at) => (at % 2 ? named(piece) : piece));
}

/** An element that names characters which would act unseen. */
export function named(characters) {
  const mark = document.createElement("span");
  mark.className = "unseen";
  const codes = [...characters].map((one) => one.codePointAt(0).toString(16).toUpperCase().padStart(4, "0"));
  mark.textContent = codes.map((code) => `U+${code}`).join(" ");
  return mark;
}

/** Code and tables that are wider than the page are scrolled by the arrows, which act on the task elsewhere. */
function scrolls(event) {
  const wide = event.target.closest?.(".scrolls");
  const sideways = event.key === "ArrowLeft" || event.key === "ArrowRight";
  if (sideways && wide && wide.scrollWidth > wide.clientWidth) event.stopPropagation();
}
