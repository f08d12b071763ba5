// A cursor is `g{push streams}` and, of each that matters, `.{stream}-{milliseconds}-{sequence}`.
// WebSocket and stream have the same ones; the id of a stream's event may have a `~suffix` more.

/**
 * @param {string} cursor
 * @returns {{streams: string, at: Map<string, [number, number]>} | null}
 */
function parse(cursor) {
  const [streams, ...parts] = cursor.split(".");
  if (streams === undefined || !/^g\d+$/.test(streams)) return null;
  /** @type {Map<string, [number, number]>} */
  const at = new Map();
  for (const part of parts) {
    const found = /^(\d+)-(\d+)-(\d+)$/.exec(part);
    if (!found) return null;
    at.set(/** @type {string} */ (found[1]), [Number(found[2]), Number(found[3])]);
  }
  return { streams, at };
}

/** @param {string} id */
export function cursorOf(id) {
  return /** @type {string} */ (id.split("~", 1)[0]);
}

/**
 * Whether both are cursors, and say something of the same push streams.
 * @param {string} a
 * @param {string} b
 */
export function comparable(a, b) {
  const [ours, theirs] = [parse(a), parse(b)];
  return !!ours?.at.size && !!theirs?.at.size && ours.streams === theirs.streams;
}

/**
 * Whether whoever is at `here` has seen what ends at `there`. Unknown is no.
 * @param {string} here
 * @param {string} there
 */
export function covers(here, there) {
  const [ours, theirs] = [parse(here), parse(there)];
  if (!ours || !theirs || ours.streams !== theirs.streams || !theirs.at.size) return false;
  return [...theirs.at].every(([stream, position]) => {
    const mine = ours.at.get(stream);
    return mine !== undefined && compare(mine, position) >= 0;
  });
}

/**
 * One cursor from which nothing is missing that comes after any of these, or after all of them.
 * @param {string[]} cursors
 * @param {"earliest" | "latest"} which
 * @returns {string | null}
 */
export function joined(cursors, which) {
  const all = cursors.map(parse);
  const first = all[0];
  if (!first) return cursors[0] ?? null;
  /** @type {Map<string, [number, number]>} */
  const at = new Map();
  for (const each of all) {
    if (!each || each.streams !== first.streams) return cursors[0] ?? null;
    for (const [stream, position] of each.at) {
      const known = at.get(stream);
      const wins = known === undefined || compare(position, known) < 0 === (which === "earliest");
      if (wins) at.set(stream, position);
    }
  }
  const parts = [...at].sort(([a], [b]) => Number(a) - Number(b));
  return first.streams + parts.map(([stream, [ms, n]]) => `.${stream}-${ms}-${n}`).join("");
}

/**
 * @param {[number, number]} a
 * @param {[number, number]} b
 */
function compare(a, b) {
  return a[0] - b[0] || a[1] - b[1];
}
