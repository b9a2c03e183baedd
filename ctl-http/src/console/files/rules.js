// The rules of a network: an editor that knows the language, and what a change would do before it is made.
import { h, fill } from "./dom.js";
import { rules } from "./api.js";
import { complain, toast } from "./ask.js";
import { field } from "./fields.js";
import { plural } from "./format.js";
import { highlight } from "./highlight.js";

const COMPILE_AFTER_MS = 350;

export async function rulesTab({ network, signal, reload }) {
  const stored = await rules.get(network.id, signal);
  // Rules that were not written here still can be read here.
  const foreign = !stored.consistent && stored.source.trim() === "" && stored.rules.length > 0;
  let source = foreign ? (await rules.decompile(stored)).source : stored.source;
  const shown = source;
  const paint = h("pre", { class: "paint", "aria-hidden": "true" });
  const text = h("textarea", { spellcheck: "false", autocapitalize: "off", autocomplete: "off", wrap: "off", "aria-label": "Source of the rules", "aria-describedby": "rule-problems" }, source);
  const lines = h("pre", { class: "lines", "aria-hidden": "true" });
  const problems = h("ul", { class: "problems", id: "rule-problems", "aria-live": "polite" });
  const result = h("section", { "aria-live": "polite" });
  let wrong = new Map();

  const draw = () => {
    fill(paint, highlight(text.value, wrong));
    const number = text.value.split("\n").length;
    fill(lines, Array.from({ length: number }, (_, index) => h("span", { class: wrong.has(index + 1) ? "bad" : null }, `${index + 1}\n`)));
    text.style.height = `${number * 1.5 + 3}em`;
  };

  const compile = async () => {
    const asked = text.value;
    let found = [];
    try {
      found = (await rules.compile(asked)).warnings ?? [];
      found = found.map((warning) => ({ ...warning, detail: warning.message, kind: "warn" }));
    } catch (error) {
      if (error.errors.length === 0) { complain(error); return; }
      found = error.errors.map((problem) => ({ ...problem, kind: "bad" }));
    }
    if (asked !== text.value) return;
    wrong = new Map(found.filter((problem) => problem.line).map((problem) => [problem.line, problem]));
    fill(problems, found.map((problem) => h("li", { class: problem.kind },
      problem.line ? h("button", { type: "button", class: "link", onclick: () => jump(text, problem.line) }, `Line ${problem.line}`) : null,
      ` ${problem.detail}`, problem.suggestion ? ` – did you mean “${problem.suggestion}”?` : "")));
    draw();
  };

  let timer = null;
  text.addEventListener("input", () => {
    source = text.value;
    draw();
    clearTimeout(timer);
    timer = setTimeout(() => compile().catch(complain), COMPILE_AFTER_MS);
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

  const attempt = (work) => () => work().catch((error) => {
    fill(result, h("h2", null, "Refused"), h("p", { class: "problem" }, error.message));
  });
  const preview = attempt(async () => showChanges(result, await rules.put(network.id, { source }, true)));
  const apply = attempt(async () => {
    const answer = await rules.put(network.id, { source }, false);
    toast(`Rules stored; ${plural((answer.testResults ?? []).length, "test")} passed. Members that are online have them already.`);
    reload();
  });
  draw();
  compile().catch(complain);
  return [
    stored.consistent ? null : h("p", { class: "note" }, foreign
      ? "These rules came without a source. What is shown was made from them, and means the same."
      : "The rules that members use were not made from this source. Storing it replaces them."),
    h("div", { class: "editor" }, lines, h("div", { class: "sheet" }, paint, text)),
    problems,
    h("div", { class: "bar" },
      h("button", { type: "button", onclick: preview }, "What would change?"),
      h("button", { type: "button", class: "primary", onclick: apply }, "Apply"),
      h("button", { type: "button", class: "quiet", onclick: () => { text.value = shown; text.dispatchEvent(new Event("input")); } }, "Back to what is stored"),
      h("small", null, "Tab indents; Escape, then Tab leaves the editor.")),
    result, explainer(network),
  ];
}

function jump(text, line) {
  const before = text.value.split("\n").slice(0, line - 1).join("\n").length + (line > 1 ? 1 : 0);
  const end = text.value.indexOf("\n", before);
  text.focus();
  text.setSelectionRange(before, end === -1 ? text.value.length : end);
}

function showChanges(place, answer) {
  const failed = (answer.testResults ?? []).filter((test) => test.passed === false);
  const rows = (answer.changes ?? []).map((change) => h("tr", null,
    [change.from, change.to, change.service, change.before, change.after].map((value) => h("td", null, String(value)))));
  fill(place, h("h2", null, "What would change"),
    failed.length ? h("p", { class: "problem" }, `${plural(failed.length, "test")} would fail.`) : h("p", { class: "good" }, `${plural((answer.testResults ?? []).length, "test")} would pass.`),
    rows.length === 0
      ? h("p", null, "Nothing, for the usual services between the authorized members.")
      : h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Changes" }, h("table", null, h("thead", null, h("tr", null,
        ["From", "To", "Service", "Before", "After"].map((name) => h("th", { scope: "col" }, name)))), h("tbody", null, rows))),
    answer.cut ? h("p", null, "There may be more: not all pairs were looked at, or not all are listed.") : null);
}

/** Asks the rules about one packet. */
function explainer(network) {
  const from = h("input", { type: "text", value: "any" });
  const to = h("input", { type: "text", value: "any" });
  const packet = h("input", { type: "text", value: "tcp 443" });
  const answer = h("div", { "aria-live": "polite" });
  const ask = async (event) => {
    event.preventDefault();
    try {
      const explained = await rules.explain(network.id, { from: from.value, to: to.value, packet: packet.value });
      fill(answer, h("p", null, h("strong", { class: /accept/i.test(explained.outcome) ? "good" : "bad" }, explained.outcome)),
        h("details", null, h("summary", null, "Step by step"), h("pre", null, JSON.stringify(explained, null, 2))));
    } catch (error) {
      fill(answer, h("p", { class: "problem" }, error.message));
    }
  };
  return h("form", { class: "card", onsubmit: ask }, h("h2", null, "What happens to a packet?"),
    h("div", { class: "three" }, field("From", from, "A name, an address, tag:NAME=VALUE, cap:NAME or any."), field("To", to), field("Packet", packet)),
    h("button", { type: "submit" }, "Explain"), answer);
}
