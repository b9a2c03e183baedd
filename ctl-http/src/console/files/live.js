// What changes, as it changes: events of the controller, and looking again and again where there are none.
import { send } from "./api.js";

const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 30_000;
/** Who does not answer is asked more often: people wait for it. */
const LONGEST_PAUSE_WHEN_LOST_MS = 4000;
/** The controller says something every 15 s; after this long the connection is dead, whatever the browser thinks. */
const SILENCE_MS = 40_000;

const listeners = new Set();
let connection = null;
let wanted = false;
let state = "polling";
const watchers = new Set();

function become(next) {
  if (state === next) return;
  const before = state;
  state = next;
  for (const watcher of watchers) watcher(state, before);
}

export const live = {
  /** `live`, `polling` (there are no events for this token) or `lost` (the controller does not answer). */
  get state() { return state; },
  /** Calls `listener(state, before)` whenever the state becomes another. */
  watch(listener) { watchers.add(listener); },
  /** Calls `listener(event)` for each event until `signal` ends; one without a network may be about anything. */
  listen(listener, signal) {
    listeners.add(listener);
    signal.addEventListener("abort", () => listeners.delete(listener));
  },
  start() {
    wanted = true;
    connect();
  },
  stop() {
    wanted = false;
    connection?.abort();
  },
};

function connect() {
  connection?.abort();
  connection = new AbortController();
  follow(connection.signal);
}

// A browser opens six connections to a server, of all its tabs together: who does not look needs none.
document.addEventListener("visibilitychange", () => {
  if (document.hidden) connection?.abort();
  else if (wanted) connect();
});

/** Reads events until `signal` ends, and connects again whenever the connection does. */
async function follow(signal) {
  let [last, pause] = [null, FIRST_PAUSE_MS];
  while (!signal.aborted) {
    const silence = new AbortController();
    signal.addEventListener("abort", () => silence.abort());
    let timer = null;
    const heard = () => {
      clearTimeout(timer);
      timer = setTimeout(() => silence.abort(), SILENCE_MS);
    };
    try {
      heard();
      const headers = { Accept: "text/event-stream", ...(last ? { "Last-Event-ID": last } : {}) };
      const response = await send("GET", "api/v2/events", { signal: silence.signal, headers });
      become("live");
      pause = FIRST_PAUSE_MS;
      for await (const event of events(response.body, heard)) {
        last = event.id ?? last;
        if (event.data !== null && event.type !== "end") for (const listener of listeners) listener(event);
      }
    } catch (error) {
      if (signal.aborted) return;
      // 403: not for this token; 503: too many watch; none: a proxy may hold the stream back. Pages look by themselves then.
      become(error.status === 0 ? "lost" : "polling");
      if ([401, 403, 404].includes(error.status)) return;
    } finally {
      clearTimeout(timer);
    }
    await new Promise((resolve) => setTimeout(resolve, pause));
    pause = Math.min(pause * 2, state === "lost" ? LONGEST_PAUSE_WHEN_LOST_MS : LONGEST_PAUSE_MS);
  }
}

/** Takes a stream apart into events, `{ id, type, data }`; a heartbeat has no data. */
async function* events(body, heard) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    heard();
    const parts = (rest + value).split("\n\n");
    rest = parts.pop();
    for (const part of parts) {
      const event = { id: null, type: "message", data: null };
      for (const line of part.split("\n")) {
        const [, name, text] = line.match(/^(\w+): ?(.*)$/) ?? [];
        if (name === "id") event.id = text;
        else if (name === "event") event.type = text;
        else if (name === "data") event.data = JSON.parse(text);
      }
      yield event;
    }
  }
}
