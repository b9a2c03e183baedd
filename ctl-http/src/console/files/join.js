// How a device comes into a network: what to type or to scan, and what happens then.
import { h } from "./dom.js";
import { networks, node } from "./api.js";
import { copyable } from "./ask.js";
import { PUBLIC_PLANET } from "./planet.js";

/** Returns the steps, and the code for phones. */
export async function joinGuide(network, signal) {
  const [join, planet] = await Promise.all([networks.join(network.id, signal), node.planet(signal).catch(() => null)]);
  const ownPlanet = planet && planet.id !== PUBLIC_PLANET;
  return h("div", { class: "guide" },
    h("ol", { class: "steps" },
      h("li", null, h("strong", null, "Install ZeroTier"), " on the device: a package from zerotier.com/download, or the app from the store of the phone."),
      ownPlanet ? h("li", null, h("strong", null, "Give it your planet. "), "This controller has roots of its own, which the device must know first: ", h("a", { href: "#/planet" }, "how that is done"), ".") : null,
      h("li", null, h("strong", null, "Join."), " On a computer, with administrator rights:", copyable(join.command, "Command that joins"),
        "In an app: ", h("em", null, "Join network"), ", and this id:", copyable(network.id, "Network id")),
      network.private
        ? h("li", null, h("strong", null, "Let it in."), " The device appears here by itself; compare its address with what the device shows (", h("code", null, "zerotier-cli info"), "), and authorize it.")
        : h("li", null, h("strong", null, "Done."), " The network is public, so the device is in at once.")),
    join.qrCode ? h("figure", { class: "scan" },
      h("img", { class: "qr", src: `data:image/svg+xml,${encodeURIComponent(join.qrCode)}`, alt: "QR code of the link that joins this network", width: "200", height: "200" }),
      h("figcaption", null, "For phones, with the ZeroTier app installed. The ", h("a", { href: join.link, rel: "noreferrer", target: "_blank" }, "link"), " in it leads over the vendor's page.")) : null);
}
