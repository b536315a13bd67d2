// Runs: the simulations of experiments, filtered and sorted, and some of them side by side.

import uPlot from "./vendor/uPlot.esm.js";
import { get, isGone, listOfRuns, table } from "./api.js";
import { Bands } from "./bands.js";
import { Chart, colorOf } from "./chart.js";
import { Comparison } from "./compare.js";
import { folded } from "./code.js";
import { begun, button, h, keepingFocus, offer, put } from "./dom.js";
import { count, duration, number, plural } from "./format.js";
import { grid } from "./grid.js";
import { RunPage } from "./run.js";
import { codeOfComparison, codeOfList } from "./runscode.js";
import { Sparks } from "./sparks.js";
import { integer, windowOf, windowText } from "./window.js";

/**
 * @typedef {import("./window.js").Window} Window
 *
 * @typedef {object} Run
 * @property {string} simulation_id
 * @property {string} status
 * @property {string | null} start_time
 * @property {string | null} end_time
 * @property {string | null} error
 * @property {Record<string, any>} parameters
 * @property {Record<string, any>} results_summary
 * @property {number | null} last_step
 * @property {number} rows
 */

/** The most runs in one picture: more cannot be told apart. */
const MOST = 7;
/** After the window was moved the server is asked once nothing moves for so many ms. */
const PAUSE = 60;
/** Runs that are asked whether they have a metric. */
const MOST_ASKED = 200;
/** How many times as long as they took, groups and parameters are left as they are. */
const REST = 10;
/** Columns that every run has. */
const KNOWN = ["simulation", "status", "started", "seconds", "last step", "rows"];

/** @type {import("./app.js").Page} */
export async function runs(host, query, context) {
  const id = query.get("run");
  return id === null ? begun(new RunsPage(host, context), query) : begun(new RunPage(host, context, id), query);
}

/** A value in a cell: what is not plain is JSON. @param {unknown} value */
const plain = (value) => (value === undefined || value === null ? null : typeof value === "object" ? JSON.stringify(value) : value);

/** @param {Run} run */
function seconds({ start_time: start, end_time: end }) {
  const ms = start && end ? Date.parse(end) - Date.parse(start) : NaN;
  return Number.isNaN(ms) ? null : ms / 1000;
}

/** The names that any of the runs has. @param {Run[]} runs @param {"parameters" | "results_summary"} of @returns {string[]} */
function names(runs, of) {
  const all = new Set();
  for (const run of runs) for (const name in run[of]) all.add(name);
  return [...all].sort();
}

/** In the order of numbers, then of texts; what is missing comes last. @param {unknown} a @param {unknown} b */
function compare(a, b) {
  if (a === null || b === null) return a === b ? 0 : a === null ? 1 : -1;
  if (typeof a === "number" && typeof b === "number") return a - b;
  return String(a).localeCompare(String(b), "en", { numeric: true });
}

class RunsPage {
  /** @param {HTMLElement} host @param {import("./app.js").Context} context */
  constructor(host, context) {
    this.host = host;
    this.context = context;
    /** @type {Run[]} */
    this.runs = [];
    /** How many there are: at first not all have come. */
    this.count = 0;
    /** What the server calls the list that is known. */
    this.version = "";
    /** Counts what was asked for, so that a list that comes late is dropped. */
    this.turn = 0;
    this.filter = "";
    /** @type {string[]} */
    this.selected = [];
    /** What is sorted by: without a click the order in which they were made. */
    this.column = KNOWN[0];
    this.isFalling = false;
    this.metric = "";
    /** @type {Window | null} */
    this.asked = null;
    this.timer = 0;
    /** @type {{id: string, xs: number[], ys: (number | null)[], said: string}[]} */
    this.curves = [];
    this.asking = new AbortController();
    this.chart = new Chart({ height: 320, onWindow: (window) => this.zoom(window), onCursor: (index) => this.showValues(index) });
    this.input = h("input", {
      type: "search", "aria-label": "Filter", placeholder: "Filter, as params.growth >= 0.06 AND status = 'completed'", spellcheck: "false",
      change: () => this.apply(),
    });
    this.said = h("span", { class: "said", role: "status" });
    this.wrong = h("pre", { class: "bad", hidden: true, role: "alert" });
    this.unknown = h("p", { class: "soft", hidden: true, role: "status" });
    this.gone = h("p", { class: "soft", hidden: true, role: "status" });
    this.list = h("div", { class: "list" });
    this.metrics = h("select", { "aria-label": "Metric", change: () => this.choose(this.metrics.value) });
    this.legend = h("div", { class: "legend" });
    this.drawn = h("span", { class: "said" });
    this.picture = h("section", { class: "picture", hidden: true },
      h("div", { class: "row" }, h("label", {}, "Metric ", this.metrics), this.drawn,
        h("span", { class: "push group" }, button("All", () => this.zoom("all"), { title: "Show all (double click)" }), button("PNG", () => this.chart.png(this.metric)))),
      this.chart.element, this.legend);
    this.comparison = h("div");
    this.code = h("pre");
    this.besideCode = h("pre");
    /** When groups and parameters were last compared, and how long it took, in ms. */
    this.compared = 0;
    this.took = 0;
    this.later = 0;
    this.stating = 0;
    this.group = "";
    this.target = "";
    this.x = "";
    /** @type {string[]} */
    this.logged = [];
    this.sparks = new Sparks();
    this.bands = new Bands(() => this.state());
    this.grouped = h("div");
    this.against = new Comparison({ choose: (target, x) => this.compare(target, x), toggle: (id) => this.pick(id) });
    this.groups = h("select", { "aria-label": "Group by", change: () => this.groupBy(this.groups.value) });
    this.curve = h("select", { "aria-label": "Curve", change: () => this.choose(this.curve.value) });
    this.tools = h("div", { class: "row" }, h("label", {}, "Curves of ", this.curve), h("label", {}, "Group by ", this.groups));
  }

  /** @param {URLSearchParams} query */
  async begin(query) {
    this.filter = query.get("where") ?? "";
    this.input.value = this.filter;
    this.selected = query.getAll("s").slice(0, MOST);
    this.metric = query.get("metric") ?? "";
    this.column = query.get("by") ?? KNOWN[0];
    this.isFalling = query.get("order") === "falling";
    this.group = query.get("group") ?? "";
    this.target = query.get("target") ?? "";
    this.x = query.get("x") ?? "";
    this.asked = windowOf(query.get("zoom"));
    this.bands.open(windowOf(query.get("gzoom")));
    put(this.host,
      h("div", { class: "rows" }, h("div", { class: "row filter" }, this.input, button("Filter", () => this.apply()), this.said), this.wrong, this.unknown, this.tools),
      this.list, folded(this.code), this.gone, this.picture, this.grouped, this.comparison, h("div", { class: "cards" }, this.against.element));
    await this.load();
    await this.showSelected();
  }

  close() {
    this.asking.abort();
    clearTimeout(this.timer);
    this.chart.close();
    clearTimeout(this.later);
    clearTimeout(this.stating);
    this.sparks.close();
    this.bands.close();
    this.against.close();
  }

  async refresh() {
    const isKnown = await this.ask();
    await this.showSelected();
    if (isKnown) await this.compareInTime();
  }

  /** Groups and parameters again, which read every run: while a writer goes on they take a tenth of the time at most. */
  async compareInTime() {
    const left = REST * this.took - (performance.now() - this.compared);
    if (left <= 0) {
      await this.compareAll();
      return;
    }
    clearTimeout(this.later);
    this.later = setTimeout(() => this.compareAll().catch(report), left);
  }

  async compareAll() {
    clearTimeout(this.later);
    const begin = performance.now();
    await this.showBands();
    await this.showAgainst();
    this.compared = performance.now();
    this.took = this.compared - begin;
  }

  apply() {
    this.filter = this.input.value;
    this.state();
    this.load().catch(report);
  }

  /** @param {string} parameter */
  groupBy(parameter) {
    this.group = parameter;
    this.state();
    this.showBands().catch(report);
  }

  /** @param {string} target @param {string} x */
  compare(target, x) {
    [this.target, this.x] = [target, x];
    this.state();
    this.showAgainst().catch(report);
  }

  /** A run that was clicked in a picture. @param {string} id */
  pick(id) {
    this.toggle(id);
    this.showList();
  }

  state() {
    this.context.setAddress(this.parameters());
    for (const link of this.host.querySelectorAll("a[data-run]")) link.setAttribute("href", this.hrefOf(link.getAttribute("data-run") ?? ""));
  }

  /** While a window moves the address waits. */
  stateSoon() {
    clearTimeout(this.stating);
    this.stating = setTimeout(() => this.state(), PAUSE);
  }

  /** The state as the address has it. */
  parameters() {
    /** @type {[string, string][]} */
    const parameters = this.selected.map((id) => ["s", id]);
    if (this.filter) parameters.push(["where", this.filter]);
    if (this.metric) parameters.push(["metric", this.metric]);
    if (this.column !== KNOWN[0]) parameters.push(["by", this.column]);
    if (this.isFalling) parameters.push(["order", "falling"]);
    if (this.group) parameters.push(["group", this.group]);
    if (this.target) parameters.push(["target", this.target]);
    if (this.x) parameters.push(["x", this.x]);
    if (this.asked) parameters.push(["zoom", windowText(this.asked)]);
    if (this.bands.window && this.group) parameters.push(["gzoom", windowText(this.bands.window)]);
    return parameters;
  }

  /** The runs, and what is made of all of them. */
  async load() {
    if (await this.ask()) await this.compareAll().catch(report);
  }

  /** Asks for the runs, and whether all is there; a filter that is none is refused with a sentence, and the rows stay. */
  async ask() {
    const own = ++this.turn;
    this.wrong.hidden = true;
    try {
      const { first } = this.context;
      this.context.first = null;
      for (let asked = first ?? listOfRuns(this.filter, { known: this.version }); ; asked = listOfRuns(this.filter)) {
        const answer = await asked;
        if (own !== this.turn) return false;
        this.hear(answer);
        if (this.runs.length === this.count) break;
        await this.showRuns();
      }
    } catch (error) {
      if (own !== this.turn) return false;
      if (!this.filter || !(error instanceof Error)) throw error;
      this.wrong.textContent = error.message;
      this.wrong.hidden = false;
      return false;
    }
    await this.showRuns();
    return true;
  }

  /** The runs that have come, and what can be chosen of them. */
  async showRuns() {
    this.said.textContent = plural(this.count, "simulation");
    const [first, last] = [this.runs[0], this.runs[this.runs.length - 1]];
    const known = await Promise.all([...new Set([first, last])].filter(Boolean).map((run) => this.metricsOf(run.simulation_id)));
    this.logged = [...new Set(known.flatMap((metrics) => metrics ?? []))];
    if (this.runs.length === this.count) await this.checkMetric();
    this.showTools();
    this.showList();
  }

  /** A metric of the address that the first and the last run do not have may be one of others; one of none is said, and not kept. */
  async checkMetric() {
    if (!this.metric || this.logged.includes(this.metric) || this.runs.length === 0) return;
    const ids = this.runs.slice(0, MOST_ASKED).map((run) => run.simulation_id);
    try {
      const { sparks } = await get("runs/sparks", { metric: this.metric, ids: JSON.stringify(ids) });
      if (sparks.some((/** @type {unknown} */ spark) => spark !== null)) {
        this.logged.push(this.metric);
        return;
      }
    } catch (error) {
      if (!isGone(error)) throw error; // no run of the file has it
    }
    this.unknown.textContent = `${ids.length < this.runs.length ? `None of the first ${count(ids.length)} runs has` : "No run here has"} a metric ${this.metric}.`;
    this.unknown.hidden = false;
    this.metric = "";
    this.showTools();
    this.state();
  }

  /** The runs, or what differs from those that are known. @param {any} answer */
  hear({ version = "", runs, count, gone, come }) {
    if (!runs) {
      const left = new Set(gone);
      runs = this.runs.filter((_, place) => !left.has(place));
      for (const [place, run] of come) runs.splice(place, 0, run);
    }
    this.version = version;
    this.runs = runs;
    this.count = count ?? runs.length;
  }

  /** The metrics of a run; null if it is not there. @param {string} id @param {AbortSignal} [signal] @returns {Promise<string[] | null>} */
  async metricsOf(id, signal) {
    try {
      return (await get("runs/metrics", { id }, signal)).metrics;
    } catch (error) {
      if (isGone(error)) return null;
      throw error;
    }
  }

  /** Chosen runs that are not there, of a link or removed by another process, are chosen no longer. @param {string[]} ids */
  drop(ids) {
    this.selected = this.selected.filter((id) => !ids.includes(id));
    this.gone.textContent = `Not in the file: ${ids.join(", ")}.`;
    this.gone.hidden = false;
    this.state();
    this.showList();
    this.against.select(this.selected);
  }

  /** What curves, groups and results can be chosen. */
  showTools() {
    if (!this.metric || !this.logged.includes(this.metric)) this.metric ||= this.logged[0] ?? "";
    offer(this.curve, [...new Set([...this.logged, ...(this.metric ? [this.metric] : [])])].map((name) => [name, name]), this.metric);
    const params = names(this.runs, "parameters").map((name) => `params.${name}`);
    if (this.group && !params.includes(this.group)) params.push(this.group);
    offer(this.groups, [["", "nothing"], ...params.map((name) => [name, name])], this.group);
    // What is chosen can be undone, also where no run matches.
    this.tools.hidden = this.logged.length === 0 && !this.metric && !this.group && !this.filter;
  }

  async showBands() {
    put(this.grouped, this.group && this.metric ? this.bands.element : null);
    await this.bands.show({ metric: this.metric, by: this.group, where: this.filter });
  }

  async showAgainst() {
    const results = names(this.runs, "results_summary").filter((name) => this.runs.some((run) => typeof run.results_summary[name] === "number"));
    const targets = [...results.map((name) => `results.${name}`), ...this.logged.map((name) => `metrics.${name}`)];
    const hasParameters = this.runs.some((run) => Object.keys(run.parameters).length > 0);
    await this.against.show({ runs: this.runs, selected: this.selected, target: this.target, x: this.x, where: this.filter }, hasParameters ? targets : []);
  }

  showList() {
    const [params, results] = [names(this.runs, "parameters"), names(this.runs, "results_summary")];
    const columns = [...KNOWN, ...params.map((name) => `params.${name}`), ...results.map((name) => `results.${name}`)];
    /** @type {((run: Run) => any)[]} */
    const readers = [
      (run) => run.simulation_id, (run) => run.status, (run) => run.start_time?.replace("T", " ").replace(/(\.\d+)?Z$/, "") ?? null, seconds,
      (run) => run.last_step, (run) => run.rows,
      ...params.map((name) => (/** @type {Run} */ run) => plain(run.parameters[name])), ...results.map((name) => (/** @type {Run} */ run) => plain(run.results_summary[name])),
    ];
    const by = Math.max(0, columns.indexOf(this.column));
    const { runs } = this; // what comes later has a list of its own
    const keys = runs.map(readers[by]);
    const order = keys.map((_, i) => i);
    if (by > 0 || this.isFalling) order.sort((a, b) => (this.isFalling && keys[a] !== null && keys[b] !== null ? -1 : 1) * compare(keys[a], keys[b]));
    const at = (/** @type {number} */ row) => runs[order[row]];
    // Only rows in sight have cells.
    const rows = { length: this.count, slice: (/** @type {number} */ from, /** @type {number} */ until) => order.slice(from, until).map((i) => readers.map((read) => read(runs[i]))) };
    this.showCode(keys.some((key) => typeof key === "string"));
    if (runs.length === 0) {
      put(this.list, h("p", { class: "empty" }, this.filter ? "No simulation matches." : "There are no simulations yet."));
      return;
    }
    const scrolled = this.list.firstElementChild?.scrollTop ?? 0;
    const shown = grid(columns, rows, {
      mark: (row) => this.selected.indexOf(at(row).simulation_id) + 1,
      toggle: (row) => this.toggle(at(row).simulation_id),
      sort: (column) => {
        this.isFalling = this.column === columns[column] && !this.isFalling;
        this.column = columns[column];
        this.state();
        this.showList();
      },
      sorted: this.isFalling ? "↓" : "↑",
      column: by > 0 || this.isFalling ? by : -1,
      link: (row) => this.link(at(row).simulation_id),
      spark: this.metric ? (row) => this.sparks.of(this.metric, at(row).simulation_id, `${at(row).rows} ${at(row).last_step} ${at(row).status}`) : undefined,
      sparked: this.metric,
    });
    keepingFocus(this.list, () => {
      put(this.list, shown);
      shown.scrollTop = scrolled;
      shown.dispatchEvent(new Event("scroll")); // the rows in sight, one of which may have had the focus
    });
  }

  /** @param {boolean} isText whether what is sorted by has texts */
  showCode(isText) {
    const path = String(this.context.overview.path);
    this.code.textContent = codeOfList({ path, filter: this.filter, parameters: names(this.runs, "parameters"), column: this.column, isFalling: this.isFalling, isText, metric: this.metric });
  }

  /** @param {string} id */
  toggle(id) {
    const at = this.selected.indexOf(id);
    this.gone.hidden = true;
    if (at >= 0) this.selected.splice(at, 1);
    else if (this.selected.length < MOST) this.selected.push(id);
    this.state();
    this.against.select(this.selected);
    this.showSelected().catch(report);
  }

  /** The page of a run, which leads back to this list as it is. @param {string} id */
  link(id) {
    return h("a", { href: this.hrefOf(id), "data-run": id, "data-key": `link ${id}` }, id);
  }

  /** @param {string} id */
  hrefOf(id) {
    return `/runs?${new URLSearchParams([["run", id], ...this.parameters()])}`;
  }

  /** @param {string} metric */
  choose(metric) {
    this.metric = metric;
    this.unknown.hidden = true;
    this.asked = null;
    this.state();
    this.showTools();
    this.showList();
    this.showSelected().then(() => this.showBands()).catch(report);
  }

  /** Curves of a metric, and parameters side by side. */
  async showSelected() {
    this.asking.abort();
    this.asking = new AbortController();
    const { signal } = this.asking;
    const asked = await Promise.all(this.selected.map(async (id) => ({ id, metrics: await this.metricsOf(id, signal) })));
    if (signal.aborted) return;
    const gone = asked.filter(({ metrics }) => metrics === null).map(({ id }) => id);
    if (gone.length > 0) this.drop(gone);
    const known = asked.map(({ id, metrics }) => ({ id, metrics: metrics ?? [] }));
    const metrics = [...new Set(known.flatMap((of) => of.metrics))];
    if (metrics.length > 0 && !metrics.includes(this.metric)) this.metric = metrics[0];
    offer(this.metrics, metrics.map((name) => [name, name]), this.metric);
    this.picture.hidden = metrics.length === 0;
    this.showComparison();
    if (metrics.length === 0) return;
    const having = known.filter((of) => of.metrics.includes(this.metric)).map(({ id }) => id);
    const bounds = this.asked ? { from: String(integer(this.asked.from, false)), until: String(integer(this.asked.until, true)) } : {};
    await this.chart.fit(async (width) => {
      delete this.chart.element.dataset.ready;
      this.curves = await Promise.all(having.map(async (id) => {
        const { about, columns } = await table("runs/metric", { id, metric: this.metric, width, edges: true, ...bounds }, signal);
        return { id, said: about.said, xs: columns.step.map(Number), ys: columns.value.map((y) => (y === null ? null : Number(y))) };
      }));
      this.draw();
    });
  }

  /** @param {Window | "all"} window */
  zoom(window) {
    this.asked = window === "all" ? null : window;
    this.stateSoon();
    this.draw(); // what is there, until the answer comes
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.showSelected().catch(report), PAUSE);
  }

  draw() {
    const curves = this.curves.filter(({ xs }) => xs.length > 0);
    if (curves.length === 0) return;
    const from = Math.min(...curves.map(({ xs }) => xs[0]));
    const until = Math.max(...curves.map(({ xs }) => xs[xs.length - 1]));
    this.chart.draw({
      kind: "integer",
      window: this.asked ?? (until > from ? { from, until } : { from: from - 0.5, until: until + 0.5 }),
      data: /** @type {any} */ (uPlot.join(curves.map(({ xs, ys }) => [xs, ys]), curves.map(() => [1, 2]))),
      lines: curves.map(({ id }) => ({ label: id, color: colorOf(this.selected.indexOf(id)), scale: "y" })),
      scales: { y: { label: this.metric } },
    });
    this.drawn.textContent = [...new Set(curves.map(({ said }) => said))].join("; ");
    this.showValues(null);
  }

  /** @param {number | null} index */
  showValues(index) {
    const data = this.chart.plot?.data;
    const entry = (/** @type {{id: string}} */ { id }, /** @type {number} */ i) => {
      const y = index === null ? undefined : data?.[i + 1][index];
      return h("span", {}, h("i", { class: `swatch c${this.selected.indexOf(id) + 1}` }), id, h("b", {}, y === undefined ? "" : number(y)));
    };
    const step = index === null ? "" : `step ${number(data?.[0][index])}`;
    put(this.legend, ...this.curves.filter(({ xs }) => xs.length > 0).map(entry), h("span", { class: "soft" }, step));
  }

  /** What the chosen runs were given, and what came of them; what differs stands out. */
  showComparison() {
    const chosen = this.selected.map((id) => this.runs.find((run) => run.simulation_id === id)).filter((run) => run !== undefined);
    if (chosen.length === 0) {
      put(this.comparison);
      return;
    }
    const row = (/** @type {string} */ name, /** @type {(run: Run) => unknown} */ of) => {
      const values = chosen.map((run) => plain(of(run)));
      if (values.every((value) => value === null)) return null;
      const differs = new Set(values.map(String)).size > 1;
      return h("tr", {}, h("td", { class: differs ? "" : "soft" }, name), ...values.map((value) => h("td", { class: differs ? "key" : "key soft" }, value === null ? "" : number(/** @type {any} */ (value)))));
    };
    const lasted = (/** @type {Run} */ run) => {
      const length = seconds(run);
      return length === null ? null : duration(length);
    };
    put(this.comparison, h("section", { class: "card comparison" }, h("header", {}, h("h2", {}, "Side by side"), h("span", { class: "soft small" }, "what differs is dark")),
      h("div", { class: "scroll" }, h("table", {},
        h("thead", {}, h("tr", {}, h("th", {}), ...chosen.map((run) => h("th", {}, h("i", { class: `swatch c${this.selected.indexOf(run.simulation_id) + 1}` }), " ", this.link(run.simulation_id))))),
        h("tbody", {},
          row("status", (run) => run.status), row("error", (run) => run.error), row("lasted", lasted), row("last step", (run) => run.last_step), row("rows", (run) => run.rows),
          ...names(chosen, "parameters").map((name) => row(`params.${name}`, (run) => run.parameters[name])),
          ...names(chosen, "results_summary").map((name) => row(`results.${name}`, (run) => run.results_summary[name]))))),
      folded(this.besideCode, "Show me the code of this comparison")));
    this.besideCode.textContent = codeOfComparison({
      path: String(this.context.overview.path), ids: chosen.map((run) => run.simulation_id),
      parameters: names(chosen, "parameters"), results: names(chosen, "results_summary"), metric: this.picture.hidden ? "" : this.metric,
    });
  }
}

/** @param {unknown} error */
function report(error) {
  dispatchEvent(new CustomEvent("trouble", { detail: error }));
}
