// The code that gives a list of runs, a comparison, or one run.

import { codeText, opened, pythonText, shellWord, sqlName, sqlText } from "./code.js";

/** Columns of the documented table of simulations: a name of a filter means them first. */
const COLUMNS = ["id", "simulation_id", "experiment_id", "start_time", "end_time", "status", "parameters", "results_summary", "simulation_db_path", "error", "safe_step", "provenance", "process_id"];
/** Where the values of a filter's namespaces are. */
const SPACES = { params: "parameters", results: "results_summary" };
/** Texts, comments, names in quotes, names of the namespaces. */
const PIECES = /'(?:[^']|'')*'|--[^\n]*|\/\*[\s\S]*?\*\/|(?<![\w$.\u0080-\uffff])(params|results)((?:\.(?:[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*|"(?:[^"]|"")*"))+)|(?<!\.)"((?:[^"]|"")*)"(?!\s*[.(])/g;

/** The value of a parameter or result as SQL. @param {"params" | "results"} space @param {string[]} path */
const valueSql = (space, path) => `silt_value(simulations.${SPACES[space]}, ${path.map(sqlText).join(", ")})`;

/** The step and the records of a simulation, which SQL counts as the list does. */
const RECORDS = "FROM record_summary m JOIN record_table t ON t.id = m.record_table WHERE m.simulation = simulations.id";
const ROWS = `(SELECT coalesce(sum(m.rows), 0) ${RECORDS})`;
const STEP = `(SELECT coalesce(max(CASE t.name WHEN 'simulation_steps' THEN m.last_step END), max(m.last_step)) ${RECORDS} AND t.name NOT IN ('agents', 'simulation_config'))`;

/** What the columns of the list are in SQL and in Python, where `run` is a simulation. @type {Record<string, [string, string]>} */
const ORDERS = {
  simulation: ["simulation_id", "run.simulation_id"],
  status: ["status", "run.status"],
  started: ["start_time", "run.start_time"],
  seconds: ["julianday(end_time) - julianday(start_time)", "run.start_time and run.end_time and (datetime.fromisoformat(run.end_time) - datetime.fromisoformat(run.start_time)).total_seconds()"],
  "last step": [STEP, "run.last_step"],
  rows: [ROWS, "run.rows"],
};

/**
 * A filter as SQL alone reads it.
 *
 * @param {string} filter
 * @param {string[]} parameters those of the listed runs
 */
export function whereSql(filter, parameters) {
  return filter.replace(PIECES, (text, space, path, quoted) => {
    if (space) {
      const names = [...path.matchAll(/\.(?:"((?:[^"]|"")*)"|([^."]+))/g)].map(([, name, word]) => word ?? name.replaceAll('""', '"'));
      return valueSql(space, names);
    }
    const name = quoted?.replaceAll('""', '"');
    const isParameter = name !== undefined && parameters.includes(name) && !COLUMNS.includes(name.toLowerCase());
    return isParameter ? valueSql("params", [name]) : text;
  });
}

/** @param {string} column of the list @returns {[string, string]} */
function orderOf(column) {
  if (ORDERS[column]) return ORDERS[column];
  const space = column.startsWith("results.") ? "results" : "params";
  const name = column.slice(space.length + 1);
  return [valueSql(space, [name]), `run.${SPACES[space]}.get(${pythonText(name)})`];
}

/**
 * The list, with its filter and its order.
 *
 * @param {{path: string, filter: string, parameters: string[], column: string, isFalling: boolean, isText: boolean, metric: string}} of
 */
export function codeOfList({ path, filter, parameters, column, isFalling, isText, metric }) {
  const isSorted = column !== "simulation" || isFalling;
  const [sql, python] = orderOf(column);
  const where = filter ? `\nWHERE (${whereSql(filter, parameters)}\n)` : "";
  const order = isSorted ? `${sql} ${isFalling ? "DESC" : "ASC"} NULLS LAST, id` : "id";
  // Where a run has none, it stands last in both directions.
  const key = isText ? `[int(part) if part.isdigit() else part.casefold() for part in re.split(r"(\\d+)", str(value(run)))]` : "value(run)";
  const sorting = [
    `value = lambda run: ${python}`,
    `having = [run for run in runs if value(run) is not None]`,
    `sorted(having, key=lambda run: ${key}${isFalling ? ", reverse=True" : ""}) + [run for run in runs if value(run) is None]`,
  ];
  const found = `db.experiment().simulations(${filter ? pythonText(filter) : ""})`;
  const imports = [...(isSorted && isText ? ["import re"] : []), ...(isSorted && column === "seconds" ? ["from datetime import datetime"] : [])];
  return codeText({
    sql: `SELECT simulation_id, status, start_time, end_time,\n  ${STEP} AS last_step,\n  ${ROWS} AS "rows",\n  parameters, results_summary\nFROM simulations${where}\nORDER BY ${order}`,
    python: [...imports, opened(path), ...(isSorted ? [`runs = ${found}`, ...sorting] : [found])].join("\n"),
    shell: `silt runs list ${shellWord(path)}${filter ? ` --where ${shellWord(filter)}` : ""}${metric ? ` --metric ${shellWord(metric)}` : ""}`,
    said: { sql: isSorted && isText ? "texts in the order of their bytes" : "", shell: isSorted ? "in the order in which they were made" : "" },
  });
}

/**
 * The chosen runs side by side.
 *
 * @param {{path: string, ids: string[], parameters: string[], results: string[], metric: string}} of
 */
export function codeOfComparison({ path, ids, parameters, results, metric }) {
  const columns = [...parameters.map((name) => /** @type {const} */ (["params", name])), ...results.map((name) => /** @type {const} */ (["results", name]))]
    .map(([space, name]) => `,\n  ${valueSql(space, [name])} AS ${sqlName(`${space}.${name}`)}`);
  const list = `[${ids.map(pythonText).join(", ")}]`;
  return codeText({
    sql: `SELECT simulation_id, status, error,\n  ${STEP} AS last_step,\n  ${ROWS} AS "rows"${columns.join("")}\nFROM simulations\nWHERE simulation_id IN (${ids.map(sqlText).join(", ")})`,
    python: `${opened(path)}\ndb.experiment().${metric ? `compare(${list}, ${pythonText(metric)})` : `simulations(${list})`}`,
    shell: `silt runs compare ${shellWord(path)} ${ids.map(shellWord).join(" ")}${metric ? ` --metric ${shellWord(metric)}` : ""}`,
    said: metric ? { python: `the last value of ${metric.replaceAll("\n", " ")}`, shell: `the last value of ${metric.replaceAll("\n", " ")}` } : {},
  });
}

/** One run. @param {{path: string, id: string}} of */
export function codeOfRun({ path, id }) {
  return codeText({
    sql: `SELECT simulation_id, experiment_id, status, start_time, end_time, error,\n  ${STEP} AS last_step,\n  ${ROWS} AS "rows",\n  parameters, results_summary, provenance\nFROM simulations\nWHERE simulation_id = ${sqlText(id)}`,
    python: `${opened(path)}\ndb.experiment().simulations([${pythonText(id)}])[0]`,
    shell: `silt runs show ${shellWord(path)} ${shellWord(id)}`,
  });
}
