import { ask, element, find, startTheme } from "./shared.js";

let model;
let clicks = [];

// Forms

function fieldInputs(place, fields, prefix) {
  const hints = { token_seq: "labels, separated by spaces", float: "a number" };
  for (const field of fields) {
    const id = `${prefix}-${field.name}`;
    const about = `${id}-hint`;
    const input = element("input", { id, autocomplete: "off", "aria-describedby": about, "data-field": field.name, "data-type": field.type });
    const hint = field.type === "float_seq" ? `${field.size} numbers, separated by spaces` : hints[field.type] || "a label";
    if (field.type === "float") input.inputMode = "decimal";
    // Below the input: as a placeholder, a narrow one would cut it.
    place.append(element("div", {}, element("label", { for: id }, field.name), input, element("span", { id: about, class: "small" }, hint)));
  }
}

function number(text, name) {
  const value = Number(text);
  if (!Number.isFinite(value)) throw new Error(`${name}: found '${text}', allowed is a number`);
  return value;
}

function fieldValues(place) {
  const values = {};
  for (const input of place.querySelectorAll("input")) {
    const text = input.value.trim();
    const { field, type } = input.dataset;
    if (!text) continue;
    if (type === "float") values[field] = number(text, field);
    else if (type === "float_seq") values[field] = text.split(/[\s,]+/).map((part) => number(part, field));
    else if (type === "token_seq") values[field] = text.split(/\s+/);
    else values[field] = text;
  }
  return values;
}

function suggest(input, list, side) {
  let waiting;
  const refresh = async () => {
    const start = encodeURIComponent(input.value.trim());
    const { found } = await ask("GET", `tokens/${side}?start=${start}&limit=20`);
    list.replaceChildren(...found.map((one) => element("option", { value: one.token }, title(one.display))));
  };
  input.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => refresh().catch(() => list.replaceChildren()), 150);
  });
  return refresh();
}

async function known(side, token) {
  const { found } = await ask("GET", `tokens/${side}?start=${encodeURIComponent(token)}&limit=1`);
  if (!found.length || found[0].token !== token) throw new Error(`${side} '${token}' is unknown`);
}

function say(id, text, isWrong = false) {
  find(id).textContent = text;
  find(id).classList.toggle("wrong", isWrong);
}

function title(display) {
  return Object.entries(display || {})
    .filter(([, value]) => value !== null && value !== undefined && String(value) !== "")
    .map(([name, value]) => (name === "title" ? value : `${name} ${Array.isArray(value) ? value.join(", ") : value}`))
    .join(", ");
}

// Modalities

function switches(place, names, side) {
  for (const name of names) {
    const box = element("input", { type: "checkbox", value: name, id: `${side}-modality-${name}` });
    box.checked = true;
    box.addEventListener("change", () => find("items").children.length && recommend());
    place.append(element("label", {}, box, ` ${name}`));
  }
}

function chosen(place) {
  const boxes = [...place.querySelectorAll("input")];
  return boxes.every((box) => box.checked) ? null : boxes.filter((box) => box.checked).map((box) => box.value);
}

// Recommendations

async function visitor() {
  if (document.querySelector("input[name=kind]:checked").value === "known") {
    const token = find("user").value.trim();
    if (!token) throw new Error("User: an id is missing");
    await known("user", token);
    return token;
  }
  const user = { history: clicks, fields: fieldValues(find("user-fields")) };
  if (!clicks.length && !Object.keys(user.fields).length) throw new Error("A new visitor needs a clicked item or a field");
  return user;
}

async function recommend() {
  say("who-message", "Searching");
  try {
    const user = await visitor();
    const request = { users: [user], k: Math.max(1, Math.min(Number(find("k").value) || 10, model.limits.k)) };
    const filter = find("filter").value.trim();
    if (filter) request.filter = filter;

    const off = { item_modalities: chosen(find("item-modalities")), user_modalities: chosen(find("user-modalities")) };
    const isChanged = Boolean(off.item_modalities || off.user_modalities);
    const answer = await ask("POST", "recommend", isChanged ? { ...request, ...off } : request);
    const before = isChanged ? await ask("POST", "recommend", request) : null;
    const items = answer.recommendations[0].items;

    const parts = model.has_modalities && items.length ? await explanations(user, items, off) : null;
    show(items, parts, before && before.recommendations[0].items);
    say("who-message", `${items.length} items${isChanged ? ", with the change of place" : ""}`);
  } catch (error) {
    say("who-message", error.message, true);
  }
}

async function explanations(user, items, off) {
  const pairs = items.slice(0, model.limits.batch).map(({ item }) => ({ user, item }));
  const answer = await ask("POST", "explain", { pairs, ...off });
  return answer.explanations.map(({ parts }) => {
    const sums = {};
    for (const { item_modality: name, part } of parts) sums[name] = (sums[name] || 0) + part;
    return sums;
  });
}

function show(items, parts, before) {
  const range = [-1, 1].map((sign) => Math.max(...(parts || []).map((sums) => extent(sums, sign)), 0));
  const places = new Map((before || []).map(({ item }, place) => [item, place]));
  find("items").replaceChildren(
    ...items.map((one, place) => {
      const row = itemRow(one);
      if (before) row.querySelector(".row").append(element("span", { class: "small" }, moved(places.get(one.item), place)));
      if (parts && parts[place]) row.append(bars(parts[place], range), element("div", { class: "small" }, words(parts[place])));
      return row;
    })
  );
  find("legend").hidden = !parts;
}

function moved(earlier, place) {
  if (earlier === undefined) return "new in the list";
  if (earlier === place) return "same place";
  return earlier > place ? `up ${earlier - place}` : `down ${place - earlier}`;
}

const extent = (sums, sign) => Object.values(sums).reduce((sum, part) => sum + Math.max(sign * part, 0), 0);

const words = (sums) =>
  Object.entries(sums).map(([name, part]) => `${name} ${part < 0 ? "\u2212" : "+"}${Math.abs(part).toFixed(3)}`).join(" \u00b7 ");

function colour(name) {
  const place = model.items.modalities.indexOf(name);
  return `m${place < 0 ? 7 : place % 8}`;
}

// Positive parts lie right of the axis, negative ones left of it.
function bars(sums, [left, right]) {
  const scale = 100 / Math.max(left + right, 1e-12);
  const box = `${-left * scale} 0 100 14`;
  const chart = element("svg", { class: "bars", viewBox: box, preserveAspectRatio: "none", role: "img", "aria-label": words(sums) });
  const ends = { 1: 0, "-1": 0 };
  for (const [name, part] of Object.entries(sums)) {
    const sign = part < 0 ? -1 : 1;
    const width = Math.abs(part) * scale;
    const x = sign > 0 ? ends[1] : -ends[-1] - width;
    chart.append(element("rect", { x, y: 1, width, height: 12, class: colour(name) }));
    ends[sign] += width;
  }
  chart.append(element("line", { x1: 0, x2: 0, y1: 0, y2: 14, class: "axis" }));
  return chart;
}

function itemRow({ item, score, display }) {
  const row = element("div", { class: "row" }, element("strong", {}, item), element("span", { class: "quiet" }, title(display)));
  row.append(element("span", { class: "score" }, score.toFixed(3)));
  return element("li", {}, row);
}

// A new item

async function describeItem() {
  say("item-message", "Searching");
  try {
    const fields = fieldValues(find("item-fields"));
    if (!Object.keys(fields).length) throw new Error("A new item needs at least one field");
    const k = Math.min(10, model.limits.k);
    const [near, liked] = await Promise.all([
      ask("POST", "similar", { items: [fields], k }),
      ask("POST", "audience", { items: [fields], k }),
    ]);
    find("neighbours").replaceChildren(...near.similar[0].similar.map(itemRow));
    find("audience").replaceChildren(...liked.audiences[0].users.map(({ user, score }) => itemRow({ item: user, score })));
    find("item-answers").hidden = false;
    say("item-message", "");
  } catch (error) {
    say("item-message", error.message, true);
  }
}

// Start

function showClicks() {
  const remove = (token) => () => {
    clicks = clicks.filter((other) => other !== token);
    showClicks();
  };
  find("clicks").replaceChildren(
    ...clicks.map((token) => {
      const button = element("button", { type: "button", "aria-label": `Remove ${token}` }, `${token} \u00d7`);
      button.addEventListener("click", remove(token));
      return element("li", {}, button);
    })
  );
}

async function addClick() {
  const token = find("history").value.trim();
  if (!token || clicks.includes(token)) return;
  try {
    await known("item", token);
    clicks.push(token);
    find("history").value = "";
    showClicks();
    say("who-message", "");
  } catch (error) {
    say("who-message", error.message, true);
  }
}

function listen() {
  for (const choice of document.querySelectorAll("input[name=kind]")) {
    choice.addEventListener("change", () => {
      find("known").hidden = choice.value !== "known";
      find("new").hidden = choice.value === "known";
    });
  }
  find("who").addEventListener("submit", (event) => { event.preventDefault(); recommend(); });
  find("item").addEventListener("submit", (event) => { event.preventDefault(); describeItem(); });
  find("add-click").addEventListener("click", addClick);
  find("history").addEventListener("keydown", (event) => {
    if (event.key === "Enter") { event.preventDefault(); addClick(); }
  });
}

async function start() {
  startTheme();
  listen();
  model = await ask("GET", "model");
  const counts = `${model.users.n.toLocaleString("en")} users, ${model.items.n.toLocaleString("en")} items`;
  find("model").textContent = `${model.model}: ${counts}, ${model.embedding_size} dimensions`;
  find("k").max = model.limits.k;

  fieldInputs(find("user-fields"), model.users.fields, "user-field");
  fieldInputs(find("item-fields"), model.items.fields, "item-field");
  find("item-section").hidden = !model.takes_new || !model.items.fields.length;
  document.querySelector("input[value=new]").disabled = !model.takes_new;

  if (model.items.display.length) {
    find("filter-part").hidden = false;
    find("filter-hint").textContent = `expression over ${model.items.display.join(", ")}`;
  }
  if (model.has_modalities) {
    find("switches").hidden = false;
    switches(find("item-modalities"), model.items.modalities, "item");
    switches(find("user-modalities"), model.users.modalities, "user");
    find("legend").replaceChildren(
      ...model.items.modalities.map((name) => element("span", {}, element("span", { class: `swatch ${colour(name)}` }), name))
    );
  }
  await Promise.all([suggest(find("user"), find("user-options"), "user"), suggest(find("history"), find("item-options"), "item")]);
}

start()
  .catch((error) => say("who-message", error.message, true))
  .finally(() => { document.documentElement.dataset.ready = "yes"; });
