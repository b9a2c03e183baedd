// The nodes that this one talks to.
import { h, fill } from "./dom.js";
import { node } from "./api.js";
import { ago, count, moment } from "./format.js";
import { listing } from "./listing.js";

const SHOWN = 1000;

export async function peers({ signal, refresh }) {
  const facts = h("dl", { class: "facts" });
  const table = listing("List of peers", ["Node", "Role", "Version", "Latency", "Path", "Last heard"]);
  const note = h("p", { class: "sub" });
  const search = h("input", { type: "search", placeholder: "Node, path or version", "aria-label": "Search peers", oninput: () => show() });
  let [list, before] = [[], ""];
  const show = () => {
    const wanted = search.value.trim().toLowerCase();
    const found = list.filter((peer) => [peer.address, peer.version, ...peer.paths.map((path) => path.address)].some((text) => String(text).includes(wanted)));
    table.show(found.slice(0, SHOWN).map(row), list.length === 0 ? "Nobody was heard from yet." : "No peer is like that.");
    note.textContent = found.length > SHOWN ? `${count(SHOWN)} of ${count(found.length)} are shown.` : "";
  };
  const draw = async () => {
    const [status, fresh] = await Promise.all([node.status(signal), node.peers(signal)]);
    fill(facts,
      fact("Roots", h("span", { class: status.online ? "good dot" : "bad dot" }, status.online ? "reachable" : "not reached")),
      fact("Listens on", status.config.settings.listeningOn.join(", ") || "–"),
      fact("Seen by others as", status.config.settings.surfaceAddresses.join(", ") || "not known yet"));
    const order = { PLANET: 0, MOON: 1, LEAF: 2 };
    list = fresh.sort((a, b) => order[a.role] - order[b.role] || a.address.localeCompare(b.address));
    const now = JSON.stringify(list.map(({ address, role, version, latency, paths }) => [address, role, version, latency, paths.map((path) => [path.address, ago(path.lastReceive)])]));
    if (now !== before) show();
    before = now;
  };
  await draw();
  refresh(draw);
  return {
    title: "Peers",
    content: [h("div", { class: "head" }, h("h1", { tabindex: "-1" }, "Peers"), search), h("section", { class: "card" }, facts),
      table.node, note],
  };
}

function fact(name, value) {
  return [h("dt", null, name), h("dd", null, value)];
}

function row(peer) {
  const path = peer.paths.find((path) => path.preferred) ?? peer.paths.find((path) => path.active);
  const heard = Math.max(0, ...peer.paths.map((path) => path.lastReceive));
  return [
    h("code", null, peer.address),
    h("span", { class: "badge" }, { PLANET: "root", MOON: "moon", LEAF: "client" }[peer.role]),
    peer.versionMajor < 0 ? "–" : peer.version,
    peer.latency < 0 ? "–" : `${peer.latency} ms`,
    path ? h("code", null, path.address) : "relayed",
    h("span", { title: moment(heard) }, ago(heard)),
  ];
}
