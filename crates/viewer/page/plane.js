// Points or lines on a plane, moved and zoomed by drag, wheel, fingers and keys.

import { color } from "./chart.js";
import { h, save } from "./dom.js";
import { number } from "./format.js";
import { NOWHERE } from "./geometry.js";
import { Gl, painterOf } from "./painter.js";
import { STEPS, channels } from "./scale.js";

/**
 * @typedef {import("./geometry.js").Geometry} Geometry
 * @typedef {{x: number, y: number, span: number}} View centre and height, in units of the attributes
 */

/** Pixels between a click and what it still means. */
const NEAR = 8;
/** Pixels that a click may move. */
const STILL = 4;
/** The room around all, as a share. */
const ROOM = 0.06;

export class Plane {
  /**
   * @param {object} options
   * @param {number} options.height
   * @param {(view: View | "all") => void} options.onView the user asks for another view
   * @param {(row: number | null) => void} options.onPick an entity was clicked, or nothing
   * @param {(row: number | null) => void} options.onHover
   * @param {string} options.label
   */
  constructor({ height, onView, onPick, onHover, label }) {
    this.height = height;
    this.onView = onView;
    this.onPick = onPick;
    this.onHover = onHover;
    /** @type {Geometry | null} */
    this.geometry = null;
    /** @type {Float32Array} */
    this.shares = new Float32Array(0);
    /** @type {Uint8Array} */
    this.colors = new Uint8Array((STEPS + 2) * 4);
    /** @type {View} */
    this.view = { x: 0, y: 0, span: 1 };
    /** @type {number | null} */
    this.chosen = null;
    this.canvas = h("canvas");
    this.over = h("canvas", { class: "over" });
    this.element = h("div", {
      class: "plane", tabindex: 0, role: "img", "aria-label": label,
      keydown: (event) => this.key(event),
    }, this.canvas, this.over);
    this.element.style.height = `${height}px`;
    this.painter = painterOf(this.canvas);
    this.canvas.addEventListener("webglcontextlost", (event) => event.preventDefault());
    this.canvas.addEventListener("webglcontextrestored", () => {
      this.painter = painterOf(this.canvas);
      this.upload();
      this.paint();
    });
    this.observer = new ResizeObserver(() => this.paint());
    this.observer.observe(this.element);
    this.frame = 0;
    /** @type {[number, number] | undefined} where the mouse is, until the next frame */
    this.hovered = undefined;
    this.listen();
  }

  /** Whether the graphics card, or what stands for it, draws. */
  get isFast() {
    return this.painter instanceof Gl;
  }

  close() {
    this.observer.disconnect();
    cancelAnimationFrame(this.frame);
    this.painter.close();
  }

  /** @param {Geometry} geometry */
  setGeometry(geometry) {
    if (this.geometry === geometry) return;
    this.geometry = geometry;
    this.painter.setGeometry(geometry);
  }

  /**
   * @param {Float32Array} shares of each entity its place in the colours; UNDEFINED and SPECIAL for what has none
   * @param {Uint8Array} colors
   */
  setColors(shares, colors) {
    this.shares = shares;
    this.colors = colors;
    this.painter.setColors(this.spread(), colors);
  }

  /** The shares of what is drawn: of points their own, of pieces that of their entity. */
  spread() {
    const owners = this.geometry?.owners;
    if (!owners) return this.shares;
    const out = new Float32Array(owners.length);
    for (let i = 0; i < owners.length; i += 1) out[i] = this.shares[owners[i]];
    return out;
  }

  upload() {
    if (!this.geometry) return;
    this.painter.setGeometry(this.geometry);
    this.painter.setColors(this.spread(), this.colors);
  }

  /** A view of all. @returns {View} */
  all() {
    const extent = this.geometry?.extent;
    if (!extent) return { x: 0, y: 0, span: 1 };
    const { left, right, bottom, top } = extent;
    const wide = Math.max(this.element.clientWidth, 100) / this.height;
    const span = Math.max(top - bottom, (right - left) / wide) * (1 + 2 * ROOM);
    return { x: (left + right) / 2, y: (bottom + top) / 2, span: span > 0 ? span : Math.max(1, Math.abs(left) * 1e-6) };
  }

  /** Draws at once. @param {View} [view] */
  paint(view = this.view) {
    this.view = this.clamped(view);
    const width = this.element.clientWidth;
    if (width === 0) return;
    const ratio = devicePixelRatio;
    for (const canvas of [this.canvas, this.over]) {
      const [wide, high] = [Math.round(width * ratio), Math.round(this.height * ratio)];
      if (canvas.width !== wide || canvas.height !== high) [canvas.width, canvas.height] = [wide, high];
    }
    if (this.geometry) this.painter.paint({ ...this.frameOf(), size: this.size() * ratio, ratio, ground: channels(color("--well")) });
    this.paintOver();
  }

  /** Draws with the next frame. @param {View} view */
  paintSoon(view) {
    this.view = this.clamped(view);
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => this.paint());
  }

  /** Pixels a unit, and the centre from the origin. */
  frameOf() {
    const [ox, oy] = this.geometry?.origin ?? [0, 0];
    return { scale: this.height / this.view.span, x: this.view.x - ox, y: this.view.y - oy };
  }

  /** Pixels of a point, or of a line's width: smaller where there are many, larger where one looks closer. */
  size() {
    const { geometry } = this;
    if (!geometry) return 1;
    const closer = Math.max(1, Math.sqrt(this.all().span / this.view.span));
    if (geometry.kind === "lines") return Math.min(6, (geometry.places.length > 80_000 ? 1 : geometry.places.length > 8000 ? 1.6 : 2.4) * Math.sqrt(closer));
    const room = (this.element.clientWidth * this.height) / Math.max(1, geometry.count);
    return Math.min(14, Math.max(1.2, Math.sqrt(room) * 0.55) * closer, Math.max(7, 3 * closer));
  }

  /** Where a row stands on the canvas, in pixels of the page; null for one without a place. @param {number} row */
  pixelOf(row) {
    const { geometry } = this;
    if (!geometry) return null;
    const { places, owners } = geometry;
    const at = owners ? owners.indexOf(row) * 4 : row * 2;
    if (at < 0 || at >= places.length || !(Math.abs(places[at]) < NOWHERE)) return null;
    const { scale, x, y } = this.frameOf();
    const [px, py] = owners ? [(places[at] + places[at + 2]) / 2, (places[at + 1] + places[at + 3]) / 2] : [places[at], places[at + 1]];
    return [this.element.clientWidth / 2 + (px - x) * scale, this.height / 2 - (py - y) * scale];
  }

  /** The axes, and a ring around what was chosen. */
  paintOver() {
    const ctx = this.over.getContext("2d");
    if (!ctx) return;
    const ratio = devicePixelRatio;
    const [width, height] = [this.element.clientWidth, this.height];
    ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
    ctx.clearRect(0, 0, width, height);
    if (!this.geometry) return;
    const { scale } = this.frameOf();
    const step = nice(90 / scale);
    ctx.font = `11px ${getComputedStyle(this.element).fontFamily}`;
    ctx.fillStyle = color("--soft");
    ctx.strokeStyle = color("--line");
    const [left, bottom] = [this.view.x - width / 2 / scale, this.view.y - height / 2 / scale];
    const text = (/** @type {number} */ at) => number(Number((Math.round(at / step) * step).toPrecision(12)));
    ctx.textAlign = "center";
    for (const x of ticks(left, step, left + (width - 24) / scale)) {
      const px = (x - left) * scale;
      if (px < 50) continue;
      ctx.fillRect(px, height - 5, 1, 5);
      halo(ctx, text(x), px, height - 9);
    }
    ctx.textAlign = "left";
    for (const y of ticks(bottom, step, bottom + (height - 10) / scale)) {
      const py = height - (y - bottom) * scale;
      if (py > height - 22) continue;
      ctx.fillRect(0, py, 5, 1);
      halo(ctx, text(y), 8, py + 4);
    }
    const at = this.chosen === null ? null : this.pixelOf(this.chosen);
    if (at) {
      ctx.beginPath();
      ctx.arc(at[0], at[1], Math.max(7, this.size() / 2 + 4), 0, 2 * Math.PI);
      ctx.lineWidth = 4;
      ctx.strokeStyle = color("--card");
      ctx.stroke();
      ctx.lineWidth = 2;
      ctx.strokeStyle = color("--ink");
      ctx.stroke();
    }
  }

  /**
   * The row that is nearest to a pixel, if one is near.
   *
   * @param {number} px
   * @param {number} py
   * @returns {number | null}
   */
  rowAt(px, py) {
    const { geometry } = this;
    if (!geometry) return null;
    const { scale, x, y } = this.frameOf();
    const at = [x + (px - this.element.clientWidth / 2) / scale, y - (py - this.height / 2) / scale];
    const { places, owners } = geometry;
    let nearest = ((NEAR + this.size() / 2) / scale) ** 2;
    let found = -1;
    if (!owners) {
      for (let i = 0; i < places.length; i += 2) {
        const distance = (places[i] - at[0]) ** 2 + (places[i + 1] - at[1]) ** 2;
        if (distance <= nearest) [nearest, found] = [distance, i / 2];
      }
      return found < 0 ? null : found;
    }
    for (let i = 0; i < owners.length; i += 1) {
      const [ax, ay] = [places[4 * i], places[4 * i + 1]];
      const [dx, dy] = [places[4 * i + 2] - ax, places[4 * i + 3] - ay];
      const along = Math.min(1, Math.max(0, ((at[0] - ax) * dx + (at[1] - ay) * dy) / (dx * dx + dy * dy || 1)));
      const distance = (ax + along * dx - at[0]) ** 2 + (ay + along * dy - at[1]) ** 2;
      if (distance <= nearest) [nearest, found] = [distance, owners[i]];
    }
    return found < 0 ? null : found;
  }

  /** The nearest height that a view may have. @param {number} span */
  spanned(span) {
    const whole = this.all().span;
    return Math.min(whole * 20, Math.max(whole * 1e-6, span));
  }

  /** A view of a link may have any height. @param {View} view @returns {View} */
  clamped(view) {
    return this.geometry?.extent ? { ...view, span: this.spanned(view.span) } : view;
  }

  /** A view so many times as high around a pixel. @param {number} factor @param {number} [px] @param {number} [py] */
  zoomed(factor, px = this.element.clientWidth / 2, py = this.height / 2) {
    const { x, y, span } = this.view;
    const next = this.spanned(span * factor);
    const unit = (span - next) / this.height;
    return { x: x + (px - this.element.clientWidth / 2) * unit, y: y - (py - this.height / 2) * unit, span: next };
  }

  /** A view moved by pixels. @param {View} from @param {number} dx @param {number} dy @returns {View} */
  moved(from, dx, dy) {
    const unit = from.span / this.height;
    return { x: from.x - dx * unit, y: from.y + dy * unit, span: from.span };
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const move = 60;
    /** @type {Record<string, () => View | "all">} */
    const keys = {
      ArrowLeft: () => this.moved(this.view, move, 0), ArrowRight: () => this.moved(this.view, -move, 0),
      ArrowUp: () => this.moved(this.view, 0, move), ArrowDown: () => this.moved(this.view, 0, -move),
      "+": () => this.zoomed(0.5), "=": () => this.zoomed(0.5), "-": () => this.zoomed(2), 0: () => "all", Home: () => "all",
    };
    const asked = keys[event.key];
    if (!asked) return;
    event.preventDefault();
    this.onView(asked());
  }

  listen() {
    const { element } = this;
    /** @type {Map<number, [number, number]>} */
    const held = new Map();
    let begin = { view: this.view, at: [0, 0], span: 1 };
    let moved = 0;
    const place = (/** @type {MouseEvent} */ event) => {
      const box = element.getBoundingClientRect();
      return /** @type {[number, number]} */ ([event.clientX - box.left, event.clientY - box.top]);
    };
    const middle = () => {
      const all = [...held.values()];
      return [0, 1].map((k) => all.reduce((sum, at) => sum + at[k], 0) / all.length);
    };
    const apart = () => {
      const [a, b] = [...held.values()];
      return a && b ? Math.hypot(a[0] - b[0], a[1] - b[1]) : 1;
    };
    const start = () => {
      begin = { view: this.view, at: middle(), span: apart() };
    };
    element.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      element.setPointerCapture(event.pointerId);
      held.set(event.pointerId, place(event));
      if (held.size === 1) moved = 0;
      start();
    });
    element.addEventListener("pointermove", (event) => {
      if (!held.has(event.pointerId)) {
        if (event.pointerType === "mouse") this.hoverSoon(place(event));
        return;
      }
      held.set(event.pointerId, place(event));
      const now = middle();
      moved = Math.max(moved, Math.hypot(now[0] - begin.at[0], now[1] - begin.at[1]), held.size > 1 ? STILL + 1 : 0);
      if (moved <= STILL) return;
      const view = this.moved(begin.view, now[0] - begin.at[0], now[1] - begin.at[1]);
      if (held.size < 2 || apart() < 10) return this.onView(view);
      this.view = view;
      this.onView(this.zoomed(begin.span / apart(), now[0], now[1]));
    });
    for (const end of /** @type {const} */ (["pointerup", "pointercancel"])) {
      element.addEventListener(end, (event) => {
        if (!held.delete(event.pointerId)) return;
        if (end === "pointerup" && moved <= STILL) this.onPick(this.rowAt(...place(event)));
        if (held.size > 0) start();
      });
    }
    element.addEventListener("pointerleave", () => this.onHover(null));
    element.addEventListener("dblclick", () => this.onView("all"));
    element.addEventListener("wheel", (event) => {
      // As in a curve: without a key the wheel scrolls the page, unless the plane has the focus.
      if (!event.ctrlKey && !event.shiftKey && document.activeElement !== element) return;
      event.preventDefault();
      this.onView(this.zoomed(1.0015 ** (event.deltaY || event.deltaX), ...place(event)));
    }, { passive: false });
  }

  /** @param {[number, number]} at */
  hoverSoon(at) {
    const is = !this.hovered;
    this.hovered = at;
    if (is) {
      requestAnimationFrame(() => {
        if (this.hovered) this.onHover(this.rowAt(...this.hovered));
        this.hovered = undefined;
      });
    }
  }

  /**
   * Keeps the picture as PNG, with its title and what its colours mean.
   *
   * @param {string} title
   * @param {HTMLElement} key
   */
  png(title, key) {
    this.paint();
    const ratio = devicePixelRatio;
    const head = 50 * ratio;
    const canvas = h("canvas", { width: this.canvas.width, height: this.canvas.height + head });
    const ctx = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    ctx.fillStyle = color("--card");
    ctx.fillRect(0, 0, canvas.width, canvas.height);
    ctx.drawImage(this.canvas, 0, head);
    ctx.drawImage(this.over, 0, head);
    ctx.scale(ratio, ratio);
    const family = getComputedStyle(document.body).fontFamily;
    ctx.fillStyle = color("--ink");
    ctx.font = `600 14px ${family}`;
    ctx.fillText(title, 12, 19);
    ctx.font = `12px ${family}`;
    drawKey(ctx, key, 12, 40);
    canvas.toBlob((blob) => blob && save(blob, "siltstone.png"));
  }
}

/**
 * Draws what stands in a legend: texts, swatches and the strip of a scale.
 *
 * @param {CanvasRenderingContext2D} ctx
 * @param {HTMLElement} key
 * @param {number} x
 * @param {number} y
 */
function drawKey(ctx, key, x, y) {
  const ink = color("--ink");
  const visit = (/** @type {Node} */ node) => {
    if (node instanceof HTMLCanvasElement) {
      ctx.drawImage(node, x, y - 9, 110, 10);
      x += 116;
    } else if (node instanceof HTMLElement && node.classList.contains("swatch")) {
      ctx.fillStyle = getComputedStyle(node).backgroundColor;
      ctx.fillRect(x, y - 10, 11, 11);
      x += 16;
    } else if (node instanceof Text) {
      ctx.fillStyle = ink;
      ctx.fillText(node.data, x, y);
      x += ctx.measureText(node.data).width + 6;
    } else {
      node.childNodes.forEach(visit);
      x += 6;
    }
  };
  visit(key);
}

/** A text that is read on any ground. @param {CanvasRenderingContext2D} ctx @param {string} text @param {number} x @param {number} y */
function halo(ctx, text, x, y) {
  ctx.save();
  ctx.lineWidth = 3;
  ctx.lineJoin = "round";
  ctx.strokeStyle = color("--card");
  ctx.strokeText(text, x, y);
  ctx.restore();
  ctx.fillText(text, x, y);
}

/**
 * The multiples of a step from one number up to another, without it. None where floats are further apart than the step.
 *
 * @param {number} from
 * @param {number} step
 * @param {number} until
 */
function ticks(from, step, until) {
  const first = Math.ceil(from / step) * step;
  /** @type {number[]} */
  const found = [];
  if (first + step === first) return found;
  for (let i = 0; first + i * step < until; i += 1) found.push(first + i * step);
  return found;
}

/** A number that people count by, at least as large. @param {number} least */
function nice(least) {
  const power = 10 ** Math.floor(Math.log10(least));
  return power * ([1, 2, 5].find((n) => n * power >= least) ?? 10);
}
