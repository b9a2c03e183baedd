// What the story is played with: the controller, real clients, a script's view of the API.
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";

const [, , repository] = process.argv;
const ADDRESS = "10.99.0.1";
const PROGRAM = path.join(repository, "target/debug/ctl-bin");
const CLIENT = path.join(repository, "ctl-bin/tests/real_client/ztclient.py");
const WHEEL = path.join(repository, "target/libzt");
export const ONLINE_MS = 90_000;
export const BASE = "http://127.0.0.1:9993/";

export const folder = mkdtempSync(path.join(tmpdir(), "story-"));
export const home = path.join(folder, "home");
const planet = path.join(home, "planet");
const started = [];
const begin = Date.now();

export function say(what) {
  console.log(`${((Date.now() - begin) / 1000).toFixed(1).padStart(6)} s  ${what}`);
}

/** Runs the program, and returns what it prints. */
export function run(...parameters) {
  const { status, stdout, stderr } = spawnSync(PROGRAM, parameters, { encoding: "utf8" });
  assert.equal(status, 0, `${parameters.join(" ")}: ${stdout}${stderr}`);
  return stdout;
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

/** Makes a planet of its own in the home: without one, the public roots would be asked. */
export function makePlanet() {
  run("planet", "create", "--endpoint", `${ADDRESS}/9993`, "--home", home, "--out", planet);
}

export const planetFile = () => readFileSync(planet);
export const planetLink = () => run("planet", "show", planet, "--link").trim();
export const makeMoon = () => run("moon", "create", "--endpoint", `${ADDRESS}/9993`, "--home", home, "--out", path.join(folder, "my.moon"));

let controller = null;

export async function startController() {
  controller = start(PROGRAM, ["--home", home]);
  await controller.line((line) => line.startsWith("ready"));
}

export async function stopController() {
  const ended = new Promise((resolve) => { controller.child.once("exit", resolve); });
  controller.child.kill();
  await ended;
}

export const homeToken = () => readFileSync(path.join(home, "authtoken.secret"), "utf8").trim();

const json = (line) => { try { return JSON.parse(line); } catch { return {}; } };

/** Starts a real client that joins a network. */
export async function client(network) {
  const process = start("python3", [CLIENT, "run", "--wheel", WHEEL, "--planet", planet, "--seconds", "400"]);
  const address = json(await process.line((line) => json(line).online === true)).node;
  process.child.stdin.write(`${JSON.stringify({ cmd: "join", network })}\n`);
  return {
    address,
    configured: async () => json(await process.line((line) => json(line).status === "OK" && json(line).addresses?.length > 0)).addresses[0],
  };
}

/** The API, as a script uses it. */
export function apiWith(token) {
  return async (method, place, body) => {
    const response = await fetch(`${BASE}${place}`, { method, headers: { "X-ZT1-Auth": token, "Content-Type": "application/json" }, body: body && JSON.stringify(body) });
    const text = await response.text();
    return { status: response.status, body: text && JSON.parse(text) };
  };
}

/** Ends everything that was started, and removes what it left. */
export function clear() {
  for (const child of started) child.kill();
  rmSync(folder, { recursive: true, force: true });
}
