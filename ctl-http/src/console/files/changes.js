// What the audit log says, in words: no more than an administrator wants to know.

const WORDS = {
  "network.create": "Network made", "network.update": "Network changed", "network.remove": "Network deleted",
  "member.create": "Member added", "member.update": "Member changed", "member.remove": "Member removed",
  "token.create": "Token made", "token.rotate": "Token rotated", "token.revoke": "Token revoked",
  "backup.create": "Backup made", "backup.fetch": "Backup fetched", "backup.remove": "Backup deleted",
  "webhook.create": "Webhook made", "webhook.update": "Webhook changed", "webhook.rotate": "Webhook rotated", "webhook.remove": "Webhook removed", "webhook.test": "Webhook tested", "webhook.retry": "Webhook told again",
  "log-level.update": "Log levels changed",
};
/** Fields that change with every change, and say nothing by themselves. */
const NOISE = new Set(["revision", "objtype", "nwid", "id", "address", "lastAuthorizedTime", "lastAuthorizedCredentialType", "lastDeauthorizedTime"]);
/** So many fields are named; values up to this length are shown at once. */
const [NAMED, SHORT] = [4, 40];
/** What happened within this long is told together, if it is the same. */
const TOGETHER_MS = 5000;

/** What was done: in words where that is what everybody wants to know. */
export function words({ action, before, after }) {
  if (action.startsWith("member.") && after && after.authorized !== before?.authorized && after.authorized !== undefined && (before || after.authorized)) {
    return after.authorized ? "Member authorized" : before.authorized ? "Member revoked" : "Member refused";
  }
  return WORDS[action] ?? action;
}

/** The names of what is otherwise than before, and whether that is all there is to say. */
export function fields({ before, after }) {
  const names = [...new Set([...Object.keys(before ?? {}), ...Object.keys(after ?? {})])];
  return names.filter((name) => !NOISE.has(name) && JSON.stringify(before?.[name]) !== JSON.stringify(after?.[name]));
}

/** Says in a line what is otherwise: of a few short fields both values, else their names, else how many. */
export function summary(entry) {
  const names = fields(entry);
  const isChange = entry.before && entry.after;
  // What came or went is known by its name.
  const name = !isChange && value((entry.after ?? entry.before)?.name).trim();
  if (name && name !== "–") return name.length > 2 * SHORT ? `${name.slice(0, 2 * SHORT)}…` : name;
  if (names.length > NAMED) return `${names.length} fields`;
  const texts = names.map((name) => (isChange ? `${name}: ${value(entry.before[name])} → ${value(entry.after[name])}` : name));
  const whole = texts.join(", ");
  return whole.length <= 2 * SHORT ? whole : names.join(", ");
}

function value(of) {
  if (of === null || of === undefined || of === "" || (Array.isArray(of) && of.length === 0)) return "–";
  if (Array.isArray(of) && of.every((one) => typeof one !== "object")) return of.join(", ");
  return typeof of === "object" ? JSON.stringify(of) : String(of);
}

/** Puts entries together that one request made: lists of at least one, in their order. */
export function together(entries) {
  const groups = [];
  let members = new Set();
  for (const entry of entries) {
    const last = groups.at(-1)?.[0];
    const isSame = last && last.member && entry.member && !members.has(entry.member) && last.actor === entry.actor && last.network === entry.network
      && words(last) === words(entry) && Math.abs(last.time - entry.time) <= TOGETHER_MS;
    if (isSame) groups.at(-1).push(entry);
    else {
      groups.push([entry]);
      members = new Set();
    }
    members.add(entry.member);
  }
  return groups;
}
