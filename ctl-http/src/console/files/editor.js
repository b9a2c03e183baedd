// A text field for the rules language: numbers of lines, colours, and marks at what is wrong.
import { h, fill } from "./dom.js";
import { highlight } from "./highlight.js";

/** Returns `{ node, text, problems, set, mark, jump }`; `changed()` hears of every change. `mark(problems)` takes those with a `line` and a `kind`. */
export function editor({ label, value, problems, changed }) {
  const paint = h("pre", { class: "paint", "aria-hidden": "true" });
  const text = h("textarea", { spellcheck: "false", autocapitalize: "off", autocomplete: "off", wrap: "off", "aria-label": label, "aria-describedby": problems.id }, value);
  const lines = h("pre", { class: "lines", "aria-hidden": "true" });
  let wrong = new Map();

  const draw = () => {
    fill(paint, highlight(text.value, wrong));
    const number = text.value.split("\n").length;
    fill(lines, Array.from({ length: number }, (_, index) => h("span", { class: wrong.has(index + 1) ? "bad" : null }, `${index + 1}\n`)));
  };
  /** Selects a line. */
  const jump = (line) => {
    const before = text.value.split("\n").slice(0, line - 1).join("\n").length + (line > 1 ? 1 : 0);
    const end = text.value.indexOf("\n", before);
    text.focus();
    text.setSelectionRange(before, end === -1 ? text.value.length : end);
    text.scrollIntoView({ block: "nearest" });
  };
  text.addEventListener("input", () => {
    draw();
    changed();
  });
  text.addEventListener("keydown", (event) => {
    // Escape first, then Tab leaves the editor: a keyboard must not be trapped.
    if (event.key === "Escape") text.dataset.leave = "yes";
    else if (event.key === "Tab" && !event.shiftKey && !text.dataset.leave) {
      event.preventDefault();
      text.setRangeText("\t", text.selectionStart, text.selectionEnd, "end");
      text.dispatchEvent(new Event("input"));
    } else delete text.dataset.leave;
  });
  draw();
  return {
    node: h("div", { class: "editor" }, lines, h("div", { class: "sheet" }, paint, text)),
    text, jump, problems,
    set(value) {
      if (text.value === value) return;
      text.value = value;
      text.dispatchEvent(new Event("input"));
    },
    mark(found) {
      wrong = new Map(found.filter((problem) => problem.line).map((problem) => [problem.line, problem]));
      fill(problems, found.map((problem) => h("li", { class: problem.kind },
        problem.line ? h("button", { type: "button", class: "link", onclick: () => jump(problem.line) }, `Line ${problem.line}`) : null,
        ` ${problem.detail}`, problem.suggestion ? ` – did you mean “${problem.suggestion}”?` : "")));
      draw();
    },
  };
}
