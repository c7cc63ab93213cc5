"use strict";
(() => {
  const root = document.documentElement;
  const UNITS = 10000; // of the coordinates of lines

  function compare(first, second, direction) {
    const values = [first, second].map((cell) => cell.dataset.sort);
    if (values[0] === undefined || values[1] === undefined) return (values[0] === undefined) - (values[1] === undefined);
    const [a, b] = values.map(Number);
    const numbers = !Number.isNaN(a) && !Number.isNaN(b);
    return direction * (numbers ? a - b : values[0].localeCompare(values[1], "en", { numeric: true }));
  }

  function sortBy(table, head) {
    const column = head.cellIndex;
    const first = head.classList.contains("number") ? "descending" : "ascending";
    const other = first === "ascending" ? "descending" : "ascending";
    const order = head.getAttribute("aria-sort") === first ? other : first;
    for (const cell of head.parentNode.cells) cell.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", order);
    const direction = order === "ascending" ? 1 : -1;
    const rows = [...table.tBodies[0].rows];
    rows.sort((a, b) => compare(a.cells[column], b.cells[column], direction));
    table.tBodies[0].append(...rows);
  }

  function restrict(choice) {
    const table = document.getElementById(choice.dataset.table);
    table.classList.toggle("restricted", choice.value !== "");
    for (const row of table.tBodies[0].rows) {
      row.hidden = choice.value !== "" && row.dataset.group !== choice.value;
    }
  }

  // a metric chosen at one figure is chosen at all figures that have it
  const choices = [...document.querySelectorAll(".chart-choice")];

  function showFigure(choice) {
    const figures = choice.closest(".chart").querySelectorAll("figure");
    figures.forEach((figure, i) => figure.classList.toggle("other", i !== Number(choice.value)));
  }

  function choose(choice) {
    const text = choice.selectedOptions[0].textContent;
    for (const other of choices) {
      const option = [...other.options].find((x) => x.textContent === text);
      if (other.dataset.label === choice.dataset.label && option) other.value = option.value;
      showFigure(other);
    }
  }

  // values of all lines at the place of the pointer
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  document.body.append(tip);

  function nearest(group, x) {
    const points = [...group.children].flatMap((line) => [...line.points]);
    const distances = points.map((point) => Math.abs(point.x - x));
    return points[distances.indexOf(Math.min(...distances))];
  }

  function read(panel, event) {
    const box = panel.getBoundingClientRect();
    const [x, y] = [panel.dataset.x, panel.dataset.y].map((ends) => ends.split(",").map(Number));
    const place = (UNITS * (event.clientX - box.left)) / box.width;
    const groups = [...panel.querySelectorAll(".curves g")].filter((group) => group.children.length);
    const all = groups.map((group) => ({ name: group.dataset.name, point: nearest(group, place) }));
    if (!all.length) return;
    const closest = all.reduce((a, b) => (Math.abs(a.point.x - place) <= Math.abs(b.point.x - place) ? a : b)).point.x;
    const here = all.filter(({ point }) => Math.abs(point.x - closest) < 2).sort((a, b) => a.point.y - b.point.y);
    const value = (point) => (y[1] - (point.y / UNITS) * (y[1] - y[0])).toPrecision(3);
    const head = `${panel.dataset.title}: ${Number((x[0] + (closest / UNITS) * (x[1] - x[0])).toPrecision(4))}`;
    tip.textContent = [head, ...here.map(({ name, point }) => `${value(point)}  ${name}`)].join("\n");
    tip.hidden = false;
    const left = Math.min(event.pageX + 14, window.scrollX + root.clientWidth - tip.offsetWidth - 4);
    tip.style.left = `${Math.max(window.scrollX + 4, left)}px`;
    tip.style.top = `${event.pageY + 16}px`;
  }

  for (const panel of document.querySelectorAll(".panel")) {
    panel.addEventListener("pointermove", (event) => read(panel, event));
    panel.addEventListener("pointerdown", (event) => read(panel, event));
    panel.addEventListener("pointerleave", () => (tip.hidden = true));
  }

  function remembered() {
    try {
      return window.localStorage.getItem("recbole-sibrar-theme") || "auto";
    } catch {
      return "auto"; // a browser may forbid a page from disk to keep anything
    }
  }

  function remember(theme) {
    try {
      window.localStorage.setItem("recbole-sibrar-theme", theme);
    } catch {
      // then the theme holds until the page is closed
    }
  }

  function show(theme) {
    if (theme === "auto") delete root.dataset.theme;
    else root.dataset.theme = theme;
  }

  const theme = document.getElementById("theme");
  theme.value = remembered();
  if (!theme.value) theme.value = "auto";
  root.classList.add("script");
  show(theme.value);
  theme.addEventListener("change", () => {
    remember(theme.value);
    show(theme.value);
  });
  for (const choice of choices) {
    choice.value = "0"; // some browsers keep the choice when a page is loaded again
    choice.addEventListener("change", () => choose(choice));
  }
  for (const head of document.querySelectorAll(".sortable thead th")) {
    head.querySelector("button").addEventListener("click", () => sortBy(head.closest("table"), head));
  }
  for (const choice of document.querySelectorAll("select[data-table]")) {
    choice.addEventListener("change", () => restrict(choice));
    restrict(choice);
  }

  // a shadow at an edge behind which a table goes on
  function hint(element) {
    const left = element.scrollLeft;
    element.parentNode.classList.toggle("more", element.scrollWidth - element.clientWidth - left > 1);
    element.parentNode.classList.toggle("before", left > 1);
  }
  for (const element of document.querySelectorAll(".scroll")) {
    element.addEventListener("scroll", () => hint(element), { passive: true });
    new ResizeObserver(() => hint(element)).observe(element);
  }
  root.dataset.ready = "true";
})();
