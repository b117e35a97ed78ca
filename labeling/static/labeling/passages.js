/**
 * Passages of a text as numbers. The page counts UTF-16 units, as JavaScript does; answers count code points,
 * as the server does (`labeling/marks.py`).
 */

/** From UTF-16 units of one text to its code points, and back. */
export class CodePoints {
  constructor(text) {
    /** Where the pairs of units that make one code point begin. */
    this.pairs = [...text.matchAll(/[\u{10000}-\u{10ffff}]/gu)].map(({ index }) => index);
  }

  of(unit) {
    return unit - firstWhere(this.pairs.length, (at) => this.pairs[at] >= unit - 1);
  }

  units(point) {
    return point + firstWhere(this.pairs.length, (at) => this.pairs[at] - at >= point);
  }
}

/**
 * Where the words of a text begin and end, signs between them too; `stop` says whether the cursor stops there:
 * at words, and at signs that stand alone.
 */
export function wordsOf(text) {
  const words = [];
  for (const { segment, index, isWordLike } of new Intl.Segmenter(undefined, { granularity: "word" }).segment(text)) {
    if (!segment.trim()) continue;
    const last = words.at(-1);
    const end = index + segment.length;
    if (!isWordLike && last?.end === index && !last.isWord) last.end = end;
    else words.push({ start: index, end, isWord: isWordLike });
  }
  const leans = (at) => words[at - 1]?.end === words[at].start || words[at].end === words[at + 1]?.start;
  return words.map(({ start, end, isWord }, at) => ({ start, end, stop: isWord || !leans(at) }));
}

/** The place of the word at a unit of the text, or before it; -1 before the first. */
export const wordAt = (words, unit) => firstWhere(words.length, (at) => words[at].start > unit) - 1;

/** The same passage without the space at its ends, or null where there is nothing else. */
export function trimmed(text, { start, end }) {
  const words = text.slice(start, end);
  const from = start + words.length - words.trimStart().length;
  const to = end - words.length + words.trimEnd().length;
  return from < to ? { start: from, end: to } : null;
}

export const inOrder = (one, other) =>
  one.start - other.start || one.end - other.end || (one.criterion < other.criterion ? -1 : 1);

/** A text in one line, cut where it is longer than that. */
export function shortened(text, longest) {
  const words = text.replace(/\s+/g, " ");
  return words.length > longest ? `${words.slice(0, longest - 1)}…` : words;
}

/** The marks of an answer that lie within a text, in UTF-16 units and in order. */
export function marksIn(answer, points, length) {
  return (Array.isArray(answer?.marks) ? answer.marks : [])
    .filter((one) => Number.isInteger(one?.start) && Number.isInteger(one.end))
    .map(({ start, end, criterion, comment }) => ({
      start: points.units(start),
      end: points.units(end),
      criterion,
      comment: typeof comment === "string" ? comment : "",
    }))
    .filter(({ start, end }) => 0 <= start && start < end && end <= length)
    .sort(inOrder);
}

/** For each passage, in order of their starts, the lowest lane that none it overlaps lies in. */
export function lanesOf(passages) {
  const ends = [];
  return passages.map(({ start, end }) => {
    const free = ends.findIndex((taken) => taken <= start);
    const lane = free < 0 ? ends.length : free;
    ends[lane] = end;
    return lane;
  });
}

/** The first place below `length` where `holds`, which stays true once it is; `length` where it never is. */
export function firstWhere(length, holds) {
  let [from, to] = [0, length];
  while (from < to) {
    const middle = (from + to) >> 1;
    if (holds(middle)) to = middle;
    else from = middle + 1;
  }
  return from;
}
