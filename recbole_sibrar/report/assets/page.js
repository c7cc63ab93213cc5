"use strict";
(() => {
  const root = document.documentElement;
  const DASHES = ["dash", "dashdot", "dot", "longdash"];
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

  function isDark() {
    const theme = root.dataset.theme;
    return theme ? theme === "dark" : dark.matches;
  }

  function trace(chart, series, shown) {
    const own = isDark() ? series.dark : series.light;
    const isDots = chart.kind === "dots";
    const names = series.x.map((x) => (isDots ? wrapped(x, narrow.matches ? 14 : 24) : x));
    const base = {
      x: isDots ? series.y : names,
      y: isDots ? names : series.y,
      name: plain(series.group),
      legendgroup: plain(series.group),
      showlegend: !shown.has(series.group) && (!isDots || chart.grouped),
      hovertext: series.y.map((_, i) => hoverText(chart, series, i)),
      hoverinfo: "text",
      type: "scatter",
    };
    shown.add(series.group);
    if (series.errors) {
      const { high, low } = series.errors;
      const bars = { array: high, arrayminus: low, symmetric: false, color: own, thickness: 1.5, width: isDots ? 0 : 4 };
      base[isDots ? "error_x" : "error_y"] = bars;
    }
    const symbol = series.own ? "circle" : "square";
    if (isDots) {
      const offset = chart.grouped ? { offsetgroup: plain(series.group), alignmentgroup: "models", orientation: "h" } : {};
      return { ...base, ...offset, mode: "markers", marker: { color: own, size: 10, symbol } };
    }
    const dash = series.own ? "solid" : DASHES[series.number % DASHES.length];
    const size = series.y.map((_, i) => (series.mark === null ? 6 : i === series.mark ? 9 : 0.1));
    return { ...base, mode: "lines+markers", line: { color: own, width: series.own ? 2 : 1.5, dash }, marker: { symbol, size, color: own } };
  }

  // the result of every single run, behind the mean
  function runs(chart, series) {
    const own = isDark() ? series.dark : series.light;
    const places = series.x.map((x) => wrapped(x, narrow.matches ? 14 : 24));
    const offset = chart.grouped ? { offsetgroup: plain(series.group), alignmentgroup: "models", orientation: "h" } : {};
    return {
      ...offset,
      x: series.seeds.flat(),
      y: series.seeds.flatMap((values, i) => values.map(() => places[i])),
      type: "scatter",
      mode: "markers",
      marker: { color: own, size: 9, symbol: "line-ns", line: { color: own, width: 1.2 } },
      legendgroup: plain(series.group),
      showlegend: false,
      hoverinfo: "skip",
    };
  }

  function levels(chart) {
    const line = { color: colour("muted"), width: 1, dash: "dot" };
    const shapes = chart.levels.map(({ value }) => ({ type: "line", x0: value, x1: value, y0: 0, y1: 1, yref: "paper", line }));
    const annotations = chart.levels.map(({ name, value }, i) => ({
      x: value, y: 1, yref: "paper", yanchor: "bottom", yshift: 16 * i, xanchor: "left", xshift: -3, showarrow: false,
      text: plain(name), font: { color: colour("muted"), size: 12 },
    }));
    return { shapes, annotations };
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
    const isDots = chart.kind === "dots";
    const values = { ...axis, title: { text: wrapped(chart.yTitle, narrow.matches ? 30 : 60), standoff: 10 } };
    values.rangemode = chart.fromZero ? "tozero" : "normal";
    if (narrow.matches) values.nticks = 5;
    const names = { ...axis, title: { text: wrapped(chart.xTitle, narrow.matches ? 28 : 80), standoff: 10 }, showgrid: false, zeroline: false };
    if (isDots) Object.assign(names, { type: "category", autorange: "reversed" });
    else Object.assign(names, { showgrid: true }, wholeSteps(chart));
    const rows = new Set(chart.series.flatMap((series) => series.x)).size * (chart.grouped ? chart.series.length : 1);
    const top = 12 + 16 * chart.levels.length;
    return {
      font: { family: getComputedStyle(document.body).fontFamily, size: 13, color: colour("text") },
      paper_bgcolor: colour("surface"),
      plot_bgcolor: colour("surface"),
      margin: { l: 20, r: 16, t: top, b: 20 },
      xaxis: isDots ? values : names,
      yaxis: isDots ? names : values,
      scattermode: isDots && chart.grouped ? "group" : "overlay",
      ...levels(chart),
      hoverlabel: { bgcolor: colour("surface"), bordercolor: colour("muted"), font: { color: colour("text") }, align: "left" },
      legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom" },
      height: isDots ? Math.max(200, 110 + top + 26 * rows) : narrow.matches ? 380 : 420,
    };
  }

  function draw(figure) {
    const chart = figure.charts[figure.chosen];
    const shown = new Set();
    const traces = chart.series.map((series) => trace(chart, series, shown));
    if (chart.kind === "dots") traces.unshift(...chart.series.filter((x) => x.seeds.length).map((x) => runs(chart, x)));
    figure.plot.setAttribute("aria-label", chart.description);
    figure.caption.textContent = chart.title;
    fillValues(figure, chart);
    const options = { responsive: true, displayModeBar: false, doubleClick: "reset" };
    const shape = layout(chart);
    figure.plot.style.minHeight = `${shape.height}px`; // Plotly forgets the height of the element when its width changes
    return window.Plotly.react(figure.plot, traces, shape, options);
  }

  function fillValues(figure, chart) {
    if (!figure.values.open) return;
    const table = document.createElement("table");
    const head = table.createTHead().insertRow();
    for (const title of [chart.kind === "line" ? "Line" : "Model", chart.xTitle || "Name", chart.yTitle, "Lower end", "Upper end"]) {
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
  function hint(element) {
    element.classList.toggle("more", element.scrollWidth - element.clientWidth - element.scrollLeft > 1);
  }
  for (const element of document.querySelectorAll(".scroll")) {
    element.addEventListener("scroll", () => hint(element), { passive: true });
    new ResizeObserver(() => hint(element)).observe(element);
  }
  window.addEventListener("beforeprint", () => {
    show("light");
    for (const figure of figures) window.Plotly.relayout(figure.plot, { width: 680 });
  });
  window.addEventListener("afterprint", () => show(theme.value));
  root.dataset.ready = "true";
})();
