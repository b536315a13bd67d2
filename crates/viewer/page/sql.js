// The user's own SQL: the tables of the file, an editor, the rows, and a chart of two columns.

import { get, sql } from "./api.js";
import { Chart } from "./chart.js";
import { begun, button, h, put, save } from "./dom.js";
import { count, duration, number, plural } from "./format.js";
import { grid } from "./grid.js";

/** @typedef {{columns: string[], rows: any[][], more: boolean, limit: number, seconds: number}} Found */

/** @type {import("./app.js").Page} */
export async function sqlPage(host, query, context) {
  return begun(new SqlPage(host, context), query);
}

class SqlPage {
  /** @param {HTMLElement} host @param {import("./app.js").Context} context */
  constructor(host, context) {
    this.host = host;
    this.context = context;
    /** @type {AbortController | null} */
    this.running = null;
    /** @type {Found | null} */
    this.found = null;
    this.chart = new Chart({ height: 300, onWindow: (window) => this.draw(window === "all" ? undefined : window), onCursor: (index) => this.showPoint(index) });
    this.editor = h("textarea", {
      "aria-label": "SQL statement", spellcheck: "false", autocapitalize: "off", autocomplete: "off",
      keydown: (event) => {
        if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
          event.preventDefault();
          this.run();
        }
        if (event.key === "Escape") this.running?.abort();
      },
    });
    this.go = button("Run", () => this.run(), { class: "first", title: "Ctrl+Enter" });
    this.stop = button("Cancel", () => this.running?.abort(), { disabled: true, title: "Escape" });
    this.said = h("span", { class: "said", role: "status" });
    this.wrong = h("pre", { class: "bad", hidden: true, role: "alert" });
    this.result = h("div");
    this.tables = h("ul", { class: "tree" });
  }

  /** @param {URLSearchParams} query */
  async begin(query) {
    const side = h("details", { class: "side", open: innerWidth > 800 }, h("summary", {}, "Tables"), this.tables);
    put(this.host, h("div", { class: "split" }, h("aside", {}, side),
      h("div", {}, this.editor,
        h("p", { class: "row" }, this.go, this.stop, this.said),
        this.wrong, this.result)));
    const { tables } = await get("tables");
    this.showTables(tables);
    const first = tables.find((/** @type {any} */ table) => table.type === "table");
    this.editor.value = query.get("q") ?? (first ? select(first.name) : "SELECT 1");
    // What a link brings may be made by anyone, and take long: it is run when the user says so.
    if (query.has("q")) this.said.textContent = "from a link: Run (Ctrl+Enter) runs it";
  }

  async refresh() {} // the rows are those of the time when they were asked for

  close() {
    this.running?.abort();
    this.chart.close();
  }

  /** @param {any[]} tables */
  showTables(tables) {
    const column = (/** @type {any} */ of) =>
      h("li", {}, button(of.name, () => this.insert(quoted(of.name)), { class: "plain", title: "Insert the name" }), h("span", { class: "soft" }, of.type.toLowerCase()));
    const table = (/** @type {any} */ of) =>
      h("li", {}, h("details", { open: tables.length === 1 }, h("summary", { class: "path" }, of.name, of.type === "view" && h("span", { class: "soft" }, " view")),
        h("ul", { class: "columns" }, h("li", {}, button("first 100 rows", () => this.replace(select(of.name)), { class: "plain" })), ...of.columns.map(column))));
    put(this.tables, ...tables.map(table), tables.length === 0 && h("li", { class: "soft" }, "The file has no tables yet."));
  }

  /** @param {string} text */
  insert(text) {
    const { selectionStart, selectionEnd } = this.editor;
    this.editor.setRangeText(text, selectionStart, selectionEnd, "end");
    this.editor.focus();
  }

  /** @param {string} text */
  replace(text) {
    this.editor.value = text;
    this.run();
  }

  async run() {
    const statement = this.editor.value.trim();
    if (!statement) return;
    this.running?.abort();
    const running = new AbortController();
    this.running = running;
    this.context.setAddress([["q", statement]]);
    this.wrong.hidden = true;
    this.stop.disabled = false;
    this.said.textContent = "running …";
    delete this.host.dataset.ready;
    const since = performance.now();
    try {
      const found = await sql(statement, running.signal);
      this.show(found, (performance.now() - since) / 1000);
    } catch (error) {
      if (this.running !== running) return; // another statement runs
      const isCancelled = error instanceof DOMException && error.name === "AbortError";
      this.said.textContent = isCancelled ? "cancelled" : "";
      this.wrong.textContent = isCancelled ? "" : error instanceof Error ? error.message : String(error);
      this.wrong.hidden = isCancelled;
    } finally {
      if (this.running === running) {
        this.stop.disabled = true;
        this.host.dataset.ready = "";
      }
    }
  }

  /** @param {Found} found @param {number} seconds */
  show(found, seconds) {
    this.found = found;
    const limit = found.more ? `the first ${count(found.limit)} rows; there are more, which LIMIT and OFFSET reach` : plural(found.rows.length, "row");
    this.said.textContent = `${limit}, in ${duration(seconds)}`;
    if (found.columns.length === 0) {
      put(this.result, h("p", { class: "empty" }, "The statement gives no columns."));
      return;
    }
    put(this.result, this.tools(found), this.picture, grid(found.columns, found.rows));
  }

  /** @param {Found} found */
  tools(found) {
    const numbers = found.columns.map((_, i) => i).filter((i) => found.rows.some((row) => isNumber(row[i])));
    const option = (/** @type {number} */ i) => h("option", { value: i }, found.columns[i]);
    const draw = () => this.draw();
    this.x = h("select", { "aria-label": "Across", change: draw }, h("option", { value: -1 }, "row"), ...numbers.map(option));
    this.y = h("select", { "aria-label": "Up", change: draw }, h("option", { value: -1 }, "no chart"), ...numbers.map(option));
    this.point = h("span", { class: "said" });
    this.picture = h("section", { class: "picture", hidden: true }, h("div", { class: "row" }, this.point, h("span", { class: "push" }, button("PNG", () => this.chart.png(this.editor.value.split("\n")[0])))), this.chart.element);
    return h("p", { class: "row" }, h("label", {}, "Chart ", this.y), h("label", {}, "over ", this.x),
      h("span", { class: "push" }, button("CSV", () => save(new Blob([csv(found)], { type: "text/csv" }), "siltstone.csv"), { title: "Save these rows" })));
  }

  /** Draws the two chosen columns. @param {import("./window.js").Window} [asked] */
  draw(asked) {
    if (!this.found || !this.x || !this.y || !this.picture) return;
    const { rows, columns } = this.found;
    const [x, y] = [Number(this.x.value), Number(this.y.value)];
    this.picture.hidden = y < 0;
    if (y < 0) return;
    const points = rows.map((row, i) => [x < 0 ? i + 1 : row[x], row[y]]).filter(([at]) => isNumber(at));
    const sorted = points.map(([at, value]) => [Number(at), isNumber(value) ? Number(value) : null]).sort((a, b) => Number(a[0]) - Number(b[0]));
    const xs = sorted.map(([at]) => Number(at));
    const [from, until] = [xs[0] ?? 0, xs[xs.length - 1] ?? 1];
    this.chart.draw({
      kind: "float",
      window: asked ?? (until > from ? { from, until } : { from: from - 0.5, until: until + 0.5 }),
      data: [xs, sorted.map(([, value]) => value)],
      lines: [{ label: columns[y], color: "--line-1", scale: "y" }],
      scales: { y: { label: columns[y] } },
    });
  }

  /** @param {number | null} index */
  showPoint(index) {
    const data = this.chart.plot?.data;
    if (this.point) this.point.textContent = index === null || !data ? "" : `${number(data[0][index])}: ${number(data[1][index])}`;
  }
}

/** @param {unknown} value */
const isNumber = (value) => typeof value === "number" || typeof value === "bigint";

/** A name as SQL, in quotes where it needs them. @param {string} name */
const quoted = (name) => (/^[A-Za-z_][A-Za-z0-9_]*$/.test(name) && name !== "update" ? name : `"${name.replaceAll('"', '""')}"`);

/** @param {string} table */
const select = (table) => `SELECT *\nFROM ${quoted(table)}\nLIMIT 100`;

/** Rows as CSV. A text that a spreadsheet would run as a formula gets a ' in front. @param {Found} found */
function csv({ columns, rows }) {
  const cell = (/** @type {unknown} */ value) => {
    if (value === null) return "";
    const text = typeof value === "string" && /^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value);
    return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return [columns, ...rows].map((row) => `${row.map(cell).join(",")}\r\n`).join("");
}
