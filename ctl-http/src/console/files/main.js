// Log-in, frame and navigation. A view is `async (context) => { title, node }`; see `route`.
import { h, fill } from "./dom.js";
import { node, session, ApiError } from "./api.js";
import { complain } from "./ask.js";
import { dashboard } from "./dashboard.js";
import { networkList } from "./networks.js";
import { networkPage } from "./network.js";
import { memberPage } from "./member.js";
import { peers } from "./peers.js";
import { auditLog } from "./audit.js";

const VIEWS = [
  { path: /^$/, view: dashboard, entry: ["", "Dashboard"] },
  { path: /^networks$/, view: networkList, entry: ["networks", "Networks"] },
  { path: /^network\/(?<network>[0-9a-f]{16})(?:\/(?<tab>\w+))?$/, view: networkPage },
  { path: /^network\/(?<network>[0-9a-f]{16})\/member\/(?<member>[0-9a-f]{10})$/, view: memberPage },
  { path: /^peers$/, view: peers, entry: ["peers", "Peers and roots"] },
  { path: /^audit$/, view: auditLog, entry: ["audit", "Audit log"] },
];

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
    if (active) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const context = {
    signal: controller.signal,
    parameters: found?.match.groups ?? {},
    go: (to) => { location.hash = `#/${to}`; },
    reload: route,
    /** Calls `work` again and again while the page is shown. */
    refresh(work, everyMs = 3000) {
      const run = () => work().catch((error) => { if (error.name !== "AbortError") complain(error); });
      const timer = setInterval(() => { if (!document.hidden) run(); }, everyMs);
      controller.signal.addEventListener("abort", () => clearInterval(timer));
    },
  };
  try {
    const { title, content } = found ? await found.view(context) : notFound();
    if (controller.signal.aborted) return;
    document.title = `${title} – network controller`;
    fill(main, content);
    main.querySelector("h1")?.focus({ preventScroll: true });
  } catch (error) {
    if (error.name === "AbortError" || controller.signal.aborted) return;
    fill(main, h("h1", { tabindex: "-1" }, "That did not work"), h("p", { class: "problem" }, error.message),
      h("button", { type: "button", onclick: route }, "Try again"));
  }
}

function notFound() {
  return { title: "Not found", content: [h("h1", { tabindex: "-1" }, "There is no such page"), h("a", { href: "#/" }, "Dashboard")] };
}

function frame(status) {
  const links = VIEWS.filter((view) => view.entry).map(({ entry: [path, label] }) =>
    h("li", null, h("a", { href: `#/${path}`, "data-path": path }, label)));
  fill(root,
    h("a", { class: "skip", href: "#main", onclick: (event) => { event.preventDefault(); document.getElementById("main").focus(); } }, "Skip to the content"),
    h("header", null,
      h("a", { class: "brand", href: "#/" }, h("img", { src: "icon.svg", alt: "", width: "28", height: "28" }), h("span", null, "Controller"), h("code", null, status.address)),
      h("nav", { "aria-label": "Main" }, h("ul", null, links)),
      h("div", { class: "tools" }, themeButton(), h("button", { type: "button", class: "quiet", onclick: () => leave() }, "Log out"))),
    h("main", { id: "main", tabindex: "-1" }, h("p", null, "Loading…")));
}

function themeButton() {
  const themes = ["auto", "light", "dark"];
  const shown = () => localStorage.getItem("theme") ?? "auto";
  const apply = () => {
    document.documentElement.dataset.theme = shown();
    button.textContent = `Theme: ${shown()}`;
  };
  const button = h("button", {
    type: "button", class: "quiet",
    onclick: () => { localStorage.setItem("theme", themes[(themes.indexOf(shown()) + 1) % themes.length]); apply(); },
  });
  apply();
  return button;
}

function leave(message = "") {
  current?.abort();
  current = null;
  session.close();
  logIn(message);
}

function logIn(message = "") {
  document.title = "Log in – network controller";
  const input = h("input", { type: "password", autocomplete: "current-password", required: true, id: "token", "aria-describedby": "token-hint" });
  const problem = h("p", { class: "problem", role: "alert" }, message);
  const submit = async (event) => {
    event.preventDefault();
    session.open(input.value.trim());
    await enter((error) => {
      session.close();
      problem.textContent = error instanceof ApiError && error.status === 401 ? "That is not the token of this controller." : error.message;
      input.select();
    });
  };
  fill(root, h("main", { id: "main", class: "log-in" },
    h("img", { src: "icon.svg", alt: "", width: "56", height: "56" }),
    h("h1", null, "Network controller"),
    h("form", { onsubmit: submit },
      h("label", { for: "token" }, "Token"), input,
      h("small", { id: "token-hint" }, "The content of ", h("code", null, "authtoken.secret"), " in the home folder of the controller. It is kept in this tab only."),
      problem, h("button", { type: "submit", class: "primary" }, "Log in"))));
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
