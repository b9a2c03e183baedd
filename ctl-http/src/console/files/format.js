// How values are written for people.

const MINUTE = 60_000;
const STEPS = [[365 * 24 * 60, "year"], [30 * 24 * 60, "month"], [24 * 60, "day"], [60, "hour"], [1, "minute"]];
const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
const absolute = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

/** How long ago `time` (milliseconds since 1970) was; 0 and null are never. */
export function ago(time, now = Date.now()) {
  if (!time) return "never";
  const minutes = Math.max(0, now - time) / MINUTE;
  if (minutes < 1) return "just now";
  const [length, unit] = STEPS.find(([length]) => minutes >= length) ?? STEPS.at(-1);
  return relative.format(-Math.floor(minutes / length), unit);
}

/** Date and time of `time` (milliseconds since 1970) where the reader is. */
export function moment(time) {
  return time ? absolute.format(new Date(time)) : "never";
}

/** A number with separators. */
export function count(number) {
  return new Intl.NumberFormat("en").format(number);
}

/** `1 member`, `2 members`. */
export function plural(number, noun) {
  return `${count(number)} ${noun}${number === 1 ? "" : "s"}`;
}
