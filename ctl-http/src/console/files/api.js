// Every request to the controller. The token is a header of each, never a cookie and never in a URL.

const KEY = "token";
const ROOT = new URL("../", document.baseURI);
let onRefused = () => {};

/** What the controller refused, in words; `errors` are the places in the body, if it names them. */
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
  throw new ApiError(response.status, explain(response.status, problem), problem.errors);
}

function explain(status, problem) {
  const places = (problem.errors ?? []).map((error) => `${error.pointer ?? ""} ${error.detail ?? ""}`.trim());
  const said = places.join("; ") || problem.detail || problem.description || problem.title;
  if (said) return said;
  const known = { 401: "The token was not accepted.", 403: "This token may not do that.", 404: "That is not there (any more)." };
  return known[status] ?? `The controller answered ${status}.`;
}

async function json(method, path, options) {
  const response = await send(method, path, options);
  const text = await response.text();
  return text === "" ? null : JSON.parse(text);
}

const get = (path, signal) => json("GET", path, { signal });
const post = (path, body) => json("POST", path, { body });
const patch = (path, body) => json("PATCH", path, { body, headers: { "Content-Type": "application/merge-patch+json" } });
const network = (id) => `controller/network/${id}`;
const member = (id, address) => `api/v2/network/${id}/member/${address}`;
/** Most members that one request changes. */
const AT_ONCE = 1000;

export const node = {
  status: (signal) => get("status", signal),
  controller: (signal) => get("controller", signal),
  peers: (signal) => get("peer", signal),
};

export const networks = {
  /** All in full, with their counts of members. */
  list: async (signal) => (await get("unstable/controller/network", signal)).data,
  get: (id, signal) => get(network(id), signal),
  create: (controller, fields) => post(`controller/network/${controller}______`, fields),
  change: (id, fields) => post(network(id), fields),
  remove: (id) => json("DELETE", network(id)),
};

export const members = {
  get: (id, address, signal) => get(member(id, address), signal),
  change: (id, address, fields) => patch(member(id, address), fields),
  /** Lets a node in that may never have asked. */
  approve: (id, address) => members.decide(id, [address], "authorize"),
  remove: (id, address) => json("DELETE", member(id, address)),
  /** A page; `next` is the cursor of the next one, null after the last. */
  page(id, query, signal) {
    const given = Object.entries(query).filter(([, value]) => value !== null && value !== undefined);
    return get(`api/v2/network/${id}/member?${new URLSearchParams(given)}`, signal);
  },
  /** `authorize`, `deauthorize` or `remove`: all of them, or none of each thousand. */
  async decide(id, addresses, action) {
    for (let start = 0; start < addresses.length; start += AT_ONCE) {
      const entries = addresses.slice(start, start + AT_ONCE).map((address) => ({ address, action }));
      await post(`api/v2/network/${id}/member/bulk`, { entries });
    }
  },
  pending: async (id, signal) => (await get(`api/v2/network/${id}/pending`, signal)).data,
};

export const rules = {
  compile: (source) => post("api/v2/rules/compile", { source }),
  decompile: ({ rules: table, capabilities, tags }) => post("api/v2/rules/decompile", { rules: table, capabilities, tags }),
  get: (id, signal) => get(`api/v2/network/${id}/rules`, signal),
  put: (id, fields, dryRun) => json("PUT", `api/v2/network/${id}/rules${dryRun ? "?dryRun=true" : ""}`, { body: fields }),
  explain: (id, fields) => post(`api/v2/network/${id}/rules/explain`, fields),
};

export const audit = {
  page: (before, signal) => get(`api/v2/audit?limit=100${before ? `&before=${before}` : ""}`, signal),
};
