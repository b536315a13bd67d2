// What is odd about the ticks of a window: times without one, and quotes that cannot be.

import { table } from "./api.js";
import { color } from "./chart.js";
import { count, duration, plural } from "./format.js";

/**
 * @typedef {import("./vendor/uPlot.esm.js")} UPlot
 * @typedef {import("./window.js").Window} Window
 */

/** The most ticks that are searched with each window: each of them is read for it. */
const MOST = 2_000_000;
/** What the bits mean. */
const MEANINGS = ["bid <= 0", "ask <= 0", "crossed (ask < bid)", "locked (ask = bid)", "spread < 0", "spread > bid / 10", "spread != ask - bid"];
/** Pixels around a mark that belong to it. */
const REACH = 5;

export class Odd {
  constructor() {
    /** @type {Window[]} */
    this.gaps = [];
    /** @type {{time: number, bits: number, ticks: number}[]} */
    this.flags = [];
    /** @type {{bit: number, name: string, ticks: number}[]} */
    this.counts = [];
    this.said = "";
  }

  /**
   * @param {import("./api.js").Parameters} query
   * @param {number} ticks of the window
   * @param {AbortSignal} signal
   */
  async load(query, ticks, signal) {
    if (ticks > MOST) {
      [this.gaps, this.flags, this.counts] = [[], [], []];
      this.said = `gaps and odd ticks are searched in windows of up to ${count(MOST)} ticks`;
      return;
    }
    const [gaps, flags] = await Promise.all([table("ticks/gaps", query, signal), table("ticks/flags", query, signal)]);
    const { start, end } = gaps.columns;
    this.gaps = start.map((from, i) => ({ from: Number(from) / 1e9, until: Number(end[i]) / 1e9 }));
    const { time, flags: bits, ticks: many } = flags.columns;
    this.flags = time.map((at, i) => ({ time: Number(at) / 1e9, bits: Number(bits[i]), ticks: Number(many[i]) }));
    this.counts = flags.about.counts.map((/** @type {{bit: number, name: string, ticks: number}} */ one) => ({ ...one, name: MEANINGS[one.bit] ?? one.name }));
    const shortest = duration(Number(gaps.about.min_ns) / 1e9);
    const found = this.counts.map(({ name, ticks }) => `${name}: ${count(ticks)}`);
    this.said = `${plural(this.gaps.length, "gap")} longer than ${shortest}; ${plural(Number(flags.about.odd), "odd tick")}${found.length > 0 ? `: ${found.join(", ")}` : ""}`;
  }

  /** Gaps, hatched, up to a time. @param {UPlot} u @param {number} now */
  under(u, now) {
    const { ctx, bbox } = u;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    ctx.fillStyle = color("--well");
    ctx.strokeStyle = color("--line");
    ctx.lineWidth = devicePixelRatio;
    for (const { from, until } of this.gaps) {
      if (from > now) continue;
      const [left, right] = [from, Math.min(until, now)].map((at) => u.valToPos(at, "x", true));
      ctx.save();
      ctx.beginPath();
      ctx.rect(left, bbox.top, right - left, bbox.height);
      ctx.clip();
      ctx.fillRect(left, bbox.top, right - left, bbox.height);
      ctx.beginPath();
      const step = 8 * devicePixelRatio;
      for (let x = Math.max(left, bbox.left) - bbox.height; x < Math.min(right, bbox.left + bbox.width); x += step) {
        ctx.moveTo(x, bbox.top + bbox.height);
        ctx.lineTo(x + bbox.height, bbox.top);
      }
      ctx.stroke();
      ctx.restore();
    }
    ctx.restore();
  }

  /** A mark at the top for each odd tick, or column of pixels with some, up to a time. @param {UPlot} u @param {number} now */
  over(u, now) {
    const { ctx, bbox } = u;
    const wide = 4 * devicePixelRatio;
    ctx.save();
    ctx.fillStyle = color("--bad");
    for (const { time } of this.flags) {
      const x = u.valToPos(time, "x", true);
      if (time > now || x < bbox.left || x > bbox.left + bbox.width) continue;
      ctx.beginPath();
      ctx.moveTo(x - wide, bbox.top);
      ctx.lineTo(x + wide, bbox.top);
      ctx.lineTo(x, bbox.top + 2 * wide);
      ctx.fill();
    }
    ctx.restore();
  }

  /** What is odd at a place of the axis. @param {UPlot} u @param {number} x */
  at(u, x) {
    const reach = u.posToVal(REACH, "x") - u.posToVal(0, "x");
    const gap = this.gaps.find(({ from, until }) => x > from && x < until);
    const near = this.flags.filter(({ time }) => Math.abs(time - x) <= reach);
    const bits = near.reduce((all, { bits }) => all | bits, 0);
    const names = this.counts.filter(({ bit }) => (bits >> bit) & 1).map(({ name }) => name);
    const many = near.reduce((sum, { ticks }) => sum + ticks, 0);
    return [gap && `no tick for ${duration(gap.until - gap.from)}`, many > 0 && `${plural(many, "odd tick")}: ${names.join(", ")}`].filter(Boolean).join("; ");
  }
}
