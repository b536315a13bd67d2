// The history of an entity of a simulation: one attribute over the run.

import { download, isGone, table, whyGone } from "./api.js";
import { Chart, color } from "./chart.js";
import { button, h, put } from "./dom.js";
import { count, number } from "./format.js";
import { isSpecial, shown } from "./panel.js";
import { integer } from "./window.js";

/**
 * @typedef {import("./simulation.js").SimulationPage} SimulationPage
 * @typedef {import("./window.js").Window} Window
 */

const PAUSE = 150;

/** The history of the entity that was clicked. */
export class EntityHistory {
  /** @param {SimulationPage} page */
  constructor(page) {
    this.page = page;
    this.chart = new Chart({ height: 240, onWindow: (window) => this.zoom(window), onCursor: (index) => this.showValue(index) });
    /** @type {Window | null} */
    this.asked = null;
    /** Of a special value there is no point: `raw` has it. @type {{xs: number[], ys: (number | null)[], raw: (number | null)[], about: any, times: (number | bigint | null)[]} | null} */
    this.curve = null;
    this.asking = new AbortController();
    this.timer = 0;
    this.title = h("h2");
    this.said = h("span", { class: "said" });
    this.value = h("div", { class: "legend mono" });
    this.wrong = h("p", { class: "soft", hidden: true });
    this.element = h("section", { class: "picture", hidden: true },
      h("div", { class: "row" }, this.title, this.said,
        h("span", { class: "push group" },
          button("All", () => this.zoom("all"), { title: "Show all (double click)" }),
          button("PNG", () => this.chart.png(this.title.textContent ?? ""), { title: "Save the picture" }),
          button("CSV", () => this.download("csv"), { title: "Save the values" }),
          button("Parquet", () => this.download("parquet"), { title: "Save the values" }),
          button("×", () => this.page.pick(null, this.page.lane), { "aria-label": "Close the history" }))),
      this.wrong, this.chart.element, this.value);
  }

  /** @param {number} timestamp */
  toX(timestamp) {
    const { timeline } = this.page;
    return timeline ? timeline.reference + timestamp * timeline.time_scale : timestamp;
  }

  /** @param {number} x */
  toTimestamp(x) {
    const { timeline } = this.page;
    return timeline ? (x - timeline.reference) / timeline.time_scale : x;
  }

  query() {
    const { of, part } = this.page.attribute(this.page.panels[0].name);
    return { ...this.page.names(), id: this.page.chosen, attribute: of?.name, part };
  }

  bounds() {
    if (!this.asked) return {};
    const { from, until } = this.asked;
    return { from: String(integer(this.toTimestamp(from), false)), until: String(integer(this.toTimestamp(until), true)) };
  }

  async load() {
    const { chosen, panels } = this.page;
    this.asking.abort();
    this.asking = new AbortController();
    this.element.hidden = chosen === null;
    if (chosen === null) {
      this.curve = null;
      return;
    }
    this.title.textContent = `${panels[0].name} of entity ${chosen}`;
    delete this.chart.element.dataset.ready;
    this.said.textContent = "reading …";
    const { of } = this.page.attribute(panels[0].name);
    this.wrong.hidden = !of || !["text", "other", "time", "span"].includes(of.kind);
    this.chart.element.hidden = !this.wrong.hidden;
    if (!this.wrong.hidden) {
      this.curve = null; // of the attribute before
      this.wrong.textContent = "Only numbers have a curve: the table has the value at the time that is shown.";
      this.said.textContent = "";
      return;
    }
    await this.chart.fit((width) => this.ask(width));
  }

  /** @param {number} width */
  async ask(width) {
    const { chosen } = this.page;
    delete this.chart.element.dataset.ready;
    let answer;
    try {
      answer = await table("simulation/history", { ...this.query(), ...this.bounds(), width, edges: true }, this.asking.signal);
    } catch (error) {
      if (!isGone(error)) throw error;
      // An entity of a link that the group does not have: the pictures above do without.
      this.curve = null;
      this.chart.element.hidden = true;
      this.wrong.hidden = false;
      this.wrong.textContent = whyGone(error, chosen);
      this.said.textContent = "";
      put(this.value);
      return;
    }
    const { about, columns } = answer;
    const { of } = this.page.attribute(this.page.panels[0].name);
    const raw = columns.value.map((y) => (y === null ? null : Number(y)));
    const ys = raw.map((y) => (of && isSpecial(of, y) ? null : y));
    this.curve = { about, raw, ys, times: columns.timestamp, xs: columns.timestamp.map((at) => this.toX(Number(at))) };
    this.said.textContent = about.special > 0 ? `${about.said}; ${count(about.special)} special, with a mark below` : about.said;
    this.show();
  }

  /** @param {Window | "all"} window */
  zoom(window) {
    this.asked = window === "all" ? null : window;
    this.page.stateSoon();
    this.show();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.load().catch(report), PAUSE);
  }

  show() {
    if (!this.curve || this.page.chosen === null || this.curve.xs.length === 0) return;
    const { about, xs, ys } = this.curve;
    const [from, until] = [this.toX(Number(about.first)), this.toX(Number(about.last))];
    this.chart.draw({
      kind: this.page.timeline ? "time" : "integer",
      window: this.asked ?? (until > from ? { from, until } : { from: from - 0.5, until: until + 0.5 }),
      data: [xs, ys],
      lines: [{ label: about.attribute, color: "--line-1", scale: "y", stepped: true }],
      scales: { y: { label: "" } },
      paint: (u) => {
        this.paintSpecial(u);
        this.paintTime(u);
      },
    });
    this.showValue(null);
  }

  /** The time moved. */
  mark() {
    this.chart.plot?.redraw(false);
  }

  /** Where the value is special, as strokes on the ground. @param {import("./vendor/uPlot.esm.js")} u */
  paintSpecial(u) {
    const { xs, ys, raw } = /** @type {NonNullable<EntityHistory["curve"]>} */ (this.curve);
    u.ctx.fillStyle = color("--special");
    const [wide, high] = [3 * devicePixelRatio, 6 * devicePixelRatio];
    raw.forEach((y, i) => {
      if (y === ys[i]) return;
      const x = u.valToPos(xs[i], "x", true);
      if (x >= u.bbox.left && x <= u.bbox.left + u.bbox.width) u.ctx.fillRect(x - wide / 2, u.bbox.top + u.bbox.height - high, wide, high);
    });
  }

  /** Where the picture above stands. @param {import("./vendor/uPlot.esm.js")} u */
  paintTime(u) {
    const x = u.valToPos(this.toX(Number(this.page.at(this.page.lane.index))), "x", true);
    if (!(x >= u.bbox.left && x <= u.bbox.left + u.bbox.width)) return;
    u.ctx.fillStyle = color("--line-2");
    u.ctx.fillRect(x - devicePixelRatio, u.bbox.top, 2 * devicePixelRatio, u.bbox.height);
  }

  /** @param {number | null} index */
  showValue(index) {
    if (index === null || !this.curve) return put(this.value, h("span", { class: "soft" }, "the orange line is the time that is shown"));
    const { of } = this.page.attribute(this.page.panels[0].name);
    const y = this.curve.raw[index];
    put(this.value, h("span", {}, h("span", { class: "soft" }, `at ${this.curve.times[index]}`), h("b", {}, of ? shown(of, y) : number(y))));
  }

  /** @param {"csv" | "parquet"} format */
  download(format) {
    download("simulation/history", { ...this.query(), ...this.bounds(), format }).catch(report);
  }
}

/** @param {unknown} error */
function report(error) {
  dispatchEvent(new CustomEvent("trouble", { detail: error }));
}
