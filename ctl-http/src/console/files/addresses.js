// Routes and pools, and a picture of what is used of each pool.
import { h, svg, fill } from "./dom.js";
import { networks, members } from "./api.js";
import { complain, toast } from "./ask.js";
import { placeErrors, problemOf } from "./fields.js";
import { poolSize, spread } from "./address.js";
import { count } from "./format.js";
import { icon } from "./icons.js";
import { unsaved } from "./unsaved.js";

const BUCKETS = 128;
/** Of larger networks the picture shows the first so many members, and says so. */
const LOOKED_AT = 10_000;

export async function addressTab({ network, signal, reload }) {
  const routes = editor({
    entries: network.routes,
    columns: [["target", "Destination", "10.1.0.0/16"], ["via", "Gateway (empty: on the network)", "10.1.0.1"]],
    add: "Add a route",
  });
  const pools = editor({
    entries: network.ipAssignmentPools,
    columns: [["ipRangeStart", "First address", "10.1.0.1"], ["ipRangeEnd", "Last address", "10.1.0.254"]],
    add: "Add a pool",
  });
  const pictures = h("div");
  const save = async (event) => {
    event.preventDefault();
    const ranges = pools.read();
    try {
      await networks.change(network, {
        routes: routes.read().map((route) => ({ target: route.target, via: route.via || null })),
        ipAssignmentPools: ranges,
        v4AssignMode: { zt: ranges.some((pool) => !pool.ipRangeStart.includes(":")) },
        v6AssignMode: { ...network.v6AssignMode, zt: ranges.some((pool) => pool.ipRangeStart.includes(":")) },
      });
      toast("Saved. Members that are online have it already.");
      reload();
    } catch (error) {
      try { placeErrors(error, [...routes.places("/routes"), ...pools.places("/ipAssignmentPools")]); } catch { complain(error); }
    }
  };
  drawPools(network, pictures, signal).catch(complain);
  return unsaved.guard(h("form", { class: "settings", onsubmit: save },
    h("fieldset", null, h("legend", null, "Pools"), h("p", null, "Members get their addresses from here."), pictures, pools.node),
    h("fieldset", null, h("legend", null, "Routes"), h("p", null, "A destination without a gateway is on the network itself: addresses of members must be in one."), routes.node),
    h("div", { class: "actions" }, h("button", { type: "submit", class: "primary" }, "Save"))), signal);
}

/** A list of entries with text fields that can be added to and taken from. */
function editor({ entries, columns, add }) {
  const heads = h("div", { class: "row-heads", "aria-hidden": "true" }, columns.map(([, label]) => h("span", null, label)));
  const body = h("div", { class: "rows" });
  const row = (entry) => {
    const inputs = columns.map(([key, label, example]) =>
      h("input", { type: "text", value: entry[key] ?? "", placeholder: example, "aria-label": label, "data-key": key }));
    const node = h("div", { class: "row" }, inputs,
      h("button", { type: "button", class: "quiet", "aria-label": "Remove this entry", onclick: () => { node.remove(); shown(); } }, icon("remove")), inputs.map((input) => problemOf(input)));
    return node;
  };
  const shown = () => { heads.hidden = body.children.length === 0; };
  fill(body, entries.map(row));
  shown();
  return {
    node: [heads, body, h("div", null, h("button", { type: "button", onclick: () => { const node = row({}); body.append(node); shown(); node.firstChild.focus(); } }, icon("add"), add))],
    /** Pairs of JSON pointers below `pointer` and inputs. */
    places: (pointer) => [...body.children].flatMap((node, index) => [...node.querySelectorAll("input")].map((input) => [`${pointer}/${index}/${input.dataset.key}`, input])
      .concat([[`${pointer}/${index}`, node.querySelector("input")]])),
    read: () => [...body.children].map((node) => Object.fromEntries([...node.querySelectorAll("input")].map((input) => [input.dataset.key, input.value.trim()]))),
  };
}

async function drawPools(network, place, signal) {
  if (network.ipAssignmentPools.length === 0) return;
  const { addresses, whole } = await assigned(network.id, signal);
  fill(place, network.ipAssignmentPools.map((pool) => picture(pool, addresses)),
    whole ? null : h("p", null, `The pictures show the first ${count(LOOKED_AT)} members.`));
}

async function assigned(id, signal) {
  const addresses = [];
  let [seen, cursor] = [0, null];
  do {
    const page = await members.page(id, { cursor, limit: 1000 }, signal);
    for (const member of page.data) addresses.push(...member.ipAssignments);
    seen += page.data.length;
    cursor = page.next;
  } while (cursor !== null && seen < LOOKED_AT);
  return { addresses, whole: cursor === null };
}

function picture(pool, addresses) {
  const size = poolSize(pool);
  if (size === 0n) return null;
  const buckets = size < BigInt(BUCKETS) ? Number(size) : BUCKETS;
  const counts = spread(pool, addresses, buckets);
  const used = counts.reduce((sum, number) => sum + number, 0);
  const full = Math.max(1, Number(size / BigInt(buckets)));
  const width = 640 / buckets;
  const bars = counts.map((number, index) => svg("rect", {
    x: (index * width).toFixed(2), y: 0, width: Math.max(width - 0.6, 0.6).toFixed(2), height: 18,
    class: "bucket", "fill-opacity": number === 0 ? 0.12 : 0.35 + 0.65 * Math.min(1, number / full),
  }));
  const percent = Number((BigInt(used) * 1000n) / size) / 10;
  const words = `${count(used)} of ${size.toLocaleString("en")} used (${percent} %)`;
  return h("figure", { class: "pool" },
    h("figcaption", null, h("code", null, `${pool.ipRangeStart} – ${pool.ipRangeEnd}`), h("span", null, words)),
    svg("svg", { viewBox: "0 0 640 18", role: "img", "aria-label": `${pool.ipRangeStart} to ${pool.ipRangeEnd}: ${words}`, preserveAspectRatio: "none" }, bars));
}
