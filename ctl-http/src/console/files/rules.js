// The rules of a network: an editor that knows the language, their tests, and what a change would do before it is made.
import { h, fill } from "./dom.js";
import { rules } from "./api.js";
import { complain, toast } from "./ask.js";
import { editor } from "./editor.js";
import { explainer } from "./explain.js";
import { difference, excerpt } from "./diff.js";
import { check } from "./fields.js";
import { count, plural } from "./format.js";
import { listing } from "./listing.js";
import { unsaved } from "./unsaved.js";

const COMPILE_AFTER_MS = 350;
/** Mismatches of a test case that are shown. */
const SHOWN = 3;

export async function rulesTab({ network, signal, reload }) {
  const stored = await rules.get(network.id, signal);
  // Rules that were not written here still can be read here.
  const foreign = !stored.consistent && stored.source.trim() === "" && stored.rules.length > 0;
  const shown = foreign ? (await rules.decompile(stored)).source : stored.source;
  const result = h("section", { "aria-live": "polite" });
  const source = editor({ label: "Source of the rules", value: shown, problems: list("rule-problems"), changed: () => soon() });
  const tests = editor({ label: "Tests of the rules", value: stored.tests, problems: list("test-problems"), changed: () => {} });
  const required = check("Refuse rules that fail their tests, whoever sends them", stored.testsRequired);

  function list(id) {
    return h("ul", { class: "problems", id, "aria-live": "polite" });
  }

  const compile = async () => {
    const asked = source.text.value;
    let found = [];
    try {
      found = ((await rules.compile(asked)).warnings ?? []).map((warning) => ({ ...warning, detail: warning.message, kind: "warn" }));
    } catch (error) {
      if (error.errors.length === 0) { complain(error); return; }
      found = error.errors.map((problem) => ({ ...problem, kind: "bad" }));
    }
    if (asked === source.text.value) source.mark(found);
  };
  let timer = null;
  const soon = () => {
    clearTimeout(timer);
    timer = setTimeout(() => compile().catch(complain), COMPILE_AFTER_MS);
  };

  const fields = () => ({
    source: source.text.value,
    ...(tests.text.value === stored.tests ? {} : { tests: tests.text.value }),
    ...(required.input.checked === stored.testsRequired ? {} : { testsRequired: required.input.checked }),
  });
  const attempt = (work) => async () => {
    tests.mark([]);
    try {
      await work();
    } catch (error) {
      const of = (pointer) => (error.errors ?? []).filter((problem) => problem.pointer === pointer).map((problem) => ({ ...problem, kind: "bad" }));
      tests.mark(of("/tests"));
      fill(result, h("h2", null, "Refused"), h("p", { class: "problem" }, error.message));
    }
  };
  const preview = attempt(async () => showChanges(result, await rules.put(network.id, fields(), true), tests.jump, [
    ["Rules", shown, source.text.value], ["Tests", stored.tests, tests.text.value],
  ]));
  const apply = attempt(async () => {
    const answer = await rules.put(network.id, fields(), false);
    const failed = answer.testResults.filter((test) => !test.passed).length;
    toast(`Rules stored; ${failed > 0 ? `${plural(failed, "test")} failed` : `${plural(answer.testResults.length, "test")} passed`}. Members that are online have them already.`);
    reload();
  });
  compile().catch(complain);
  // Where one writes, without the mouse.
  const onKey = (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    preview();
  };
  const back = () => {
    source.set(shown);
    tests.set(stored.tests);
    required.input.checked = stored.testsRequired;
    fill(result);
  };
  return unsaved.guard(h("div", { onkeydown: onKey },
    stored.consistent || (foreign && shown.trim() === "accept;") ? null : h("p", { class: "note" }, foreign
      ? "These rules came without a source. What is shown was made from them, and means the same."
      : "The rules that members use were not made from this source. Storing it replaces them."),
    source.node, source.problems,
    h("details", { class: "card", open: stored.tests.trim() !== "" || stored.testsRequired }, h("summary", null, h("strong", null, "Tests"), " – what must stay possible, and what must not"),
      h("p", { class: "sub" }, h("code", null, "test \"web\" { from any to any tcp 443 expect accept; }")),
      tests.node, tests.problems, required.node),
    h("div", { class: "bar" },
      h("button", { type: "button", onclick: preview }, "What would change?"),
      h("button", { type: "button", class: "primary", onclick: apply }, "Apply"),
      h("button", { type: "button", class: "quiet", onclick: back }, "Back to what is stored"),
      h("small", null, h("kbd", null, "Tab"), " indents; ", h("kbd", null, "Esc"), ", then ", h("kbd", null, "Tab"), " leaves the editor; ", h("kbd", null, "Ctrl Enter"), " shows what would change.")),
    result, explainer(network, source.jump)), signal);
}

/** `texts` are what is edited: name, before, after. */
function showChanges(place, answer, jump, texts) {
  const failed = answer.testResults.filter((test) => !test.passed);
  const changes = answer.changes ?? [];
  const table = listing("Changes", ["From", "To", "Service", "Before", "After"]);
  table.show(changes.map((change) => [change.from, change.to, change.service, outcome(change.before), outcome(change.after)]));
  fill(place, h("h2", { tabindex: "-1" }, "What would change"), texts.map(([name, before, after]) => textChange(name, before, after)),
    answer.testResults.length === 0 ? h("p", { class: "sub" }, "There are no tests.")
      : failed.length === 0 ? h("p", { class: "good" }, `${plural(answer.testResults.length, "test")} would pass.`)
        : [h("p", { class: "problem" }, `${plural(failed.length, "test")} would fail:`), h("ul", { class: "problems" }, failed.map((test) => failure(test, jump)))],
    changes.length === 0
      ? h("p", null, "Nothing else, for the usual services between the authorized members.")
      : [h("p", null, `${count(answer.changeCount ?? changes.length)} connections between authorized members:`), table.node],
    answer.cut ? h("p", { class: "sub" }, "There may be more: not all pairs were looked at, or not all are listed.") : null);
  place.firstChild.focus({ preventScroll: true });
  place.scrollIntoView({ block: "nearest" });
}

/** The lines that go and come, with some around them. */
function textChange(name, before, after) {
  const lines = excerpt(difference(before, after));
  if (!lines.some((line) => line && line.sign !== " ")) return null;
  return h("figure", { class: "card diff" }, h("figcaption", null, name), h("pre", { tabindex: "0", "aria-label": `${name}: lines that go and come` }, lines.map((line) => line === null
    ? h("span", { class: "faint" }, "…\n")
    : h("span", { class: { "−": "was", "+": "is" }[line.sign] ?? null }, `${line.sign} ${line.text}\n`))));
}

function outcome(value) {
  return h("span", { class: String(value).startsWith("accept") ? "badge good" : "badge bad" }, String(value));
}

/** A test that fails, with some of what was otherwise than expected. */
function failure(test, jump) {
  const cases = (test.cases ?? []).filter(({ passed }) => !passed);
  return h("li", null, h("strong", null, test.name), test.problem ? `: ${test.problem}` : null, cases.map(({ line, text, problem, mismatches, mismatchCount }) => h("div", null,
    test.in === "tests" ? h("button", { type: "button", class: "link", onclick: () => jump(line) }, `line ${line}`) : `line ${line}`, " ", h("code", null, text),
    h("div", { class: "sub" }, problem, mismatches.slice(0, SHOWN).map(({ from, to, got, reason }) => h("div", null, `${from} to ${to}: ${got}, ${reason}`)),
      mismatchCount > SHOWN ? `and ${count(mismatchCount - SHOWN)} more` : null))));
}
