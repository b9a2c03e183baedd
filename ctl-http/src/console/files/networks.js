// The networks of this controller.
import { h, fill, field, check } from "./dom.js";
import { node, networks } from "./api.js";
import { form } from "./ask.js";
import { count, moment } from "./format.js";

export async function networkList({ signal, go, refresh }) {
  const rows = h("tbody");
  const search = h("input", { type: "search", placeholder: "Name or id", "aria-label": "Search networks", oninput: () => show() });
  let list = [];
  const show = () => {
    const wanted = search.value.trim().toLowerCase();
    const found = list.filter((network) => network.id.includes(wanted) || network.name.toLowerCase().includes(wanted));
    fill(rows, found.length === 0
      ? h("tr", null, h("td", { colspan: "5" }, list.length === 0 ? "There are none yet." : "No network has that name or id."))
      : found.map(row));
  };
  const load = async () => {
    list = (await networks.list(signal)).sort((a, b) => a.name.localeCompare(b.name) || a.id.localeCompare(b.id));
    show();
  };
  await load();
  refresh(load);
  return {
    title: "Networks",
    content: [
      h("div", { class: "head" }, h("h1", { tabindex: "-1" }, "Networks"), search,
        h("button", { type: "button", class: "primary", onclick: () => create(go) }, "New network")),
      h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "List of networks" }, h("table", null,
        h("thead", null, h("tr", null, ["Name", "Network id", "Access", "Members", "Made"].map((name) => h("th", { scope: "col" }, name)))), rows)),
    ],
  };
}

function row(network) {
  return h("tr", null,
    h("td", null, h("a", { href: `#/network/${network.id}` }, network.name || "(without a name)")),
    h("td", null, h("code", null, network.id)),
    h("td", null, network.private ? "private" : h("span", { class: "warn" }, "public")),
    h("td", null, `${count(network.authorizedMemberCount)} of ${count(network.totalMemberCount)}`),
    h("td", null, moment(network.creationTime)));
}

/** Asks for what a network needs, so that its members get addresses at once. */
function create(go) {
  const name = h("input", { type: "text", required: true });
  const range = h("input", { type: "text", value: `10.${random()}.${random()}.0/24`, pattern: "(\\d{1,3}\\.){3}0/24" });
  const open = check("Anybody may join (public)", false);
  form({
    title: "New network",
    action: "Create",
    fields: [
      field("Name", name),
      field("Addresses", range, "An IPv4 /24 from which members get their addresses; empty for none."),
      open.node,
    ],
    async submit() {
      const { address } = await node.status();
      const network = await networks.create(address, { name: name.value, private: !open.input.checked, ...addresses(range.value) });
      go(`network/${network.id}`);
    },
  });
}

function addresses(range) {
  if (range.trim() === "") return {};
  const prefix = range.trim().replace(/\.0\/24$/, "");
  return {
    routes: [{ target: range.trim(), via: null }],
    ipAssignmentPools: [{ ipRangeStart: `${prefix}.1`, ipRangeEnd: `${prefix}.254` }],
    v4AssignMode: { zt: true },
  };
}

function random() {
  return crypto.getRandomValues(new Uint8Array(1))[0];
}
