// What this program is, and what it was told.
import { h } from "./dom.js";
import { node } from "./api.js";
import { complain, copyable, toast } from "./ask.js";
import { field, placeErrors } from "./fields.js";
import { bytes, moment, since } from "./format.js";
import { listing } from "./listing.js";

const SOURCES = { default: ["", "default"], file: ["badge", "file"], variable: ["badge", "variable"], flag: ["badge", "flag"] };

export async function aboutPage({ signal }) {
  const orNull = (error) => { if ([403, 404].includes(error.status)) return null; throw error; };
  const [status, metrics, settings, level] = await Promise.all([
    node.about(signal), node.metrics(signal).catch(orNull), node.settings(signal).catch(orNull), node.logLevels(signal).catch(orNull)]);
  const [name, version] = status.software.split("/");
  const started = 1000 * (metrics?.get("process_start_time_seconds") ?? 0);
  return {
    title: "About",
    content: [
      h("div", { class: "head" }, h("div", null, h("h1", { tabindex: "-1" }, "About"), h("p", { class: "sub" }, `${name} ${version}, an independent network controller`))),
      h("div", { class: "two" },
        h("section", { class: "card" }, h("h2", null, "This controller"), h("dl", { class: "facts" },
          fact("Version", version), fact("Address", h("code", null, status.address)),
          metrics ? fact("Running for", h("span", { title: `since ${moment(started)}` }, since(started))) : null,
          metrics ? fact("Memory", bytes(metrics.get("process_resident_memory_bytes") ?? 0)) : null,
          fact("Clock", h("span", { class: Math.abs(status.clock - Date.now()) > 60_000 ? "warn" : null }, moment(status.clock), clockNote(status.clock))),
          fact("UDP", endpoints(status.listeningOn)), fact("Seen by others as", endpoints(status.surfaceAddresses))),
          h("p", { class: "sub" }, "Public identity"), copyable(status.publicIdentity, "Public identity")),
        h("div", { class: "stack" },
          h("section", { class: "card" }, h("h2", null, "Read on"), h("ul", { class: "links" },
            h("li", null, h("a", { href: "../docs" }, "The API, endpoint by endpoint")), h("li", null, h("a", { href: "../openapi.json" }, "The same for programs (OpenAPI)")),
            h("li", null, h("code", null, "ctl-bin doctor"), " looks whether all is well, and says what to do where it is not."))),
          level ? logLevel(level) : null)),
      settings ? settingTable(settings) : null,
    ],
  };
}

function fact(name, value) {
  return [h("dt", null, name), h("dd", null, value)];
}

function endpoints(list) {
  return list.length === 0 ? "not known" : list.map((endpoint, index) => [index > 0 ? ", " : null, h("code", null, endpoint)]);
}

/** How far the clock of the controller is from that of the reader, if it is. */
function clockNote(clock) {
  const seconds = Math.round((clock - Date.now()) / 1000);
  return Math.abs(seconds) > 60 ? `, ${Math.abs(seconds)} s ${seconds > 0 ? "ahead of" : "behind"} yours` : null;
}

function settingTable(settings) {
  const table = listing("Settings", ["Setting", "Value", "From"]);
  // What somebody set is what one looks for.
  const order = [...settings].sort((a, b) => (a.source === "default") - (b.source === "default"));
  table.show(order.map((setting) => [
    h("code", null, setting.name),
    h("span", { class: "wide" }, setting.values.length > 0 ? h("code", null, setting.values.join(", ")) : "–",
      setting.next ? h("div", { class: "warn" }, "after the next start: ", h("code", null, setting.next.join(", ") || "–")) : null),
    h("span", { class: SOURCES[setting.source][0] || null }, SOURCES[setting.source][1]),
  ]));
  return [h("h2", { class: "apart" }, "Settings"),
    h("p", { class: "sub" }, "They are changed in the file ", h("code", null, "ctl.toml"), ", by variables or by flags, not here. ", h("code", null, "ctl-bin config print-default"), " says what each does."), table.node];
}

/** The levels of the log, for as long as the program runs. */
function logLevel(level) {
  const input = h("input", { type: "text", value: level.levels, spellcheck: "false", autocomplete: "off" });
  return h("form", { class: "card", onsubmit: async (event) => {
    event.preventDefault();
    try {
      await node.setLogLevels(input.value.trim());
      toast("The log has these levels until the settings are read again.");
    } catch (error) {
      try { placeErrors(error, [["/levels", input]]); } catch { complain(error); }
    }
  } }, h("h2", null, "Log"), field("Levels", input, "For example debug, or info,ctl_http=debug."), h("div", null, h("button", { type: "submit" }, "Set")));
}
