// Every request to the controller. The token is a header of each, never a cookie and never in a URL.

const KEY = "token";
const ROOT = new URL("../", document.baseURI);
let onRefused = () => {};
/** The entity tags of what was read, so that a change does not overwrite what somebody else changed meanwhile. */
const tags = new WeakMap();

/** What the controller refused, in words; `errors` are the places in the body, if it names them. Status 0: no answer. */
export class ApiError extends Error {
  constructor(status, message, errors = []) {
    super(message);
    this.status = status;
    this.errors = errors;
  }
}

export const session = {
  get token() { return sessionStorage.getItem(KEY); },
  open(token) { sessionStorage.setItem(KEY, token); },
  close() { sessionStorage.removeItem(KEY); },
  /** Calls `listener` when a token is no longer accepted. */
  whenRefused(listener) { onRefused = listener; },
};

/** Sends a request with the token; the answer is not looked at yet. */
export async function send(method, path, { body, signal, headers = {} } = {}) {
  const options = { method, signal, headers: { ...headers, "X-ZT1-Auth": session.token ?? "" }, cache: "no-store" };
  if (body !== undefined) {
    options.body = JSON.stringify(body);
    options.headers["Content-Type"] ??= "application/json";
  }
  let response;
  try {
    response = await fetch(new URL(path, ROOT), options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, "The controller does not answer.");
  }
  if (response.ok) return response;
  const problem = await response.json().catch(() => ({}));
  if (response.status === 401) onRefused();
  throw new ApiError(response.status, explain(response.status, problem, response.headers.get("Retry-After")), problem.errors);
}

/** What a refusal means, in words: those of the controller where it has some. */
function explain(status, problem, after) {
  const later = after ? `Try again in ${after} s.` : "Try again later.";
  if (status === 429) return `Too many wrong tokens came from here. ${later}`;
  if (status === 412) return "Somebody else changed this meanwhile. Reload the page to see it.";
  const places = (problem.errors ?? []).map((error) => `${error.pointer ?? ""} ${error.detail ?? ""}`.trim());
  const said = places.join("; ") || problem.detail || problem.description || problem.title;
  // What a token may not do, the controller says to programs; people want it shorter.
  const known = { 401: "The token was not accepted.", 403: "This token may not do that." };
  if (known[status]) return known[status];
  if (said) return status === 503 ? `${said} ${later}` : said;
  const unsaid = { 404: "That is not there (any more).", 409: "Something else keeps this from being done.", 413: "That is too large.", 503: `The controller is busy. ${later}` };
  return unsaid[status] ?? (status >= 500 ? `Something is wrong with the controller (${status}); its log says more.` : `The controller answered ${status}.`);
}

async function json(method, path, options) {
  const response = await send(method, path, options);
  const text = await response.text();
  if (text === "") return null;
  const value = JSON.parse(text);
  const tag = response.headers.get("ETag");
  if (tag && typeof value === "object") tags.set(value, tag);
  return value;
}

const get = (path, signal) => json("GET", path, { signal });
const post = (path, body) => json("POST", path, { body });
const remove = (path) => json("DELETE", path);
/** Changes `record` as it was read; refused if somebody else changed it since. */
function patch(path, body, record = null) {
  const tag = record && tags.get(record);
  return json("PATCH", path, { body, headers: { "Content-Type": "application/merge-patch+json", ...(tag ? { "If-Match": tag } : {}) } });
}
const network = (id) => `api/v2/network/${id}`;
const member = (id, address) => `${network(id)}/member/${address}`;
const query = (values) => new URLSearchParams(Object.entries(values).filter(([, value]) => value !== null && value !== undefined));
/** Most members that one request changes. */
const AT_ONCE = 1000;

export const node = {
  status: (signal) => get("status", signal),
  peers: (signal) => get("peer", signal),
  about: (signal) => get("api/v2/status", signal),
  settings: async (signal) => (await get("api/v2/settings", signal)).data,
  logLevels: (signal) => get("api/v2/log-level", signal),
  setLogLevels: (levels) => json("PUT", "api/v2/log-level", { body: { levels } }),
  planet: (signal) => get("api/v2/planet", signal),
  moons: (signal) => get("moon", signal),
  /** The metrics, by name; those with labels are added up. */
  async metrics(signal) {
    const text = await (await send("GET", "metrics", { signal })).text();
    const sums = new Map();
    for (const [, name, value] of text.matchAll(/^(\w+)(?:\{[^}\n]*\})? (\S+)/gm)) sums.set(name, (sums.get(name) ?? 0) + Number(value));
    return sums;
  },
};

export const networks = {
  /** All of them, with their counts of members. */
  async list(signal) {
    const all = [];
    let cursor = null;
    do {
      const page = await get(`api/v2/network?${query({ limit: 1000, cursor })}`, signal);
      all.push(...page.data);
      cursor = page.next;
    } while (cursor !== null);
    return all;
  },
  get: (id, signal) => get(network(id), signal),
  /** What to type or to scan to join. */
  join: (id, signal) => get(`${network(id)}/join`, signal),
  create: (fields) => post("api/v2/network", fields),
  change: (record, fields) => patch(network(record.id), fields, record),
  remove: (id) => remove(network(id)),
};

export const members = {
  get: (id, address, signal) => get(member(id, address), signal),
  change: (record, fields) => patch(member(record.network, record.address), fields, record),
  remove: (id, address) => remove(member(id, address)),
  /** A page; `next` is the cursor of the next one, null after the last. */
  page: (id, wanted, signal) => get(`${network(id)}/member?${query(wanted)}`, signal),
  /** `authorize` (also a node that never asked), `deauthorize` or `remove`: all of them, or none of each thousand. */
  async decide(id, addresses, action) {
    for (let start = 0; start < addresses.length; start += AT_ONCE) {
      const entries = addresses.slice(start, start + AT_ONCE).map((address) => ({ address, action }));
      await post(`${network(id)}/member/bulk`, { entries });
    }
  },
  pending: async (id, signal) => (await get(`${network(id)}/pending`, signal)).data,
  deny: (id, address) => post(`${network(id)}/pending/${address}/deny`),
};

export const rules = {
  compile: (source) => post("api/v2/rules/compile", { source }),
  decompile: ({ rules: table, capabilities, tags: known }) => post("api/v2/rules/decompile", { rules: table, capabilities, tags: known }),
  get: (id, signal) => get(`${network(id)}/rules`, signal),
  put: (id, fields, dryRun) => json("PUT", `${network(id)}/rules${dryRun ? "?dryRun=true" : ""}`, { body: fields }),
  explain: (id, fields) => post(`${network(id)}/rules/explain`, fields),
};

export const audit = {
  /** Entries before `before`, about anything or about one network or member. */
  page: (before, { limit = 100, ...subject } = {}, signal) => get(`api/v2/audit?${query({ limit, before, ...subject })}`, signal),
};

export const tokens = {
  list: async (signal) => (await get("api/v2/tokens", signal)).data,
  create: (fields) => post("api/v2/tokens", fields),
  rotate: (name) => post(`api/v2/tokens/${name}/rotate`, {}),
  revoke: (name) => remove(`api/v2/tokens/${name}`),
};

export const webhooks = {
  list: async (signal) => (await get("api/v2/webhooks", signal)).data,
  get: (id) => get(`api/v2/webhooks/${id}`),
  create: (fields) => post("api/v2/webhooks", fields),
  change: (id, fields) => patch(`api/v2/webhooks/${id}`, fields),
  rotate: (id) => post(`api/v2/webhooks/${id}/rotate`, {}),
  test: (id) => post(`api/v2/webhooks/${id}/test`, {}),
  /** Has what was given up tried again; with `delivery`, that alone. */
  retry: (id, delivery) => post(`api/v2/webhooks/${id}/retry`, delivery === undefined ? {} : { delivery }),
  remove: (id) => remove(`api/v2/webhooks/${id}`),
};

export const backups = {
  list: async (signal) => (await get("api/v2/backups", signal)).data,
  make: () => post("api/v2/backups", {}),
  /** The file, whole. */
  fetch: async (name) => (await send("GET", `api/v2/backups/${name}`)).blob(),
  remove: (name) => remove(`api/v2/backups/${name}`),
};
