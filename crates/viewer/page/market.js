// Ticks: candles with their volume, and bid and ask where single ticks can be told apart.

import { download, table } from "./api.js";
import { Chart, color } from "./chart.js";
import { begun, button, h, put } from "./dom.js";
import { duration, instant, number, plural, timeOf } from "./format.js";
import { Odd } from "./odd.js";
import { Replay } from "./replay.js";
import { integer, moved, zoomed } from "./window.js";

/**
 * @typedef {import("./window.js").Window} Window
 * @typedef {"auto" | "bars" | "ticks"} Mode
 */

/** The most symbols under each other. */
const MOST = 6;
/** Ticks a pixel up to which single ticks are shown instead of bars. */
const FEW = 0.5;
const PAUSE = 60;
/** Share of the height that the volume takes. */
const VOLUME = 0.2;

/** @type {import("./app.js").Page} */
export async function market(host, query, context) {
  return begun(new MarketPage(host, context), query);
}

class MarketPage {
  /** @param {HTMLElement} host @param {import("./app.js").Context} context */
  constructor(host, context) {
    this.host = host;
    this.context = context;
    /** @type {SymbolPicture[]} */
    this.pictures = [];
    /** @type {Window | null} */
    this.asked = null;
    /** @type {Mode} */
    this.mode = "auto";
    this.price = "mid";
    /** Whether gaps and odd ticks are marked. */
    this.marks = true;
    this.replay = new Replay({
      window: () => this.window,
      draw: () => this.pictures.forEach((picture) => picture.draw()),
      next: () => this.next(),
    });
    this.asking = new AbortController();
    this.timer = 0;
    this.symbols = h("div", { class: "row" });
    /** @type {Map<string, HTMLButtonElement>} */
    this.symbolButtons = new Map();
    /** Says on each button of a choice whether it is the chosen one. @type {(() => void)[]} */
    this.pressed = [];
    this.tools = this.makeTools();
    this.stack = h("div");
  }

  /** @param {URLSearchParams} query */
  async begin(query) {
    const known = this.context.overview.ticks.symbols;
    const asked = query.getAll("s").filter((symbol) => known.includes(symbol)).slice(0, MOST);
    const [from, until] = ["from", "until"].map((name) => parseFloat(query.get(name) ?? ""));
    if (until > from) this.asked = { from, until };
    const mode = query.get("show");
    if (mode === "bars" || mode === "ticks") this.mode = mode;
    this.marks = query.get("marks") !== "off";
    this.price = ["bid", "ask"].find((price) => price === query.get("price")) ?? "mid";
    put(this.host, h("div", { class: "rows" }, this.symbols, this.tools), this.stack);
    this.tools.hidden = known.length === 0;
    if (known.length === 0) {
      put(this.stack, h("p", { class: "empty" }, "The folder has no ticks yet."));
      return;
    }
    for (const symbol of asked.length > 0 ? asked : [known[0]]) this.add(symbol);
    this.showTools();
    // The width is known once the charts are in the page.
    await this.load();
  }

  close() {
    this.asking.abort();
    clearTimeout(this.timer);
    this.replay.close();
    for (const picture of this.pictures) picture.chart.close();
  }

  async refresh() {
    if (this.pictures.length === 0) return this.begin(new URLSearchParams(location.search));
    this.showTools();
    await this.load();
  }

  /** @param {string} symbol */
  add(symbol) {
    const picture = new SymbolPicture(symbol, this);
    this.pictures.push(picture);
    this.stack.append(picture.element);
  }

  /** @param {string} symbol */
  toggle(symbol) {
    const at = this.pictures.findIndex((picture) => picture.symbol === symbol);
    if (at < 0) {
      this.add(symbol);
    } else if (this.pictures.length > 1) {
      const [gone] = this.pictures.splice(at, 1);
      gone.chart.close();
      gone.element.remove();
    }
    this.change();
  }

  /** Something was chosen: the address, the buttons and the pictures follow. */
  change() {
    this.state();
    this.showTools();
    this.load().catch(report);
  }

  state() {
    /** @type {[string, string][]} */
    const parameters = this.pictures.map(({ symbol }) => ["s", symbol]);
    if (this.asked) parameters.push(["from", String(this.asked.from)], ["until", String(this.asked.until)]);
    if (this.mode !== "auto") parameters.push(["show", this.mode]);
    if (this.price !== "mid") parameters.push(["price", this.price]);
    if (!this.marks) parameters.push(["marks", "off"]);
    this.context.setAddress(parameters);
  }

  /** The buttons stay, as one of them, or the list of speeds, may be in use: what is chosen is said on them. */
  showTools() {
    const shown = this.pictures.map(({ symbol }) => symbol);
    /** @type {string[]} */
    const all = this.context.overview.ticks.symbols;
    for (const [symbol, made] of this.symbolButtons) {
      if (all.includes(symbol)) continue;
      made.remove();
      this.symbolButtons.delete(symbol);
    }
    all.forEach((symbol, i) => {
      const made = this.symbolButtons.get(symbol) ?? button(symbol, () => this.toggle(symbol));
      this.symbolButtons.set(symbol, made);
      if (this.symbols.children[i] !== made) this.symbols.insertBefore(made, this.symbols.children[i] ?? null);
      made.setAttribute("aria-pressed", String(shown.includes(symbol)));
      made.disabled = shown.length >= MOST && !shown.includes(symbol);
    });
    for (const say of this.pressed) say();
  }

  /** A button that says whether something is chosen. @param {string} text @param {() => boolean} is @param {() => void} set */
  choice(text, is, set) {
    const made = button(text, () => {
      set();
      this.change();
    });
    this.pressed.push(() => made.setAttribute("aria-pressed", String(is())));
    return made;
  }

  makeTools() {
    const go = (/** @type {(window: Window) => Window} */ to) => () => this.window && this.move(to(this.window));
    const choices = (/** @type {string} */ name, /** @type {string[][]} */ of, /** @type {() => string} */ now, /** @type {(value: string) => void} */ set) =>
      h("span", { class: "group", role: "group", "aria-label": name }, ...of.map(([value, text]) => this.choice(text, () => value === now(), () => set(value))));
    return h("div", { class: "row" },
      h("span", { class: "group" },
        button("◀", go((window) => moved(window, -0.5)), { "aria-label": "Back" }),
        button("▶", go((window) => moved(window, 0.5)), { "aria-label": "On" }),
        button("+", go((window) => zoomed(window, 0.5)), { "aria-label": "Zoom in" }),
        button("−", go((window) => zoomed(window, 2)), { "aria-label": "Zoom out" }),
        button("All", () => this.move("all"), { title: "Show all (double click)" })),
      choices("Shown as", [["auto", "Auto"], ["bars", "Bars"], ["ticks", "Ticks"]], () => this.mode, (value) => {
        this.mode = /** @type {Mode} */ (value);
      }),
      choices("Price of bars", [["mid", "Mid"], ["bid", "Bid"], ["ask", "Ask"]], () => this.price, (value) => {
        this.price = value;
      }),
      this.choice("Gaps and odd ticks", () => this.marks, () => {
        this.marks = !this.marks;
      }),
      this.replay.element);
  }

  /** All ticks of the shown symbols. @returns {Window | null} */
  extent() {
    const known = this.pictures.map(({ about }) => about).filter((about) => about);
    if (known.length === 0) return null;
    const from = Math.min(...known.map((about) => Number(about.first) / 1e9));
    const until = Math.max(...known.map((about) => Number(about.last) / 1e9));
    return until > from ? { from, until } : { from: from - 1, until: until + 1 };
  }

  get window() {
    return this.asked ?? this.extent();
  }

  /** The window behind this one, for a replay; whether there is one. */
  next() {
    const [window, all] = [this.window, this.extent()];
    if (!window || !all || window.until >= all.until) return false;
    this.move(moved(window, 1));
    return true;
  }

  /** @param {Window | "all"} window */
  move(window) {
    this.asked = window === "all" ? null : window;
    this.state();
    for (const picture of this.pictures) picture.draw();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.load().catch(report), PAUSE);
  }

  async load() {
    this.asking.abort();
    this.asking = new AbortController();
    const { signal } = this.asking;
    const ends = () => (this.asked || this.pictures.length < 2 ? "" : JSON.stringify(this.pictures[0].bounds()));
    const load = () => Promise.all(this.pictures.map((picture) => picture.load(signal)));
    const before = ends();
    await load();
    // All the pictures say where each begins and ends.
    if (ends() !== before) await load();
    // What is odd comes after the picture that it belongs to.
    await Promise.all(this.pictures.map((picture) => picture.mark(signal)));
  }
}

/** The picture of one symbol. */
class SymbolPicture {
  /** @param {string} symbol @param {MarketPage} page */
  constructor(symbol, page) {
    this.symbol = symbol;
    this.page = page;
    /** @type {any} */
    this.about = null;
    /** @type {Record<string, (number | null)[]>} */
    this.columns = {};
    this.isBars = true;
    this.odd = new Odd();
    this.oddly = h("span", { class: "said" });
    this.chart = new Chart({ height: 340, sync: "market", onWindow: (window) => page.move(window), onCursor: (index) => this.showValues(index) });
    this.said = h("span", { class: "said" });
    this.values = h("div", { class: "legend mono" });
    this.code = h("pre");
    this.element = h("section", { class: "picture" },
      h("div", { class: "row" }, h("h2", {}, symbol), this.said,
        h("span", { class: "push group" },
          button("PNG", () => this.chart.png(symbol), { title: "Save the picture" }),
          button("CSV", () => this.download("csv"), { title: "Save every tick of this window" }),
          button("Parquet", () => this.download("parquet"), { title: "Save every tick of this window" }))),
      this.chart.element, this.values, this.oddly, h("details", { class: "code" }, h("summary", {}, "Show me the code"), this.code));
  }

  /** The window in ns, as the server takes it. */
  bounds() {
    const { asked, pictures } = this.page;
    if (asked) return { from: String(integer(asked.from * 1e9, false)), until: String(integer(asked.until * 1e9 + 1, true)) };
    // As seconds the ends would be rounded, and the first or the last tick be lost.
    const known = pictures.map(({ about }) => about).filter((about) => about);
    if (pictures.length < 2 || known.length === 0) return {};
    const from = known.map((about) => BigInt(about.first)).reduce((a, b) => (a < b ? a : b));
    const last = known.map((about) => BigInt(about.last)).reduce((a, b) => (a > b ? a : b));
    return { from: String(from), until: String(last + 1n) };
  }

  /** @param {AbortSignal} signal */
  async load(signal) {
    await this.chart.fit(async (width) => {
      await this.ask(width, signal);
      this.draw();
    });
  }

  /** @param {number} width @param {AbortSignal} signal */
  async ask(width, signal) {
    const { symbol, page, chart } = this;
    const query = { symbol, width, price: page.price, edges: true, ...this.bounds() };
    delete chart.element.dataset.ready;
    let answer = page.mode === "ticks" ? null : await table("ticks/bars", query, signal);
    if (!answer || (page.mode === "auto" && Number(answer.about.points) < width * FEW)) {
      answer = await table("ticks/quotes", query, signal);
    }
    this.about = answer.about;
    this.isBars = "open" in answer.columns;
    this.columns = Object.fromEntries(Object.entries(answer.columns).map(([name, values]) => [name, name === "time" ? values.map((ns) => Number(ns) / 1e9) : values.map(Number)]));
    this.times = answer.columns.time;
    this.said.textContent = this.isBars
      ? `bars of ${duration(Number(this.about.interval_ns) / 1e9)} from ${plural(this.about.points, "tick")}, ${this.about.said}`
      : `${plural(this.about.points, "tick")}, ${this.about.said}`;
    this.showCode();
  }

  /** Asks for what is odd in the window. @param {AbortSignal} signal */
  async mark(signal) {
    this.odd = new Odd();
    delete this.element.dataset.marked;
    if (this.page.marks) await this.odd.load({ symbol: this.symbol, width: this.chart.width, ...this.bounds() }, Number(this.about.points), signal);
    this.oddly.textContent = this.odd.said;
    this.draw();
    this.element.dataset.marked = "";
  }

  /** What a replay has not come to is not there yet. @param {Record<string, (number | null)[]>} columns @param {number} after seconds from a time to when it is known */
  upTo(columns, after) {
    const { now } = this.page.replay;
    if (now === null) return columns;
    const shown = columns.time.findIndex((at) => Number(at) + after > now);
    if (shown < 0) return columns;
    return Object.fromEntries(Object.entries(columns).map(([name, values]) => [name, values.slice(0, shown)]));
  }

  get now() {
    return this.page.replay.now ?? Infinity;
  }

  draw() {
    const { window } = this.page;
    if (!window || !this.about) return;
    if (this.isBars) this.drawBars(window);
    else this.drawTicks(window);
    this.showValues(null);
  }

  /** @param {Window} window */
  drawBars(window) {
    const length = Number(this.about.interval_ns) / 1e9;
    const { time: starts, open, high, low, close, volume } = this.upTo(this.columns, length);
    const prices = this.range([this.columns.low, this.columns.high]);
    const middles = starts.map((start) => Number(start) + length / 2);
    const hidden = (/** @type {string} */ label) => ({ label, color: "--ink", scale: "price", hidden: true });
    this.chart.draw({
      kind: "time",
      window,
      data: [middles, open, high, low, close, volume],
      lines: [hidden("open"), hidden("high"), hidden("low"), hidden("close"), { label: "volume", color: "--soft", scale: "volume", hidden: true }],
      scales: { price: { label: "", range: (least, greatest) => priced(...(prices ?? [least, greatest])) }, volume: { label: "", hidden: true, range: (_, most) => [0, most / VOLUME] } },
      under: (u) => {
        this.odd.under(u, this.now);
        bars(u, middles, volume, length);
      },
      paint: (u) => {
        candles(u, middles, { open, high, low, close }, length);
        this.odd.over(u, this.now);
      },
    });
  }

  /** @param {Window} window */
  drawTicks(window) {
    const { time: times, bid, ask } = this.upTo(this.columns, 0);
    const prices = this.range([this.columns.bid, this.columns.ask]);
    const xs = times.map(Number);
    for (let i = 1; i < xs.length; i += 1) {
      if (xs[i] <= xs[i - 1]) xs[i] = xs[i - 1] + Math.abs(xs[i - 1]) * 2 ** -52;
    }
    this.chart.draw({
      kind: "time",
      window,
      data: [xs, bid, ask],
      lines: [
        { label: "bid", color: "--line-1", scale: "price", stepped: true },
        { label: "ask", color: "--line-2", scale: "price", stepped: true },
      ],
      scales: { price: prices ? { label: "", range: () => prices } : { label: "" } },
      under: (u) => this.odd.under(u, this.now),
      paint: (u) => this.odd.over(u, this.now),
    });
  }

  /** While a replay plays, the prices of the whole window: an axis that moves cannot be read. @param {(number | null)[][]} columns @returns {[number, number] | undefined} */
  range(columns) {
    if (this.page.replay.now === null) return undefined;
    let [least, greatest] = [Infinity, -Infinity];
    for (const price of columns.flat()) if (price !== null) [least, greatest] = [Math.min(least, price), Math.max(greatest, price)];
    return least < greatest ? [least, greatest] : undefined;
  }

  /** @param {number | null} index */
  showValues(index) {
    const { columns, times } = this;
    const value = (/** @type {string} */ name) => h("span", {}, h("span", { class: "soft" }, name), h("b", {}, index === null ? "" : number(columns[name]?.[index])));
    const at = index === null ? "" : `${timeOf(BigInt(times?.[index] ?? 0))} UTC`;
    const names = this.isBars ? ["open", "high", "low", "close", "volume"] : ["bid", "ask"];
    const spread = !this.isBars && index !== null ? Number(columns.ask[index]) - Number(columns.bid[index]) : null;
    put(this.values, ...names.map(value),
      !this.isBars && h("span", {}, h("span", { class: "soft" }, "spread"), h("b", {}, spread === null ? "" : number(Number(spread.toPrecision(6))))),
      h("span", { class: "soft" }, at), h("span", { class: "bad" }, this.oddAt(index)));
  }

  /** @param {number | null} index */
  oddAt(index) {
    const { plot } = this.chart;
    const x = index === null ? undefined : plot?.data[0][index];
    return plot && x !== undefined ? this.odd.at(plot, x) : "";
  }

  /** @param {"csv" | "parquet"} format */
  download(format) {
    download("ticks/quotes", { symbol: this.symbol, ...this.bounds(), format }).catch(report);
  }

  showCode() {
    const path = String(this.page.context.overview.path);
    const shell = (/** @type {string} */ value) => `'${value.replaceAll("'", "'\\''")}'`;
    const { from, until } = { from: this.about.from, until: this.about.until };
    const [begin, end] = [from, until].map((ns) => instant(BigInt(ns)));
    const seconds = this.isBars ? Number(this.about.interval_ns) / 1e9 : 60;
    this.code.textContent = [
      "-- SQL", `SELECT time_ns, bid, ask FROM ticks\nWHERE symbol = '${this.symbol.replaceAll("'", "''")}'\n  AND time_ns >= ${from} AND time_ns < ${until};`, "",
      "# Python", `import siltstone\ndb = siltstone.open(${JSON.stringify(path)}, read_only=True)\ndb.ticks.get_ticks_in_range(${JSON.stringify(this.symbol)}, ${from}, ${BigInt(until) - 1n})`, "",
      "# Shell", `silt ticks ohlc ${shell(path)} ${shell(this.symbol)} --interval ${seconds}s --price ${this.page.price} --from ${begin} --until ${end}`,
    ].join("\n");
  }
}

/** A little room above and below, and most below, where the volume is. @param {number} least @param {number} greatest @returns {[number, number]} */
function priced(least, greatest) {
  const span = greatest - least || Math.abs(greatest) * 1e-4 || 1;
  return [least - span * 0.28, greatest + span * 0.06];
}

/**
 * @param {import("./vendor/uPlot.esm.js")} u
 * @param {number[]} middles
 * @param {(number | null)[]} volume
 * @param {number} length
 */
function bars(u, middles, volume, length) {
  const { ctx } = u;
  const wide = widthOf(u, length);
  const ground = u.valToPos(0, "volume", true);
  ctx.save();
  clip(u);
  ctx.fillStyle = color("--line");
  middles.forEach((middle, i) => {
    const x = u.valToPos(middle, "x", true);
    const y = u.valToPos(Number(volume[i]), "volume", true);
    ctx.fillRect(x - wide / 2, y, wide, ground - y);
  });
  ctx.restore();
}

/**
 * Candles: blue and hollow where the price rose, orange and full where it fell.
 *
 * @param {import("./vendor/uPlot.esm.js")} u
 * @param {number[]} middles
 * @param {Record<string, (number | null)[]>} prices
 * @param {number} length
 */
function candles(u, middles, { open, high, low, close }, length) {
  const { ctx } = u;
  const wide = widthOf(u, length);
  const [up, down, back] = [color("--line-1"), color("--line-2"), color("--card")];
  const pen = Math.max(1, Math.round(devicePixelRatio));
  ctx.save();
  clip(u);
  ctx.lineWidth = pen;
  middles.forEach((middle, i) => {
    const x = Math.round(u.valToPos(middle, "x", true));
    const [o, h, l, c] = [open, high, low, close].map((of) => u.valToPos(Number(of[i]), "price", true));
    const rose = c <= o;
    ctx.strokeStyle = rose ? up : down;
    ctx.fillStyle = rose ? back : down;
    ctx.beginPath();
    ctx.moveTo(x, h);
    ctx.lineTo(x, l);
    ctx.stroke();
    const top = Math.min(o, c);
    const tall = Math.max(pen, Math.abs(o - c));
    ctx.fillRect(x - wide / 2, top, wide, tall);
    if (wide > 2 * pen) ctx.strokeRect(x - wide / 2, top, wide, tall);
  });
  ctx.restore();
}

/** Pixels of a bar. @param {import("./vendor/uPlot.esm.js")} u @param {number} length */
const widthOf = (u, length) => Math.max(1, (u.valToPos(length, "x", true) - u.valToPos(0, "x", true)) * 0.7);

/** @param {import("./vendor/uPlot.esm.js")} u */
function clip({ ctx, bbox }) {
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
}

/** @param {unknown} error */
function report(error) {
  dispatchEvent(new CustomEvent("trouble", { detail: error }));
}
