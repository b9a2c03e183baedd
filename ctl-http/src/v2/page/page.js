"use strict";
// Shows /openapi.json. Everything is inserted as text, never as markup.

function element(name, text, ...children) {
  const made = document.createElement(name);
  if (text) made.textContent = text;
  made.append(...children);
  return made;
}

function table(heads, rows) {
  const body = rows.map((row) => element("tr", "", ...row.map((cell) => element("td", cell))));
  return element("table", "", element("tr", "", ...heads.map((head) => element("th", head))), ...body);
}

function typeOf(schema) {
  if (schema === undefined || schema === true) return "any";
  if (schema.$ref) return schema.$ref.split("/").pop();
  const choice = schema.anyOf || schema.oneOf;
  if (choice && !schema.properties && choice.some((one) => typeOf(one) !== "any")) return choice.map(typeOf).join(" or ");
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" or ");
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  const kinds = [].concat(schema.type || "any");
  return kinds.map((kind) => (kind === "array" ? "array of " + typeOf(schema.items) : kind)).join(" or ");
}

function limits(schema) {
  const names = ["minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "pattern", "format"];
  return names.filter((name) => schema[name] !== undefined).map((name) => name + " " + schema[name]).join(", ");
}

function fields(schema) {
  const required = schema.required || [];
  const rows = Object.entries(schema.properties || {}).map(([name, field]) => [
    name + (required.includes(name) ? " *" : ""), typeOf(field), [field.description, limits(field)].filter(Boolean).join(" · "),
  ]);
  return rows.length ? table(["field", "type", ""], rows) : element("pre", JSON.stringify(schema, null, 2));
}

function operation(path, method, it) {
  const label = element("span", method.toUpperCase());
  label.className = "method";
  const head = element("summary", "", label, element("code", path), " — " + (it.summary || ""));
  const shown = element("details", "", head);
  if (it.parameters) {
    shown.append(element("h4", "Parameters"), table(["name", "in", "type", ""], it.parameters.map((one) =>
      [one.name + (one.required ? " *" : ""), one.in, typeOf(one.schema), [one.description, limits(one.schema)].filter(Boolean).join(" · ")])));
  }
  if (it.requestBody) {
    const schema = it.requestBody.content["application/json"].schema;
    shown.append(element("h4", "Body: " + typeOf(schema)));
    if (!schema.$ref) shown.append(fields(schema));
  }
  shown.append(element("h4", "Answers"), table(["status", "body", ""], Object.entries(it.responses).map(([status, one]) =>
    [status, Object.values(one.content || {}).map((media) => typeOf(media.schema)).join(", "), one.description])));
  shown.dataset.words = (method + " " + path + " " + it.summary).toLowerCase();
  return shown;
}

async function show() {
  const answer = await fetch("/openapi.json");
  const api = await answer.json();
  document.getElementById("about").textContent = api.info.description + " Version " + api.info.version + ".";
  const operations = document.getElementById("operations");
  operations.replaceChildren();
  for (const [path, methods] of Object.entries(api.paths)) {
    for (const [method, it] of Object.entries(methods)) operations.append(operation(path, method, it));
  }
  const schemas = document.getElementById("schemas");
  for (const [name, schema] of Object.entries(api.components.schemas)) {
    schemas.append(element("details", "", element("summary", "", element("code", name)), element("p", schema.description), fields(schema)));
  }
  document.getElementById("filter").addEventListener("input", (event) => {
    const words = event.target.value.toLowerCase();
    for (const one of operations.children) one.classList.toggle("hidden", !one.dataset.words.includes(words));
  });
}

show().catch((error) => { document.getElementById("about").textContent = "The document cannot be shown: " + error; });
