/**
 * The editor of a guideline: the text as labelers will read it and what publishing would do, both rendered by the
 * server a moment after each change; lists by fields instead of JSON; a draft that saves itself.
 */
import { fragment } from "../js/api.js";
import { fill, gettext } from "../js/words.js";
import { ListEditor } from "./list_editor.js";
import { OwnDraft } from "./own_draft.js";

const PAUSE = { preview: 250, effects: 500 };

const form = document.querySelector("form.editing");
const { body } = form.elements;
const plan = document.getElementById("effects");
const say = (text) => (document.getElementById("say").textContent = text);
const lists = [...form.querySelectorAll("[data-list]")].map((section) => new ListEditor(section, say));

/** Ask for a piece of the page a while after the last change, and once more where it changed meanwhile. */
class Shown {
  constructor(pause, ask) {
    Object.assign(this, { pause, ask });
  }

  later() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.now(), this.pause);
  }

  async now() {
    if (this.asking) {
      this.again = true;
      return;
    }
    this.asking = true;
    this.again = false;
    try {
      await this.ask();
    } catch {
      // What was shown before stays; the next change tries again.
    }
    this.asking = false;
    if (this.again) this.later();
  }
}

const preview = new Shown(PAUSE.preview, async () => {
  const html = await fragment(form.dataset.preview, { method: "POST", form: { body: body.value } });
  document.getElementById("preview").innerHTML = html;
});

const effects = new Shown(PAUSE.effects, async () => {
  plan.setAttribute("aria-busy", "true");
  try {
    plan.innerHTML = await fragment(form.dataset.effects, { method: "POST", form: Object.fromEntries(new FormData(form)) });
  } finally {
    plan.removeAttribute("aria-busy");
  }
  foreseen();
});

let chosen = { asks: form.elements.asks?.checked };

/** What the server made of it: the guess, the least that it may be called, and what is wrong where. */
function foreseen() {
  const unfit = plan.querySelector("[data-unfit]");
  for (const list of lists) list.point(unfit?.dataset.unfit, unfit?.textContent ?? "");
  const found = plan.querySelector("[data-seed]")?.dataset;
  if (!found) return;
  form.elements.seed.value = found.seed;
  const { change, asks } = form.elements;
  if (!change) return;
  const names = [...change.options].map((option) => option.value);
  const least = names.indexOf(found.least);
  for (const [at, option] of [...change.options].entries()) option.disabled = at > 0 && at < least;
  const called = found.guessed && change.querySelector(`option[value="${found.guessed}"]`)?.textContent;
  if (!change.value) {
    change.options[0].textContent = called ? fill(gettext("as it looks: %(kind)s"), { kind: called }) : gettext("as it looks");
  }
  // What is worth reading is asked for, until somebody decides otherwise.
  if (chosen.asks === undefined || !chosen.touched) {
    const worth = found.worthReading === "yes";
    if (asks.checked !== worth) {
      asks.checked = worth;
      effects.later();
    }
  }
}

const draft = new OwnDraft(form, lists);

form.addEventListener("input", ({ target }) => {
  if (target === body) preview.later();
  if (target.name === "asks") chosen = { touched: true };
  if (target.name === "share") form.querySelector("[name=labels][value=relabel]").checked = true;
  effects.later();
  if (!["asks", "change", "labels", "share"].includes(target.name)) draft.changed();
});

form.addEventListener("submit", (event) => {
  if (event.submitter?.name === "preview") return;
  if (draft.closed) return;
  // A save on its way would come after the publication, as a draft of what is published.
  event.preventDefault();
  const { submitter } = event;
  // Not before this event is over: a form passes over what is submitted within it.
  draft.close().then(() => setTimeout(() => form.requestSubmit(submitter)));
});

document.addEventListener("draft:taken", () => {
  preview.now();
  effects.now();
});

document.addEventListener("live:guideline", ({ detail }) => {
  if (detail.version <= Number(form.elements.based_on.value) || draft.closed) return;
  const news = document.getElementById("news");
  const text = gettext("Version %(n)s was published while you write. Your text stays; publishing shows both.");
  news.querySelector("p").textContent = fill(text, { n: detail.version });
  const link = news.querySelector("a");
  link.textContent = gettext("See what it changed");
  link.href = `${form.dataset.differences}?from=${form.elements.based_on.value}&to=${detail.version}`;
  link.hidden = form.elements.based_on.value === "0";
  news.hidden = false;
});

foreseen();
// Written before this script ran, or restored by the browser.
if (body.value !== body.defaultValue) preview.now();
// What was sent and refused lies in this page alone. A preset is the beginning of a draft, but not in the place of one.
const begins = new URLSearchParams(location.search).has("preset") && !draft.version;
if ("unsaved" in form.dataset || begins) draft.changed();
