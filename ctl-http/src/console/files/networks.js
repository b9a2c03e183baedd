// The networks of this controller.
import { h, fill, emptyState } from "./dom.js";
import { networks } from "./api.js";
import { form } from "./ask.js";
import { check, field, mark } from "./fields.js";
import { count, day } from "./format.js";
import { icon } from "./icons.js";
import { listing } from "./listing.js";

export async function networkList({ signal, go, refresh }) {
  const table = listing("List of networks", ["Name", "Network id", "Access", "Members", "Addresses", "Made"]);
  const search = h("input", { type: "search", placeholder: "Name or id", "aria-label": "Search networks", oninput: () => show() });
  const place = h("div");
  let list = [];
  const show = () => {
    const wanted = search.value.trim().toLowerCase();
    const found = list.filter((network) => network.id.includes(wanted) || network.name.toLowerCase().includes(wanted));
    if (list.length === 0) {
      fill(place, h("div", { class: "card" }, emptyState(icon("networks"), "There is no network yet", "A network is what devices join. Its members get addresses, and reach each other wherever they are.",
        h("button", { type: "button", class: "primary", onclick: () => create(go) }, icon("add"), "New network"))));
      return;
    }
    table.show(found.map(row), "No network has that name or id.");
    if (!table.node.isConnected) fill(place, table.node);
  };
  let last = "";
  const load = async () => {
    list = (await networks.list(signal)).sort((a, b) => a.name.localeCompare(b.name) || a.id.localeCompare(b.id));
    const now = JSON.stringify(list);
    if (now !== last) show();
    last = now;
  };
  await load();
  refresh(load);
  return {
    title: "Networks",
    content: [
      h("div", { class: "head" }, h("h1", { tabindex: "-1" }, "Networks"), search,
        h("button", { type: "button", class: "primary", onclick: () => create(go) }, icon("add"), "New network")),
      place,
    ],
  };
}

function row(network) {
  const waiting = network.memberCount - network.authorizedMemberCount;
  return [
    h("a", { class: "name", href: `#/network/${network.id}` }, network.name || "(without a name)"),
    h("code", null, network.id),
    network.private ? h("span", { class: "badge" }, "private") : h("span", { class: "badge warn" }, "public"),
    h("span", null, count(network.authorizedMemberCount), waiting > 0 ? [" ", h("span", { class: "badge warn" }, `${count(waiting)} not authorized`)] : null),
    h("code", null, network.routes.find((route) => !route.via)?.target ?? "–"),
    day(network.creationTime),
  ];
}

/** Asks for what a network needs, so that its members get addresses at once. */
export function create(go) {
  const name = h("input", { type: "text", required: true });
  const range = h("input", { type: "text", value: `10.${random()}.${random()}.0/24` });
  const open = check("Anybody may join (public)", false);
  form({
    title: "New network",
    action: "Create",
    fields: [
      field("Name", name),
      field("Addresses", range, "An IPv4 /24 from which members get their addresses, used nowhere else; empty for none."),
      open.node,
    ],
    places: [["/name", name], ["/routes", range], ["/ipAssignmentPools", range]],
    async submit() {
      if (range.value.trim() !== "" && !/^(\d{1,3}\.){3}0\/24$/.test(range.value.trim())) {
        mark(range, "Expected a range like 10.147.17.0/24, or nothing.");
        range.focus();
        throw new Error("");
      }
      const network = await networks.create({ name: name.value, private: !open.input.checked, ...addresses(range.value) });
      go(`network/${network.id}`);
    },
  });
}

function addresses(range) {
  if (range.trim() === "") return {};
  const prefix = range.trim().replace(/\.0\/24$/, "");
  return {
    routes: [{ target: range.trim() }],
    ipAssignmentPools: [{ ipRangeStart: `${prefix}.1`, ipRangeEnd: `${prefix}.254` }],
    v4AssignMode: { zt: true },
  };
}

function random() {
  return crypto.getRandomValues(new Uint8Array(1))[0];
}
