// Lines over one axis, drawn by uPlot; zoom by drag, wheel, fingers and keys.

import uPlot from "./vendor/uPlot.esm.js";
import { h, save } from "./dom.js";
import { number, time } from "./format.js";
import { keyed, moved, zoomed } from "./window.js";

/**
 * @typedef {import("./window.js").Window} Window
 * @typedef {"time" | "span" | "integer" | "float"} Kind
 *
 * @typedef {object} Line
 * @property {string} label
 * @property {string} color
 * @property {string} scale lines of one unit share a scale
 * @property {boolean} [hidden] only its values count
 * @property {boolean} [stepped] a value holds until the next one
 * @property {boolean} [filled]
 *
 * @typedef {object} Picture
 * @property {Kind} kind
 * @property {Window} window
 * @property {(number | null | undefined)[][]} data x, then the values of each line
 * @property {Line[]} lines
 * @property {Record<string, {label: string, side?: "left" | "right", range?: (least: number, greatest: number) => [number, number], hidden?: boolean}>} scales
 * @property {(u: uPlot) => void} [paint] draws over the lines
 * @property {(u: uPlot) => void} [under] draws under the lines
 */

/** Colours that colour-blind people tell apart (Okabe and Ito), by the names of their variables. */
export const COLORS = ["--line-1", "--line-2", "--line-3", "--line-4", "--line-5", "--line-6", "--line-7"];

/** @param {number} i */
export const colorOf = (i) => COLORS[i % COLORS.length];

/** Takes on a colour, which the style sheet gives for light and dark at once. */
const probe = h("i", { hidden: true });

/**
 * A colour as a canvas takes it.
 *
 * @param {string} name of a variable of the style sheet
 */
export function color(name) {
  if (!probe.isConnected) document.body.append(probe);
  probe.style.color = `var(${name})`;
  return getComputedStyle(probe).color;
}

const DAY = 86_400;
/** Labels of a time axis: what stands at each tick, and what is added where a year or day begins. */
const TIMES = [
  [DAY * 365, "{YYYY}", null, null, null, null, null, null, 1],
  [DAY * 28, "{MMM}", "\n{YYYY}", null, null, null, null, null, 1],
  [DAY, "{D} {MMM}", "\n{YYYY}", null, null, null, null, null, 1],
  [60, "{HH}:{mm}", "\n{D} {MMM} {YYYY}", null, "\n{D} {MMM}", null, null, null, 1],
  [1, "{HH}:{mm}:{ss}", "\n{D} {MMM} {YYYY}", null, "\n{D} {MMM}", null, null, null, 1],
  [0.001, "{ss}.{fff}", "\n{D} {MMM} {YYYY} {HH}:{mm}", null, "\n{D} {MMM} {HH}:{mm}", null, "\n{HH}:{mm}", null, 1],
];
/** A window shorter than this, in seconds, has ticks closer than uPlot's times. */
const SHORT = 0.01;

/** How often points are asked for at most until the picture has as many pixels as they are for. */
const MOST_FITS = 3;

export class Chart {
  /**
   * @param {object} options
   * @param {number} options.height
   * @param {(window: Window | "all") => void} options.onWindow the user asks for another window
   * @param {(index: number | null) => void} [options.onCursor] the point under the cursor
   * @param {string} [options.sync] charts of one name share a cursor
   */
  constructor({ height, onWindow, onCursor, sync }) {
    this.height = height;
    this.onWindow = onWindow;
    this.onCursor = onCursor ?? (() => {});
    this.sync = sync;
    /** @type {uPlot | null} */
    this.plot = null;
    /** @type {Picture | null} */
    this.picture = null;
    this.element = h("div", {
      class: "chart",
      tabindex: 0,
      role: "img",
      "aria-label": "Curves; drag to zoom, arrow keys move, + and - zoom, 0 shows all",
      keydown: (event) => this.key(event),
    });
    this.element.style.height = `${height}px`;
    this.observer = new ResizeObserver(() => this.resize());
    this.observer.observe(this.element);
    this.redraw = () => this.picture && this.draw(this.picture);
    addEventListener("theme", this.redraw);
  }

  /** Pixels between the axes: as many as the server is asked for. */
  get width() {
    const wide = this.plot ? this.plot.bbox.width / devicePixelRatio : this.element.clientWidth - 60;
    return Math.max(50, Math.round(wide * devicePixelRatio));
  }

  /**
   * Asks for points for as many pixels as the picture has, and draws them; again where their axes leave another width.
   *
   * @param {(width: number) => Promise<void>} show
   */
  async fit(show) {
    for (let i = 0; i < MOST_FITS; i += 1) {
      const { width } = this;
      await show(width);
      await null; // uPlot lays its axes out behind what runs now
      if (!this.plot || this.width === width) return;
    }
  }

  /** @param {Picture} picture */
  draw(picture) {
    this.picture = picture;
    this.plot?.destroy();
    const data = /** @type {uPlot.AlignedData} */ (picture.data);
    this.plot = new uPlot(this.options(picture), data, this.element);
    this.listen(this.plot);
    this.element.dataset.ready = "";
  }

  /** Takes the picture away. */
  clear() {
    this.picture = null;
    this.plot?.destroy();
    this.plot = null;
  }

  close() {
    removeEventListener("theme", this.redraw);
    this.observer.disconnect();
    this.plot?.destroy();
    this.plot = null;
  }

  resize() {
    const width = this.element.clientWidth;
    if (this.plot && width > 0 && width !== this.plot.width) this.plot.setSize({ width, height: this.height });
  }

  /**
   * @param {Picture} picture
   * @returns {uPlot.Options}
   */
  options({ kind, window, lines, scales, paint, under }) {
    const isTime = kind === "time" && window.until - window.from >= SHORT;
    /** @type {uPlot.Scales} */
    const all = { x: { time: isTime, range: () => [window.from, window.until] } };
    const ink = color("--soft");
    const line = { stroke: color("--line"), width: 1 };
    const font = `12px ${getComputedStyle(this.element).fontFamily}`;
    /** @type {uPlot.Axis[]} */
    const axes = [{ stroke: ink, grid: line, ticks: line, font, size: 44, ...xAxis(kind, isTime, window) }];
    for (const [name, { label, side, range, hidden }] of Object.entries(scales)) {
      all[name] = range ? { range: (_, least, greatest) => range(least ?? 0, greatest ?? 1) } : {};
      if (hidden) continue;
      axes.push({
        scale: name,
        side: side === "right" ? 1 : 3,
        stroke: ink,
        font,
        label: label || undefined,
        labelFont: font,
        labelSize: label ? 18 : undefined,
        grid: side === "right" ? { show: false } : line,
        ticks: line,
        values: (_, ticks) => ticks.map((tick) => number(tick)),
        size: (_, ticks) => 16 + 7 * Math.max(3, ...(ticks ?? []).map((tick) => tick.length)),
      });
    }
    return {
      width: Math.max(this.element.clientWidth, 100),
      height: this.height,
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
      padding: [12, Object.values(scales).some((of) => of.side === "right") ? 0 : 28, 0, 0],
      legend: { show: false },
      cursor: {
        drag: { x: true, y: false, setScale: false },
        sync: this.sync ? { key: this.sync } : undefined,
        points: { size: 7 },
      },
      scales: all,
      axes,
      series: [{}, ...lines.map((of) => series(of))],
      hooks: {
        drawAxes: under ? [under] : [],
        draw: paint ? [paint] : [],
        setCursor: [(u) => this.onCursor(u.cursor.idx ?? null)],
        setSelect: [(u) => this.selected(u)],
      },
    };
  }

  /** @param {uPlot} u */
  selected(u) {
    if (u.select.width < 4) return;
    const [from, until] = [u.select.left, u.select.left + u.select.width].map((at) => u.posToVal(at, "x"));
    u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    this.onWindow({ from, until });
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    if (!this.picture || event.ctrlKey || event.metaKey || event.altKey) return;
    const asked = keyed(event.key, this.picture.window);
    if (!asked) return;
    event.preventDefault();
    this.onWindow(asked);
  }

  /** @param {uPlot} u */
  listen(u) {
    const window = () => /** @type {Picture} */ (this.picture).window;
    u.over.addEventListener("dblclick", () => this.onWindow("all"));
    u.over.addEventListener("wheel", (event) => {
      // Without a key the wheel scrolls the page, unless it moves sideways.
      const sideways = Math.abs(event.deltaX) > Math.abs(event.deltaY);
      if (!sideways && !event.ctrlKey && !event.shiftKey && document.activeElement !== this.element) return;
      event.preventDefault();
      const at = u.posToVal(event.offsetX, "x");
      this.onWindow(sideways ? moved(window(), event.deltaX / u.over.clientWidth) : zoomed(window(), 1.0015 ** event.deltaY, at));
    }, { passive: false });
    this.touch(u);
  }

  /**
   * One finger moves, two zoom.
   *
   * @param {uPlot} u
   */
  touch(u) {
    /** @type {Map<number, number>} */
    const fingers = new Map();
    let begin = { from: 0, until: 0 };
    /** @type {number[]} */
    let held = [];
    const place = (/** @type {PointerEvent} */ event) => (event.clientX - u.over.getBoundingClientRect().left) / u.over.clientWidth;
    const start = () => {
      begin = /** @type {Picture} */ (this.picture).window;
      held = [...fingers.values()];
    };
    u.over.addEventListener("pointerdown", (event) => {
      if (event.pointerType !== "touch") return;
      u.over.setPointerCapture(event.pointerId);
      fingers.set(event.pointerId, place(event));
      start();
    });
    u.over.addEventListener("pointermove", (event) => {
      if (!fingers.has(event.pointerId)) return;
      fingers.set(event.pointerId, place(event));
      const now = [...fingers.values()];
      const span = begin.until - begin.from;
      if (now.length === 1) {
        this.onWindow(moved(begin, held[0] - now[0]));
      } else if (now.length === 2 && Math.abs(now[0] - now[1]) > 0.02) {
        const factor = Math.abs(held[0] - held[1]) / Math.abs(now[0] - now[1]);
        this.onWindow(zoomed(begin, factor, begin.from + span * ((held[0] + held[1]) / 2)));
      }
    });
    for (const end of /** @type {const} */ (["pointerup", "pointercancel"])) {
      u.over.addEventListener(end, (event) => {
        if (fingers.delete(event.pointerId)) start();
      });
    }
  }

  /**
   * Keeps the picture as PNG, on the background of the page.
   *
   * @param {string} title
   */
  png(title) {
    if (!this.plot) return;
    const from = this.plot.ctx.canvas;
    const head = 28 * devicePixelRatio;
    const canvas = h("canvas", { width: from.width, height: from.height + head });
    const ctx = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    ctx.fillStyle = color("--back");
    ctx.fillRect(0, 0, canvas.width, canvas.height);
    ctx.fillStyle = color("--ink");
    ctx.font = `600 ${14 * devicePixelRatio}px ${getComputedStyle(document.body).fontFamily}`;
    ctx.fillText(title, 12 * devicePixelRatio, 19 * devicePixelRatio);
    ctx.drawImage(from, 0, head);
    canvas.toBlob((blob) => blob && save(blob, "siltstone.png"));
  }
}

/**
 * @param {Kind} kind
 * @param {boolean} isTime
 * @param {Window} window
 * @returns {uPlot.Axis}
 */
function xAxis(kind, isTime, window) {
  if (isTime) return { values: /** @type {any} */ (TIMES), space: 70 };
  if (kind === "time") {
    const first = (/** @type {number[]} */ ticks) => time(ticks[0] ?? window.from);
    const after = (/** @type {number} */ seconds) => `+${Number((seconds * 1e6).toPrecision(6))} µs`;
    return { values: (_, ticks) => ticks.map((tick, i) => (i === 0 ? first(ticks) : after(tick - ticks[0]))), space: 190 };
  }
  const unit = kind === "span" ? " s" : "";
  const text = (/** @type {number} */ tick) => (kind === "integer" ? String(tick) : number(tick) + unit);
  return { values: (_, ticks) => ticks.map(text), space: 70 };
}

/**
 * @param {Line} line
 * @returns {uPlot.Series}
 */
function series({ color: name, scale, hidden, stepped, filled }) {
  const stroke = color(name);
  if (hidden) return { scale, paths: () => null, points: { show: false } };
  return {
    scale,
    stroke,
    width: 1.4,
    fill: filled ? `color-mix(in srgb, ${stroke} 18%, transparent)` : undefined,
    paths: stepped ? uPlot.paths.stepped?.({ align: 1 }) : uPlot.paths.linear?.(),
    points: { size: 5, fill: stroke },
  };
}
