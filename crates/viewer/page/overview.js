// What is in the file or the folder, store by store.

import { get, table } from "./api.js";
import { h, put, sparkline } from "./dom.js";
import { count, number, plural, size, time } from "./format.js";

/** The most rows of a list before it says that there are more. */
const MOST = 8;

/** @type {import("./app.js").Page} */
export async function overview(host, _, context) {
  const refresh = async () => {
    const of = context.overview;
    put(host, ...(of.kind === "ticks" ? await folder(of, context) : await file(of, context)));
  };
  await refresh();
  return { refresh };
}

/**
 * @param {string} name
 * @param {import("./dom.js").Child} value
 * @param {import("./dom.js").Child} [note]
 */
const tile = (name, value, note) =>
  h("div", {}, h("div", { class: "tile-name" }, name), h("div", { class: "tile-value" }, value), note && h("div", { class: "soft small" }, note));

/**
 * @param {string} title
 * @param {import("./dom.js").Child} note
 * @param {...(import("./dom.js").Child | import("./dom.js").Child[])} children
 */
const card = (title, note, ...children) =>
  h("section", { class: "card" }, h("header", {}, h("h2", {}, title), note && h("span", { class: "soft small" }, note)), ...children);

/** @param {[string, import("./dom.js").Child][]} facts */
const facts = (facts) => h("dl", { class: "facts" }, ...facts.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));

/** A statement that can be run. @param {string} sql */
const statement = (sql) => `/sql?${new URLSearchParams({ q: sql })}`;

/** @param {import("./app.js").Context} context */
function growth({ growth }) {
  if (growth.length < 2) return null;
  const [first, last] = [growth[0], growth[growth.length - 1]];
  const added = last[1] - first[1];
  const curve = sparkline(growth.map(([at]) => at), growth.map(([, bytes]) => bytes), 600, 44);
  curve.classList.add("long");
  return h("section", { class: "card wide" },
    h("header", {}, h("h2", {}, "Growth"), h("span", { class: "soft small" }, `${added < 0 ? "−" : "+"}${size(Math.abs(added))} since this page was opened`)),
    curve);
}

/** @param {any} of @param {import("./app.js").Context} context */
async function file({ path, file }, context) {
  const cards = [
    growth(context),
    file.has_updates !== false && (file.datasets.length > 0 || file.initial_datasets.length > 0) && simulation(file),
    file.series.count > 0 && (await seriesCard(file.series)),
    Object.keys(file.experiments.simulations).length + file.experiments.experiments.length > 0 && experiments(file.experiments),
    file.memory.schema_version > 0 && memory(file.memory),
    file.ticks.rows + file.ticks.compacted > 0 && day(file.ticks),
  ].filter((card) => card instanceof Node);
  const stores = cards.filter((card) => !card.classList.contains("wide"));
  return [
    h("h1", {}, path.split(/[/\\]/).pop()),
    h("div", { class: "soft small path" }, path),
    h("div", { class: "tiles" },
      tile("Size", size(file.bytes + file.log_bytes), file.log_bytes > 0 ? `${size(file.log_bytes)} of it in the log` : "nothing in the log"),
      tile("Stores", stores.length, stores.map((card) => card.querySelector("h2")?.textContent).join(", ")),
      ...(file.series.count > 0 ? [tile("Points of series", count(file.series.points))] : []),
      ...(file.datasets.length > 0 ? [tile("Updates", count(sum(file.datasets, "updates")))] : []),
      ...(sum(file.experiments.tables, "rows") > 0 ? [tile("Rows of experiments", count(sum(file.experiments.tables, "rows")))] : []),
      ...(file.memory.episodes > 0 ? [tile("Episodes", count(file.memory.episodes))] : [])),
    stores.length > 0 ? h("div", { class: "cards" }, ...cards) : h("p", { class: "empty" }, "No store has data in this file yet."),
  ];
}

/** @param {any[]} rows @param {string} name */
const sum = (rows, name) => rows.reduce((total, row) => total + Number(row[name]), 0);

/** @param {string} status */
function pill(status) {
  const kind = { failed: "bad", crashed: "bad", complete: "good", completed: "good" }[status] ?? "";
  return h("span", { class: `pill ${kind}` }, status);
}

/** @param {any} file */
function simulation({ run, datasets, initial_datasets, keyframes, arrays }) {
  const rows = datasets.flatMap((/** @type {any} */ dataset) =>
    dataset.groups.map((/** @type {any} */ group) =>
      h("tr", {}, h("td", { class: "key" }, h("a", { href: `/simulation?${new URLSearchParams({ d: dataset.name, g: group.name })}` }, `${dataset.name} / ${group.name}`)), h("td", { class: "n" }, count(group.updates)), h("td", { class: "soft" }, group.attributes.join(", ")))));
  const sql = 'SELECT dataset_name, count(*) AS updates, min(timestamp) AS first, max(timestamp) AS last\nFROM "update"\nGROUP BY dataset_name';
  /** @type {[string, import("./dom.js").Child][]} */
  const known = [];
  if (run.started) known.push(["Started", run.started.replace("T", " ").replace("Z", "")]);
  if (run.finished) known.push(["Ended", run.finished.replace("T", " ").replace("Z", "")]);
  if (run.error) known.push(["Error", h("span", { class: "bad" }, run.error)]);
  if (run.timeline) known.push(["Time 0", `${time(run.timeline.reference)} UTC, a step is ${number(run.timeline.time_scale)} s`]);
  const spans = datasets.map((/** @type {any} */ of) => `${number(of.first)} to ${number(of.last)}`);
  if (spans.length > 0) known.push(["Timestamps", [...new Set(spans)].join(", ")]);
  if (initial_datasets.length > 0) known.push(["Initial data", initial_datasets.map((/** @type {any} */ of) => of.name).join(", ")]);
  known.push(["Keyframes", count(keyframes.count)]);
  if (arrays.stored > 0) known.push(["Arrays", `${count(arrays.stored)} in ${size(arrays.stored_bytes)}`]);
  return card("Simulation", pill(run.status), facts(known),
    rows.length > 0 && h("div", { class: "scroll" }, h("table", {},
      h("thead", {}, h("tr", {}, h("th", {}, "Group"), h("th", { class: "n" }, "Updates"), h("th", {}, "Attributes"))), h("tbody", {}, ...rows))),
    datasets.length > 0 && h("p", { class: "small" }, h("a", { href: statement(sql) }, "Updates of each dataset in SQL")));
}

/** @param {any} of */
async function seriesCard(of) {
  const { series } = await get("series");
  const first = series.slice(0, MOST);
  const drawn = await Promise.all(first.map((/** @type {any} */ one) => curve(one)));
  const rows = first.map((/** @type {any} */ one, /** @type {number} */ i) =>
    h("tr", {},
      h("td", { class: "key" }, one.drawable ? h("a", { href: `/series?${new URLSearchParams({ s: one.key })}` }, one.key) : one.key),
      h("td", {}, drawn[i]),
      h("td", { class: "n" }, count(one.points))));
  return card("Series", `${plural(of.count, "series")}, ${size(of.bytes)}`,
    h("div", { class: "scroll" }, h("table", {},
      h("thead", {}, h("tr", {}, h("th", {}, "Key"), h("th", {}), h("th", { class: "n" }, "Points"))), h("tbody", {}, ...rows))),
    series.length > MOST && h("p", { class: "small" }, h("a", { href: "/series" }, `${count(series.length - MOST)} more`)));
}

/** A small curve; nothing where one cannot be drawn. @param {any} one */
async function curve(one) {
  if (!one.drawable || one.points === 0) return null;
  try {
    const { columns } = await table("series/window", { key: one.key, width: 120 });
    const ys = columns.value.map((y) => (y === null ? null : Number(y)));
    return sparkline(columns.index.map(Number), ys, 120, 24);
  } catch {
    return h("span", { class: "bad small" }, "cannot be read");
  }
}

/** @param {any} of */
function experiments({ experiments, simulations, tables, failed }) {
  const states = Object.entries(simulations).map(([status, n]) => h("span", {}, pill(status), ` ${count(Number(n))} `));
  const rows = tables.map((/** @type {any} */ of) =>
    h("tr", {}, h("td", {}, of.table), h("td", { class: "n" }, count(of.rows)), h("td", { class: "n" }, size(of.bytes))));
  return card("Experiments", plural(sum(Object.values(simulations).map((n) => ({ n })), "n"), "simulation"),
    h("p", { class: "row" }, ...states),
    facts(experiments.map((/** @type {any} */ of) => [of.experiment_id, of.status])),
    failed.length > 0 && h("div", {}, h("h3", {}, "Failed or crashed last"), facts(failed.map((/** @type {any} */ of) => [of.simulation_id, h("span", { class: "bad" }, of.error ?? of.status)]))),
    rows.length > 0 && h("div", { class: "scroll" }, h("table", {},
      h("thead", {}, h("tr", {}, h("th", {}, "Table"), h("th", { class: "n" }, "Rows"), h("th", { class: "n" }, "Size"))), h("tbody", {}, ...rows))),
    h("p", { class: "small" }, h("a", { href: "/runs" }, "All simulations")));
}

/** @param {any} of */
function memory(of) {
  const sql = "SELECT context_hash, count(*) AS episodes, avg(performance_score) AS score\nFROM episodes\nGROUP BY context_hash\nORDER BY episodes DESC";
  return card("Memory", null,
    facts([["Episodes", count(of.episodes)], ["Concepts", count(of.concepts)], ["Relationships", count(of.concept_relationships)], ["Learning events", count(of.learning_events)]]),
    h("p", { class: "small" }, ...(of.episodes + of.concepts > 0 ? [h("a", { href: "/memory" }, "Embeddings, recall and concepts"), " · "] : []), h("a", { href: statement(sql) }, "Episodes of each context in SQL")));
}

/** @param {any} of */
const day = (of) => card("Ticks", "of a day", facts([["Ticks", count(of.rows + of.compacted)], ["Symbols", count(of.symbols)], ["Compacted", count(of.compacted)]]));

/** @param {any} of @param {import("./app.js").Context} context */
async function folder({ path, ticks }, context) {
  const most = Math.max(1, ...ticks.days.map((/** @type {any} */ day) => day.rows + day.compacted));
  const rows = ticks.days.toReversed().map((/** @type {any} */ day) => {
    const n = day.rows + day.compacted;
    return h("tr", {}, h("td", { class: "n" }, day.day), h("td", {}, h("meter", { class: "meter", max: most, value: n, "aria-hidden": "true" })),
      h("td", { class: "n" }, count(n)), h("td", { class: "n" }, count(day.symbols)), h("td", { class: "n" }, size(day.bytes)));
  });
  const curve = growth(context);
  return [
    h("h1", {}, path.split(/[/\\]/).pop()),
    h("div", { class: "soft small path" }, path),
    h("div", { class: "tiles" },
      tile("Ticks", count(ticks.ticks)), tile("Symbols", count(ticks.symbols.length)), tile("Days", count(ticks.days.length)),
      tile("Size", size(ticks.bytes), ticks.ticks > 0 && `${(ticks.bytes / ticks.ticks).toPrecision(3)} bytes a tick`)),
    h("div", { class: "cards" }, curve,
      card("Symbols", null, h("p", { class: "row" }, ...ticks.symbols.map((/** @type {string} */ symbol) => h("a", { class: "button", href: `/market?${new URLSearchParams({ s: symbol })}` }, symbol)))),
      card("Days", null, h("div", { class: "scroll" }, h("table", {},
        h("thead", {}, h("tr", {}, h("th", {}, "Day"), h("th", {}), h("th", { class: "n" }, "Ticks"), h("th", { class: "n" }, "Symbols"), h("th", { class: "n" }, "Size"))), h("tbody", {}, ...rows))))),
  ];
}
