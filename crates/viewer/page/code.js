// "Show me the code": texts of SQL, Python and the shell that give what is shown.

import { h } from "./dom.js";

/** A text of SQL. @param {string} value */
export const sqlText = (value) => `'${value.replaceAll("'", "''")}'`;

/** A name of SQL. @param {string} value */
export const sqlName = (value) => `"${value.replaceAll('"', '""')}"`;

/** A word of the shell. @param {string} value */
export const shellWord = (value) => `'${value.replaceAll("'", "'\\''")}'`;

/** A text of Python. @param {string} value */
export const pythonText = (value) => JSON.stringify(value);

/** What opens a file in Python. @param {string} path */
export const opened = (path) => `import siltstone\ndb = siltstone.open(${pythonText(path)}, read_only=True)`;

/** A place for code that is folded until somebody asks. @param {HTMLElement} code */
export const folded = (code, title = "Show me the code") => h("details", { class: "code" }, h("summary", {}, title), code);

/**
 * Code under its headings.
 *
 * @param {{sql: string, python: string, shell: string, said?: {sql?: string, python?: string, shell?: string}}} code
 */
export function codeText({ sql, python, shell, said = {} }) {
  const heading = (/** @type {string} */ mark, /** @type {string} */ name, /** @type {string | undefined} */ more) => `${mark} ${name}${more ? `: ${more}` : ""}`;
  return [heading("--", "SQL", said.sql), `${sql};`, "", heading("#", "Python", said.python), python, "", heading("#", "Shell", said.shell), shell].join("\n");
}
