/** Shows the text as labelers will read it, rendered by the server a moment after each change. */
import { fragment } from "../js/api.js";

const PAUSE = 250;

const form = document.querySelector("[data-preview]");
const body = form.elements.body;
const preview = document.getElementById("preview");
let timer;
let asked = body.defaultValue;

async function show() {
  asked = body.value;
  try {
    preview.innerHTML = await fragment(form.dataset.preview, { method: "POST", form: { body: asked } });
  } catch {
    // The former preview stays; the next change tries again.
  }
  if (body.value !== asked) later();
}

function later() {
  clearTimeout(timer);
  timer = setTimeout(show, PAUSE);
}

body.addEventListener("input", later);
// Written before this script ran, or restored by the browser.
if (body.value !== asked) later();
let published = false;
form.addEventListener("submit", () => (published = true));
addEventListener("beforeunload", (event) => {
  // What was refused came back in the page, and is stored nowhere else.
  const refused = form.querySelector("[aria-invalid]");
  if (!published && (refused || body.value !== body.defaultValue)) event.preventDefault();
});
