// The page: which part of it is shown, whether something was written, and what went wrong.

import { Refused, SILENT, get, listOfRuns, session } from "./api.js";
import { byId, h, put } from "./dom.js";
import { ago, size } from "./format.js";

/**
 * @typedef {object} Shown
 * @property {() => Promise<void>} refresh something was written
 * @property {() => void} [close]
 *
 * @typedef {object} Context
 * @property {any} overview what is in the file
 * @property {number[][]} growth times (ms) and sizes since the page was opened
 * @property {(parameters: [string, string][]) => void} setAddress the state, in the address
 * @property {Promise<any> | null} first what the page asked for while the overview was read
 *
 * @typedef {(host: HTMLElement, query: URLSearchParams, context: Context) => Promise<Shown>} Page
 */

/** How often it is asked whether something was written, in ms. */
const POLL = 1000;
/** How many times as long as reading the overview took, it is left as it is: it counts all that is in the file. */
const REST = 10;
/** Runs that are shown before the others have come: more than are in sight. */
const FIRST_RUNS = 200;
/** The most sizes that are kept; an even number. */
const MOST_SIZES = 2000;

/**
 * Each is loaded when it is shown, and its first query is asked meanwhile. The server has their scripts by these addresses too.
 *
 * @type {Record<string, {name: string, load: () => Promise<Page>, has: (overview: any) => boolean, first?: (query: URLSearchParams) => Promise<any> | null}>}
 */
const PAGES = {
  "/": { name: "Overview", load: async () => (await import("./overview.js")).overview, has: () => true },
  "/simulation": { name: "Simulation", load: async () => (await import("./simulation.js")).simulation, has: (of) => of.file?.datasets.length + of.file?.initial_datasets.length > 0 },
  "/series": { name: "Series", load: async () => (await import("./series.js")).series, has: (of) => of.file?.series.count > 0 },
  "/runs": { name: "Runs", load: async () => (await import("./runs.js")).runs, first: firstRuns, has: (of) => Object.keys(of.file?.experiments.simulations ?? {}).length > 0 },
  "/market": { name: "Market", load: async () => (await import("./market.js")).market, has: (of) => of.kind === "ticks" },
  "/memory": { name: "Memory", load: async () => (await import("./memory.js")).memory, has: (of) => of.file?.memory.schema_version > 0 && of.file.memory.episodes + of.file.memory.concepts > 0 },
  "/sql": { name: "SQL", load: async () => (await import("./sql.js")).sqlPage, has: () => true },
};

/** @type {Shown | null} */
let shown = null;
/** @type {Context} */
const context = { overview: null, growth: [], setAddress, first: null };
/** What the navigation was made for. */
let navigation = "";
/** Whether what is shown had data when it was begun. */
let hasData = true;
let version = "";
/** Whether what is shown may be older than the file, since a query failed. */
let isStale = false;
/** Whether something was written since the overview was read, and when it may be read again, by the clock of the page. */
let isOld = false;
let nextOverview = 0;
/** Counts the pages that were shown, so that one that comes late is dropped. */
let turn = 0;

/** The first runs of the list of an address; all of them where they are sorted. @param {URLSearchParams} query */
function firstRuns(query) {
  if (query.get("run") !== null) return null;
  const isSorted = query.get("by") !== null || query.get("order") !== null;
  return listOfRuns(query.get("where") ?? "", isSorted ? {} : { first: FIRST_RUNS });
}

const pageOf = () => PAGES[location.pathname] ?? PAGES["/"];

async function readOverview() {
  const begin = performance.now();
  isOld = false;
  context.overview = await get("overview");
  nextOverview = performance.now() + REST * (performance.now() - begin);
}

/** @param {[string, string][]} parameters */
function setAddress(parameters) {
  const query = new URLSearchParams(parameters).toString();
  history.replaceState(null, "", location.pathname + (query ? `?${query}` : ""));
}

/** Whether a query was given up for a newer one. @param {unknown} error */
const isAborted = (error) => error instanceof DOMException && error.name === "AbortError";

/** @param {unknown} error */
function trouble(error) {
  if (isAborted(error)) return;
  const needsToken = error instanceof Refused && error.status === 401;
  const sentence = needsToken
    ? "The data needs a token: open the address that `silt view` printed; in a notebook, run the cell again."
    : error instanceof Refused ? error.message : `The page failed: ${error instanceof Error ? error.message : error}`;
  const bar = byId("trouble");
  bar.textContent = sentence;
  bar.hidden = false;
  if (!(error instanceof Refused)) console.error(error);
}

function showNavigation() {
  const links = Object.entries(PAGES).filter(([, page]) => page.has(context.overview));
  const link = (/** @type {[string, {name: string}]} */ [path, page]) => h("a", { href: path, "aria-current": path === location.pathname && "page" }, page.name);
  const now = [location.pathname, ...links.map(([path]) => path)].join(" ");
  // Links that are the same stay: one of them may have the focus.
  if (now !== navigation) put(byId("pages"), ...links.map(link));
  navigation = now;
  const path = String(context.overview.path);
  const name = path.split(/[/\\]/).pop() || path;
  byId("file").textContent = name;
  byId("name").title = path;
  document.title = `${PAGES[location.pathname]?.name ?? "Siltstone"}: ${name}`;
}

async function show() {
  const own = ++turn;
  shown?.close?.();
  shown = null;
  const page = pageOf();
  const host = h("div");
  const query = new URLSearchParams(location.search);
  const loaded = page.load().catch((error) => {
    throw error instanceof TypeError ? new Refused(SILENT, 0) : error; // which a script that does not come is
  });
  context.first = page.first?.(query) ?? null;
  for (const asked of [loaded, context.first]) asked?.catch(() => {}); // whoever takes it hears of it
  try {
    await readOverview();
    if (own !== turn) return;
    showNavigation();
    put(byId("page"), host);
    hasData = page.has(context.overview);
    if (!hasData) {
      put(host, h("p", { class: "empty" }, `There is nothing for the page ${page.name} here yet.`));
      shown = { refresh: async () => {} };
      byId("trouble").hidden = true;
      document.documentElement.dataset.ready = location.pathname;
      return;
    }
    const now = await (await loaded)(host, query, context);
    if (own !== turn) {
      now.close?.();
      return;
    }
    shown = now;
    byId("trouble").hidden = true;
    document.documentElement.dataset.ready = location.pathname;
  } catch (error) {
    if (own !== turn) return;
    isStale = true;
    trouble(error);
  }
}

/** Goes to an address of the page. @param {string} href */
function go(href) {
  if (href === location.pathname + location.search) return;
  delete document.documentElement.dataset.ready;
  history.pushState(null, "", href);
  show();
}

function showLive(/** @type {string} */ state, /** @type {string} */ text) {
  const live = byId("live");
  live.dataset.state = state;
  live.textContent = text;
}

async function poll() {
  try {
    const seen = await get("changes");
    const before = version;
    version = seen.version;
    const last = context.growth[context.growth.length - 1];
    if (!last || last[1] !== seen.bytes) context.growth.push([Date.now(), seen.bytes]);
    // Of a long time every second size is enough; the first and the last one stay.
    if (context.growth.length > MOST_SIZES) context.growth = context.growth.filter((_, i) => i % 2 === 0);
    const recent = Date.now() - seen.modified_ms < 3000;
    showLive(recent ? "written" : "still", `${size(seen.bytes)}, written ${ago(seen.modified_ms)}`);
    const isWritten = Boolean(before) && before !== version;
    isOld ||= isWritten;
    const isDue = isStale || (isOld && performance.now() >= nextOverview);
    if (isDue || isWritten) {
      if (isDue) await readOverview();
      showNavigation();
      // A page whose data have come, or have gone, is another one.
      if (shown && hasData === pageOf().has(context.overview)) await shown.refresh();
      else await show();
      isStale = !shown;
      if (shown) byId("trouble").hidden = true;
    }
  } catch (error) {
    isStale = true;
    if (isAborted(error)) return; // by a newer query: what is left is asked with the next look
    showLive("lost", "cannot be read");
    trouble(error);
  }
}

async function watch() {
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, POLL));
    if (document.visibilityState === "visible") await poll();
  }
}

const THEMES = ["", "light", "dark"];
const SIGNS = { "": "◐", light: "☀", dark: "☾" };

/** In a frame of another site a browser may keep nothing, and refuse to be asked. @param {string} theme */
function remember(theme) {
  try {
    localStorage.setItem("theme", theme);
  } catch {
    // Chosen for this page alone.
  }
}

function remembered() {
  try {
    const known = localStorage.getItem("theme") ?? "";
    return THEMES.includes(known) ? known : "";
  } catch {
    return "";
  }
}

/** @param {string} theme */
function setTheme(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
  const button = byId("theme");
  button.textContent = SIGNS[/** @type {keyof typeof SIGNS} */ (theme)];
  button.title = theme ? `Colours: ${theme}` : "Colours: those of the system";
  remember(theme);
  dispatchEvent(new Event("theme"));
}

byId("theme").addEventListener("click", () => {
  const at = THEMES.indexOf(document.documentElement.dataset.theme ?? "");
  setTheme(THEMES[(at + 1) % THEMES.length]);
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => dispatchEvent(new Event("theme")));
addEventListener("popstate", show);
// The address with its token, in a page that had none.
addEventListener("hashchange", () => session().then(show).catch(trouble));
addEventListener("unhandledrejection", (event) => trouble(event.reason));
addEventListener("trouble", (event) => {
  const { detail } = /** @type {CustomEvent} */ (event);
  trouble(detail);
  // Asked again with the next look, which hides what has passed.
  if (!isAborted(detail)) isStale = true;
});
document.addEventListener("click", (event) => {
  const link = event.target instanceof Element ? event.target.closest("a") : null;
  const href = link?.getAttribute("href");
  if (!href?.startsWith("/") || href.startsWith("/api/") || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  event.preventDefault();
  go(href);
});

setTheme(remembered());
try {
  await session();
} catch (error) {
  trouble(error);
}
await show();
await poll();
watch();
