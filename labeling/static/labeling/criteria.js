/**
 * The criteria of a guideline version as controls: a scale is a row of buttons with words at its ends, a flag a
 * toggle. Native radio buttons and check boxes, so that Tab, Space and a screen reader know them already.
 */
import { fill, gettext } from "../js/words.js";
import { copyOf } from "./kind.js";

export const labelOf = (criterion) => criterion.label || criterion.key;

/** One criterion; `set(value)` is called with what was chosen. */
export function criterionControl(criterion, set) {
  const control = copyOf(criterion.type === "flag" ? "rate-flag" : "rate-scale");
  control.dataset.key = criterion.key;
  const help = control.querySelector(".help");
  help.textContent = criterion.help ?? "";
  help.hidden = !criterion.help;
  if (criterion.help) {
    help.id = `help-${criterion.scope}-${criterion.key}`;
    (control.querySelector("input") ?? control).setAttribute("aria-describedby", help.id);
  }
  if (criterion.type === "flag") {
    control.querySelector("label span").textContent = labelOf(criterion);
    control.querySelector("input").addEventListener("change", ({ target }) => set(target.checked));
  } else {
    dressScale(control, criterion, set);
  }
  return control;
}

/** Show a value in its control; none clears it. */
export function showValue(control, value) {
  for (const input of control.querySelectorAll("input")) {
    input.checked = input.type === "checkbox" ? value === true : Number(input.value) === value;
  }
}

/** The input that speaks for a control: the chosen one of a scale, else its first. */
export const inputOf = (control) => control.querySelector("input:checked") ?? control.querySelector("input");

/** A value that fits its criterion, else undefined. */
export function fitting(criterion, value) {
  if (criterion.type === "flag") return value === true ? true : undefined;
  return Number.isInteger(value) && value >= criterion.min && value <= criterion.max ? value : undefined;
}

/** A rating in words: scales with their range, then the flags that are set. */
export function inWords(criteria, values) {
  const said = criteria.map((criterion) => {
    const value = values?.[criterion.key];
    if (value === undefined || value === false) return "";
    if (criterion.type === "flag") return labelOf(criterion);
    return fill(gettext("%(label)s %(value)s of %(max)s"), { label: labelOf(criterion), value, max: criterion.max });
  });
  return said.filter(Boolean).join(" · ");
}

function dressScale(control, criterion, set) {
  const legend = control.querySelector("legend");
  legend.textContent = labelOf(criterion);
  if (!criterion.required) {
    const optional = document.createElement("span");
    optional.className = "soft small";
    optional.textContent = ` ${gettext("optional")}`;
    legend.append(optional);
  }
  const { min, max, low = "", high = "" } = criterion;
  control.querySelector("[data-low]").textContent = low;
  control.querySelector("[data-high]").textContent = high;
  control.querySelector(".ends").hidden = !low && !high;
  for (let value = min; value <= max; value++) {
    const label = document.createElement("label");
    const input = document.createElement("input");
    input.type = "radio";
    input.name = `${criterion.scope}-${criterion.key}`;
    input.value = value;
    const end = value === min ? low : value === max ? high : "";
    if (end) input.setAttribute("aria-label", `${value}, ${end}`);
    input.addEventListener("change", () => set(value));
    const shown = document.createElement("span");
    shown.textContent = value;
    label.append(input, shown);
    control.querySelector(".scale").append(label);
  }
}
