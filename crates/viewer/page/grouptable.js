// The table of a group of entities at a time.

import { download } from "./api.js";
import { cell, integers } from "./columns.js";
import { button, h, keepingFocus, put } from "./dom.js";
import { plural } from "./format.js";
import { Word, grid } from "./grid.js";
import { isSpecial, shown } from "./panel.js";

/**
 * @typedef {import("./columns.js").Column} Column
 * @typedef {import("./simulation.js").Attribute} Attribute
 * @typedef {import("./simulation.js").SimulationPage} SimulationPage
 */

/** Entities up to which the table is open unless the address says otherwise. */
const MOST = 20_000;

export class GroupTable {
  /** @param {SimulationPage} page */
  constructor(page) {
    this.page = page;
    /** @type {boolean | null} whether it is open, if somebody chose */
    this.asked = null;
    this.rows = h("div");
    this.said = h("span", { class: "said" });
    this.element = h("details", { class: "code", toggle: () => this.toggled() }, h("summary", {}, "Table at this time"),
      h("div", { class: "row" }, this.said,
        h("span", { class: "push group" },
          button("CSV", () => this.download("csv"), { title: "Save the group at this time" }),
          button("Parquet", () => this.download("parquet"), { title: "Save the group at this time" }))),
      this.rows);
  }

  /** Whether the table is open: as somebody chose, else for groups that are not large, and where there is no picture. */
  isWanted() {
    if (this.asked !== null) return this.asked;
    const { places, lane } = this.page;
    return places.drawn === null || (lane.ids !== null && lane.ids.length <= MOST);
  }

  /** The table was opened or closed, by this page or by somebody. */
  toggled() {
    if (this.element.open === this.isWanted()) return;
    this.asked = this.element.open;
    this.page.changed();
  }

  show() {
    const { page } = this;
    const { ids, columns, index } = page.lane;
    if (!this.element.open || !ids) return;
    const attributes = page.attributes.filter(({ name }) => columns.has(name));
    const names = attributes.map(({ name }) => name);
    const all = names.map((name) => /** @type {Column} */ (columns.get(name)));
    const numbers = integers(ids);
    const value = (/** @type {Column} */ column, /** @type {Attribute} */ of, /** @type {number} */ i) => {
      const found = cell(column, i);
      return isSpecial(of, found) ? new Word(shown(of, found), "special") : found;
    };
    const row = (/** @type {number} */ i) => [numbers[i], ...all.map((column, k) => value(column, attributes[k], i))];
    const rows = { length: ids.length, slice: (/** @type {number} */ from, /** @type {number} */ until) => Array.from({ length: Math.max(0, Math.min(until, ids.length) - from) }, (_, k) => row(from + k)) };
    const before = this.rows.firstElementChild;
    const [top, left] = [before?.scrollTop ?? 0, before?.scrollLeft ?? 0];
    const made = grid(["id", ...names], /** @type {any} */ (rows));
    keepingFocus(this.rows, () => put(this.rows, made));
    made.scrollTo(left, top);
    this.said.textContent = `${plural(ids.length, "row")}, ${page.nameOf(index)}`;
    this.rows.dataset.at = String(page.at(index));
  }

  /** @param {"csv" | "parquet"} format */
  download(format) {
    const { page } = this;
    download("simulation/state", { ...page.names(), at: page.at(page.lane.index).toString(), format }).catch(report);
  }
}

/** @param {unknown} error */
function report(error) {
  dispatchEvent(new CustomEvent("trouble", { detail: error }));
}
