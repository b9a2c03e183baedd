// A table of any length: rows are fetched page by page as they come into view, and only those in view exist.
import { h } from "./dom.js";

/** Rows beyond the visible ones, so that scrolling shows no gaps. */
const MARGIN = 8;
/** Rows of the first page, which shall be there at once, and of each further one. */
const FIRST_PAGE = 100;
const PAGE = 1000;
/** Most rows that are fetched again. */
const REFRESHED = 1000;
/** What a row says changes with time even if nothing else does. */
const STALE_MS = 60_000;

/**
 * Returns `{ node, restart, refresh, redraw, each }`.
 * `load(cursor, limit)` resolves to `{ data, next, total }`; `cursor` is null for the first page, `next` after the last, `total` if it
 * is not known. `keep(row)` is what is kept of a row. `loaded(number, total, whole)` hears how many rows are here; `state(row)` is what else a
 * row shows. `empty()` is shown if there is none.
 */
export function virtualTable({ kind, label, columns, load, keep, loaded, state, open, failed, empty }) {
  const body = h("div", { class: "virtual-body", role: "rowgroup" });
  const head = h("div", { role: "row", class: "virtual-row" }, columns.map((column) =>
    h("div", { role: "columnheader", class: `cell-${column.key}` }, column.head ?? column.name)));
  const view = h("div", { class: `virtual ${kind}`, role: "table", "aria-label": label, tabindex: "0" },
    h("div", { role: "rowgroup", class: "virtual-head" }, head), body);
  const place = h("div", null, view);
  let rows = [];
  let next = null;
  let total = null;
  let active = 0;
  let fetching = null;
  let generation = 0;
  /** What is drawn: index to `{ key, node }`. */
  let drawn = new Map();

  const rowHeight = () => parseFloat(getComputedStyle(view).getPropertyValue("--row")) || 52;
  const height = () => Math.max(rows.length, total ?? 0);

  async function fetchMore() {
    const mine = generation;
    const page = await load(next, rows.length === 0 ? FIRST_PAGE : PAGE);
    if (mine !== generation) return;
    for (const row of page.data) rows.push(keep(row));
    next = page.next;
    total = next === null ? rows.length : page.total;
    loaded(rows.length, total, next === null);
  }

  /** Fetches until what is in view is there. */
  function want(last) {
    if (fetching || next === null || rows.length > last) return;
    const mine = generation;
    fetching = fetchMore().then(() => true, (error) => { failed(error); return false; }).then((more) => {
      fetching = null;
      if (more && mine === generation) draw();
    });
  }

  function draw() {
    const [row, all] = [rowHeight(), height()];
    const none = all === 0 && next === null;
    if (none !== (place.firstChild !== view)) place.replaceChildren(none ? empty() : view);
    body.style.height = `${all * row}px`;
    view.setAttribute("aria-rowcount", all + 1);
    const first = Math.max(0, Math.floor(view.scrollTop / row) - MARGIN);
    const last = Math.min(all, Math.ceil((view.scrollTop + view.clientHeight) / row) + MARGIN);
    const minute = Math.floor(Date.now() / STALE_MS);
    const now = new Map();
    let before = null;
    for (let index = first; index < last; index += 1) {
      const data = rows[index];
      const key = data === undefined ? "…" : `${minute} ${state(data)} ${JSON.stringify(data)}`;
      const old = drawn.get(index);
      let node = old?.node;
      if (old?.key !== key) {
        const made = drawRow(data, index);
        // Who is at work in this row goes on there.
        const at = node?.contains(document.activeElement) ? [...node.querySelectorAll("a, button, input")].indexOf(document.activeElement) : -1;
        node?.replaceWith(made);
        node = made;
        if (!node.isConnected) { if (before) before.after(node); else body.prepend(node); }
        if (at >= 0) [...node.querySelectorAll("a, button, input")].at(Math.min(at, node.querySelectorAll("a, button, input").length - 1))?.focus({ preventScroll: true });
      }
      node.style.top = `${index * row}px`;
      node.classList.toggle("active", index === active);
      now.set(index, { key, node });
      before = node;
    }
    for (const [index, { node }] of drawn) if (!now.has(index)) node.remove();
    drawn = now;
    want(last);
  }

  function drawRow(data, index) {
    return h("div", { role: "row", class: "virtual-row", "aria-rowindex": index + 2 },
      columns.map((column) => h("div", { role: "cell", class: `cell-${column.key}` }, data === undefined ? h("span", { class: "ghost" }) : column.cell(data))));
  }

  let asked = false;
  view.addEventListener("scroll", () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => { asked = false; draw(); });
  }, { passive: true });
  view.addEventListener("keydown", (event) => {
    if (event.target !== view) return;
    const row = rowHeight();
    const page = Math.max(1, Math.floor(view.clientHeight / row) - 1);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    if (event.key in steps) {
      event.preventDefault();
      active = Math.min(Math.max(0, active + steps[event.key]), Math.max(0, height() - 1));
      const top = active * row;
      if (top < view.scrollTop) view.scrollTop = top;
      if (top + 2 * row > view.scrollTop + view.clientHeight) view.scrollTop = top + 2 * row - view.clientHeight;
      draw();
    } else if (event.key === "Enter" && rows[active]) {
      open(rows[active]);
    } else if (event.key === " " && rows[active]) {
      event.preventDefault();
      body.querySelector(`[aria-rowindex="${active + 2}"] input`)?.click();
    }
  });
  new ResizeObserver(() => draw()).observe(view);

  return {
    node: place,
    redraw: draw,
    /** Begins anew, for example because another search is wanted. What was there stays until the new rows are. */
    async restart() {
      generation += 1;
      const mine = generation;
      try {
        const page = await load(null, FIRST_PAGE);
        if (mine !== generation) return;
        [rows, next, active, fetching] = [page.data.map(keep), page.next, 0, null];
        total = next === null ? rows.length : page.total;
        loaded(rows.length, total, next === null);
        view.scrollTop = 0;
        draw();
      } catch (error) {
        failed(error);
      }
    },
    /** Fetches again what is there, without a jump. */
    async refresh() {
      // Who has scrolled far reads what is there; it would be taken away from under their eyes.
      if (fetching || rows.length > REFRESHED) return;
      const wanted = rows.length;
      const mine = generation;
      let [fresh, cursor, sum] = [[], null, null];
      do {
        const page = await load(cursor, Math.max(wanted, FIRST_PAGE));
        if (mine !== generation || fetching) return;
        fresh = fresh.concat(page.data.map(keep));
        [cursor, sum] = [page.next, page.total];
      } while (cursor !== null && fresh.length < wanted);
      [rows, next, total] = [fresh, cursor, cursor === null ? fresh.length : sum];
      loaded(rows.length, total, next === null);
      draw();
    },
    each(work, then) {
      rows.forEach(work);
      then();
      draw();
    },
  };
}
