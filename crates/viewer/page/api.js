// Queries to the server.

import { h, save } from "./dom.js";

/** An answer that is a refusal: its sentence, and its status (0 if there was no answer). */
export class Refused extends Error {
  /**
   * @param {string} sentence
   * @param {number} status
   */
  constructor(sentence, status) {
    super(sentence);
    this.status = status;
  }
}

/** Whether a query named what is not there, or is no name of it: a link may be older than the file. @param {unknown} error @returns {error is Refused} */
export const isGone = (error) => error instanceof Refused && (error.status === 404 || error.status === 400);

/** Why there is nothing of an id. @param {Refused} error @param {string | null} id */
export const whyGone = (error, id) => (/^-?\d+$/.test(id ?? "") ? error.message : `An id is an integer: ${id} is none.`);

/** What is said where there is no answer. */
export const SILENT = "The server does not answer. Start `silt view` again and open the address that it prints; in a notebook, run the cell again.";

/** @typedef {string | number | boolean | null | undefined} Value */
/** @typedef {Record<string, Value | Value[]>} Parameters a list is a parameter that is there several times */

/** In a frame of another site no cookie is kept: there the page itself keeps the token. */
const isFramed = window.top !== window;
let kept = "";

/**
 * @param {string} path
 * @param {Parameters} [parameters]
 */
export function address(path, parameters = {}) {
  const all = Object.entries(parameters).flatMap(([name, value]) => (Array.isArray(value) ? value : [value]).map((one) => /** @type {const} */ ([name, one])));
  const given = all.filter(([, value]) => value !== null && value !== undefined);
  const query = new URLSearchParams(given.map(([name, value]) => [name, String(value)]));
  return given.length ? `/api/${path}?${query}` : `/api/${path}`;
}

/**
 * @param {string} url
 * @param {RequestInit} [init]
 */
async function ask(url, init) {
  let response;
  try {
    response = await fetch(url, kept ? { ...init, headers: { Authorization: `Bearer ${kept}` } } : init);
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new Refused(SILENT, 0);
  }
  if (response.ok) return response;
  const text = await response.text();
  let sentence = text;
  try {
    sentence = JSON.parse(text).error;
  } catch {
    // Not one of ours: its text says what there is to say.
  }
  throw new Refused(sentence, response.status);
}

/** What may be an integer that a float cannot hold. */
const LONG = /(?<![\d.])\d{16}/;

/**
 * JSON in which integers that a float cannot hold are bigints.
 *
 * @param {string} text
 */
function parse(text) {
  if (!LONG.test(text)) return JSON.parse(text); // five times as fast
  const exact = (/** @type {string} */ _, /** @type {any} */ value, /** @type {any} */ context) =>
    typeof value === "number" && !Number.isSafeInteger(value) && /^-?\d+$/.test(context?.source ?? "")
      ? BigInt(context.source)
      : value;
  return JSON.parse(text, /** @type {any} */ (exact)); // the types do not know the context yet
}

/**
 * @param {string} path
 * @param {Parameters} [parameters]
 * @param {AbortSignal} [signal]
 * @returns {Promise<any>}
 */
export async function get(path, parameters, signal) {
  const response = await ask(address(path, parameters), { signal });
  return parse(await response.text());
}

/**
 * The runs for which a filter holds, or what differs from a list that is known.
 *
 * @param {string} filter
 * @param {{known?: string, first?: number}} [part] the list that is known; how many are asked for, unless it is all
 */
export const listOfRuns = (filter, { known, first } = {}) => get("runs", { where: filter || null, known: known || null, first, brief: true });

/**
 * Offers an answer as a file to keep.
 *
 * @param {string} path
 * @param {Parameters} parameters
 */
export async function download(path, parameters) {
  const url = address(path, parameters);
  if (!kept) {
    h("a", { href: url, download: "" }).click();
    return;
  }
  // A link would go without the token.
  const response = await ask(url);
  save(await response.blob(), `siltstone.${parameters.format}`);
}

/**
 * The rows of a statement.
 *
 * @param {string} sql
 * @param {AbortSignal} signal
 * @returns {Promise<{columns: string[], rows: any[][], more: boolean, limit: number, seconds: number}>}
 */
export async function sql(sql, signal) {
  const body = JSON.stringify({ sql });
  const response = await ask("/api/sql", { method: "POST", body, signal });
  return parse(await response.text());
}

/**
 * A table of numbers: what is said about it, and its columns. Times are raw, in the unit of their column.
 *
 * @param {string} path
 * @param {Parameters} parameters
 * @param {AbortSignal} [signal]
 * @returns {Promise<{about: any, columns: Record<string, (number | bigint | null)[]>}>}
 */
export async function table(path, parameters, signal) {
  const { about, arrow } = await arrowTable(path, parameters, signal);
  /** @type {Record<string, (number | bigint | null)[]>} */
  const columns = {};
  arrow.schema.fields.forEach((/** @type {{name: string}} */ field, /** @type {number} */ i) => {
    columns[field.name] = arrow.getChildAt(i).data.flatMap(values);
  });
  return { about, columns };
}

/**
 * A table as flechette has it, and what is said about it.
 *
 * @param {string} path
 * @param {Parameters} parameters
 * @param {AbortSignal} [signal]
 * @returns {Promise<{about: any, arrow: any}>}
 */
export async function arrowTable(path, parameters, signal) {
  const reader = import("./vendor/flechette.min.js");
  const response = await ask(address(path, { ...parameters, format: "arrow" }), { signal });
  const bytes = new Uint8Array(await response.arrayBuffer());
  await reader;
  // @ts-ignore The file puts itself beside the other globals.
  const arrow = globalThis.fl.tableFromIPC(bytes, { useBigInt: true });
  return { about: parse(arrow.schema.metadata.get("siltstone")), arrow };
}

/**
 * The values of a batch as they are stored, null where there is none.
 *
 * @param {any} batch
 */
function values(batch) {
  const raw = Array.from(batch.values.subarray(0, batch.length));
  if (batch.nullCount === 0) return raw;
  return raw.map((value, i) => ((batch.validity[i >> 3] >> (i & 7)) & 1 ? value : null));
}

/** Exchanges the token of the address for a cookie, and takes it out of the address. */
export async function session() {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (!token) return;
  if (isFramed) kept = token;
  await ask("/api/session", { headers: { Authorization: `Bearer ${token}` } });
  history.replaceState(null, "", location.pathname + location.search);
}
