// From an empty home to two authorized real clients, in a browser, as an administrator would do it the first time; then every
// other page, and what goes wrong.
//
// `node story.mjs REPOSITORY PICTURES` in a network of its own (see `run`). Every page is looked at by axe-core, and
// anything that the browser complains about is a failure.
import assert from "node:assert/strict";
import path from "node:path";
import { chromium } from "playwright-core";
import { backups, elsewhere, planet, tokens, webhooks } from "./operations.mjs";
import { addresses, member, rules, settings } from "./network.mjs";
import { complaintsOf, DESKTOP, eyes } from "./eyes.mjs";
import { firstRun } from "./first-run.mjs";
import { bigNetwork, deletion, hostileNames } from "./strain.mjs";
import { refusals, restart, sessionEnds, slowness } from "./trouble.mjs";
import { apiWith, BASE, clear, homeToken, makePlanet, say, startController } from "./stage.mjs";

const [, , , pictures] = process.argv;
const BROWSER = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync"];
const CHAPTERS = [firstRun, member, addresses, rules, settings, tokens, webhooks, hostileNames, bigNetwork, deletion, planet, backups, slowness,
  refusals, restart, sessionEnds, elsewhere];

let [browser, page, failed] = [null, null, null];
try {
  makePlanet();
  await startController();
  say("the controller is ready");
  browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: BROWSER });
  page = await browser.newPage({ viewport: DESKTOP, permissions: ["clipboard-read", "clipboard-write"] });
  page.setDefaultTimeout(20_000);
  const token = homeToken();
  const scene = {
    page, token, complaints: complaintsOf(page), look: eyes(page, pictures), api: apiWith(token),
    open: (place) => page.goto(`${BASE}console/#/${place}`),
    heading: (name) => page.getByRole("heading", { name, exact: true }).waitFor(),
    toast: (text) => page.locator(".toast", { hasText: text }),
    dialog: page.getByRole("dialog"),
    /** What was made by one chapter and is used by another. */
    made: {},
  };
  for (const chapter of CHAPTERS) await chapter(scene);
  assert.deepEqual(scene.complaints.found, []);
} catch (error) {
  failed = error;
  await page?.screenshot({ path: path.join(pictures, "failed.png") }).catch(() => {});
} finally {
  await browser?.close();
  clear();
}
if (failed) {
  console.error(failed);
  process.exit(1);
}
say("story told: two real clients authorized in the browser, no complaint, nothing asked of elsewhere, every page accessible");
process.exit(0);
