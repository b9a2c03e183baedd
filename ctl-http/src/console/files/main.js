// Log-in, frame and navigation. A view is `async (context) => { title, content }`; see `route`.
import { h, fill } from "./dom.js";
import { node, session, ApiError } from "./api.js";
import { complain, show } from "./ask.js";
import { icon } from "./icons.js";
import { live } from "./live.js";
import { dashboard } from "./dashboard.js";
import { networkList } from "./networks.js";
import { networkPage } from "./network.js";
import { memberPage } from "./member.js";
import { planetPage } from "./planet.js";
import { peers } from "./peers.js";
import { backupList } from "./backups.js";
import { tokenList } from "./tokens.js";
import { auditLog } from "./audit.js";

const VIEWS = [
  { path: /^$/, view: dashboard, entry: ["", "Dashboard", "dashboard"] },
  { path: /^networks$/, view: networkList, entry: ["networks", "Networks", "networks"] },
  { path: /^network\/(?<network>[0-9a-f]{16})(?:\/(?<tab>\w+))?$/, view: networkPage },
  { path: /^network\/(?<network>[0-9a-f]{16})\/member\/(?<member>[0-9a-f]{10})$/, view: memberPage },
  { path: /^planet$/, view: planetPage, entry: ["planet", "Planet", "planet"], gap: true },
  { path: /^peers$/, view: peers, entry: ["peers", "Peers", "peers"] },
  { path: /^tokens$/, view: tokenList, entry: ["tokens", "Tokens", "tokens"], gap: true },
  { path: /^backups$/, view: backupList, entry: ["backups", "Backups", "backups"] },
  { path: /^audit$/, view: auditLog, entry: ["audit", "Audit log", "audit"] },
];
/** How often a page looks again by itself: without events, and with them for what they do not tell. */
const POLL_MS = 3000;
const POLL_BESIDE_EVENTS_MS = 15_000;
/** Events of one change come together; those of many are not looked at one by one. */
const SETTLE_MS = 250;
const AT_MOST_EVERY_MS = 1000;

const root = document.getElementById("root");
let current = null;

/** Shows the page that the address names, and ends what the last one had running. */
async function route() {
  current?.abort();
  const controller = new AbortController();
  current = controller;
  const path = decodeURIComponent(location.hash.replace(/^#\/?/, ""));
  const found = VIEWS.map((entry) => ({ ...entry, match: path.match(entry.path) })).find((entry) => entry.match);
  const main = document.getElementById("main");
  for (const link of document.querySelectorAll("header nav a")) {
    const active = link.dataset.path === path || (link.dataset.path !== "" && path.startsWith(link.dataset.path.replace(/s$/, "/")));
    if (active) {
      link.setAttribute("aria-current", "page");
      link.scrollIntoView({ block: "nearest", inline: "center" });
    } else link.removeAttribute("aria-current");
  }
  const context = {
    signal: controller.signal,
    parameters: found?.match.groups ?? {},
    go: (to) => { location.hash = `#/${to}`; },
    reload: route,
    refresh: (work, options) => refresh(work, controller.signal, options),
  };
  main.classList.add("busy");
  try {
    const { title, content } = found ? await found.view(context) : notFound();
    if (controller.signal.aborted) return;
    document.title = `${title} – network controller`;
    fill(main, content);
    main.querySelector(".tabs [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
    const moved = route.last !== path;
    route.last = path;
    if (moved) {
      scrollTo({ top: 0, behavior: "instant" });
      main.querySelector("h1")?.focus({ preventScroll: true });
    }
  } catch (error) {
    if (error.name === "AbortError" || controller.signal.aborted) return;
    fill(main, h("h1", { tabindex: "-1" }, error.status === 404 ? "That is not there (any more)" : "That did not work"), h("p", { class: "problem" }, error.message),
      h("div", { class: "bar" }, h("button", { type: "button", onclick: route }, "Try again"), h("a", { href: "#/" }, "Dashboard")));
  } finally {
    if (current === controller) main.classList.remove("busy");
  }
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
    try { await work(); } catch (error) { if (live.state !== "lost") complain(error); }
    [running, last] = [false, Date.now()];
    if (again) { again = false; soon(); }
  };
  const soon = () => { timer ??= setTimeout(run, Math.max(SETTLE_MS, last + AT_MOST_EVERY_MS - Date.now())); };
  live.listen((event) => { if (concerns(event)) soon(); }, signal);
  const clock = setInterval(() => { if (Date.now() - last >= (live.state === "live" ? everyMs : POLL_MS)) soon(); }, 1000);
  signal.addEventListener("abort", () => { clearInterval(clock); clearTimeout(timer); });
}

function notFound() {
  return { title: "Not found", content: [h("h1", { tabindex: "-1" }, "There is no such page"), h("p", null, h("a", { href: "#/" }, "Dashboard"))] };
}

function frame(status) {
  const links = VIEWS.filter((view) => view.entry).map(({ entry: [path, label, picture], gap }) =>
    h("li", { class: gap ? "gap" : null }, h("a", { href: `#/${path}`, "data-path": path }, icon(picture), label)));
  const state = h("div", { class: "link-state", role: "status" });
  live.whenShown((now) => {
    const [words, title] = { live: ["Live", "Changes show at once"], polling: ["Every 3 s", "This page looks again every three seconds"], lost: ["No answer", "The controller does not answer; trying again"] }[now];
    state.className = `link-state ${now}`;
    state.title = title;
    fill(state, h("span", null, words));
  });
  fill(root,
    h("a", { class: "skip", href: "#main", onclick: (event) => { event.preventDefault(); document.getElementById("main").focus(); } }, "Skip to the content"),
    h("header", null,
      h("a", { class: "brand", href: "#/" }, h("img", { src: "icon.svg", alt: "", width: "32", height: "32" }), h("span", null, "Controller", h("code", null, status.address))),
      h("nav", { "aria-label": "Main" }, h("ul", null, links)),
      h("div", { class: "tools" }, state, themeButton(),
        h("button", { type: "button", class: "quiet", title: "Keys", onclick: keys }, icon("keys"), h("span", null, "Keys")),
        h("button", { type: "button", class: "quiet", title: "Log out", onclick: () => leave() }, icon("leave"), h("span", null, "Log out")))),
    h("main", { id: "main", tabindex: "-1" }, h("div", { class: "skeleton" }), h("div", { class: "skeleton tall" }), h("div", { class: "skeleton tall" })));
  live.start();
}

function themeButton() {
  const themes = ["auto", "light", "dark"];
  const shown = () => localStorage.getItem("theme") ?? "auto";
  const words = h("span");
  const apply = () => {
    document.documentElement.dataset.theme = shown();
    words.textContent = `Theme: ${shown()}`;
  };
  const button = h("button", {
    type: "button", class: "quiet", title: "Theme",
    onclick: () => { localStorage.setItem("theme", themes[(themes.indexOf(shown()) + 1) % themes.length]); apply(); },
  }, icon("theme"), words);
  apply();
  return button;
}

function keys() {
  const rows = [["/", "Search"], ["g, then d n p t b a", "Go to dashboard, networks, planet, tokens, backups, audit log"],
    ["↑ ↓ Page Home End", "Move in the list of members; Enter opens, Space chooses"], ["Esc", "Close a dialog; in the rules, Tab then leaves the editor"], ["?", "This"]];
  show("Keys", h("dl", { class: "keys" }, rows.map(([key, what]) => [h("dt", null, h("kbd", null, key)), h("dd", null, what)])));
}

let going = false;
addEventListener("keydown", (event) => {
  if (!current || event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select, dialog")) return;
  const to = { d: "", n: "networks", p: "planet", t: "tokens", b: "backups", a: "audit" }[event.key];
  if (going && to !== undefined) location.hash = `#/${to}`;
  going = event.key === "g";
  if (event.key === "?") keys();
  const search = document.querySelector("main input[type=search]");
  if (event.key === "/" && search) { event.preventDefault(); search.focus(); }
});

function leave(message = "") {
  current?.abort();
  current = null;
  live.stop();
  session.close();
  logIn(message);
}

function logIn(message = "") {
  document.title = "Log in – network controller";
  const input = h("input", { type: "password", autocomplete: "current-password", required: true, id: "token", "aria-describedby": "token-hint token-problem" });
  const problem = h("p", { class: "problem", role: "alert", id: "token-problem" }, message);
  const button = h("button", { type: "submit", class: "primary" }, "Log in");
  const submit = async (event) => {
    event.preventDefault();
    session.open(input.value.trim());
    button.disabled = true;
    await enter((error) => {
      session.close();
      button.disabled = false;
      problem.textContent = error instanceof ApiError && error.status === 401 ? "That is not a token of this controller." : error.message;
      input.setAttribute("aria-invalid", "true");
      input.select();
    });
  };
  fill(root, h("main", { id: "main", class: "log-in" },
    h("img", { src: "icon.svg", alt: "", width: "52", height: "52" }),
    h("h1", null, "Network controller"),
    h("form", { onsubmit: submit },
      h("label", { for: "token" }, "Token"), input, problem,
      h("small", { id: "token-hint" }, "The content of ", h("code", null, "authtoken.secret"), " in the home folder of the controller, or a token that was made here. It stays in this tab."),
      button)));
  input.focus();
}

async function enter(failed) {
  try {
    const status = await node.status();
    frame(status);
    await route();
  } catch (error) {
    failed(error);
  }
}

document.documentElement.dataset.theme = localStorage.getItem("theme") ?? "auto";
addEventListener("hashchange", () => { if (current) route(); });
session.whenRefused(() => { if (current) leave("The token is no longer accepted."); });
if (session.token) enter((error) => leave(error.message));
else logIn();
