// Builds elements. Text is always text: nothing that came from a server or a member is ever read as HTML.

/** Characters that turn the direction of what follows: a name must not make others read otherwise than they are. */
const TURNS = /[\u061C\u200E\u200F\u202A-\u202E\u2066-\u2069]/g;

/** Returns an element; `on…` properties are listeners, `false` and null leave an attribute out. */
export function h(tag, properties, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "style") Object.assign(element.style, value); // an attribute would be inline style
    else if (name === "value" || name === "checked" || name === "indeterminate") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  append(element, children);
  return element;
}

/** Returns an element of an SVG picture. */
export function svg(tag, properties, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(properties ?? {})) element.setAttribute(name, value);
  append(element, children);
  return element;
}

function append(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    // What is edited stays as it is.
    element.append(typeof child === "string" && element.tagName !== "TEXTAREA" ? child.replace(TURNS, "\uFFFD") : child);
  }
}

/** Puts `children` in the place of whatever is in `element`. */
export function fill(element, ...children) {
  element.replaceChildren();
  append(element, children);
  return element;
}

/** What stands where a list would be, if it has nothing. */
export function emptyState(picture, title, text, ...more) {
  return h("div", { class: "empty-state" }, picture, h("h2", null, title), text ? h("p", null, text) : null, more);
}
