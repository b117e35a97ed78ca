import { fill, ngettext } from "../js/words.js";

/** A span of time in the words that the server uses for it (`figures.seconds`). */
export function span(seconds) {
  if (seconds < 90) return words("%(n)s second", "%(n)s seconds", Math.max(1, Math.round(seconds)));
  if (seconds < 90 * 60) return words("%(n)s minute", "%(n)s minutes", Math.round(seconds / 60));
  return words("%(n)s hour", "%(n)s hours", Math.round(seconds / 3600));
}

const words = (one, many, n) => fill(ngettext(one, many, n), { n });
