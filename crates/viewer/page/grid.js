// A table of many rows, of which only those in sight are elements.

import { h, keepingFocus, put } from "./dom.js";

/** Pixels of a row; the style sheet says the same. */
const ROW = 26;
/** Rows above and below those in sight. */
const BEYOND = 20;
/** Pixels of a character, and the narrowest and widest column in characters. */
const CHARACTER = 7.4;
const NARROW = 6;
const WIDE = 48;
/** Pixels of a small picture with its room. */
const SPARK = 104;
/** Rows that a column's width is taken from. */
const SAMPLE = 200;

/** What stands in a cell in place of a value of its column. */
export class Word {
  /** @param {string} text @param {string} look a class of the style sheet */
  constructor(text, look) {
    this.text = text;
    this.look = look;
  }

  toString() {
    return this.text;
  }
}

/** @param {unknown} cell */
const text = (cell) => (cell === null ? "NULL" : String(cell));

/**
 * @typedef {object} Choice rows can be chosen, and columns sorted by
 * @property {(row: number) => number} mark the number of a chosen row, from 1; 0 for others
 * @property {(row: number) => void} toggle
 * @property {(column: number) => void} sort
 * @property {string} sorted what stands behind the name of the column that is sorted by
 * @property {number} column that column
 * @property {(row: number) => Node} link the first cell of a row, which leads to its own page
 * @property {(row: number) => Node} [spark] a small picture of a row, made when the row comes into sight
 * @property {string} [sparked] what it shows
 */

/**
 * @param {string[]} columns
 * @param {{length: number, slice: (from: number, until: number) => unknown[][]}} rows
 * @param {Choice} [choice]
 */
export function grid(columns, rows, choice) {
  const body = h("tbody");
  const sample = rows.slice(0, SAMPLE);
  const widths = columns.map((name, i) => Math.min(WIDE, Math.max(NARROW, name.length + 2, ...sample.map((row) => text(row[i]).length))) * CHARACTER + 24);
  const isNumber = columns.map((_, i) => sample.every((row) => row[i] === null || row[i] instanceof Word || typeof row[i] === "number" || typeof row[i] === "bigint"));
  const group = h("colgroup", {}, ...[...(choice ? [64] : []), ...(choice?.spark ? [SPARK] : []), ...widths].map((width) => {
    const column = h("col");
    column.style.width = `${width}px`;
    return column;
  }));
  const title = (/** @type {string} */ name, /** @type {number} */ i) =>
    choice ? h("button", { type: "button", class: "plain", click: () => choice.sort(i), title: "Sort", "data-key": `column ${name}` }, i === choice.column ? `${name} ${choice.sorted}` : name) : name;
  const head = h("thead", {}, h("tr", {}, choice && h("th", { scope: "col" }), choice?.spark && h("th", { scope: "col", title: choice.sparked }, choice.sparked), ...columns.map((name, i) => h("th", { class: isNumber[i] ? "n" : "", title: name, scope: "col" }, title(name, i)))));
  const host = h("div", { class: "grid", tabindex: 0, "data-key": "grid", role: "region", "aria-label": `${rows.length} rows`, scroll: () => show(false) },
    h("table", { "aria-rowcount": rows.length + 1 }, group, head, body));
  let first = -1;

  const space = (/** @type {number} */ n) => {
    const row = h("tr", { class: "space" }, h("td", { colspan: columns.length + 2 }));
    row.style.height = `${n * ROW}px`;
    return row;
  };
  const box = (/** @type {number} */ row, /** @type {string} */ name) => {
    const mark = choice?.mark(row) ?? 0;
    const toggle = () => {
      choice?.toggle(row);
      show(true);
    };
    return h("td", {}, h("label", { class: "choice" }, h("input", { type: "checkbox", checked: mark > 0, change: toggle, "aria-label": name, "data-key": `row ${name}` }), h("i", { class: `swatch ${mark ? `c${mark}` : ""}` })));
  };
  const show = (/** @type {boolean} */ again) => {
    const at = Math.max(0, Math.floor(host.scrollTop / ROW) - BEYOND);
    const from = at - (at % BEYOND);
    if (from === first && !again) return;
    first = from;
    const until = Math.min(rows.length, from + Math.ceil((host.clientHeight || 600) / ROW) + 3 * BEYOND);
    const shown = rows.slice(from, until).map((row, k) =>
      h("tr", {}, choice && box(from + k, text(row[0])), choice?.spark && h("td", {}, choice.spark(from + k)), ...row.map((cell, i) => h("td", { class: cell === null ? "null" : `${isNumber[i] ? "n" : ""} ${cell instanceof Word ? cell.look : ""}`.trim(), title: text(cell) }, choice && i === 0 ? choice.link(from + k) : choice && cell === null ? "" : text(cell)))));
    keepingFocus(body, () => put(body, space(from), ...shown, space(rows.length - until)));
  };
  show(true);
  return host;
}
