// Helpers of both pages: requests, elements, theme.

export async function ask(method, path, body) {
  const options = { method, headers: body ? { "Content-Type": "application/json" } : {} };
  if (body) options.body = JSON.stringify(body);
  const answer = await fetch(path, options);
  const content = await answer.json();
  if (!answer.ok) throw new Error(content.detail || `the server has answered ${answer.status}`);
  return content;
}

// Texts are only ever set as texts: a title of an item is no HTML.
export function element(name, attributes = {}, ...children) {
  const svg = ["svg", "rect", "line"].includes(name);
  const made = svg ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

export const find = (id) => document.getElementById(id);

export function startTheme() {
  const choice = find("theme");
  const apply = () => {
    if (choice.value) document.documentElement.dataset.theme = choice.value;
    else delete document.documentElement.dataset.theme;
  };
  choice.value = localStorage.getItem("sibrar-theme") || "";
  apply();
  choice.addEventListener("change", () => {
    localStorage.setItem("sibrar-theme", choice.value);
    apply();
  });
}
