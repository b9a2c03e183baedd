// A table of a bounded number of things; on a phone each row is a card.
import { h, fill } from "./dom.js";

/** Returns `{ node, show(rows), add(rows) }`; a row is a list of what its cells have, in the order of `headings`. */
export function listing(label, headings) {
  const body = h("tbody", { role: "rowgroup" });
  const row = (cells) => h("tr", { role: "row" }, cells.map((cell, index) => h("td", { role: "cell", "data-label": headings[index] || null }, cell ?? "–")));
  return {
    node: h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label }, h("table", { role: "table" },
      h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, headings.map((name) =>
        h("th", { scope: "col", role: "columnheader" }, name || h("span", { class: "hidden" }, "Actions"))))), body)),
    /** Shows these rows, or `otherwise` if there is none. */
    show: (rows, otherwise = "") => fill(body, rows.length > 0 ? rows.map(row)
      : h("tr", { role: "row" }, h("td", { role: "cell", colspan: String(headings.length) }, otherwise))),
    add: (rows) => body.append(...rows.map(row)),
  };
}
