// What the controller tells by itself: server-sent events, read with `fetch` because the token is a header.
import { send, session } from "./api.js";

const FIRST_RETRY_MS = 1000;
const LAST_RETRY_MS = 30_000;
/** Events that come in a burst are one reason to look again. */
const SETTLED_MS = 300;

const listeners = new Set();
let running = null;
let last = "";

/** Calls `listener` some time after anything happened; returns what ends that. */
export function subscribe(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Begins to listen; begins again whenever the connection ends. */
export function start() {
  stop();
  running = new AbortController();
  listen(running.signal);
}

export function stop() {
  running?.abort();
  running = null;
}

async function listen(signal) {
  let wait = FIRST_RETRY_MS;
  while (!signal.aborted && session.token) {
    try {
      const headers = last ? { "Last-Event-ID": last } : {};
      const response = await send("GET", "api/v2/events", { signal, headers });
      wait = FIRST_RETRY_MS;
      await read(response.body, signal);
    } catch (error) {
      // A controller without events, or a token that may not see them: pages look by themselves now and then.
      if (signal.aborted || error.status === 404 || error.status === 403 || error.status === 401) return;
    }
    await new Promise((resolve) => { setTimeout(resolve, wait); });
    wait = Math.min(wait * 2, LAST_RETRY_MS);
  }
}

async function read(body, signal) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  while (!signal.aborted) {
    const { done, value } = await reader.read();
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) {
      if (line.startsWith("id:")) last = line.slice(3).trim();
      else if (line.startsWith("data:")) tell();
    }
  }
}

let timer = null;
function tell() {
  timer ??= setTimeout(() => {
    timer = null;
    for (const listener of listeners) listener();
  }, SETTLED_MS);
}
