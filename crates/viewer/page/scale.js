// Colours of values: a scale for numbers, a colour each for categories, and a neutral one for what is undefined.

import { color } from "./chart.js";
import { h } from "./dom.js";
import { count, number } from "./format.js";

/** Steps of viridis, which colour-blind people and greyscale printers tell apart (van der Walt and Smith, CC0). */
const VIRIDIS = [
  [68, 1, 84], [72, 36, 117], [65, 68, 135], [53, 95, 141], [42, 120, 142], [33, 145, 140],
  [34, 168, 132], [68, 191, 112], [122, 209, 81], [189, 223, 38], [253, 231, 37],
];
/** The part of it that stands out from a light and from a dark ground. */
const [LIGHT, DARK] = [[0, 0.93], [0.16, 1]];
/** Colours of a scale; behind them are that of what is undefined and that of the special value. */
export const STEPS = 256;
/** Places in the colours of what is undefined, and of the value that stands for none. */
export const [UNDEFINED, SPECIAL] = [-1, -2];

/** Where the colour of a place is. @param {number} share */
export const colorAt = (share) => (share === SPECIAL ? STEPS + 1 : share < 0 ? STEPS : Math.round(share * (STEPS - 1)));
/** The most categories with a colour of their own. */
const MOST = 6;

/**
 * @typedef {object} Scale
 * @property {"values" | "categories"} kind
 * @property {number} min of values
 * @property {number} max of values
 * @property {Map<unknown, number>} places of categories: the colour of each
 * @property {string[]} names of the colours of categories; the last one may stand for all others
 */

/** @param {string} css as `rgb(1, 2, 3)` */
export const channels = (css) => (css.match(/[\d.]+/g) ?? ["0", "0", "0"]).slice(0, 3).map(Number);

/** Whether the page is dark. */
function isDark() {
  const [r, g, b] = channels(color("--back"));
  return r + g + b < 384;
}

/** @param {number} share from 0 to 1 */
function viridis(share) {
  const [from, until] = isDark() ? DARK : LIGHT;
  const at = (from + (until - from) * share) * (VIRIDIS.length - 1);
  const i = Math.min(Math.floor(at), VIRIDIS.length - 2);
  return VIRIDIS[i].map((a, k) => Math.round(a + (VIRIDIS[i + 1][k] - a) * (at - i)));
}

/** The names of the colours of categories; grey is left to what is undefined. @param {number} i */
const colorName = (i) => `--line-${i + 1}`;

/**
 * The colours of a scale, four bytes each, and behind them those of what is undefined and of the special value.
 *
 * @param {Scale} scale
 */
export function colors(scale) {
  const out = new Uint8Array((STEPS + 2) * 4).fill(255);
  for (let i = 0; i < STEPS; i += 1) {
    const rgb = scale.kind === "values" ? viridis(i / (STEPS - 1)) : channels(color(i < scale.names.length ? colorName(i) : "--line-7"));
    out.set(rgb, i * 4);
  }
  out.set(channels(color("--undefined")), STEPS * 4);
  out.set(channels(color("--special")), (STEPS + 1) * 4);
  return out;
}

/**
 * A scale of values.
 *
 * @param {number} min
 * @param {number} max
 * @returns {Scale}
 */
export const valueScale = (min, max) => ({ kind: "values", min, max, places: new Map(), names: [] });

/**
 * A scale of categories: those seen most often have a colour each, the others one together. Categories that had a colour
 * keep it.
 *
 * @param {Map<unknown, number>} counts
 * @param {(value: unknown) => string} name
 * @param {Scale | null} before
 * @returns {Scale}
 */
export function categoryScale(counts, name, before) {
  const known = before?.kind === "categories" ? [...before.places.keys()].slice(0, MOST) : [];
  const byCount = [...counts].sort((a, b) => b[1] - a[1]).map(([value]) => value);
  const chosen = [...known, ...byCount.filter((value) => !known.includes(value))].slice(0, MOST);
  if (chosen.length > known.length || !before) {
    // In an order that says something, as long as nothing has a colour yet.
    if (known.length === 0) chosen.sort((a, b) => (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true })));
  }
  const places = new Map(chosen.map((value, i) => [value, i]));
  const names = chosen.map(name);
  if (byCount.some((value) => !places.has(value))) names.push("others");
  return { kind: "categories", min: 0, max: 0, places, names };
}

/**
 * Where a value stands in the colours: from 0 to 1, and UNDEFINED.
 *
 * @param {Scale} scale
 * @param {number} value
 * @param {boolean} isUndefined
 */
export function placeOf(scale, value, isUndefined) {
  if (isUndefined || Number.isNaN(value)) return UNDEFINED;
  if (scale.kind === "categories") return (scale.places.get(value) ?? MOST) / (STEPS - 1);
  const share = scale.max > scale.min ? (value - scale.min) / (scale.max - scale.min) : 0.5;
  return share < 0 ? 0 : share > 1 ? 1 : share;
}

/**
 * What the colours mean.
 *
 * @param {Scale} scale
 * @param {{label: string, undefined: number, special?: {value: any, count: number} | null, note: string}} about
 */
export function legend(scale, { label, undefined: missing, special, note }) {
  const swatch = (/** @type {string} */ name) => {
    const box = h("i", { class: "swatch" });
    box.style.background = `var(${name})`;
    return box;
  };
  const entries = scale.kind === "categories"
    ? scale.names.map((name, i) => h("span", {}, swatch(i < MOST ? colorName(i) : "--line-7"), name))
    : [h("span", {}, few(scale.min), ramp(), few(scale.max))];
  return h("div", { class: "legend key-of-colors" },
    h("span", { class: "soft" }, label), ...entries,
    h("span", { class: "soft" }, swatch("--undefined"), `undefined: ${count(missing)}`),
    special && h("span", { class: "soft" }, swatch("--special"), `special (${special.value}): ${count(special.count)}`),
    note ? h("span", { class: "soft small" }, note) : null);
}

/** A number as the end of a scale. @param {number} x */
const few = (x) => number(Number.isInteger(x) ? x : Number(x.toPrecision(5)));

/** The scale as a strip. */
function ramp() {
  const strip = h("canvas", { class: "ramp", width: STEPS, height: 1, "aria-hidden": "true" });
  const ctx = strip.getContext("2d");
  for (let i = 0; ctx && i < STEPS; i += 1) {
    ctx.fillStyle = `rgb(${viridis(i / (STEPS - 1)).join(" ")})`;
    ctx.fillRect(i, 0, 1, 1);
  }
  return strip;
}
