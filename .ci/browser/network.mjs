// One network: a member of it, its addresses, rules and settings.
import assert from "node:assert/strict";
import { say } from "./stage.mjs";

/** With the keyboard alone: to the search, to the table, choose, open. */
export async function member({ page, made, complaints, look, heading, api, toast }) {
  const [{ address }, other] = made.clients;
  const row = (of) => page.getByRole("row").filter({ hasText: of });
  await page.locator("h1").focus();
  await page.keyboard.press("/");
  await page.keyboard.type(address);
  await row(other.address).waitFor({ state: "detached" });
  await page.getByRole("table", { name: "Members" }).focus();
  await page.keyboard.press("Space");
  await page.getByText("1 chosen").waitFor();
  await look("members-chosen");
  await page.getByRole("button", { name: "Choose none" }).press("Enter");
  await page.getByRole("table", { name: "Members" }).focus();
  await page.keyboard.press("Enter");
  await heading(address);
  await page.getByLabel("Name", { exact: true }).fill("first laptop");
  await page.getByLabel("IP addresses").fill("10.147.1.300");
  await complaints.during(/status of 422/, async () => {
    await page.getByRole("button", { name: "Save" }).click();
    await page.locator(".problem", { hasText: "10.147.1.300" }).waitFor();
  });
  // What is written is not lost by a wrong click.
  await page.getByRole("link", { name: "Peers" }).click();
  await heading("Leave without saving?");
  await look("unsaved");
  await page.getByRole("button", { name: "Stay" }).click();
  assert.equal(await page.getByLabel("IP addresses").inputValue(), "10.147.1.300");
  // Nor by one beside the page.
  await complaints.during(/^a dialog of the browser: /, async () => {
    const asked = page.waitForEvent("dialog");
    await page.evaluate("setTimeout(() => location.reload())");
    assert.equal((await asked).type(), "beforeunload");
  });
  assert.equal(await page.getByLabel("IP addresses").inputValue(), "10.147.1.300");
  await page.getByLabel("IP addresses").fill(made.free = await freeAddress(api, made));
  await page.getByRole("button", { name: "Save" }).click();
  await heading("first laptop");
  await page.getByText("Member authorized").waitFor();
  // What a script does meanwhile shows, though nobody reloads.
  await api("POST", `api/v2/network/${made.network}/member/bulk`, { entries: [{ address, action: "deauthorize" }] });
  await page.getByText("Revoked", { exact: true }).waitFor();
  await page.getByRole("button", { name: "Authorize", exact: true }).click();
  await toast("first laptop authorized").waitFor();
  await page.getByText("Authorized", { exact: true }).waitFor();
  await page.getByText("Member revoked").waitFor();
  await look("member");
  say("a member named, with what happened to it, and what others did to it meanwhile");
}

/** An address that neither of the clients has. */
async function freeAddress(api, { network }) {
  const { body } = await api("GET", `api/v2/network/${network}/member`);
  const taken = body.data.flatMap(({ ipAssignments }) => ipAssignments);
  return ["10.147.1.30", "10.147.1.31", "10.147.1.32"].find((one) => !taken.includes(one));
}

export async function addresses({ page, made, complaints, look, open, heading }) {
  await open(`network/${made.network}/addresses`);
  await page.getByText("2 of 254 used").waitFor();
  await look("addresses");
  await page.getByLabel("Destination").first().fill("10.147.1.0/240");
  await complaints.during(/status of 422/, async () => {
    await page.getByRole("button", { name: "Save" }).click();
    await page.locator(".problem", { hasText: "10.147.1.0/240" }).waitFor();
  });
  await open(`network/${made.network}/rules`);
  await heading("Leave without saving?");
  await page.getByRole("button", { name: "Leave" }).click();
  say("addresses: a wrong route is told beside its field, and leaving it is asked for");
}

export async function rules({ page, complaints, look, toast }) {
  const source = page.getByLabel("Source of the rules");
  await source.waitFor();
  await source.fill("drop not ethertype ipv4 and not ethertype arp;\naccpt;\n");
  await complaints.during(/status of 422/, () => page.getByRole("button", { name: "Line 2" }).waitFor());
  await look("rules-wrong");
  // With the keyboard: to the error, mend it, see what would change.
  await page.getByRole("button", { name: "Line 2" }).press("Enter");
  await page.keyboard.type("accept;");
  await page.getByRole("button", { name: "Line 2" }).waitFor({ state: "hidden" });
  await source.fill("drop not ethertype ipv4 and not ethertype arp and not ethertype ipv6;\naccept;\n");
  await page.getByText("Tests", { exact: true }).click();
  await page.getByLabel("Tests of the rules").fill('test "mail" {\n  from any to any tcp 25 expect drop;\n}\n');
  await page.keyboard.press("Control+Enter");
  await page.getByText("1 test would fail").waitFor();
  await page.getByLabel("Rules: lines that go and come").getByText("+ drop not ethertype ipv4").waitFor();
  await look("rules-test");
  await page.getByLabel("Tests of the rules").fill('test "mail" {\n  from any to any tcp 25 expect accept;\n}\n');
  await page.getByRole("button", { name: "What would change?" }).click();
  await page.getByText("1 test would pass").waitFor();
  await page.getByRole("button", { name: "Apply" }).click();
  await toast("Rules stored; 1 test passed").waitFor();
  await page.getByLabel("Packet").fill("tcp 443");
  await page.getByRole("button", { name: "Explain" }).click();
  await page.getByText("It passes").waitFor();
  await page.getByText("Step by step, at the sender").click();
  await look("rules");
  say("rules: an error at its line, a test that would fail, what would change, why a packet passes");
}

export async function settings({ page, made, complaints, look, open, toast }) {
  await open(`network/${made.network}/settings`);
  await page.getByLabel("Domain").fill("office.example");
  await page.getByLabel("Servers").fill("nonsense");
  await complaints.during(/status of 422/, async () => {
    await page.getByRole("button", { name: "Save" }).click();
    await page.locator(".problem", { hasText: "nonsense" }).waitFor();
  });
  await look("settings-wrong");
  await page.getByLabel("Servers").fill("10.147.1.30");
  await page.getByRole("button", { name: "Save" }).click();
  await toast("Saved. Members").waitFor();
  await look("settings");
  await open(`network/${made.network}/history`);
  await page.getByText("Network changed").first().waitFor();
  await look("history");
  say("settings refused beside the field that was wrong, then saved; the history says so");
}
