/**
 * Keys of the page. Single keys never fire while somebody types, with a modifier held, or inside a dialog;
 * a person can change them and switch them off (WCAG 2.1.4). The page speaks of a key by the name it is
 * delivered with; `labeling/people/keys.py` lists them. Ctrl or Command with Enter works everywhere but in dialogs
 * that ask, and stays.
 */
import { api } from "../js/api.js";
import { gettext } from "../js/words.js";

const LABELS = {
  ArrowUp: "↑",
  ArrowDown: "↓",
  ArrowLeft: "←",
  ArrowRight: "→",
  Enter: "↵",
  " ": gettext("Space"),
  Backspace: "⌫",
  Delete: gettext("Delete"),
  PageUp: gettext("Page up"),
  PageDown: gettext("Page down"),
};

export const label = (key) => LABELS[key] ?? key;

export const typing = (target) =>
  Boolean(target?.closest?.("input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]"));

// Enter does nothing on a check box or radio button of its own.
const pressable = (target) =>
  Boolean(target?.closest?.("button, a[href], summary, input:not([type=checkbox], [type=radio])"));

export class Keys {
  /**
   * @param {{key: (key: string, event: KeyboardEvent) => (() => void) | null, submit: () => void}} actions
   *   `key` answers what a single key does now, or null to leave it to the browser
   */
  constructor(actions) {
    this.actions = actions;
    this.chosen = JSON.parse(document.getElementById("chosen-keys")?.textContent ?? "{}");
    this.names = new Map(Object.entries(this.chosen).map(([name, key]) => [key, name]));
    this.on = document.querySelector("[data-keys]")?.dataset.keys !== "off";
    this.paint();
    document.addEventListener("keydown", (event) => this.pressed(event));
  }

  /** Resolves to whether the account keeps it. */
  async switch(on) {
    this.on = on;
    this.paint();
    try {
      await api.put("/api/account/keys/", { single_keys: on });
      return true;
    } catch {
      return false;
    }
  }

  /** What a pressed key is called here; null for one whose action moved to another. */
  name(key) {
    return this.names.get(key) ?? (key in this.chosen ? null : key);
  }

  /** How the key called `name` is written for this person. */
  label(name) {
    return label(this.chosen[name] ?? name);
  }

  /** Every `<kbd>` of the page and of its templates shows the person's own key. */
  paint() {
    document.body.dataset.singleKeys = this.on ? "on" : "off";
    const names = new Map(Object.entries(LABELS).map(([name, text]) => [text, name]));
    const templates = [...document.querySelectorAll("template")].map(({ content }) => content);
    for (const kbd of [document, ...templates].flatMap((root) => [...root.querySelectorAll("kbd")])) {
      const fixed = kbd.closest("dialog[data-submits]") || kbd.previousElementSibling?.textContent === "Ctrl";
      const text = kbd.textContent.trim();
      const name = kbd.dataset.name ?? names.get(text) ?? text;
      if (fixed || (name.length > 1 && !(name in LABELS))) continue;
      kbd.dataset.name = name;
      kbd.textContent = this.label(name);
    }
  }

  pressed(event) {
    if (event.defaultPrevented || event.isComposing) return;
    const dialog = document.querySelector("dialog[open]");
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      if (dialog && !dialog.hasAttribute("data-submits")) return;
      event.preventDefault();
      if (!event.repeat) this.actions.submit();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (typing(event.target)) {
      // Out of the text and back to the keys, with nothing thrown away.
      if (event.key === "Escape" && !dialog) event.target.closest("textarea, input").blur();
      return;
    }
    const name = this.name(event.key);
    if (!this.on || !name || (event.repeat && !name.startsWith("Arrow"))) return;
    if (dialog) {
      if (dialog.dataset.key === name) {
        event.preventDefault();
        dialog.close();
      }
      return;
    }
    if ((event.key === "Enter" || event.key === " ") && pressable(event.target)) return;
    const action = this.actions.key(name, event);
    if (!action) return;
    event.preventDefault();
    action();
  }
}
