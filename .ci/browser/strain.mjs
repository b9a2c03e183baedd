// What strains a page: names that are no names, and 100,000 members.
import assert from "node:assert/strict";
import { ONLINE_MS, say } from "./stage.mjs";

const MEMBERS = 100_000;
const MOST_ROWS = 60;

/** Names are shown as they are, and do nothing, whoever wrote them. */
export async function hostileNames({ page, api, complaints, open, look, heading }) {
  const script = `<img src=x onerror=alert(1)>"'&<script>alert(2)</script>`;
  const names = [script, "\u202Egnp.exe", "عربي 😀 ไทย 中文", "W".repeat(120), "  ", "a\u0301".repeat(40)];
  const { body: network } = await api("POST", "api/v2/network", { name: script });
  const address = (index) => (0x2000000000 + index).toString(16);
  await api("POST", `api/v2/network/${network.id}/member/bulk`, { entries: names.map((_, index) => ({ address: address(index), action: "authorize" })) });
  for (const [index, name] of names.entries()) {
    const { status, body } = await api("PATCH", `api/v2/network/${network.id}/member/${address(index)}`, { name });
    assert.equal(status, 200, JSON.stringify(body));
  }
  await open(`network/${network.id}`);
  await heading(script);
  await page.getByRole("link", { name: script }).waitFor();
  // What would turn the direction of the rest is shown as what it is.
  await page.getByRole("link", { name: "\uFFFDgnp.exe" }).waitFor();
  await look("hostile-names");
  await open(`network/${network.id}/member/${address(3)}`);
  await heading(names[3]);
  await look("hostile-name");
  await page.getByLabel("Name", { exact: true }).fill("x".repeat(200));
  await complaints.during(/status of 422/, async () => {
    await page.getByRole("button", { name: "Save" }).click();
    await page.locator(".problem", { hasText: "127 bytes" }).waitFor();
  });
  await page.getByLabel("Name", { exact: true }).fill(names[3]);
  await open("audit");
  await heading("Audit log");
  await page.evaluate(() => { for (const details of document.querySelectorAll("main details")) details.open = true; });
  await page.getByText("alert(1)").first().waitFor();
  await open("networks");
  await page.getByRole("link", { name: script }).waitFor();
  assert.equal(await page.locator("main img, main script").count(), 0);
  await api("DELETE", `api/v2/network/${network.id}`);
  say("names with HTML, turned directions, emoji and 120 letters shown harmlessly");
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

/** The table of 100,000 members: few rows exist, wherever it is scrolled to. */
export async function bigNetwork({ page, api, open, look }) {
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

/** What cannot be taken back has to be written out. */
export async function deletion({ page, api, open, heading, look }) {
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
}
