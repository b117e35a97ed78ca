/**
 * What changed between two texts, word by word: the shortest edit, after Myers, "An O(ND) difference algorithm
 * and its variations" (1986), section 4.1. Pure functions.
 */

/** Beyond so many changed words the middle counts as rewritten: the search grows with their square. */
const MOST_STEPS = 1200;

/** Words, single signs of scripts that write no spaces, marks and spaces; joined they are the text again. */
const PIECES =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}]|[\p{L}\p{M}\p{N}_'’]+|\s+|[^\p{L}\p{M}\p{N}\s_'’]/gu;

const pieces = (text) => text.match(PIECES) ?? [];

/**
 * Runs from `before` to `after`: `{same}` for text that stayed, `{out, in}` for text taken out and put in.
 * All `same` and `out` joined are `before`, all `same` and `in` are `after`.
 */
export function wordDiff(before, after) {
  const [a, b] = [pieces(before), pieces(after)];
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start++;
  let end = 0;
  while (end < a.length - start && end < b.length - start && a.at(-1 - end) === b.at(-1 - end)) end++;
  const middle = shortest(a.slice(start, a.length - end), b.slice(start, b.length - end));
  return joined([...a.slice(0, start).map(kept), ...middle, ...a.slice(a.length - end).map(kept)]);
}

const kept = (text) => ({ same: text });

/** Myers' greedy search: `reach[at + k]` is how far along `a` diagonal k = x - y was followed with d edits. */
function shortest(a, b) {
  const most = Math.min(a.length + b.length, MOST_STEPS);
  const at = most + 1;
  const reach = new Int32Array(2 * at + 1);
  const trail = [];
  for (let d = 0; d <= most; d++) {
    trail.push(reach.slice(at - d - 1, at + d + 2));
    for (let k = -d; k <= d; k += 2) {
      let x = comesDown(reach, at + k, k, d) ? reach[at + k + 1] : reach[at + k - 1] + 1;
      while (x < a.length && x - k < b.length && a[x] === b[x - k]) x++;
      reach[at + k] = x;
      if (x >= a.length && x - k >= b.length) return walkedBack(a, b, trail);
    }
  }
  return [{ out: a.join(""), in: b.join("") }];
}

const comesDown = (reach, at, k, d) => k === -d || (k !== d && reach[at - 1] < reach[at + 1]);

function walkedBack(a, b, trail) {
  const edits = [];
  let [x, y] = [a.length, b.length];
  for (let d = trail.length - 1; d >= 0; d--) {
    const at = d + 1;
    const k = x - y;
    const before = comesDown(trail[d], at + k, k, d) ? k + 1 : k - 1;
    const fromX = d ? trail[d][at + before] : 0;
    const fromY = d ? fromX - before : 0;
    while (x > fromX && y > fromY) {
      edits.push(kept(a[--x]));
      y--;
    }
    if (d) edits.push(x > fromX ? { out: a[--x], in: "" } : { out: "", in: b[--y] });
  }
  return edits.reverse();
}

/** Runs as a reader wants them: no lone space kept between two changes, out before in. */
function joined(edits) {
  const runs = [];
  for (const edit of edits) {
    const last = runs.at(-1);
    if (last && (edit.same === undefined) === (last.same === undefined)) {
      for (const part of Object.keys(edit)) last[part] += edit[part];
    } else if (edit.same === undefined && isGap(last) && runs.length > 1) {
      const { same } = runs.pop();
      const change = runs.at(-1);
      change.out += same + edit.out;
      change.in += same + edit.in;
    } else {
      runs.push({ ...edit });
    }
  }
  return runs;
}

const isGap = (run) => run?.same !== undefined && /^[^\S\n]+$/.test(run.same);
