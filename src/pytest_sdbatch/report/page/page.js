// Puts figures and tables into the sections of the page, for the view that is selected, and on demand.
let data = null;
const PANELS_AT_FIRST = 12, ROWS = 50;

function table(heads, lines, caption) {
  const head = make("tr", {}, ...heads.map((text) => make("th", { scope: "col" }, text)));
  const body = lines.map((line) => make("tr", {}, ...line.map((text, at) => make(at ? "td" : "th", { ...(at ? {} : { scope: "row" }), ...(String(text).length > 40 ? { class: "long" } : {}) }, String(text)))));
  const whole = make("table", {}, make("caption", {}, caption), make("thead", {}, head), make("tbody", {}, ...body));
  return make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": caption }, whole);
}

// A table that goes on to the right fades there.
function fade() {
  for (const element of document.querySelectorAll(".scroll")) {
    const update = () => element.classList.toggle("more", element.scrollLeft + element.clientWidth < element.scrollWidth - 1);
    if (!element.dataset.fades) element.addEventListener("scroll", update);
    element.dataset.fades = "yes";
    update();
  }
}

function numbers(title, heads, lines) {
  const details = make("details", {}, make("summary", {}, "Numbers"));
  details.addEventListener("toggle", () => {
    if (details.open && details.children.length === 1) details.append(table(heads, lines(), title));
    fade();
  });
  return details;
}

function linesOf(figure) {
  return figure.series
    .filter((series) => series.n && series.k !== "faint" && series.k !== "band")
    .flatMap((series) => series.y.map((y, at) => {
      const limits = series.l ? [short(series.l[at]), short(series.h[at])] : ["", ""];
      return [series.n, series.t ? series.t[at] : "", short(xOf(series, at)), short(y), ...limits];
    }));
}

function namesOf(figure) {
  const seen = new Set();
  return figure.series
    .map((series) => [series.n, series.c, series.k])
    .filter(([name, , look]) => name && !seen.has(name + look) && seen.add(name + look));
}

const widthOf = (element) => Math.max(280, Math.floor(element.getBoundingClientRect().width));

const draws = {
  figure(figure, width) {
    const [svg, scales] = drawFigure(figure, width, false);
    const readout = make("p", { class: "readout", role: "status" });
    svg.setAttribute("tabindex", 0);
    readable(svg, figure, scales, readout);
    const heads = ["", figure.of || "case", figure.x, figure.y, "low", "high"];
    return [svg, readout, legend(namesOf(figure)), numbers(figure.title, heads, () => linesOf(figure))];
  },
  bars(bars, width) {
    const svg = drawBars(bars, width);
    svg.setAttribute("tabindex", 0);
    const names = bars.parts.map((part) => [part.n, part.c, "bar"]);
    const lines = () => bars.names.map((name, at) => [name, ...bars.parts.map((part) => short(part.v[at]))]);
    return [svg, legend(names), numbers(`${bars.title}, ${bars.x}`, ["", ...bars.parts.map((part) => part.n)], lines)];
  },
  panels(panels, width) {
    const grid = make("div", { class: "small" });
    const columns = Math.max(1, Math.floor(width / 290)), each = Math.floor(width / columns) - 16;
    const add = (from, to) => panels.panels.slice(from, to).forEach((panel) => grid.append(drawPanel(panels, panel, each)));
    add(0, PANELS_AT_FIRST);
    const rest = panels.panels.length - PANELS_AT_FIRST;
    const more = rest > 0 ? make("button", { type: "button" }, `Show ${rest} more`) : null;
    if (more) more.addEventListener("click", () => { add(PANELS_AT_FIRST); more.remove(); });
    const lines = () => panels.panels.flatMap((panel) => linesOf({ series: seriesOf(panels, panel) }).map((line) => [panel.t, line[0], line[2], line[3]]));
    const about = make("p", { class: "dim" }, `${panels.y} against ${panels.x}, each with a scale of its own`);
    const kinds = new Map();  // by name; grey where several colours share one
    for (const kind of panels.kinds) {
      const name = kind.n.replace(/, run \d+$/, ""), known = kinds.get(name);
      kinds.set(name, { ...kind, c: known && known.c !== kind.c ? 7 : kind.c });
    }
    const names = [...kinds.entries()].map(([name, kind]) => [name, kind.c, kind.k]);
    return [about, legend(names), grid, more, numbers(panels.title, ["case", "", panels.x, panels.y], lines)];
  },
  grid(grid) {
    return [table(grid.heads, grid.lines, grid.title)];
  },
};

function seriesOf(panels, panel) {
  return panel.s.map((series) => ({ ...panels.kinds[series.i], ...series }));
}

function drawPanel(panels, panel, width) {
  const whole = panels.x !== "seconds";
  const figure = { title: panel.t, x: panels.x, y: panels.y, series: seriesOf(panels, panel), marks: panel.m || [], whole };
  const [svg] = drawFigure(figure, width, true);
  const note = panel.o ? make("p", { class: "dim" }, panel.o) : null;
  const holder = make("div", { class: "panel" }, make("h4", {}, panel.t), svg, ...(note ? [note] : []));
  holder.style.width = `${width}px`;
  return holder;
}

function drawView(at) {
  for (const [id, views] of Object.entries(data.sections)) {
    const room = document.querySelector(`#${CSS.escape(id)} .blocks`);
    room.replaceChildren();
    const blocks = views[at] || [];
    if (!blocks.length) room.append(make("p", { class: "dim" }, data.none[id]));
    for (const block of blocks) {
      const holder = make("figure", { class: block.kind });
      room.append(holder);
      if (block.x === "batch size" || block.kind === "panels") block.whole = true;
      const several = blocks.filter((other) => other.kind === block.kind).length > 1 && block.kind === "figure";
      if (several || (blocks.length > 1 && block.title !== document.getElementById(`${id}-title`).textContent)) holder.append(make("h3", {}, block.title));
      holder.append(...draws[block.kind](block, widthOf(holder)).filter(Boolean));
      if (block.note) holder.append(make("p", { class: "dim" }, block.note));
    }
  }
  fade();
}

function caseTable() {
  const cases = data.cases, room = document.getElementById("case-table");
  if (!room) return;
  const heads = [];
  const names = (at) => [
    ...(cases.sources.length > 1 ? [cases.sources[cases.source[at]]] : []),
    ...(cases.tests.length > 1 ? [cases.tests[cases.test[at]]] : []),
    ...(cases.groups.length > 1 ? [cases.groups[cases.group[at]]] : []),
  ];
  if (cases.sources.length > 1) heads.push({ title: "source", left: true, by: cases.source });
  if (cases.tests.length > 1) heads.push({ title: "test", left: true, by: cases.test });
  if (cases.groups.length > 1) heads.push({ title: "what", left: true, by: cases.group });
  const all = [...heads, ...cases.columns], count = cases.source.length;
  let shown = [...Array(count).keys()], page = 0, sorted = { column: null, down: false };
  const find = make("input", { type: "search", id: "find", size: 24 });
  const status = make("p", { class: "dim", role: "status" });
  const body = make("tbody"), head = make("tr");
  const buttons = ["Previous", "Next"].map((text) => make("button", { type: "button" }, text));
  const draw = () => {
    const from = page * ROWS, part = shown.slice(from, from + ROWS);
    body.replaceChildren(...part.map((at) => make("tr", {}, ...[...names(at), ...cases.columns.map((column) => column.texts[at])].map((text, k) => make("td", text.length > 40 ? { class: "long" } : all[k].left ? {} : { class: "n" }, text)))));
    status.textContent = shown.length ? `${from + 1} to ${from + part.length} of ${shown.length} cases` : "No case has this text";
    buttons[0].disabled = page === 0;
    buttons[1].disabled = from + ROWS >= shown.length;
    fade();
  };
  const order = (column) => {
    sorted = { column, down: sorted.column === column && !sorted.down };
    const key = column.by || column.texts, sign = sorted.down ? -1 : 1;
    const known = (at) => key[at] !== null && key[at] !== undefined;
    shown.sort((a, b) => known(b) - known(a) || (known(a) && key[a] !== key[b] ? sign * (key[a] < key[b] ? -1 : 1) : a - b));
    [...head.children].forEach((cell, at) => cell.setAttribute("aria-sort", all[at] !== column ? "none" : sorted.down ? "descending" : "ascending"));
    page = 0;
    draw();
  };
  all.forEach((column) => {
    const button = make("button", { type: "button" }, column.title || "case");
    button.addEventListener("click", () => order(column));
    head.append(make("th", { scope: "col", ...(column.left ? {} : { class: "n" }) }, button));
  });
  find.addEventListener("input", () => {
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    const texts = (at) => [...names(at), ...cases.columns.map((column) => column.texts[at])].join(" ").toLowerCase();
    shown = [...Array(count).keys()].filter((at) => { const text = texts(at); return words.every((word) => text.includes(word)); });
    page = 0;
    draw();
  });
  buttons.forEach((button, at) => button.addEventListener("click", () => { page += at ? 1 : -1; draw(); }));
  const whole = make("table", {}, make("caption", {}, "All cases"), make("thead", {}, head), body);
  const scroll = make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "All cases" }, whole);
  const bar = make("div", { class: "choose" }, make("label", { for: "find" }, "Find"), " ", find, " ", ...(count > ROWS ? buttons : []));
  room.append(bar, status, scroll);
  draw();
}

// Much data is compressed, so that the file stays small.
async function read(element) {
  const text = element.textContent;
  if (element.type === "application/json") return JSON.parse(text);
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).json();
}

async function start() {
  data = await read(document.getElementById("data"));
  const select = document.getElementById("view");
  select.append(...data.views.map((name, at) => make("option", { value: at }, name)));
  select.parentElement.hidden = data.views.length < 2;
  select.addEventListener("change", () => drawView(Number(select.value)));
  drawView(0);
  caseTable();
  let drawnFor = document.documentElement.clientWidth;
  addEventListener("resize", () => {
    if (document.documentElement.clientWidth === drawnFor) return;
    drawnFor = document.documentElement.clientWidth;
    drawView(Number(select.value || 0));
  });
  document.documentElement.dataset.drawn = "yes";
}

start();
