// Memories: embeddings on a plane, neighbours, recall, the graph of concepts, scores over time.

import uPlot from "./vendor/uPlot.esm.js";
import { arrowTable, download, get, isGone, table, whyGone } from "./api.js";
import { Chart, colorOf } from "./chart.js";
import { Chooser } from "./chooser.js";
import { cell, integers, numbers } from "./columns.js";
import { begun, button, h, keepingFocus, put } from "./dom.js";
import { count, json, number, plural, time } from "./format.js";
import { pointsOf } from "./geometry.js";
import { graph } from "./graph.js";
import { Pace } from "./pace.js";
import { Plane } from "./plane.js";
import { windowOf, windowText } from "./window.js";
import { categoryScale, colors, legend, placeOf, valueScale } from "./scale.js";

/**
 * @typedef {import("./window.js").Window} Window
 * @typedef {import("./plane.js").View} View
 * @typedef {import("./scale.js").Scale} Scale
 * @typedef {{context: string, episodes: number, first: number, last: number, mean: number}} Context_
 */

/** The most contexts in one picture. */
const MOST = 7;
const PAUSE = 120;
const HALF_LIVES = { 60: "a minute", 3600: "an hour", 86400: "a day", 604800: "a week", 2592000: "30 days" };
const WEIGHTS = /** @type {const} */ (["recency", "importance", "relevance"]);

/** @type {import("./app.js").Page} */
export async function memory(host, query, context) {
  return begun(new MemoryPage(host, context), query);
}

class MemoryPage {
  /** @param {HTMLElement} host @param {import("./app.js").Context} context */
  constructor(host, context) {
    this.host = host;
    this.context = context;
    /** @type {"episodes" | "concepts"} */
    this.of = "episodes";
    this.most = 2000;
    /** @type {"score" | "context"} */
    this.by = "score";
    /** @type {string | null} */
    this.chosen = null;
    /** @type {View | null} */
    this.view = null;
    /** @type {Scale | null} */
    this.scale = null;
    /** @type {{about: any, ids: BigInt64Array, labels: string[], scores: Float64Array, times: Float64Array} | null} */
    this.mapped = null;
    this.weights = { recency: 1, importance: 1, relevance: 1 };
    this.halfLife = 86_400;
    /** @type {string | null} */
    this.concept = null;
    this.depth = 1;
    /** @type {Context_[]} */
    this.contexts = [];
    /** @type {string[] | null} */
    this.selected = null;
    /** @type {Window | null} */
    this.asked = null;
    /** @type {{context: string, xs: number[], ys: (number | null)[], said: string}[]} */
    this.curves = [];
    this.asking = new AbortController();
    // One each: what is typed, moved and zoomed waits for itself alone.
    this.stating = 0;
    this.finding = 0;
    this.zooming = 0;
    /** What is shown of the chosen one, and of the concepts around one: the same is not made anew. */
    this.known = "";
    this.found = "";
    /** @type {Promise<void> | null} recall that is under way */
    this.running = null;
    this.isWanted = false;
    this.plane = new Plane({
      height: innerWidth > 800 ? 440 : 340,
      label: "Embeddings by PCA; drag to move, + and - zoom, 0 shows all, a click chooses",
      onView: (view) => {
        this.view = view === "all" ? null : view;
        this.plane.paintSoon(this.view ?? this.plane.all());
        this.stateSoon();
      },
      onPick: (row) => this.choose(row === null || !this.mapped ? null : String(this.mapped.ids[row])),
      onHover: (row) => this.hover(row),
    });
    this.chart = new Chart({ height: 280, onWindow: (window) => this.zoom(window), onCursor: (index) => this.showValues(index) });
    this.tools = h("div", { class: "row" });
    this.chooser = new Chooser("Id", (id) => this.choose(id), (way) => this.neighbour(way));
    this.said = h("span", { class: "said" });
    this.key = h("div");
    this.under = h("div", { class: "legend mono" });
    this.map = h("section", { class: "picture" },
      h("div", { class: "row" }, h("h2", {}, "Embeddings"), this.said,
        h("span", { class: "push group" },
          button("All", () => this.plane.onView("all"), { title: "Show all (double click)" }),
          button("PNG", () => this.plane.png(`Embeddings of ${this.of}`, this.key), { title: "Save the picture" }),
          button("CSV", () => this.download("csv"), { title: "Save the places of these embeddings" }),
          button("Parquet", () => this.download("parquet"), { title: "Save the places of these embeddings" }))),
      this.tools, this.key, this.plane.element, this.under);
    this.nothing = h("p", { class: "empty", hidden: true }, "Nothing was stored with an embedding yet.");
    this.detail = h("div");
    this.recalled = h("div");
    this.recall = h("section", { class: "card", hidden: true });
    this.names = h("div", { class: "row" });
    this.around = h("div");
    this.reached = h("span", { class: "said" });
    this.deep = h("div", { class: "row", hidden: true });
    this.search = h("input", { type: "search", placeholder: "Find a concept", "aria-label": "Find a concept", input: () => this.findSoon() });
    this.concepts = h("section", { class: "card", hidden: true }, h("header", {}, h("h2", {}, "Concepts")), h("div", { class: "row filter" }, this.search), this.names, this.deep, this.around);
    this.legend = h("div", { class: "legend" });
    this.drawn = h("span", { class: "said" });
    this.list = h("div", { class: "row" });
    this.timeline = h("section", { class: "picture", hidden: true },
      h("div", { class: "row" }, h("h2", {}, "Scores by context"), this.drawn,
        h("span", { class: "push group" }, button("All", () => this.zoom("all"), { title: "Show all (double click)" }), button("PNG", () => this.chart.png("Scores by context")))),
      this.list, this.chart.element, this.legend);
    this.code = h("pre");
    /** What is read again while the file is written, each in its own time. */
    this.paces = [
      new Pace(this.map, () => this.loadMap()),
      new Pace(this.recall, async () => (this.chosen === null ? undefined : this.loadChosen())),
      new Pace(this.timeline, () => this.loadContexts()),
      new Pace(this.concepts, () => this.loadConcepts().then(() => this.loadGraph())),
    ];
    this.recolor = () => this.draw();
    addEventListener("theme", this.recolor);
  }

  /** @param {URLSearchParams} query */
  async begin(query) {
    const counts = this.context.overview.file.memory;
    this.of = query.get("of") === "concepts" || (counts.episodes === 0 && counts.concepts > 0) ? "concepts" : "episodes";
    this.most = [500, 2000, 10_000].find((n) => String(n) === query.get("n")) ?? 2000;
    this.by = query.get("by") === "context" ? "context" : "score";
    this.chosen = query.get("id");
    const [x, y, span] = (query.get("view") ?? "").split(",").map(parseFloat);
    if (span > 0 && Number.isFinite(x) && Number.isFinite(y)) this.view = { x, y, span };
    const weights = (query.get("w") ?? "").split(",").map(parseFloat);
    if (weights.length === 3 && weights.every(Number.isFinite)) WEIGHTS.forEach((name, i) => (this.weights[name] = weights[i]));
    this.halfLife = Object.keys(HALF_LIVES).map(Number).find((s) => String(s) === query.get("h")) ?? this.halfLife;
    this.concept = query.get("concept");
    this.depth = [1, 2, 3].find((n) => String(n) === query.get("depth")) ?? 1;
    this.asked = windowOf(query.get("zoom"));
    if (query.has("s")) this.selected = query.getAll("s").slice(0, MOST);
    put(this.host, this.nothing, this.map, h("div", { class: "cards memory" }, this.detail, this.recall), this.timeline, this.concepts,
      h("details", { class: "code" }, h("summary", {}, "Show me the code"), this.code));
    this.chooser.show(this.chosen);
    this.showTools();
    this.showRecall();
    put(this.deep, this.select("Depth", { 1: "1", 2: "2", 3: "3" }, String(this.depth), (value) => {
      this.depth = Number(value);
      this.state();
      this.loadGraph().catch(report);
    }), this.reached);
    this.showCode();
    await Promise.all([this.loadMap(), this.loadContexts(), this.loadConcepts()]);
    await Promise.all([this.loadChosen().catch(report), this.loadGraph().catch(report)]);
  }

  close() {
    this.asking.abort();
    for (const pace of this.paces) pace.close();
    for (const timer of [this.stating, this.finding, this.zooming]) clearTimeout(timer);
    removeEventListener("theme", this.recolor);
    this.plane.close();
    this.chart.close();
  }

  async refresh() {
    // Counts that are the same do not say that nothing changed: accesses and scores may have.
    for (const pace of this.paces) pace.ask();
  }

  stateSoon() {
    clearTimeout(this.stating);
    this.stating = setTimeout(() => this.state(), PAUSE);
  }

  state() {
    /** @type {[string, string][]} */
    const parameters = [["of", this.of]];
    if (this.most !== 2000) parameters.push(["n", String(this.most)]);
    if (this.by !== "score") parameters.push(["by", this.by]);
    if (this.chosen !== null) parameters.push(["id", this.chosen]);
    if (this.view) parameters.push(["view", [this.view.x, this.view.y, this.view.span].map((x) => Number(x.toPrecision(9))).join(",")]);
    if (WEIGHTS.some((name) => this.weights[name] !== 1)) parameters.push(["w", WEIGHTS.map((name) => this.weights[name]).join(",")]);
    if (this.halfLife !== 86_400) parameters.push(["h", String(this.halfLife)]);
    if (this.concept !== null) parameters.push(["concept", this.concept]);
    if (this.depth !== 1) parameters.push(["depth", String(this.depth)]);
    for (const name of this.selected ?? []) parameters.push(["s", name]);
    if (this.asked) parameters.push(["zoom", windowText(this.asked)]);
    this.context.setAddress(parameters);
  }

  /**
   * A choice of a few.
   *
   * @param {string} label
   * @param {Record<string, string>} options
   * @param {string} now
   * @param {(value: string) => void} choose
   */
  select(label, options, now, choose) {
    const made = h("select", { "aria-label": label, change: () => choose(made.value) }, ...Object.entries(options).map(([value, text]) => h("option", { value, selected: value === now }, text)));
    return h("label", {}, `${label} `, made);
  }

  /** The one before or behind the chosen one, in the order of the map. @param {number} way */
  neighbour(way) {
    const { ids } = this.mapped ?? { ids: [] };
    if (ids.length === 0) return;
    const at = this.chosen === null ? -1 : Array.from(ids, String).indexOf(this.chosen);
    this.choose(String(ids[at < 0 ? (way > 0 ? 0 : ids.length - 1) : Math.min(ids.length - 1, Math.max(0, at + way))]));
  }

  showTools() {
    /** @type {Record<string, string>} */
    const byContext = this.of === "episodes" ? { score: "importance (score)", context: "context" } : { score: "accesses" };
    put(this.tools,
      this.chooser.element,
      this.select("Of", { episodes: "episodes", concepts: "concepts" }, this.of, (value) => {
        Object.assign(this, { of: value, chosen: null, view: null, scale: null, by: "score" });
        this.chooser.show(null);
        this.showTools();
        this.state();
        this.loadMap().then(() => this.loadChosen()).catch(report);
      }),
      this.select("The most recent", { 500: "500", 2000: "2,000", 10_000: "10,000" }, String(this.most), (value) => {
        this.most = Number(value);
        this.view = null;
        this.state();
        this.loadMap().catch(report);
      }),
      this.select("Coloured by", byContext, this.by, (value) => {
        this.by = value === "context" ? "context" : "score";
        this.scale = null;
        this.state();
        this.draw();
      }));
  }

  async loadMap() {
    delete this.plane.element.dataset.ready;
    const { about, arrow } = await arrowTable("memory/map", { of: this.of, most: this.most }, this.asking.signal);
    const column = (/** @type {number} */ i) => ({ vector: arrow.getChildAt(i), length: about.used, hash: "" });
    const floats = (/** @type {number} */ i) => numbers(column(i))?.values ?? new Float64Array(0);
    this.mapped = {
      about,
      ids: about.used > 0 ? integers(column(0)) : new BigInt64Array(0),
      scores: floats(3),
      labels: Array.from({ length: about.used }, (_, i) => String(cell(column(4), i))),
      times: floats(5),
    };
    this.nothing.hidden = about.all > 0 || this.of === "concepts";
    this.map.hidden = about.all === 0 && this.of === "episodes" && this.context.overview.file.memory.concepts === 0;
    this.plane.setGeometry(pointsOf(floats(1), floats(2)));
    this.draw();
  }

  draw() {
    const { mapped } = this;
    if (!mapped) return;
    const { about, ids, labels, scores } = mapped;
    const shares = new Float32Array(ids.length);
    /** @type {Scale} */
    let scale;
    let note = "";
    if (this.by === "context" && this.of === "episodes") {
      /** @type {Map<unknown, number>} */
      const counts = new Map();
      for (const label of labels) counts.set(label, (counts.get(label) ?? 0) + 1);
      scale = categoryScale(counts, String, this.scale);
      labels.forEach((label, i) => (shares[i] = /** @type {number} */ (placeOf(scale, /** @type {any} */ (label), false))));
      if (scale.names.includes("others")) note = "the most frequent contexts have a colour each";
    } else {
      let [min, max] = [Infinity, -Infinity];
      for (const score of scores) if (Number.isFinite(score)) [min, max] = [Math.min(min, score), Math.max(max, score)];
      scale = valueScale(...(/** @type {[number, number]} */ (min > max ? [0, 0] : [min, max])));
      scores.forEach((score, i) => (shares[i] = placeOf(scale, score, false)));
    }
    this.scale = scale;
    this.plane.setColors(shares, colors(scale));
    const row = this.chosen === null || !/^-?\d+$/.test(this.chosen) ? -1 : ids.indexOf(BigInt(this.chosen));
    this.plane.chosen = row < 0 ? null : row;
    this.plane.paint(this.view ?? this.plane.all());
    const label = this.of === "concepts" ? "accesses" : this.by === "context" ? "context" : "score";
    put(this.key, legend(scale, { label, undefined: shares.filter((share) => share < 0).length, note }));
    const part = about.shares.map((/** @type {number} */ share) => `${(share * 100).toFixed(0)} %`).join(" and ");
    this.said.textContent = `${about.said}; x and y hold ${part} of the variance of ${about.dimension} dimensions`;
    this.plane.element.dataset.ready = "";
  }

  /** @param {number | null} row */
  hover(row) {
    if (row === null || !this.mapped) return put(this.under);
    const { ids, labels, scores, times } = this.mapped;
    put(this.under, h("span", {}, h("span", { class: "soft" }, "id"), h("b", {}, String(ids[row]))),
      h("span", {}, labels[row]), h("span", {}, h("span", { class: "soft" }, this.of === "episodes" ? "score" : "accesses"), h("b", {}, number(scores[row]))),
      h("span", { class: "soft" }, `${time(times[row])} UTC`));
  }

  /** @param {string | null} id */
  choose(id) {
    this.chosen = id;
    this.chooser.show(id);
    this.state();
    this.draw();
    this.loadChosen().catch(report);
  }

  /** What is known of the chosen one, its neighbours, and the recall for it. */
  async loadChosen() {
    const { chosen, of } = this;
    this.recall.hidden = chosen === null;
    if (chosen === null) {
      this.known = "";
      put(this.detail, this.mapped && this.mapped.ids.length > 0 && h("section", { class: "card" }, h("p", { class: "soft" }, "Click a point, or type an id, for its fields, its neighbours and its recall.")));
      return;
    }
    let known;
    try {
      known = await get("memory/one", { of, id: chosen, k: 10 }, this.asking.signal);
    } catch (error) {
      if (!isGone(error)) throw error;
      if (chosen === this.chosen && of === this.of) this.showGone(whyGone(error, chosen));
      return;
    }
    if (chosen !== this.chosen || of !== this.of) return;
    const now = json([of, known]);
    if (now !== this.known) keepingFocus(this.detail, () => put(this.detail, this.one(known)));
    this.known = now;
    await this.loadRecall();
  }

  /** The chosen one is not there: the rest of the page does without. @param {string} sentence */
  showGone(sentence) {
    this.recall.hidden = true;
    this.known = "";
    put(this.detail, h("section", { class: "card" },
      h("header", {}, h("h2", { class: "path" }, `${this.of === "episodes" ? "Episode" : "Concept"} ${this.chosen}`), button("×", () => this.choose(null), { "aria-label": "Close" })),
      h("p", { class: "soft" }, sentence)));
  }

  /** @param {any} known */
  one(known) {
    const isEpisode = this.of === "episodes";
    /** @type {[string, import("./dom.js").Child][]} */
    const facts = isEpisode
      ? [["Time", `${time(known.timestamp)} UTC`], ["Score", number(known.score)], ["Context", known.context]]
      : [["Name", known.name], ["Created", `${time(known.created)} UTC`], ["Accesses", number(known.accesses)]];
    facts.push(["Dimensions", known.dimension === undefined ? "no embedding" : count(known.dimension)]);
    const rows = (known.neighbours ?? []).map((/** @type {any} */ hit) => {
      const other = hit.episode ?? hit.concept;
      return h("tr", {}, h("td", {}, button(`${isEpisode ? "episode " : ""}${isEpisode ? other.id : other.name}`, () => this.choose(String(other.id)), { class: "plain", "data-key": `neighbour ${other.id}` })),
        h("td", { class: "n" }, hit.likeness.toFixed(4)), h("td", { class: "n" }, isEpisode ? number(Number(Number(other.score).toPrecision(4))) : number(other.accesses)),
        isEpisode && h("td", { class: "key soft" }, other.context));
    });
    return h("section", { class: "card" },
      h("header", {}, h("h2", { class: "path" }, isEpisode ? `Episode ${known.id}` : `Concept ${known.id}`),
        h("span", {}, !isEpisode && button("Its relationships", () => this.chooseConcept(String(known.id))), button("×", () => this.choose(null), { "aria-label": "Close" }))),
      h("dl", { class: "facts" }, ...facts.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])),
      isEpisode && h("div", {}, h("h3", {}, "Experience"), h("pre", { class: "tall" }, typeof known.experience === "string" ? known.experience : json(known.experience))),
      known.metadata !== "{}" && h("div", {}, h("h3", {}, "Metadata"), h("pre", { class: "tall" }, known.metadata)),
      rows.length > 0 && h("div", {}, h("h3", {}, "Neighbours by cosine"), h("div", { class: "scroll" }, h("table", {},
        h("thead", {}, h("tr", {}, h("th", {}, ""), h("th", { class: "n" }, "Cosine"), h("th", { class: "n" }, isEpisode ? "Score" : "Accesses"), isEpisode && h("th", {}, "Context"))), h("tbody", {}, ...rows)))));
  }

  showRecall() {
    const sliders = WEIGHTS.map((name) => {
      const value = h("output", { class: "n" }, this.weights[name].toFixed(1));
      const slider = h("input", { type: "range", min: 0, max: 5, step: 0.1, value: this.weights[name], "aria-label": `Weight of ${name}`, input: () => {
        this.weights[name] = Number(slider.value);
        value.textContent = this.weights[name].toFixed(1);
        this.stateSoon();
        this.recallSoon();
      } });
      return h("label", { class: "weight" }, h("span", {}, name), slider, value);
    });
    put(this.recall, h("header", {}, h("h2", {}, "Recall for the selected item")),
      h("div", { class: "weights" }, ...sliders, this.select("Half-life of recency", HALF_LIVES, String(this.halfLife), (value) => {
        this.halfLife = Number(value);
        this.state();
        this.recallSoon();
      })),
      this.recalled);
  }

  /** One query at a time, the last of those asked for meanwhile after it. */
  recallSoon() {
    this.isWanted = true;
    this.running ??= (async () => {
      while (this.isWanted) {
        this.isWanted = false;
        await this.loadRecall();
      }
    })().catch(report).finally(() => (this.running = null));
  }

  async loadRecall() {
    const { chosen, of } = this;
    if (chosen === null) return;
    delete this.recalled.dataset.ready;
    let answer;
    try {
      answer = await get("memory/recall", { of, id: chosen, k: 12, half_life: this.halfLife, ...this.weights }, this.asking.signal);
    } catch (error) {
      if (!isGone(error)) throw error;
      if (chosen === this.chosen && of === this.of) put(this.recalled, h("p", { class: "soft" }, error.message));
      return;
    }
    const { recalled, now } = answer;
    if (chosen !== this.chosen || of !== this.of) return;
    const rows = recalled.map((/** @type {any} */ one) => h("tr", {},
      h("td", {}, of === "episodes" ? button(`episode ${one.episode.id}`, () => this.choose(String(one.episode.id)), { class: "plain", "data-key": `recalled ${one.episode.id}` }) : `episode ${one.episode.id}`),
      h("td", { class: "n" }, h("b", {}, one.score.toFixed(3))), ...WEIGHTS.map((name) => h("td", { class: "n" }, Number(one[name]).toFixed(3))), h("td", { class: "key soft" }, one.episode.context)));
    keepingFocus(this.recalled, () => put(this.recalled, rows.length > 0
      ? h("div", { class: "scroll" }, h("table", {},
        h("thead", {}, h("tr", {}, h("th", {}, ""), ...["Score", "Recency", "Importance", "Relevance"].map((name) => h("th", { class: "n" }, name)), h("th", {}, "Context"))), h("tbody", {}, ...rows)))
      : h("p", { class: "soft" }, "No episode has an embedding of these dimensions."),
    h("p", { class: "soft small" }, `The score is the sum of the terms, each times its weight; age is counted from the last episode, ${time(now)} UTC.`)));
    this.recalled.dataset.ready = "";
  }

  findSoon() {
    clearTimeout(this.finding);
    this.finding = setTimeout(() => this.loadConcepts().catch(report), PAUSE);
  }

  async loadConcepts() {
    const query = this.search.value;
    const { concepts, most } = await get("memory/concepts", { query }, this.asking.signal);
    if (query !== this.search.value) return; // what was typed since is asked for
    this.concepts.hidden = this.context.overview.file.memory.concepts === 0;
    const shown = concepts.slice(0, 24);
    const more = concepts.length - shown.length;
    keepingFocus(this.names, () => put(this.names, ...shown.map((/** @type {any} */ of) => button(of.name, () => this.chooseConcept(String(of.id)), { "aria-pressed": String(String(of.id) === this.concept), "data-key": String(of.id) })),
      more > 0 && h("span", { class: "soft" }, `and ${concepts.length >= most ? `${count(more)} or more` : count(more)}: type a part of the name`),
      concepts.length === 0 && h("span", { class: "soft" }, "No concept has this in its name.")));
  }

  /** @param {string} id */
  chooseConcept(id) {
    this.concept = id;
    this.state();
    this.loadConcepts().catch(report);
    this.loadGraph().catch(report);
  }

  async loadGraph() {
    if (this.concept === null) {
      this.deep.hidden = true;
      put(this.around, h("p", { class: "soft" }, "Choose a concept: its relationships, and theirs."));
      return;
    }
    const asked = this.concept;
    let found;
    try {
      found = await get("memory/graph", { id: asked, depth: this.depth }, this.asking.signal);
    } catch (error) {
      if (!isGone(error)) throw error;
      if (asked !== this.concept) return;
      this.found = "";
      this.deep.hidden = true;
      put(this.around, h("p", { class: "soft" }, whyGone(error, asked)));
      return;
    }
    const now = json(found);
    if (asked !== this.concept || (now === this.found && !this.deep.hidden)) return;
    this.found = now;
    this.deep.hidden = false;
    this.reached.textContent = found.said;
    keepingFocus(this.around, () => put(this.around, graph(found.nodes, found.edges, (id) => this.chooseConcept(String(id)))));
  }

  async loadContexts() {
    const { contexts, all } = await get("memory/contexts", {}, this.asking.signal);
    this.contexts = contexts;
    this.timeline.hidden = contexts.length === 0;
    if (contexts.length === 0) return;
    const shown = contexts.slice(0, 40);
    /** @type {string[]} */
    const selected = this.selected ?? contexts.slice(0, 4).map((/** @type {Context_} */ of) => of.context);
    this.selected = selected;
    keepingFocus(this.list, () => put(this.list, ...shown.map((/** @type {Context_} */ { context, episodes }) => {
      const at = selected.indexOf(context);
      return button("", () => this.toggle(context), { "aria-pressed": String(at >= 0), "aria-label": context, title: plural(episodes, "episode"), disabled: at < 0 && selected.length >= MOST, "data-key": context });
    }), all > shown.length && h("span", { class: "soft" }, `and ${count(all - shown.length)} contexts with fewer episodes`)));
    shown.forEach((/** @type {Context_} */ { context }, /** @type {number} */ i) => {
      const at = selected.indexOf(context);
      put(this.list.children[i], at >= 0 && h("i", { class: `swatch c${at + 1}` }), ` ${context}`);
    });
    await this.loadScores();
  }

  /** @param {string} context */
  toggle(context) {
    /** @type {string[]} */
    const selected = this.selected ?? [];
    const at = selected.indexOf(context);
    if (at >= 0) selected.splice(at, 1);
    else selected.push(context);
    this.selected = selected;
    this.state();
    this.loadContexts().catch(report);
  }

  async loadScores() {
    await this.chart.fit((width) => this.askScores(width));
  }

  /** @param {number} width */
  async askScores(width) {
    delete this.chart.element.dataset.ready;
    const bounds = this.asked ?? {};
    const known = (this.selected ?? []).filter((name) => this.contexts.some(({ context }) => context === name));
    this.curves = await Promise.all(known.map(async (context) => {
      const { about, columns } = await table("memory/scores", { context, ...bounds, width }, this.asking.signal);
      return { context, said: about.said, xs: columns.time.map(Number), ys: columns.score.map((y) => (y === null ? null : Number(y))) };
    }));
    this.drawScores();
  }

  /** @param {Window | "all"} window */
  zoom(window) {
    this.asked = window === "all" ? null : window;
    this.stateSoon();
    this.drawScores();
    clearTimeout(this.zooming);
    this.zooming = setTimeout(() => this.loadScores().catch(report), PAUSE);
  }

  drawScores() {
    const curves = this.curves.filter(({ xs }) => xs.length > 0);
    this.drawn.textContent = [...new Set(curves.map(({ said }) => said))].join("; ");
    if (curves.length === 0) {
      put(this.legend, h("span", { class: "soft" }, "Choose a context."));
      return;
    }
    const of = this.contexts.filter(({ context }) => curves.some((curve) => curve.context === context));
    const [from, until] = [Math.min(...of.map(({ first }) => first)), Math.max(...of.map(({ last }) => last))];
    this.chart.draw({
      kind: "time",
      window: this.asked ?? (until > from ? { from, until } : { from: from - 1, until: until + 1 }),
      data: /** @type {any} */ (uPlot.join(curves.map(({ xs, ys }) => [distinct(xs), ys]), curves.map(() => [1, 2]))),
      lines: curves.map(({ context }) => ({ label: context, color: colorOf((this.selected ?? []).indexOf(context)), scale: "y" })),
      scales: { y: { label: "score" } },
    });
    this.showValues(null);
  }

  /** @param {number | null} index */
  showValues(index) {
    const data = this.chart.plot?.data;
    const entry = (/** @type {{context: string}} */ { context }, /** @type {number} */ i) => {
      const y = index === null ? undefined : data?.[i + 1][index];
      return h("span", {}, h("i", { class: `swatch c${(this.selected ?? []).indexOf(context) + 1}` }), context, h("b", {}, y === undefined || y === null ? "" : number(y)));
    };
    const at = index === null ? "" : `${time(data?.[0][index] ?? 0)} UTC`;
    put(this.legend, ...this.curves.filter(({ xs }) => xs.length > 0).map(entry), h("span", { class: "soft" }, at));
  }

  /** @param {"csv" | "parquet"} format */
  download(format) {
    download("memory/map", { of: this.of, most: this.most, format }).catch(report);
  }

  showCode() {
    const path = String(this.context.overview.path);
    const sql = "SELECT id, timestamp, context_hash, performance_score FROM episodes ORDER BY id DESC LIMIT 100";
    this.code.textContent = [
      "-- SQL", `${sql};`, "",
      "# Python: `vector` is an embedding to recall episodes for", `import siltstone\ndb = siltstone.open(${JSON.stringify(path)}, read_only=True)\n# db.memory.recall(vector, k=12, weights={"recency": 1.0, "importance": 1.0, "relevance": 1.0})\ndb.memory.stats()`, "",
      "# Shell", `silt query '${path.replaceAll("'", "'\\''")}' '${sql}'`,
    ].join("\n");
  }
}

/** Times of which each is later than the one before: uPlot takes each once. @param {number[]} xs */
function distinct(xs) {
  const out = xs.slice();
  for (let i = 1; i < out.length; i += 1) {
    if (out[i] <= out[i - 1]) out[i] = out[i - 1] + Math.max(Math.abs(out[i - 1]) * 2 ** -52, Number.MIN_VALUE);
  }
  return out;
}

/** @param {unknown} error */
function report(error) {
  dispatchEvent(new CustomEvent("trouble", { detail: error }));
}
