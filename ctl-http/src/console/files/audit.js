// Who changed what.
import { h } from "./dom.js";
import { audit } from "./api.js";
import { complain } from "./ask.js";
import { moment } from "./format.js";

export async function auditLog({ signal }) {
  const rows = h("tbody");
  const more = h("button", { type: "button", onclick: () => load().catch(complain) }, "Older entries");
  let before = null;
  const load = async () => {
    const page = await audit.page(before, signal);
    rows.append(...page.entries.map(row));
    before = page.next;
    more.hidden = before === null;
  };
  await load();
  return {
    title: "Audit log",
    content: [h("h1", { tabindex: "-1" }, "Audit log"),
      h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Audit log entries" }, h("table", null, h("thead", null, h("tr", null,
        ["When", "Who", "What", "Where", "Before and after"].map((name) => h("th", { scope: "col" }, name)))), rows)), more],
  };
}

function row(entry) {
  const place = entry.member ? `network/${entry.network}/member/${entry.member}` : `network/${entry.network}`;
  return h("tr", null,
    h("td", null, moment(entry.time)),
    h("td", null, entry.actor),
    h("td", null, entry.action),
    h("td", null, entry.network ? h("a", { href: `#/${place}` }, h("code", null, entry.member ?? entry.network)) : "–"),
    h("td", null, h("details", null, h("summary", null, changed(entry)), h("pre", null, difference(entry)))));
}

/** The names of the fields that changed. */
function changed(entry) {
  const names = new Set([...Object.keys(entry.before ?? {}), ...Object.keys(entry.after ?? {})]);
  return names.size > 4 ? `${names.size} fields` : [...names].join(", ") || "–";
}

function difference(entry) {
  const lines = (sign, fields) => Object.entries(fields ?? {}).map(([name, value]) => `${sign} ${name}: ${JSON.stringify(value)}`);
  return [...lines("−", entry.before), ...lines("+", entry.after)].join("\n");
}
