// Points or lines on a plane, drawn by WebGL2, or without it by a 2D canvas; moved and zoomed by drag, wheel, fingers, keys.

import { color } from "./chart.js";
import { h, save } from "./dom.js";
import { number } from "./format.js";
import { STEPS, channels, colorAt } from "./scale.js";

/**
 * @typedef {object} Geometry in units of the attributes, moved so that `origin` is 0: floats of 32 bits hold differences
 * @property {"points" | "lines"} kind
 * @property {number} count entities
 * @property {Float32Array} places x and y of each point, or of both ends of each piece of a line
 * @property {Uint32Array | null} owners of each piece the row of its entity
 * @property {[number, number]} origin
 * @property {{left: number, right: number, bottom: number, top: number} | null} extent null if nothing has a place
 *
 * @typedef {{x: number, y: number, span: number}} View centre and height, in units of the attributes
 */

/** Pixels between a click and what it still means. */
const NEAR = 8;
/** Pixels that a click may move. */
const STILL = 4;
/** The room around all, as a share. */
const ROOM = 0.06;
/** Where nothing is drawn: beyond what any view shows. */
const NOWHERE = 1e30;

const POINTS = `#version 300 es
in vec2 place; in float share;
uniform vec2 centre; uniform vec2 scale; uniform float size; uniform sampler2D colors;
out vec4 ink;
void main() {
  gl_Position = vec4((place - centre) * scale, share < 0.0 ? 0.5 : 0.0, 1.0);
  gl_PointSize = size;
  ink = texelFetch(colors, ivec2(share < -1.5 ? ${STEPS + 1} : share < 0.0 ? ${STEPS} : int(share * ${STEPS - 1}.0 + 0.5), 0), 0);
}`;
const DISC = `#version 300 es
precision mediump float;
in vec4 ink; uniform highp float size; out vec4 shown;
void main() {
  float inside = size < 2.5 ? 1.0 : (0.5 - length(gl_PointCoord - 0.5)) * size + 0.5;
  if (inside <= 0.0) discard;
  shown = vec4(ink.rgb, min(inside, 1.0));
}`;
const LINES = `#version 300 es
in vec2 from; in vec2 to; in float share;
uniform vec2 centre; uniform vec2 scale; uniform vec2 half_pixels; uniform float size; uniform sampler2D colors;
out vec4 ink;
void main() {
  vec2 a = (from - centre) * scale * half_pixels;
  vec2 b = (to - centre) * scale * half_pixels;
  vec2 along = b - a;
  float length_ = max(length(along), 1e-6);
  vec2 unit = along / length_;
  vec2 side = vec2(-unit.y, unit.x) * size * 0.5;
  vec2 at = (gl_VertexID & 1) == 0 ? a - unit * size * 0.25 : b + unit * size * 0.25;
  at += gl_VertexID < 2 ? side : -side;
  gl_Position = vec4(at / half_pixels, share < 0.0 ? 0.5 : 0.0, 1.0);
  ink = texelFetch(colors, ivec2(share < -1.5 ? ${STEPS + 1} : share < 0.0 ? ${STEPS} : int(share * ${STEPS - 1}.0 + 0.5), 0), 0);
}`;
const FULL = `#version 300 es
precision mediump float;
in vec4 ink; out vec4 shown;
void main() { shown = ink; }`;

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

/**
 * @typedef {{scale: number, x: number, y: number, size: number, ratio: number, ground: number[]}} Frame
 */

/** What draws on a canvas. @param {HTMLCanvasElement} canvas */
function painterOf(canvas) {
  const gl = canvas.getContext("webgl2", { antialias: true, alpha: false });
  return gl ? new Gl(gl) : new Flat(canvas);
}

/** By WebGL2. */
class Gl {
  /** @param {WebGL2RenderingContext} gl */
  constructor(gl) {
    this.gl = gl;
    this.points = program(gl, POINTS, DISC);
    this.lines = program(gl, LINES, FULL);
    this.places = gl.createBuffer();
    this.shares = gl.createBuffer();
    this.texture = gl.createTexture();
    this.isLines = false;
    this.count = 0;
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.SRC_ALPHA, gl.ONE_MINUS_SRC_ALPHA);
    gl.enable(gl.DEPTH_TEST);
    gl.depthFunc(gl.LEQUAL); // what is undefined lies below, of others the later one above
  }

  close() {
    this.gl.getExtension("WEBGL_lose_context")?.loseContext();
  }

  /** @param {Geometry} geometry */
  setGeometry({ kind, places }) {
    const { gl } = this;
    this.isLines = kind === "lines";
    this.count = places.length / (this.isLines ? 4 : 2);
    gl.bindBuffer(gl.ARRAY_BUFFER, this.places);
    gl.bufferData(gl.ARRAY_BUFFER, places, gl.DYNAMIC_DRAW);
  }

  /** @param {Float32Array} shares @param {Uint8Array} colors */
  setColors(shares, colors) {
    const { gl } = this;
    gl.bindBuffer(gl.ARRAY_BUFFER, this.shares);
    gl.bufferData(gl.ARRAY_BUFFER, shares, gl.DYNAMIC_DRAW);
    gl.bindTexture(gl.TEXTURE_2D, this.texture);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, STEPS + 2, 1, 0, gl.RGBA, gl.UNSIGNED_BYTE, colors);
    for (const edge of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, edge, gl.NEAREST);
  }

  /** @param {Frame} frame */
  paint({ scale, x, y, size, ratio, ground }) {
    const { gl } = this;
    const { width, height } = gl.canvas;
    const used = this.isLines ? this.lines : this.points;
    gl.viewport(0, 0, width, height);
    gl.clearColor(ground[0] / 255, ground[1] / 255, ground[2] / 255, 1);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    if (this.count === 0) return;
    gl.useProgram(used);
    const uniform = (/** @type {string} */ name) => gl.getUniformLocation(used, name);
    gl.uniform2f(uniform("centre"), x, y);
    gl.uniform2f(uniform("scale"), (2 * scale * ratio) / width, (2 * scale * ratio) / height);
    gl.uniform1f(uniform("size"), size);
    gl.uniform2f(uniform("half_pixels"), width / 2, height / 2);
    const attribute = (/** @type {string} */ name, /** @type {WebGLBuffer | null} */ buffer, /** @type {number} */ n, /** @type {number} */ stride, /** @type {number} */ offset) => {
      const at = gl.getAttribLocation(used, name);
      gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
      gl.enableVertexAttribArray(at);
      gl.vertexAttribPointer(at, n, gl.FLOAT, false, stride, offset);
      gl.vertexAttribDivisor(at, this.isLines ? 1 : 0);
    };
    for (let i = 0; i < 3; i += 1) gl.disableVertexAttribArray(i);
    attribute("share", this.shares, 1, 4, 0);
    if (this.isLines) {
      attribute("from", this.places, 2, 16, 0);
      attribute("to", this.places, 2, 16, 8);
      gl.drawArraysInstanced(gl.TRIANGLE_STRIP, 0, 4, this.count);
    } else {
      attribute("place", this.places, 2, 8, 0);
      gl.drawArrays(gl.POINTS, 0, this.count);
    }
  }
}

/**
 * @param {WebGL2RenderingContext} gl
 * @param {string} vertex
 * @param {string} fragment
 */
function program(gl, vertex, fragment) {
  const made = gl.createProgram();
  for (const [kind, text] of /** @type {[number, string][]} */ ([[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, fragment]])) {
    const shader = /** @type {WebGLShader} */ (gl.createShader(kind));
    gl.shaderSource(shader, text);
    gl.compileShader(shader);
    gl.attachShader(made, shader);
  }
  gl.linkProgram(made);
  if (!gl.getProgramParameter(made, gl.LINK_STATUS) && !gl.isContextLost()) throw new Error(`the picture's program: ${gl.getProgramInfoLog(made)}`);
  return made;
}

/** By a canvas of two dimensions, where there is no WebGL2: undefined first, so that others lie above. */
class Flat {
  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    /** @type {Geometry | null} */
    this.geometry = null;
    /** @type {Float32Array} */
    this.shares = new Float32Array(0);
    /** @type {Uint8Array} */
    this.colors = new Uint8Array(0);
  }

  close() {}

  /** @param {Geometry} geometry */
  setGeometry(geometry) {
    this.geometry = geometry;
  }

  /** @param {Float32Array} shares @param {Uint8Array} colors */
  setColors(shares, colors) {
    this.shares = shares;
    this.colors = colors;
  }

  /** @param {Frame} frame */
  paint({ scale, x, y, size, ratio, ground }) {
    const ctx = this.canvas.getContext("2d");
    const { geometry, shares } = this;
    if (!ctx || !geometry) return;
    const { width, height } = this.canvas;
    const { places, owners } = geometry;
    ctx.fillStyle = `rgb(${ground.join(" ")})`;
    ctx.fillRect(0, 0, width, height);
    const unit = scale * ratio;
    const [px, py] = [(/** @type {number} */ at) => width / 2 + (at - x) * unit, (/** @type {number} */ at) => height / 2 - (at - y) * unit];
    // By colour, since to change it takes longer than to draw.
    /** @type {number[][]} */
    const by = Array.from({ length: STEPS + 2 }, () => []);
    for (let i = 0; i < shares.length; i += 1) by[colorAt(shares[i])].push(i);
    for (const at of [STEPS, STEPS + 1, ...Array(STEPS).keys()]) {
      if (by[at].length === 0) continue;
      ctx.fillStyle = ctx.strokeStyle = `rgb(${this.colors.subarray(4 * at, 4 * at + 3).join(" ")})`;
      ctx.lineWidth = size;
      ctx.beginPath();
      for (const i of by[at]) {
        if (owners) {
          ctx.moveTo(px(places[4 * i]), py(places[4 * i + 1]));
          ctx.lineTo(px(places[4 * i + 2]), py(places[4 * i + 3]));
        } else if (size > 3) {
          const [cx, cy] = [px(places[2 * i]), py(places[2 * i + 1])];
          if (cx < -size || cy < -size || cx > width + size || cy > height + size) continue;
          ctx.moveTo(cx + size / 2, cy);
          ctx.arc(cx, cy, size / 2, 0, 2 * Math.PI);
        } else {
          ctx.rect(px(places[2 * i]) - size / 2, py(places[2 * i + 1]) - size / 2, size, size);
        }
      }
      if (owners) ctx.stroke();
      else ctx.fill();
    }
  }
}

/**
 * Points of entities; one whose x or y is undefined stands nowhere.
 *
 * @param {Float64Array} x
 * @param {Float64Array} y
 * @returns {Geometry}
 */
export function pointsOf(x, y) {
  const { extent, origin } = around(x, y);
  const places = new Float32Array(2 * x.length);
  for (let i = 0; i < x.length; i += 1) {
    const there = Number.isFinite(x[i]) && Number.isFinite(y[i]);
    places[2 * i] = there ? x[i] - origin[0] : NOWHERE;
    places[2 * i + 1] = there ? y[i] - origin[1] : NOWHERE;
  }
  return { kind: "points", count: x.length, places, owners: null, origin, extent };
}

/**
 * Lines of entities through points: of entity `i` those from `offsets[i]` to `offsets[i + 1]`.
 *
 * @param {ArrayLike<number>} offsets
 * @param {Float64Array} x
 * @param {Float64Array} y
 * @returns {Geometry}
 */
export function linesOf(offsets, x, y) {
  const { extent, origin } = around(x, y);
  const count = offsets.length - 1;
  const places = new Float32Array(4 * x.length);
  const owners = new Uint32Array(x.length);
  let n = 0;
  for (let i = 0; i < count; i += 1) {
    for (let k = offsets[i] + 1; k < offsets[i + 1]; k += 1) {
      if (![x[k - 1], y[k - 1], x[k], y[k]].every(Number.isFinite)) continue;
      places.set([x[k - 1] - origin[0], y[k - 1] - origin[1], x[k] - origin[0], y[k] - origin[1]], 4 * n);
      owners[n] = i;
      n += 1;
    }
  }
  return { kind: "lines", count, places: places.slice(0, 4 * n), owners: owners.slice(0, n), origin, extent };
}

/** @param {Float64Array} x @param {Float64Array} y */
function around(x, y) {
  let [left, right, bottom, top] = [Infinity, -Infinity, Infinity, -Infinity];
  for (let i = 0; i < x.length; i += 1) {
    if (!Number.isFinite(x[i]) || !Number.isFinite(y[i])) continue;
    if (x[i] < left) left = x[i];
    if (x[i] > right) right = x[i];
    if (y[i] < bottom) bottom = y[i];
    if (y[i] > top) top = y[i];
  }
  const extent = right >= left ? { left, right, bottom, top } : null;
  return { extent, origin: /** @type {[number, number]} */ (extent ? [(left + right) / 2, (bottom + top) / 2] : [0, 0]) };
}
