// Draws points or lines on a canvas: by WebGL2, or without it in two dimensions.

import { STEPS, colorAt } from "./scale.js";

/** @typedef {import("./geometry.js").Geometry} Geometry */

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

/**
 * @typedef {{scale: number, x: number, y: number, size: number, ratio: number, ground: number[]}} Frame
 */

/** What draws on a canvas. @param {HTMLCanvasElement} canvas */
export function painterOf(canvas) {
  const gl = canvas.getContext("webgl2", { antialias: true, alpha: false });
  return gl ? new Gl(gl) : new Flat(canvas);
}

/** By WebGL2. */
export class Gl {
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
