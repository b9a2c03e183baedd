// What is true of a network as a whole.
import { h } from "./dom.js";
import { networks } from "./api.js";
import { complain, toast } from "./ask.js";
import { check, field, placeErrors } from "./fields.js";
import { unsaved } from "./unsaved.js";

export async function settingsTab({ network, signal, reload }) {
  const name = h("input", { type: "text", value: network.name });
  const open = check("Private: members must be authorized", network.private);
  const broadcast = check("Broadcast (ff:ff:ff:ff:ff:ff, which ARP needs)", network.enableBroadcast);
  const multicast = h("input", { type: "number", min: "0", value: network.multicastLimit });
  const mtu = h("input", { type: "number", min: "1280", max: "10000", value: network.mtu });
  const v6 = network.v6AssignMode;
  const rfc4193 = check("RFC4193: one address of a /128 for each member, made of its node address", v6.rfc4193);
  const sixplane = check("6PLANE: a /80 for each member", v6["6plane"]);
  const domain = h("input", { type: "text", value: network.dns?.domain ?? "" });
  const servers = h("input", { type: "text", value: (network.dns?.servers ?? []).join(", ") });
  const save = async (event) => {
    event.preventDefault();
    const list = servers.value.split(/[\s,]+/).filter((server) => server !== "");
    try {
      await networks.change(network, {
        name: name.value,
        private: open.input.checked,
        enableBroadcast: broadcast.input.checked,
        multicastLimit: Number(multicast.value),
        mtu: Number(mtu.value),
        v6AssignMode: { ...v6, rfc4193: rfc4193.input.checked, "6plane": sixplane.input.checked },
        dns: domain.value || list.length ? { domain: domain.value, servers: list } : null,
      });
      toast("Saved. Members that are online have it already.");
      reload();
    } catch (error) {
      const places = [["/name", name], ["/multicastLimit", multicast], ["/mtu", mtu], ["/dns/servers", servers], ["/dns", domain]];
      try { placeErrors(error, places); } catch { complain(error); }
    }
  };
  return unsaved.guard(h("form", { class: "settings", onsubmit: save },
    h("fieldset", null, h("legend", null, "Access"), field("Name", name), open.node),
    h("fieldset", null, h("legend", null, "IPv6 without a pool"), rfc4193.node, sixplane.node),
    h("fieldset", null, h("legend", null, "DNS"), field("Domain", domain), field("Servers", servers, "Addresses, separated by commas.")),
    h("fieldset", null, h("legend", null, "Ethernet"), broadcast.node,
      field("Recipients of a multicast at most", multicast), field("MTU", mtu, "1280 to 10000; 2800 unless somebody needs another.")),
    h("div", { class: "actions" }, h("button", { type: "submit", class: "primary" }, "Save"))), signal);
}
