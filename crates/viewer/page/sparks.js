// Small curves of runs, asked for as their rows come into sight.

import { get } from "./api.js";
import { h, put, sparkline } from "./dom.js";

/** A curve of a run that goes on is asked for again after so many ms at the earliest. */
const AGAIN = 3000;
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
    /** @type {Map<string, {curve: Curve, version: string}>} */
    this.known = new Map();
    /** When curves were last asked for again. */
    this.asked = -AGAIN;
    /** @type {Map<string, {host: HTMLElement, version: string}>} */
    this.waiting = new Map();
    this.timer = 0;
    this.asking = new AbortController();
  }

  close() {
    this.asking.abort();
    clearTimeout(this.timer);
  }

  /** A place for the curve of a run. @param {string} metric @param {string} id @param {string} version of the run, which differs once it has logged more */
  of(metric, id, version) {
    if (metric !== this.metric) {
      this.metric = metric;
      this.asking.abort();
      this.known.clear();
      this.waiting.clear();
    }
    const host = h("span", { class: "spark" });
    const known = this.known.get(id);
    // What is older than the run stands until the new one comes.
    if (known) show(host, known.curve);
    if (known?.version !== version) {
      this.waiting.set(id, { host, version });
      this.askSoon(known !== undefined);
    } else this.waiting.delete(id);
    return host;
  }

  /** @param {boolean} isAgain whether something stands there already */
  askSoon(isAgain) {
    if (isAgain && this.timer) return; // with what is asked for next
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      this.timer = 0;
      this.ask().catch((error) => dispatchEvent(new CustomEvent("trouble", { detail: error })));
    }, isAgain ? Math.max(PAUSE, this.asked + AGAIN - performance.now()) : PAUSE);
  }

  async ask() {
    this.asking = new AbortController();
    const { signal } = this.asking;
    const { metric } = this;
    this.asked = performance.now();
    // What was scrolled past is not asked for.
    for (const [id, { host }] of this.waiting) if (!host.isConnected) this.waiting.delete(id);
    while (this.waiting.size > 0 && !signal.aborted) {
      const some = [...this.waiting].slice(0, MOST);
      const { sparks } = await get("runs/sparks", { metric, ids: JSON.stringify(some.map(([id]) => id)) }, signal);
      if (metric !== this.metric) return;
      some.forEach(([id, { host, version }], i) => {
        this.known.set(id, { curve: sparks[i], version });
        if (this.waiting.get(id)?.host === host) this.waiting.delete(id);
        show(host, sparks[i]);
      });
    }
  }
}

/** @param {HTMLElement} host @param {Curve} curve */
function show(host, curve) {
  put(host, curve && sparkline(curve[0], curve[1], WIDTH, HEIGHT));
}
