// Groups of runs: of each the mean of a metric by step, over the range of its runs.

import { isGone, table } from "./api.js";
import { Chart, color, colorOf } from "./chart.js";
import { button, h, put } from "./dom.js";
import { number, plural } from "./format.js";
import { integer } from "./window.js";

/**
 * @typedef {import("./window.js").Window} Window
 *
 * @typedef {object} Band
 * @property {string} label
 * @property {number} runs
 * @property {number[]} steps
 * @property {number[]} mean
 * @property {number[]} min
 * @property {number[]} max
 */

/** After the window was moved the server is asked once nothing moves for so many ms. */
const PAUSE = 60;

export class Bands {
  /** @param {() => void} onZoom the window is another one */
  constructor(onZoom) {
    this.onZoom = onZoom;
    /** @type {{metric: string, by: string, where: string}} */
    this.asked = { metric: "", by: "", where: "" };
    /** @type {Window | null} */
    this.window = null;
    /** @type {Band[]} */
    this.bands = [];
    this.ends = { first: 0, last: 1 };
    this.timer = 0;
    this.asking = new AbortController();
    this.chart = new Chart({ height: 300, onWindow: (window) => this.zoom(window), onCursor: (index) => this.showValues(index) });
    this.title = h("h2");
    this.said = h("span", { class: "said" });
    this.legend = h("div", { class: "legend" });
    this.element = h("section", { class: "picture", hidden: true },
      h("div", { class: "row" }, this.title, this.said,
        h("span", { class: "push group" }, button("All", () => this.zoom("all"), { title: "Show all (double click)" }), button("PNG", () => this.chart.png(this.title.textContent ?? "")))),
      this.chart.element, this.legend);
  }

  close() {
    this.asking.abort();
    clearTimeout(this.timer);
    this.chart.close();
  }

  /** The window of an address. @param {Window | null} window */
  open(window) {
    this.window = window;
  }

  /** Shows the groups, or nothing without a parameter or a metric. @param {{metric: string, by: string, where: string}} asked */
  async show(asked) {
    if (this.asked.metric && asked.metric !== this.asked.metric) this.window = null;
    this.asked = asked;
    this.element.hidden = !asked.metric || !asked.by;
    if (this.element.hidden) {
      this.asking.abort();
      return;
    }
    this.title.textContent = `${asked.metric} by ${asked.by}`;
    await this.load();
  }

  async load() {
    this.asking.abort();
    this.asking = new AbortController();
    await this.chart.fit((width) => this.ask(width));
  }

  /** @param {number} width */
  async ask(width) {
    delete this.chart.element.dataset.ready;
    const { metric, by, where } = this.asked;
    const bounds = this.window ? { from: String(integer(this.window.from, false)), until: String(integer(this.window.until, true)) } : {};
    const query = { metric, by: by.slice(by.indexOf(".") + 1), where: where || null, width, ...bounds };
    let answer;
    try {
      answer = await table("runs/groups", query, this.asking.signal);
    } catch (error) {
      if (!isGone(error)) throw error;
      this.showNone(error.message);
      return;
    }
    const { about, columns } = answer;
    if (about.groups.length === 0) {
      this.showNone(about.said);
      return;
    }
    this.bands = about.groups.map((/** @type {any} */ group) => ({ ...group, steps: [], mean: [], min: [], max: [] }));
    columns.group.forEach((group, i) => {
      const band = this.bands[Number(group)];
      band.steps.push(Number(columns.step[i]));
      for (const name of /** @type {const} */ (["mean", "min", "max"])) band[name].push(Number(columns[name][i]));
    });
    if (!this.window) this.ends = { first: Number(about.first), last: Number(about.last) };
    this.said.textContent = `mean, and the range from min to max; ${about.said}`;
    this.draw();
  }

  /** There is no group: no run matches, or none has the parameter. @param {string} sentence */
  showNone(sentence) {
    this.bands = [];
    this.said.textContent = sentence;
    this.draw();
  }

  /** @param {Window | "all"} window */
  zoom(window) {
    this.window = window === "all" ? null : window;
    this.draw();
    this.onZoom();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.load().catch(report), PAUSE);
  }

  draw() {
    const bands = this.bands;
    if (bands.every(({ steps }) => steps.length === 0)) {
      this.chart.clear();
      put(this.legend, h("span", { class: "soft" }, "No run has a value of this metric here."));
      this.chart.element.dataset.ready = "";
      return;
    }
    const steps = [...new Set(bands.flatMap((band) => band.steps))].sort((a, b) => a - b);
    const place = new Map(steps.map((step, i) => [step, i]));
    const spread = (/** @type {Band} */ band, /** @type {number[]} */ values) => {
      /** @type {(number | undefined)[]} */
      const out = new Array(steps.length).fill(undefined);
      band.steps.forEach((step, i) => {
        out[/** @type {number} */ (place.get(step))] = values[i];
      });
      return out;
    };
    const { first, last } = this.ends;
    const hidden = (/** @type {string} */ label) => ({ label, color: "--soft", scale: "y", hidden: true });
    this.chart.draw({
      kind: "integer",
      window: this.window ?? (last > first ? { from: first, until: last } : { from: first - 0.5, until: first + 0.5 }),
      data: [steps, ...bands.map((band) => spread(band, band.mean)), ...bands.flatMap((band) => [spread(band, band.min), spread(band, band.max)])],
      lines: [...bands.map(({ label }, i) => ({ label, color: colorOf(i), scale: "y" })), ...bands.flatMap(() => [hidden("min"), hidden("max")])],
      scales: { y: { label: this.asked.metric } },
      under: (u) => bands.forEach((band, i) => paint(u, band, colorOf(i))),
    });
    this.showValues(null);
  }

  /** @param {number | null} index */
  showValues(index) {
    const data = this.chart.plot?.data;
    const n = this.bands.length;
    const entry = (/** @type {Band} */ band, /** @type {number} */ i) => {
      const at = (/** @type {number} */ line) => (index === null ? undefined : data?.[line][index]);
      const [mean, min, max] = [at(1 + i), at(1 + n + 2 * i), at(2 + n + 2 * i)];
      const value = mean === undefined || mean === null ? "" : `${number(mean)} (${number(min)} to ${number(max)})`;
      return h("span", {}, h("i", { class: `swatch c${i + 1}` }), `${band.label}, ${plural(band.runs, "run")}`, h("b", {}, value));
    };
    put(this.legend, ...this.bands.map(entry), h("span", { class: "soft" }, index === null ? "" : `step ${number(data?.[0][index])}`));
  }
}

/**
 * The range of a group.
 *
 * @param {import("./vendor/uPlot.esm.js")} u
 * @param {Band} band
 * @param {string} name of its colour
 */
function paint(u, { steps, min, max }, name) {
  const { ctx, bbox } = u;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  ctx.beginPath();
  steps.forEach((step, i) => ctx.lineTo(u.valToPos(step, "x", true), u.valToPos(max[i], "y", true)));
  for (let i = steps.length - 1; i >= 0; i -= 1) ctx.lineTo(u.valToPos(steps[i], "x", true), u.valToPos(min[i], "y", true));
  ctx.closePath();
  ctx.globalAlpha = 0.18;
  ctx.fillStyle = color(name);
  ctx.fill();
  ctx.restore();
}

/** @param {unknown} error */
function report(error) {
  dispatchEvent(new CustomEvent("trouble", { detail: error }));
}
