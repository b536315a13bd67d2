// Numbers and times as people read them.

const COUNT = new Intl.NumberFormat("en-US");

/** @param {number | bigint} n */
export const count = (n) => COUNT.format(n);

/**
 * @param {number | bigint} n
 * @param {string} one
 */
export const plural = (n, one) => `${count(n)} ${one}${Number(n) === 1 ? "" : one.endsWith("s") ? "" : "s"}`;

/** @param {number} bytes */
export function size(bytes) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  while (Math.abs(bytes) >= 999.5 && unit < units.length - 1) {
    bytes /= 1000;
    unit += 1;
  }
  return `${unit === 0 || bytes >= 99.5 ? Math.round(bytes) : bytes.toPrecision(2)} ${units[unit]}`;
}

/**
 * A number with as many digits as say something.
 *
 * @param {number | bigint | string | null | undefined} x
 */
export function number(x) {
  if (x === null || x === undefined) return "missing";
  if (typeof x !== "number") return String(x);
  if (Number.isInteger(x)) return Number.isSafeInteger(x) ? COUNT.format(x) : String(x);
  // Twelve digits: all of a price or of an amount, and none of the noise that sums of floats have.
  return String(Number(x.toPrecision(12)));
}

/**
 * A time of UTC, with as many digits as it has, up to microseconds.
 *
 * @param {number} seconds since 1970
 */
export function time(seconds) {
  const micros = BigInt(Math.round(seconds * 1e6));
  return timeOf(micros * 1000n);
}

/**
 * @param {bigint} ns since 1970
 */
export function timeOf(ns) {
  const within = ((ns % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n;
  const date = new Date(Number((ns - within) / 1_000_000n));
  if (Number.isNaN(date.getTime())) return `${ns} ns`;
  const text = date.toISOString().replace("T", " ").slice(0, -5);
  const digits = within === 0n ? "" : `.${String(within).padStart(9, "0").replace(/(000)+$/, "")}`;
  return within === 0n && text.endsWith(" 00:00:00") ? text.slice(0, -9) : text + digits;
}

/**
 * A time as programs read it: to the nanosecond, so that it names an instant and not the day or hour that begins with it.
 *
 * @param {bigint} ns since 1970
 */
export function instant(ns) {
  const [seconds, digits = ""] = clock(ns).replace(" ", "T").split(".");
  return `${seconds}.${digits.padEnd(9, "0")}`;
}

/**
 * A time as the documented table of points has it, in as few digits as it needs: the texts sort as the times do.
 *
 * @param {bigint} ns since 1970
 */
export function clock(ns) {
  const text = timeOf(ns);
  return text.includes(" ") ? text : `${text} 00:00:00`;
}

/**
 * A length of time, roughly.
 *
 * @param {number} seconds
 */
export function duration(seconds) {
  /** @type {[number, string][]} */
  const units = [[31_556_952, "year"], [86_400, "day"], [3600, "h"], [60, "min"], [1, "s"], [1e-3, "ms"], [1e-6, "µs"]];
  const [length, name] = units.find(([length]) => seconds >= length) ?? [1e-9, "ns"];
  const n = seconds / length;
  const text = n >= 10 || Number.isInteger(n) ? String(Math.round(n)) : n.toFixed(1);
  return `${text} ${name}${name.length > 3 && text !== "1" ? "s" : ""}`;
}

/**
 * How long ago something was.
 *
 * @param {number} ms since 1970
 */
export function ago(ms) {
  const seconds = (Date.now() - ms) / 1000;
  return seconds < 2 ? "now" : `${duration(Math.floor(seconds))} ago`;
}

/**
 * JSON to read, with large integers as they are.
 *
 * @param {unknown} value
 */
export const json = (value) => JSON.stringify(value, (_, value) => (typeof value === "bigint" ? String(value) : value), 2);
