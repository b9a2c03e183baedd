// Form fields with their labels, and what is wrong with them beside them.
import { h } from "./dom.js";

const problems = new WeakMap();
let fields = 0;

/** A labelled field; `input` gets the id that the label names. */
export function field(label, input, hint) {
  fields += 1;
  input.id = `field-${fields}`;
  const described = hint ? h("small", { id: `${input.id}-hint` }, hint) : null;
  return h("div", { class: "field" }, h("label", { for: input.id }, label), input, described, problemOf(input, described?.id));
}

/** Returns the element in which {@link mark} says what is wrong with `input`. */
export function problemOf(input, hint = null) {
  fields += 1;
  const problem = h("p", { class: "problem", id: `problem-${fields}` });
  problems.set(input, problem);
  input.setAttribute("aria-describedby", [hint, problem.id].filter(Boolean).join(" "));
  input.addEventListener("input", () => mark(input, ""));
  return problem;
}

/** Says beside a field what is wrong with it; nothing, if `message` is empty. */
export function mark(input, message) {
  problems.get(input).textContent = message;
  if (message) input.setAttribute("aria-invalid", "true");
  else input.removeAttribute("aria-invalid");
}

/**
 * Says beside the fields what the controller refused; `places` are pairs of a JSON pointer and its input. Whatever is of none of
 * them is thrown again.
 */
export function placeErrors(error, places) {
  let first = null;
  let all = error.errors?.length > 0;
  for (const { pointer = "", detail } of error.errors ?? []) {
    const [, input] = places.find(([place]) => pointer === place || pointer.startsWith(`${place}/`)) ?? [];
    if (!input) { all = false; continue; }
    mark(input, sentence(detail));
    first ??= input;
  }
  first?.focus({ preventScroll: true });
  first?.scrollIntoView({ block: "center" });
  if (!all) throw error;
}

function sentence(text) {
  const plain = text.replace(/ at line \d+ column \d+$/, "").replace(/^[a-z]\w*: (?=expected )/, "");
  return `${plain.charAt(0).toUpperCase()}${plain.slice(1)}.`;
}

/** A checkbox with its label behind it. */
export function check(label, checked, properties) {
  const input = h("input", { type: "checkbox", checked, ...properties });
  return { input, node: h("label", { class: "check" }, input, h("span", null, label)) };
}

/** Choices that need words, `[value, name, what it means]`, of which the first holds. */
export function options(label, all) {
  fields += 1;
  const group = `choice-${fields}`;
  const inputs = all.map(([value], index) => h("input", { type: "radio", name: group, value, checked: index === 0 }));
  return {
    value: () => inputs.find((input) => input.checked).value,
    node: h("div", { class: "options", role: "radiogroup", "aria-label": label }, h("span", { class: "label" }, label),
      all.map(([, name, meaning], index) => h("label", { class: "option" }, inputs[index], h("span", null, h("strong", null, name), h("small", null, meaning))))),
  };
}

/** A few choices beside each other, of which one holds. `chosen(value)` hears of another. */
export function choice(label, options, value, chosen) {
  const buttons = options.map(([name, text]) => h("button", {
    type: "button", "aria-pressed": String(name === value),
    onclick: () => {
      if (name === value) return;
      value = name;
      options.forEach(([other], index) => buttons[index].setAttribute("aria-pressed", String(other === value)));
      chosen(value);
    },
  }, text));
  return h("div", { class: "choice", role: "group", "aria-label": label }, buttons);
}
