// A table of any length: rows are fetched page by page as they come into view, and only those in view exist.
import { h, fill } from "./dom.js";

const ROW_HEIGHT = 44;
/** Rows beyond the visible ones, so that scrolling shows no gaps. */
const MARGIN = 10;
/** Most rows that are fetched again. */
const REFRESHED = 1000;

/**
 * Returns `{ node, restart, refresh, redraw, each }`.
 * `load(cursor)` resolves to `{ data, next, total }`; `cursor` is null for the first page, `next` after the last, `total` if it is
 * not known. `loaded(number, total, whole)` hears how many rows are here.
 */
export function virtualTable({ label, columns, load, loaded, open, failed }) {
  const widths = columns.map((column) => column.width).join(" ");
  const body = h("div", { class: "virtual-body", role: "rowgroup" });
  const view = h("div", { class: "virtual", role: "table", "aria-label": label, tabindex: "0" },
    h("div", { role: "rowgroup", class: "virtual-head" }, h("div", { role: "row", class: "virtual-row", style: { gridTemplateColumns: widths } },
      columns.map((column) => h("div", { role: "columnheader" }, column.name || h("span", { class: "hidden" }, "Choose"))))),
    body);
  let rows = [];
  let next = null;
  let total = null;
  let active = 0;
  let fetching = null;
  let generation = 0;

  const height = () => Math.max(rows.length, total ?? 0);

  async function fetchMore() {
    const mine = generation;
    const page = await load(next);
    if (mine !== generation) return;
    rows = rows.concat(page.data);
    next = page.next;
    total = next === null ? rows.length : page.total;
    loaded(rows.length, total, next === null);
    draw();
  }

  /** Fetches until what is in view is there. */
  function want(last) {
    if (fetching || next === null || rows.length > last) return;
    fetching = fetchMore().catch(failed).finally(() => { fetching = null; draw(); });
  }

  function draw() {
    const first = Math.max(0, Math.floor(view.scrollTop / ROW_HEIGHT) - MARGIN);
    const last = Math.ceil((view.scrollTop + view.clientHeight) / ROW_HEIGHT) + MARGIN;
    const focused = document.activeElement?.closest?.("[aria-rowindex]");
    const focus = focused && body.contains(focused) ? [focused.getAttribute("aria-rowindex"), [...focused.querySelectorAll("a, button, input")].indexOf(document.activeElement)] : null;
    body.style.height = `${height() * ROW_HEIGHT}px`;
    view.setAttribute("aria-rowcount", height() + 1);
    fill(body, rows.slice(first, last).map((row, index) => draw1(row, first + index)),
      rows.length === 0 && next === null ? h("div", { role: "row", class: "virtual-row empty" }, h("div", { role: "cell" }, "Nobody.")) : null);
    if (focus) body.querySelector(`[aria-rowindex="${focus[0]}"]`)?.querySelectorAll("a, button, input")[focus[1]]?.focus({ preventScroll: true });
    want(last);
  }

  function draw1(row, index) {
    return h("div", {
      role: "row", class: index === active ? "virtual-row active" : "virtual-row", "aria-rowindex": index + 2,
      style: { gridTemplateColumns: widths, top: `${index * ROW_HEIGHT}px` },
    }, columns.map((column) => h("div", { role: "cell" }, column.cell(row))));
  }

  view.addEventListener("scroll", () => requestAnimationFrame(draw), { passive: true });
  view.addEventListener("keydown", (event) => {
    if (event.target !== view) return;
    const page = Math.max(1, Math.floor(view.clientHeight / ROW_HEIGHT) - 1);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    if (event.key in steps) {
      event.preventDefault();
      active = Math.min(Math.max(0, active + steps[event.key]), Math.max(0, rows.length - 1));
      const top = active * ROW_HEIGHT;
      if (top < view.scrollTop) view.scrollTop = top;
      if (top + 2 * ROW_HEIGHT > view.scrollTop + view.clientHeight) view.scrollTop = top + 2 * ROW_HEIGHT - view.clientHeight;
      draw();
    } else if (event.key === "Enter" && rows[active]) {
      open(rows[active]);
    } else if (event.key === " " && rows[active]) {
      event.preventDefault();
      body.querySelector(`[aria-rowindex="${active + 2}"] input`)?.click();
    }
  });
  new ResizeObserver(draw).observe(view);

  return {
    node: view,
    redraw: draw,
    /** Begins anew, for example because another search is wanted. */
    async restart() {
      generation += 1;
      [rows, next, total, active] = [[], null, null, 0];
      view.scrollTop = 0;
      await fetchMore().catch(failed);
    },
    /** Fetches again what is there, without a jump. */
    async refresh() {
      // Who has scrolled far reads what is there; it would be taken away from under their eyes.
      if (fetching || rows.length > REFRESHED) return;
      const wanted = rows.length;
      generation += 1;
      const mine = generation;
      let [fresh, cursor, sum] = [[], null, null];
      do {
        const page = await load(cursor);
        if (mine !== generation) return;
        fresh = fresh.concat(page.data);
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
