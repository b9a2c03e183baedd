// One network: its tabs, and what can be done with the whole of it.
import { h, fill } from "./dom.js";
import { networks } from "./api.js";
import { confirm, complain, copyButton, toast } from "./ask.js";
import { count, plural } from "./format.js";
import { memberTab } from "./members.js";
import { addressTab } from "./addresses.js";
import { settingsTab } from "./settings.js";
import { rulesTab } from "./rules.js";
import { history } from "./audit.js";

const TABS = {
  members: ["Members", memberTab], addresses: ["Addresses", addressTab], rules: ["Rules", rulesTab], settings: ["Settings", settingsTab],
  history: ["History", async ({ network, signal }) => h("section", { class: "card" }, await history({ network: network.id }, signal))],
};

export async function networkPage(context) {
  const { network: id, tab: wanted } = context.parameters;
  const tab = Object.hasOwn(TABS, wanted ?? "") ? wanted : "members";
  const network = await networks.get(id, context.signal);
  const panel = h("div", { class: "panel" });
  const links = Object.entries(TABS).map(([name, [label]]) =>
    h("a", { href: `#/network/${id}/${name}`, "aria-current": name === tab ? "page" : null }, label));
  fill(panel, await TABS[tab][1]({ ...context, network }));
  const line = h("p", { class: "sub line" });
  const draw = () => fill(line, h("code", null, id), copyButton(id, "Copy the id"), h("span", { class: network.private ? "badge" : "badge warn" }, network.private ? "private" : "public"), h("span", null, plural(network.authorizedMemberCount, "authorized member")), network.memberCount > network.authorizedMemberCount ? h("span", { class: "warn" }, `${count(network.memberCount - network.authorizedMemberCount)} not authorized`) : null);
  draw();
  context.refresh(async () => {
    const { memberCount, authorizedMemberCount } = await networks.get(id, context.signal);
    Object.assign(network, { memberCount, authorizedMemberCount });
    draw();
  }, { concerns: (event) => !event.data.network || event.data.network === id });
  return {
    title: network.name?.trim() || id,
    content: [
      h("div", { class: "head" },
        h("div", null, h("p", { class: "crumb" }, h("a", { href: "#/networks" }, "Networks")),
          h("h1", { tabindex: "-1", dir: "auto" }, network.name?.trim() || "(without a name)"),
          line),
        h("button", { type: "button", class: "danger", onclick: () => remove(network, context.go) }, "Delete")),
      h("nav", { class: "tabs", "aria-label": "Parts of the network" }, links),
      panel,
    ],
  };
}

async function remove(network, go) {
  const sure = await confirm({
    title: `Delete ${network.name?.trim() || network.id}?`,
    text: `${network.memberCount === 0 ? "It has no members" : `${plural(network.memberCount, "member")} ${network.memberCount === 1 ? "loses" : "lose"} it at once, and the id is gone`}. This cannot be undone.`,
    action: "Delete the network",
    typed: network.name.trim() || network.id,
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
