// What is around every page: where one can go, how the connection is, the theme, the keys.
import { h, fill } from "./dom.js";
import { show } from "./ask.js";
import { icon } from "./icons.js";
import { live } from "./live.js";

/** Path, name, picture; `null` is a gap. */
const ENTRIES = [
  ["", "Dashboard", "dashboard"], ["networks", "Networks", "networks"], null,
  ["planet", "Planet", "planet"], ["peers", "Peers", "peers"], null,
  ["tokens", "Tokens", "tokens"], ["webhooks", "Webhooks", "webhooks"], ["backups", "Backups", "backups"], ["audit", "Audit log", "audit"], null,
  ["about", "About", "about"],
];
/** Where `g` and another key lead. */
export const PLACES = { d: "", n: "networks", p: "planet", e: "peers", t: "tokens", w: "webhooks", b: "backups", a: "audit", i: "about" };
const STATES = {
  live: ["Live", "Changes show at once"], polling: ["Every 3 s", "This page looks again every three seconds"],
  lost: ["No answer", "The controller does not answer; trying again"],
};
const THEMES = ["auto", "light", "dark"];

let draw = () => {};
live.watch(() => draw());

export const frame = {
  /** Builds the frame in `root`; `leave()` logs out. */
  show(root, status, leave) {
    const state = h("div", { role: "status" });
    const banner = h("div", { role: "alert" });
    draw = () => {
      const [words, title] = STATES[live.state];
      state.className = `link-state ${live.state}`;
      state.title = title;
      fill(state, h("span", null, words));
      if (live.state !== "lost") fill(banner);
      else if (!banner.firstChild) {
        fill(banner, h("p", { class: "banner" }, h("strong", null, "The controller does not answer."), ` What you see is from ${new Date().toLocaleTimeString()}. This page tries again by itself.`));
      }
    };
    draw();
    const nav = h("nav", { "aria-label": "Main", id: "main-menu" }, h("ul", null, links()));
    const menu = h("button", { type: "button", class: "quiet menu", "aria-expanded": "false", "aria-controls": "main-menu", onclick: () => open(nav, menu, !nav.classList.contains("open")) }, icon("menu"), "Menu");
    nav.addEventListener("click", () => open(nav, menu, false));
    fill(root,
      h("a", { class: "skip", href: "#main", onclick: (event) => { event.preventDefault(); document.getElementById("main").focus(); } }, "Skip to the content"),
      h("header", null,
        h("a", { class: "brand", href: "#/" }, h("img", { src: "icon.svg", alt: "", width: "32", height: "32" }), h("span", null, "Controller", h("code", null, status.address))),
        nav,
        h("div", { class: "tools" }, state, themeButton(),
          h("button", { type: "button", class: "quiet keys-button", title: "Keys", onclick: keys }, icon("keys"), h("span", null, "Keys")),
          h("button", { type: "button", class: "quiet", title: "Log out", onclick: leave }, icon("leave"), h("span", null, "Log out")), menu)),
      h("div", { class: "page" }, banner, h("main", { id: "main", tabindex: "-1" })));
    live.start();
  },
  /** Shows which of the entries a path belongs to. */
  mark(path) {
    for (const link of document.querySelectorAll("header nav a")) {
      const entry = link.dataset.path;
      if (entry === path || (entry === "networks" && path.startsWith("network/"))) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
  },
};

function open(nav, menu, is) {
  nav.classList.toggle("open", is);
  menu.setAttribute("aria-expanded", String(is));
}

function links() {
  return ENTRIES.map((entry, index) => entry && h("li", { class: ENTRIES[index - 1] === null ? "gap" : null },
    h("a", { href: `#/${entry[0]}`, "data-path": entry[0] }, icon(entry[2]), entry[1])));
}

function themeButton() {
  const shown = () => localStorage.getItem("theme") ?? "auto";
  const words = h("span");
  const apply = () => {
    document.documentElement.dataset.theme = shown();
    words.textContent = `Theme: ${shown()}`;
  };
  const button = h("button", {
    type: "button", class: "quiet", title: "Theme",
    onclick: () => { localStorage.setItem("theme", THEMES[(THEMES.indexOf(shown()) + 1) % THEMES.length]); apply(); },
  }, icon("theme"), words);
  apply();
  return button;
}

/** Shows what the keyboard does. */
export function keys() {
  const places = Object.entries(PLACES).map(([key, path]) => h("span", { class: "place" }, h("kbd", null, key), " ", ENTRIES.find((entry) => entry?.[0] === path)[1]));
  const rows = [[["/"], "Search"], [["g", "then …"], places],
    [["↑", "↓", "Page", "Home", "End"], "Move in the list of members; Enter opens, Space chooses"],
    [["Ctrl", "Enter"], "In the rules: what would change"], [["Esc"], "Close a dialog; in the rules, Tab then leaves the editor"], [["?"], "This"]];
  show("Keys", h("dl", { class: "keys" }, rows.map(([caps, what]) => [h("dt", null, caps.map((cap) => [cap.startsWith("then") ? cap : h("kbd", null, cap), " "])), h("dd", null, what)])));
}
