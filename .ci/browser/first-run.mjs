// Somebody opens the page of a new controller for the first time.
import assert from "node:assert/strict";
import { BASE, client, ONLINE_MS, say } from "./stage.mjs";

export async function firstRun(scene) {
  const { page, token, complaints, look, heading, made, open, api, toast, dialog } = scene;
  const answer = await page.goto(BASE);
  assert.match(answer.headers()["content-security-policy"], /^default-src 'none'; script-src 'self'; style-src 'self';/);
  await look("log-in");
  await page.getByText("Where is the token?").click();
  await look("log-in-help");
  // The browser says so of every refused request.
  await complaints.during(/status of 401/, async () => {
    await page.getByLabel("Token").fill("not the token");
    await page.getByRole("button", { name: "Log in" }).click();
    await page.getByText("That is not a token of this controller.").waitFor();
  });
  await page.getByLabel("Token").fill(token);
  await page.getByRole("button", { name: "Log in" }).click();
  await heading("Dashboard");
  await heading("There is no network yet");
  await look("dashboard-empty");

  await page.getByRole("link", { name: "Networks", exact: true }).first().click();
  await heading("There is no network yet");
  await page.getByRole("main").getByRole("button", { name: "New network" }).first().click();
  await page.getByLabel("Name").fill("office");
  await page.getByLabel("IPv4 addresses").fill("10.147.1.0");
  await page.getByRole("button", { name: "Create" }).click();
  await page.getByText("Expected a range like 10.147.17.0/24").waitFor();
  await look("network-new");
  await page.getByLabel("IPv4 addresses").fill("10.147.1.0/24");
  await page.getByText("254 addresses for members: 10.147.1.1 to 10.147.1.254.").waitFor();
  await page.getByRole("button", { name: "Create" }).click();
  await heading("office");
  const network = page.url().match(/network\/([0-9a-f]{16})/)[1];
  made.network = network;
  await heading("Nobody has joined yet");
  await page.getByLabel("Command that joins").getByText(`zerotier-cli join ${network}`).waitFor();
  const code = page.getByAltText("QR code of the link that joins this network");
  assert.ok(await code.evaluate((image) => image.complete && image.naturalWidth > 0));
  say(`network ${network} made`);
  await look("members-empty");
  await page.emulateMedia({ reducedMotion: "reduce" });
  assert.equal(await page.evaluate(() => document.getAnimations().length), 0, "something moves for who wants no motion");
  await page.emulateMedia({ reducedMotion: "no-preference" });

  const clients = await Promise.all([client(network), client(network)]);
  made.clients = clients;
  say(`two clients are online: ${clients.map(({ address }) => address).join(", ")}`);
  for (const { address } of clients) await page.getByRole("link", { name: address }).waitFor({ timeout: ONLINE_MS });
  await look("members-waiting");
  await open("");
  await page.getByText("Waiting to be let in").waitFor();
  for (const { address } of clients) await page.getByRole("link", { name: address }).waitFor();
  await look("dashboard-waiting");

  // One is refused, which is not for ever.
  await page.getByRole("listitem").filter({ hasText: clients[1].address }).getByRole("button", { name: "Refuse" }).click();
  await toast(`${clients[1].address} refused.`).waitFor();
  await page.getByRole("main").getByRole("link", { name: clients[1].address }).waitFor({ state: "detached" });
  await open(`network/${network}`);
  const row = (address) => page.getByRole("row").filter({ hasText: address });
  await row(clients[1].address).getByText("Refused").waitFor();
  say("one refused on the dashboard");

  // One by its button, the other as one of many.
  await row(clients[0].address).getByRole("button", { name: "Authorize" }).click();
  say(`first client has ${await clients[0].configured()}`);
  await page.getByLabel(`Choose ${clients[1].address}`).check();
  await page.locator(".bulk").getByRole("button", { name: "Authorize" }).click();
  say(`second client has ${await clients[1].configured()}`);
  for (const { address } of clients) await row(address).getByText("10.147.1.").waitFor({ timeout: ONLINE_MS });
  for (const { address } of clients) await row(address).getByText("online").waitFor({ timeout: ONLINE_MS });
  await page.getByText("2 authorized members").waitFor();
  await look("members", { toasts: true });

  // A decision is taken back as easily as it was made.
  await row(clients[1].address).getByRole("button", { name: "Revoke" }).click();
  await row(clients[1].address).getByRole("button", { name: "Authorize" }).waitFor();
  await toast(`${clients[1].address} revoked`).getByRole("button", { name: "Undo" }).click();
  await row(clients[1].address).getByRole("button", { name: "Revoke" }).waitFor();
  say("revoked, and taken back");

  // What others do shows by itself, as an event.
  await page.getByText("Live", { exact: true }).waitFor();
  await api("POST", `api/v2/network/${network}/member/bulk`, { entries: [{ address: "1234567890", action: "authorize" }] });
  await row("1234567890").waitFor({ timeout: 5000 });
  await api("DELETE", `api/v2/network/${network}/member/1234567890`);
  await row("1234567890").waitFor({ state: "detached", timeout: 5000 });
  say("a member that a script added and removed came and went by itself");

  // Known before it asks.
  await page.getByRole("button", { name: "Add a device" }).click();
  await page.getByLabel("You know its address already?").fill("12345");
  await dialog.getByRole("button", { name: "Authorize" }).click();
  await page.getByText("Expected ten hexadecimal digits.").waitFor();
  await look("device-new");
  await page.getByLabel("You know its address already?").fill("1234567890");
  await dialog.getByRole("button", { name: "Authorize" }).click();
  await heading("1234567890");
  await page.getByRole("button", { name: "Remove" }).click();
  await page.getByLabel("Write 1234567890 to go on").fill("1234567890");
  await page.getByRole("button", { name: "Remove the member" }).click();
  await heading("office");
  await row("1234567890").waitFor({ state: "detached", timeout: 5000 });
  say("a device let in before it asked, and removed");
}
