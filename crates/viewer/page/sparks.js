// Small curves of runs, asked for as their rows come into sight.

import { get } from "./api.js";
import { h, put, sparkline } from "./dom.js";

/** Rows that come into sight together are asked for together, after so many ms. */
const PAUSE = 40;
/** The most curves of one query. */
const MOST = 100;
const WIDTH = 80;
const HEIGHT = 20;

/** @typedef {[(number | null)[], (number | null)[]] | null} Curve steps and values; null where a run has none */

export class Sparks {
  constructor() {
    this.metric = "";
    /** @type {Map<string, Curve>} */
    this.known = new Map();
    /** @type {Map<string, HTMLElement>} */
    this.waiting = new Map();
    this.timer = 0;
    this.asking = new AbortController();
  }

  close() {
    this.asking.abort();
    clearTimeout(this.timer);
  }

  /** What is known may be older than the file. */
  forget() {
    this.known.clear();
  }

  /** A place for the curve of a run. @param {string} metric @param {string} id */
  of(metric, id) {
    if (metric !== this.metric) {
      this.metric = metric;
      this.asking.abort();
      this.known.clear();
      this.waiting.clear();
    }
    const host = h("span", { class: "spark" });
    const curve = this.known.get(id);
    if (curve !== undefined) {
      show(host, curve);
    } else {
      this.waiting.set(id, host);
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.ask().catch((error) => dispatchEvent(new CustomEvent("trouble", { detail: error }))), PAUSE);
    }
    return host;
  }

  async ask() {
    this.asking = new AbortController();
    const { signal } = this.asking;
    const { metric } = this;
    // What was scrolled past is not asked for.
    for (const [id, host] of this.waiting) if (!host.isConnected) this.waiting.delete(id);
    while (this.waiting.size > 0 && !signal.aborted) {
      const some = [...this.waiting].slice(0, MOST);
      const { sparks } = await get("runs/sparks", { metric, ids: JSON.stringify(some.map(([id]) => id)) }, signal);
      if (metric !== this.metric) return;
      some.forEach(([id, host], i) => {
        this.known.set(id, sparks[i]);
        if (this.waiting.get(id) === host) this.waiting.delete(id);
        show(host, sparks[i]);
      });
    }
  }
}

/** @param {HTMLElement} host @param {Curve} curve */
function show(host, curve) {
  put(host, curve && sparkline(curve[0], curve[1], WIDTH, HEIGHT));
}
