// Series: curves over one axis, and what is known of each.

import uPlot from "./vendor/uPlot.esm.js";
import { download, get, table } from "./api.js";
import { Chart, color, colorOf } from "./chart.js";
import { begun, button, h, keepingFocus, put } from "./dom.js";
import { clock, count, instant, json, number, plural, time } from "./format.js";
import { history } from "./history.js";
import { integer, moved, zoomed } from "./window.js";

/**
 * @typedef {import("./window.js").Window} Window
 *
 * @typedef {object} One a series, as the list has it
 * @property {string} key
 * @property {string | null} dataset
 * @property {string | null} signal
 * @property {string | null} units
 * @property {number} points
 * @property {{kind: import("./chart.js").Kind | "text", unit_ns?: number}} index
 * @property {string} index_type
 * @property {string} value_type
 * @property {number | bigint | string | null} first
 * @property {number | bigint | string | null} last
 * @property {boolean} drawable
 *
 * @typedef {object} Curve the points of a series in a window
 * @property {One} of
 * @property {any} about
 * @property {number[]} xs
 * @property {(number | null)[]} ys
 */

/** The most series in one picture: more cannot be told apart. */
const MOST = 7;
/** Pixels of a picture. */
const HEIGHT = 380;
/** After the window was moved the server is asked once nothing moves for so many ms. */
const PAUSE = 60;

/** How many of the x axis are one of the index. @param {One} of */
const scale = (of) => (of.index.unit_ns ? 1e9 / of.index.unit_ns : 1);

/** An index value on the x axis. @param {One} of @param {number | bigint | string | null} value */
const toX = (of, value) => Number(value) / scale(of);

/** A point of the x axis as an index value, as the server takes it. @param {One} of @param {number} x @param {boolean} up */
function toIndex(of, x, up) {
  if (of.index.kind === "float") return String(x);
  return String(integer(x * scale(of), up));
}

/** A point of the x axis for people. @param {One} of @param {number} x */
function describeX(of, x) {
  // Times without a zone are nobody's: only those with one are of UTC.
  if (of.index.kind === "time") return of.index_type.includes(",") ? `${time(x)} UTC` : time(x);
  if (of.index.kind === "integer") return String(x); // a year has no comma
  return of.index.kind === "span" ? `${number(x)} s` : number(x);
}

/** The end of a key: its part within the signal. @param {One} of */
const shortName = (of) => (of.signal === null ? of.key : of.key.slice(of.key.lastIndexOf("/") + 1));

/** Its key without the dataset. @param {One} of */
const label = (of) => (of.dataset === null ? of.key : `${of.signal} ${shortName(of)}`);

/** @type {import("./app.js").Page} */
export async function series(host, query, context) {
  return begun(new SeriesPage(host, context), query);
}

class SeriesPage {
  /** @param {HTMLElement} host @param {import("./app.js").Context} context */
  constructor(host, context) {
    this.host = host;
    this.context = context;
    /** @type {One[]} */
    this.all = [];
    /** @type {string[]} */
    this.selected = [];
    /** Those that the user asked for; `null` follows the ends of the series. @type {Window | null} */
    this.asked = null;
    /** @type {Curve[]} */
    this.curves = [];
    this.search = "";
    this.asking = new AbortController();
    this.timer = 0;
    this.chart = new Chart({ height: HEIGHT, onWindow: (window) => this.move(window), onCursor: (index) => this.showValues(index) });
    this.tree = h("ul", { class: "tree" });
    this.legend = h("div", { class: "legend" });
    this.said = h("div", { class: "said" });
    this.facts = h("div");
    this.code = h("pre");
    this.details = h("div", { class: "cards" });
    /** What the details are of. */
    this.described = "";
    this.picture = h("section", { class: "picture" });
    this.empty = h("p", { class: "empty" }, "Choose a series.");
  }

  /** @param {URLSearchParams} query */
  async begin(query) {
    this.all = (await get("series")).series;
    const known = new Set(this.all.filter((one) => one.drawable).map((one) => one.key));
    this.selected = query.getAll("s").filter((key) => known.has(key)).slice(0, MOST);
    const [from, until] = ["from", "until"].map((name) => parseFloat(query.get(name) ?? ""));
    if (until > from) this.asked = { from, until };
    this.layOut();
    this.showTree();
    await this.load();
    await this.showDetails();
  }

  close() {
    this.asking.abort();
    clearTimeout(this.timer);
    this.chart.close();
  }

  async refresh() {
    this.all = (await get("series")).series;
    this.showTree();
    // Values may be others with the same count and ends.
    await this.load();
    await this.showDetails();
  }

  /** @param {string} key */
  one(key) {
    return this.all.find((one) => one.key === key);
  }

  /** The chosen series that have one kind of axis. */
  shown() {
    const chosen = this.selected.map((key) => this.one(key)).filter((one) => one !== undefined);
    const kind = chosen[0]?.index.kind;
    return chosen.filter((one) => one.index.kind === kind && one.points > 0);
  }

  /** From the first point of the chosen series to the last. @returns {Window | null} */
  extent() {
    const chosen = this.shown().filter((one) => one.first !== null);
    if (chosen.length === 0) return null;
    const from = Math.min(...chosen.map((one) => toX(one, one.first)));
    const until = Math.max(...chosen.map((one) => toX(one, one.last)));
    return until > from ? { from, until } : { from: from - 0.5, until: until + 0.5 };
  }

  /** @returns {Window | null} */
  get window() {
    return this.asked ?? this.extent();
  }

  layOut() {
    const search = h("input", {
      type: "search", placeholder: `Filter ${plural(this.all.length, "series")}`, "aria-label": "Filter the series",
      input: () => {
        this.search = search.value.toLowerCase();
        this.showTree();
      },
    });
    const go = (/** @type {(window: Window) => Window} */ to) => () => this.window && this.move(to(this.window));
    put(this.picture,
      h("div", { class: "row" },
        h("span", { class: "group" },
          button("◀", go((window) => moved(window, -0.5)), { "aria-label": "Back" }),
          button("▶", go((window) => moved(window, 0.5)), { "aria-label": "On" }),
          button("+", go((window) => zoomed(window, 0.5)), { "aria-label": "Zoom in" }),
          button("−", go((window) => zoomed(window, 2)), { "aria-label": "Zoom out" }),
          button("All", () => this.move("all"), { title: "Show all (double click)" })),
        this.said,
        h("span", { class: "push group" },
          button("PNG", () => this.chart.png(this.selected.join(", ")), { title: "Save the picture" }),
          button("CSV", () => this.download("csv"), { title: "Save the points of this window" }),
          button("Parquet", () => this.download("parquet"), { title: "Save the points of this window" }))),
      this.chart.element, this.legend, h("details", { class: "code" }, h("summary", {}, "Show me the code"), this.code));
    const side = h("details", { class: "side", open: innerWidth > 800 || this.selected.length === 0 }, search, this.tree);
    side.prepend(h("summary", {}, "Series"));
    put(this.host, h("div", { class: "split" }, h("aside", {}, side), h("div", {}, this.empty, this.picture, this.facts, this.details)));
  }

  showTree() {
    const found = this.all.filter((one) => one.key.toLowerCase().includes(this.search));
    /** @type {Map<string, Map<string, One[]>>} */
    const datasets = new Map();
    for (const one of found) {
      const signals = datasets.get(one.dataset ?? "") ?? new Map();
      datasets.set(one.dataset ?? "", signals);
      signals.set(one.signal ?? "", [...(signals.get(one.signal ?? "") ?? []), one]);
    }
    const signal = (/** @type {[string, One[]]} */ [name, of]) => name === ""
      ? of.map((one) => this.choice(one))
      : h("li", {}, h("div", { class: "head" }, name, of[0].units ? ` (${of[0].units})` : ""), h("ul", {}, ...of.map((one) => this.choice(one))));
    const dataset = (/** @type {[string, Map<string, One[]>]} */ [name, signals]) => name === ""
      ? [...signals].flatMap(signal)
      : h("li", {}, h("div", { class: "head" }, name), h("ul", {}, ...[...signals].flatMap(signal)));
    keepingFocus(this.tree, () => put(this.tree, ...[...datasets].flatMap(dataset), found.length === 0 && h("li", { class: "soft" }, "No key has this in it.")));
  }

  /** @param {One} one */
  choice(one) {
    const at = this.selected.indexOf(one.key);
    const full = this.selected.length >= MOST && at < 0;
    const why = one.drawable ? "" : `${one.value_type} over ${one.index_type} cannot be drawn`;
    return h("li", {}, h("label", { class: one.drawable ? null : "off", title: why || one.key },
      h("input", { type: "checkbox", checked: at >= 0, disabled: !one.drawable || full, "data-key": one.key, change: () => this.choose(one.key) }),
      h("span", {}, shortName(one)),
      h("span", { class: "soft" }, count(one.points)),
      h("i", { class: `swatch ${at >= 0 ? `c${at + 1}` : ""}` })));
  }

  /** These series and no others, those of them that can be drawn. @param {string[]} keys */
  showOnly(keys) {
    this.selected = [...new Set(keys)].filter((key) => this.one(key)?.drawable).slice(0, MOST);
    this.change();
  }

  /** @param {string} key */
  toggle(key) {
    if (this.selected.includes(key) || (this.one(key)?.drawable && this.selected.length < MOST)) this.choose(key);
  }

  /** @param {string} key */
  choose(key) {
    const at = this.selected.indexOf(key);
    if (at >= 0) this.selected.splice(at, 1);
    else this.selected.push(key);
    this.change();
  }

  /** Others are chosen: the tree, the address, the picture and the details follow. */
  change() {
    this.showTree();
    this.state();
    this.load().then(() => this.showDetails()).catch(report);
  }

  state() {
    /** @type {[string, string][]} */
    const parameters = this.selected.map((key) => ["s", key]);
    if (this.asked) parameters.push(["from", String(this.asked.from)], ["until", String(this.asked.until)]);
    this.context.setAddress(parameters);
  }

  /** @param {Window | "all"} window */
  move(window) {
    this.asked = window === "all" ? null : window;
    this.state();
    this.draw(); // what is there, until the answer comes
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.load().catch(report), PAUSE);
  }

  /** Asks for the points of the window. */
  async load() {
    this.asking.abort();
    this.asking = new AbortController();
    const { signal } = this.asking;
    const window = this.window;
    this.picture.hidden = this.empty.hidden = false;
    if (!window || this.shown().length === 0) {
      this.curves = [];
      this.picture.hidden = true;
      this.empty.textContent = this.selected.length > 0 ? "The chosen series has no points yet." : "Choose a series.";
      return;
    }
    this.empty.hidden = true;
    await this.chart.fit(async (width) => {
      delete this.chart.element.dataset.ready;
      this.curves = await Promise.all(this.shown().map((of) => this.curve(of, window, width, signal)));
      this.draw();
    });
    this.showFacts();
    this.showCode();
  }

  /**
   * @param {One} of
   * @param {Window} window
   * @param {number} width
   * @param {AbortSignal} signal
   * @returns {Promise<Curve>}
   */
  async curve(of, { from, until }, width, signal) {
    const asked = this.asked ? { from: toIndex(of, from, false), until: toIndex(of, until, true) } : {};
    const { about, columns } = await table("series/window", { key: of.key, width, edges: true, ...asked }, signal);
    return { of, about, xs: columns.index.map((x) => toX(of, x)), ys: columns.value.map((y) => (y === null ? null : Number(y))) };
  }

  draw() {
    const window = this.window;
    if (!window || this.curves.length === 0) return;
    const joined = uPlot.join(this.curves.map(({ xs, ys }) => distinct(xs, ys)), this.curves.map(() => [1, 2]));
    const units = [...new Set(this.curves.map(({ of }) => of.units ?? ""))];
    /** @type {import("./chart.js").Picture["scales"]} */
    const scales = {};
    units.forEach((unit, i) => {
      scales[`y ${unit}`] = { label: unit, side: i === 1 ? "right" : "left", hidden: i > 1 };
    });
    this.chart.draw({
      kind: /** @type {import("./chart.js").Kind} */ (this.curves[0].of.index.kind),
      window,
      data: /** @type {any} */ (joined),
      lines: this.curves.map(({ of }) => ({ label: of.key, color: this.colorOf(of), scale: `y ${of.units ?? ""}` })),
      scales,
      paint: (u) => this.paintMissing(u),
    });
    this.showValues(null);
  }

  /** @param {One} of */
  colorOf(of) {
    return colorOf(this.selected.indexOf(of.key));
  }

  /** Missing values, as strokes on the ground. @param {uPlot} u */
  paintMissing(u) {
    const { ctx } = u;
    const ground = u.bbox.top + u.bbox.height;
    const stroke = 2 * devicePixelRatio;
    this.curves.forEach(({ of, xs, ys }, i) => {
      ctx.fillStyle = color(this.colorOf(of));
      ys.forEach((y, at) => {
        if (y !== null) return;
        const x = u.valToPos(xs[at], "x", true);
        if (x < u.bbox.left || x > u.bbox.left + u.bbox.width) return;
        ctx.fillRect(x - stroke / 2, ground - (i + 1) * 5 * devicePixelRatio, stroke, 4 * devicePixelRatio);
      });
    });
  }

  /** The values under the cursor; without one, the names. @param {number | null} index */
  showValues(index) {
    const { plot } = this.chart;
    const x = index === null ? null : plot?.data[0][index];
    const entry = (/** @type {Curve} */ { of }, /** @type {number} */ i) => {
      const y = index === null ? undefined : plot?.data[i + 1][index];
      const value = y === undefined ? "" : `${number(y)}${y === null || !of.units ? "" : ` ${of.units}`}`;
      return h("span", {}, h("i", { class: `swatch c${this.selected.indexOf(of.key) + 1}` }), label(of), h("b", {}, value));
    };
    const at = x === null || x === undefined ? "" : describeX(this.curves[0].of, x);
    put(this.legend, ...this.curves.map(entry), h("span", { class: "soft" }, at));
  }

  showFacts() {
    const left = this.selected.length - this.shown().length;
    // Of the one that is reduced most.
    const [most] = this.curves.toSorted((a, b) => b.about.points / b.xs.length - a.about.points / a.xs.length);
    const said = this.curves.every(({ about }) => about.said === "exact") ? "exact" : most.about.said;
    this.said.textContent = left > 0 ? `${said}; ${left} chosen series not drawn: no points, or another kind of index` : said;
    const row = (/** @type {Curve} */ { of, about }) => {
      const { missing, min, max, mean } = about.statistics;
      return h("tr", {}, h("td", { class: "key" }, h("i", { class: `swatch c${this.selected.indexOf(of.key) + 1}` }), " ", label(of)),
        h("td", { class: "soft" }, of.units ?? ""),
        ...[about.points, missing].map((n) => h("td", { class: "n" }, count(n))),
        ...[min, mean, max].map((y) => h("td", { class: "n" }, y === null ? "" : number(y))),
        h("td", { class: "soft n" }, about.said));
    };
    put(this.facts, h("section", { class: "card" }, h("header", {}, h("h2", {}, "In this window")),
      h("div", { class: "scroll" }, h("table", {},
        h("thead", {}, h("tr", {}, h("th", {}, "Series"), h("th", {}, "Unit"), ...["Points", "Missing", "Min", "Mean", "Max", "Drawn"].map((name) => h("th", { class: "n" }, name)))),
        h("tbody", {}, ...this.curves.map(row))))));
  }

  /** The window of a series as the server takes it. @param {One} of */
  bounds(of) {
    return this.asked ? { from: toIndex(of, this.asked.from, false), until: toIndex(of, this.asked.until, true) } : {};
  }

  /** @param {"csv" | "parquet"} format */
  download(format) {
    for (const of of this.shown()) download("series/window", { key: of.key, ...this.bounds(of), format }).catch(report);
  }

  showCode() {
    const path = String(this.context.overview.path);
    const of = this.shown()[0];
    const { from, until } = this.bounds(of);
    const text = (/** @type {string} */ value) => `'${value.replaceAll("'", "''")}'`;
    const shell = (/** @type {string} */ value) => `'${value.replaceAll("'", "'\\''")}'`;
    const python = (/** @type {string} */ value) => JSON.stringify(value);
    const [first, last] = [from, until].map((at) => this.sqlBound(of, at));
    const where = first ? `\n  AND index_value >= ${first} AND index_value < ${last}` : "";
    const load = from && of.index.kind === "time"
      ? `load_range(${python(of.key)}, ${[from, until].map((at) => python(instant(BigInt(at ?? 0) * BigInt(of.index.unit_ns ?? 1)))).join(", ")}, closed="left")`
      : `load(${python(of.key)})`;
    this.code.textContent = [
      "-- SQL", `SELECT index_value, value FROM time_series_data\nWHERE key = ${text(of.key)}${where};`, "",
      "# Python", `import siltstone\ndb = siltstone.open(${python(path)}, read_only=True)\ndb.series.${load}`, "",
      "# Shell: all points of the shown series, side by side", `silt series export ${shell(path)} ${this.shown().map((one) => shell(one.key)).join(" ")} -o series.parquet`,
    ].join("\n");
  }

  /**
   * An index value in SQL. Spans, and times of a zone, are texts there that do not sort as they do: without an end, all
   * points come.
   *
   * @param {One} of
   * @param {string | undefined} at
   */
  sqlBound(of, at) {
    if (!at || of.index.kind === "span" || /,(?! ?UTC)/.test(of.index_type)) return undefined;
    return of.index.kind === "time" ? `'${clock(BigInt(at) * BigInt(of.index.unit_ns ?? 1))}'` : at;
  }

  /** History and metadata of each chosen series. */
  async showDetails() {
    const known = this.selected.filter((key) => this.one(key));
    const infos = await Promise.all(known.map((key) => get("series/info", { key })));
    const now = JSON.stringify([infos, this.selected], (_, value) => (typeof value === "bigint" ? String(value) : value));
    if (now === this.described) return; // what was unfolded stays so
    this.described = now;
    put(this.details, ...infos.map((info) => this.detail(info, this.selected.indexOf(info.key))));
  }

  /** @param {any} info @param {number} i */
  detail(info, i) {
    const of = /** @type {One} */ (info);
    const ends = of.first === null ? "no points" : `${describeX(of, toX(of, of.first))} to ${describeX(of, toX(of, of.last))}`;
    /** @type {[string, import("./dom.js").Child][]} */
    const known = [["Points", count(info.points)], ["Extent", ends], ["Types", `${info.value_type} over ${info.index_type}`]];
    for (const [name, value] of Object.entries(info.provenance ?? {})) {
      if (typeof value === "string" && value !== "") known.push([name.replaceAll("_", " "), value]);
    }
    const steps = info.steps ?? [];
    const { processing_steps: _, ...metadata } = info.metadata ?? {};
    return h("section", { class: "card" },
      h("header", {}, h("i", { class: `swatch c${i + 1}` }), h("h2", { class: "path" }, info.key), h("span", { class: "soft small" }, info.units ?? "")),
      h("dl", { class: "facts" }, ...known.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])),
      steps.length > 0 && history(info.key, named(steps, info.full_name), { ...info.keys, [info.full_name]: info.key }, {
        show: (keys) => this.showOnly(keys),
        isShown: (key) => this.selected.includes(key),
        toggle: (key) => this.toggle(key),
      }),
      Object.keys(metadata).length > 0 && h("details", {}, h("summary", {}, "Metadata"), h("pre", {}, json(metadata))));
  }
}

/** Steps of which the last one made the series, if it does not say what it made. @param {any[]} steps @param {string} name */
const named = (steps, name) => steps.map((step, i) => (i === steps.length - 1 && !step.output_series_name ? { ...step, output_series_name: name } : step));

/**
 * Points for uPlot, which takes each x once: the later ones of equal index move on by as little as a float can.
 *
 * @param {number[]} xs
 * @param {(number | null)[]} ys
 * @returns {[number[], (number | null)[]]}
 */
function distinct(xs, ys) {
  const out = xs.slice();
  for (let i = 1; i < out.length; i += 1) {
    if (out[i] <= out[i - 1]) out[i] = out[i - 1] + Math.max(Math.abs(out[i - 1]) * 2 ** -52, Number.MIN_VALUE);
  }
  return [out, ys];
}

/** @param {unknown} error */
function report(error) {
  dispatchEvent(new CustomEvent("trouble", { detail: error }));
}
