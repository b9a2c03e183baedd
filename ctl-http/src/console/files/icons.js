// Pictures of 20 by 20, drawn in the colour of the text around them.
import { svg } from "./dom.js";

const PATHS = {
  dashboard: "M3 17V9m5 8V3m5 14v-6m4 6V6",
  networks: "M10 7V4m0 3 5 6m-5-6-5 6M10 4a1.6 1.6 0 1 0-.01 0M5 13a1.6 1.6 0 1 0 .01 0M15 13a1.6 1.6 0 1 0 .01 0",
  planet: "M10 3a7 7 0 1 0 .01 0M3 10h14M10 3c5 4 5 10 0 14M10 3c-5 4-5 10 0 14",
  peers: "M3 6h14M3 10h14M3 14h14M6 6v.01M6 10v.01M6 14v.01",
  tokens: "M8 12a4 4 0 1 1 2-2l7 7v0h-3v-2h-2v-2z",
  backups: "M4 4h10l2 2v10H4zM7 4v4h5V4M7 16v-4h6v4",
  audit: "M10 5v5l3 2M10 3a7 7 0 1 0 .01 0",
  webhooks: "M10 9.5 7.2 14M4.5 14a2.2 2.2 0 1 0 2.7 2.1h7.6M10 9.5 12.8 14M10 9.5a2.7 2.7 0 1 1 2.3-2.2M15.4 13.9a2.2 2.2 0 1 1-1.6 3.3",
  about: "M10 3a7 7 0 1 0 .01 0M10 9v5M10 6v.01",
  menu: "M3 5h14M3 10h14M3 15h14",
  device: "M3 4h14v9H3zM7 17h6M10 13v4",
  theme: "M10 3a7 7 0 1 0 7 7 5.5 5.5 0 0 1-7-7z",
  leave: "M12 4h4v12h-4M3 10h9m-3-3 3 3-3 3",
  copy: "M7 7h9v10H7zM4 13V3h9",
  add: "M10 4v12M4 10h12",
  remove: "M5 5l10 10M15 5 5 15",
  keys: "M3 6h14v8H3zM6 9v.01M9 9v.01M12 9v.01M7 12h6",
};

/** Returns a picture that says nothing by itself: words beside it do. */
export function icon(name) {
  return svg("svg", { viewBox: "0 0 20 20", class: "icon", "aria-hidden": "true" }, svg("path", { d: PATHS[name] }));
}
