// The window of a picture: from where to where, and how it is moved.

/**
 * Numbers of the x axis: seconds since 1970 for times, seconds for spans, else what the index holds.
 *
 * @typedef {{from: number, until: number}} Window
 */

/** The shortest window, so that its ends differ as floats. */
const SHORTEST = 1e-12;

/** A window as one parameter of an address. @param {Window} window */
export const windowText = ({ from, until }) => `${from},${until}`;

/** The window of an address; null where it is none. @param {string | null} text @returns {Window | null} */
export function windowOf(text) {
  const [from, until] = (text ?? "").split(",").map(parseFloat);
  return until > from && Number.isFinite(from) && Number.isFinite(until) ? { from, until } : null;
}

/**
 * An integer that the server takes: one of 64 bits, the last one for all beyond.
 *
 * @param {number} x
 * @param {boolean} up
 */
export function integer(x, up) {
  if (x >= 2 ** 63) return 2n ** 63n - 1n;
  return x <= -(2 ** 63) ? -(2n ** 63n) : BigInt(up ? Math.ceil(x) : Math.floor(x));
}

/**
 * A window so many times as wide around one of its points.
 *
 * @param {Window} window
 * @param {number} factor
 * @param {number} [around]
 * @returns {Window}
 */
export function zoomed({ from, until }, factor, around = (from + until) / 2) {
  const least = Math.max(Math.abs(from), Math.abs(until), 1e-9) * SHORTEST;
  if (factor < 1 && (until - from) * factor < least) return { from, until };
  return { from: around - (around - from) * factor, until: around + (until - around) * factor };
}

/**
 * A window moved by a share of its width.
 *
 * @param {Window} window
 * @param {number} share
 * @returns {Window}
 */
export function moved({ from, until }, share) {
  const by = (until - from) * share;
  return { from: from + by, until: until + by };
}

/**
 * What a key does to a window; nothing for other keys.
 *
 * @param {string} key
 * @param {Window} window
 * @returns {Window | "all" | undefined}
 */
export function keyed(key, window) {
  switch (key) {
    case "ArrowLeft": return moved(window, -0.25);
    case "ArrowRight": return moved(window, 0.25);
    case "+": case "=": case "ArrowUp": return zoomed(window, 0.5);
    case "-": case "ArrowDown": return zoomed(window, 2);
    case "0": case "Home": return "all";
    default: return undefined;
  }
}
