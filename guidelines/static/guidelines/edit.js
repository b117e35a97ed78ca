/** Shows the text as labelers will read it, rendered by the server a moment after each change. */
import { fragment } from "../js/api.js";

const PAUSE = 250;

const form = document.querySelector("[data-preview]");
const body = form.elements.body;
const preview = document.getElementById("preview");
let timer;
let shown = body.value;

async function show() {
  const text = body.value;
  try {
    preview.innerHTML = await fragment(form.dataset.preview, { method: "POST", form: { body: text } });
    shown = text;
  } catch {
    // The former preview stays; the next change tries again.
  }
  if (body.value !== shown) later();
}

function later() {
  clearTimeout(timer);
  timer = setTimeout(show, PAUSE);
}

body.addEventListener("input", later);
let published = false;
form.addEventListener("submit", () => (published = true));
addEventListener("beforeunload", (event) => {
  if (!published && body.value !== body.defaultValue) event.preventDefault();
});
