// Simulations: a group of entities at a time, on a plane and as a table, and the history of one.

import { arrowTable, download, get } from "./api.js";
import { Chooser } from "./chooser.js";
import { cell, integers, numbers, shapes } from "./columns.js";
import { begun, button, h, keepingFocus, put } from "./dom.js";
import { EntityHistory } from "./entity.js";
import { count, plural, time } from "./format.js";
import { Word, grid } from "./grid.js";
import { Keyframes } from "./keyframes.js";
import { Panel, isSpecial, shown } from "./panel.js";
import { linesOf, pointsOf } from "./plane.js";
import { windowOf, windowText } from "./window.js";

/**
 * @typedef {import("./columns.js").Column} Column
 * @typedef {import("./plane.js").View} View
 * @typedef {import("./plane.js").Geometry} Geometry
 *
 * @typedef {object} Attribute
 * @property {string} name
 * @property {"bool" | "integer" | "number" | "text" | "time" | "span" | "other"} kind
 * @property {number[]} shape
 * @property {boolean} ragged
 * @property {boolean} is_shape
 * @property {string[] | null} enum
 * @property {any} special
 *
 * @typedef {{kind: "points", x: string, y: string} | {kind: "shapes", shape: string} | {kind: "ends", from: string, to: string}} Drawn
 *
 * @typedef {object} Lane a group at a time
 * @property {number} index of the step
 * @property {Map<string, Column>} columns
 * @property {Column | null} ids
 */

/** Entities up to which the table is open unless the address says otherwise. */
const TABLE = 20_000;
/** Steps a second. */
const SPEEDS = [1, 2, 5, 10, 30];
const PAUSE = 150;

/** @type {import("./app.js").Page} */
export async function simulation(host, query, context) {
  return begun(new SimulationPage(host, context), query);
}

/** The name of a number: of an attribute with one, or of a part of one with several. @param {Attribute} of */
function parts(of) {
  if (of.ragged || of.kind === "other") return [];
  const n = of.shape.reduce((product, k) => product * k, 1);
  return of.shape.length === 0 ? [of.name] : Array.from({ length: n }, (_, i) => `${of.name}[${i}]`);
}

export class SimulationPage {
  /** @param {HTMLElement} host @param {import("./app.js").Context} context */
  constructor(host, context) {
    this.host = host;
    this.context = context;
    /** @type {{name: string, groups: string[]}[]} */
    this.datasets = [];
    /** @type {any} */
    this.timeline = null;
    this.dataset = "";
    this.group = "";
    /** @type {Attribute[]} */
    this.attributes = [];
    /** @type {Drawn[]} */
    this.proposals = [];
    /** @type {Drawn | null} */
    this.drawn = null;
    /** @type {BigInt64Array} */
    this.times = new BigInt64Array(0);
    /** Whether the last step is shown whatever comes. */
    this.follows = true;
    /** @type {Map<string, Column & {memo?: Map<string, any>}>} columns that are shown, by their hash */
    this.held = new Map();
    /** @type {View | null} */
    this.view = null;
    /** @type {"" | "attribute" | "time"} */
    this.beside = "";
    /** @type {Panel[]} */
    this.panels = [];
    /** @type {string | null} the id of the entity whose history is shown */
    this.chosen = null;
    /** @type {boolean | null} */
    this.isTableOpen = null;
    this.isPlaying = false;
    this.speed = 5;
    this.timer = 0;
    this.isWanted = false;
    /** @type {Promise<void> | null} */
    this.running = null;
    this.asking = new AbortController();
    /** @type {{key: string, geometry: Geometry} | null} */
    this.made = null;
    /** @type {Map<string, {key: string, places: Map<bigint, [number, number]>}>} */
    this.nodes = new Map();
    /** @type {Map<string, Promise<any>>} */
    this.remembered = new Map();
    /** @type {Map<string, import("./scale.js").Scale>} of each attribute and kind */
    this.scales = new Map();

    this.choosers = h("div", { class: "row" });
    this.slider = h("input", { type: "range", min: 0, max: 0, value: 0, step: 1, "aria-label": "Time", input: () => this.go(Number(this.slider.value)) });
    this.keyframes = new Keyframes();
    /** Buttons that go from keyframe to keyframe. */
    this.jumps = h("span", { class: "group", hidden: true },
      button("‹ K", () => this.jump(-1), { "aria-label": "Keyframe before", title: "The keyframe before ([)" }),
      button("K ›", () => this.jump(1), { "aria-label": "Next keyframe", title: "The next keyframe (])" }));
    this.when = h("span", { class: "when mono" });
    this.play = button("▶", () => this.toggle(), { "aria-label": "Play", title: "Play (space)" });
    this.pace = h("select", { "aria-label": "Steps a second", change: () => (this.speed = Number(this.pace.value)) },
      ...SPEEDS.map((speed) => h("option", { value: speed, selected: speed === this.speed }, `${speed} a second`)));
    this.clock = h("div", { class: "row clock", keydown: (event) => this.key(event) },
      h("span", { class: "group" },
        button("⇤", () => this.go(0), { "aria-label": "Begin", title: "The initial state" }),
        button("‹", () => this.go(this.lane.index - 1), { "aria-label": "Step back" }),
        this.play,
        button("›", () => this.go(this.lane.index + 1), { "aria-label": "Step on" }),
        button("⇥", () => this.go(this.times.length), { "aria-label": "End", title: "The last step; what is written later follows" })),
      h("span", { class: "track" }, this.slider, this.keyframes.element), this.jumps, this.when, this.pace);
    this.places = h("div", { class: "row places" });
    this.chooser = new Chooser("Entity", (id) => this.choose(id), (way) => this.neighbour(way));
    this.unknown = h("p", { class: "soft", hidden: true, role: "status" });
    this.note = h("p", { class: "empty", hidden: true });
    this.planes = h("div", { class: "planes" });
    this.history = new EntityHistory(this);
    this.rows = h("div");
    this.tableSaid = h("span", { class: "said" });
    this.table = h("details", { class: "code", toggle: () => this.toggled() }, h("summary", {}, "Table at this time"),
      h("div", { class: "row" }, this.tableSaid,
        h("span", { class: "push group" },
          button("CSV", () => this.download("csv"), { title: "Save the group at this time" }),
          button("Parquet", () => this.download("parquet"), { title: "Save the group at this time" }))),
      this.rows);
    this.code = h("pre");
    /** @type {Lane} */
    this.lane = { index: 0, columns: new Map(), ids: null };
    /** @type {Lane} */
    this.other = { index: 0, columns: new Map(), ids: null };
    this.recolor = () => this.draw();
    addEventListener("theme", this.recolor);
  }

  /** @param {URLSearchParams} query */
  async begin(query) {
    const found = await get("simulation");
    this.datasets = found.datasets.filter((/** @type {any} */ of) => of.groups.length > 0);
    this.timeline = found.timeline;
    if (this.datasets.length === 0) {
      put(this.host, h("p", { class: "empty" }, "No dataset has entities yet."));
      return;
    }
    const asked = this.datasets.find(({ name }) => name === query.get("d")) ?? this.datasets[0];
    this.dataset = asked.name;
    this.group = asked.groups.find((name) => name === query.get("g")) ?? asked.groups[0];
    await this.begun(query);
  }

  /** A group, as the address has it. @param {URLSearchParams} query */
  async begun(query) {
    await Promise.all([this.askGroup(), this.askTimes()]);
    const index = (/** @type {string | null} */ text) => {
      if (text === null) return this.times.length;
      if (text === "initial") return 0;
      const asked = /^-?\d+$/.test(text) ? BigInt(text) : 0n;
      return this.times.filter((at) => at <= asked).length;
    };
    this.follows = !query.has("t");
    this.lane = { index: index(query.get("t")), columns: new Map(), ids: null };
    this.other = { index: query.has("t2") ? index(query.get("t2")) : Math.min(1, this.times.length), columns: new Map(), ids: null };
    this.drawn = this.asked(query) ?? this.proposals[0] ?? null;
    const [x, y, span] = (query.get("view") ?? "").split(",").map(parseFloat);
    this.view = span > 0 && Number.isFinite(x) && Number.isFinite(y) ? { x, y, span } : null;
    const beside = query.get("beside");
    this.beside = beside === "attribute" || beside === "time" ? beside : "";
    this.chosen = query.get("id");
    this.chooser.show(this.chosen);
    this.history.asked = windowOf(query.get("zoom"));
    const open = query.get("table");
    this.isTableOpen = open === null ? null : open === "1";
    this.layOut();
    const names = this.colorNames();
    const first = this.likeliest();
    this.panels[0].choose(names.find((name) => name === query.get("c")) ?? first, query.get("k"));
    this.panels[1].choose(names.find((name) => name === query.get("c2")) ?? this.besideName(), query.get("k2"));
    this.showUnknown(query);
    await this.want();
    await this.history.load().catch(report);
  }

  /** What the address names and the file does not have is said, and not kept. @param {URLSearchParams} query */
  showUnknown(query) {
    const colors = this.colorNames();
    /** @type {[string, string, boolean][]} */
    const named = [
      ["d", "dataset", this.dataset === query.get("d")], ["g", "group", this.group === query.get("g")],
      ...["c", "c2"].map((name) => /** @type {[string, string, boolean]} */ ([name, "attribute", colors.includes(query.get(name) ?? "")])),
      ...["x", "y"].map((name) => /** @type {[string, string, boolean]} */ ([name, "number", this.numberNames().includes(query.get(name) ?? "")])),
      ["shape", "shape", this.attributes.some((of) => of.is_shape && of.name === query.get("shape"))],
    ];
    const unknown = named.filter(([name, , is]) => query.has(name) && !is).map(([name, what]) => `the ${what} ${query.get(name)}`);
    this.unknown.textContent = `The address names what is not here: ${unknown.join(", ")}.`;
    this.unknown.hidden = unknown.length === 0;
    if (unknown.length > 0) this.state();
  }

  close() {
    this.asking.abort();
    clearTimeout(this.timer);
    this.isPlaying = false;
    removeEventListener("theme", this.recolor);
    this.panels.forEach((panel) => panel.plane.close());
    this.history.chart.close();
  }

  /** Something was written. */
  async refresh() {
    if (this.datasets.length === 0) return this.begin(new URLSearchParams(location.search));
    await this.askTimes();
    if (this.follows && !this.isPlaying) this.lane.index = this.times.length;
    await this.want();
    await this.history.load();
  }

  names() {
    return { dataset: this.dataset, group: this.group };
  }

  async askGroup() {
    const { attributes, plane } = await get("simulation/group", this.names());
    this.attributes = attributes;
    this.proposals = plane;
  }

  /** The times at which there is something, and which of them have a keyframe. */
  async askTimes() {
    const before = this.times;
    await this.askUpdates();
    if (this.times === before) return;
    // Statements wait for each other: the picture does not wait for them.
    this.keyframes.load(this.dataset, this.group, this.times).then(() => {
      this.jumps.hidden = this.keyframes.steps.length === 0;
      this.showTime();
    }).catch(report);
  }

  /** All times, or those that have come since. */
  async askUpdates() {
    const last = this.times[this.times.length - 1];
    const ask = (/** @type {any} */ more) => arrowTable("simulation/times", { ...this.names(), ...more });
    const column = (/** @type {any} */ arrow) => integers({ vector: arrow.getChildAt(0), length: arrow.numRows, hash: "" });
    if (last !== undefined) {
      const { about, arrow } = await ask({ from: last + 1n });
      const more = column(arrow);
      if (about.times === this.times.length + more.length) {
        if (more.length === 0) return;
        const all = new BigInt64Array(about.times);
        all.set(this.times);
        all.set(more, this.times.length);
        this.times = all;
        return;
      }
    }
    this.times = column((await ask({})).arrow);
  }

  /** The place of a step, as the server takes it. @param {number} index */
  at(index) {
    const first = this.times[0] ?? 0n;
    const initial = first <= -1n ? first - 1n : -1n;
    return index === 0 ? initial : this.times[Math.min(index, this.times.length) - 1] ?? initial;
  }

  /** @param {number} index */
  nameOf(index) {
    if (index === 0) return "initial state";
    const at = this.at(index);
    const step = `step ${count(index)} of ${count(this.times.length)}${this.keyframes.has(index) ? ", keyframe" : ""}`;
    return this.timeline ? `${time(this.timeline.reference + Number(at) * this.timeline.time_scale)} UTC (${at}), ${step}` : `${at}, ${step}`;
  }

  /** What the address says is drawn. @param {URLSearchParams} query @returns {Drawn | null} */
  asked(query) {
    const [kind, x, y, shape] = ["as", "x", "y", "shape"].map((name) => query.get(name));
    const numbers = this.numberNames();
    if (kind === "points" && x && y && numbers.includes(x) && numbers.includes(y)) return { kind, x, y };
    if (kind === "shapes" && this.attributes.some((of) => of.name === shape && of.is_shape)) return { kind, shape: shape ?? "" };
    return this.proposals.find((one) => one.kind === "ends" && kind === "ends") ?? null;
  }

  /** Numbers that may be coordinates. */
  numberNames() {
    return this.attributes.filter((of) => of.kind === "number" || of.kind === "integer").flatMap(parts);
  }

  /** What may be coloured. */
  colorNames() {
    return this.attributes.flatMap(parts);
  }

  /** What is coloured unless somebody chooses: of what changes and is no coordinate a number first, then a state, then a text. */
  likeliest() {
    const places = new Set(this.drawn ? Object.values(this.drawn) : []);
    const summed = (this.context.overview.file?.datasets ?? []).find((/** @type {any} */ of) => of.name === this.dataset);
    const changing = summed?.groups.find((/** @type {any} */ of) => of.name === this.group)?.attributes ?? [];
    const kinds = ["number", "integer", "bool", "text", "time", "span"];
    const rank = (/** @type {string} */ name) => {
      const { of } = this.attribute(name);
      const isPlace = places.has(name) || /^(geometry|topology|shape)\./.test(name);
      return (isPlace ? 100 : 0) + (changing.includes(of?.name) ? 0 : 10) + kinds.indexOf(of?.kind ?? "");
    };
    return this.colorNames().sort((a, b) => rank(a) - rank(b))[0] ?? "";
  }

  /** What is coloured beside the first picture unless somebody chooses: the same at another time, else another attribute. */
  besideName() {
    const [{ name }] = this.panels;
    if (this.beside === "time") return name;
    const others = this.attributes.filter((of) => of.name !== this.attribute(name).of?.name && !/^(geometry|topology)\./.test(of.name)).flatMap(parts);
    return others[0] ?? name;
  }

  /** The attribute that a name means, and which part of it. @param {string} name @returns {{of: Attribute | undefined, part: number}} */
  attribute(name) {
    const whole = this.attributes.find((of) => of.name === name);
    if (whole) return { of: whole, part: 0 };
    const [, base, part] = /^(.*)\[(\d+)\]$/s.exec(name) ?? [];
    return { of: this.attributes.find((of) => of.name === base), part: Number(part ?? 0) };
  }

  layOut() {
    const select = (/** @type {string} */ label, /** @type {string[]} */ names, /** @type {string} */ now, /** @type {(name: string) => void} */ choose) => {
      const made = h("select", { "aria-label": label, change: () => choose(made.value) }, ...names.map((name) => h("option", { value: name, selected: name === now }, name)));
      return h("label", {}, `${label} `, made);
    };
    const groups = this.datasets.find(({ name }) => name === this.dataset)?.groups ?? [];
    const goTo = (/** @type {string} */ dataset, /** @type {string} */ group) => {
      this.stop();
      Object.assign(this, { dataset, group, times: new BigInt64Array(0), made: null });
      this.held.clear();
      this.nodes.clear();
      this.scales.clear();
      this.begun(new URLSearchParams()).then(() => this.state()).catch(report);
    };
    const besides = { "": "nothing", attribute: "another attribute", time: "another time" };
    const beside = h("select", { "aria-label": "Beside it", change: () => this.setBeside(/** @type {any} */ (beside.value)) },
      ...Object.entries(besides).map(([value, text]) => h("option", { value, selected: value === this.beside }, text)));
    put(this.choosers,
      select("Dataset", this.datasets.map(({ name }) => name), this.dataset, (name) => goTo(name, this.datasets.find((of) => of.name === name)?.groups[0] ?? "")),
      select("Group", groups, this.group, (name) => goTo(this.dataset, name)),
      h("label", {}, "Beside it ", beside), this.chooser.element,
      h("span", { class: "push group" },
        button("+", () => this.setView(this.panels[0].plane.zoomed(0.5)), { "aria-label": "Zoom in" }),
        button("−", () => this.setView(this.panels[0].plane.zoomed(2)), { "aria-label": "Zoom out" }),
        button("All", () => this.setView("all"), { title: "Show all (double click)" })));
    this.panels.forEach((panel) => panel.plane.close());
    this.panels = [new Panel(this, 0), new Panel(this, 1)];
    put(this.planes, ...this.panels.map(({ element }) => element));
    put(this.host, h("div", { class: "rows" }, this.choosers, this.clock, this.places, this.unknown), this.note, this.planes, this.history.element, this.table,
      h("details", { class: "code" }, h("summary", {}, "Show me the code"), this.code));
    this.showPlaces();
    this.showBeside();
  }

  /** Which attributes are coordinates, and that a name was all that was gone by. */
  showPlaces() {
    const { drawn } = this;
    const kinds = { points: "points", shapes: "lines through their points", ends: "lines between two entities" };
    const able = [["points", this.numberNames().length > 0], ["shapes", this.attributes.some((of) => of.is_shape)], ["ends", this.proposals.some(({ kind }) => kind === "ends")]];
    const choose = (/** @type {Drawn | null} */ next) => {
      this.drawn = next;
      this.view = null;
      this.showPlaces();
      this.changed();
    };
    const kind = h("select", { "aria-label": "Drawn as", change: () => choose(this.drawnAs(kind.value)) },
      ...able.filter(([, is]) => is).map(([value]) => h("option", { value: String(value), selected: value === drawn?.kind }, kinds[/** @type {keyof typeof kinds} */ (value)])),
      h("option", { value: "", selected: !drawn }, "table only"));
    const axis = (/** @type {"x" | "y"} */ name) => {
      const made = h("select", { "aria-label": name, change: () => drawn?.kind === "points" && choose({ ...drawn, [name]: made.value }) },
        ...this.numberNames().map((of) => h("option", { value: of, selected: drawn?.kind === "points" && drawn[name] === of }, of)));
      return h("label", {}, `${name} `, made);
    };
    const shape = h("select", { "aria-label": "Shape", change: () => choose({ kind: "shapes", shape: shape.value }) },
      ...this.attributes.filter((of) => of.is_shape).map((of) => h("option", { value: of.name, selected: drawn?.kind === "shapes" && drawn.shape === of.name }, of.name)));
    const isProposed = this.proposals.some((one) => JSON.stringify(one) === JSON.stringify(drawn));
    put(this.places, h("label", {}, "Drawn as ", kind),
      ...(drawn?.kind === "points" ? [axis("x"), axis("y")] : []),
      drawn?.kind === "shapes" && h("label", {}, "of ", shape),
      drawn?.kind === "ends" && h("span", { class: "soft" }, `from ${drawn.from} to ${drawn.to}, at the coordinates of the entities of these ids`),
      h("span", { class: "soft small" }, drawn ? (isProposed ? "taken for coordinates by their names" : "chosen") : ""));
    this.note.textContent = this.proposals.length > 0 ? "Choose what the entities are drawn as." : "No attribute is called as a coordinate is: choose which are x and y under “Drawn as”, or read the table.";
    this.note.hidden = drawn !== null;
    this.planes.hidden = drawn === null;
  }

  /** @param {string} kind @returns {Drawn | null} */
  drawnAs(kind) {
    const proposed = this.proposals.find((one) => one.kind === kind);
    if (proposed) return proposed;
    const [x, y = x] = this.numberNames();
    if (kind === "points" && x) return { kind, x, y };
    const shape = this.attributes.find((of) => of.is_shape);
    return kind === "shapes" && shape ? { kind, shape: shape.name } : null;
  }

  /** @param {"" | "attribute" | "time"} beside */
  setBeside(beside) {
    this.beside = beside;
    this.panels[1].choose(this.besideName(), null);
    this.showBeside();
    this.changed();
  }

  showBeside() {
    this.panels[1].element.hidden = this.beside === "";
    this.planes.classList.toggle("two", this.beside !== "");
    this.panels[1].slider.hidden = this.panels[1].when.hidden = this.beside !== "time";
  }

  /** While something moves the address waits. */
  stateSoon() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.state(), PAUSE);
  }

  /** Something was chosen: the address and the picture follow. */
  changed() {
    this.state();
    this.want().catch(report);
  }

  state() {
    const [first, second] = this.panels;
    const { drawn } = this;
    /** @type {[string, string][]} */
    const parameters = [["d", this.dataset], ["g", this.group]];
    const put = (/** @type {string} */ name, /** @type {string | null} */ value) => value !== null && parameters.push([name, value]);
    const step = (/** @type {number} */ index) => (index === 0 ? "initial" : String(this.at(index)));
    if (!this.follows) put("t", step(this.lane.index));
    put("c", first.name);
    if (first.isChosen) put("k", first.kind);
    if (drawn && JSON.stringify(drawn) !== JSON.stringify(this.proposals[0])) Object.entries(drawn).forEach(([name, value]) => put(name === "kind" ? "as" : name, value));
    if (this.beside) put("beside", this.beside);
    if (this.beside) put("c2", second.name);
    if (this.beside && second.isChosen) put("k2", second.kind);
    if (this.beside === "time") put("t2", step(this.other.index));
    if (this.view) put("view", [this.view.x, this.view.y, this.view.span].map((x) => Number(x.toPrecision(9))).join(","));
    put("id", this.chosen);
    if (this.chosen !== null && this.history.asked) put("zoom", windowText(this.history.asked));
    if (this.isTableOpen !== null) put("table", this.isTableOpen ? "1" : "0");
    this.context.setAddress(parameters);
  }

  /** @param {number} index */
  go(index) {
    const to = Math.min(Math.max(index, 0), this.times.length);
    this.lane.index = to;
    this.follows = to === this.times.length;
    this.showTime();
    this.stateSoon();
    this.want().catch(report);
  }

  /** To the keyframe before or to the next. @param {1 | -1} way */
  jump(way) {
    const to = this.keyframes.next(this.lane.index, way);
    if (to !== null) this.go(to);
  }

  showTime() {
    this.slider.max = String(this.times.length);
    this.slider.value = String(this.lane.index);
    this.when.textContent = this.nameOf(this.lane.index);
    this.slider.setAttribute("aria-valuetext", this.when.textContent);
    this.panels.forEach((panel) => panel.showTime());
    this.history.mark();
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    if ((event.key === "[" || event.key === "]") && !(event.target instanceof HTMLSelectElement)) {
      event.preventDefault();
      this.jump(event.key === "[" ? -1 : 1);
      return;
    }
    // Space opens a list, and presses a button.
    if (event.key !== " " || event.target instanceof HTMLButtonElement || event.target instanceof HTMLSelectElement) return;
    event.preventDefault();
    this.toggle();
  }

  stop() {
    this.isPlaying = false;
    this.play.textContent = "▶";
    this.play.setAttribute("aria-label", "Play");
  }

  toggle() {
    if (this.isPlaying) return this.stop();
    this.isPlaying = true;
    this.play.textContent = "❙❙";
    this.play.setAttribute("aria-label", "Pause");
    if (this.lane.index >= this.times.length) this.lane.index = 0;
    this.step().catch(report);
  }

  /** One step after the other, each when the one before it has been drawn. */
  async step() {
    while (this.isPlaying && this.lane.index < this.times.length) {
      const began = performance.now();
      this.lane.index += 1;
      this.follows = this.lane.index === this.times.length;
      this.showTime();
      await this.want();
      const left = 1000 / this.speed - (performance.now() - began);
      await new Promise((resolve) => setTimeout(resolve, Math.max(left, 0)));
      // A page in the background waits.
      while (this.isPlaying && document.visibilityState !== "visible") await new Promise((resolve) => setTimeout(resolve, 200));
    }
    if (!this.isPlaying) return;
    this.stop();
    this.state();
  }

  /**
   * Draws what is asked for now. One query is under way at a time: what was asked for meanwhile is asked after it, and only
   * the last of it.
   */
  want() {
    this.isWanted = true;
    for (const { plane } of this.panels) delete plane.element.dataset.ready;
    this.running ??= this.run().finally(() => (this.running = null));
    return this.running;
  }

  async run() {
    while (this.isWanted) {
      this.isWanted = false;
      await this.load();
    }
  }

  /** The attributes that a picture needs. */
  wanted() {
    const { drawn } = this;
    const places = drawn?.kind === "points" ? [drawn.x, drawn.y] : drawn?.kind === "shapes" ? [drawn.shape] : drawn ? [drawn.from, drawn.to] : [];
    const shown = this.beside ? this.panels : this.panels.slice(0, 1);
    const names = [...places, ...shown.map(({ name }) => name)].map((name) => this.attribute(name).of?.name);
    return [...new Set(names.filter((name) => name !== undefined))];
  }

  async load() {
    const { signal } = this.asking;
    this.showTime();
    await this.ask(this.lane, this.isTableWanted(), signal);
    // How many entities there are is known from the first answer on.
    if (this.isTableWanted() && this.lane.columns.size < this.attributes.length) await this.ask(this.lane, true, signal);
    this.table.open = this.isTableWanted();
    if (this.beside === "time") await this.ask(this.other, false, signal);
    const lanes = this.beside === "time" ? [this.lane, this.other] : [this.lane];
    const used = new Set(lanes.flatMap(({ columns, ids }) => [...columns.values(), ids].map((column) => column?.hash)));
    for (const hash of this.held.keys()) if (!used.has(hash)) this.held.delete(hash);
    await Promise.all(this.panels.map((panel) => panel.askRange()));
    if (this.drawn?.kind === "ends") await this.askNodes(signal);
    this.draw();
    this.showTable();
    this.showCode();
  }

  /**
   * Asks for a group at a time. Columns that are held and the same are not sent again.
   *
   * @param {Lane} lane
   * @param {boolean} all
   * @param {AbortSignal} signal
   */
  async ask(lane, all, signal) {
    const attribute = all ? [] : this.wanted(); // none named are all
    const { index } = lane;
    const query = { ...this.names(), at: this.at(index).toString(), attribute, known: [...this.held.keys()] };
    const { about, arrow } = await arrowTable("simulation/state", query, signal);
    arrow.schema.fields.forEach((/** @type {any} */ field, /** @type {number} */ i) => {
      const hash = about.hashes[field.metadata?.get("siltstone.attribute") ?? field.name];
      this.held.set(hash, { vector: arrow.getChildAt(i), length: about.entities, hash });
    });
    lane.columns = new Map();
    for (const [name, hash] of Object.entries(about.hashes)) {
      const column = this.held.get(/** @type {string} */ (hash));
      if (column && name !== "id") lane.columns.set(name, column);
    }
    lane.ids = this.held.get(about.hashes.id) ?? null;
    // The run has an attribute that was not there before.
    if (about.attributes.length !== this.attributes.length) {
      await this.askGroup();
      this.panels.forEach((panel) => panel.showNames());
      this.showPlaces();
    }
  }

  /** Coordinates of the entities that lines lead to: those of the dataset's groups that have some. @param {AbortSignal} signal */
  async askNodes(signal) {
    const groups = this.datasets.find(({ name }) => name === this.dataset)?.groups ?? [];
    await Promise.all(groups.map(async (group) => {
      let known = this.nodes.get(group);
      if (!known) this.nodes.set(group, known = { key: "", places: new Map() });
      const { plane } = await this.remember(`group ${group}`, () => get("simulation/group", { dataset: this.dataset, group }));
      const of = plane.find((/** @type {Drawn} */ one) => one.kind === "points" && !one.x.includes("["));
      if (!of) return;
      const query = { dataset: this.dataset, group, at: this.at(this.lane.index).toString(), attribute: [of.x, of.y], known: known.key ? known.key.split(" ") : [] };
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
    const name = `${this.dataset}\n${key}`;
    const found = this.remembered.get(name) ?? ask();
    this.remembered.set(name, found);
    return found;
  }

  /**
   * What was made of a column, kept with it.
   *
   * @template T
   * @param {Column & {memo?: Map<string, any>}} column
   * @param {string} key
   * @param {() => T} make
   * @returns {T}
   */
  of(column, key, make) {
    column.memo ??= new Map();
    if (!column.memo.has(key)) column.memo.set(key, make());
    return column.memo.get(key);
  }

  /** The numbers of a name in a lane. @param {Lane} lane @param {string} name */
  numbers(lane, name) {
    const { of, part } = this.attribute(name);
    const column = of && lane.columns.get(of.name);
    if (!column) return null;
    const found = this.of(column, `numbers ${part}`, () => numbers(column, part));
    if (!found || of.special === null) return found;
    // What stands for none is no place.
    return this.of(column, `places ${part}`, () => ({ ...found, values: found.values.map((value) => (isSpecial(of, value) ? NaN : value)) }));
  }

  /** @param {Lane} lane @returns {Geometry | null} */
  geometry(lane) {
    const { drawn } = this;
    if (!drawn) return null;
    const names = Object.entries(drawn).filter(([name]) => name !== "kind").map(([, name]) => name);
    const hashes = names.map((name) => lane.columns.get(this.attribute(name).of?.name ?? "")?.hash);
    const key = JSON.stringify([drawn, hashes, drawn.kind === "ends" && [...this.nodes.values()].map((of) => of.key)]);
    if (this.made?.key === key) return this.made.geometry;
    const geometry = this.make(lane, drawn);
    if (geometry && lane === this.lane) this.made = { key, geometry };
    return geometry;
  }

  /** @param {Lane} lane @param {Drawn} drawn @returns {Geometry | null} */
  make(lane, drawn) {
    if (drawn.kind === "points") {
      const [x, y] = [this.numbers(lane, drawn.x), this.numbers(lane, drawn.y)];
      return x && y && pointsOf(x.values, y.values);
    }
    if (drawn.kind === "shapes") {
      const column = lane.columns.get(drawn.shape);
      const lines = column && shapes(column);
      return lines ? linesOf(lines.offsets, lines.x, lines.y) : null;
    }
    const [from, to] = [this.numbers(lane, drawn.from), this.numbers(lane, drawn.to)];
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

  draw() {
    const shown = this.beside ? this.panels : this.panels.slice(0, 1);
    // What the second picture has widens the scale of the first.
    if (this.beside === "time") this.panels[1].shares();
    if (this.drawn) shown.forEach((panel) => panel.draw());
    this.history.show();
  }

  /** @param {View | "all"} view */
  setView(view) {
    this.view = view === "all" ? null : view;
    for (const { plane } of this.panels) plane.paintSoon(this.view ?? this.panels[0].plane.all());
    this.stateSoon();
  }

  /** @param {number | null} row @param {Lane} lane */
  pick(row, lane) {
    this.choose(row === null || !lane.ids ? null : String(integers(lane.ids)[row]));
  }

  /** The entity before or behind the chosen one. @param {number} way */
  neighbour(way) {
    const { ids } = this.lane;
    if (!ids || ids.length === 0) return;
    const at = this.rowOfChosen(this.lane);
    this.pick(at < 0 ? (way > 0 ? 0 : ids.length - 1) : Math.min(ids.length - 1, Math.max(0, at + way)), this.lane);
  }

  /** @param {string | null} id */
  choose(id) {
    this.chosen = id;
    this.chooser.show(id);
    this.state();
    this.draw();
    this.history.load().catch(report);
  }

  /** The row of the chosen entity; -1 without one. @param {Lane} lane */
  rowOfChosen(lane) {
    const { ids } = lane;
    if (this.chosen === null || !ids || !/^-?\d+$/.test(this.chosen)) return -1;
    const id = BigInt(this.chosen);
    return this.of(ids, `row ${id}`, () => integers(ids).indexOf(id));
  }

  /** Whether the table is open: as somebody chose, else for groups that are not large, and where there is no picture. */
  isTableWanted() {
    if (this.isTableOpen !== null) return this.isTableOpen;
    return this.drawn === null || (this.lane.ids !== null && this.lane.ids.length <= TABLE);
  }

  /** The table was opened or closed, by this page or by somebody. */
  toggled() {
    if (this.table.open === this.isTableWanted()) return;
    this.isTableOpen = this.table.open;
    this.changed();
  }

  showTable() {
    const { ids, columns, index } = this.lane;
    if (!this.table.open || !ids) return;
    const attributes = this.attributes.filter(({ name }) => columns.has(name));
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
    this.tableSaid.textContent = `${plural(ids.length, "row")}, ${this.nameOf(index)}`;
    this.rows.dataset.at = String(this.at(index));
  }

  /** @param {"csv" | "parquet"} format */
  download(format) {
    download("simulation/state", { ...this.names(), at: this.at(this.lane.index).toString(), format }).catch(report);
  }

  showCode() {
    const path = String(this.context.overview.path);
    const at = this.at(this.lane.index);
    const text = (/** @type {string} */ value) => `'${value.replaceAll("'", "''")}'`;
    const shell = (/** @type {string} */ value) => `'${value.replaceAll("'", "'\\''")}'`;
    const python = (/** @type {string} */ value) => JSON.stringify(value);
    this.code.textContent = [
      "-- SQL: what updates up to this time say; the state is the last of each entity and attribute",
      `SELECT u.timestamp, a.attribute_name, silt_items(n.dtype, n.shape, n.codec, n.data) AS items\nFROM "update" u JOIN update_attribute l ON l.update_id = u.id JOIN attribute_data a ON a.id = l.attribute_data_id\nJOIN numpy_array n ON n.id = a.data_id\nWHERE u.dataset_name = ${text(this.dataset)} AND a.entity_group = ${text(this.group)} AND u.timestamp <= ${at}\nORDER BY u.timestamp DESC, u.iteration DESC LIMIT 100;`, "",
      "# Python", `import siltstone\ndb = siltstone.open(${python(path)}, read_only=True)\ndb.simulation.state_at(${python(this.dataset)}, ${python(this.group)}, ${at})`, "",
      "# Shell", `silt state ${shell(path)} ${shell(this.dataset)} ${shell(this.group)} --at ${at}`,
    ].join("\n");
  }
}

/** @param {unknown} error */
function report(error) {
  dispatchEvent(new CustomEvent("trouble", { detail: error }));
}
