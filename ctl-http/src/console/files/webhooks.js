// Who is told over HTTP of what happens, and whether it arrives.
import { h, emptyState } from "./dom.js";
import { networks, webhooks } from "./api.js";
import { confirm, complain, copyable, form, show, toast } from "./ask.js";
import { check, field } from "./fields.js";
import { ago, count, moment, plural } from "./format.js";
import { icon } from "./icons.js";

const TYPES = [
  ["NETWORK_JOIN", "A device asks to join for the first time"], ["NETWORK_AUTH", "A member is authorized"],
  ["NETWORK_DEAUTH", "A member is revoked"], ["MEMBER_CONFIG_CHANGED", "A member is added or changed"],
  ["MEMBER_DELETED", "A member is removed"], ["NETWORK_CREATED", "A network is made"],
  ["NETWORK_CONFIG_CHANGED", "A network is changed"], ["NETWORK_DELETED", "A network is deleted"],
];
/** Deliveries that were given up, as many as are shown. */
const SHOWN = 10;
/** A test is looked for so often, and for so long. */
const [LOOK_MS, LOOKS] = [500, 24];

export async function webhookList({ signal, reload }) {
  const [list, known] = await Promise.all([webhooks.list(signal), networks.list(signal)]);
  const make = h("button", { type: "button", class: "primary", onclick: () => edit(null, known, reload) }, icon("add"), "New webhook");
  const head = h("div", { class: "head" }, h("div", null, h("h1", { tabindex: "-1" }, "Webhooks"),
    h("p", { class: "sub" }, "A server of yours hears what happens here: signed, and again until it has heard it.")), list.length > 0 ? make : null);
  const content = list.length > 0 ? h("div", { class: "stack" }, list.map((hook) => card(hook, known, reload)))
    : h("div", { class: "card" }, emptyState(icon("webhooks"), "Nobody is told", "Have a chat or a script told when a device asks to join, and whatever else you choose. Receivers for webhooks of ZeroTier Central understand these.", make));
  return { title: "Webhooks", content: [head, content] };
}

/** The state of deliveries, in a word. */
function state(hook) {
  if (!hook.enabled) return h("span", { class: "badge" }, "switched off");
  if (hook.lastFailure) return h("span", { class: "badge bad" }, "does not arrive");
  if (hook.lastDelivered) return h("span", { class: "badge good" }, "arrives");
  return h("span", { class: "badge" }, "nothing sent yet");
}

function card(hook, known, reload) {
  const title = hook.description || new URL(hook.url).host;
  const named = (what) => ({ "aria-label": `${what} ${title}` });
  const change = (fields, said) => webhooks.change(hook.id, fields).then(() => { toast(said); reload(); }).catch(complain);
  const again = (delivery) => webhooks.retry(hook.id, delivery).then(() => { toast(`${title} is told again.`); reload(); }).catch(complain);
  const testing = h("button", { type: "button", class: "small", disabled: !hook.enabled, ...named("Send a test to"), onclick: () => test(hook, testing, reload) }, "Send a test");
  return h("section", { class: "card", "aria-label": title },
    h("div", { class: "card-head" }, h("h2", null, title), state(hook),
      h("span", { class: "end push" }, testing,
        h("button", { type: "button", class: "small", ...named("Edit"), onclick: () => edit(hook, known, reload) }, "Edit"),
        h("button", { type: "button", class: "small quiet", ...named(hook.enabled ? "Switch off" : "Switch on"), onclick: () => change({ enabled: !hook.enabled }, hook.enabled ? `${title} is told nothing from now on.` : `${title} is told again.`) }, hook.enabled ? "Switch off" : "Switch on"),
        h("button", { type: "button", class: "small quiet", ...named("New secret of"), onclick: () => rotate(hook, title, reload) }, "New secret"),
        h("button", { type: "button", class: "small danger", ...named("Remove"), onclick: () => remove(hook, title, reload) }, "Remove"))),
    h("dl", { class: "facts" },
      fact("URL", h("code", null, hook.url)),
      fact("Told of", hook.events.length === 0 ? "everything" : hook.events.map((kind) => [h("span", { class: "badge" }, kind), " "])),
      fact("Network", hook.network ? h("a", { href: `#/network/${hook.network}` }, known.find(({ id }) => id === hook.network)?.name?.trim() || h("code", null, hook.network)) : "all"),
      fact("Last arrived", h("span", { title: moment(hook.lastDelivered) }, ago(hook.lastDelivered))),
      fact("Waiting", [hook.waiting === 0 ? "nothing" : plural(hook.waiting, "delivery", "deliveries"), hook.waiting > 0 && hook.enabled ? `, next attempt ${moment(hook.nextAttempt)}` : null]),
      hook.lastFailure ? fact("Last failure", h("span", { class: "bad" }, hook.lastFailure)) : null,
      hook.dropped > 0 ? fact("Lost", h("span", { class: "bad" }, `${plural(hook.dropped, "delivery", "deliveries")}, as too many waited`)) : null),
    hook.dead.length === 0 ? null : h("details", null, h("summary", null, h("span", { class: "bad" }, `${plural(hook.dead.length, "delivery was", "deliveries were")} given up`)),
      h("ul", { class: "plain" }, hook.dead.slice(0, SHOWN).map((one) => h("li", null,
        h("span", { class: "grow" }, h("strong", null, one.body?.hook_type ?? "?"), " ", h("code", null, one.body?.member_id ?? one.body?.network_id ?? ""), h("div", { class: "sub" }, `${one.failure ?? ""} (${plural(one.attempts, "attempt")})`)),
        h("small", { title: moment(one.created) }, ago(one.created)),
        h("button", { type: "button", class: "small quiet", disabled: !hook.enabled, ...named(`Try again: ${one.body?.hook_type ?? "?"} for`), onclick: () => again(one.id) }, "Try again")))),
      hook.dead.length > 1 ? h("button", { type: "button", class: "small", disabled: !hook.enabled, ...named("Try all again for"), onclick: () => again() }, "Try all again") : null,
      hook.dead.length > SHOWN ? h("p", { class: "sub" }, `and ${count(hook.dead.length - SHOWN)} more`) : null));
}

function fact(name, value) {
  return [h("dt", null, name), h("dd", null, value)];
}

/** Sends something that did not happen, and waits until it is known whether it arrived. */
async function test(hook, button, reload) {
  button.disabled = true;
  button.textContent = "Sending…";
  try {
    const before = await webhooks.test(hook.id);
    let now = before;
    for (let look = 0; look < LOOKS; look += 1) {
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
      now = await webhooks.get(hook.id);
      if (now.lastDelivered > before.lastDelivered) break;
      if (now.lastFailure && now.nextAttempt > Date.now()) break;
    }
    if (now.lastDelivered > before.lastDelivered) toast("The test arrived.");
    else toast(`The test did not arrive${now.lastFailure ? `: ${now.lastFailure}` : " yet"}. It is tried again.`, { kind: "bad" });
  } catch (error) {
    complain(error);
  }
  reload();
}

/** Asks for what a webhook is told and where; of a new one, shows its secret. */
function edit(hook, known, reload) {
  const url = h("input", { type: "url", required: true, value: hook?.url ?? "", placeholder: "https://hooks.example/zerotier", autocomplete: "off" });
  const description = h("input", { type: "text", value: hook?.description ?? "", autocomplete: "off" });
  const network = h("select", null, h("option", { value: "" }, "All networks"), known.map(({ id, name }) => h("option", { value: id }, name || id)));
  network.value = hook?.network ?? "";
  const everything = check("Everything", !hook || hook.events.length === 0);
  const kinds = TYPES.map(([kind, words]) => ({ kind, ...check([words, " ", h("code", null, kind)], hook?.events.includes(kind) ?? false) }));
  const list = h("div", { class: "rows", role: "group", "aria-label": "Told of" }, kinds.map(({ node }) => node));
  const shown = () => { list.hidden = everything.input.checked; };
  everything.input.addEventListener("change", shown);
  shown();
  let made = null;
  form({
    title: hook ? "Edit the webhook" : "New webhook",
    action: hook ? "Save" : "Create",
    fields: [field("URL", url, "A POST goes there. Over http:// anybody in between reads along."), field("Description", description, "For you, for example “chat”; may be empty."),
      field("Network", network), h("div", { class: "rows" }, h("strong", null, "Told of"), everything.node, list)],
    places: [["/url", url], ["/description", description], ["/network", network]],
    async submit() {
      const events = everything.input.checked ? [] : kinds.filter(({ input }) => input.checked).map(({ kind }) => kind);
      if (!everything.input.checked && events.length === 0) throw new Error("Choose at least one thing, or everything.");
      const fields = { url: url.value.trim(), description: description.value.trim(), network: network.value || null, events };
      made = hook ? await webhooks.change(hook.id, fields) : await webhooks.create(fields);
    },
  }).then(async () => {
    if (!made) return;
    if (hook) toast("Saved.");
    else await reveal(made);
    reload();
  });
}

function reveal(hook) {
  return show("The secret of the webhook",
    h("p", { class: "note good" }, "This is the only time that it is shown. Give it to the receiver, which checks signatures with it."),
    copyable(hook.secret, "Secret of the webhook"));
}

async function rotate(hook, title, reload) {
  const sure = await confirm({ title: `Give ${title} another secret?`, text: "The old one ends at once: until the receiver has the new one, it refuses what comes.", action: "New secret" });
  if (!sure) return;
  webhooks.rotate(hook.id).then(reveal).then(reload).catch(complain);
}

async function remove(hook, title, reload) {
  const waiting = hook.waiting > 0 ? ` ${plural(hook.waiting, "delivery that waits is", "deliveries that wait are")} lost.` : "";
  const sure = await confirm({ title: `Remove the webhook ${title}?`, text: `It is told nothing from now on.${waiting} This cannot be undone.`, action: "Remove the webhook" });
  if (!sure) return;
  webhooks.remove(hook.id).then(() => { toast("The webhook was removed."); reload(); }).catch(complain);
}
