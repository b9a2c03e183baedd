// The members of a network: search, filter, choose many, authorize them at once.
import { h, fill } from "./dom.js";
import { members } from "./api.js";
import { confirm, complain, toast } from "./ask.js";
import { ago, count, moment, plural } from "./format.js";
import { virtualTable } from "./table.js";

const SEARCH_AFTER_MS = 250;
const PAGE = 200;

export async function memberTab({ network, signal, go, refresh }) {
  const chosen = new Set();
  const search = h("input", { type: "search", placeholder: "Name, node or IP address", "aria-label": "Search members" });
  const filter = h("select", { "aria-label": "Which members" },
    [["", "All"], ["waiting", "Waiting"], ["authorized", "Authorized"], ["online", "Online"]].map(([value, label]) => h("option", { value }, label)));
  const total = h("span", { class: "sub", "aria-live": "polite" });
  const bulk = h("div", { class: "bulk", hidden: true });
  const table = virtualTable({
    label: "Members",
    columns: [
      { name: "", width: "2.5rem", cell: (member) => chooser(member) },
      { name: "Node", width: "8rem", cell: (member) => h("a", { href: `#/network/${network.id}/member/${member.address}` }, h("code", null, member.address)) },
      { name: "Name", width: "minmax(7rem, 1.4fr)", cell: (member) => member.name || "–" },
      { name: "Access", width: "8rem", cell: (member) => access(member) },
      { name: "Addresses", width: "minmax(8rem, 1.4fr)", cell: (member) => member.ipAssignments.join(", ") || "–" },
      { name: "Last seen", width: "9rem", cell: (member) => member.online ? h("span", { class: "good" }, "online") : h("span", { title: moment(member.lastSeen) }, ago(member.lastSeen)) },
      { name: "Client", width: "6rem", cell: (member) => member.version ?? "–" },
      { name: "From", width: "minmax(8rem, 1fr)", cell: (member) => member.physicalAddress ? h("code", null, member.physicalAddress) : "–" },
    ],
    async load(cursor) {
      const wanted = query();
      const page = await members.page(network.id, { ...wanted, cursor, limit: PAGE }, signal);
      // How many there are is known only of all together.
      const all = Object.keys(wanted).length === 0 ? network.totalMemberCount : null;
      return { ...page, total: all === null ? null : Math.max(all, page.data.length) };
    },
    loaded: (number, all, whole) => { total.textContent = whole || all !== null ? plural(all ?? number, "member") : `${count(number)} members and more`; },
    open: (member) => go(`network/${network.id}/member/${member.address}`),
    failed: (error) => { if (error.name !== "AbortError") complain(error); },
  });

  function query() {
    const wanted = {};
    if (search.value.trim()) wanted.search = search.value.trim();
    if (filter.value === "waiting") wanted.authorized = false;
    if (filter.value === "authorized") wanted.authorized = true;
    if (filter.value === "online") wanted.online = true;
    return wanted;
  }

  function chooser(member) {
    return h("input", {
      type: "checkbox", checked: chosen.has(member.address), "aria-label": `Choose ${member.address}`,
      onchange: (event) => { if (event.target.checked) chosen.add(member.address); else chosen.delete(member.address); showBulk(); },
    });
  }

  function access(member) {
    const button = (label, authorized, kind) => h("button", { type: "button", class: `small ${kind}`, onclick: () => decide([member.address], authorized) }, label);
    return member.authorized ? [h("span", { class: "good" }, "yes"), " ", button("Revoke", false, "quiet")] : button("Authorize", true, "primary");
  }

  /** Authorizes or revokes; can be taken back. */
  async function decide(addresses, authorized) {
    try {
      await members.decide(network.id, addresses, authorized ? "authorize" : "deauthorize");
      chosen.clear();
      showBulk();
      const what = authorized ? "authorized" : "de-authorized";
      const who = addresses.length === 1 ? addresses[0] : plural(addresses.length, "member");
      toast(`${who} ${what}.`, { undo: () => decide(addresses, !authorized) });
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
    });
    if (!sure) return;
    try {
      await members.decide(network.id, addresses, "remove");
      chosen.clear();
      showBulk();
      await table.refresh();
    } catch (error) {
      complain(error);
    }
  }

  function showBulk() {
    bulk.hidden = chosen.size === 0;
    fill(bulk, h("span", null, `${count(chosen.size)} chosen`),
      h("button", { type: "button", class: "primary", onclick: () => decide([...chosen], true) }, "Authorize"),
      h("button", { type: "button", onclick: () => decide([...chosen], false) }, "Revoke"),
      h("button", { type: "button", class: "danger", onclick: removeChosen }, "Remove"),
      h("button", { type: "button", class: "quiet", onclick: () => { chosen.clear(); showBulk(); table.redraw(); } }, "Choose none"));
  }

  let timer = null;
  search.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(table.restart, SEARCH_AFTER_MS); });
  filter.addEventListener("change", table.restart);
  await table.restart();
  refresh(table.refresh);
  return [
    h("div", { class: "bar" }, search, filter, total,
      h("button", { type: "button", onclick: () => table.each((member) => chosen.add(member.address), showBulk) }, "Choose all shown"),
      h("button", { type: "button", onclick: () => approve(network, go) }, "Approve a node in advance")),
    bulk, table.node,
  ];
}

/** Lets a node in before it has asked. */
function approve(network, go) {
  const address = prompt("Node address (ten hexadecimal digits)")?.trim().toLowerCase();
  if (!address) return;
  if (!/^[0-9a-f]{10}$/.test(address)) { toast("A node address has ten hexadecimal digits.", { kind: "bad" }); return; }
  members.approve(network.id, address).then(() => go(`network/${network.id}/member/${address}`)).catch(complain);
}
