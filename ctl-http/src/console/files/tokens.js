// Who may use the API, and what with.
import { h, emptyState } from "./dom.js";
import { networks, tokens } from "./api.js";
import { confirm, complain, copyable, form, show, toast } from "./ask.js";
import { check, field } from "./fields.js";
import { ago, day, moment } from "./format.js";
import { icon } from "./icons.js";
import { listing } from "./listing.js";

const LEVELS = [["read", "Read"], ["authorize", "Let members in and out"], ["admin", "Everything"]];
const EXPIRY = [["", "Never"], ["1", "After a day"], ["30", "After 30 days"], ["365", "After a year"]];
const DAY_MS = 86_400_000;

export async function tokenList({ signal, reload }) {
  const [list, known] = await Promise.all([tokens.list(signal), networks.list(signal)]);
  const make = h("button", { type: "button", class: "primary", onclick: () => create(known, reload) }, icon("add"), "New token");
  const head = h("div", { class: "head" }, h("div", null, h("h1", { tabindex: "-1" }, "Tokens"),
    h("p", { class: "sub" }, "For scripts, tools and other people: each may do what its scope says, and no more.")), list.length > 0 ? make : null);
  if (list.length === 0) {
    return { title: "Tokens", content: [head, h("div", { class: "card" }, emptyState(icon("tokens"), "There is only the token of the home folder",
      ["That one (", h("code", null, "authtoken.secret"), ") may do everything. Give others one of their own: it can be revoked by itself, and the audit log names it."], make))] };
  }
  const table = listing("List of tokens", ["Name", "Scope", "Last used", "Expires", "Made", ""]);
  table.show(list.map((token) => row(token, known, reload)));
  return { title: "Tokens", content: [head, table.node] };
}

function row(token, known, reload) {
  const over = token.expires > 0 && token.expires <= Date.now();
  return [
    h("strong", null, token.name),
    h("span", { class: "wide" }, token.scope.map((grant) => [h("span", { class: "badge" }, inWords(grant, known)), " "])),
    h("span", { title: moment(token.lastUsed) }, ago(token.lastUsed)),
    token.expires === 0 ? "never" : h("span", { class: over ? "badge bad" : null }, over ? "expired" : day(token.expires)),
    day(token.created),
    h("span", { class: "end" }, h("button", { type: "button", class: "small quiet", "aria-label": `Rotate ${token.name}`, onclick: () => rotate(token, reload) }, "Rotate"), " ",
      h("button", { type: "button", class: "small danger", "aria-label": `Revoke ${token.name}`, onclick: () => revoke(token, reload) }, "Revoke")),
  ];
}

/** `read@a940ad429a0000f1` with the name of the network. */
function inWords(grant, known) {
  const [level, id] = grant.split("@");
  if (!id) return level;
  return `${level}: ${known.find((network) => network.id === id)?.name?.trim() || id}`;
}

function create(known, reload) {
  const name = h("input", { type: "text", required: true, autocomplete: "off", placeholder: "backup-script" });
  const level = h("select", null, LEVELS.map(([value, label]) => h("option", { value }, label)));
  const expiry = h("select", null, EXPIRY.map(([value, label]) => h("option", { value }, label)));
  const some = known.map((network) => ({ id: network.id, ...check(network.name?.trim() || network.id, false) }));
  const which = h("select", null, h("option", { value: "all" }, "All networks"), h("option", { value: "some" }, "Only these"));
  const list = h("div", { class: "rows", hidden: true, role: "group", "aria-label": "Networks" }, some.map(({ node }) => node));
  which.addEventListener("change", () => { list.hidden = which.value === "all"; });
  let made = null;
  form({
    title: "New token",
    action: "Create",
    fields: [field("Name", name, "Letters, digits, “-”, “_” and “.”; the audit log shows it."), field("It may", level), known.length ? field("Of", which) : null, list, field("It expires", expiry)],
    places: [["/name", name], ["/scope", level], ["/expires", expiry]],
    async submit() {
      const ids = which.value === "some" ? some.filter(({ input }) => input.checked).map(({ id }) => id) : null;
      if (ids?.length === 0) throw new Error("Choose at least one network.");
      made = await tokens.create({
        name: name.value.trim(),
        scope: ids ? ids.map((id) => `${level.value}@${id}`) : [level.value],
        expires: expiry.value ? Date.now() + Number(expiry.value) * DAY_MS : 0,
      });
    },
  }).then(async () => { if (made) { await reveal(made); reload(); } });
}

function reveal(token) {
  return show(`Token ${token.name}`,
    h("p", { class: "note good" }, "This is the only time that it is shown. Copy it now."), copyable(token.secret, `Secret of ${token.name}`),
    h("p", { class: "sub" }, "Use it as ", h("code", null, "X-ZT1-Auth: …"), " or ", h("code", null, "Authorization: Bearer …"), "."));
}

async function rotate(token, reload) {
  const sure = await confirm({ title: `Give ${token.name} another secret?`, text: "The old one stays valid for a day, so that whoever uses it can change over.", action: "Rotate" });
  if (!sure) return;
  tokens.rotate(token.name).then(reveal).then(reload).catch(complain);
}

async function revoke(token, reload) {
  const sure = await confirm({ title: `Revoke ${token.name}?`, text: "Whoever uses it is refused from now on. This cannot be undone.", action: "Revoke" });
  if (!sure) return;
  tokens.revoke(token.name).then(() => { toast(`${token.name} was revoked.`); reload(); }).catch(complain);
}
