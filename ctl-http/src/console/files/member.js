// One member: who it is, what it may, where it is, what happened to it.
import { h, fill } from "./dom.js";
import { members, networks, rules } from "./api.js";
import { confirm, complain, copyable, copyButton, toast } from "./ask.js";
import { history } from "./audit.js";
import { check, field, mark, placeErrors } from "./fields.js";
import { ago, moment } from "./format.js";
import { standing } from "./standing.js";
import { unsaved } from "./unsaved.js";

export async function memberPage({ parameters, signal, go, reload, refresh }) {
  const { network: id, member: address } = parameters;
  const [network, member, stored] = await Promise.all([networks.get(id, signal), members.get(id, address, signal), rules.get(id, signal)]);
  const names = await namesOf(stored);
  const title = member.name?.trim() || address;
  const decide = async (authorized) => {
    try {
      await members.decide(id, [address], authorized ? "authorize" : "deauthorize");
      toast(`${title} ${authorized ? "authorized" : "revoked"}.`, { undo: () => decide(!authorized) });
      await look();
    } catch (error) {
      complain(error);
    }
  };
  const remove = async () => {
    const sure = await confirm({
      title: `Remove ${title}?`,
      text: `Its record, addresses and name are forgotten, and it loses ${network.name?.trim() || id}. If it asks again it is a stranger.`,
      action: "Remove the member",
      typed: address,
    });
    if (!sure) return;
    members.remove(id, address).then(() => { toast(`${title} was removed.`); go(`network/${id}`); }).catch(complain);
  };
  const line = h("p", { class: "sub line" });
  const decision = h("span");
  const known = h("dl", { class: "facts" });
  const past = h("div");
  let [shown, revision] = ["", member.revision];
  const draw = async (now) => {
    const [words, kind] = standing(now);
    fill(line, h("code", null, address), copyButton(address, "Copy the address"), h("span", { class: `badge ${kind}` }, words),
      now.online ? h("span", { class: "good dot" }, "online") : h("span", { title: moment(now.lastSeen) }, `last seen ${ago(now.lastSeen)}`));
    fill(decision, now.authorized
      ? h("button", { type: "button", onclick: () => decide(false) }, "Revoke")
      : h("button", { type: "button", class: "primary", onclick: () => decide(true) }, "Authorize"));
    fill(known, facts(now));
    fill(past, await history({ network: id, member: address }, signal));
  };
  /** What others change shows too; what somebody is writing here stays, and saving it says so. */
  const look = async () => {
    const now = await members.get(id, address, signal);
    const text = `${JSON.stringify(now)} ${ago(now.lastSeen)}`;
    if (text !== shown) await draw(now);
    if (now.revision !== revision && !unsaved.any) { reload(); return; }
    [shown, revision] = [text, now.revision];
  };
  await draw(member);
  refresh(look, { concerns: (event) => !event.data.member || event.data.member === address });
  return {
    title,
    content: [
      h("div", { class: "head" },
        h("div", null,
          h("p", { class: "crumb" }, h("a", { href: "#/networks" }, "Networks"), " / ", h("a", { href: `#/network/${id}` }, h("bdi", null, network.name?.trim() || id))),
          h("h1", { tabindex: "-1", dir: "auto" }, title), line),
        decision, h("button", { type: "button", class: "danger", onclick: remove }, "Remove")),
      h("div", { class: "two" },
        unsaved.guard(settings(stored, member, names, reload), signal),
        h("div", { class: "stack" },
          h("section", { class: "card" }, h("h2", null, "Facts"), known, member.identity ? [h("p", { class: "sub" }, "Identity"), copyable(member.identity, "Identity")] : null),
          h("section", { class: "card" }, h("h2", null, "History"), past))),
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
  const when = (time) => time ? [ago(time), " ", h("small", null, moment(time))] : "never";
  const entries = [
    ["Addresses", member.ipAssignments.length > 0 ? member.ipAssignments.map((address) => h("div", null, h("code", null, address), copyButton(address, `Copy ${address}`))) : "none yet"],
    ["Path", member.physicalAddress ? h("code", null, member.physicalAddress) : "not known"],
    ["Client", [member.version ?? "not known", member.platform].filter(Boolean).join(", ")],
    ["Last seen", when(member.lastSeen)],
    ["Record made", when(member.creationTime)],
    ["Last authorized", when(member.lastAuthorizedTime)],
    ["Last revoked", when(member.lastDeauthorizedTime)],
    ["Revision", String(member.revision)],
    member.identity ? null : ["Identity", "not known: it has not asked yet"],
  ];
  return entries.filter(Boolean).map(([name, value]) => [h("dt", null, name), h("dd", null, value)]);
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
