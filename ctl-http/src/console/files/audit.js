// Who changed what.
import { h, emptyState } from "./dom.js";
import { audit } from "./api.js";
import { complain } from "./ask.js";
import { ago, moment } from "./format.js";
import { icon } from "./icons.js";
import { listing } from "./listing.js";

const WORDS = {
  "network.create": "Network made", "network.update": "Network changed", "network.remove": "Network deleted",
  "member.create": "Member added", "member.update": "Member changed", "member.remove": "Member removed",
  "token.create": "Token made", "token.rotate": "Token rotated", "token.revoke": "Token revoked",
  "backup.create": "Backup made", "backup.fetch": "Backup fetched", "backup.remove": "Backup deleted",
  "log-level.update": "Log levels changed",
  "webhook.create": "Webhook made", "webhook.update": "Webhook changed", "webhook.rotate": "Webhook rotated", "webhook.remove": "Webhook deleted",
};
/** Fields that change with every change, and say nothing by themselves. */
const NOISE = new Set(["revision", "objtype", "nwid", "id", "address", "lastAuthorizedTime", "lastAuthorizedCredentialType", "lastDeauthorizedTime"]);
const OF_HISTORY = 10;

export async function auditLog({ signal }) {
  const table = listing("Audit log entries", ["When", "Who", "What", "Where", "Before and after"]);
  let empty = true;
  const more = olderButton(async (before) => {
    const page = await audit.page(before, {}, signal);
    table.add(page.entries.map(row));
    empty &&= page.entries.length === 0;
    return page.next;
  });
  await more.load();
  return {
    title: "Audit log",
    content: [h("div", { class: "head" }, h("h1", { tabindex: "-1" }, "Audit log")),
      empty
        ? h("div", { class: "card" }, emptyState(icon("audit"), "Nothing happened yet", "Every change of networks, members and tokens is written down here, with who made it."))
        : table.node, more.node],
  };
}

/** What happened to one thing, the newest first. */
export async function history(subject, signal) {
  const list = h("ul", { class: "plain" });
  const more = olderButton(async (before) => {
    const page = await audit.page(before, { ...subject, limit: OF_HISTORY }, signal);
    list.append(...page.entries.map((entry) => h("li", null,
      h("span", { class: "grow" }, h("strong", null, words(entry)), entry.member && !subject.member ? [" ", h("code", null, entry.member)] : null, ` by ${entry.actor}`, details(entry)),
      h("small", { title: moment(entry.time) }, ago(entry.time)))));
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

function row(entry) {
  const place = entry.member ? `network/${entry.network}/member/${entry.member}` : `network/${entry.network}`;
  return [moment(entry.time), entry.actor, words(entry),
    entry.network ? h("a", { href: `#/${place}` }, h("code", null, entry.member ?? entry.network)) : null, details(entry)];
}

/** What was done: in words where that is what everybody wants to know. */
function words({ action, before, after }) {
  if (action.startsWith("member.") && after && after.authorized !== before?.authorized && after.authorized !== undefined && (before || after.authorized)) {
    return after.authorized ? "Member authorized" : "Member de-authorized";
  }
  return WORDS[action] ?? action;
}

function details({ before, after }) {
  const fields = [...new Set([...Object.keys(before ?? {}), ...Object.keys(after ?? {})])].filter((name) => !NOISE.has(name));
  if (fields.length === 0) return null;
  const line = (sign, kind, name, values) => values && name in values ? h("span", { class: kind }, `${sign} ${name}: ${JSON.stringify(values[name])}\n`) : null;
  return h("details", null, h("summary", null, fields.length > 4 ? `${fields.length} fields` : fields.join(", ")),
    h("pre", null, fields.map((name) => [line("−", "was", name, before), line("+", "is", name, after)])));
}
