// One member: who it is, what it may, where it is, what happened to it.
import { h } from "./dom.js";
import { members, networks, rules } from "./api.js";
import { confirm, complain, toast } from "./ask.js";
import { history } from "./audit.js";
import { check, field, mark, placeErrors } from "./fields.js";
import { ago, moment } from "./format.js";

export async function memberPage({ parameters, signal, go, reload }) {
  const { network: id, member: address } = parameters;
  const [network, member, stored] = await Promise.all([networks.get(id, signal), members.get(id, address, signal), rules.get(id, signal)]);
  const names = await namesOf(stored);
  const decide = async (authorized) => {
    try {
      await members.decide(id, [address], authorized ? "authorize" : "deauthorize");
      toast(authorized ? "Authorized." : "De-authorized.", { undo: () => decide(!authorized) });
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
      typed: address,
    });
    if (!sure) return;
    members.remove(id, address).then(() => { toast("The member was removed."); go(`network/${id}`); }).catch(complain);
  };
  return {
    title: member.name || address,
    content: [
      h("div", { class: "head" },
        h("div", null,
          h("p", { class: "crumb" }, h("a", { href: "#/networks" }, "Networks"), " / ", h("a", { href: `#/network/${id}` }, network.name || id)),
          h("h1", { tabindex: "-1" }, member.name || address),
          h("p", { class: "sub" }, h("code", null, address), " ", h("span", { class: member.authorized ? "badge good" : "badge warn" }, member.authorized ? "Authorized" : "Not authorized"),
            " ", member.online ? h("span", { class: "good dot" }, "online") : `last seen ${ago(member.lastSeen)}`)),
        member.authorized
          ? h("button", { type: "button", onclick: () => decide(false) }, "De-authorize")
          : h("button", { type: "button", class: "primary", onclick: () => decide(true) }, "Authorize"),
        h("button", { type: "button", class: "danger", onclick: remove }, "Remove")),
      h("div", { class: "two" },
        settings(stored, member, names, reload),
        h("div", { class: "stack" },
          h("section", { class: "card" }, h("h2", null, "Facts"), facts(member)),
          h("section", { class: "card" }, h("h2", null, "History"), await history({ network: id, member: address }, signal)))),
    ],
  };
}

/** What the rules call their tags and capabilities; nothing if they have no source. */
async function namesOf(stored) {
  const unnamed = { tagsByName: {}, capabilitiesByName: {} };
  if (stored.source.trim() === "") return unnamed;
  return { ...unnamed, ...await rules.compile(stored.source).catch(() => unnamed) };
}

function facts(member) {
  const entries = [
    ["Physical address", member.physicalAddress ?? "not known"],
    ["Client", [member.version ?? "not known", member.platform].filter(Boolean).join(", ")],
    ["Last seen", moment(member.lastSeen)],
    ["Record made", moment(member.creationTime)],
    ["Last authorized", moment(member.lastAuthorizedTime)],
    ["Last de-authorized", moment(member.lastDeauthorizedTime)],
    ["Revision", String(member.revision)],
    ["Identity", member.identity ?? "not known: it has not asked yet"],
  ];
  return h("dl", { class: "facts" }, entries.map(([name, value]) => [h("dt", null, name), h("dd", { class: name === "Identity" ? "long" : null }, value)]));
}

function settings(stored, member, names, reload) {
  const name = h("input", { type: "text", value: member.name ?? "" });
  const addresses = h("textarea", { rows: "3", spellcheck: "false" }, member.ipAssignments.join("\n"));
  const bridge = check("Bridge: may pass on frames of other devices", member.activeBridge);
  const automatic = check("Addresses by hand only", member.noAutoAssignIps);
  // Tags with a name have a field of their own; the others are written with their number.
  const named = Object.entries(names.tagsByName).map(([label, tag]) => {
    const number = tag.id ?? tag;
    const held = member.tags.find(({ id }) => id === number);
    return { id: number, label, input: h("input", { type: "number", min: "0", max: "4294967295", value: held?.value ?? "", placeholder: "not set" }) };
  });
  const isNamed = (id) => named.some((tag) => tag.id === id);
  const tags = h("textarea", { rows: "2", spellcheck: "false" }, member.tags.filter(({ id }) => !isNamed(id)).map(({ id, value }) => `${id} = ${value}`).join("\n"));
  const capabilities = stored.capabilities.map((capability) => {
    const label = Object.entries(names.capabilitiesByName).find(([, known]) => (known.id ?? known) === capability.id)?.[0];
    return { id: capability.id, ...check(label ? `Capability ${label}` : `Capability ${capability.id}`, member.capabilities.includes(capability.id)) };
  });
  const save = async (event) => {
    event.preventDefault();
    const pairs = tags.value.split("\n").filter((line) => line.trim() !== "").map((line) => line.match(/^\s*(\d+)\s*=\s*(\d+)\s*$/));
    if (pairs.includes(null)) {
      mark(tags, "Expected “id = value”, with two numbers, one to a line.");
      tags.focus();
      return;
    }
    const fields = {
      name: name.value || null,
      ipAssignments: addresses.value.split(/[\s,]+/).filter((address) => address !== ""),
      activeBridge: bridge.input.checked,
      noAutoAssignIps: automatic.input.checked,
      tags: [...named.filter(({ input }) => input.value !== "").map(({ id, input }) => ({ id, value: Number(input.value) })),
        ...pairs.map(([, id, value]) => ({ id: Number(id), value: Number(value) }))],
      capabilities: capabilities.filter(({ input }) => input.checked).map(({ id }) => id),
    };
    try {
      await members.change(member, fields);
      toast("Saved.");
      reload();
    } catch (error) {
      try { placeErrors(error, [["/name", name], ["/ipAssignments", addresses], ["/tags", tags]]); } catch { complain(error); }
    }
  };
  return h("form", { class: "settings", onsubmit: save },
    h("fieldset", null, h("legend", null, "Name and addresses"), field("Name", name), field("IP addresses", addresses, "One to a line."), automatic.node),
    h("fieldset", null, h("legend", null, "Rights"), bridge.node, capabilities.map(({ node }) => node),
      named.map(({ label, input }) => field(`Tag ${label}`, input)),
      field(named.length ? "Other tags" : "Tags", tags, "“id = value”, one to a line.")),
    h("div", { class: "actions" }, h("button", { type: "submit", class: "primary" }, "Save")));
}
