// How values are written for people.

const MINUTE = 60_000;
const STEPS = [[365 * 24 * 60, "year"], [30 * 24 * 60, "month"], [24 * 60, "day"], [60, "hour"], [1, "minute"]];
const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
const daily = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
const absolute = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

/** How long ago `time` (milliseconds since 1970) was; 0 and null are never. */
export function ago(time, now = Date.now()) {
  if (!time) return "never";
  const minutes = Math.max(0, now - time) / MINUTE;
  if (minutes < 1) return "just now";
  const [length, unit] = STEPS.find(([length]) => minutes >= length) ?? STEPS.at(-1);
  return relative.format(-Math.floor(minutes / length), unit);
}

/** How long something takes since `time`, in words. */
export function since(time) {
  const text = ago(time);
  return text === "just now" ? "less than a minute" : text.replace(/ ago$/, "").replace("yesterday", "1 day").replace("last year", "1 year").replace("last month", "1 month");
}

/** Date and time of `time` (milliseconds since 1970) where the reader is. */
export function moment(time) {
  return time ? absolute.format(new Date(time)) : "never";
}

/** Only the date. */
export function day(time) {
  return time ? daily.format(new Date(time)) : "never";
}

/** A number with separators. */
export function count(number) {
  return new Intl.NumberFormat("en").format(number);
}

/** `1 member`, `2 members`. */
export function plural(number, noun, many = `${noun}s`) {
  return `${count(number)} ${number === 1 ? noun : many}`;
}

/** A number of bytes. */
export function bytes(number) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  const power = Math.min(units.length - 1, Math.floor(Math.log(Math.max(1, number)) / Math.log(1000)));
  const value = number / 1000 ** power;
  return `${value >= 100 || power === 0 ? Math.round(value) : value.toFixed(1)} ${units[power]}`;
}
