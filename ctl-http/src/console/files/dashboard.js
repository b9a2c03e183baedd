// What an administrator wants to know first: is it well, who is there, is something asked of me.
import { h, svg, fill } from "./dom.js";
import { node, networks, members } from "./api.js";
import { ago, count, plural } from "./format.js";

const SAMPLES = 120;
const EVERY_MS = 5000;
/** Kept between visits of the page, so that the chart does not begin anew. */
const history = [];

export async function dashboard({ signal, refresh }) {
  const tiles = h("div", { class: "tiles" });
  const chart = h("figure", { class: "card" });
  const waiting = h("section", { class: "card", "aria-labelledby": "waiting" });
  const draw = async () => {
    const [status, list, peers] = await Promise.all([node.status(signal), networks.list(signal), node.peers(signal)]);
    const online = peers.filter((peer) => peer.role === "LEAF" && peer.paths.some((path) => path.active)).length;
    const authorized = list.reduce((sum, network) => sum + network.authorizedMemberCount, 0);
    const total = list.reduce((sum, network) => sum + network.totalMemberCount, 0);
    history.push({ time: Date.now(), online });
    if (history.length > SAMPLES) history.shift();
    fill(tiles,
      tile("Roots", status.online ? "reachable" : "not reached", status.online ? "good" : "bad"),
      tile("Networks", count(list.length), "", "#/networks"),
      tile("Authorized members", count(authorized)),
      tile("Waiting members", count(total - authorized), total > authorized ? "warn" : ""),
      tile("Clients online", count(online), "", "#/peers"),
      tile("Version", status.controllerSoftware?.version ?? status.version));
    fill(chart, h("figcaption", null, "Clients online"), line(history));
    fill(waiting, h("h2", { id: "waiting" }, "Waiting to be let in"), await strangers(list, signal));
  };
  await draw();
  refresh(draw, EVERY_MS);
  return { title: "Dashboard", content: [h("h1", { tabindex: "-1" }, "Dashboard"), tiles, chart, waiting] };
}

function tile(name, value, kind = "", href = null) {
  const content = [h("dt", null, name), h("dd", { class: kind }, href ? h("a", { href }, value) : value)];
  return h("dl", { class: "tile" }, content);
}

async function strangers(list, signal) {
  const some = list.filter((network) => network.private && network.totalMemberCount > network.authorizedMemberCount).slice(0, 20);
  const found = (await Promise.all(some.map(async (network) =>
    (await members.pending(network.id, signal)).map((pending) => ({ ...pending, network }))))).flat();
  if (found.length === 0) return h("p", null, "Nobody.");
  found.sort((a, b) => b.lastAsked - a.lastAsked);
  return h("ul", { class: "plain" }, found.slice(0, 10).map((pending) => h("li", null,
    h("a", { href: `#/network/${pending.network.id}/member/${pending.address}` }, h("code", null, pending.address)),
    ` asked for ${pending.network.name || pending.network.id} ${ago(pending.lastAsked)}, from ${pending.source}`)),
  found.length > 10 ? h("li", null, `and ${plural(found.length - 10, "other")}`) : null);
}

/** Draws samples as a line over time. */
function line(samples) {
  const [width, height, top] = [600, 120, Math.max(1, ...samples.map((sample) => sample.online))];
  const step = width / (SAMPLES - 1);
  const x = (index) => width - (samples.length - 1 - index) * step;
  const y = (value) => height - (value / top) * (height - 10) - 2;
  const points = samples.map((sample, index) => `${x(index).toFixed(1)},${y(sample.online).toFixed(1)}`).join(" ");
  const latest = samples.at(-1)?.online ?? 0;
  return svg("svg", { viewBox: `0 0 ${width} ${height + 16}`, role: "img", "aria-label": `Clients online over the last ten minutes, now ${latest}, at most ${top}` },
    svg("line", { x1: 0, y1: height, x2: width, y2: height, class: "axis" }),
    svg("polyline", { points, class: "curve" }),
    svg("text", { x: 0, y: height + 14, class: "label" }, "10 minutes ago"),
    svg("text", { x: width, y: height + 14, class: "label", "text-anchor": "end" }, "now"),
    svg("text", { x: 0, y: 12, class: "label" }, count(top)));
}
