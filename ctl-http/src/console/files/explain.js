// Why a packet passes or not: asks the rules about one packet, and shows each step that they took.
import { h, fill } from "./dom.js";
import { rules } from "./api.js";
import { field } from "./fields.js";

const STEPS = {
  true: ["good", "matches"], false: ["", "does not match"], skipped: ["", "not looked at"],
  taken: ["warn", "taken"], "not-taken": ["", "not taken"],
};

/** A form that asks; `jump(line)` leads to a line of the source. */
export function explainer(network, jump) {
  const from = h("input", { type: "text", value: "any" });
  const to = h("input", { type: "text", value: "any" });
  const packet = h("input", { type: "text", value: "tcp 443" });
  const answer = h("div", { class: "explanation", "aria-live": "polite" });
  const ask = async (event) => {
    event.preventDefault();
    try {
      show(answer, await rules.explain(network.id, { from: from.value, to: to.value, packet: packet.value }), jump);
    } catch (error) {
      fill(answer, h("p", { class: "problem" }, error.message));
    }
  };
  return h("form", { class: "card", "data-unguarded": true, onsubmit: ask }, h("h2", null, "What happens to a packet?"),
    h("div", { class: "three" }, field("From", from, "A name, an address, tag:NAME=VALUE, cap:NAME or any."), field("To", to), field("Packet", packet, "As in rule tests: tcp 443, udp 53, icmp …")),
    h("button", { type: "submit" }, "Explain"), answer);
}

function show(place, explained, jump) {
  const passes = explained.outcome.startsWith("accept");
  fill(place,
    h("p", { class: passes ? "note good" : "note bad" }, h("strong", null, passes ? "It passes" : "It does not pass"),
      ` from ${explained.from} to ${explained.to} (${explained.outcome}).`,
      explained.outcomeAtFirstContact === explained.outcome ? null : ` Before the two know each other's credentials: ${explained.outcomeAtFirstContact}.`),
    explained.sides.map((side) => [
      h("p", null, `The ${side.side} says `, h("strong", null, side.result), side.decision ? [", because of ", whereIs(side.decision, jump), " ", h("code", null, side.decision.source ?? "")] : ", because nothing else was said", "."),
      h("details", null, h("summary", null, `Step by step, at the ${side.side}`), side.tables.map((table) => [
        table.capability === null ? null : h("p", { class: "sub" }, `Capability ${table.capability}`),
        h("ol", { class: "trace" }, table.steps.map((step) => h("li", { class: step.result === "skipped" || step.result === "not-taken" ? "faint" : null },
          h("code", null, step.rule), h("span", { class: `badge ${STEPS[step.result]?.[0] ?? ""}` }, STEPS[step.result]?.[1] ?? step.result)))),
      ])),
    ]));
}

function whereIs({ line, text }, jump) {
  return line ? h("button", { type: "button", class: "link", onclick: () => jump(line) }, `line ${line}`) : text;
}
