"use strict";
(() => {
  const root = document.documentElement;
  const N_COLOURS = 7;
  const SYMBOLS = ["circle", "square", "triangle-up", "diamond", "triangle-down", "cross", "x"];
  const DASHES = ["solid", "dash", "dashdot", "dot", "longdash"];
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const narrow = window.matchMedia("(max-width: 40rem)");
  const figures = [];

  const probe = document.createElement("span"); // its colour is what the style's names are in the theme
  probe.hidden = true;
  document.body.append(probe);

  function colour(name) {
    probe.style.color = `var(--${name})`;
    return getComputedStyle(probe).color;
  }

  // Plotly reads some HTML in texts, and names are only names
  const plain = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  const short = (value) => (value === null ? "no value" : Number(value.toPrecision(4)).toString());

  function wrapped(text, width) {
    const lines = [""];
    for (const word of String(text).split(" ")) {
      const longer = `${lines[lines.length - 1]} ${word}`.trim();
      if (longer.length > width && lines[lines.length - 1]) lines.push(word);
      else lines[lines.length - 1] = longer;
    }
    return lines.map(plain).join("<br>");
  }

  function hoverText(chart, series, i) {
    const error = series.errors && series.errors.high[i] !== null ? series.errors : null;
    const range = error ? ` (${short(series.y[i] - error.low[i])} to ${short(series.y[i] + error.high[i])})` : "";
    const x = chart.xTitle ? `${chart.xTitle}: ${series.x[i]}` : series.x[i];
    const lines = [`<b>${wrapped(series.name, 44)}</b>`];
    if (x !== series.name) lines.push(wrapped(x, 44));
    lines.push(plain(`${chart.yTitle}: ${short(series.y[i])}${range}`));
    if (series.details[i]) lines.push(wrapped(series.details[i], 44));
    return lines.join("<br>");
  }

  function trace(chart, series, shown) {
    const style = series.style;
    const own = colour(`series-${style % N_COLOURS}`);
    const base = {
      x: chart.kind === "bar" ? series.x.map((x) => wrapped(x, 18)) : series.x,
      y: series.y,
      name: plain(series.group),
      legendgroup: `${style} ${plain(series.group)}`,
      showlegend: !shown.has(series.group) && (chart.kind === "line" || chart.grouped),
      hovertext: series.y.map((_, i) => hoverText(chart, series, i)),
      hoverinfo: "text",
    };
    shown.add(series.group);
    if (series.errors) {
      const { high, low } = series.errors;
      base.error_y = { array: high, arrayminus: low, symmetric: false, color: colour("text"), thickness: 1.2, width: 4 };
    }
    if (chart.kind === "bar") {
      const fill = own.replace("rgb(", "rgba(").replace(")", ", 0.6)"); // error bars stay visible in front of it
      return { ...base, type: "bar", marker: { color: fill, line: { color: own, width: 1.5 } } };
    }
    const dash = DASHES[style % DASHES.length];
    if (base.error_y) base.error_y.color = own;
    const marker = { symbol: SYMBOLS[style % SYMBOLS.length], size: 7 };
    return { ...base, type: "scatter", mode: "lines+markers", line: { color: own, width: 2, dash }, marker };
  }

  function wholeSteps(chart) {
    const values = chart.series.flatMap((series) => series.x);
    if (!values.every(Number.isInteger)) return {};
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const room = Math.max(0.5, 0.03 * (high - low));
    return { dtick: Math.max(1, Math.ceil((high - low) / 10)), tick0: 0, range: [low - room, high + room] };
  }

  function layout(chart) {
    const axis = {
      gridcolor: colour("grid"),
      linecolor: colour("muted"),
      zerolinecolor: colour("muted"),
      automargin: true,
      fixedrange: narrow.matches,
    };
    const x = { ...axis, title: { text: plain(chart.xTitle), standoff: 10 }, showgrid: chart.kind === "line", zeroline: false };
    if (chart.kind === "bar") x.type = "category";
    else Object.assign(x, wholeSteps(chart));
    const y = { ...axis, title: { text: plain(chart.yTitle), standoff: 10 }, rangemode: chart.fromZero ? "tozero" : "normal" };
    return {
      font: { family: getComputedStyle(document.body).fontFamily, size: 13, color: colour("text") },
      paper_bgcolor: colour("surface"),
      plot_bgcolor: colour("surface"),
      margin: { l: 20, r: 12, t: 12, b: 20 },
      xaxis: x,
      yaxis: y,
      barmode: chart.grouped ? "group" : "overlay",
      bargap: chart.grouped ? 0.2 : 0.35,
      hoverlabel: { bgcolor: colour("surface"), bordercolor: colour("muted"), font: { color: colour("text") }, align: "left" },
      legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom" },
      height: narrow.matches ? 380 : 420,
    };
  }

  function draw(figure) {
    const chart = figure.charts[figure.chosen];
    const shown = new Set();
    const traces = chart.series.map((series) => trace(chart, series, shown));
    figure.plot.setAttribute("aria-label", chart.description);
    figure.caption.textContent = chart.title;
    fillValues(figure, chart);
    const options = { responsive: true, displayModeBar: false, doubleClick: "reset" };
    return window.Plotly.react(figure.plot, traces, layout(chart), options);
  }

  function fillValues(figure, chart) {
    if (!figure.values.open) return;
    const table = document.createElement("table");
    const head = table.createTHead().insertRow();
    for (const title of [chart.kind === "line" ? "Line" : "Bar", chart.xTitle || "Name", chart.yTitle, "Lower end", "Upper end"]) {
      const cell = document.createElement("th");
      cell.scope = "col";
      cell.textContent = title;
      head.append(cell);
    }
    const body = table.createTBody();
    for (const series of chart.series) {
      series.y.forEach((y, i) => {
        const errors = series.errors && series.errors.high[i] !== null ? series.errors : null;
        const ends = errors ? [short(y - errors.low[i]), short(y + errors.high[i])] : ["", ""];
        const row = body.insertRow();
        for (const text of [series.name, series.x[i], short(y), ...ends]) row.insertCell().textContent = text;
      });
    }
    figure.values.querySelector("div").replaceChildren(table);
  }

  function addFigure(element) {
    const figure = {
      charts: JSON.parse(element.querySelector("script").textContent),
      chosen: 0,
      plot: element.querySelector(".plot"),
      caption: element.querySelector("figcaption"),
      values: element.querySelector("details"),
      drawn: false,
    };
    figures.push(figure);
    const choice = element.querySelector(".chart-choice");
    if (choice) {
      choice.value = "0"; // some browsers keep the choice when a page is loaded again
      choice.addEventListener("change", () => {
        figure.chosen = Number(choice.value);
        draw(figure);
      });
    }
    figure.values.addEventListener("toggle", () => fillValues(figure, figure.charts[figure.chosen]));
    for (const button of element.querySelectorAll("[data-format]")) {
      button.addEventListener("click", () => {
        const filename = figure.charts[figure.chosen].name;
        const scale = button.dataset.format === "png" ? 3 : 1;
        window.Plotly.downloadImage(figure.plot, { format: button.dataset.format, filename, width: 900, height: 520, scale });
      });
    }
    draw(figure);
  }

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
    figures.forEach(draw);
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
  dark.addEventListener("change", () => show(theme.value));
  narrow.addEventListener("change", () => figures.forEach(draw));
  document.querySelectorAll(".chart").forEach(addFigure);
  for (const head of document.querySelectorAll(".sortable thead th")) {
    head.querySelector("button").addEventListener("click", () => sortBy(head.closest("table"), head));
  }
  for (const choice of document.querySelectorAll("select[data-table]")) {
    choice.addEventListener("change", () => restrict(choice));
    restrict(choice);
  }
  window.addEventListener("beforeprint", () => {
    show("light");
    for (const figure of figures) window.Plotly.relayout(figure.plot, { width: 680, height: 360 });
  });
  window.addEventListener("afterprint", () => show(theme.value));
  root.dataset.ready = "true";
})();
