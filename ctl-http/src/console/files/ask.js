// What is said to the user in passing, and what is asked before something dangerous.
import { h } from "./dom.js";

const SHOWN_MS = 6000;
const SHOWN_WITH_UNDO_MS = 12000;

/** Shows a message for some seconds; `undo`, if given, takes back what the message is about. */
export function toast(message, { kind = "info", undo = null } = {}) {
  const node = h("div", { class: `toast ${kind}` }, h("span", null, message));
  const close = () => node.remove();
  if (undo) {
    node.append(h("button", { type: "button", onclick: () => { close(); undo(); } }, "Undo"));
  }
  node.append(h("button", { type: "button", class: "quiet", "aria-label": "Close the message", onclick: close }, "×"));
  document.getElementById("toasts").append(node);
  setTimeout(close, undo ? SHOWN_WITH_UNDO_MS : SHOWN_MS);
}

/** Shows what went wrong. */
export function complain(error) {
  toast(error.message, { kind: "bad" });
}

/** Asks in a modal dialog; resolves to false if it was closed or cancelled. */
export function confirm({ title, text, action, danger = true }) {
  return new Promise((resolve) => {
    const dialog = h("dialog", { "aria-labelledby": "confirm-title" },
      h("h2", { id: "confirm-title" }, title),
      h("p", null, text),
      h("form", { method: "dialog", class: "actions" },
        h("button", { value: "no" }, "Cancel"),
        h("button", { value: "yes", class: danger ? "danger" : "primary" }, action)));
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** Shows a form in a modal dialog. `submit` may throw, which is shown in the dialog, which then stays. */
export function form({ title, fields, action, submit }) {
  const problem = h("p", { class: "problem", role: "alert" });
  const dialog = h("dialog", { "aria-labelledby": "form-title" },
    h("h2", { id: "form-title" }, title),
    h("form", {
      onsubmit: async (event) => {
        event.preventDefault();
        try {
          await submit();
          dialog.close();
        } catch (error) {
          problem.textContent = error.message;
        }
      },
    }, fields, problem, h("div", { class: "actions" },
      h("button", { type: "button", onclick: () => dialog.close() }, "Cancel"),
      h("button", { type: "submit", class: "primary" }, action))));
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}
