// Elements. Names from a file become text nodes, never markup.

/** @typedef {Node | string | number | null | undefined | false} Child */

/**
 * Makes an element. A function among the attributes is an event's handler; `true` is an attribute without a value.
 *
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, string | number | boolean | null | undefined | ((event: any) => void)>} [attributes]
 * @param {...(Child | Child[])} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, String(value));
  }
  put(element, ...children);
  return element;
}

/**
 * Puts children in place of those that are there.
 *
 * @param {Element} element
 * @param {...(Child | Child[])} children
 */
export function put(element, ...children) {
  const given = children.flat().filter((child) => child !== null && child !== undefined && child !== false);
  element.replaceChildren(...given.map((child) => (child instanceof Node ? child : String(child))));
}

/**
 * The element of an id that the page has.
 *
 * @param {string} id
 * @returns {HTMLElement}
 */
export function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no #${id}`);
  return found;
}

/**
 * A button.
 *
 * @param {string} text
 * @param {() => void} click
 * @param {Record<string, string | boolean>} [attributes]
 */
export function button(text, click, attributes = {}) {
  return h("button", { type: "button", click, ...attributes }, text);
}

/**
 * Changes what is within an element. What stands in place of the element that had the focus gets it back: that of the
 * same `data-key`.
 *
 * @param {Element} host
 * @param {() => void} change
 */
export function keepingFocus(host, change) {
  const had = document.activeElement;
  const key = had instanceof HTMLElement || had instanceof SVGElement ? had.dataset.key : undefined;
  const isWithin = had !== null && host.contains(had);
  change();
  if (!isWithin || key === undefined || host.contains(document.activeElement)) return;
  for (const element of host.querySelectorAll("[data-key]")) {
    if (!(element instanceof HTMLElement || element instanceof SVGElement) || element.dataset.key !== key) continue;
    element.focus({ preventScroll: true });
    return;
  }
}

/**
 * What a select offers. One that offers it already stays as it is: it may be open.
 *
 * @param {HTMLSelectElement} select
 * @param {string[][]} offered values and their texts
 * @param {string} now the chosen value
 */
export function offer(select, offered, now) {
  const before = [...select.options].map(({ value }) => value);
  if (JSON.stringify(before) !== JSON.stringify(offered.map(([value]) => value))) {
    put(select, ...offered.map(([value, text]) => h("option", { value }, text)));
  }
  select.value = now;
}

/**
 * A curve without axes: values from left to right, null where one is missing.
 *
 * @param {(number | null)[]} xs
 * @param {(number | null)[]} ys
 * @param {number} width
 * @param {number} height
 */
export function sparkline(xs, ys, width, height) {
  // One by one: a call takes no more than some ten thousand arguments.
  let [least, greatest] = [Infinity, -Infinity];
  for (const y of ys) {
    if (y !== null) [least, greatest] = [Math.min(least, y), Math.max(greatest, y)];
  }
  const [from, until] = [Number(xs[0]), Number(xs[xs.length - 1])];
  let path = "";
  let pen = "M";
  ys.forEach((y, i) => {
    if (y === null) {
      pen = "M";
      return;
    }
    const x = until > from ? ((Number(xs[i]) - from) / (until - from)) * width : width / 2;
    const share = greatest > least ? (y - least) / (greatest - least) : 0.5;
    path += `${pen}${x.toFixed(1)} ${(height - 1 - share * (height - 2)).toFixed(1)}`;
    pen = "L";
  });
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("class", "sparkline");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  const line = document.createElementNS("http://www.w3.org/2000/svg", "path");
  line.setAttribute("d", path);
  svg.append(line);
  return svg;
}

/**
 * A page that has begun. One that fails closes what it has opened.
 *
 * @template {{begin(query: URLSearchParams): Promise<void>, close(): void}} T
 * @param {T} page
 * @param {URLSearchParams} query
 */
export async function begun(page, query) {
  try {
    await page.begin(query);
  } catch (error) {
    page.close();
    throw error;
  }
  return page;
}

/**
 * Offers a file to keep.
 *
 * @param {Blob} blob
 * @param {string} name
 */
export function save(blob, name) {
  const url = URL.createObjectURL(blob);
  h("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
