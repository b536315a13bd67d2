// Where entities are drawn: points, or the pieces of lines.

/**
 * @typedef {object} Geometry in units of the attributes, moved so that `origin` is 0: floats of 32 bits hold differences
 * @property {"points" | "lines"} kind
 * @property {number} count entities
 * @property {Float32Array} places x and y of each point, or of both ends of each piece of a line
 * @property {Uint32Array | null} owners of each piece the row of its entity
 * @property {[number, number]} origin
 * @property {{left: number, right: number, bottom: number, top: number} | null} extent null if nothing has a place
 */

/** Where nothing is drawn: beyond what any view shows. */
export const NOWHERE = 1e30;

/**
 * Points of entities; one whose x or y is undefined stands nowhere.
 *
 * @param {Float64Array} x
 * @param {Float64Array} y
 * @returns {Geometry}
 */
export function pointsOf(x, y) {
  const { extent, origin } = around(x, y);
  const places = new Float32Array(2 * x.length);
  for (let i = 0; i < x.length; i += 1) {
    const there = Number.isFinite(x[i]) && Number.isFinite(y[i]);
    places[2 * i] = there ? x[i] - origin[0] : NOWHERE;
    places[2 * i + 1] = there ? y[i] - origin[1] : NOWHERE;
  }
  return { kind: "points", count: x.length, places, owners: null, origin, extent };
}

/**
 * Lines of entities through points: of entity `i` those from `offsets[i]` to `offsets[i + 1]`.
 *
 * @param {ArrayLike<number>} offsets
 * @param {Float64Array} x
 * @param {Float64Array} y
 * @returns {Geometry}
 */
export function linesOf(offsets, x, y) {
  const { extent, origin } = around(x, y);
  const count = offsets.length - 1;
  const places = new Float32Array(4 * x.length);
  const owners = new Uint32Array(x.length);
  let n = 0;
  for (let i = 0; i < count; i += 1) {
    for (let k = offsets[i] + 1; k < offsets[i + 1]; k += 1) {
      if (![x[k - 1], y[k - 1], x[k], y[k]].every(Number.isFinite)) continue;
      places.set([x[k - 1] - origin[0], y[k - 1] - origin[1], x[k] - origin[0], y[k] - origin[1]], 4 * n);
      owners[n] = i;
      n += 1;
    }
  }
  return { kind: "lines", count, places: places.slice(0, 4 * n), owners: owners.slice(0, n), origin, extent };
}

/** @param {Float64Array} x @param {Float64Array} y */
function around(x, y) {
  let [left, right, bottom, top] = [Infinity, -Infinity, Infinity, -Infinity];
  for (let i = 0; i < x.length; i += 1) {
    if (!Number.isFinite(x[i]) || !Number.isFinite(y[i])) continue;
    if (x[i] < left) left = x[i];
    if (x[i] > right) right = x[i];
    if (y[i] < bottom) bottom = y[i];
    if (y[i] > top) top = y[i];
  }
  const extent = right >= left ? { left, right, bottom, top } : null;
  return { extent, origin: /** @type {[number, number]} */ (extent ? [(left + right) / 2, (bottom + top) / 2] : [0, 0]) };
}
