// One network: its tabs, and what can be done with the whole of it.
import { h, fill } from "./dom.js";
import { networks } from "./api.js";
import { confirm, complain, toast } from "./ask.js";
import { plural } from "./format.js";
import { memberTab } from "./members.js";
import { addressTab } from "./addresses.js";
import { settingsTab } from "./settings.js";
import { rulesTab } from "./rules.js";

const TABS = { members: ["Members", memberTab], addresses: ["Addresses", addressTab], rules: ["Rules", rulesTab], settings: ["Settings", settingsTab] };

export async function networkPage(context) {
  const { network: id, tab: wanted } = context.parameters;
  const tab = Object.hasOwn(TABS, wanted ?? "") ? wanted : "members";
  const network = await networks.get(id, context.signal);
  const panel = h("div", { class: "panel" });
  const links = Object.entries(TABS).map(([name, [label]]) =>
    h("a", { href: `#/network/${id}/${name}`, "aria-current": name === tab ? "page" : null }, label));
  fill(panel, await TABS[tab][1]({ ...context, network }));
  return {
    title: network.name || id,
    content: [
      h("div", { class: "head" },
        h("div", null, h("h1", { tabindex: "-1" }, network.name || "(without a name)"),
          h("p", { class: "sub" }, h("code", null, id), ` · ${network.private ? "private" : "public"} · ${plural(network.authorizedMemberCount, "authorized member")}`)),
        h("button", { type: "button", onclick: () => copy(id) }, "Copy the id"),
        h("button", { type: "button", class: "danger", onclick: () => remove(network, context.go) }, "Delete")),
      h("nav", { class: "tabs", "aria-label": "Parts of the network" }, links),
      panel,
    ],
  };
}

function copy(id) {
  navigator.clipboard.writeText(id).then(() => toast("Copied.")).catch(() => toast(id));
}

async function remove(network, go) {
  const sure = await confirm({
    title: `Delete ${network.name || network.id}?`,
    text: `${plural(network.totalMemberCount, "member")} lose the network at once. This cannot be undone.`,
    action: "Delete the network",
  });
  if (!sure) return;
  try {
    await networks.remove(network.id);
    toast("The network was deleted.");
    go("networks");
  } catch (error) {
    complain(error);
  }
}
