// Simulations: a group of entities at a time, on a plane and as a table, and the history of one.

import { arrowTable, get } from "./api.js";
import { Chooser } from "./chooser.js";
import { Clock } from "./clock.js";
import { codeText, folded, opened, pythonText, shellWord, sqlText } from "./code.js";
import { integers, numbers } from "./columns.js";
import { begun, button, h, put } from "./dom.js";
import { EntityHistory } from "./entity.js";
import { count, time } from "./format.js";
import { GroupTable } from "./grouptable.js";
import { Panel, isSpecial } from "./panel.js";
import { Places } from "./places.js";
import { windowOf, windowText } from "./window.js";

/**
 * @typedef {import("./columns.js").Column} Column
 * @typedef {import("./plane.js").View} View
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
 * @typedef {object} Lane a group at a time
 * @property {number} index of the step
 * @property {Map<string, Column>} columns
 * @property {Column | null} ids
 */

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
    this.timer = 0;
    this.isWanted = false;
    /** @type {Promise<void> | null} */
    this.running = null;
    this.asking = new AbortController();
    /** @type {Map<string, import("./scale.js").Scale>} of each attribute and kind */
    this.scales = new Map();

    this.choosers = h("div", { class: "row" });
    this.clock = new Clock(this);
    this.places = new Places(this);
    this.chooser = new Chooser("Entity", (id) => this.choose(id), (way) => this.neighbour(way));
    this.unknown = h("p", { class: "soft", hidden: true, role: "status" });
    this.planes = h("div", { class: "planes" });
    this.history = new EntityHistory(this);
    this.table = new GroupTable(this);
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
    this.places.drawn = this.places.asked(query) ?? this.places.proposals[0] ?? null;
    const [x, y, span] = (query.get("view") ?? "").split(",").map(parseFloat);
    this.view = span > 0 && Number.isFinite(x) && Number.isFinite(y) ? { x, y, span } : null;
    const beside = query.get("beside");
    this.beside = beside === "attribute" || beside === "time" ? beside : "";
    this.chosen = query.get("id");
    this.chooser.show(this.chosen);
    this.history.asked = windowOf(query.get("zoom"));
    const open = query.get("table");
    this.table.asked = open === null ? null : open === "1";
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
    this.clock.isPlaying = false;
    removeEventListener("theme", this.recolor);
    this.panels.forEach((panel) => panel.plane.close());
    this.history.chart.close();
  }

  /** Something was written. */
  async refresh() {
    if (this.datasets.length === 0) return this.begin(new URLSearchParams(location.search));
    await this.askTimes();
    if (this.follows && !this.clock.isPlaying) this.lane.index = this.times.length;
    await this.want();
    await this.history.load();
  }

  names() {
    return { dataset: this.dataset, group: this.group };
  }

  async askGroup() {
    const { attributes, plane } = await get("simulation/group", this.names());
    this.attributes = attributes;
    this.places.proposals = plane;
  }

  /** The times at which there is something, and which of them have a keyframe. */
  async askTimes() {
    const before = this.times;
    await this.askUpdates();
    if (this.times === before) return;
    // Statements wait for each other: the picture does not wait for them.
    this.clock.mark();
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
    const step = `step ${count(index)} of ${count(this.times.length)}${this.clock.keyframes.has(index) ? ", keyframe" : ""}`;
    return this.timeline ? `${time(this.timeline.reference + Number(at) * this.timeline.time_scale)} UTC (${at}), ${step}` : `${at}, ${step}`;
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
    const places = new Set(this.places.drawn ? Object.values(this.places.drawn) : []);
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
      this.clock.stop();
      Object.assign(this, { dataset, group, times: new BigInt64Array(0) });
      this.places.clear();
      this.held.clear();
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
    put(this.host, h("div", { class: "rows" }, this.choosers, this.clock.element, this.places.element, this.unknown), this.places.note, this.planes, this.history.element, this.table.element, folded(this.code));
    this.places.show();
    this.showBeside();
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
    const { drawn, proposals } = this.places;
    /** @type {[string, string][]} */
    const parameters = [["d", this.dataset], ["g", this.group]];
    const put = (/** @type {string} */ name, /** @type {string | null} */ value) => value !== null && parameters.push([name, value]);
    const step = (/** @type {number} */ index) => (index === 0 ? "initial" : String(this.at(index)));
    if (!this.follows) put("t", step(this.lane.index));
    put("c", first.name);
    if (first.isChosen) put("k", first.kind);
    if (drawn && JSON.stringify(drawn) !== JSON.stringify(proposals[0])) Object.entries(drawn).forEach(([name, value]) => put(name === "kind" ? "as" : name, value));
    if (this.beside) put("beside", this.beside);
    if (this.beside) put("c2", second.name);
    if (this.beside && second.isChosen) put("k2", second.kind);
    if (this.beside === "time") put("t2", step(this.other.index));
    if (this.view) put("view", [this.view.x, this.view.y, this.view.span].map((x) => Number(x.toPrecision(9))).join(","));
    put("id", this.chosen);
    if (this.chosen !== null && this.history.asked) put("zoom", windowText(this.history.asked));
    if (this.table.asked !== null) put("table", this.table.asked ? "1" : "0");
    this.context.setAddress(parameters);
  }

  showTime() {
    this.clock.show();
    this.panels.forEach((panel) => panel.showTime());
    this.history.mark();
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
    const shown = this.beside ? this.panels : this.panels.slice(0, 1);
    const names = [...this.places.names(), ...shown.map(({ name }) => name)].map((name) => this.attribute(name).of?.name);
    return [...new Set(names.filter((name) => name !== undefined))];
  }

  async load() {
    const { signal } = this.asking;
    this.showTime();
    await this.ask(this.lane, this.table.isWanted(), signal);
    // How many entities there are is known from the first answer on.
    if (this.table.isWanted() && this.lane.columns.size < this.attributes.length) await this.ask(this.lane, true, signal);
    this.table.element.open = this.table.isWanted();
    if (this.beside === "time") await this.ask(this.other, false, signal);
    const lanes = this.beside === "time" ? [this.lane, this.other] : [this.lane];
    const used = new Set(lanes.flatMap(({ columns, ids }) => [...columns.values(), ids].map((column) => column?.hash)));
    for (const hash of this.held.keys()) if (!used.has(hash)) this.held.delete(hash);
    await Promise.all(this.panels.map((panel) => panel.askRange()));
    if (this.places.drawn?.kind === "ends") await this.places.askNodes(signal);
    this.draw();
    this.table.show();
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
      this.places.show();
    }
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

  draw() {
    const shown = this.beside ? this.panels : this.panels.slice(0, 1);
    // What the second picture has widens the scale of the first.
    if (this.beside === "time") this.panels[1].shares();
    if (this.places.drawn) shown.forEach((panel) => panel.draw());
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

  showCode() {
    const path = String(this.context.overview.path);
    const { dataset, group } = this;
    const at = this.at(this.lane.index);
    this.code.textContent = codeText({
      said: { sql: "what updates up to this time say; the state is the last of each entity and attribute" },
      sql: `SELECT u.timestamp, a.attribute_name, silt_items(n.dtype, n.shape, n.codec, n.data) AS items\nFROM "update" u JOIN update_attribute l ON l.update_id = u.id JOIN attribute_data a ON a.id = l.attribute_data_id\nJOIN numpy_array n ON n.id = a.data_id\nWHERE u.dataset_name = ${sqlText(dataset)} AND a.entity_group = ${sqlText(group)} AND u.timestamp <= ${at}\nORDER BY u.timestamp DESC, u.iteration DESC LIMIT 100`,
      python: `${opened(path)}\ndb.simulation.state_at(${pythonText(dataset)}, ${pythonText(group)}, ${at})`,
      shell: `silt state ${shellWord(path)} ${shellWord(dataset)} ${shellWord(group)} --at ${at}`,
    });
  }
}

/** @param {unknown} error */
function report(error) {
  dispatchEvent(new CustomEvent("trouble", { detail: error }));
}
