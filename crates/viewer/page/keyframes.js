// The keyframes of a group: marks under the slider of time.

import { sql } from "./api.js";
import { sqlText } from "./code.js";
import { h, put } from "./dom.js";

/** Units of the picture's width. */
const WIDE = 1000;

export class Keyframes {
  constructor() {
    /** @type {number[]} their steps, rising */
    this.steps = [];
    /** Counts what was asked, so that an answer that comes late is dropped. */
    this.turn = 0;
    this.element = h("div", { class: "keyframes", hidden: true });
  }

  /**
   * @param {string} dataset
   * @param {string} group
   * @param {BigInt64Array} times of the steps, from the second one on
   */
  async load(dataset, group, times) {
    const own = ++this.turn;
    const statement = `SELECT DISTINCT timestamp FROM simulation_keyframe WHERE dataset_name IS ${sqlText(dataset)} AND entity_group IS ${sqlText(group)} ORDER BY 1`;
    /** @type {any[][]} */
    let rows;
    try {
      ({ rows } = await sql(statement, new AbortController().signal));
    } catch (error) {
      // A file of movici has no such table.
      if (!(error instanceof Error) || !error.message.includes("no such table")) throw error;
      rows = [];
    }
    if (own !== this.turn) return;
    const steps = new Map(Array.from(times, (at, i) => [at, i + 1]));
    this.steps = rows.map(([at]) => steps.get(BigInt(at))).filter((step) => step !== undefined);
    this.show(times.length);
  }

  /** @param {number} last step of the slider */
  show(last) {
    this.element.hidden = this.steps.length === 0;
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("viewBox", `0 0 ${WIDE} 6`);
    svg.setAttribute("preserveAspectRatio", "none");
    svg.setAttribute("aria-hidden", "true");
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    const places = new Set(this.steps.map((step) => Math.round((step / Math.max(1, last)) * WIDE)));
    path.setAttribute("d", [...places].map((x) => `M${x} 0V6`).join(""));
    svg.append(path);
    put(this.element, svg);
  }

  /** @param {number} step */
  has(step) {
    return this.steps.includes(step);
  }

  /** The keyframe before a step or behind it; none there is null. @param {number} step @param {1 | -1} way */
  next(step, way) {
    return (way > 0 ? this.steps.find((one) => one > step) : this.steps.findLast((one) => one < step)) ?? null;
  }
}
