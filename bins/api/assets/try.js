// The API page: one form an operation, made from openapi.json. Everything is put in as text, never as markup.
const part = (name, props = {}, ...children) => {
  const node = Object.assign(document.createElement(name), props);
  node.append(...children);
  return node;
};

const example = (schema, all) => {
  if (!schema) return undefined;
  if (schema.$ref) return example(all[schema.$ref.split("/").pop()], all);
  if (schema.anyOf) return null;
  const type = Array.isArray(schema.type) ? schema.type[0] : schema.type;
  if (type === "object") {
    const required = schema.required ?? [];
    return Object.fromEntries(required.map((name) => [name, example(schema.properties?.[name], all)]));
  }
  return { string: "", integer: 0, boolean: false, array: [] }[type] ?? null;
};

const field = (id, label, value = "") => {
  const input = part("input", { id, name: id, value, spellcheck: false });
  return part("div", { className: "f" }, part("label", { htmlFor: id, textContent: label }), input);
};

const send = async (form, method, path, base, operation) => {
  const value = (name) => form.elements[`${operation.operationId}.${name}`]?.value ?? "";
  let target = path.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(value(name)));
  const query = (operation.parameters ?? []).filter((p) => p.in === "query" && value(p.name) !== "");
  if (query.length) target += "?" + new URLSearchParams(query.map((p) => [p.name, value(p.name)]));
  const headers = {};
  const token = document.getElementById("token").value;
  if (token) headers.authorization = `Bearer ${token}`;
  const body = form.elements[`${operation.operationId}.body`]?.value;
  if (body) headers["content-type"] = "application/json";
  const began = performance.now();
  const answer = await fetch(base + target, { method: method.toUpperCase(), headers, body: body || undefined, credentials: "omit" });
  const text = await answer.text();
  let shown = text;
  try { shown = JSON.stringify(JSON.parse(text), null, 2); } catch { /* shown as it is */ }
  return `${answer.status} ${answer.statusText}, ${Math.round(performance.now() - began)} ms\n\n${shown}`;
};

const operationForm = (method, path, operation, base, all) => {
  const form = part("form");
  for (const p of operation.parameters ?? []) {
    if (p.in !== "header") form.append(field(`${operation.operationId}.${p.name}`, `${p.name}${p.required ? "" : " (optional)"}`));
  }
  const content = operation.requestBody?.content ?? {};
  const schema = (content["application/json"] ?? Object.values(content)[0])?.schema;
  if (schema) {
    const id = `${operation.operationId}.body`;
    const text = part("textarea", { id, name: id, rows: 6, spellcheck: false, value: JSON.stringify(example(schema, all) ?? {}, null, 2) });
    form.append(part("div", { className: "f" }, part("label", { htmlFor: id, textContent: "Body" }), text));
  }
  const output = part("pre", { tabIndex: 0, hidden: true });
  output.setAttribute("role", "status");
  form.append(part("button", { className: "go", textContent: `Send ${method.toUpperCase()}` }), output);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    output.hidden = false;
    output.textContent = "Waiting…";
    output.textContent = await send(form, method, path, base, operation).catch((error) => `Not sent: ${error.message}`);
  });
  return form;
};

const base = location.pathname.replace(/(\/v1)?\/docs\/?$/, "");
const document_ = await (await fetch(`${base}/openapi.json`)).json();
const all = document_.components.schemas;
const groups = new Map();
for (const [path, methods] of Object.entries(document_.paths)) {
  for (const [method, operation] of Object.entries(methods)) {
    const tag = operation.tags?.[0] ?? "service";
    const title = part("summary", {}, part("code", { textContent: `${method.toUpperCase()} ${path}` }), ` ${operation.summary}`);
    const details = part("details", {}, title);
    details.addEventListener("toggle", () => {
      if (details.open && details.children.length === 1) {
        if (operation.description) details.append(part("p", { textContent: operation.description }));
        details.append(operationForm(method, path, operation, base, all));
      }
    });
    groups.set(tag, [...(groups.get(tag) ?? []), details]);
  }
}
const sections = [...groups].map(([tag, list]) => part("section", {}, part("h2", { textContent: tag }), ...list));
document.getElementById("operations").replaceChildren(...sections);
