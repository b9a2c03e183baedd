// Which page is shown, and for how long. A view is `async (context) => { title, content }`; see `route`.
import { h, fill } from "./dom.js";
import { node, session } from "./api.js";
import { complain, confirm, toast } from "./ask.js";
import { frame, keys, PLACES } from "./frame.js";
import { live } from "./live.js";
import { logIn } from "./log-in.js";
import { unsaved } from "./unsaved.js";
import { dashboard } from "./dashboard.js";
import { networkList } from "./networks.js";
import { networkPage } from "./network.js";
import { memberPage } from "./member.js";
import { planetPage } from "./planet.js";
import { peers } from "./peers.js";
import { backupList } from "./backups.js";
import { tokenList } from "./tokens.js";
import { webhookList } from "./webhooks.js";
import { auditLog } from "./audit.js";
import { aboutPage } from "./about.js";

const VIEWS = [
  { path: /^$/, view: dashboard },
  { path: /^networks$/, view: networkList },
  { path: /^network\/(?<network>[0-9a-f]{16})(?:\/(?<tab>\w+))?$/, view: networkPage },
  { path: /^network\/(?<network>[0-9a-f]{16})\/member\/(?<member>[0-9a-f]{10})$/, view: memberPage },
  { path: /^planet$/, view: planetPage },
  { path: /^peers$/, view: peers },
  { path: /^tokens$/, view: tokenList },
  { path: /^webhooks$/, view: webhookList },
  { path: /^backups$/, view: backupList },
  { path: /^audit$/, view: auditLog },
  { path: /^about$/, view: aboutPage },
];
/** How often a page looks again by itself: without events, and with them for what they do not tell. */
const POLL_MS = 3000;
const POLL_BESIDE_EVENTS_MS = 15_000;
/** Events of one change come together; those of many are not looked at one by one. */
const SETTLE_MS = 250;
const AT_MOST_EVERY_MS = 1000;
/** Within this long a page is there, mostly; only what takes longer says that it is being fetched. */
const PATIENCE_MS = 400;

const root = document.getElementById("root");
let current = null;
/** The page that is shown, and whether it could not be because nobody answered. */
let [shown, isCut] = [null, false];

function pathOf(hash) {
  try { return decodeURIComponent(hash.replace(/^#\/?/, "")); } catch { return hash; }
}

/** Shows the page that the address names, and ends what the last one had running. */
async function route() {
  current?.abort();
  const controller = new AbortController();
  current = controller;
  const path = pathOf(location.hash);
  const found = VIEWS.map((entry) => ({ ...entry, match: path.match(entry.path) })).find((entry) => entry.match);
  const main = document.getElementById("main");
  frame.mark(path);
  // A dialog belongs to the page that it was opened on.
  if (shown !== path) for (const dialog of document.querySelectorAll("dialog")) dialog.close();
  const context = {
    signal: controller.signal,
    parameters: found?.match.groups ?? {},
    go: (to) => { unsaved.forget(); location.hash = `#/${to}`; },
    reload: route,
    refresh: (work, options) => refresh(work, controller.signal, options),
  };
  main.classList.add("busy");
  const slow = setTimeout(() => { if (shown !== path) fill(main, waiting()); }, PATIENCE_MS);
  try {
    const { title, content } = found ? await found.view(context) : notFound();
    if (controller.signal.aborted) return;
    document.title = `${title} – network controller`;
    fill(main, content);
    main.querySelector(".tabs [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
    const moved = shown !== path;
    [shown, isCut] = [path, false];
    if (moved) {
      scrollTo({ top: 0, behavior: "instant" });
      main.querySelector("h1")?.focus({ preventScroll: true });
    }
  } catch (error) {
    if (error.name === "AbortError" || controller.signal.aborted) return;
    [shown, isCut] = [null, error.status === 0];
    fill(main, failure(error));
    main.querySelector("h1").focus({ preventScroll: true });
  } finally {
    clearTimeout(slow);
    if (current === controller) main.classList.remove("busy");
  }
}

function waiting() {
  return [h("p", { class: "hidden", role: "status" }, "Fetching the page…"), h("div", { class: "skeleton head" }), h("div", { class: "skeleton tall" }), h("div", { class: "skeleton tall" })];
}

/** What is there instead of a page that cannot be shown. */
function failure(error) {
  const titles = { 0: "The controller does not answer", 403: "Not with this token", 404: "That is not there (any more)", 429: "Wait a moment" };
  const further = { 0: "This page tries again by itself. If it stays so: is the controller running, and can this device reach it?", 403: "Log in with a token that may do more, or ask whoever runs this controller." };
  return h("div", { class: "card failure" }, h("h1", { tabindex: "-1" }, titles[error.status] ?? "That did not work"),
    titles[error.status] === error.message.replace(/\.$/, "") ? null : h("p", { class: "problem" }, error.message), further[error.status] ? h("p", null, further[error.status]) : null,
    h("div", { class: "bar" }, h("button", { type: "button", class: "primary", onclick: route }, "Try again"), h("a", { href: "#/" }, "Dashboard")));
}

function notFound() {
  return { title: "Not found", content: h("div", { class: "card failure" }, h("h1", { tabindex: "-1" }, "There is no such page"), h("p", null, h("a", { href: "#/" }, "Dashboard"))) };
}

/**
 * Calls `work` again after each event that `concerns` the page, and every `everyMs` beside them, until `signal` ends; never twice
 * at once.
 */
function refresh(work, signal, { concerns = () => true, everyMs = POLL_BESIDE_EVENTS_MS } = {}) {
  let [running, again, last, timer] = [false, false, Date.now(), null];
  const run = async () => {
    timer = null;
    if (signal.aborted || document.hidden) return;
    if (running) { again = true; return; }
    running = true;
    // Who does not answer is told of once, above the page.
    try { await work(); } catch (error) { if (error.status !== 0) complain(error); }
    [running, last] = [false, Date.now()];
    if (again) { again = false; soon(); }
  };
  const soon = () => { timer ??= setTimeout(run, Math.max(SETTLE_MS, last + AT_MOST_EVERY_MS - Date.now())); };
  live.listen((event) => { if (concerns(event)) soon(); }, signal);
  const clock = setInterval(() => { if (Date.now() - last >= (live.state === "live" ? everyMs : POLL_MS)) soon(); }, 1000);
  signal.addEventListener("abort", () => { clearInterval(clock); clearTimeout(timer); });
}

let going = false;
addEventListener("keydown", (event) => {
  if (!current || event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select, dialog")) return;
  if (going && event.key in PLACES) location.hash = `#/${PLACES[event.key]}`;
  going = event.key === "g";
  if (event.key === "?") keys();
  const search = document.querySelector("main input[type=search]");
  if (event.key === "/" && search) { event.preventDefault(); search.focus(); }
});

/** Goes to another page, unless that loses something that somebody wants to keep. */
let returning = false;
addEventListener("hashchange", async ({ oldURL, newURL }) => {
  if (returning) { returning = false; return; }
  if (!current) return;
  if (unsaved.any) {
    const to = new URL(newURL).hash;
    returning = true;
    location.hash = new URL(oldURL).hash;
    if (!await confirm({ title: "Leave without saving?", text: "What you changed on this page is not saved, and is lost.", action: "Leave", stay: "Stay" })) return;
    unsaved.forget();
    location.hash = to;
    return;
  }
  route();
});

function leave(message = "") {
  current?.abort();
  [current, shown] = [null, null];
  unsaved.forget();
  for (const dialog of document.querySelectorAll("dialog")) dialog.close();
  live.stop();
  session.close();
  logIn(root, enter, message);
}

async function enter(failed) {
  try {
    const status = await node.status();
    frame.show(root, status, () => leave());
    await route();
  } catch (error) {
    failed(error);
  }
}

live.watch((state, before) => {
  if (before !== "lost" || !current) return;
  toast("The controller answers again.");
  if (isCut) route();
});
document.documentElement.dataset.theme = localStorage.getItem("theme") ?? "auto";
session.whenRefused(() => { if (current) leave("This token is no longer accepted: it was revoked, or it expired. Log in again to go on where you were."); });
if (session.token) resume();
else logIn(root, enter);

/** Goes on after a reload; tries again while nobody answers. */
function resume() {
  enter((error) => {
    if (error.status !== 0) { leave(error.message); return; }
    fill(root, h("main", { id: "main", class: "log-in" }, h("h1", null, "The controller does not answer"), h("p", { role: "status" }, "This page tries again every three seconds."),
      h("p", { class: "sub" }, "If it stays so: is the controller running, and can this device reach it?")));
    setTimeout(resume, POLL_MS);
  });
}
