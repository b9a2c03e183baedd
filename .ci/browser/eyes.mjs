// How a page is looked at: pictures in every theme and size, what axe-core says, what the browser complains about.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { BASE, say } from "./stage.mjs";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
export const DESKTOP = { width: 1280, height: 800 };
const PHONE = { width: 390, height: 780 };
/** A window of 1280 pixels, enlarged to 200 and to 400 per cent. */
const ENLARGED = [{ width: 640, height: 400 }, { width: 320, height: 256 }];
const KINDS = [["", "light", DESKTOP], ["-dark", "dark", DESKTOP], ["-phone", "dark", PHONE], ["-phone-light", "light", PHONE]];

const SAID_MS = 250;

/** Fails if a page is wider than its window. */
async function fits(page, what) {
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.ok(wide <= 0, `${what}: the page is ${wide} pixels wider than the window`);
}

/** Returns `look(name)`: a page in light, in dark and on a phone, a picture of each, enlarged, and what axe-core says. */
export function eyes(page, pictures) {
  return async (name, { toasts = false } = {}) => {
    // What is not drawn yet has no heading.
    await page.locator("main h1").first().waitFor();
    if (!toasts) await page.evaluate(() => document.getElementById("toasts").replaceChildren());
    for (const [kind, colorScheme, size] of KINDS) {
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize(size);
      await page.evaluate(AXE);
      const { violations } = await page.evaluate(() => globalThis.axe.run());
      assert.deepEqual(violations.map(({ id, nodes }) => `${name}${kind}: ${id}: ${nodes[0].target}`), []);
      await fits(page, `${name}${kind}`);
      await page.screenshot({ path: path.join(pictures, `${name}${kind}.png`) });
    }
    for (const size of ENLARGED) {
      await page.setViewportSize(size);
      await fits(page, `${name}, ${size.width} pixels wide`);
    }
    await page.emulateMedia({ colorScheme: "light" });
    await page.setViewportSize(DESKTOP);
    say(`${name}: looked at in light, dark, on a phone, and enlarged; accessible`);
  };
}

/** Collects what the browser complains about, but for what a step provokes on purpose, and requests to elsewhere. */
export function complaintsOf(page) {
  const found = [];
  let expected = null;
  const note = (text) => { if (!expected?.test(text)) found.push(text); };
  page.on("console", (message) => { if (["error", "warning"].includes(message.type())) note(message.text()); });
  page.on("pageerror", (error) => note(error.message));
  page.on("dialog", (dialog) => { note(`a dialog of the browser: ${dialog.message()}`); dialog.dismiss(); });
  page.on("requestfailed", (request) => { if (request.failure()?.errorText !== "net::ERR_ABORTED") note(`${request.url()} failed`); });
  page.on("request", (request) => { if (!request.url().startsWith(BASE) && !/^(data|blob):/.test(request.url())) found.push(`asked elsewhere: ${request.url()}`); });
  return {
    found,
    /** Takes what matches while `work` runs. */
    async during(pattern, work) {
      expected = pattern;
      const result = await work();
      // The browser may say so a moment later.
      await page.waitForTimeout(SAID_MS);
      expected = null;
      return result;
    },
  };
}
