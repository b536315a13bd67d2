// One run: what it was, what it was given, what it logged and what came of it.

import { get, isGone, sql, table } from "./api.js";
import { Chart } from "./chart.js";
import { folded, shellWord, sqlName, sqlText } from "./code.js";
import { button, h, keepingFocus, put } from "./dom.js";
import { count, duration, json, number, plural } from "./format.js";
import { Pace } from "./pace.js";
import { codeOfRun } from "./runscode.js";
import { integer } from "./window.js";

/**
 * @typedef {import("./window.js").Window} Window
 * @typedef {import("./runs.js").Run & {experiment_id: string | null, provenance: Record<string, any>}} Run
 */

/** Curves that are shown before somebody asks for more. */
const SOME = 12;
/** Pixels of a curve. */
const HEIGHT = 150;
/** After the window was moved the server is asked once nothing moves for so many ms. */
const PAUSE = 60;
/** Entries of an object within one that stand beside the others; more are folded. */
const FEW = 6;

/** How a status looks. @param {string} status */
export const pill = (status) => h("span", { class: `pill ${status === "completed" ? "good" : ["failed", "crashed"].includes(status) ? "bad" : ""}` }, status);

/** The metric of a run, with its own curve. */
class Curve {
  /** @param {RunPage} page @param {string} name */
  constructor(page, name) {
    this.page = page;
    this.name = name;
    /** @type {{xs: number[], ys: (number | null)[]} | null} */
    this.points = null;
    this.chart = new Chart({ height: HEIGHT, sync: "run", onWindow: (window) => page.zoom(window), onCursor: (index) => this.showValue(index) });
    this.value = h("span", { class: "soft small" });
    this.element = h("section", { class: "picture curve" },
      h("div", { class: "row" }, h("h3", { class: "path" }, name), this.value,
        h("span", { class: "push" }, button("PNG", () => this.chart.png(`${name} of ${page.id}`), { class: "plain", title: "Save the picture" }))),
      this.chart.element);
  }

  /** @param {AbortSignal} signal */
  async load(signal) {
    const { id, asked } = this.page;
    const bounds = asked ? { from: String(integer(asked.from, false)), until: String(integer(asked.until, true)) } : {};
    await this.chart.fit(async (width) => {
      delete this.chart.element.dataset.ready;
      const { columns } = await table("runs/metric", { id, metric: this.name, width, edges: true, ...bounds }, signal);
      this.points = { xs: columns.step.map(Number), ys: columns.value.map((y) => (y === null ? null : Number(y))) };
      this.draw();
    });
  }

  draw() {
    if (!this.points || this.points.xs.length === 0) return;
    const { xs, ys } = this.points;
    const [from, until] = [xs[0], xs[xs.length - 1]];
    this.chart.draw({
      kind: "integer",
      window: this.page.asked ?? (until > from ? { from, until } : { from: from - 0.5, until: until + 0.5 }),
      data: [xs, ys],
      lines: [{ label: this.name, color: "--line-1", scale: "y" }],
      scales: { y: { label: "" } },
    });
    this.showValue(null);
  }

  /** The value under the cursor, else the last one that is drawn. @param {number | null} index */
  showValue(index) {
    if (!this.points) return;
    const { xs, ys } = this.points;
    const at = index ?? xs.length - 1;
    this.value.textContent = `${number(ys[at])} at step ${number(xs[at])}`;
  }
}

export class RunPage {
  /** @param {HTMLElement} host @param {import("./app.js").Context} context @param {string} id */
  constructor(host, context, id) {
    this.host = host;
    this.context = context;
    this.id = id;
    /** The address of the list that led here. @type {[string, string][]} */
    this.rest = [];
    /** @type {Window | null} */
    this.asked = null;
    this.search = "";
    this.most = SOME;
    this.timer = 0;
    /** What is shown of the run: the same is not made anew. */
    this.known = "";
    /** @type {string[]} */
    this.metrics = [];
    /** @type {Map<string, Curve>} */
    this.curves = new Map();
    this.asking = new AbortController();
    this.head = h("div", { class: "row head-of-run" });
    this.facts = h("div", { class: "cards-of-run" });
    this.find = h("input", { type: "search", "aria-label": "Find a metric", placeholder: "Find a metric", hidden: true, input: () => {
      this.search = this.find.value.toLowerCase();
      this.showCurves().catch(report);
    } });
    this.said = h("span", { class: "said" });
    this.grid = h("div", { class: "curves" });
    this.more = h("div", { class: "row" });
    this.logged = h("section", { class: "metrics", hidden: true },
      h("div", { class: "row" }, h("h2", {}, "Metrics"), this.said, this.find, h("span", { class: "push" }, button("All steps", () => this.zoom("all"), { title: "Show all (double click)" }))),
      this.grid, this.more);
    this.held = h("div");
    this.code = h("pre");
    this.pace = new Pace(this.host, () => this.load());
  }

  /** @param {URLSearchParams} query */
  async begin(query) {
    this.rest = [...query].filter(([name]) => !["run", "from", "until"].includes(name));
    const [from, until] = ["from", "until"].map((name) => parseFloat(query.get(name) ?? ""));
    if (until > from) this.asked = { from, until };
    put(this.host, this.head, this.facts, this.logged, this.held, folded(this.code));
    await this.pace.run();
  }

  close() {
    this.asking.abort();
    clearTimeout(this.timer);
    this.pace.close();
    for (const { chart } of this.curves.values()) chart.close();
  }

  async refresh() {
    this.pace.ask();
  }

  /** The address of the list, with this run chosen or not. @param {boolean} chosen */
  listed(chosen) {
    const rest = this.rest.filter(([name, value]) => !(chosen && name === "s" && value === this.id));
    const query = new URLSearchParams([...(chosen ? [["s", this.id]] : []), ...rest]).toString();
    return query ? `/runs?${query}` : "/runs";
  }

  state() {
    /** @type {[string, string][]} */
    const bounds = this.asked ? [["from", String(this.asked.from)], ["until", String(this.asked.until)]] : [];
    this.context.setAddress([["run", this.id], ...bounds, ...this.rest]);
  }

  async load() {
    const where = `simulation_id = ${sqlText(this.id)}`;
    const { signal } = this.asking;
    const [run] = /** @type {Run[]} */ ((await get("runs", { where }, signal)).runs);
    if (!run) {
      this.showGone();
      return;
    }
    const now = json(run);
    if (now === this.known) return;
    const [{ metrics }, experiment, tables, arrays] = await Promise.all([
      get("runs/metrics", { id: this.id }, signal),
      sql(`SELECT e.name, e.description, e.hypothesis, e.status, e.tags, e.notes FROM experiments e JOIN simulations s USING (experiment_id) WHERE s.${where}`, signal),
      sql(`SELECT t.name, m.rows, m.last_step FROM record_summary m JOIN record_table t ON t.id = m.record_table JOIN simulations s ON s.id = m.simulation WHERE s.${where} AND m.rows > 0 ORDER BY m.rows DESC, t.name`, signal),
      sql(`SELECT name, dtype, count(*), min(step_number), max(step_number) FROM simulation_arrays WHERE ${where} GROUP BY 1, 2 ORDER BY 1, 2`, signal),
    ]);
    this.metrics = metrics;
    this.showHead(run);
    this.showFacts(run, experiment);
    this.showTables(tables.rows, arrays.rows);
    this.code.textContent = codeOfRun({ path: String(this.context.overview.path), id: this.id });
    await this.showCurves(true);
    this.known = now;
  }

  /** The run of a link is not there, or not any more. */
  showGone() {
    this.known = "";
    put(this.head, this.back(), h("h1", { class: "path" }, this.id));
    put(this.facts, h("p", { class: "empty" }, "There is no run of this id in the file."));
    put(this.held);
    this.logged.hidden = true;
    this.code.textContent = "";
  }

  back() {
    return h("a", { href: this.listed(false), class: "button", "data-key": "back" }, "‹ Runs");
  }

  /** @param {Run} run */
  showHead(run) {
    keepingFocus(this.head, () => put(this.head, this.back(), h("h1", { class: "path" }, this.id), pill(run.status),
      h("span", { class: "push row" },
        h("a", { href: this.listed(true), class: "button", "data-key": "compare" }, "Compare with others"),
        this.statement("Open in SQL", `SELECT * FROM simulations WHERE simulation_id = ${sqlText(this.id)}`))));
  }

  /** A link to a statement of the page SQL. @param {string} text @param {string} statement */
  statement(text, statement) {
    return h("a", { href: `/sql?${new URLSearchParams([["q", statement]])}`, "data-key": statement }, text);
  }

  /** @param {Run} run @param {{columns: string[], rows: any[][]}} experiment */
  showFacts(run, experiment) {
    const [start, end] = [run.start_time, run.end_time].map((text) => (text ? Date.parse(text) : NaN));
    const when = (/** @type {string | null} */ text) => text && `${text.replace("T", " ").replace(/Z$/, "")} UTC`;
    const of = experiment.rows[0] ?? [];
    /** @type {Record<string, any>} */
    const about = {
      experiment: run.experiment_id, ...Object.fromEntries(experiment.columns.map((name, i) => [name === "status" ? "experiment is" : name, of[i]])),
      started: when(run.start_time), ended: when(run.end_time), lasted: end >= start ? duration((end - start) / 1000) : null,
      "last step": run.last_step, rows: count(run.rows), error: run.error,
    };
    if (about.name === run.experiment_id) delete about.name; // said already
    about.tags = tagged(of[experiment.columns.indexOf("tags")]);
    keepingFocus(this.facts, () => put(this.facts, card("Run", about), card("Parameters", run.parameters), card("Results", run.results_summary), card("Provenance", run.provenance)));
  }

  /** @param {any[][]} tables @param {any[][]} arrays */
  showTables(tables, arrays) {
    const own = `WHERE simulation_id = ${sqlText(this.id)}`;
    const row = (/** @type {any[]} */ [name, rows, last]) => h("tr", {}, h("td", { class: "key" }, name), h("td", { class: "n" }, count(rows)), h("td", { class: "n" }, last === null ? "" : number(last)),
      h("td", { class: "n" }, this.statement("SQL", `SELECT * FROM ${sqlName(name)} ${own}`)));
    const array = (/** @type {any[]} */ [name, dtype, rows, , last]) => h("tr", {}, h("td", { class: "key" }, `${name}, arrays of ${dtype}`), h("td", { class: "n" }, count(rows)), h("td", { class: "n" }, number(last)),
      h("td", { class: "n" }, this.statement("SQL", `SELECT name, step_number, dtype, shape FROM simulation_arrays ${own} AND name = ${sqlText(name)}`)));
    const all = [...tables.map(row), ...arrays.map(array)];
    keepingFocus(this.held, () => put(this.held, h("section", { class: "card" }, h("header", {}, h("h2", {}, "Tables")),
      all.length === 0
        ? h("p", { class: "soft" }, "It has no records yet.")
        : h("div", { class: "scroll" }, h("table", {}, h("thead", {}, h("tr", {}, h("th", {}, "Table"), h("th", { class: "n" }, "Rows"), h("th", { class: "n" }, "Last step"), h("th", {}))), h("tbody", {}, ...all))))));
  }

  /** The curves of the metrics that are searched for. Those that stand already are asked again only if `again`. */
  async showCurves(again = false) {
    const found = this.metrics.filter((name) => name.toLowerCase().includes(this.search));
    const shown = found.slice(0, this.most);
    this.logged.hidden = this.metrics.length === 0;
    this.find.hidden = this.metrics.length <= SOME;
    for (const [name, curve] of this.curves) {
      if (shown.includes(name)) continue;
      curve.chart.close();
      this.curves.delete(name);
    }
    const added = shown.filter((name) => !this.curves.has(name));
    for (const name of added) this.curves.set(name, new Curve(this, name));
    const all = shown.map((name) => /** @type {Curve} */ (this.curves.get(name)));
    if (added.length > 0 || this.grid.childElementCount !== all.length) put(this.grid, ...all.map(({ element }) => element));
    const left = found.length - shown.length;
    put(this.more, left > 0 && button(`${count(Math.min(left, SOME))} more`, () => {
      this.most += SOME;
      this.showCurves().catch(report);
    }));
    this.said.textContent = found.length === 0 ? "none has this in its name" : left > 0 ? `${count(shown.length)} of ${plural(found.length, "metric")}` : plural(found.length, "metric");
    await this.ask(again ? all : all.filter(({ name }) => added.includes(name)));
  }

  /** @param {Curve[]} curves */
  async ask(curves) {
    const { signal } = this.asking;
    await Promise.all(curves.map(async (curve) => {
      try {
        await curve.load(signal);
      } catch (error) {
        if (!isGone(error)) throw error; // removed meanwhile: the next look says so
      }
    }));
  }

  /** @param {Window | "all"} window */
  zoom(window) {
    this.asked = window === "all" ? null : window;
    this.state();
    for (const curve of this.curves.values()) curve.draw(); // what is there, until the answers come
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      this.asking.abort();
      this.asking = new AbortController();
      this.ask([...this.curves.values()]).catch(report);
    }, PAUSE);
  }
}

/** Tags, which are a list of JSON or any text. @param {unknown} text */
function tagged(text) {
  try {
    const list = JSON.parse(String(text ?? "null"));
    return Array.isArray(list) ? list.join(", ") : text;
  } catch {
    return text;
  }
}

/** A card of names and values; none where there are none. @param {string} title @param {Record<string, any>} object */
function card(title, object) {
  const all = Object.entries(object ?? {}).filter(([, value]) => value !== null && value !== undefined && value !== "");
  if (all.length === 0) return null;
  return h("section", { class: "card" }, h("header", {}, h("h2", {}, title)), facts(all));
}

/** @param {[string, any][]} all @returns {HTMLElement} */
function facts(all) {
  return h("dl", { class: "facts" }, ...all.flatMap(([name, value]) => [h("dt", {}, name.replaceAll("_", " ")), h("dd", {}, valueOf(value))]));
}

/** A value to read: words of a command as one types them, an object as its own names and values. @param {any} value @returns {import("./dom.js").Child} */
function valueOf(value) {
  if (Array.isArray(value) && value.length > 0 && value.every((one) => typeof one === "string")) return h("span", { class: "mono" }, value.map((word) => (/^[\w./:=@%+-]+$/.test(word) ? word : shellWord(word))).join(" "));
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (value === null || typeof value !== "object") return String(value); // numbers as they were given: one may be a name
  const entries = Object.entries(value);
  if (Array.isArray(value) || entries.some(([, one]) => one !== null && typeof one === "object")) return h("pre", {}, json(value));
  if (entries.length <= FEW) return facts(entries);
  return h("details", { "data-key": entries.map(([name]) => name).join(" ") }, h("summary", {}, plural(entries.length, "entry").replace("entrys", "entries")), facts(entries));
}

/** @param {unknown} error */
function report(error) {
  dispatchEvent(new CustomEvent("trouble", { detail: error }));
}
