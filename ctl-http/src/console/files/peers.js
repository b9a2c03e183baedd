// The nodes that this one talks to.
import { h, fill } from "./dom.js";
import { node } from "./api.js";
import { ago, moment } from "./format.js";

const SHOWN = 1000;

export async function peers({ signal, refresh }) {
  const facts = h("dl", { class: "facts" });
  const rows = h("tbody");
  const note = h("p");
  const draw = async () => {
    const [status, list] = await Promise.all([node.status(signal), node.peers(signal)]);
    fill(facts,
      fact("Roots", status.online ? "reachable" : "not reached"),
      fact("Planet", `${status.planetWorldId}, made ${moment(status.planetWorldTimestamp)}`),
      fact("Listens on", status.config.settings.listeningOn.join(", ") || "–"),
      fact("Seen by others as", status.config.settings.surfaceAddresses.join(", ") || "not known yet"));
    const order = { PLANET: 0, MOON: 1, LEAF: 2 };
    list.sort((a, b) => order[a.role] - order[b.role] || a.address.localeCompare(b.address));
    fill(rows, list.slice(0, SHOWN).map(row));
    note.textContent = list.length > SHOWN ? `${SHOWN} of ${list.length} are shown.` : "";
  };
  await draw();
  refresh(draw);
  return {
    title: "Peers and roots",
    content: [h("h1", { tabindex: "-1" }, "Peers and roots"), facts,
      h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "List of peers" }, h("table", null, h("thead", null, h("tr", null,
        ["Node", "Role", "Version", "Latency", "Path", "Last heard"].map((name) => h("th", { scope: "col" }, name)))), rows)), note],
  };
}

function fact(name, value) {
  return [h("dt", null, name), h("dd", null, value)];
}

function row(peer) {
  const path = peer.paths.find((path) => path.preferred) ?? peer.paths.find((path) => path.active);
  const heard = Math.max(0, ...peer.paths.map((path) => path.lastReceive));
  return h("tr", null,
    h("td", null, h("code", null, peer.address)),
    h("td", null, peer.role.toLowerCase()),
    h("td", null, peer.versionMajor < 0 ? "–" : peer.version),
    h("td", null, peer.latency < 0 ? "–" : `${peer.latency} ms`),
    h("td", null, path ? h("code", null, path.address) : "relayed"),
    h("td", { title: moment(heard) }, ago(heard)));
}
