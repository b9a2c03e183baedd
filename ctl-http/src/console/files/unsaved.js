// What somebody has written and not yet saved, so that it is not lost by a wrong click.

const guarded = new Set();

/** What is in the fields of a form. */
function contents(form) {
  return JSON.stringify([...form.querySelectorAll("input, textarea, select")]
    .filter((field) => !field.closest("[data-unguarded]"))
    .map((field) => (field.type === "checkbox" || field.type === "radio" ? field.checked : field.value)));
}

export const unsaved = {
  /** Watches the fields of `form` until `signal` ends. */
  guard(form, signal) {
    const entry = { form, before: contents(form) };
    guarded.add(entry);
    signal.addEventListener("abort", () => guarded.delete(entry));
    return form;
  },
  /** Whether something is written there that is not saved. */
  get any() { return [...guarded].some(({ form, before }) => form.isConnected && contents(form) !== before); },
  /** What is there now may be lost. */
  forget() { guarded.clear(); },
};

addEventListener("beforeunload", (event) => { if (unsaved.any) event.preventDefault(); });
