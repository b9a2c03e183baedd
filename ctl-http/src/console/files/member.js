// One member: who it is, what it may, where it is.
import { h, field, check } from "./dom.js";
import { members, networks } from "./api.js";
import { confirm, complain, toast } from "./ask.js";
import { ago, moment } from "./format.js";

export async function memberPage({ parameters, signal, go, reload }) {
  const { network: id, member: address } = parameters;
  const [network, member] = await Promise.all([networks.get(id, signal), members.get(id, address, signal)]);
  const change = async (fields, said) => {
    try {
      await members.change(id, address, fields);
      toast(said, "authorized" in fields ? { undo: () => change({ authorized: !fields.authorized }, "Taken back.") } : {});
      reload();
    } catch (error) {
      complain(error);
    }
  };
  const remove = async () => {
    const sure = await confirm({
      title: `Remove ${member.name || address}?`,
      text: "Its record, addresses and name are forgotten, and it loses the network. If it asks again it is a stranger.",
      action: "Remove the member",
    });
    if (!sure) return;
    members.remove(id, address).then(() => go(`network/${id}`)).catch(complain);
  };
  return {
    title: member.name || address,
    content: [
      h("p", null, h("a", { href: `#/network/${id}` }, `← ${network.name || id}`)),
      h("div", { class: "head" },
        h("div", null, h("h1", { tabindex: "-1" }, member.name || address), h("p", { class: "sub" }, h("code", null, address))),
        member.authorized
          ? h("button", { type: "button", onclick: () => change({ authorized: false }, "De-authorized.") }, "De-authorize")
          : h("button", { type: "button", class: "primary", onclick: () => change({ authorized: true }, "Authorized.") }, "Authorize"),
        h("button", { type: "button", class: "danger", onclick: remove }, "Remove")),
      facts(member),
      settings(network, member, change),
    ],
  };
}

function facts(member) {
  const entries = [
    ["Access", member.authorized ? "authorized" : "not authorized"],
    ["Connection", member.online ? "online" : `last seen ${ago(member.lastSeen)}`],
    ["Physical address", member.physicalAddress ?? "not known"],
    ["Client", [member.version ?? "not known", member.platform].filter(Boolean).join(", ")],
    ["Record made", moment(member.creationTime)],
    ["Last authorized", moment(member.lastAuthorizedTime)],
    ["Last de-authorized", moment(member.lastDeauthorizedTime)],
    ["Revision", String(member.revision)],
    ["Identity", member.identity ?? "not known: it has not asked yet"],
  ];
  return h("dl", { class: "facts" }, entries.map(([name, value]) => [h("dt", null, name), h("dd", { class: name === "Identity" ? "long" : null }, value)]));
}

function settings(network, member, change) {
  const name = h("input", { type: "text", value: member.name ?? "" });
  const addresses = h("textarea", { rows: "3", spellcheck: "false" }, member.ipAssignments.join("\n"));
  const bridge = check("Bridge: may pass on frames of other devices", member.activeBridge);
  const automatic = check("Addresses by hand only", member.noAutoAssignIps);
  const tags = h("textarea", { rows: "3", spellcheck: "false" }, member.tags.map(({ id, value }) => `${id} = ${value}`).join("\n"));
  const capabilities = network.capabilities.map((capability) =>
    ({ id: capability.id, ...check(`Capability ${capability.id}`, member.capabilities.includes(capability.id)) }));
  const save = (event) => {
    event.preventDefault();
    const pairs = tags.value.split("\n").filter((line) => line.trim() !== "").map((line) => line.match(/^\s*(\d+)\s*=\s*(\d+)\s*$/));
    if (pairs.includes(null)) {
      toast("A tag is written as “id = value”, with two numbers, one to a line.", { kind: "bad" });
      return;
    }
    change({
      name: name.value || null,
      ipAssignments: addresses.value.split(/[\s,]+/).filter((address) => address !== ""),
      activeBridge: bridge.input.checked,
      noAutoAssignIps: automatic.input.checked,
      tags: pairs.map(([, id, value]) => ({ id: Number(id), value: Number(value) })),
      capabilities: capabilities.filter(({ input }) => input.checked).map(({ id }) => id),
    }, "Saved.");
  };
  return h("form", { class: "settings", onsubmit: save },
    h("fieldset", null, h("legend", null, "Name and addresses"), field("Name", name), field("IP addresses", addresses, "One to a line."), automatic.node),
    h("fieldset", null, h("legend", null, "Rights"), bridge.node, capabilities.map(({ node }) => node), field("Tags", tags, "“id = value”, one to a line.")),
    h("button", { type: "submit", class: "primary" }, "Save"));
}
