"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const rows = [...document.querySelectorAll("#scenarios > tbody")];

// Elements. All texts are nodes of text: nothing that somebody wrote is read as HTML.

function fill(element, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== undefined) element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}
const html = (name, attributes = {}, ...children) =>
  fill(document.createElement(name), attributes, children);
const svg = (name, attributes = {}, ...children) =>
  fill(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);

const FIGURE = /^[-+]?\d[\d.,]*(e[-+]?\d+)?( ±.*| to .*| of .*| \(.*\))?$/;

function table({ columns, rows, more }) {
  const cell = (text) =>
    html("td", { class: text === "–" || FIGURE.test(text) ? "number" : "text" }, text);
  const head = html("thead", {}, html("tr", {}, ...columns.map((name) => html("th", {}, name))));
  const body = html("tbody", {}, ...rows.map((row) => html("tr", {}, ...row.map(cell))));
  const parts = [html("table", {}, head, body), ...(more ? [`... ${more}`] : [])];
  return html("div", { class: "wide", tabindex: 0 }, ...parts);
}

const folded = (title, ...children) => html("details", {}, html("summary", {}, title), ...children);

// Charts: each is drawn anew for the width that it has, so that its texts stay readable.

const HEIGHT = 240, LEFT = 52, RIGHT = 10, TOP = 8, BELOW = 38;
const show = (value) => (value === null || value === undefined ? "–" : String(value));

function ticks(low, high, most, whole) {
  const rough = (high - low) / most || 1, power = 10 ** Math.floor(Math.log10(rough));
  let step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough);
  if (whole) step = Math.max(1, Math.round(step));
  const found = [];
  for (let n = Math.ceil(low / step - 1e-9); n * step <= high + step * 1e-9; n += 1) {
    found.push(Number((n * step).toPrecision(6)));
  }
  return found;
}

function limits(values) {
  const known = values.filter((value) => value !== null && value !== undefined);
  const low = Math.min(...known), high = Math.max(...known), room = (high - low || 1) / 20;
  return known.length ? [low - room, high + room] : [0, 1];
}

// The axes, with functions from values to places.
function axes(width, titles, [x0, x1], [y0, y1], wholeX) {
  const right = width - RIGHT, bottom = HEIGHT - BELOW;
  const x = (value) => LEFT + ((value - x0) / (x1 - x0 || 1)) * (right - LEFT);
  const y = (value) => bottom - ((value - y0) / (y1 - y0 || 1)) * (bottom - TOP);
  const marks = [
    ...ticks(y0, y1, 5).flatMap((n) => [
      svg("line", { class: "grid", x1: LEFT, x2: right, y1: y(n), y2: y(n) }),
      svg("text", { x: LEFT - 6, y: y(n) + 4, "text-anchor": "end" }, show(n)),
    ]),
    ...ticks(x0, x1, Math.max(2, width / 80), wholeX).map((n) =>
      svg("text", { x: x(n), y: bottom + 16, "text-anchor": "middle" }, show(n))),
    svg("text", { x: (LEFT + right) / 2, y: HEIGHT - 4, "text-anchor": "middle" }, titles[0]),
    svg("text", { transform: `translate(12 ${(TOP + bottom) / 2}) rotate(-90)`,
      "text-anchor": "middle" }, titles[1]),
  ];
  return { marks, x, y, bottom };
}

function path(xs, ys) {
  let pen = "M";
  return xs.map((x, place) => {
    if (ys[place] === null || ys[place] === undefined) return "";
    const step = `${pen}${x.toFixed(1)} ${ys[place].toFixed(1)}`;
    pen = "L";
    return step;
  }).join("");
}

function drawLines(chart, width, caption) {
  const { x: xs, lines, levels } = chart;
  const values = lines.flatMap((line) => [...line.y, ...(line.low || []), ...(line.high || [])]);
  const ends = chart.limits || limits([...values, ...levels]);
  const range = xs.length > 1 ? [xs[0], xs.at(-1)] : [xs[0] - 1, xs[0] + 1];
  const { marks, x, y, bottom } = axes(width, chart.titles, range, ends, true);
  const across = xs.map(x), up = (of) => of.map((v) => (v === null ? null : y(v)));
  const drawn = [...marks];
  for (const level of levels) {
    drawn.push(svg("line", { class: "level", x1: x(range[0]), x2: x(range[1]), y1: y(level),
      y2: y(level) }));
  }
  for (const line of lines) {
    const color = `var(--c${line.color})`;
    if (line.low) {
      const back = path([...across].reverse(), up(line.high).reverse()).replace("M", "L");
      drawn.push(svg("path", { d: path(across, up(line.low)) + back, fill: color,
        "fill-opacity": .2 }));
    }
    if (line.style !== "dots") {
      drawn.push(svg("path", { d: path(across, up(line.y)), fill: "none", stroke: color,
        "stroke-width": 2, "stroke-dasharray": line.style === "dashed" ? "6 4" : undefined }));
    }
    if (line.style === "dots" || line.y.filter((value) => value !== null).length < 3) {
      line.y.forEach((value, place) => value === null
        || drawn.push(svg("circle", { cx: across[place], cy: y(value), r: 3, fill: color })));
    }
  }
  const cursor = svg("line", { class: "cursor", y1: TOP, y2: bottom });
  const dots = lines.map((line) => svg("circle", { r: 4, fill: `var(--c${line.color})` }));
  const texts = lines.map((line) => html("b"));
  const where = html("span");
  caption.replaceChildren(where, ...lines.map((line, place) => html("span", {},
    html("i", { class: line.style, style: `color: var(--c${line.color})` }), line.name, " ",
    texts[place])));
  const tell = (place) => {
    where.textContent = `${chart.x_unit} ${show(xs[place])}`;
    cursor.setAttribute("x1", across[place]);
    cursor.setAttribute("x2", across[place]);
    lines.forEach((line, number) => {
      const value = line.y[place], band = line.low
        ? ` (${show(line.low[place])} to ${show(line.high[place])})` : "";
      texts[number].textContent = show(value) + (value === null ? "" : band);
      dots[number].toggleAttribute("hidden", value === null);
      if (value !== null) {
        dots[number].setAttribute("cx", across[place]);
        dots[number].setAttribute("cy", y(value));
      }
    });
  };
  const nearest = (left) => across.reduce((best, one, place) =>
    Math.abs(one - left) < Math.abs(across[best] - left) ? place : best, 0);
  return { drawn: [...drawn, cursor, ...dots], count: xs.length, tell, nearest };
}

function drawCells(chart, width, caption) {
  const { rows: names, columns, counts } = chart;
  const most = Math.max(1, ...counts.flat());
  const wide = (width - LEFT - RIGHT) / columns.length;
  const high = Math.max(3, Math.min(24, (HEIGHT - TOP - BELOW) / names.length));
  const bottom = TOP + high * names.length;
  const drawn = counts.flatMap((row, r) => row.map((count, c) => svg("rect", {
    x: LEFT + c * wide, y: TOP + r * high, width: wide - .5, height: high - .5,
    fill: "var(--c0)", "fill-opacity": count / most,
  })));
  const every = (list, room) => Math.max(1, Math.ceil(list.length / room));
  const cut = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);
  const acrossEach = every(columns, width / 40), downEach = every(names, (bottom - TOP) / 14);
  columns.forEach((name, c) => c % acrossEach || drawn.push(svg("text", {
    x: LEFT + (c + .5) * wide, y: bottom + 14, "text-anchor": "middle",
  }, cut(name, Math.max(3, wide * acrossEach / 7)))));
  names.forEach((name, r) => r % downEach || drawn.push(svg("text", {
    x: LEFT - 4, y: TOP + (r + .5) * high + 4, "text-anchor": "end",
  }, cut(name.replace(/^client-/, ""), 7))));
  drawn.push(svg("text", { x: LEFT + (width - LEFT) / 2, y: bottom + 30,
    "text-anchor": "middle" }, chart.titles[0]));
  drawn.push(svg("text", { transform: `translate(12 ${(TOP + bottom) / 2}) rotate(-90)`,
    "text-anchor": "middle" }, chart.titles[1]));
  const frame = svg("rect", { fill: "none", class: "cursor", width: wide, height: high });
  const told = html("span");
  caption.replaceChildren(told);
  const tell = (place) => {
    const r = Math.floor(place / columns.length), c = place % columns.length;
    told.textContent =
      `${names[r]}, ${chart.titles[0]} ${columns[c]}, ${chart.unit}: ${counts[r][c]}`;
    frame.setAttribute("x", LEFT + c * wide);
    frame.setAttribute("y", TOP + r * high);
  };
  const within = (value, count) => Math.min(count - 1, Math.max(0, Math.floor(value)));
  const nearest = (left, top) => within((top - TOP) / high, names.length) * columns.length
    + within((left - LEFT) / wide, columns.length);
  return { drawn: [...drawn, frame], count: names.length * columns.length, tell, nearest,
    height: bottom + BELOW };
}

function drawPoints(chart, width, caption) {
  const { marks, x, y } = axes(width, chart.titles, ...chart.limits, false);
  const groups = Object.entries(chart.groups);
  const looks = groups.map((_, place) =>
    ({ color: `var(--c${place % 6})`, shape: Math.floor(place / 6) % 3 }));
  const points = groups.flatMap(([, of], place) => of.map(([left, up, id]) =>
    ({ id, left, up, cx: x(left), cy: y(up), ...looks[place] })));
  points.sort((one, two) => one.left - two.left);
  const drawn = points.map((p) => svg("rect", { x: p.cx - 4, y: p.cy - 4, width: 8, height: 8,
    rx: p.shape ? 0 : 4, transform: p.shape === 2 ? `rotate(45 ${p.cx} ${p.cy})` : undefined,
    fill: p.color, "fill-opacity": .8 }));
  const ring = svg("circle", { r: 7, fill: "none", class: "cursor" }), told = html("b");
  caption.replaceChildren(...groups.map(([name], place) => html("span", {},
    html("i", { class: `shape${looks[place].shape}`, style: `color: ${looks[place].color}` }),
    name)), html("br"), told);
  const tell = (place) => {
    const p = points[place];
    told.textContent = `${p.id}: ${chart.titles[1]} ${p.up} at ${p.left}`;
    ring.setAttribute("cx", p.cx);
    ring.setAttribute("cy", p.cy);
  };
  const nearest = (left, top) => points.reduce((best, p, place) =>
    Math.hypot(p.cx - left, p.cy - top)
      < Math.hypot(points[best].cx - left, points[best].cy - top) ? place : best, 0);
  return { drawn: [...marks, ...drawn, ring], count: points.length, tell, nearest,
    choose: (place) => { location.hash = data.fragments[points[place].id]; } };
}

const DRAW = { lines: drawLines, cells: drawCells, points: drawPoints };

function figure(chart) {
  if (chart.kind === "image") {
    return html("figure", {}, html("img", { src: chart.source, alt: chart.alt }));
  }
  const caption = html("figcaption", { "aria-live": "polite" });
  const picture = svg("svg", { role: "img", "aria-label": chart.alt, tabindex: 0 });
  const whole = html("figure", {}, caption, picture);
  let shown, place, drawnFor = 0;
  const tell = (next) => {
    place = Math.max(0, Math.min(shown.count - 1, next));
    shown.tell(place);
  };
  const draw = () => {
    const width = Math.round(whole.clientWidth);
    if (!width || width === drawnFor) return;
    drawnFor = width;
    shown = DRAW[chart.kind](chart, width, caption);
    picture.setAttribute("viewBox", `0 0 ${width} ${shown.height || HEIGHT}`);
    picture.replaceChildren(svg("title", {}, chart.alt), ...shown.drawn);
    tell(place ?? (chart.kind === "lines" ? shown.count - 1 : 0));
  };
  const point = (event) => {
    const box = picture.getBoundingClientRect();
    tell(shown.nearest(event.clientX - box.left, event.clientY - box.top));
  };
  picture.addEventListener("pointermove", point);
  picture.addEventListener("pointerdown", point);
  picture.addEventListener("click", () => shown.choose?.(place));
  picture.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step) {
      event.preventDefault();
      tell(place + step);
    } else if (event.key === "Enter") shown.choose?.(place);
  });
  new ResizeObserver(draw).observe(whole);
  return whole;
}

// Details of a scenario, made when its row is opened.

function details(id) {
  const one = data.scenarios[id], parts = [];
  if (one.description) parts.push(html("p", {}, one.description));
  if (one.reason) parts.push(html("p", {}, html("strong", {}, one.reason)));
  if (one.tuning) parts.push(html("p", {}, one.tuning));
  const [first, ...others] = one.tables || [];
  if (first) parts.push(table(first));
  if (one.charts) parts.push(html("div", { class: "charts" }, ...one.charts.map(figure)));
  parts.push(...others.map(table));
  if (one.settings) {
    const settings = one.settings.map((place) => data.settings[place]);
    parts.push(folded("Settings", table({ columns: ["setting", "value"], rows: settings })));
  }
  if (one.rounds?.rows.length) {
    const title = one.rounds.step > 1 ? `Every ${one.rounds.step}th round` : "All rounds";
    parts.push(folded(title, table(one.rounds)));
  }
  parts.push(html("p", {}, html("a", { href: `#${id}` }, "Link to this scenario")));
  const columns = document.querySelectorAll("#scenarios > thead th").length;
  return html("tr", { class: "details" }, html("td", { colspan: columns }, ...parts));
}

function open(row, isOpen) {
  row.querySelector(".name button").setAttribute("aria-expanded", isOpen);
  const shown = row.querySelector(".details");
  if (isOpen && !shown) row.append(details(row.id));
  else if (shown) shown.hidden = !isOpen;
}

for (const row of rows) {
  row.querySelector(".name button").addEventListener("click", (event) =>
    open(row, event.currentTarget.getAttribute("aria-expanded") === "false"));
}

function openLinked() {
  const row = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!rows.includes(row)) return;
  row.hidden = false;
  open(row, true);
  row.scrollIntoView();
}
addEventListener("hashchange", openLinked);

// Sorting: a column of figures by them, any other as text; what has no figure comes last.

function value(row, column) {
  const cell = row.rows[0].cells[column];
  if (cell.dataset.rank) return Number(cell.dataset.rank);
  if (!cell.classList.contains("number")) return cell.textContent;
  const number = /[-+]?\d[\d,]*(\.\d+)?(e[-+]?\d+)?/.exec(cell.textContent);
  return number ? parseFloat(number[0].replaceAll(",", "")) : NaN;
}

document.querySelectorAll("#scenarios th button").forEach((button) =>
  button.addEventListener("click", () => {
    const head = button.parentElement, down = head.getAttribute("aria-sort") === "ascending";
    head.parentElement.querySelectorAll("th").forEach((th) => th.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const sign = down ? -1 : 1;
    const sorted = rows.map((row) => [value(row, head.cellIndex), row]);
    sorted.sort(([a], [b]) => {
      if (typeof a === "string") return sign * a.localeCompare(b, "en", { numeric: true });
      const missing = Number.isNaN(a) - Number.isNaN(b);
      return missing || (Number.isNaN(a) ? 0 : sign * (a - b));
    });
    document.getElementById("scenarios").append(...sorted.map(([, row]) => row));
  }));

// Filtering: every word has to be somewhere in the row, and the outcome among those pressed.

const filter = document.getElementById("filter");
if (filter) {
  const [word, said] = [filter.querySelector("input"), filter.querySelector("output")];
  const texts = new Map(rows.map((row) => [row, row.textContent.toLowerCase()]));
  const apply = () => {
    const words = word.value.toLowerCase().split(/\s+/);
    const pressed = [...filter.querySelectorAll("[aria-pressed=true]")].map((b) => b.value);
    let count = 0;
    for (const row of rows) {
      const isShown = words.every((one) => texts.get(row).includes(one))
        && (!pressed.length || pressed.includes(row.dataset.group));
      row.hidden = !isShown;
      count += isShown;
    }
    said.textContent = count < rows.length ? `${count} of ${rows.length} shown` : "";
  };
  word.addEventListener("input", apply);
  filter.addEventListener("submit", (event) => event.preventDefault());
  filter.querySelectorAll("button").forEach((button) => button.addEventListener("click", () => {
    button.setAttribute("aria-pressed", button.getAttribute("aria-pressed") === "false");
    apply();
  }));
  document.getElementById("overviews").append(...data.overviews.map(figure));
  openLinked();
}
