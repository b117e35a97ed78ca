/**
 * A list of criteria, rules or examples as fields: it reads and writes the JSON of the section's text area, which
 * the form posts. Items move by their buttons and by Alt with the arrow keys.
 */
import { fill, gettext } from "../js/words.js";

export class ListEditor {
  constructor(section, say) {
    this.section = section;
    this.say = say;
    this.name = section.dataset.list;
    this.text = section.querySelector("textarea[name]");
    this.list = section.querySelector("ol");
    this.template = section.querySelector("template").content;
    if (!this.read()) return;
    section.querySelector("[data-plain]").hidden = true;
    for (const part of section.querySelectorAll("ol, [data-tools], [data-count]")) part.hidden = false;
    section.addEventListener("click", ({ target }) => this.clicked(target));
    section.addEventListener("input", (event) => this.edited(event));
    section.addEventListener("keydown", (event) => this.pressed(event));
  }

  /** Show what the text area holds; false where that is no list. */
  read() {
    let items;
    try {
      items = JSON.parse(this.text.value || "[]");
    } catch {
      return false;
    }
    if (!Array.isArray(items)) return false;
    this.list.replaceChildren(...items.map((item) => this.item(item)));
    this.number();
    return true;
  }

  item(value = {}) {
    const item = this.template.cloneNode(true).firstElementChild;
    item.value = value;
    for (const part of parts(item)) {
      const name = part.dataset.part;
      const given = name ? value?.[name] : typeof value === "string" ? value : "";
      if (part.type === "checkbox") part.checked = given === true;
      else if (given !== undefined) part.value = given;
    }
    this.dress(item);
    return item;
  }

  /** Only the fields that the type of a criterion has. */
  dress(item) {
    const type = item.querySelector("[data-part=type]")?.value;
    for (const only of item.querySelectorAll("[data-only]")) only.hidden = only.dataset.only !== type;
    // Passages are marked in answers.
    const scope = item.querySelector("[data-part=scope]");
    if (type === "span" && scope.value !== "completion") scope.value = "completion";
    if (scope) scope.disabled = type === "span";
  }

  /** What the fields say; an empty optional one is left out. */
  valueOf(item) {
    const own = parts(item);
    if (own.length === 1 && !own[0].dataset.part) return own[0].value;
    const value = {};
    for (const part of own) {
      const { part: name } = part.dataset;
      if (part.closest("[hidden]")) continue;
      if (part.type === "checkbox") value[name] = part.checked;
      else if (part.type === "number") {
        if (part.value !== "") value[name] = Number(part.value);
      } else if (part.value !== "" || !["help", "low", "high", "prompt"].includes(name)) value[name] = part.value;
    }
    if (this.name === "criteria") value.required ??= false;
    return value;
  }

  write() {
    this.text.value = JSON.stringify([...this.list.children].map((item) => this.valueOf(item)), null, 1);
    this.number();
  }

  changed() {
    this.write();
    this.text.dispatchEvent(new Event("input", { bubbles: true }));
  }

  number() {
    const { children } = this.list;
    for (const [at, item] of [...children].entries()) {
      item.querySelector("[data-number]").textContent = at + 1;
      item.setAttribute("aria-label", fill(gettext("%(n)s of %(of)s"), { n: at + 1, of: children.length }));
      item.querySelector("[data-move='-1']").disabled = at === 0;
      item.querySelector("[data-move='1']").disabled = at === children.length - 1;
    }
    this.section.querySelector("[data-count]").textContent = children.length;
    const hint = this.section.querySelector("[data-hint]");
    hint.hidden = children.length < 2;
  }

  clicked(target) {
    const item = target.closest(".item");
    if (target.closest("[data-add]")) this.add();
    else if (item && target.closest("[data-remove]")) this.remove(item);
    else if (item && target.closest("[data-move]")) this.move(item, Number(target.closest("[data-move]").dataset.move), target);
  }

  add() {
    const fresh = this.name === "criteria" ? { type: "flag", scope: "completion" } : this.name === "rules" ? "" : { verdict: "good" };
    const item = this.item(fresh);
    this.list.append(item);
    this.changed();
    parts(item)[0].focus();
  }

  remove(item) {
    const beside = item.nextElementSibling ?? item.previousElementSibling;
    item.remove();
    this.changed();
    (beside ? parts(beside)[0] : this.section.querySelector("[data-add]")).focus();
    this.say(gettext("Removed."));
  }

  move(item, step, from) {
    const beside = step < 0 ? item.previousElementSibling : item.nextElementSibling;
    if (!beside) return;
    if (step < 0) beside.before(item);
    else beside.after(item);
    this.changed();
    // Moved by a button that is off at the end of its way: stay at the item.
    if (from?.disabled) item.focus();
    else from?.focus();
    const at = [...this.list.children].indexOf(item) + 1;
    this.say(fill(gettext("Now %(n)s of %(of)s."), { n: at, of: this.list.children.length }));
  }

  pressed(event) {
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    const item = event.target.closest(".item");
    if (!step || !item || !event.altKey) return;
    event.preventDefault();
    this.move(item, step, event.target);
  }

  edited(event) {
    const part = event.target;
    if (part === this.text) return;
    event.stopPropagation();
    const item = part.closest(".item");
    if (part.dataset.part === "key") item.keyed = true;
    const key = item.querySelector("[data-part=key]");
    if (part.dataset.part === "label" && key && !item.keyed && !item.value.key) key.value = keyOf(part.value);
    if (part.dataset.part === "type" && part.value === "scale") {
      for (const [name, value] of [["min", 1], ["max", 7]]) {
        const end = item.querySelector(`[data-part=${name}]`);
        if (end.value === "") end.value = value;
      }
    }
    this.dress(item);
    this.changed();
  }

  /** Point at the field that the server names, as `criteria[2].key`, and take back what was pointed at before. */
  point(field, text) {
    for (const part of this.list.querySelectorAll("[aria-invalid]")) {
      part.removeAttribute("aria-invalid");
      part.removeAttribute("title");
    }
    const [, name, at, part] = /^(\w+)\[(\d+)\](?:\.(\w+))?$/.exec(field ?? "") ?? [];
    if (name !== this.name) return;
    const item = this.list.children[Number(at)];
    const found = item && (parts(item).find((one) => one.dataset.part === (part ?? "")) ?? parts(item)[0]);
    found?.setAttribute("aria-invalid", "true");
    if (found) found.title = text.trim();
  }
}

const parts = (item) => [...item.querySelectorAll("[data-part]")];

/** A key out of a label: small letters, digits and _. */
const keyOf = (label) =>
  label
    .normalize("NFKD")
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "_")
    .replace(/^[^a-z]+|_+$/g, "")
    .slice(0, 40);
