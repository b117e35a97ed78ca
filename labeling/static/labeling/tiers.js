/**
 * The moves of a ranking, as pure functions. `tiers` is `[[id, …], …]`, best first, ties within a tier; an id
 * in none of them is still to place. Every function returns new tiers and leaves the old ones alone.
 */

/** Index of the tier that holds `id`, or -1 while it is to place. */
export const tierOf = (tiers, id) => tiers.findIndex((tier) => tier.includes(id));

/**
 * Put `id` into a tier (`{into: index}`), into a new one (`{before: index}`), or back among those to place
 * (`null`). Indices count the tiers as they are now.
 */
export function moved(tiers, id, target) {
  const rest = tiers.map((tier) => tier.filter((other) => other !== id));
  if (target?.into !== undefined) rest[target.into].push(id);
  if (target?.before !== undefined) rest.splice(target.before, 0, [id]);
  return rest.filter((tier) => tier.length);
}

/** One place better: out of the tray to the last place, out of a tie ahead of it, else past the one above. */
export function up(tiers, id) {
  const at = tierOf(tiers, id);
  if (at < 0) return moved(tiers, id, { before: tiers.length });
  if (tiers[at].length > 1) return moved(tiers, id, { before: at });
  return at ? moved(tiers, id, { before: at - 1 }) : tiers;
}

/** One place worse: out of a tie behind it, past the one below, and from the last place back to the tray. */
export function down(tiers, id) {
  const at = tierOf(tiers, id);
  if (at < 0) return tiers;
  if (tiers[at].length > 1) return moved(tiers, id, { before: at + 1 });
  return at === tiers.length - 1 ? moved(tiers, id, null) : moved(tiers, id, { before: at + 2 });
}

/** Tie with the tier above (the first one: with the one below); one that is tied already leaves the tie. */
export function tie(tiers, id) {
  const at = tierOf(tiers, id);
  if (at < 0) return moved(tiers, id, tiers.length ? { into: tiers.length - 1 } : { before: 0 });
  if (tiers[at].length > 1) return moved(tiers, id, { before: at + 1 });
  if (tiers.length === 1) return tiers;
  return moved(tiers, id, { into: at ? at - 1 : 1 });
}

export const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);

/** Only known ids, each once, no empty tiers: what an old draft is trusted with. */
export function mended(tiers, ids) {
  const left = new Set(ids);
  const take = (id) => left.delete(id);
  return (Array.isArray(tiers) ? tiers : [])
    .map((tier) => (Array.isArray(tier) ? tier.filter(take) : []))
    .filter((tier) => tier.length);
}
