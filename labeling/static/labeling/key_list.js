/** The page of keys: press a key's button, then the new key. Every choice is kept with the account at once. */
import { api } from "../js/api.js";
import { clock, fill, gettext } from "../js/words.js";
import { label } from "./keys.js";

const MODIFIERS = new Set(["Shift", "Control", "Alt", "AltGraph", "Meta", "CapsLock", "Dead", "Process"]);

const buttons = [...document.querySelectorAll("[data-name]")];
const single = document.getElementById("single-keys");
let chosen = JSON.parse(document.getElementById("chosen-keys").textContent);
let asking = null;
// One after the other: each sends all that is chosen, the one before it included.
let before = Promise.resolve();

function tell(state, text) {
  const line = document.querySelector("[data-saved]");
  line.dataset.state = state;
  line.textContent = text;
}

async function keep(body) {
  tell("busy", gettext("saving…"));
  const stored = await api.put("/api/account/keys/", body);
  tell("good", fill(gettext("saved %(time)s"), { time: clock() }));
  return stored;
}

function paint() {
  for (const button of buttons) {
    const { name } = button.dataset;
    button.textContent = button === asking ? gettext("Press a key…") : label(chosen[name] ?? name);
    button.setAttribute("aria-pressed", String(button === asking));
    button.classList.toggle("changed", name in chosen);
  }
}

function complain(button, text) {
  const line = document.getElementById(button.getAttribute("aria-describedby"));
  line.textContent = text ?? "";
  line.hidden = !text;
}

function ask(button) {
  asking = button;
  if (button) complain(button, null);
  paint();
}

async function choose(button, key) {
  const { [button.dataset.name]: _, ...others } = chosen;
  const wanted = key === button.dataset.name ? others : { ...others, [button.dataset.name]: key };
  try {
    chosen = (await keep({ keys: wanted })).keys;
    for (const other of buttons) complain(other, null);
  } catch (problem) {
    tell("bad", gettext("not saved"));
    complain(button, problem.errors[0]?.message ?? problem.message);
  }
  paint();
}

document.addEventListener("click", ({ target }) => {
  const button = target.closest("[data-name]");
  ask(button === asking ? null : button);
});

document.addEventListener(
  "keydown",
  (event) => {
    if (!asking || event.ctrlKey || event.metaKey || MODIFIERS.has(event.key)) return;
    const button = asking;
    if (event.key === "Tab") {
      ask(null);
      return;
    }
    // Neither this press nor its end may press the button again.
    event.preventDefault();
    event.stopPropagation();
    if (event.repeat) return;
    addEventListener("keyup", (up) => up.preventDefault(), { once: true, capture: true });
    ask(null);
    if (event.key !== "Escape") before = before.then(() => choose(button, event.key));
  },
  { capture: true },
);

single.addEventListener("change", async () => {
  try {
    await keep({ single_keys: single.checked });
  } catch (problem) {
    single.checked = !single.checked;
    tell("bad", problem.message);
  }
});

document.getElementById("reset").addEventListener("click", () => (before = before.then(reset)));

async function reset() {
  try {
    chosen = (await keep({ keys: {} })).keys;
    for (const button of buttons) complain(button, null);
  } catch (problem) {
    tell("bad", problem.message);
  }
  paint();
}

paint();
