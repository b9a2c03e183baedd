// What was, over the last minutes: samples kept in the tab, drawn as lines.
import { h, svg } from "./dom.js";

const KEY = "samples";
/** How many samples are kept: of ten minutes, one each five seconds. */
const SAMPLES = 120;
const SPAN_MS = 600_000;
const [WIDTH, HEIGHT] = [600, 100];

/** The samples of this tab, oldest first; they survive a reload. */
function stored() {
  try {
    const oldest = Date.now() - SPAN_MS;
    return JSON.parse(sessionStorage.getItem(KEY) ?? "[]").filter(({ time }) => time >= oldest && time <= Date.now());
  } catch {
    return [];
  }
}

/** Adds a sample and returns all. */
export function sample(values) {
  const samples = [...stored(), { time: Date.now(), ...values }].slice(-SAMPLES);
  sessionStorage.setItem(KEY, JSON.stringify(samples));
  return samples;
}

/** Turns a counter into how much it grows each second; a restart begins anew. */
export function perSecond(samples, name) {
  return samples.slice(1).map((now, index) => {
    const before = samples[index];
    return { time: now.time, value: Math.max(0, (now[name] - before[name]) * 1000 / Math.max(1, now.time - before.time)) };
  });
}

/** A line over the last ten minutes. `words(value)` writes a value; the scale ends at `least` or above. */
export function chart(name, points, words, least) {
  const end = Date.now();
  const top = nice(Math.max(least, ...points.map(({ value }) => value)));
  const x = ({ time }) => (WIDTH * (1 - (end - time) / SPAN_MS)).toFixed(1);
  const y = ({ value }) => (HEIGHT - 2 - (value / top) * (HEIGHT - 8)).toFixed(1);
  const line = points.map((point) => `${x(point)},${y(point)}`).join(" ");
  const latest = points.at(-1);
  const now = latest ? words(latest.value) : "–";
  const most = points.length ? words(Math.max(...points.map(({ value }) => value))) : "–";
  return h("figure", { class: "card chart" },
    h("figcaption", null, h("span", null, name), h("strong", null, now)),
    h("div", { class: "chart-box" },
      h("span", { class: "chart-top" }, words(top)),
      points.length > 1 ? null : h("span", { class: "chart-none" }, "The line begins in some seconds"),
      svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": `${name} over the last ten minutes: now ${now}, at most ${most}` },
        svg("line", { x1: 0, y1: HEIGHT - 1, x2: WIDTH, y2: HEIGHT - 1, class: "axis", "vector-effect": "non-scaling-stroke" }),
        svg("line", { x1: 0, y1: 6, x2: WIDTH, y2: 6, class: "axis", "vector-effect": "non-scaling-stroke", "stroke-dasharray": "3 4" }),
        points.length > 1 ? svg("polygon", { points: `${x(points[0])},${HEIGHT - 1} ${line} ${x(latest)},${HEIGHT - 1}`, class: "under" }) : "",
        svg("polyline", { points: line, class: "curve" })),
      h("div", { class: "chart-scale" }, h("span", null, "10 min ago"), h("span", null, "now"))));
}

/** The next round number. */
function nice(value) {
  const step = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 4, 5, 8, 10].map((factor) => factor * step).find((candidate) => candidate >= value);
}
