// What belongs to the whole controller: tokens, webhooks, planet and moons, backups, and what can only be read.
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import path from "node:path";
import { apiWith, folder, makeMoon, ONLINE_MS, planetFile, planetLink, run, say } from "./stage.mjs";

/** A token is made, shown once, does what its scope says and no more, and is revoked. */
export async function tokens({ page, made, open, heading, look, toast, dialog }) {
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
  await toast("Copied.").waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), secret);
  await page.getByRole("button", { name: "Done" }).click();
  await page.getByText("read: office").waitFor();
  assert.equal(await page.getByText(secret).count(), 0);
  const reader = apiWith(secret);
  assert.equal((await reader("GET", `api/v2/network/${made.network}`)).status, 200);
  assert.equal((await reader("DELETE", `api/v2/network/${made.network}`)).status, 403);
  await look("tokens");
  await page.getByRole("button", { name: "Revoke reader" }).click();
  await dialog.getByRole("button", { name: "Revoke" }).click();
  await heading("There is only the token of the home folder");
  assert.equal((await reader("GET", `api/v2/network/${made.network}`)).status, 401);
  say("a token made, shown once, copied, used, revoked");
}

/** Hears what webhooks are told; `status` is what it answers. */
async function receiver() {
  const hears = { told: [], status: 200 };
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (part) => { body += part; });
    request.on("end", () => {
      hears.told.push({ body, signature: request.headers["x-ztc-signature"] });
      response.writeHead(hears.status).end();
    });
  });
  await new Promise((ready) => { server.listen(0, "127.0.0.1", ready); });
  return { hears, url: `http://127.0.0.1:${server.address().port}/hook`, close: () => { server.closeAllConnections(); server.close(); } };
}

/** A webhook is made, tried, heard with its signature; one that does not arrive says why. */
export async function webhooks({ page, made, complaints, api, open, heading, look, toast, dialog }) {
  const { hears, url, close } = await receiver();
  await open("webhooks");
  await heading("Nobody is told");
  await look("webhooks-empty");
  await page.getByRole("main").getByRole("button", { name: "New webhook" }).click();
  await page.getByLabel("URL").fill("ftp://127.0.0.1/");
  await page.getByLabel("Description").fill("chat");
  await page.getByLabel("Everything").uncheck();
  await page.getByLabel("A member is authorized").check();
  await complaints.during(/status of 422/, async () => {
    await page.getByRole("button", { name: "Create" }).click();
    await page.locator(".problem", { hasText: "xpected http:// or https://" }).waitFor();
  });
  await look("webhook-new");
  await page.getByLabel("URL").fill(url);
  await page.getByRole("button", { name: "Create" }).click();
  await heading("The secret of the webhook");
  const secret = await page.getByLabel("Secret of the webhook", { exact: true }).textContent();
  await page.getByRole("button", { name: "Done" }).click();
  await page.getByText("nothing sent yet").waitFor();
  await page.getByRole("button", { name: "Send a test to chat" }).click();
  await toast("The test arrived.").waitFor();
  await page.getByText("arrives", { exact: true }).waitFor();
  const [{ body, signature }] = hears.told;
  assert.equal(JSON.parse(body).hook_type, "TEST");
  const [, time, code] = signature.match(/^t=(\d+),v1=([0-9a-f]{64})$/);
  assert.equal(createHmac("sha256", Buffer.from(secret, "hex")).update(`${time},${body}`).digest("hex"), code);
  // What it is for.
  const entry = { address: "1234567891", action: "authorize" };
  await api("POST", `api/v2/network/${made.network}/member/bulk`, { entries: [entry] });
  await page.waitForTimeout(500);
  assert.deepEqual(hears.told.slice(1).map((one) => JSON.parse(one.body).hook_type), ["NETWORK_AUTH"]);
  await api("DELETE", `api/v2/network/${made.network}/member/${entry.address}`);
  hears.status = 500;
  await page.getByRole("button", { name: "Send a test to chat" }).click();
  await toast("The test did not arrive: expected a status from 200 to 299, got 500").waitFor();
  await page.getByText("does not arrive").waitFor();
  await look("webhooks");
  await givenUp({ page, open, look, toast });
  await page.getByRole("button", { name: "Edit chat" }).click();
  await page.getByLabel("Description").fill("lobby");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByRole("button", { name: "Switch off lobby" }).click();
  await page.getByText("switched off").waitFor();
  assert.ok(await page.getByRole("button", { name: "Send a test to lobby" }).isDisabled());
  await page.getByRole("button", { name: "Remove lobby" }).click();
  await dialog.getByRole("button", { name: "Remove the webhook" }).click();
  await heading("Nobody is told");
  close();
  say("a webhook made, tried, heard with its signature, failing with its reason, edited, switched off, removed");
}

/** A delivery is given up after four hours, which nobody waits for here: what the controller says of it is added on the way. */
async function givenUp({ page, open, look, toast }) {
  const reason = "expected a status from 200 to 299, got 500 Internal Server Error";
  const dead = (id, kind) => ({ id, created: Date.now() - 4 * 3600e3, attempts: 15, failure: reason, body: { hook_type: kind, member_id: "1234567891" } });
  await page.route("**/api/v2/webhooks", async (route) => {
    const response = await route.fetch();
    const list = await response.json();
    list.data[0].dead = [dead(8, "NETWORK_DEAUTH"), dead(7, "NETWORK_AUTH")];
    await route.fulfill({ response, json: list });
  });
  const sent = [];
  await page.route("**/retry", async (route) => {
    sent.push(route.request().postDataJSON());
    await route.fulfill({ json: {} });
  });
  await open("audit");
  await open("webhooks");
  const opened = async () => page.getByText("2 deliveries were given up").click();
  await opened();
  await look("webhooks-given-up");
  await page.getByRole("button", { name: "Try again: NETWORK_AUTH for chat" }).click();
  await toast("chat is told again.").waitFor();
  await opened();
  await page.getByRole("button", { name: "Try all again for chat" }).click();
  await page.waitForFunction(() => !document.querySelector("details[open]"));
  assert.deepEqual(sent, [{ delivery: 7 }, {}]);
  await page.unroute("**/api/v2/webhooks");
  await page.unroute("**/retry");
  await open("audit");
  await open("webhooks");
}

/** The planet as the command line shows it; a moon when there is one. */
export async function planet({ page, open, heading, look }) {
  await open("planet");
  await heading("Planet");
  const code = page.getByAltText("QR code of the link that adds this planet");
  await code.waitFor();
  assert.ok(await code.evaluate((image) => image.complete && image.naturalWidth > 0));
  await page.getByText(planetLink()).waitFor();
  await page.getByText("None. A moon adds roots").waitFor();
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Download the file" }).click()]);
  assert.deepEqual(readFileSync(await download.path()), planetFile());
  const command = makeMoon().match(/zerotier-cli orbit \w+ \w+/)[0];
  for (const end = Date.now() + ONLINE_MS; Date.now() < end && await page.getByText(command).count() === 0;) {
    await page.waitForTimeout(500);
    await page.reload();
    await heading("Planet");
  }
  await page.getByText(command).waitFor();
  await look("planet");
  say("planet and moon: the same link, file and command as on the command line");
}

/** A backup is made, fetched, read by the command line, and deleted. */
export async function backups({ page, open, heading, look, toast, dialog }) {
  await open("backups");
  await heading("There is no backup yet");
  await page.getByRole("main").getByRole("button", { name: "Make one now" }).click();
  await toast("was made, and read back").waitFor({ timeout: ONLINE_MS });
  const button = page.getByRole("button", { name: /^Download / });
  await button.waitFor();
  await look("backups");
  const [download] = await Promise.all([page.waitForEvent("download"), button.click()]);
  const file = path.join(folder, "fetched");
  await download.saveAs(file);
  run("verify", file);
  await page.getByRole("button", { name: /^Delete / }).click();
  await dialog.getByRole("button", { name: "Delete" }).click();
  await heading("There is no backup yet");
  say("a backup made, fetched, verified on the command line, deleted");
}

/** What can only be read, and the keys that lead there. */
export async function elsewhere({ page, complaints, open, heading, look, toast }) {
  for (const [place, name] of [["networks", "Networks"], ["peers", "Peers"], ["audit", "Audit log"], ["about", "About"]]) {
    await open(place);
    await heading(name);
    await page.getByRole("row").nth(1).waitFor();
    await look(place);
  }
  // The log, for as long as the program runs.
  await page.getByLabel("Levels").fill("loud");
  await complaints.during(/status of 422/, async () => {
    await page.getByRole("button", { name: "Set", exact: true }).click();
    await page.locator(".problem", { hasText: "loud" }).waitFor();
  });
  await page.getByLabel("Levels").fill("warn");
  await page.getByRole("button", { name: "Set", exact: true }).click();
  await toast("The log has these levels").waitFor();
  await page.locator("h1").focus();
  await page.keyboard.press("?");
  await heading("Keys");
  await look("keys");
  await page.keyboard.press("Escape");
  await page.keyboard.press("g");
  await page.keyboard.press("d");
  await heading("Dashboard");
  await page.locator(".curve").first().waitFor({ state: "attached" });
  // The samples of some seconds, so that there is a line to look at.
  await page.waitForFunction(() => JSON.parse(sessionStorage.getItem("samples")).length > 4, null, { timeout: ONLINE_MS });
  await look("dashboard");
}
