// Who changed what.
import { h, emptyState } from "./dom.js";
import { audit } from "./api.js";
import { complain } from "./ask.js";
import { fields, summary, together, words } from "./changes.js";
import { ago, count, moment } from "./format.js";
import { icon } from "./icons.js";
import { listing } from "./listing.js";

const OF_HISTORY = 10;
/** More members of one change are not listed. */
const LISTED = 100;

export async function auditLog({ signal }) {
  const table = listing("Audit log entries", ["When", "Who", "What", "Where", "Before and after"]);
  let empty = true;
  const more = olderButton(async (before) => {
    const page = await audit.page(before, {}, signal);
    table.add(together(page.entries).map(row));
    empty &&= page.entries.length === 0;
    return page.next;
  });
  await more.load();
  return {
    title: "Audit log",
    content: [h("div", { class: "head" }, h("div", null, h("h1", { tabindex: "-1" }, "Audit log"), h("p", { class: "sub" }, "Every change of networks, members, tokens, webhooks and backups, with who made it."))),
      empty ? h("div", { class: "card" }, emptyState(icon("audit"), "Nothing happened yet", "Whatever you and others change is written down here.")) : table.node, more.node],
  };
}

/** What happened to one thing, the newest first. */
export async function history(subject, signal) {
  const list = h("ul", { class: "plain" });
  const more = olderButton(async (before) => {
    const page = await audit.page(before, { ...subject, limit: OF_HISTORY }, signal);
    list.append(...together(page.entries).map((group) => h("li", null,
      h("span", { class: "grow" }, h("strong", null, title(group)), group[0].member && !subject.member && group.length === 1 ? [" ", h("code", null, group[0].member)] : null, ` by ${group[0].actor}`, details(group)),
      h("small", { title: moment(group[0].time) }, ago(group[0].time)))));
    return page.next;
  });
  await more.load();
  return list.children.length === 0 ? h("p", { class: "sub" }, "Nothing is written down.") : [list, more.node];
}

/** A button that loads what is older; `load(before)` resolves to where the next page begins, or null. */
function olderButton(load) {
  let before = null;
  const node = h("button", { type: "button", onclick: () => next().catch(complain) }, "Older entries");
  const next = async () => {
    before = await load(before);
    node.hidden = before === null;
  };
  return { node, load: next };
}

function title(group) {
  return group.length === 1 ? words(group[0]) : words(group[0]).replace("Member", `${count(group.length)} members`);
}

function row(group) {
  const [{ time, actor, network, member }] = group;
  const place = member && group.length === 1 ? [`network/${network}/member/${member}`, member] : [`network/${network}`, network];
  return [h("span", { title: ago(time) }, moment(time)), actor, title(group),
    network ? h("a", { href: `#/${place[0]}` }, h("code", null, place[1])) : null, details(group)];
}

function details(group) {
  if (group.length > 1) {
    return h("details", null, h("summary", null, "which"), h("p", { class: "sub" }, group.slice(0, LISTED).map((entry) => [member(entry), " "]), group.length > LISTED ? `and ${count(group.length - LISTED)} more` : null));
  }
  const [entry] = group;
  const names = fields(entry);
  if (names.length === 0) return null;
  const { before, after } = entry;
  const line = (sign, kind, name, values) => values && name in values ? h("span", { class: kind }, `${sign} ${name}: ${JSON.stringify(values[name])}\n`) : null;
  return h("details", null, h("summary", null, summary(entry)),
    h("pre", null, names.map((name) => [line("−", "was", name, before), line("+", "is", name, after)])));
}

function member(entry) {
  return h("a", { href: `#/network/${entry.network}/member/${entry.member}` }, h("code", null, entry.member));
}
