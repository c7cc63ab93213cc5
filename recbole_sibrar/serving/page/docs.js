import { ask, element, find, startTheme } from "./shared.js";

function resolved(description, schema, depth = 0) {
  if (!schema || depth > 8) return "...";
  if (schema.$ref) return resolved(description, description.components.schemas[schema.$ref.split("/").pop()], depth);
  const choices = schema.anyOf || schema.oneOf;
  if (choices) return choices.map((one) => resolved(description, one, depth + 1)).find((one) => one !== null);
  if (schema.type === "array") return [resolved(description, schema.items, depth + 1)];
  if (schema.type === "object" && schema.properties) {
    const parts = Object.entries(schema.properties).map(([name, one]) => [name, resolved(description, one, depth + 1)]);
    return Object.fromEntries(parts);
  }
  if (schema.default !== undefined) return schema.default;
  return schema.enum ? schema.enum.join(" | ") : schema.type === "null" ? null : schema.type || "any";
}

function block(title, description, content) {
  const schema = content && content["application/json"] && content["application/json"].schema;
  if (!schema || !Object.keys(schema).length) return [];
  const text = JSON.stringify(resolved(description, schema), null, 2);
  return [element("h3", {}, title), element("pre", { tabindex: "0", "aria-label": title }, element("code", {}, text))];
}

startTheme();
const description = await ask("GET", "openapi.json");
for (const [path, methods] of Object.entries(description.paths)) {
  for (const [method, endpoint] of Object.entries(methods)) {
    const section = element("section", {}, element("h2", {}, `${method.toUpperCase()} ${path}`));
    section.append(element("p", {}, endpoint.description || ""));
    if (endpoint.security) section.append(element("p", { class: "quiet" }, "Needs the token: Authorization: Bearer TOKEN"));
    for (const one of endpoint.parameters || []) {
      section.append(element("p", {}, `${one.in} ${one.name}${one.required ? " (required)" : ""}`));
    }
    section.append(...block("Request", description, endpoint.requestBody && endpoint.requestBody.content));
    section.append(...block("Answer", description, endpoint.responses["200"].content));
    const others = Object.entries(endpoint.responses).filter(([status]) => status !== "200");
    if (others.length) section.append(element("p", { class: "small" }, others.map(([s, r]) => `${s} ${r.description}`).join("; ")));
    find("endpoints").append(section);
  }
}
document.documentElement.dataset.ready = "yes";
