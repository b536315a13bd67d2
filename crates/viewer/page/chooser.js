// A field for an id: Enter chooses it, the arrows up and down go to the one before and the next.

import { h } from "./dom.js";

export class Chooser {
  /**
   * @param {string} label
   * @param {(id: string | null) => void} choose
   * @param {(way: 1 | -1) => void} step
   */
  constructor(label, choose, step) {
    this.input = h("input", {
      type: "search", class: "id", inputmode: "numeric", spellcheck: "false", "aria-label": label, title: "Enter chooses; the arrows up and down go through them",
      change: () => choose(this.input.value.trim() || null),
      keydown: (event) => {
        if (event.key !== "ArrowUp" && event.key !== "ArrowDown") return;
        event.preventDefault();
        step(event.key === "ArrowDown" ? 1 : -1);
      },
    });
    this.element = h("label", {}, `${label} `, this.input);
  }

  /** @param {string | null} id what is chosen */
  show(id) {
    this.input.value = id ?? "";
  }
}
