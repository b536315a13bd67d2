// Plays through a window as if it were happening: what is behind "now" is not drawn yet.

import { button, h, put } from "./dom.js";
import { duration, time } from "./format.js";

/** @typedef {import("./window.js").Window} Window */

/** Seconds of the market that pass in one. */
const SPEEDS = [1, 10, 60, 600, 3_600, 14_400, 86_400, 604_800];
/** How long a window takes unless a speed is chosen, in seconds. */
const USUAL = 30;
/** The shortest time between two pictures, in ms. */
const FRAME = 66;
/** Steps of the slider. */
const STEPS = 1000;

export class Replay {
  /**
   * @param {object} on
   * @param {() => Window | null} on.window what is shown
   * @param {() => boolean} on.next shows the next window, unless this is the last one
   * @param {() => void} on.draw
   */
  constructor(on) {
    this.on = on;
    /** Behind it nothing is shown; all is without one. @type {number | null} */
    this.now = null;
    this.speed = 0;
    this.isPlaying = false;
    this.before = 0;
    this.frame = 0;
    this.play = button("Replay", () => this.toggle(), { title: "Play through this window" });
    this.end = button("End replay", () => this.stop(), { hidden: true });
    this.speeds = h("select", { "aria-label": "Speed of the replay", change: () => (this.speed = Number(this.speeds.value)) },
      h("option", { value: 0 }, `a window in ${USUAL} s`), ...SPEEDS.map((speed) => h("option", { value: speed }, speed === 1 ? "real time" : `${duration(speed)} a second`)));
    this.slider = h("input", { type: "range", min: 0, max: STEPS, value: 0, hidden: true, "aria-label": "Time of the replay", input: () => this.seek() });
    this.said = h("span", { class: "said", role: "timer" });
    this.element = h("span", { class: "row replay" }, this.play, this.speeds, this.slider, this.said, this.end);
  }

  close() {
    cancelAnimationFrame(this.frame);
  }

  toggle() {
    const window = this.on.window();
    if (!window) return;
    this.isPlaying = !this.isPlaying;
    if (this.isPlaying) {
      if (this.now === null || this.now >= window.until || this.now < window.from) this.now = window.from;
      this.before = performance.now();
      this.frame = requestAnimationFrame((at) => this.step(at));
    }
    this.show();
  }

  stop() {
    cancelAnimationFrame(this.frame);
    this.isPlaying = false;
    this.now = null;
    this.show();
    this.on.draw();
  }

  seek() {
    const window = this.on.window();
    if (!window) return;
    this.now = window.from + (Number(this.slider.value) / STEPS) * (window.until - window.from);
    this.show();
    this.on.draw();
  }

  /** @param {number} at in ms */
  step(at) {
    const window = this.on.window();
    if (!this.isPlaying || !window || this.now === null) return;
    const passed = at - this.before;
    if (passed >= FRAME) {
      this.before = at;
      // A tab that was hidden goes on where it was.
      const seconds = Math.min(passed, 1000) / 1000;
      this.now += seconds * (this.speed || (window.until - window.from) / USUAL);
      // A window that was moved meanwhile begins anew.
      if (this.now < window.from) this.now = window.from;
      if (this.now >= window.until && !this.on.next()) {
        this.now = window.until;
        this.isPlaying = false;
      }
      this.show();
      this.on.draw();
    }
    this.frame = requestAnimationFrame((next) => this.step(next));
  }

  show() {
    const window = this.on.window();
    put(this.play, this.isPlaying ? "Pause" : this.now === null ? "Replay" : "Go on");
    this.end.hidden = this.slider.hidden = this.now === null;
    if (this.now === null || !window) {
      this.said.textContent = "";
      return;
    }
    this.slider.value = String(Math.round(((this.now - window.from) / (window.until - window.from)) * STEPS));
    this.said.textContent = `${time(Math.floor(this.now))} UTC`;
  }
}
