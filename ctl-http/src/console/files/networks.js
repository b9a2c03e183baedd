// The networks of this controller.
import { h, fill, emptyState } from "./dom.js";
import { networks } from "./api.js";
import { form } from "./ask.js";
import { usable } from "./address.js";
import { field, mark, options } from "./fields.js";
import { count, day } from "./format.js";
import { icon } from "./icons.js";
import { listing } from "./listing.js";

const V6 = [["", "None: IPv4 alone"], ["rfc4193", "One for each member (RFC4193, a /128)"], ["6plane", "A range for each member (6PLANE, a /80)"]];

export async function networkList({ signal, go, refresh }) {
  const table = listing("List of networks", ["Name", "Network id", "Access", "Members", "Addresses", "Made"]);
  const search = h("input", { type: "search", placeholder: "Name or id", "aria-label": "Search networks", oninput: () => show() });
  const place = h("div");
  let list = [];
  const show = () => {
    const wanted = search.value.trim().toLowerCase();
    const found = list.filter((network) => network.id.includes(wanted) || network.name.toLowerCase().includes(wanted));
    if (list.length === 0) {
      fill(place, h("div", { class: "card" }, emptyState(icon("networks"), "There is no network yet", "A network is what devices join. Its members get addresses, and reach each other wherever they are. A name is enough to begin with.",
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
    h("a", { class: "name", dir: "auto", href: `#/network/${network.id}` }, network.name?.trim() || "(without a name)"),
    h("code", null, network.id),
    network.private ? h("span", { class: "badge" }, "private") : h("span", { class: "badge warn" }, "public"),
    h("span", null, count(network.authorizedMemberCount), waiting > 0 ? [" ", h("span", { class: "badge warn" }, `${count(waiting)} not authorized`)] : null),
    h("code", null, network.routes.find((route) => !route.via)?.target ?? "–"),
    day(network.creationTime),
  ];
}

/** Asks for what a network needs, so that its members get addresses at once. */
export function create(go) {
  const name = h("input", { type: "text", required: true, autocomplete: "off", placeholder: "home" });
  const range = h("input", { type: "text", value: `10.${random()}.${random()}.0/24`, autocomplete: "off", spellcheck: "false" });
  const gives = h("small", { class: "gives", "aria-live": "polite" });
  const v6 = h("select", null, V6.map(([value, label]) => h("option", { value }, label)));
  const access = options("Who may join", [
    ["private", "Private", "Devices wait until somebody lets them in."],
    ["public", "Public", "Whoever knows the id is in at once."],
  ]);
  const tell = () => {
    const found = usable(range.value);
    gives.textContent = found ? `${found.size.toLocaleString("en")} addresses for members: ${found.first} to ${found.last}.`
      : range.value.trim() === "" ? "Members get no IPv4 addresses from here." : "";
  };
  range.addEventListener("input", tell);
  tell();
  form({
    title: "New network",
    action: "Create",
    fields: [
      field("Name", name, "For you and your members; it can be changed."),
      access.node,
      field("IPv4 addresses", range, "A range that is used nowhere else, neither here nor where members may be. This one was chosen at random; empty for none."), gives,
      field("IPv6 addresses", v6),
    ],
    places: [["/name", name], ["/routes", range], ["/ipAssignmentPools", range]],
    async submit() {
      const found = usable(range.value);
      if (range.value.trim() !== "" && !found) {
        mark(range, "Expected a range like 10.147.17.0/24, from /8 to /30, or nothing.");
        range.focus();
        throw new Error("");
      }
      const fields = { name: name.value.trim(), private: access.value() === "private" };
      if (found) {
        Object.assign(fields, { routes: [{ target: found.target }], ipAssignmentPools: [{ ipRangeStart: found.first, ipRangeEnd: found.last }], v4AssignMode: { zt: true } });
      }
      if (v6.value) fields.v6AssignMode = { [v6.value]: true };
      const network = await networks.create(fields);
      go(`network/${network.id}`);
    },
  });
}

function random() {
  return crypto.getRandomValues(new Uint8Array(1))[0];
}
