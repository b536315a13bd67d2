// Parameters against a result: how strong each is, parallel coordinates, and a scatter of two.

import { get } from "./api.js";
import { color, colorOf } from "./chart.js";
import { button, h, offer, put, save } from "./dom.js";
import { count, number, plural } from "./format.js";

/**
 * @typedef {import("./runs.js").Run} Run
 *
 * @typedef {object} Asked
 * @property {Run[]} runs those of the list
 * @property {string[]} selected ids, each with its colour
 * @property {string} target `results.NAME` or `metrics.NAME`
 * @property {string} x the parameter of the scatter
 * @property {string} where
 *
 * @typedef {object} Axis
 * @property {string} name
 * @property {(run: Run) => number | null} at from 0 to 1
 * @property {[number, string][]} marks
 */

/** The most axes side by side. */
const MOST_AXES = 9;
/** The most texts of an axis: more cannot be read. */
const MOST_TEXTS = 12;
const HEIGHT = 300;
/** Pixels within which a click means a point. */
const NEAR = 12;

/** A parameter by its name, or by the names on the way to it. @param {any} object @param {string} name @returns {any} */
function within(object, name) {
  if (object === null || typeof object !== "object") return undefined;
  if (Object.hasOwn(object, name)) return object[name];
  const dot = name.indexOf(".");
  return dot < 0 ? undefined : within(object[name.slice(0, dot)], name.slice(dot + 1));
}

/** A value that has an order, as the server takes it. @param {any} value */
function numeric(value) {
  if (typeof value === "number") return value;
  if (typeof value === "boolean" || typeof value === "bigint") return Number(value);
  return null;
}

/** Least and greatest of finite numbers. @param {(number | null)[]} values @returns {[number, number] | null} */
function range(values) {
  let [least, greatest] = [Infinity, -Infinity];
  for (const value of values) {
    if (value !== null && Number.isFinite(value)) [least, greatest] = [Math.min(least, value), Math.max(greatest, value)];
  }
  return least <= greatest ? [least, greatest] : null;
}

export class Comparison {
  /** @param {{choose: (target: string, x: string) => void, toggle: (id: string) => void}} on */
  constructor(on) {
    this.on = on;
    /** @type {Asked} */
    this.asked = { runs: [], selected: [], target: "", x: "", where: "" };
    /** @type {Map<string, number | null>} */
    this.finals = new Map();
    /** @type {any} */
    this.found = null;
    this.asking = new AbortController();
    this.targets = h("select", { "aria-label": "Result", change: () => on.choose(this.targets.value, this.asked.x) });
    this.said = h("span", { class: "said" });
    this.strength = h("div", { class: "scroll" });
    this.parallel = h("canvas", { role: "img", "aria-label": "Parallel coordinates: a line for each run" });
    this.scatter = h("canvas", { role: "img", "aria-label": "A point for each run", click: (event) => this.pick(event) });
    this.pair = h("h3");
    this.missing = h("p", { class: "said" });
    /** @type {{id: string, x: number, y: number}[]} */
    this.points = [];
    this.element = h("section", { class: "card wide against", hidden: true },
      h("header", {}, h("h2", {}, "Parameters against"), this.targets, this.said),
      h("div", { class: "halves" }, this.strength,
        h("div", {}, h("div", { class: "row" }, this.pair, button("PNG", () => keep(this.scatter, "scatter"), { class: "push" })), this.scatter)),
      h("div", { class: "row" }, h("h3", {}, "Parallel coordinates"), button("PNG", () => keep(this.parallel, "parallel"), { class: "push" })), this.parallel, this.missing);
    this.redraw = () => this.draw();
    addEventListener("theme", this.redraw);
    this.observer = new ResizeObserver(() => this.draw());
    this.observer.observe(this.element);
  }

  close() {
    this.asking.abort();
    removeEventListener("theme", this.redraw);
    this.observer.disconnect();
  }

  /** @param {Asked} asked @param {string[]} targets */
  async show(asked, targets) {
    this.asked = asked;
    this.element.hidden = targets.length === 0 || asked.runs.length < 2;
    if (this.element.hidden) return;
    const known = targets.includes(asked.target) ? asked.target : targets[0];
    this.asked = { ...asked, target: known };
    offer(this.targets, targets.map((name) => [name, name]), known);
    this.asking.abort();
    this.asking = new AbortController();
    delete this.element.dataset.ready;
    this.found = await get("runs/importance", { target: known, where: asked.where || null }, this.asking.signal);
    this.finals = new Map(this.found.values ?? []);
    this.showStrength();
    this.draw();
    this.element.dataset.ready = "";
  }

  /** Other runs are chosen. @param {string[]} selected */
  select(selected) {
    this.asked.selected = selected;
    this.draw();
  }

  /** @param {Run} run @param {string} name of a parameter */
  given(run, name) {
    return within(run.parameters, name);
  }

  /** @param {Run} run */
  result(run) {
    const { target } = this.asked;
    const name = target.slice(target.indexOf(".") + 1);
    return numeric(target.startsWith("metrics.") ? this.finals.get(run.simulation_id) ?? null : run.results_summary[name]);
  }

  /** The parameter of the scatter: the chosen one, else the strongest. */
  get x() {
    const rows = this.found?.parameters ?? [];
    return rows.find((/** @type {any} */ row) => row.parameter === this.asked.x)?.parameter ?? rows[0]?.parameter ?? "";
  }

  showStrength() {
    const { runs, without_target: without, parameters, said } = this.found;
    const none = without > 0 ? `, ${count(without)} of them without this result` : "";
    this.said.textContent = `rank correlation (Spearman) over ${plural(runs, "run")}${none}${said ? `; ${said}` : ""}`;
    const row = (/** @type {any} */ { parameter, rho, runs, missing, not_numbers: others, why }) => {
      const left = [missing > 0 && `${count(missing)} missing`, others > 0 && `${count(others)} not numeric`].filter(Boolean).join(", ");
      return h("tr", {},
        h("td", { class: "key" }, button(parameter, () => this.on.choose(this.asked.target, parameter), { class: "plain", "aria-pressed": String(parameter === this.x) })),
        h("td", { class: "bar" }, rho === null ? h("span", { class: "soft" }, why ?? "") : strength(rho)),
        h("td", { class: "n" }, rho === null ? "" : rho.toFixed(2)),
        h("td", { class: "n" }, count(runs)), h("td", { class: "soft" }, left));
    };
    put(this.strength, h("table", {},
      h("thead", {}, h("tr", {}, h("th", {}, "Parameter"), h("th", {}, "falls, or rises, with it"), h("th", { class: "n" }, "ρ"), h("th", { class: "n" }, "Runs used"), h("th", {}))),
      h("tbody", {}, ...parameters.map(row))));
  }

  draw() {
    if (this.element.hidden || !this.found) return;
    this.drawScatter();
    this.drawParallel();
  }

  /** Whether a run is chosen, and its colour. @param {Run} run */
  colorOf(run) {
    const at = this.asked.selected.indexOf(run.simulation_id);
    return at < 0 ? null : colorOf(at);
  }

  drawScatter() {
    const { x: name } = this;
    this.pair.textContent = `${this.asked.target} against ${name}`;
    const axis = this.axis(name, (run) => this.given(run, name));
    const up = this.axis(this.asked.target, (run) => this.result(run));
    const { ctx, width } = canvas(this.scatter, HEIGHT);
    const [left, right, top, bottom] = [64, 12, 10, 26];
    const place = (/** @type {number} */ x, /** @type {number} */ y) => [left + x * (width - left - right), HEIGHT - bottom - y * (HEIGHT - top - bottom)];
    ctx.strokeStyle = color("--line");
    ctx.fillStyle = color("--soft");
    for (const [at, text] of up.marks) {
      const [x0, y] = place(0, at);
      line(ctx, [[x0, y], [width - right, y]]);
      write(ctx, text, x0 - 6, y + 4, "right", left - 8);
    }
    axis.marks.forEach(([at, text], i) => {
      const [x, y0] = place(at, 0);
      line(ctx, [[x, top], [x, y0]]);
      write(ctx, text, x, y0 + 17, i === 0 ? "left" : i === axis.marks.length - 1 ? "right" : "center", 120);
    });
    this.points = [];
    const all = this.asked.runs.toSorted((a, b) => Number(this.colorOf(a) !== null) - Number(this.colorOf(b) !== null));
    for (const run of all) {
      const [x, y] = [axis.at(run), up.at(run)];
      if (x === null || y === null) continue;
      const [px, py] = place(x, y);
      const own = this.colorOf(run);
      ctx.globalAlpha = own ? 1 : Math.max(0.15, Math.min(0.7, 300 / this.asked.runs.length));
      ctx.fillStyle = color(own ?? "--accent");
      ctx.beginPath();
      ctx.arc(px, py, own ? 5 : 3, 0, 2 * Math.PI);
      ctx.fill();
      this.points.push({ id: run.simulation_id, x: px, y: py });
    }
    ctx.globalAlpha = 1;
  }

  /** A click chooses the run at it. @param {MouseEvent} event */
  pick(event) {
    const box = this.scatter.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    const far = (/** @type {{x: number, y: number}} */ point) => Math.hypot(point.x - x, point.y - y);
    const near = this.points.filter((point) => far(point) < NEAR).sort((a, b) => far(a) - far(b));
    if (near.length > 0) this.on.toggle(near[0].id);
  }

  drawParallel() {
    const names = this.found.parameters.slice(0, MOST_AXES - 1).map((/** @type {any} */ row) => row.parameter);
    const axes = [...names.map((/** @type {string} */ name) => this.axis(name, (run) => this.given(run, name))), this.axis(this.asked.target, (run) => this.result(run))];
    const { ctx, width } = canvas(this.parallel, HEIGHT);
    const [side, top, bottom] = [56, 26, 14];
    const x = (/** @type {number} */ i) => (axes.length > 1 ? side + (i / (axes.length - 1)) * (width - 2 * side) : width / 2);
    const y = (/** @type {number} */ at) => HEIGHT - bottom - at * (HEIGHT - top - bottom);
    let left = 0;
    const all = this.asked.runs.toSorted((a, b) => Number(this.colorOf(a) !== null) - Number(this.colorOf(b) !== null));
    for (const run of all) {
      const own = this.colorOf(run);
      ctx.globalAlpha = own ? 1 : Math.max(0.015, Math.min(0.5, 60 / all.length));
      ctx.strokeStyle = color(own ?? "--accent");
      ctx.lineWidth = own ? 2.5 : 1;
      const at = axes.map((axis) => axis.at(run));
      if (at.includes(null)) {
        left += 1;
        continue; // half a line would say what nobody knows
      }
      line(ctx, at.map((share, i) => [x(i), y(Number(share))]));
    }
    ctx.globalAlpha = 1;
    ctx.lineWidth = 1;
    axes.forEach((axis, i) => {
      ctx.strokeStyle = color("--soft");
      line(ctx, [[x(i), top], [x(i), HEIGHT - bottom]]);
      ctx.fillStyle = color("--ink");
      const align = i === 0 ? "left" : i === axes.length - 1 ? "right" : "center";
      write(ctx, axis.name, align === "left" ? 2 : align === "right" ? width - 2 : x(i), 12, align, (width - 2 * side) / Math.max(1, axes.length - 1));
      ctx.fillStyle = color("--soft");
      for (const [at, text] of axis.marks) write(ctx, text, i === axes.length - 1 ? x(i) + 5 : x(i) - 5, y(at) + 4, i === axes.length - 1 ? "left" : "right", side - 8);
    });
    const more = this.found.parameters.length - names.length;
    const said = [left > 0 && `${plural(left, "run")} not drawn: a value is missing or no number`, more > 0 && `${plural(more, "weaker parameter")} not drawn`].filter(Boolean);
    this.missing.textContent = said.join("; ");
  }

  /**
   * An axis of numbers, or of a few texts in their order.
   *
   * @param {string} name
   * @param {(run: Run) => any} of
   * @returns {Axis}
   */
  axis(name, of) {
    const values = this.asked.runs.map(of);
    const texts = [...new Set(values.filter((value) => typeof value === "string"))].sort();
    const ends = range(values.map(numeric));
    if (!ends && texts.length > 0 && texts.length <= MOST_TEXTS) {
      const share = (/** @type {string} */ text) => (texts.length > 1 ? texts.indexOf(text) / (texts.length - 1) : 0.5);
      return { name, at: (run) => (typeof of(run) === "string" ? share(of(run)) : null), marks: texts.map((text) => [share(text), text]) };
    }
    if (!ends) return { name, at: () => null, marks: [] };
    const [least, greatest] = ends;
    const at = (/** @type {Run} */ run) => {
      const value = numeric(of(run));
      if (value === null || !Number.isFinite(value)) return null;
      return greatest > least ? (value / 2 - least / 2) / (greatest / 2 - least / 2) : 0.5;
    };
    const mark = (/** @type {number} */ value) => number(Number(value.toPrecision(4)));
    return { name, at, marks: greatest > least ? [[0, mark(least)], [0.5, mark(least / 2 + greatest / 2)], [1, mark(greatest)]] : [[0.5, mark(least)]] };
  }
}

/** How strong and in which direction: to the right what rises with it. @param {number} rho */
function strength(rho) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 100 8");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("class", "strength");
  svg.setAttribute("aria-hidden", "true");
  const rect = (/** @type {Record<string, string | number>} */ attributes) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
    svg.append(element);
  };
  rect({ class: "well", x: 0, y: 0, width: 100, height: 8 });
  rect({ class: rho < 0 ? "falls" : "rises", x: rho < 0 ? 50 + 50 * rho : 50, y: 0, width: Math.max(0.6, Math.abs(rho) * 50), height: 8 });
  return svg;
}

/** A cleared canvas as wide as its place. @param {HTMLCanvasElement} element @param {number} height */
function canvas(element, height) {
  const width = Math.max(200, element.parentElement?.clientWidth ?? 0);
  element.width = width * devicePixelRatio;
  element.height = height * devicePixelRatio;
  element.style.width = `${width}px`;
  element.style.height = `${height}px`;
  const ctx = /** @type {CanvasRenderingContext2D} */ (element.getContext("2d"));
  ctx.scale(devicePixelRatio, devicePixelRatio);
  ctx.font = `12px ${getComputedStyle(document.body).fontFamily}`;
  return { ctx, width };
}

/** @param {CanvasRenderingContext2D} ctx @param {number[][]} points */
function line(ctx, points) {
  ctx.beginPath();
  for (const [x, y] of points) ctx.lineTo(x, y);
  ctx.stroke();
}

/** A text that is cut where it would be wider. @param {CanvasRenderingContext2D} ctx @param {string} text @param {number} x @param {number} y @param {CanvasTextAlign} align @param {number} most */
function write(ctx, text, x, y, align, most) {
  let shown = text;
  while (shown.length > 1 && ctx.measureText(shown).width > most) shown = `${shown.slice(0, -2)}…`;
  ctx.textAlign = align;
  // Readable over lines too.
  const { strokeStyle, lineWidth } = ctx;
  [ctx.strokeStyle, ctx.lineWidth, ctx.lineJoin] = [color("--card"), 4, "round"];
  ctx.strokeText(shown, x, y);
  [ctx.strokeStyle, ctx.lineWidth] = [strokeStyle, lineWidth];
  ctx.fillText(shown, x, y);
}

/** Keeps a picture, on the background of the page. @param {HTMLCanvasElement} from @param {string} name */
function keep(from, name) {
  const copy = h("canvas", { width: from.width, height: from.height });
  const ctx = /** @type {CanvasRenderingContext2D} */ (copy.getContext("2d"));
  ctx.fillStyle = color("--card");
  ctx.fillRect(0, 0, copy.width, copy.height);
  ctx.drawImage(from, 0, 0);
  copy.toBlob((blob) => blob && save(blob, `${name}.png`));
}
