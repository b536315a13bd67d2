// The time of a group of entities: a slider with marks at keyframes, steps, and a play button.

import { button, h } from "./dom.js";
import { Keyframes } from "./keyframes.js";

/** @typedef {import("./simulation.js").SimulationPage} SimulationPage */

/** Steps a second. */
const SPEEDS = [1, 2, 5, 10, 30];

export class Clock {
  /** @param {SimulationPage} page */
  constructor(page) {
    this.page = page;
    this.isPlaying = false;
    this.speed = 5;
    this.slider = h("input", { type: "range", min: 0, max: 0, value: 0, step: 1, "aria-label": "Time", input: () => this.go(Number(this.slider.value)) });
    this.keyframes = new Keyframes();
    /** Buttons that go from keyframe to keyframe. */
    this.jumps = h("span", { class: "group", hidden: true },
      button("‹ K", () => this.jump(-1), { "aria-label": "Keyframe before", title: "The keyframe before ([)" }),
      button("K ›", () => this.jump(1), { "aria-label": "Next keyframe", title: "The next keyframe (])" }));
    this.when = h("span", { class: "when mono" });
    this.play = button("▶", () => this.toggle(), { "aria-label": "Play", title: "Play (space)" });
    this.pace = h("select", { "aria-label": "Steps a second", title: "Steps a second", change: () => (this.speed = Number(this.pace.value)) },
      ...SPEEDS.map((speed) => h("option", { value: speed, selected: speed === this.speed }, `${speed} / s`)));
    this.element = h("div", { class: "row clock", keydown: (event) => this.key(event) },
      h("span", { class: "group" },
        button("⇤", () => this.go(0), { "aria-label": "Begin", title: "The initial state" }),
        button("‹", () => this.go(page.lane.index - 1), { "aria-label": "Step back" }),
        this.play,
        button("›", () => this.go(page.lane.index + 1), { "aria-label": "Step on" }),
        button("⇥", () => this.go(page.times.length), { "aria-label": "End", title: "The last step; what is written later follows" })),
      h("span", { class: "track" }, this.slider, this.keyframes.element), this.jumps, this.when, this.pace);
  }

  /** Marks the steps that have a keyframe. */
  mark() {
    const { dataset, group, times } = this.page;
    this.keyframes.load(dataset, group, times).then(() => {
      this.jumps.hidden = this.keyframes.steps.length === 0;
      this.page.showTime();
    }).catch(report);
  }

  show() {
    const { lane, times } = this.page;
    this.slider.max = String(times.length);
    this.slider.value = String(lane.index);
    this.when.textContent = this.page.nameOf(lane.index);
    this.slider.setAttribute("aria-valuetext", this.when.textContent);
  }

  /** @param {number} index */
  go(index) {
    const { page } = this;
    const to = Math.min(Math.max(index, 0), page.times.length);
    page.lane.index = to;
    page.follows = to === page.times.length;
    page.showTime();
    page.stateSoon();
    page.want().catch(report);
  }

  /** To the keyframe before or to the next. @param {1 | -1} way */
  jump(way) {
    const to = this.keyframes.next(this.page.lane.index, way);
    if (to !== null) this.go(to);
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    if ((event.key === "[" || event.key === "]") && !(event.target instanceof HTMLSelectElement)) {
      event.preventDefault();
      this.jump(event.key === "[" ? -1 : 1);
      return;
    }
    // Space opens a list, and presses a button.
    if (event.key !== " " || event.target instanceof HTMLButtonElement || event.target instanceof HTMLSelectElement) return;
    event.preventDefault();
    this.toggle();
  }

  stop() {
    this.isPlaying = false;
    this.play.textContent = "▶";
    this.play.setAttribute("aria-label", "Play");
  }

  toggle() {
    if (this.isPlaying) return this.stop();
    this.isPlaying = true;
    this.play.textContent = "❙❙";
    this.play.setAttribute("aria-label", "Pause");
    const { lane, times } = this.page;
    if (lane.index >= times.length) lane.index = 0;
    this.step().catch(report);
  }

  /** One step after the other, each when the one before it has been drawn. */
  async step() {
    const { page } = this;
    while (this.isPlaying && page.lane.index < page.times.length) {
      const began = performance.now();
      page.lane.index += 1;
      page.follows = page.lane.index === page.times.length;
      page.showTime();
      await page.want();
      const left = 1000 / this.speed - (performance.now() - began);
      await new Promise((resolve) => setTimeout(resolve, Math.max(left, 0)));
      // A page in the background waits.
      while (this.isPlaying && document.visibilityState !== "visible") await new Promise((resolve) => setTimeout(resolve, 200));
    }
    if (!this.isPlaying) return;
    this.stop();
    page.state();
  }
}

/** @param {unknown} error */
function report(error) {
  dispatchEvent(new CustomEvent("trouble", { detail: error }));
}
