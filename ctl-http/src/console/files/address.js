// Arithmetic on IP addresses, as far as pictures of pools need it.

/** Returns an IPv4 or IPv6 address as a number and its length in bits, or null. */
export function parse(text) {
  return text.includes(":") ? parse6(text) : parse4(text);
}

function parse4(text) {
  const parts = text.split(".");
  if (parts.length !== 4 || !parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) < 256)) return null;
  return { bits: 32, value: parts.reduce((value, part) => value * 256n + BigInt(part), 0n) };
}

function parse6(text) {
  const halves = text.split("::");
  if (halves.length > 2) return null;
  const [head, tail] = halves.map((half) => (half === "" ? [] : half.split(":")));
  const zeros = tail === undefined ? [] : Array(Math.max(0, 8 - head.length - tail.length)).fill("0");
  const groups = [...head, ...zeros, ...(tail ?? [])];
  if (groups.length !== 8 || !groups.every((group) => /^[0-9a-f]{1,4}$/i.test(group))) return null;
  return { bits: 128, value: groups.reduce((value, group) => value * 65536n + BigInt(`0x${group}`), 0n) };
}

/** How many addresses a pool has. */
export function poolSize(pool) {
  const [first, last] = [parse(pool.ipRangeStart), parse(pool.ipRangeEnd)];
  return first && last && last.value >= first.value ? last.value - first.value + 1n : 0n;
}

/** Sorts `addresses` into `buckets` equal parts of the pool; returns how many are in each. */
export function spread(pool, addresses, buckets) {
  const size = poolSize(pool);
  const counts = Array(buckets).fill(0);
  const first = parse(pool.ipRangeStart);
  if (size === 0n) return counts;
  for (const text of addresses) {
    const address = parse(text);
    if (!address || address.bits !== first.bits) continue;
    const offset = address.value - first.value;
    if (offset >= 0n && offset < size) counts[Number((offset * BigInt(buckets)) / size)] += 1;
  }
  return counts;
}

/** Writes a number as an IPv4 address. */
function write4(value) {
  return [24n, 16n, 8n, 0n].map((shift) => String((value >> shift) & 255n)).join(".");
}

/** What members get of an IPv4 range like `10.147.17.0/24`: `{ target, first, last, size }`; null if it is none. */
export function usable(text) {
  const [, address, length] = text.trim().match(/^([\d.]+)\/(\d{1,2})$/) ?? [];
  const parsed = address && parse4(address);
  const bits = Number(length);
  if (!parsed || bits < 8 || bits > 30) return null;
  const size = 1n << BigInt(32 - bits);
  if (parsed.value % size !== 0n) return null;
  return { target: `${write4(parsed.value)}/${bits}`, first: write4(parsed.value + 1n), last: write4(parsed.value + size - 2n), size: size - 2n };
}
