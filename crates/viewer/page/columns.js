// Columns of a state, as Arrow brings them: numbers, texts and shapes, with what is undefined.

/**
 * @typedef {object} Column
 * @property {any} vector flechette's
 * @property {number} length
 * @property {string} hash
 */

/** flechette's numbers of types. */
const [INT, FLOAT, BOOL, LIST, FIXED, TIMESTAMP, DURATION] = [2, 3, 6, 12, 16, 10, 18];

/** The batches of a column; the server sends one. @param {Column} column @returns {any[]} */
const batches = (column) => column.vector.data;

/** @param {any} batch @param {number} i */
const isThere = (batch, i) => batch.nullCount === 0 || ((batch.validity[i >> 3] >> (i & 7)) & 1) === 1;

/**
 * One part of each value as a float, NaN where it is undefined; null for what is no number. `isUndefined` is null where
 * every row is defined.
 *
 * @param {Column} column
 * @param {number} part
 * @returns {{values: Float64Array, isUndefined: Uint8Array | null, undefined: number} | null}
 */
export function numbers(column, part = 0) {
  const out = new Float64Array(column.length);
  /** @type {Uint8Array | null} */
  let isUndefined = null;
  let missing = 0;
  let at = 0;
  for (const batch of batches(column)) {
    const { typeId, stride = 1 } = batch.type;
    const inner = typeId === FIXED ? batch.children[0] : batch;
    const width = typeId === FIXED ? stride : 1;
    const read = reader(inner);
    if (!read || part >= width) return null;
    for (let i = 0; i < batch.length; i += 1, at += 1) {
      const k = i * width + part;
      if (isThere(batch, i) && (inner === batch || isThere(inner, k))) {
        out[at] = read(k);
      } else {
        isUndefined ??= new Uint8Array(column.length);
        isUndefined[at] = 1;
        out[at] = NaN;
        missing += 1;
      }
    }
  }
  return { values: out, isUndefined, undefined: missing };
}

/** Reads the numbers of a batch; null if it has none. @param {any} batch @returns {((i: number) => number) | null} */
function reader(batch) {
  const { typeId, precision, bitWidth } = batch.type;
  const { values } = batch;
  if (typeId === BOOL) return (i) => (values[i >> 3] >> (i & 7)) & 1;
  if (typeId === FLOAT && precision === 0) return (i) => batch.value(i);
  if (typeId === FLOAT || (typeId === INT && bitWidth < 64)) return (i) => values[i];
  if (typeId === INT || typeId === TIMESTAMP || typeId === DURATION) return (i) => Number(values[i]);
  return null;
}

/**
 * The integers of a column that has no undefined one.
 *
 * @param {Column} column
 * @returns {BigInt64Array}
 */
export function integers(column) {
  const all = batches(column).map((batch) => batch.values.subarray(0, batch.length));
  return all.length === 1 ? all[0] : BigInt64Array.from(all.flatMap((part) => [...part]));
}

/**
 * A value as it is: null where it is undefined.
 *
 * @param {Column} column
 * @param {number} i
 */
export function cell(column, i) {
  const value = column.vector.at(i);
  return value === undefined ? null : plain(value);
}

/** @param {any} value @returns {any} */
function plain(value) {
  if (value === null || typeof value !== "object") return value;
  if (value instanceof Uint8Array) return `${value.length} bytes`;
  if (typeof value[Symbol.iterator] === "function") return `[${Array.from(value, (one) => String(plain(one) ?? "–")).join(", ")}]`;
  return Object.values(value.toJSON?.() ?? value).join(" + i ");
}

/**
 * The lists of points of a column: of row `i` those from `offsets[i]` to `offsets[i + 1]`; an undefined one has none. Null
 * for what are no lists of points.
 *
 * @param {Column} column
 * @returns {{offsets: Int32Array, x: Float64Array, y: Float64Array, undefined: number} | null}
 */
export function shapes(column) {
  const [batch, ...more] = batches(column);
  if (!batch || more.length > 0 || batch.type.typeId !== LIST || batch.children[0].type.typeId !== FIXED) return null;
  const [points] = batch.children;
  const { stride } = points.type;
  const read = reader(points.children[0]);
  if (!read || stride < 2) return null;
  const offsets = new Int32Array(batch.length + 1);
  const [x, y] = [new Float64Array(points.length), new Float64Array(points.length)];
  let [n, missing] = [0, 0];
  for (let i = 0; i < batch.length; i += 1) {
    if (isThere(batch, i)) {
      for (let k = Number(batch.offsets[i]); k < Number(batch.offsets[i + 1]); k += 1, n += 1) {
        const there = isThere(points, k) && isThere(points.children[0], k * stride) && isThere(points.children[0], k * stride + 1);
        x[n] = there ? read(k * stride) : NaN;
        y[n] = there ? read(k * stride + 1) : NaN;
      }
    } else missing += 1;
    offsets[i + 1] = n;
  }
  return { offsets, x: x.subarray(0, n), y: y.subarray(0, n), undefined: missing };
}
