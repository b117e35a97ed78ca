/** What every page does: the theme switch, menus that close, and forgetting at sign-out. */
import { forgetOthers, signOut } from "./forget.js";

const THEME = "tutelage:theme";

function stored(key) {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

function paintSwitch() {
  const chosen = stored(THEME) ?? "system";
  for (const button of document.querySelectorAll("[data-theme-choice]")) {
    button.setAttribute("aria-pressed", String(button.dataset.themeChoice === chosen));
  }
}

function chooseTheme(choice) {
  try {
    if (choice === "system") localStorage.removeItem(THEME);
    else localStorage.setItem(THEME, choice);
  } catch {
    // The choice then lasts as long as the page.
  }
  if (choice === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = choice;
  paintSwitch();
  document.dispatchEvent(new CustomEvent("theme"));
}

document.addEventListener("click", (event) => {
  const choice = event.target.closest("[data-theme-choice]");
  if (choice) chooseTheme(choice.dataset.themeChoice);
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
  const opener = event.target.closest("[data-opens]");
  if (opener) document.getElementById(opener.dataset.opens)?.showModal();
  const closer = event.target.closest("[data-closes]");
  if (closer) closer.closest("dialog")?.close();
  // A click on the backdrop is a click on the dialog itself, outside its box.
  if (event.target instanceof HTMLDialogElement && outside(event)) event.target.close();
});

function outside({ target, clientX, clientY }) {
  const box = target.getBoundingClientRect();
  return clientX < box.left || clientX > box.right || clientY < box.top || clientY > box.bottom;
}

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});

document.addEventListener("submit", (event) => {
  if (event.target.matches("[data-sign-out]")) signOut(event);
});

const UNITS = [
  ["day", 86_400],
  ["hour", 3600],
  ["minute", 60],
  ["second", 1],
];

/** `<time datetime>`: the reader's own clock as the title, and with `data-ago` how long ago as the text. */
function dressTimes(root = document) {
  const ago = new Intl.RelativeTimeFormat(document.documentElement.lang || "en", { numeric: "auto" });
  for (const time of root.querySelectorAll("time[datetime]")) {
    const date = new Date(time.dateTime);
    if (Number.isNaN(date.valueOf())) continue;
    time.title = date.toLocaleString();
    if (time.dataset.ago === undefined) continue;
    const seconds = Math.min(0, (date - Date.now()) / 1000);
    const [unit, size] = UNITS.find(([, size]) => -seconds >= size) ?? UNITS.at(-1);
    time.textContent = ago.format(Math.ceil(seconds / size), unit);
  }
}

document.addEventListener("htmx:afterSwap", () => dressTimes());
// Signed out in the meantime: a piece of the sign-in page has no place in this one.
document.addEventListener("htmx:beforeSwap", (event) => {
  if (!event.detail.xhr.responseURL.includes("/accounts/login/")) return;
  event.detail.shouldSwap = false;
  location.reload();
});
dressTimes();
paintSwitch();
forgetOthers();

// On a phone the bar is wider than the screen: the tab one is on must be seen in it.
document.querySelector(".tabs [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
