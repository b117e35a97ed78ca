/**
 * Words that scripts say, marked for translation: Django's catalogue defines the globals where it is loaded,
 * else English stands.
 */
export const gettext = (text) => globalThis.django?.gettext?.(text) ?? text;

export const ngettext = (one, many, count) =>
  globalThis.django?.ngettext?.(one, many, count) ?? (count === 1 ? one : many);

/** Fill `%(name)s` places: `fill(gettext("saved %(time)s"), { time })`. */
export const fill = (text, values) => text.replace(/%\((\w+)\)s/g, (_, name) => String(values[name] ?? ""));

/** 1st, 2nd, 3rd: English where no catalogue says otherwise. */
export const ordinal = (number) => {
  const forms = {
    one: gettext("%(n)sst"),
    two: gettext("%(n)snd"),
    few: gettext("%(n)srd"),
    other: gettext("%(n)sth"),
  };
  return fill(forms[new Intl.PluralRules("en", { type: "ordinal" }).select(number)], { n: number });
};

/** The time of day to the second, as the reader's clock writes it. */
export const clock = (date = new Date()) =>
  date.toLocaleTimeString(document.documentElement.lang || undefined, { hourCycle: "h23", timeStyle: "medium" });

/** Seconds as m:ss or h:mm:ss. */
export const duration = (seconds) => {
  const whole = Math.max(0, Math.round(seconds));
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const pad = (n) => String(n).padStart(2, "0");
  return h ? `${h}:${pad(m)}:${pad(s)}` : `${m}:${pad(s)}`;
};
