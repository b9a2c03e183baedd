// What is said to the user in passing, and what is asked before something dangerous.
import { h } from "./dom.js";
import { field, mark, placeErrors } from "./fields.js";
import { icon } from "./icons.js";

const SHOWN_MS = 5000;
const SHOWN_WITH_UNDO_MS = 12000;
/** More than these would hide the page. */
const MOST_SHOWN = 3;

/** Shows a message for some seconds; `undo`, if given, takes back what the message is about. */
export function toast(message, { kind = "info", undo = null } = {}) {
  const place = document.getElementById("toasts");
  const node = h("div", { class: `toast ${kind}` }, h("span", null, message));
  const close = () => node.remove();
  if (undo) node.append(h("button", { type: "button", onclick: () => { close(); undo(); } }, "Undo"));
  node.append(h("button", { type: "button", class: "quiet", "aria-label": "Close the message", onclick: close }, icon("remove")));
  place.append(node);
  while (place.children.length > MOST_SHOWN) place.firstChild.remove();
  setTimeout(close, undo ? SHOWN_WITH_UNDO_MS : SHOWN_MS);
}

/** Shows what went wrong. */
export function complain(error) {
  if (error.name === "AbortError") return;
  toast(error.message, { kind: "bad" });
}

/** Opens a modal dialog; resolves to what it was closed with. */
function open(dialog) {
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue);
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

/**
 * Asks in a modal dialog; resolves to false if it was closed or cancelled. With `typed`, that has to be written before it goes
 * on: for what cannot be taken back.
 */
export async function confirm({ title, text, action, typed = null, stay = "Cancel" }) {
  const go = h("button", { value: "yes", class: "danger", disabled: typed !== null }, action);
  const input = h("input", { type: "text", autocomplete: "off", spellcheck: "false", oninput: () => { go.disabled = input.value.trim() !== typed; } });
  const answer = await open(h("dialog", { "aria-labelledby": "confirm-title" },
    h("h2", { id: "confirm-title" }, title), h("p", null, text),
    h("form", { method: "dialog", onsubmit: (event) => { if (go.disabled) event.preventDefault(); } },
      typed === null ? null : field(["Write ", h("code", null, typed), " to go on"], input),
      h("div", { class: "actions" }, h("button", { value: "no", type: "button", onclick: (event) => event.target.closest("dialog").close("no") }, stay), go))));
  return answer === "yes";
}

/**
 * Shows a form in a modal dialog. `submit` may throw, which is shown beside the field that is meant (`places`, see
 * {@link placeErrors}), or above the buttons, and the dialog stays.
 */
export function form({ title, text = null, fields, action, submit, places = [] }) {
  const problem = h("p", { class: "problem", role: "alert" });
  const button = h("button", { type: "submit", class: "primary" }, action);
  const dialog = h("dialog", { "aria-labelledby": "form-title" },
    h("h2", { id: "form-title" }, title), text ? h("p", null, text) : null,
    h("form", {
      onsubmit: async (event) => {
        event.preventDefault();
        problem.textContent = "";
        for (const [, input] of places) mark(input, "");
        button.disabled = true;
        try {
          await submit();
          dialog.close();
        } catch (error) {
          try { placeErrors(error, places); } catch { problem.textContent = error.message; }
        } finally {
          button.disabled = false;
        }
      },
    }, fields, problem, h("div", { class: "actions" },
      h("button", { type: "button", onclick: () => dialog.close() }, "Cancel"), button)));
  return open(dialog);
}

/** Shows something in a modal dialog with one button. */
export function show(title, ...content) {
  return open(h("dialog", { "aria-labelledby": "show-title", class: content.some((part) => part.classList?.contains("guide")) ? "broad" : null }, h("h2", { id: "show-title" }, title), content,
    h("form", { method: "dialog", class: "actions" }, h("button", { class: "primary" }, "Done"))));
}

/** A text with a button that copies it. */
export function copyable(text, label) {
  return h("div", { class: "copy" }, h("code", { tabindex: "0", "aria-label": label }, text),
    h("button", { type: "button", class: "small", onclick: () => copy(text) }, icon("copy"), "Copy"));
}

/** A button without words that copies a text; `label` says so to who does not see it. */
export function copyButton(text, label) {
  return h("button", { type: "button", class: "quiet copy-button", "aria-label": label, title: label, onclick: () => copy(text) }, icon("copy"));
}

/** Copies a text. Without TLS a page may not, except from a selection. */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = h("textarea", { class: "hidden", "aria-hidden": "true" }, text);
    const within = document.activeElement?.closest("dialog") ?? document.body;
    within.append(area);
    area.select();
    const copied = document.execCommand("copy");
    area.remove();
    if (!copied) { toast("The browser does not let this page copy.", { kind: "bad" }); return; }
  }
  toast("Copied.");
}

/** Lets the browser save `content` under a name. */
export function save(content, name, type = "application/octet-stream") {
  const url = URL.createObjectURL(content instanceof Blob ? content : new Blob([content], { type }));
  h("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
