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
const BASE = "http://127.0.0.1:9993/";
const DESKTOP = { width: 1280, height: 800 };
const PHONE = { width: 390, height: 780 };
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

/** The API, as a script uses it. */
function apiWith(token) {
  return async (method, place, body) => {
    const response = await fetch(`${BASE}${place}`, { method, headers: { "X-ZT1-Auth": token, "Content-Type": "application/json" }, body: body && JSON.stringify(body) });
    const text = await response.text();
    return { status: response.status, body: text && JSON.parse(text) };
  };
}

/** Makes a network with so many members. */
async function campus(api, count) {
  const { body: network } = await api("POST", "api/v2/network", {
    name: "campus", v4AssignMode: { zt: true }, routes: [{ target: "10.64.0.0/14" }], ipAssignmentPools: [{ ipRangeStart: "10.64.0.1", ipRangeEnd: "10.67.255.254" }],
  });
  const address = (number) => (0x1000000000 + number * 104_729).toString(16);
  for (let start = 0; start < count; start += 1000) {
    const entries = Array.from({ length: 1000 }, (_, index) => ({ address: address(start + index), action: "authorize" }));
    assert.equal((await api("POST", `api/v2/network/${network.id}/member/bulk`, { entries })).status, 200);
  }
  return { id: network.id, last: address(count - 1) };
}

async function story(page, complaints) {
  /** Looks at a page in light, in dark and on a phone: a picture of each, and what axe-core says. */
  const look = async (name, { toasts = false } = {}) => {
    if (!toasts) await page.evaluate(() => document.getElementById("toasts").replaceChildren());
    for (const [kind, colorScheme, size] of [["", "light", DESKTOP], ["-dark", "dark", DESKTOP], ["-phone", "dark", PHONE], ["-phone-light", "light", PHONE]]) {
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize(size);
      await page.evaluate(AXE);
      const { violations } = await page.evaluate(() => globalThis.axe.run());
      assert.deepEqual(violations.map(({ id, nodes }) => `${name}${kind}: ${id}: ${nodes[0].target}`), []);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      assert.ok(wide <= 0, `${name}${kind}: the page is ${wide} pixels wider than the window`);
      await page.screenshot({ path: path.join(pictures, `${name}${kind}.png`) });
    }
    await page.emulateMedia({ colorScheme: "light" });
    await page.setViewportSize(DESKTOP);
    say(`${name}: looked at in light, dark, and on a phone; accessible`);
  };
  const open = (place) => page.goto(`${BASE}console/#/${place}`);
  const heading = (name) => page.getByRole("heading", { name, exact: true }).waitFor();
  const said = (text) => page.locator(".toast", { hasText: text });
  const token = readFileSync(path.join(home, "authtoken.secret"), "utf8").trim();
  const api = apiWith(token);

  await page.goto(BASE);
  await look("log-in");
  complaints.expect(/status of 401/); // the browser says so of every refused request
  await page.getByLabel("Token").fill("not the token");
  await page.getByRole("button", { name: "Log in" }).click();
  await page.getByText("That is not a token of this controller.").waitFor();
  complaints.done();
  await page.getByLabel("Token").fill(token);
  await page.getByRole("button", { name: "Log in" }).click();
  await heading("Dashboard");
  await heading("There is no network yet");
  await look("dashboard-empty");

  await page.getByRole("link", { name: "Networks", exact: true }).first().click();
  await heading("There is no network yet");
  await page.getByRole("main").getByRole("button", { name: "New network" }).first().click();
  await page.getByLabel("Name").fill("office");
  await page.getByLabel("Addresses").fill("10.147.1.0");
  await page.getByRole("button", { name: "Create" }).click();
  await page.getByText("Expected a range like 10.147.17.0/24, or nothing.").waitFor();
  await look("network-new");
  await page.getByLabel("Addresses").fill("10.147.1.0/24");
  await page.getByRole("button", { name: "Create" }).click();
  await heading("office");
  const network = page.url().match(/network\/([0-9a-f]{16})/)[1];
  await heading("Nobody has joined yet");
  say(`network ${network} made`);
  await look("members-empty");

  const clients = await Promise.all([client(network), client(network)]);
  say(`two clients are online: ${clients.map(({ address }) => address).join(", ")}`);
  for (const { address } of clients) await page.getByRole("link", { name: address }).waitFor({ timeout: ONLINE_MS });
  await look("members-waiting");
  await open("");
  await page.getByText("Waiting to be let in").waitFor();
  for (const { address } of clients) await page.getByRole("link", { name: address }).waitFor();
  await look("dashboard-waiting");
  await open(`network/${network}`);

  // One by its button, the other as one of many.
  const row = (address) => page.getByRole("row").filter({ hasText: address });
  await row(clients[0].address).getByRole("button", { name: "Authorize" }).click();
  say(`first client has ${await clients[0].configured()}`);
  await page.getByLabel(`Choose ${clients[1].address}`).check();
  await page.locator(".bulk").getByRole("button", { name: "Authorize" }).click();
  say(`second client has ${await clients[1].configured()}`);
  for (const { address } of clients) await row(address).getByText("10.147.1.").waitFor({ timeout: ONLINE_MS });
  for (const { address } of clients) await row(address).getByText("online").waitFor({ timeout: ONLINE_MS });
  await look("members", { toasts: true });

  // A decision is taken back as easily as it was made.
  await row(clients[1].address).getByRole("button", { name: "Revoke" }).click();
  await row(clients[1].address).getByRole("button", { name: "Authorize" }).waitFor();
  await said("de-authorized").getByRole("button", { name: "Undo" }).click();
  await row(clients[1].address).getByRole("button", { name: "Revoke" }).waitFor();
  say("revoked, and taken back");

  // What others do shows by itself, as an event.
  await page.getByText("Live", { exact: true }).waitFor();
  await api("POST", `api/v2/network/${network}/member/bulk`, { entries: [{ address: "1234567890", action: "authorize" }] });
  await row("1234567890").waitFor({ timeout: 5000 });
  await api("DELETE", `api/v2/network/${network}/member/1234567890`);
  await row("1234567890").waitFor({ state: "detached", timeout: 5000 });
  say("a member that a script added and removed came and went by itself");

  // With the keyboard alone: to the search, to the table, down, choose, open.
  await page.locator("h1").focus();
  await page.keyboard.press("/");
  await page.keyboard.type(clients[0].address);
  await row(clients[1].address).waitFor({ state: "detached" });
  await page.getByRole("table", { name: "Members" }).focus();
  await page.keyboard.press("Space");
  await page.getByText("1 chosen").waitFor();
  await look("members-chosen");
  await page.getByRole("button", { name: "Choose none" }).press("Enter");
  await page.getByRole("table", { name: "Members" }).focus();
  await page.keyboard.press("Enter");
  await heading(clients[0].address);
  await page.getByLabel("Name", { exact: true }).fill("first laptop");
  await page.getByLabel("IP addresses").fill("10.147.1.300");
  complaints.expect(/status of 422/);
  await page.getByRole("button", { name: "Save" }).click();
  await page.locator(".problem", { hasText: "10.147.1.300" }).waitFor();
  complaints.done();
  await page.getByLabel("IP addresses").fill("10.147.1.30");
  await page.getByRole("button", { name: "Save" }).click();
  await heading("first laptop");
  await page.getByText("Member authorized").waitFor();
  await look("member");
  say("a member named, with what happened to it");

  await open(`network/${network}/addresses`);
  await page.getByText("2 of 254 used").waitFor();
  await look("addresses");
  await page.getByLabel("Destination").first().fill("10.147.1.0/240");
  complaints.expect(/status of 422/);
  await page.getByRole("button", { name: "Save" }).click();
  await page.locator(".problem", { hasText: "10.147.1.0/240" }).waitFor();
  complaints.done();

  await open(`network/${network}/rules`);
  const source = page.getByLabel("Source of the rules");
  await source.waitFor();
  await source.fill("drop not ethertype ipv4 and not ethertype arp;\naccpt;\n");
  complaints.expect(/status of 422/);
  await page.getByRole("button", { name: "Line 2" }).waitFor();
  complaints.done();
  await look("rules-wrong");
  await source.fill("drop not ethertype ipv4 and not ethertype arp and not ethertype ipv6;\naccept;\n");
  await page.getByRole("button", { name: "Line 2" }).waitFor({ state: "hidden" });
  await page.getByText("Tests", { exact: true }).click();
  await page.getByLabel("Tests of the rules").fill('test "mail" {\n  from any to any tcp 25 expect drop;\n}\n');
  await page.getByRole("button", { name: "What would change?" }).click();
  await page.getByText("1 test would fail").waitFor();
  await look("rules-test");
  await page.getByLabel("Tests of the rules").fill('test "mail" {\n  from any to any tcp 25 expect accept;\n}\n');
  await page.getByRole("button", { name: "What would change?" }).click();
  await page.getByText("1 test would pass").waitFor();
  await page.getByRole("button", { name: "Apply" }).click();
  await said("Rules stored; 1 test passed").waitFor();
  await page.getByLabel("Packet").fill("tcp 443");
  await page.getByRole("button", { name: "Explain" }).click();
  await page.getByText("It passes").waitFor();
  await page.getByText("Step by step, at the sender").click();
  await look("rules");

  await open(`network/${network}/settings`);
  await page.getByLabel("Domain").fill("office.example");
  await page.getByLabel("Servers").fill("nonsense");
  complaints.expect(/status of 422/);
  await page.getByRole("button", { name: "Save" }).click();
  await page.locator(".problem", { hasText: "nonsense" }).waitFor();
  complaints.done();
  await look("settings-wrong");
  await page.getByLabel("Servers").fill("10.147.1.30");
  await page.getByRole("button", { name: "Save" }).click();
  await said("Saved. Members").waitFor();
  await look("settings");
  await open(`network/${network}/history`);
  await page.getByText("Network changed").first().waitFor();
  await look("history");
  say("addresses, rules, settings, each also refused beside the field that was wrong");

  await tokens(page, network, { open, heading, look });
  await bigNetwork(page, api, { open, heading, look });

  // What cannot be taken back has to be written out.
  const { body: spare } = await api("POST", "api/v2/network", { name: "spare" });
  await open(`network/${spare.id}`);
  await heading("spare");
  await page.getByRole("button", { name: "Delete" }).click();
  const sure = page.getByRole("button", { name: "Delete the network" });
  assert.ok(await sure.isDisabled());
  await page.getByLabel("Write spare to go on").fill("spare");
  await look("delete");
  await sure.click();
  await heading("Networks");
  assert.equal((await api("GET", `api/v2/network/${spare.id}`)).status, 404);
  say("a network deleted, after its name was written");

  await open("planet");
  await heading("Planet");
  const code = page.getByAltText("QR code of the link that adds this planet");
  await code.waitFor();
  assert.ok(await code.evaluate((image) => image.complete && image.naturalWidth > 0));
  const link = spawnSync(PROGRAM, ["planet", "show", path.join(home, "planet"), "--link"], { encoding: "utf8" }).stdout.trim();
  await page.getByText(link).waitFor();
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Download the file" }).click()]);
  assert.deepEqual(readFileSync(await download.path()), readFileSync(path.join(home, "planet")));
  await look("planet");
  say("planet: the same link as on the command line, and the same file");

  await backups(page, { open, heading, look });

  for (const [place, name] of [["networks", "Networks"], ["peers", "Peers"], ["audit", "Audit log"]]) {
    await open(place);
    await heading(name);
    await page.getByRole("row").nth(1).waitFor();
    await look(place);
  }
  await page.keyboard.press("?");
  await heading("Keys");
  await look("keys");
  await page.keyboard.press("Escape");
  await page.keyboard.press("g");
  await page.keyboard.press("d");
  await heading("Dashboard");
  await page.locator(".curve").first().waitFor();
  // The samples of some seconds, so that there is a line to look at.
  await page.waitForFunction(() => JSON.parse(sessionStorage.getItem("samples")).length > 4, null, { timeout: ONLINE_MS });
  await look("dashboard");
}

/** A token is made, shown once, does what its scope says and no more, and is revoked. */
async function tokens(page, network, { open, heading, look }) {
  await open("tokens");
  await heading("There is only the token of the home folder");
  await page.getByRole("main").getByRole("button", { name: "New token" }).click();
  await page.getByLabel("Name", { exact: true }).fill("reader");
  await page.getByLabel("Of", { exact: true }).selectOption("Only these");
  await page.getByLabel("office").check();
  await page.getByLabel("It expires").selectOption("After 30 days");
  await look("token-new");
  await page.getByRole("button", { name: "Create" }).click();
  await heading("Token reader");
  const secret = await page.getByLabel("Secret of reader").textContent();
  await look("token-made");
  await page.getByRole("button", { name: "Copy" }).click();
  await page.locator(".toast", { hasText: "Copied." }).waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), secret);
  await page.getByRole("button", { name: "Done" }).click();
  await page.getByText("read: office").waitFor();
  assert.equal(await page.getByText(secret).count(), 0);
  const reader = apiWith(secret);
  assert.equal((await reader("GET", `api/v2/network/${network}`)).status, 200);
  assert.equal((await reader("DELETE", `api/v2/network/${network}`)).status, 403);
  await look("tokens");
  await page.getByRole("button", { name: "Revoke reader" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Revoke" }).click();
  await heading("There is only the token of the home folder");
  assert.equal((await reader("GET", `api/v2/network/${network}`)).status, 401);
  say("a token made, shown once, copied, used, revoked");
}

/** A backup is made, fetched, read by the command line, and deleted. */
async function backups(page, { open, heading, look }) {
  await open("backups");
  await heading("There is no backup yet");
  await page.getByRole("main").getByRole("button", { name: "Make one now" }).click();
  await page.locator(".toast", { hasText: "was made, and read back" }).waitFor({ timeout: ONLINE_MS });
  const button = page.getByRole("button", { name: /^Download / });
  await button.waitFor();
  await look("backups");
  const [download] = await Promise.all([page.waitForEvent("download"), button.click()]);
  const file = path.join(folder, "fetched");
  await download.saveAs(file);
  const verified = spawnSync(PROGRAM, ["verify", file], { encoding: "utf8" });
  assert.equal(verified.status, 0, `${verified.stdout}${verified.stderr}`);
  await page.getByRole("button", { name: /^Delete / }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
  await heading("There is no backup yet");
  say("a backup made, fetched, verified on the command line, deleted");
}

/** The table of 100,000 members: few rows exist, wherever it is scrolled to. */
async function bigNetwork(page, api, { open, look }) {
  const MEMBERS = 100_000;
  const MOST_ROWS = 60;
  const { id, last } = await campus(api, MEMBERS);
  say(`a network with ${MEMBERS.toLocaleString("en")} members made`);
  const rows = page.locator(".virtual-body .virtual-row");
  const opened = Date.now();
  await open(`network/${id}`);
  await rows.getByText("1000000000").waitFor();
  say(`first rows after ${Date.now() - opened} ms`);
  await page.getByText("100,000 members").first().waitFor();
  const bounded = async (where) => {
    const count = await rows.count();
    assert.ok(count > 5 && count <= MOST_ROWS, `${where}: ${count} rows exist`);
    return count;
  };
  await bounded("at the beginning");
  const table = page.getByRole("table", { name: "Members" });
  // The wheel, as a hand turns it: how long each picture took, with rows made and removed all the time.
  const frames = await table.evaluate(async (view) => {
    const times = [];
    let before = performance.now();
    for (let step = 0; step < 120; step += 1) {
      view.scrollTop += 90;
      await new Promise((drawn) => requestAnimationFrame(drawn));
      const now = performance.now();
      times.push(now - before);
      before = now;
    }
    return times.sort((a, b) => a - b).map((time) => Math.round(time));
  });
  say(`120 steps of scrolling: ${frames[60]} ms each in the median, ${frames.at(-1)} ms at most`);
  await bounded("while scrolling");
  await look("members-100000");
  const jumped = Date.now();
  await table.focus();
  await page.keyboard.press("End");
  await rows.getByText(last).waitFor({ timeout: ONLINE_MS });
  say(`the last of them after ${Date.now() - jumped} ms, with ${await bounded("at the end")} rows in the page`);
  const searched = Date.now();
  await page.getByLabel("Search members").fill(last);
  await page.getByText("1 member", { exact: true }).waitFor();
  await rows.getByText(last).waitFor();
  assert.equal(await rows.count(), 1);
  say(`found by its address after ${Date.now() - searched} ms`);
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
  page = await browser.newPage({ viewport: DESKTOP, permissions: ["clipboard-read", "clipboard-write"] });
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
