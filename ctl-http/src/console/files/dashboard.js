// What an administrator wants to know first: is it well, who is there, is something asked of me.
import { h, fill, emptyState } from "./dom.js";
import { node, networks, members } from "./api.js";
import { complain, toast } from "./ask.js";
import { chart, perSecond, sample } from "./charts.js";
import { ago, bytes, count, moment, plural, since } from "./format.js";
import { icon } from "./icons.js";
import { create } from "./networks.js";

const LOOKED_AT = 20;
const SHOWN = 8;
/** How often the charts get a sample, at least. */
const SAMPLE_MS = 5000;
/** More peers are not looked at one by one. */
const MOST_PEERS = 2000;

export async function dashboard({ signal, refresh, go }) {
  const tiles = h("div", { class: "tiles" });
  const charts = h("div", { class: "charts" });
  const waiting = h("section", { class: "card", "aria-labelledby": "waiting" });
  const alarm = h("div");
  const draw = async () => {
    const [status, list, metrics] = await Promise.all([node.status(signal), networks.list(signal), node.metrics(signal).catch(ifAllowed(new Map()))]);
    const online = await clientsOnline(metrics);
    const authorized = list.reduce((sum, network) => sum + network.authorizedMemberCount, 0);
    const total = list.reduce((sum, network) => sum + network.memberCount, 0);
    const samples = sample({
      online,
      requests: metrics.get("controller_network_config_request") ?? 0,
      traffic: metrics.get("zt_data") ?? 0,
      cpu: metrics.get("process_cpu_seconds_total") ?? 0,
    });
    fill(alarm, status.online ? null : h("p", { class: "note" }, "No root answers. Members that know the way are served; others do not find this controller. ",
      h("code", null, "ctl-bin doctor"), " says what to do."));
    fill(tiles,
      tile("Clients online", count(online), h("a", { href: "#/peers" }, "all peers")),
      tile("Members", count(authorized), `authorized, of ${count(total)}`),
      tile("Not authorized", count(total - authorized), "waiting, or refused", total > authorized ? "warn" : ""),
      tile("Networks", h("a", { href: "#/networks" }, count(list.length)), `${count(list.filter((network) => !network.private).length).replace(/^0$/, "none")} public`),
      tile("Roots", status.online ? "Online" : "Offline", h("a", { href: "#/planet" }, "planet"), `word dot ${status.online ? "good" : "bad"}`),
      metrics.size === 0 ? "" : tile("Health", metrics.get("ctl_database_readable") === 0 ? "No database" : "Good",
        `${bytes(metrics.get("process_resident_memory_bytes") ?? 0)}, up ${since(1000 * (metrics.get("process_start_time_seconds") ?? 0))}`,
        `word dot ${metrics.get("ctl_database_readable") === 0 ? "bad" : "good"}`));
    if (metrics.size > 0) fill(charts,
      chart("Clients online", samples.map(({ time, online: value }) => ({ time, value })), (value) => count(Math.round(value)), 4),
      chart("Requests of members", perSecond(samples, "requests"), (value) => `${count(Number(value.toPrecision(2)))}/s`, 1),
      chart("Traffic", perSecond(samples, "traffic"), (value) => `${bytes(value)}/s`, 1000),
      chart("Processor", perSecond(samples, "cpu").map(({ time, value }) => ({ time, value: 100 * value })), (value) => `${count(Number(value.toPrecision(2)))} %`, 10));
    if (!waiting.contains(document.activeElement)) fill(waiting, h("h2", { id: "waiting" }, "Waiting to be let in"), await strangers(list));
  };

  /** Of very many the node says only how many it knows. */
  async function clientsOnline(metrics) {
    if ((metrics.get("ctl_peers") ?? 0) > MOST_PEERS) return metrics.get("ctl_peers");
    const peers = await node.peers(signal).catch(ifAllowed([]));
    return peers.filter((peer) => peer.role === "LEAF" && peer.paths.some((path) => path.active)).length;
  }

  async function strangers(list) {
    if (list.length === 0) {
      return emptyState(icon("networks"), "There is no network yet", "Make one, join it with a device, and let the device in: that is all it takes.",
        h("button", { type: "button", class: "primary", onclick: () => create(go) }, icon("add"), "New network"));
    }
    const some = list.filter((network) => network.private && network.memberCount > network.authorizedMemberCount).slice(0, LOOKED_AT);
    const found = (await Promise.all(some.map(async (network) =>
      (await members.pending(network.id, signal)).map((pending) => ({ ...pending, network }))))).flat();
    if (found.length === 0) return h("p", { class: "sub" }, "Nobody. A device that joins one of the private networks shows up here.");
    found.sort((a, b) => b.lastAsked - a.lastAsked);
    return h("ul", { class: "plain" }, found.slice(0, SHOWN).map(stranger),
      found.length > SHOWN ? h("li", { class: "sub" }, `and ${plural(found.length - SHOWN, "other")}`) : null);
  }

  function stranger({ address, network, lastAsked, source }) {
    const decide = async (work, said, takeBack) => {
      try {
        await work();
        toast(said, { undo: () => takeBack().then(draw, complain) });
        document.activeElement?.blur();
        await draw();
      } catch (error) {
        complain(error);
      }
    };
    return h("li", null,
      h("span", { class: "grow" }, h("a", { href: `#/network/${network.id}/member/${address}` }, h("code", null, address)),
        " asked for ", h("bdi", null, network.name?.trim() || network.id), " ", h("span", { title: moment(lastAsked) }, ago(lastAsked)), `, from ${source}`),
      h("span", { class: "buttons" }, h("button", { type: "button", class: "small primary", onclick: () =>
        decide(() => members.decide(network.id, [address], "authorize"), `${address} authorized for ${network.name?.trim() || network.id}.`, () => members.decide(network.id, [address], "deauthorize")) }, "Authorize"),
      h("button", { type: "button", class: "small", onclick: () =>
        // Without a record it is a stranger again, and waits as soon as it asks.
        decide(() => members.deny(network.id, address), `${address} refused.`, () => members.remove(network.id, address)) }, "Refuse")));
  }

  await draw();
  refresh(draw, { everyMs: SAMPLE_MS });
  return { title: "Dashboard", content: [h("div", { class: "head" }, h("h1", { tabindex: "-1" }, "Dashboard")), alarm, tiles, waiting, charts] };
}

/** A token for one network may not see the node: then there is less to show. */
function ifAllowed(otherwise) {
  return (error) => { if (error.status === 403) return otherwise; throw error; };
}

function tile(name, value, note, kind = "") {
  return h("dl", { class: "tile" }, h("dt", null, name), h("dd", { class: kind }, value), note ? h("dd", { class: "note-line" }, note) : null);
}
