// A picture of a group of entities, coloured by an attribute.

import { get } from "./api.js";
import { cell, integers, numbers } from "./columns.js";
import { button, h, put } from "./dom.js";
import { count, number, plural } from "./format.js";
import { Plane } from "./plane.js";
import { SPECIAL, UNDEFINED, categoryScale, colors, legend, placeOf, valueScale } from "./scale.js";

/**
 * @typedef {import("./geometry.js").Geometry} Geometry
 * @typedef {import("./scale.js").Scale} Scale
 * @typedef {import("./simulation.js").Attribute} Attribute
 * @typedef {import("./simulation.js").SimulationPage} SimulationPage
 */

/** Integers of so few values have a colour each. */
const FEW = 6;
/** Pixels of a picture's height, and on a narrow page. */
const [HEIGHT, LOW] = [460, 340];

/** A picture of the group, coloured by an attribute. */
export class Panel {
  /** @param {SimulationPage} page @param {number} i */
  constructor(page, i) {
    this.page = page;
    this.i = i;
    this.name = "";
    /** @type {"values" | "categories"} */
    this.kind = "values";
    /** Whether somebody chose it. */
    this.isChosen = false;
    /** @type {{min: number | null, max: number | null} | null} */
    this.range = null;
    this.plane = new Plane({
      height: innerWidth > 800 ? HEIGHT : LOW,
      label: "Entities on a plane; drag to move, + and - zoom, 0 shows all",
      onView: (view) => page.setView(view),
      onPick: (row) => page.pick(row, this.lane),
      onHover: (row) => this.hover(row),
    });
    this.names = h("select", { "aria-label": "Coloured by", change: () => {
      this.choose(this.names.value, null);
      page.changed();
      page.history.load().catch(report);
    } });
    this.kinds = h("select", { "aria-label": "Colours", change: () => {
      this.setKind(/** @type {any} */ (this.kinds.value));
      this.isChosen = true;
      page.changed();
    } });
    this.slider = h("input", { type: "range", min: 0, value: 0, step: 1, "aria-label": "The other time", hidden: true, input: () => {
      page.other.index = Number(this.slider.value);
      this.showTime();
      page.changed();
    } });
    this.when = h("span", { class: "when mono", hidden: true });
    this.said = h("span", { class: "said" });
    this.key = h("div");
    this.under = h("div", { class: "legend mono" });
    this.element = h("section", { class: "picture" },
      h("div", { class: "row" }, h("label", {}, "Coloured by ", this.names), this.kinds, this.said,
        h("span", { class: "push group" }, button("PNG", () => this.plane.png(`${page.group}: ${this.name}, ${page.nameOf(this.lane.index)}`, this.key), { title: "Save the picture" }))),
      this.slider, this.when, this.key, this.plane.element, this.under);
  }

  get lane() {
    return this.i === 1 && this.page.beside === "time" ? this.page.other : this.page.lane;
  }

  /** The scale of what is coloured, one for both pictures: a colour means the same in both. @returns {Scale | null} */
  get scale() {
    return this.page.scales.get(`${this.name}\n${this.kind}`) ?? null;
  }

  set scale(scale) {
    if (scale) this.page.scales.set(`${this.name}\n${this.kind}`, scale);
  }

  showTime() {
    this.slider.max = String(this.page.times.length);
    this.slider.value = String(this.lane.index);
    this.when.textContent = this.page.nameOf(this.lane.index);
    this.slider.setAttribute("aria-valuetext", this.when.textContent);
  }

  /** @param {string} name @param {string | null} kind */
  choose(name, kind) {
    this.name = name;
    this.range = null;
    this.isChosen = kind === "values" || kind === "categories";
    const { of } = this.page.attribute(name);
    const byType = of && (of.kind === "text" || of.kind === "bool" || of.enum) ? "categories" : "values";
    this.setKind(this.isChosen && this.canBe(/** @type {any} */ (kind)) ? /** @type {any} */ (kind) : byType);
    this.showNames();
  }

  /** @param {"values" | "categories"} kind */
  canBe(kind) {
    const { of } = this.page.attribute(this.name);
    return kind === "values" ? of?.kind !== "text" : of?.kind === "text" || of?.kind === "bool" || of?.kind === "integer";
  }

  /** @param {"values" | "categories"} kind */
  setKind(kind) {
    this.kind = kind;
    const able = /** @type {const} */ (["values", "categories"]).filter((one) => this.canBe(one));
    put(this.kinds, ...able.map((one) => h("option", { value: one, selected: one === kind }, one === "values" ? "as a scale" : "as categories")));
    this.kinds.hidden = able.length < 2;
  }

  showNames() {
    put(this.names, ...this.page.colorNames().map((name) => h("option", { value: name, selected: name === this.name }, name)));
  }

  /** The range in the whole run, so that a colour means the same at every time. */
  async askRange() {
    const { of } = this.page.attribute(this.name);
    if (this.range || this.kind !== "values" || !of || this.element.hidden) return;
    const ask = () => get("simulation/range", { ...this.page.names(), attribute: of.name });
    // Of one that has a value that stands for none, the range would have that in it.
    this.range = of.special === null && ["number", "integer"].includes(of.kind) ? await ask() : { min: null, max: null };
  }

  draw() {
    const { page, plane, lane } = this;
    const geometry = page.places.geometry(lane);
    if (!geometry) {
      this.said.textContent = "cannot be drawn: not numeric";
      return;
    }
    const found = this.shares();
    if (!found) return;
    plane.setGeometry(geometry);
    plane.setColors(found.shares, colors(found.scale));
    const row = page.rowOfChosen(lane);
    plane.chosen = row < 0 ? null : row;
    plane.paint(page.view ?? page.panels[0].plane.all());
    put(this.key, legend(found.scale, { label: this.name, undefined: found.undefined, special: found.special, note: found.note }));
    const placed = geometry.owners ? new Set(geometry.owners).size : this.placed(geometry);
    const without = geometry.count - placed;
    this.said.textContent = `${plural(geometry.count, "entity").replace("entitys", "entities")}, exact${without > 0 ? `; ${count(without)} without coordinates` : ""}${plane.isFast ? "" : "; drawn without WebGL2"}`;
    plane.element.dataset.at = String(page.at(lane.index));
    if (!page.isWanted) plane.element.dataset.ready = "";
  }

  /** How many have a place. @param {Geometry} geometry */
  placed({ places, count: n }) {
    let placed = 0;
    for (let i = 0; i < n; i += 1) placed += places[2 * i] < 1e29 ? 1 : 0;
    return placed;
  }

  /** Of each entity its place in the colours. */
  shares() {
    const { page, lane, name } = this;
    const { of, part } = page.attribute(name);
    const column = of && lane.columns.get(of.name);
    if (!of || !column) return { shares: new Float32Array(lane.ids?.length ?? 0).fill(UNDEFINED), scale: valueScale(0, 0), undefined: lane.ids?.length ?? 0, special: null, note: "no attribute" };
    if (of.kind === "text") {
      const texts = page.of(column, "texts", () => Array.from({ length: column.length }, (_, i) => cell(column, i)));
      const values = texts.map((text) => (text === null ? NaN : text));
      return this.categories(values, null, specialsOf(of, values), String);
    }
    const found = page.of(column, `numbers ${part}`, () => numbers(column, part));
    if (!found) return null;
    const { values, isUndefined } = found;
    const special = specialsOf(of, values);
    const isNone = special ? values.map((_, i) => (isUndefined?.[i] || special.is[i] ? 1 : 0)) : isUndefined;
    if (this.kind === "values" && !this.isChosen && !this.scale && of.kind === "integer" && fewValues(values)) this.setKind("categories");
    if (this.kind === "categories") {
      const names = of.kind === "bool" ? ["false", "true"] : of.enum;
      return this.categories(values, isUndefined, special, (value) => names?.[Number(value)] ?? String(value));
    }
    let [min, max] = [this.scale?.min ?? this.range?.min ?? Infinity, this.scale?.max ?? this.range?.max ?? -Infinity];
    let missing = 0;
    for (let i = 0; i < values.length; i += 1) {
      const x = values[i];
      if (special?.is[i]) continue;
      if (isNone?.[i] || Number.isNaN(x)) missing += 1;
      else if (Number.isFinite(x)) {
        if (x < min) min = x;
        if (x > max) max = x;
      }
    }
    if (min > max) [min, max] = [0, 0];
    const scale = valueScale(min, max);
    this.scale = missing + (special?.count ?? 0) < values.length || this.range?.min != null ? scale : null;
    const shares = new Float32Array(values.length);
    for (let i = 0; i < values.length; i += 1) shares[i] = special?.is[i] ? SPECIAL : placeOf(scale, values[i], Boolean(isNone?.[i]));
    return { shares, scale, undefined: missing, special, note: this.range?.min != null ? "range of the whole run" : "range of what was shown so far" };
  }

  /**
   * @param {ArrayLike<any>} values
   * @param {ArrayLike<number> | null} isNone
   * @param {Specials | null} special
   * @param {(value: unknown) => string} name
   */
  categories(values, isNone, special, name) {
    /** @type {Map<unknown, number>} */
    const counts = new Map();
    let missing = 0;
    for (let i = 0; i < values.length; i += 1) {
      if (special?.is[i]) continue;
      if (isNone?.[i] || Number.isNaN(values[i])) missing += 1;
      else counts.set(values[i], (counts.get(values[i]) ?? 0) + 1);
    }
    const scale = categoryScale(counts, name, this.scale);
    this.scale = scale;
    const shares = new Float32Array(values.length);
    for (let i = 0; i < values.length; i += 1) shares[i] = special?.is[i] ? SPECIAL : placeOf(scale, values[i], Boolean(isNone?.[i]));
    return { shares, scale, undefined: missing, special, note: scale.names.includes("others") ? "the categories that are most frequent have a colour each" : "" };
  }

  /** @param {number | null} row */
  hover(row) {
    const { lane, page } = this;
    const { of } = page.attribute(this.name);
    const column = of && lane.columns.get(of.name);
    if (row === null || !lane.ids || !column) return put(this.under);
    put(this.under, h("span", {}, h("span", { class: "soft" }, "id"), h("b", {}, String(integers(lane.ids)[row]))),
      h("span", {}, h("span", { class: "soft" }, of.name), h("b", {}, shown(of, cell(column, row)))));
  }
}

/**
 * @typedef {object} Specials the entities that have the value that stands for none in the data of their attribute
 * @property {any} value
 * @property {Uint8Array} is
 * @property {number} count
 */

/** Null for an attribute without such a value. @param {Attribute} of @param {ArrayLike<any>} values @returns {Specials | null} */
function specialsOf(of, values) {
  if (of.special === null || of.special === undefined) return null;
  const is = Uint8Array.from(values, (value) => Number(isSpecial(of, value)));
  return { value: of.special, is, count: is.reduce((n, one) => n + one, 0) };
}

/** Whether a value is the one that the dataset says stands for none. @param {Attribute} of @param {any} value */
export function isSpecial(of, value) {
  if (of.special === null || of.special === undefined || value === null) return false;
  return typeof value === "string" ? value === of.special : Number(value) === Number(of.special);
}

/** A value as a person reads it. @param {Attribute} of @param {any} value */
export function shown(of, value) {
  if (value === null) return "undefined";
  if (isSpecial(of, value)) return `special (${value})`;
  if (of.enum?.[Number(value)] !== undefined) return `${of.enum[Number(value)]} (${value})`;
  return typeof value === "number" ? number(value) : String(value);
}

/** Whether integers have so few values that each may have its colour. @param {Float64Array} values */
function fewValues(values) {
  const seen = new Set();
  for (const value of values) {
    if (!Number.isNaN(value)) seen.add(value);
    if (seen.size > FEW) return false;
  }
  return seen.size > 0;
}

/** @param {unknown} error */
function report(error) {
  dispatchEvent(new CustomEvent("trouble", { detail: error }));
}
