// The roots by which everybody finds everybody, and how devices come to know them.
import { h, emptyState } from "./dom.js";
import { node } from "./api.js";
import { copy, copyable, save } from "./ask.js";
import { count, moment } from "./format.js";
import { icon } from "./icons.js";

/** The planet that every client comes with. */
export const PUBLIC_PLANET = 149_604_618;

export async function planetPage({ signal }) {
  const none = (error) => { if (error.status === 404) return null; throw error; };
  const [planet, moons] = await Promise.all([node.planet(signal).catch(none), node.moons(signal)]);
  if (!planet) {
    return { title: "Planet", content: [heading(), h("div", { class: "card" }, emptyState(icon("planet"), "There is no planet here",
      ["This controller was started without one. ", h("code", null, "ctl-bin planet create"), " makes one of your own, with this node as its root."])), moonCard(moons)] };
  }
  const isPublic = planet.id === PUBLIC_PLANET;
  return {
    title: "Planet",
    content: [
      heading(isPublic ? "The public planet: the roots that every client knows from the start." : "A planet of your own: devices need it before they find this controller."),
      h("div", { class: "two" },
        h("div", { class: "stack" },
          h("section", { class: "card" }, h("h2", null, "Roots"), roots(planet)),
          h("section", { class: "card" }, h("h2", null, "Facts"), h("dl", { class: "facts" },
            h("dt", null, "Name"), h("dd", null, isPublic ? "public planet" : "own planet"),
            h("dt", null, "Id"), h("dd", null, h("code", null, String(planet.id))),
            h("dt", null, "Version of"), h("dd", null, moment(planet.timestamp)),
            h("dt", null, "Size"), h("dd", null, `${count(atob(planet.file).length)} bytes`))),
          moonCard(moons)),
        isPublic
          ? h("section", { class: "card" }, h("h2", null, "Nothing to do"), h("p", null, "Devices know these roots already. For a planet of your own, so that nothing depends on servers of others: "), h("code", null, "ctl-bin planet create --endpoint YOUR-IP/9993 --out planet"))
          : share(planet)),
    ],
  };
}

function heading(text) {
  return h("div", { class: "head" }, h("div", null, h("h1", { tabindex: "-1" }, "Planet"), text ? h("p", { class: "sub" }, text) : null));
}

function roots(world) {
  return h("ul", { class: "plain" }, world.roots.map((root) => h("li", null,
    h("code", null, root.address), h("span", { class: "grow" }, root.endpoints.map((endpoint) => [h("code", null, endpoint), " "])))));
}

/** The roots beside those of the planet, and what makes a device use them. */
function moonCard(moons) {
  if (moons.length === 0) {
    return h("section", { class: "card" }, h("h2", null, "Moons"), h("p", null, "None. A moon adds roots of your own to those of the planet, for the devices that choose to: "),
      copyable("ctl-bin moon create --endpoint YOUR-IP/9993 --out my.moon", "Command that makes a moon"));
  }
  return h("section", { class: "card" }, h("h2", null, "Moons"), h("p", { class: "sub" }, "Roots beside those of the planet. A device uses one after this is typed on it, with administrator rights:"),
    moons.map((moon) => [
      copyable(`zerotier-cli orbit ${moon.id.slice(-10)} ${moon.roots[0]?.identity.split(":")[0] ?? ""}`, `Command that takes moon ${moon.id}`),
      h("p", { class: "sub" }, "Version of ", moment(moon.timestamp)),
      roots({ roots: moon.roots.map(({ identity, stableEndpoints }) => ({ address: identity.split(":")[0], endpoints: stableEndpoints })) }),
    ]));
}

function share(planet) {
  const file = Uint8Array.from(atob(planet.file), (byte) => byte.charCodeAt(0));
  return h("section", { class: "card" }, h("h2", null, "Give it to devices"),
    planet.qrCode
      ? h("img", { class: "qr", src: `data:image/svg+xml,${encodeURIComponent(planet.qrCode)}`, alt: "QR code of the link that adds this planet", width: "300", height: "300" })
      : h("p", { class: "note" }, "The link is too long for a QR code; with fewer roots and endpoints it fits."),
    h("ol", { class: "steps" },
      h("li", null, h("strong", null, "Phones"), " (app 1.16 and later): scan the code with the camera, or open the link."),
      h("li", null, h("strong", null, "Linux, macOS, Windows"), ": put the file as ", h("code", null, "planet"), " into the home folder of the client (on Linux ", h("code", null, "/var/lib/zerotier-one"), "), and start it again.")),
    copyable(planet.link, "Link that adds this planet"),
    h("p", { class: "sub" }, "The link's page is the vendor's. Whoever does not want it to see the planet adds the text in the settings of the app instead."),
    h("div", { class: "bar" }, h("button", { type: "button", onclick: () => save(file, "planet") }, "Download the file"),
      h("button", { type: "button", onclick: () => copy(planet.file) }, icon("copy"), "Copy the text")));
}
