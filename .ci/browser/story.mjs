// From an empty home to two authorized real clients, in a browser, as an administrator would do it the first time.
//
// `node story.mjs REPOSITORY PICTURES` in a network of its own (see `run`). Every page is looked at by axe-core, and
// anything that the browser complains about is a failure.
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const [, , repository, pictures] = process.argv;
const ADDRESS = "10.99.0.1";
const PROGRAM = path.join(repository, "target/debug/ctl-bin");
const CLIENT = path.join(repository, "ctl-bin/tests/real_client/ztclient.py");
const WHEEL = path.join(repository, "target/libzt");
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const ONLINE_MS = 90_000;
const BROWSER = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync"];

const folder = mkdtempSync(path.join(tmpdir(), "story-"));
const home = path.join(folder, "home");
const started = [];
const begin = Date.now();

function say(what) {
  console.log(`${((Date.now() - begin) / 1000).toFixed(1).padStart(6)} s  ${what}`);
}

/** Starts a program; `line(test)` resolves to the first line of its output that `test` takes. */
function start(command, parameters, options = {}) {
  const child = spawn(command, parameters, { stdio: ["pipe", "pipe", "inherit"], ...options });
  started.push(child);
  const lines = [];
  const waiting = new Set();
  createInterface({ input: child.stdout }).on("line", (line) => {
    lines.push(line);
    for (const look of waiting) look(line);
  });
  return {
    child,
    line(test, limit = ONLINE_MS) {
      return new Promise((resolve, reject) => {
        const found = lines.find(test);
        if (found !== undefined) { resolve(found); return; }
        const timer = setTimeout(() => { waiting.delete(look); reject(new Error(`${command}: no such line; last: ${lines.at(-1)}`)); }, limit);
        const look = (line) => {
          if (!test(line)) return;
          clearTimeout(timer);
          waiting.delete(look);
          resolve(line);
        };
        waiting.add(look);
      });
    },
  };
}

const json = (line) => { try { return JSON.parse(line); } catch { return {}; } };

async function client(network) {
  const process = start("python3", [CLIENT, "run", "--wheel", WHEEL, "--planet", path.join(home, "planet"), "--seconds", "300"]);
  const address = json(await process.line((line) => json(line).online === true)).node;
  process.child.stdin.write(`${JSON.stringify({ cmd: "join", network })}\n`);
  return {
    address,
    configured: async () => json(await process.line((line) => json(line).status === "OK" && json(line).addresses?.length > 0)).addresses[0],
  };
}

async function story(page, complaints) {
  const base = "http://127.0.0.1:9993/";
  const look = async (name) => {
    await page.evaluate(AXE);
    const { violations } = await page.evaluate(() => globalThis.axe.run());
    assert.deepEqual(violations.map(({ id, nodes }) => `${name}: ${id}: ${nodes[0].target}`), []);
    await page.screenshot({ path: path.join(pictures, `${name}.png`) });
    say(`${name}: looked at, accessible`);
  };

  await page.goto(base);
  await look("log-in");
  complaints.expect(/status of 401/); // the browser says so of every refused request
  await page.getByLabel("Token").fill("not the token");
  await page.getByRole("button", { name: "Log in" }).click();
  await page.getByText("That is not the token of this controller.").waitFor();
  complaints.done();
  await page.getByLabel("Token").fill(readFileSync(path.join(home, "authtoken.secret"), "utf8"));
  await page.getByRole("button", { name: "Log in" }).click();
  await page.getByRole("heading", { name: "Dashboard" }).waitFor();

  await page.getByRole("link", { name: "Networks", exact: true }).first().click();
  await page.getByRole("button", { name: "New network" }).click();
  await page.getByLabel("Name").fill("office");
  await page.getByLabel("Addresses").fill("10.147.1.0/24");
  await page.getByRole("button", { name: "Create" }).click();
  await page.getByRole("heading", { name: "office" }).waitFor();
  const network = page.url().match(/network\/([0-9a-f]{16})/)[1];
  await page.getByText("Nobody.").waitFor();
  say(`network ${network} made`);

  const clients = await Promise.all([client(network), client(network)]);
  say(`two clients are online: ${clients.map(({ address }) => address).join(", ")}`);
  for (const { address } of clients) await page.getByRole("link", { name: address }).waitFor({ timeout: ONLINE_MS });
  await look("members-waiting");
  await page.goto(`${base}console/#/`);
  await page.getByText("Waiting to be let in").waitFor();
  await page.getByRole("link", { name: clients[0].address }).waitFor();
  await look("dashboard");
  await page.goto(`${base}console/#/network/${network}`);

  // One by its button, the other as one of many.
  const row = (address) => page.getByRole("row").filter({ hasText: address });
  await row(clients[0].address).getByRole("button", { name: "Authorize" }).click();
  say(`first client has ${await clients[0].configured()}`);
  await page.getByLabel(`Choose ${clients[1].address}`).check();
  await page.locator(".bulk").getByRole("button", { name: "Authorize" }).click();
  say(`second client has ${await clients[1].configured()}`);
  for (const { address } of clients) await row(address).getByText("10.147.1.").waitFor({ timeout: ONLINE_MS });
  await row(clients[0].address).getByText("online").waitFor({ timeout: ONLINE_MS });
  await look("members");

  // A decision is taken back as easily as it was made.
  await row(clients[1].address).getByRole("button", { name: "Revoke" }).click();
  await row(clients[1].address).getByRole("button", { name: "Authorize" }).waitFor();
  await page.locator(".toast", { hasText: "de-authorized" }).getByRole("button", { name: "Undo" }).click();
  await row(clients[1].address).getByRole("button", { name: "Revoke" }).waitFor();
  say("revoked, and taken back");

  await page.getByRole("link", { name: clients[0].address }).click();
  await page.getByLabel("Name").fill("first laptop");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByRole("heading", { name: "first laptop" }).waitFor();
  await look("member");

  await page.goto(`${base}console/#/network/${network}/addresses`);
  await page.getByText("2 of 254 used").waitFor();
  await look("addresses");

  await page.goto(`${base}console/#/network/${network}/rules`);
  const source = page.getByLabel("Source of the rules");
  await source.waitFor();
  await source.fill("drop not ethertype ipv4 and not ethertype arp;\naccpt;\n");
  complaints.expect(/status of 422/);
  await page.getByRole("button", { name: "Line 2" }).waitFor();
  complaints.done();
  await look("rules-wrong");
  await source.fill("drop not ethertype ipv4 and not ethertype arp and not ethertype ipv6;\naccept;\n");
  await page.getByRole("button", { name: "Line 2" }).waitFor({ state: "hidden" });
  await page.getByRole("button", { name: "What would change?" }).click();
  await page.getByRole("heading", { name: "What would change" }).waitFor();
  await page.getByRole("button", { name: "Apply" }).click();
  await page.locator(".toast", { hasText: "Rules stored" }).waitFor();
  await page.getByLabel("Packet").fill("tcp 443");
  await page.getByRole("button", { name: "Explain" }).click();
  await page.getByText("Step by step").waitFor();
  await look("rules");

  await page.goto(`${base}console/#/network/${network}/settings`);
  await page.getByLabel("Domain").fill("office.example");
  await page.getByRole("button", { name: "Save" }).click();
  await page.locator(".toast", { hasText: "Saved. Members" }).waitFor();
  await look("settings");

  for (const [place, heading] of [["networks", "Networks"], ["peers", "Peers and roots"], ["audit", "Audit log"]]) {
    await page.goto(`${base}console/#/${place}`);
    await page.getByRole("heading", { name: heading }).waitFor();
    await page.getByRole("row").nth(1).waitFor();
    await look(place);
  }

  await page.setViewportSize({ width: 390, height: 780 });
  await page.emulateMedia({ colorScheme: "dark" });
  await page.goto(`${base}console/#/network/${network}`);
  await page.getByRole("heading", { name: "office" }).waitFor();
  await row(clients[0].address).waitFor();
  await look("phone-dark");
}

/** Collects what the browser complains about, but for what a step provokes on purpose. */
function complaintsOf(page) {
  const found = [];
  let expected = null;
  const note = (text) => { if (!expected?.test(text)) found.push(text); };
  page.on("console", (message) => { if (["error", "warning"].includes(message.type())) note(message.text()); });
  page.on("pageerror", (error) => note(error.message));
  page.on("requestfailed", (request) => { if (request.failure()?.errorText !== "net::ERR_ABORTED") note(`${request.url()} failed`); });
  return { found, expect: (pattern) => { expected = pattern; }, done: () => { expected = null; } };
}

let browser;
let failed = null;
let page;
try {
  const planet = spawnSync(PROGRAM, ["planet", "create", "--endpoint", `${ADDRESS}/9993`, "--home", home, "--out", path.join(home, "planet")], { encoding: "utf8" });
  assert.equal(planet.status, 0, planet.stderr);
  const controller = start(PROGRAM, ["--home", home]);
  await controller.line((line) => line.startsWith("ready"));
  say("the controller is ready");
  browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: BROWSER });
  page = await browser.newPage({ viewport: { width: 1280, height: 860 } });
  page.setDefaultTimeout(20_000);
  const complaints = complaintsOf(page);
  await story(page, complaints);
  assert.deepEqual(complaints.found, []);
} catch (error) {
  failed = error;
  await page?.screenshot({ path: path.join(pictures, "failed.png") }).catch(() => {});
} finally {
  await browser?.close();
  for (const child of started) child.kill();
  rmSync(folder, { recursive: true, force: true });
}
if (failed) {
  console.error(failed);
  process.exit(1);
}
say("story told: two real clients authorized in the browser, no complaint, every page accessible");
process.exit(0);
