// The members of a network: search, filter, choose many, authorize them at once.
import { h, fill, emptyState } from "./dom.js";
import { members } from "./api.js";
import { confirm, complain, show, toast } from "./ask.js";
import { choice, field, mark } from "./fields.js";
import { ago, count, moment, plural } from "./format.js";
import { icon } from "./icons.js";
import { joinGuide } from "./join.js";
import { standing } from "./standing.js";
import { virtualTable } from "./table.js";

const SEARCH_AFTER_MS = 250;

/** What the table keeps of a member: 100,000 of them stay small. */
function keep(member) {
  const { address, name, authorized, ipAssignments, online, lastSeen, version, physicalAddress } = member;
  return { address, name, authorized, ipAssignments, online, lastSeen, version, physicalAddress, standing: standing(member) };
}

export async function memberTab({ network, signal, go, refresh }) {
  const chosen = new Set();
  let which = "";
  const search = h("input", { type: "search", placeholder: "Name, node or IP", "aria-label": "Search members" });
  const order = h("select", { "aria-label": "Order" },
    [["", "By node"], ["name", "By name"], ["-lastSeen", "Seen last"], ["-created", "Newest"]].map(([value, label]) => h("option", { value }, label)));
  const total = h("span", { class: "sub push", "aria-live": "polite" });
  const all = h("input", { type: "checkbox", "aria-label": "Choose all that are loaded", onchange: () => {
    if (all.checked) table.each((member) => chosen.add(member.address), showBulk);
    else { chosen.clear(); showBulk(); table.redraw(); }
  } });
  const guide = network.memberCount === 0 ? await joinGuide(network, signal).catch(() => null) : null;
  const link = (member) => `#/network/${network.id}/member/${member.address}`;
  const table = virtualTable({
    kind: "members",
    label: "Members",
    columns: [
      { key: "choose", head: all, cell: chooser },
      { key: "name", name: "Member", cell: (member) => h("div", { class: "two-lines" }, h("a", { href: link(member) }, member.name?.trim() || member.address), member.name?.trim() ? h("small", null, member.address) : null) },
      { key: "access", name: "Access", cell: access },
      { key: "addresses", name: "Addresses", cell: (member) => h("span", { title: member.ipAssignments.join(", ") }, member.ipAssignments.join(", ") || "–") },
      { key: "seen", name: "Last seen", cell: (member) => member.online ? h("span", { class: "good dot" }, "online") : h("span", { title: moment(member.lastSeen) }, ago(member.lastSeen)) },
      { key: "client", name: "Client", cell: (member) => member.version ?? "–" },
      { key: "path", name: "Path", cell: (member) => member.physicalAddress ? h("code", null, member.physicalAddress) : "–" },
    ],
    async load(cursor, limit) {
      const wanted = query();
      const page = await members.page(network.id, { ...wanted, sort: order.value || null, cursor, limit }, signal);
      // How many there are is known only of all together.
      const known = Object.keys(wanted).length === 0 ? network.memberCount : null;
      return { ...page, total: known === null ? null : Math.max(known, page.data.length) };
    },
    keep,
    loaded: (number, known, whole) => { total.textContent = whole || known !== null ? plural(known ?? number, "member") : `${count(number)} members and more`; },
    state: (member) => chosen.has(member.address),
    open: (member) => go(link(member).slice(2)),
    failed: complain,
    empty: nobody,
  });

  function query() {
    const wanted = {};
    if (search.value.trim()) wanted.search = search.value.trim();
    if (which === "waiting") wanted.authorized = false;
    if (which === "authorized") wanted.authorized = true;
    if (which === "online") wanted.online = true;
    return wanted;
  }

  function nobody() {
    if (Object.keys(query()).length > 0) {
      return h("div", { class: "card" }, emptyState(icon("peers"), "Nobody", "No member is like that.",
        h("button", { type: "button", onclick: () => { search.value = ""; which = ""; filters.querySelector("button").click(); table.restart(); } }, "Show all members")));
    }
    return h("div", { class: "card" }, h("div", { class: "card-head" }, h("h2", null, "Nobody has joined yet"), h("span", { class: "pulse", role: "status" }, "waiting for the first device")),
      guide ?? h("p", null, "With “Add a device” you see how one joins."));
  }

  function chooser(member) {
    return h("input", {
      type: "checkbox", checked: chosen.has(member.address), "aria-label": `Choose ${member.address}`,
      onchange: (event) => { if (event.target.checked) chosen.add(member.address); else chosen.delete(member.address); showBulk(); },
    });
  }

  function access(member) {
    const button = (label, authorized, kind) => h("button", { type: "button", class: `small ${kind}`, onclick: () => decide([member.address], authorized) }, label);
    const [words, kind] = member.standing;
    return [h("span", { class: `badge ${kind}` }, words), member.authorized ? button("Revoke", false, "quiet") : button("Authorize", true, "primary")];
  }

  /** Authorizes or revokes; can be taken back. */
  async function decide(addresses, authorized) {
    try {
      await members.decide(network.id, addresses, authorized ? "authorize" : "deauthorize");
      chosen.clear();
      showBulk();
      const who = addresses.length === 1 ? addresses[0] : plural(addresses.length, "member");
      toast(`${who} ${authorized ? "authorized" : "revoked"}.`, { undo: () => decide(addresses, !authorized) });
      await table.refresh();
    } catch (error) {
      complain(error);
    }
  }

  async function removeChosen() {
    const addresses = [...chosen];
    const sure = await confirm({
      title: `Remove ${plural(addresses.length, "member")}?`,
      text: "Their records, addresses and names are forgotten, and they lose the network. Whoever asks again is a stranger.",
      action: "Remove",
      typed: addresses.length === 1 ? addresses[0] : String(addresses.length),
    });
    if (!sure) return;
    try {
      await members.decide(network.id, addresses, "remove");
      chosen.clear();
      showBulk();
      toast(`${plural(addresses.length, "member")} removed.`);
      await table.restart();
    } catch (error) {
      complain(error);
    }
  }

  const filters = choice("Which members", [["", "All"], ["waiting", "Not authorized"], ["authorized", "Authorized"], ["online", "Online"]], which,
    (value) => { which = value; table.restart(); });
  // Both are as high as each other, so that the table does not move under the mouse.
  const bar = h("div", { class: "bar" }, search, filters, order, total,
    h("button", { type: "button", onclick: () => add(network, signal, go).catch(complain) }, icon("add"), "Add a device"));
  const bulk = h("div", { class: "bar bulk", hidden: true });

  function showBulk() {
    bulk.hidden = chosen.size === 0;
    bar.hidden = !bulk.hidden;
    all.checked = chosen.size > 0;
    fill(bulk, h("strong", null, `${count(chosen.size)} chosen`),
      h("button", { type: "button", class: "primary", onclick: () => decide([...chosen], true) }, "Authorize"),
      h("button", { type: "button", onclick: () => decide([...chosen], false) }, "Revoke"),
      h("button", { type: "button", class: "danger", onclick: removeChosen }, "Remove"),
      h("button", { type: "button", class: "quiet push", onclick: () => { chosen.clear(); showBulk(); table.redraw(); } }, "Choose none"));
  }

  let timer = null;
  search.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(table.restart, SEARCH_AFTER_MS); });
  order.addEventListener("change", table.restart);
  await table.restart();
  refresh(table.refresh, { concerns: (event) => !event.data.network || event.data.network === network.id });
  return [bar, bulk, table.node];
}

/** Says how a device joins, and lets one in before it has asked. */
async function add(network, signal, go) {
  const address = h("input", { type: "text", required: true, autocomplete: "off", spellcheck: "false", placeholder: "89e92ceee5" });
  const submit = async (event) => {
    event.preventDefault();
    const node = address.value.trim().toLowerCase();
    if (!/^[0-9a-f]{10}$/.test(node)) {
      mark(address, "Expected ten hexadecimal digits.");
      address.focus();
      return;
    }
    try {
      await members.decide(network.id, [node], "authorize");
      event.target.closest("dialog").close();
      toast(`${node} authorized.`);
      go(`network/${network.id}/member/${node}`);
    } catch (error) {
      mark(address, error.message);
    }
  };
  await show(`Add a device to ${network.name?.trim() || network.id}`, await joinGuide(network, signal),
    h("form", { class: "beside", novalidate: true, onsubmit: submit },
      field("You know its address already?", address, ["Ten hexadecimal digits; the device says them: ", h("code", null, "zerotier-cli info"), ". Then it is let in before it asks."]),
      h("button", { type: "submit" }, "Authorize")));
}
