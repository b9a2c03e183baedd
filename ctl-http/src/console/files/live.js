// What changes, as it changes: events of the controller, and looking again and again where there are none.
import { send } from "./api.js";

const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 30_000;

const listeners = new Set();
let connection = null;
let state = "polling";
let shown = () => {};

function become(next) {
  state = next;
  shown(state);
}

export const live = {
  /** `live`, `polling` (there are no events here) or `lost` (the controller does not answer). */
  get state() { return state; },
  /** Calls `listener` with each state. */
  whenShown(listener) { shown = listener; shown(state); },
  /** Calls `listener(event)` for each event until `signal` ends. */
  listen(listener, signal) {
    listeners.add(listener);
    signal.addEventListener("abort", () => listeners.delete(listener));
  },
  start() {
    live.stop();
    connection = new AbortController();
    follow(connection.signal);
  },
  stop() {
    connection?.abort();
    connection = null;
  },
};

/** Reads events until `signal` ends, and connects again whenever the connection does. */
async function follow(signal) {
  let [last, pause] = [null, FIRST_PAUSE_MS];
  while (!signal.aborted) {
    try {
      const headers = { Accept: "text/event-stream", ...(last ? { "Last-Event-ID": last } : {}) };
      const response = await send("GET", "api/v2/events", { signal, headers });
      become("live");
      pause = FIRST_PAUSE_MS;
      for await (const event of events(response.body)) {
        if (event.id) last = event.id;
        for (const listener of listeners) listener(event);
      }
    } catch (error) {
      if (signal.aborted) return;
      // A token for one network, or too many readers: pages look by themselves.
      become(error.status === 0 ? "lost" : "polling");
      if ([401, 404].includes(error.status)) return;
    }
    await new Promise((resolve) => setTimeout(resolve, pause));
    pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
  }
}

/** Takes a stream apart into events, `{ id, type, data }`; comments are heartbeats. */
async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (rest + value).split(/\r?\n\r?\n/);
    rest = parts.pop();
    for (const part of parts) {
      const event = { id: null, type: "message", data: "" };
      for (const line of part.split(/\r?\n/)) {
        const [, name, text] = line.match(/^(\w+): ?(.*)$/) ?? [];
        if (name === "id") event.id = text;
        else if (name === "event") event.type = text;
        else if (name === "data") event.data += text;
      }
      if (event.data) yield { ...event, data: JSON.parse(event.data) };
    }
  }
}
