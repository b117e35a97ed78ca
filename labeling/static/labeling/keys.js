/**
 * Keys of the page. Single keys never fire while somebody types, with a modifier held, or inside a dialog,
 * and can be switched off (WCAG 2.1.4); Ctrl or Command with Enter works everywhere but in dialogs that ask.
 */
const SWITCH = "tutelage:keys";

export const typing = (target) =>
  Boolean(target?.closest?.("input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]"));

// Enter does nothing on a check box or radio button of its own.
const pressable = (target) =>
  Boolean(target?.closest?.("button, a[href], summary, input:not([type=checkbox], [type=radio])"));

export class Keys {
  /**
   * @param {{key: (key: string) => (() => void) | null, submit: () => void}} actions `key` answers what a
   *   single key does now, or null to leave it to the browser
   */
  constructor(actions) {
    this.actions = actions;
    this.on = true;
    try {
      this.on = localStorage.getItem(SWITCH) !== "off";
    } catch {
      // Without storage they are on.
    }
    document.addEventListener("keydown", (event) => this.pressed(event));
  }

  switch(on) {
    this.on = on;
    try {
      localStorage.setItem(SWITCH, on ? "on" : "off");
    } catch {
      // The choice then lasts as long as the page.
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
    if (!this.on || (event.repeat && !event.key.startsWith("Arrow"))) return;
    if (dialog) {
      if (dialog.dataset.key === event.key) {
        event.preventDefault();
        dialog.close();
      }
      return;
    }
    if (event.key === "Enter" && pressable(event.target)) return;
    const action = this.actions.key(event.key);
    if (!action) return;
    event.preventDefault();
    action();
  }
}
