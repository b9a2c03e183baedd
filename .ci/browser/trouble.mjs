// What goes wrong between the page and the controller, and what the page says of it.
import assert from "node:assert/strict";
import { ONLINE_MS, say, startController, stopController } from "./stage.mjs";

const OF_NETWORKS = "**/api/v2/network?*";

/** A page that takes long says so, and then is there. */
export async function slowness({ page, open, heading }) {
  let answer = () => {};
  await page.route(OF_NETWORKS, async (route) => {
    await new Promise((resolve) => { answer = resolve; });
    await route.continue();
  });
  await open("networks");
  await page.getByText("Fetching the page…").waitFor({ state: "attached" });
  answer();
  await heading("Networks");
  await page.unroute(OF_NETWORKS);
  say("a slow answer is waited for, and the page says so");
}

/** Each refusal in words that a person understands, with a way on. */
export async function refusals({ page, complaints, open, heading, look }) {
  const problem = (status, more = {}) => ({ status, contentType: "application/problem+json", json: { title: "x", status, ...more } });
  const cases = [
    [problem(403, { detail: "the token may not read" }), "Not with this token", "This token may not do that."],
    [problem(404), "That is not there (any more)", "Dashboard"],
    [problem(409, { title: undefined }), "That did not work", "Something else keeps this from being done."],
    [{ ...problem(429), headers: { "Retry-After": "60" } }, "Wait a moment", "Too many wrong tokens came from here. Try again in 60 s."],
    [{ status: 500, body: "" }, "That did not work", "Something is wrong with the controller (500); its log says more."],
    [{ ...problem(503, { detail: "the disk is full" }), headers: { "Retry-After": "30" } }, "That did not work", "the disk is full Try again in 30 s."],
  ];
  for (const [answer, title, words] of cases) {
    await page.route(OF_NETWORKS, (route) => route.fulfill(answer));
    await complaints.during(/status of \d{3}/, async () => {
      await open("about");
      await heading("About");
      await open("networks");
      await heading(title);
      await page.getByRole("main").getByText(words).first().waitFor();
      if (answer.status === 403) await look("refused");
    });
    await page.unroute(OF_NETWORKS);
    await page.getByRole("button", { name: "Try again" }).click();
    await heading("Networks");
  }
  await open("nowhere");
  await heading("There is no such page");
  say("403, 404, 409, 429, 500 and 503 in words, each with a way on");
}

/** The controller restarts while somebody looks: the page says so, and goes on by itself. */
export async function restart({ page, made, complaints, open, heading, look, toast, api }) {
  await open(`network/${made.network}`);
  await heading("office");
  await page.getByText("Live", { exact: true }).waitFor();
  await complaints.during(/ERR_|failed$/, async () => {
    await stopController();
    await page.getByText("The controller does not answer.").waitFor();
    await look("no-answer");
    await page.goto(page.url().replace(/#.*/, "#/peers"));
    await heading("The controller does not answer");
    await startController();
    await toast("The controller answers again.").waitFor({ timeout: ONLINE_MS });
    // What could not be shown is shown now, without a click.
    await heading("Peers");
    await page.getByText("Live", { exact: true }).waitFor();
    await page.getByText("What you see is from").waitFor({ state: "detached" });
  });
  await open(`network/${made.network}`);
  await heading("office");
  await api("POST", `api/v2/network/${made.network}/member/bulk`, { entries: [{ address: "1234567890", action: "authorize" }] });
  const row = page.getByRole("row").filter({ hasText: "1234567890" });
  await row.waitFor({ timeout: 5000 });
  await api("DELETE", `api/v2/network/${made.network}/member/1234567890`);
  await row.waitFor({ state: "detached", timeout: 5000 });
  say("the controller restarted: said, waited for, and live again");
}

/** A token that ends leads to the log-in, and from there back to where one was. */
export async function sessionEnds({ page, token, complaints, api, open, heading, look }) {
  const { body: short } = await api("POST", "api/v2/tokens", { name: "short", scope: ["admin"] });
  const logIn = async (secret) => {
    await page.getByLabel("Token").fill(secret);
    await page.getByRole("button", { name: "Log in" }).click();
  };
  await page.getByRole("button", { name: "Log out" }).click();
  await logIn(short.secret);
  await open("tokens");
  await heading("Tokens");
  await complaints.during(/status of 401/, async () => {
    await api("DELETE", "api/v2/tokens/short");
    await page.getByRole("link", { name: "Backups" }).click();
    await page.getByText("This token is no longer accepted").waitFor();
  });
  assert.equal(await page.evaluate(() => sessionStorage.getItem("token")), null);
  await look("session-ended");
  await logIn(token);
  await heading("Backups");
  // One that may only read sees what it may, and is told of the rest.
  const { body: reader } = await api("POST", "api/v2/tokens", { name: "reader", scope: ["read"] });
  await page.getByRole("button", { name: "Log out" }).click();
  await logIn(reader.secret);
  await complaints.during(/status of 403/, async () => {
    await heading("Not with this token");
    await page.getByRole("link", { name: "Dashboard" }).first().click();
    await heading("Dashboard");
    await page.getByRole("link", { name: "About" }).click();
    await heading("This controller");
    assert.equal(await page.getByRole("heading", { name: "Settings" }).count(), 0);
  });
  await page.getByRole("button", { name: "Log out" }).click();
  await api("DELETE", "api/v2/tokens/reader");
  await logIn(token);
  await heading("About");
  say("a token that was revoked: told, logged in again, and where one was; one that may only read: told of the rest");
}
