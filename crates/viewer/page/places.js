// What entities are drawn as, and where: points, lines through their points, or lines from one entity to another.

import { arrowTable, get } from "./api.js";
import { integers, numbers, shapes } from "./columns.js";
import { h, put } from "./dom.js";
import { linesOf, pointsOf } from "./geometry.js";

/**
 * @typedef {import("./geometry.js").Geometry} Geometry
 * @typedef {import("./simulation.js").Lane} Lane
 * @typedef {import("./simulation.js").SimulationPage} SimulationPage
 *
 * @typedef {{kind: "points", x: string, y: string} | {kind: "shapes", shape: string} | {kind: "ends", from: string, to: string}} Drawn
 */

export class Places {
  /** @param {SimulationPage} page */
  constructor(page) {
    this.page = page;
    /** @type {Drawn[]} */
    this.proposals = [];
    /** @type {Drawn | null} */
    this.drawn = null;
    /** @type {{key: string, geometry: Geometry} | null} */
    this.made = null;
    /** @type {Map<string, {key: string, places: Map<bigint, [number, number]>}>} */
    this.nodes = new Map();
    /** @type {Map<string, Promise<any>>} */
    this.remembered = new Map();
    this.element = h("div", { class: "row places" });
    this.note = h("p", { class: "empty", hidden: true });
  }

  /** Another group is shown. */
  clear() {
    this.made = null;
    this.nodes.clear();
  }

  /** The names of the attributes that a picture needs. */
  names() {
    const { drawn } = this;
    return drawn?.kind === "points" ? [drawn.x, drawn.y] : drawn?.kind === "shapes" ? [drawn.shape] : drawn ? [drawn.from, drawn.to] : [];
  }

  /** What the address says is drawn. @param {URLSearchParams} query @returns {Drawn | null} */
  asked(query) {
    const [kind, x, y, shape] = ["as", "x", "y", "shape"].map((name) => query.get(name));
    const numbers = this.page.numberNames();
    if (kind === "points" && x && y && numbers.includes(x) && numbers.includes(y)) return { kind, x, y };
    if (kind === "shapes" && this.page.attributes.some((of) => of.name === shape && of.is_shape)) return { kind, shape: shape ?? "" };
    return this.proposals.find((one) => one.kind === "ends" && kind === "ends") ?? null;
  }

  /** Which attributes are coordinates, and that a name was all that was gone by. */
  show() {
    const { drawn } = this;
    const kinds = { points: "points", shapes: "lines through their points", ends: "lines between two entities" };
    const able = [["points", this.page.numberNames().length > 0], ["shapes", this.page.attributes.some((of) => of.is_shape)], ["ends", this.proposals.some(({ kind }) => kind === "ends")]];
    const choose = (/** @type {Drawn | null} */ next) => {
      this.drawn = next;
      this.page.view = null;
      this.show();
      this.page.changed();
    };
    const kind = h("select", { "aria-label": "Drawn as", change: () => choose(this.drawnAs(kind.value)) },
      ...able.filter(([, is]) => is).map(([value]) => h("option", { value: String(value), selected: value === drawn?.kind }, kinds[/** @type {keyof typeof kinds} */ (value)])),
      h("option", { value: "", selected: !drawn }, "table only"));
    const axis = (/** @type {"x" | "y"} */ name) => {
      const made = h("select", { "aria-label": name, change: () => drawn?.kind === "points" && choose({ ...drawn, [name]: made.value }) },
        ...this.page.numberNames().map((of) => h("option", { value: of, selected: drawn?.kind === "points" && drawn[name] === of }, of)));
      return h("label", {}, `${name} `, made);
    };
    const shape = h("select", { "aria-label": "Shape", change: () => choose({ kind: "shapes", shape: shape.value }) },
      ...this.page.attributes.filter((of) => of.is_shape).map((of) => h("option", { value: of.name, selected: drawn?.kind === "shapes" && drawn.shape === of.name }, of.name)));
    const isProposed = this.proposals.some((one) => JSON.stringify(one) === JSON.stringify(drawn));
    put(this.element, h("label", {}, "Drawn as ", kind),
      ...(drawn?.kind === "points" ? [axis("x"), axis("y")] : []),
      drawn?.kind === "shapes" && h("label", {}, "of ", shape),
      drawn?.kind === "ends" && h("span", { class: "soft" }, `from ${drawn.from} to ${drawn.to}, at the coordinates of the entities of these ids`),
      h("span", { class: "soft small" }, drawn ? (isProposed ? "taken for coordinates by their names" : "chosen") : ""));
    this.note.textContent = this.proposals.length > 0 ? "Choose what the entities are drawn as." : "No attribute is called as a coordinate is: choose which are x and y under “Drawn as”, or read the table.";
    this.note.hidden = drawn !== null;
    this.page.planes.hidden = drawn === null;
  }

  /** @param {string} kind @returns {Drawn | null} */
  drawnAs(kind) {
    const proposed = this.proposals.find((one) => one.kind === kind);
    if (proposed) return proposed;
    const [x, y = x] = this.page.numberNames();
    if (kind === "points" && x) return { kind, x, y };
    const shape = this.page.attributes.find((of) => of.is_shape);
    return kind === "shapes" && shape ? { kind, shape: shape.name } : null;
  }

  /** Coordinates of the entities that lines lead to: those of the dataset's groups that have some. @param {AbortSignal} signal */
  async askNodes(signal) {
    const groups = this.page.datasets.find(({ name }) => name === this.page.dataset)?.groups ?? [];
    await Promise.all(groups.map(async (group) => {
      let known = this.nodes.get(group);
      if (!known) this.nodes.set(group, known = { key: "", places: new Map() });
      const { plane } = await this.remember(`group ${group}`, () => get("simulation/group", { dataset: this.page.dataset, group }));
      const of = plane.find((/** @type {Drawn} */ one) => one.kind === "points" && !one.x.includes("["));
      if (!of) return;
      const query = { dataset: this.page.dataset, group, at: this.page.at(this.page.lane.index).toString(), attribute: [of.x, of.y], known: known.key ? known.key.split(" ") : [] };
      const { about, arrow } = await arrowTable("simulation/state", query, signal);
      const key = ["id", of.x, of.y].map((name) => about.hashes[name]).join(" ");
      if (about.left_out.length === 3 || key === known.key) return;
      // One of them is another: all are read again.
      const whole = about.left_out.length === 0 ? arrow : (await arrowTable("simulation/state", { ...query, known: [] }, signal)).arrow;
      const column = (/** @type {number} */ i) => ({ vector: whole.getChildAt(i), length: about.entities, hash: "" });
      const [ids, x, y] = [integers(column(0)), numbers(column(1)), numbers(column(2))];
      const places = new Map();
      ids.forEach((id, i) => x && y && places.set(id, [x.values[i], y.values[i]]));
      this.nodes.set(group, { key, places });
    }));
  }

  /** @param {string} key @param {() => Promise<any>} ask */
  remember(key, ask) {
    const name = `${this.page.dataset}\n${key}`;
    const found = this.remembered.get(name) ?? ask();
    this.remembered.set(name, found);
    return found;
  }

  /** @param {Lane} lane @returns {Geometry | null} */
  geometry(lane) {
    const { drawn } = this;
    if (!drawn) return null;
    const names = Object.entries(drawn).filter(([name]) => name !== "kind").map(([, name]) => name);
    const hashes = names.map((name) => lane.columns.get(this.page.attribute(name).of?.name ?? "")?.hash);
    const key = JSON.stringify([drawn, hashes, drawn.kind === "ends" && [...this.nodes.values()].map((of) => of.key)]);
    if (this.made?.key === key) return this.made.geometry;
    const geometry = this.make(lane, drawn);
    if (geometry && lane === this.page.lane) this.made = { key, geometry };
    return geometry;
  }

  /** @param {Lane} lane @param {Drawn} drawn @returns {Geometry | null} */
  make(lane, drawn) {
    if (drawn.kind === "points") {
      const [x, y] = [this.page.numbers(lane, drawn.x), this.page.numbers(lane, drawn.y)];
      return x && y && pointsOf(x.values, y.values);
    }
    if (drawn.kind === "shapes") {
      const column = lane.columns.get(drawn.shape);
      const lines = column && shapes(column);
      return lines ? linesOf(lines.offsets, lines.x, lines.y) : null;
    }
    const [from, to] = [this.page.numbers(lane, drawn.from), this.page.numbers(lane, drawn.to)];
    if (!from || !to) return null;
    const place = (/** @type {number} */ id) => {
      if (!Number.isInteger(id)) return undefined;
      for (const { places } of this.nodes.values()) {
        const found = places.get(BigInt(id));
        if (found) return found;
      }
      return undefined;
    };
    const n = from.values.length;
    const [x, y] = [new Float64Array(2 * n).fill(NaN), new Float64Array(2 * n).fill(NaN)];
    for (let i = 0; i < n; i += 1) {
      [place(from.values[i]), place(to.values[i])].forEach((at, k) => at && ([x[2 * i + k], y[2 * i + k]] = at));
    }
    return linesOf(Array.from({ length: n + 1 }, (_, i) => 2 * i), x, y);
  }
}
