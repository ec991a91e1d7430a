"use strict";
// Draws figures that are plain data: see figures.py. All text goes in as text, never as markup.
const SVG = "http://www.w3.org/2000/svg";

const LETTER = 6.6;  // pixels of one, about
const MANY_MARKS = 12;  // whose labels are not laid out one by one

function make(name, attributes, ...children) {
  const drawn = ["svg", "g", "path", "line", "circle", "rect", "text", "polyline", "title"].includes(name);
  const element = drawn ? document.createElementNS(SVG, name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) element.setAttribute(key, value);
  element.append(...children.filter((child) => child !== null && child !== ""));
  return element;
}

function short(value) {
  if (value === null || value === undefined) return "-";
  if (value === 0) return "0";
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
  return value.toLocaleString("en", { maximumFractionDigits: Math.min(digits, 12) });
}

function steps(low, high, most) {
  const rough = (high - low) / Math.max(most, 1) || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough * 0.999);
  const found = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9; k += 1) found.push(k * step);
  return found;
}

function xOf(series, at) {
  return series.x ? series.x[at] : series.f + at;
}

function countOf(series) {
  return (series.y || series.l || []).length;
}

function rangeOf(figure) {
  const xs = [], ys = [];
  const traced = figure.series.some((series) => series.k === "trace");
  for (const series of figure.series) {
    for (let at = 0; at < countOf(series); at += 1) xs.push(xOf(series, at));
    if (traced && series.k === "faint") continue;  // a first call that takes ten times as long hides all others
    for (const values of [series.y, series.l, series.h]) if (values) for (const y of values) ys.push(y);
  }
  for (const mark of figure.marks) {
    if (mark.x !== undefined) xs.push(mark.x);
    if (mark.y !== undefined) ys.push(mark.y);
  }
  const extent = (values) => values.reduce(([low, high], v) => [Math.min(low, v), Math.max(high, v)], [Infinity, -Infinity]);
  return [extent(xs), extent(ys)];
}

function scalesOf(figure, box, tight) {
  let [[left, right], [low, high]] = rangeOf(figure);
  if (!Number.isFinite(left)) [left, right, low, high] = [0, 1, 0, 1];
  if (figure.byFactors) {
    [low, high] = [low / 1.08, high * 1.08];  // of a loss equal steps up are equal factors
    return { ...acrossOf(figure, box, left, right), ...upOf(Math.log, low, high, box), ys: figure.y.endsWith("batch size") ? doublings(low, high, 9) : factors(low, high) };
  }
  if (figure.aroundZero) {
    const most = Math.max(Math.abs(low), Math.abs(high), 1) * 1.25;
    [low, high] = [-most, most];
  } else if (tight && low > 0.5 * high) {
    const room = Math.max((high - low) * 0.15, (0.06 * high - (high - low)) / 2);
    [low, high] = [low - room, high + room];
  } else {
    [low, high] = [Math.min(low, 0), high + (high - Math.min(low, 0)) * 0.08 || 1];
  }
  return { ...acrossOf(figure, box, left, right), ...upOf((value) => value, low, high, box),
    ys: steps(low, high, (box.bottom - box.top) / (figure.low ? 16 : 38)) };
}

function factors(low, high) {
  const found = [];
  const parts = high / low > 30 ? [1, 2, 5] : [1, 1.5, 2, 3, 5, 7];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power += 1) {
    found.push(...parts.map((part) => part * 10 ** power).filter((value) => value >= low && value <= high));
  }
  return found;
}

function upOf(level, low, high, box) {
  return { y: (value) => box.bottom - ((level(value) - level(low)) / (level(high) - level(low))) * (box.bottom - box.top), top: box.top };
}

function acrossOf(figure, box, left, right) {
  const place = figure.doubling ? Math.log2 : (value) => value;
  const span = place(right) - place(left);
  const room = span ? span * 0.04 : 0.5;
  const [from, to] = [place(left) - room, place(right) + room];
  return {
    x: (value) => box.left + ((place(value) - from) / (to - from)) * (box.right - box.left),
    xs: figure.doubling ? doublings(left, right, (box.right - box.left) / 48) : wholes(left, right, span, (box.right - box.left) / 60, figure),
    bottom: box.bottom,
    right: box.right,
  };
}

function doublings(left, right, most) {
  let found = [];
  for (let size = 2 ** Math.ceil(Math.log2(left) - 1e-9); size <= right * 1.0001; size *= 2) found.push(size);
  while (found.length > most) found = found.filter((_, at) => at % 2 === 0);
  return found;
}

function wholes(left, right, span, most, figure) {
  if (span === 0) return [left];
  const found = steps(left, right, most);
  // Batch sizes and rounds are whole: no tick at 1.5.
  return figure.whole ? found.filter(Number.isInteger) : found;
}

// The symbol of a point goes with its colour, for those who do not see that.
function symbol(color, x, y, size, kind) {
  const s = size;
  const shapes = [
    `M${x - s},${y}a${s},${s} 0 1 0 ${2 * s},0a${s},${s} 0 1 0 ${-2 * s},0z`,
    `M${x - s},${y - s}h${2 * s}v${2 * s}h${-2 * s}z`,
    `M${x},${y - 1.3 * s}l${1.25 * s},${2.2 * s}h${-2.5 * s}z`,
    `M${x},${y - 1.4 * s}l${1.4 * s},${1.4 * s}l${-1.4 * s},${1.4 * s}l${-1.4 * s},${-1.4 * s}z`,
  ];
  return make("path", { d: shapes[color % shapes.length], class: `${kind} c${color % 8}` });
}

function axes(svg, figure, box, scales, small) {
  const grid = make("g", { class: "grid" }), labels = make("g", { class: "labels" });
  for (const y of scales.ys) {
    grid.append(make("line", { x1: box.left, x2: box.right, y1: scales.y(y), y2: scales.y(y) }));
    labels.append(make("text", { x: box.left - 6, y: scales.y(y) + 4, "text-anchor": "end" }, short(y)));
  }
  for (const x of scales.xs) {
    grid.append(make("line", { x1: scales.x(x), x2: scales.x(x), y1: box.bottom, y2: box.bottom + 4 }));
    labels.append(make("text", { x: scales.x(x), y: box.bottom + 17, "text-anchor": "middle" }, short(x)));
  }
  if (!small) {
    labels.append(make("text", { x: (box.left + box.right) / 2, y: box.bottom + 34, "text-anchor": "middle" }, figure.x));
    labels.append(make("text", { x: box.left - 46, y: box.top - 12, "text-anchor": "start" }, figure.y));
  }
  grid.append(make("line", { class: "axis", x1: box.left, x2: box.right, y1: box.bottom, y2: box.bottom }));
  svg.append(grid, labels);
}

function path(points) {
  return points.map(([x, y], at) => `${at ? "L" : "M"}${x.toFixed(1)},${y.toFixed(1)}`).join("");
}

function drawSeries(svg, series, scales, small) {
  const color = `c${series.c % 8}`, look = series.k, count = countOf(series);
  const spots = (values) => values.map((y, at) => [scales.x(xOf(series, at)), scales.y(y)]);
  if (look === "band") {
    const d = `${path(spots(series.h))}L${path(spots(series.l).reverse()).slice(1)}z`;
    svg.append(make("path", { d, class: `band ${color}` }));
    return;
  }
  const points = spots(series.y), beyond = { "\u2191": [], "\u2193": [] };
  if (["line", "dashed", "trace"].includes(look)) svg.append(make("path", { d: path(points), class: `${look} ${color}` }));
  if (look === "line" || look === "dashed") return;
  for (let at = 0; at < count; at += 1) {
    const [x, own] = points[at], y = own > scales.bottom + 0.5 ? scales.bottom - 5 : Math.max(own, scales.top);
    if (y !== own) beyond[y < own ? "\u2193" : "\u2191"].push([x, y, short(series.y[at])]);
    if (series.l && series.h && series.h[at] > series.l[at]) {
      svg.append(make("line", { x1: x, x2: x, y1: scales.y(series.l[at]), y2: scales.y(series.h[at]), class: `whisker ${color}` }));
    }
    if (scales.labelled && series.t) {
      const end = x + 8 + LETTER * series.t[at].length > scales.right;
      svg.append(make("text", { x: x + (end ? -8 : 8), y: y + 4, class: "aside", "text-anchor": end ? "end" : "start" }, series.t[at]));
    }
    const size = look === "points" ? 4.5 : look === "trace" ? 2 : 2.5;
    svg.append(symbol(series.c, x, y, small && look === "points" ? 3 : size, look === "trace" ? "points" : look));
  }
  // What lies above or below the figure: their values once, behind the last of them.
  for (const [arrow, found] of Object.entries(beyond)) {
    const last = found.at(-1);
    if (last) svg.append(make("text", { x: last[0] + 6, y: last[1] + 4, class: "aside" }, `${found.map((one) => one[2]).join(", ")} ${arrow}`));
  }
}

function drawMarks(svg, figure, box, scales, small) {
  const room = roomOf(figure, box, scales);
  let line = 0;
  for (const mark of figure.marks.filter((one) => one.y !== undefined)) {
    const color = mark.c === undefined ? "" : ` c${mark.c % 8}`, y = scales.y(mark.y);
    svg.append(make("line", { x1: box.left, x2: box.right, y1: y, y2: y, class: `mark${color}` }));
    if (!mark.n) continue;
    room.take(box.left + 4, y - 4, mark.n);
    svg.append(make("text", { x: box.left + 4, y: y - 4, class: `marked${color}` }, mark.n));
  }
  for (const mark of figure.marks.filter((one) => one.y === undefined)) {
    const color = mark.c === undefined ? "" : ` c${mark.c % 8}`, x = scales.x(mark.x);
    svg.append(make("line", { x1: x, x2: x, y1: box.top, y2: box.bottom, class: `mark${color}` }));
    if (!mark.n || small) continue;
    const sides = x > (box.left + box.right) / 2 ? [-1, 1] : [1, -1];
    const [side, y] = room.find(x, sides, mark.n) || [sides[0], box.top + 10 + 15 * line];
    line += 1;
    room.take(side > 0 ? x + 5 : x - 5 - LETTER * mark.n.length, y, mark.n);
    svg.append(make("text", { x: x + 5 * side, y, class: `marked${color}`, "text-anchor": side > 0 ? "start" : "end" }, mark.n));
  }
}

// Finds a place for the label of a vertical mark where it hides nothing and nothing crosses it: from the top, else from
// the bottom, on either side.
function roomOf(figure, box, scales) {
  const taken = [], rows = [...Array(7).keys()];
  const heights = [...rows.map((row) => box.top + 10 + 15 * row), ...rows.map((row) => box.bottom - 7 - 15 * row)];
  const levels = figure.marks.filter((mark) => mark.y !== undefined).map((mark) => scales.y(mark.y));
  const walls = figure.marks.filter((mark) => mark.y === undefined).map((mark) => scales.x(mark.x));
  const paths = figure.series.flatMap((series) => [series.y, series.h, series.l].filter(Boolean).map((values) => [series.k, values.map((y, at) => [scales.x(xOf(series, at)), scales.y(y)])]));
  const around = (x, y, text) => ({ left: x - 2, right: x + LETTER * text.length, top: y - 11, bottom: y + 4 });
  const within = (where, x, y, gap) => x > where.left - gap && x < where.right + gap && y > where.top - gap && y < where.bottom + gap;
  const crosses = (where, points) => [0, 0.25, 0.5, 0.75, 1].some((part) => {
    const x = where.left + part * (where.right - where.left);
    const at = points.findIndex((point, k) => k > 0 && points[k - 1][0] <= x && x <= point[0]);
    if (at < 1) return false;
    const [[x0, y0], [x1, y1]] = [points[at - 1], points[at]];
    return within(where, x, x1 > x0 ? y0 + ((y1 - y0) * (x - x0)) / (x1 - x0) : y1, 2);
  });
  const apart = (where) => where.left >= box.left && where.right <= box.right + 8
    && !taken.some((other) => where.left < other.right && other.left < where.right && where.top < other.bottom && other.top < where.bottom);
  const clear = (where) => apart(where) && !levels.some((y) => y > where.top && y < where.bottom) && !walls.some((x) => x > where.left && x < where.right)
    && !paths.some(([look, points]) => ["points", "faint", "trace"].includes(look) ? points.some(([x, y]) => within(where, x, y, 5)) : crosses(where, points));
  return {
    take: (x, y, text) => taken.push(around(x, y, text)),
    find: (x, sides, text) => {
      if (figure.marks.length > MANY_MARKS) return null;
      for (const good of [clear, apart]) for (const y of heights) for (const side of sides) {
        if (good(around(side > 0 ? x + 5 : x - 5 - LETTER * text.length, y, text))) return [side, y];
      }
      return null;
    },
  };
}

function legend(names) {
  const items = names.map(([name, color, look]) => {
    const swatch = make("svg", { class: "swatch", width: 22, height: 12, "aria-hidden": "true" });
    if (["line", "dashed", "trace"].includes(look)) swatch.append(make("path", { d: "M1,6H21", class: `${look} c${color % 8}` }));
    else if (look === "band" || look === "bar") swatch.append(make("rect", { x: 2, y: 1, width: 18, height: 10, class: `${look} c${color % 8}` }));
    else swatch.append(symbol(color, 11, 6, look === "points" ? 4.5 : 3, look));
    return make("li", {}, swatch, name);
  });
  return make("ul", { class: "legend" }, ...items);
}

function told(figure, series, at) {
  const y = series.y[at];
  const limits = series.l && series.h[at] > series.l[at] ? ` (${short(series.l[at])} to ${short(series.h[at])})` : "";
  const more = series.t ? `${series.t[at]}, ` : "";
  return `${series.n}: ${more}${figure.x} ${short(xOf(series, at))}, ${figure.y} ${short(y)}${limits}`;
}

// The arrow keys go from point to point, the pointer finds the nearest one; what it is stands below the figure.
function readable(svg, figure, scales, readout) {
  const spots = figure.series
    .filter((series) => ["points", "trace"].includes(series.k))
    .flatMap((series) => series.y.map((y, at) => ({ series, at, x: scales.x(xOf(series, at)), y: scales.y(y) })))
    .sort((one, other) => one.x - other.x);
  if (!spots.length) return;
  const ring = make("circle", { r: 8, class: "ring", visibility: "hidden" });
  svg.append(ring);
  let at = -1;
  const show = (next) => {
    at = Math.max(0, Math.min(spots.length - 1, next));
    const spot = spots[at];
    ring.setAttribute("cx", spot.x);
    ring.setAttribute("cy", spot.y);
    ring.setAttribute("visibility", "visible");
    readout.textContent = told(figure, spot.series, spot.at);
  };
  svg.addEventListener("keydown", (event) => {
    const moves = { ArrowRight: at + 1, ArrowUp: at + 1, ArrowLeft: at - 1, ArrowDown: at - 1, Home: 0, End: spots.length - 1 };
    if (!(event.key in moves)) return;
    event.preventDefault();
    show(moves[event.key]);
  });
  svg.addEventListener("pointermove", (event) => {
    const frame = svg.getBoundingClientRect();
    const [x, y] = [event.clientX - frame.left, event.clientY - frame.top];
    const far = spots.map((spot) => Math.hypot(spot.x - x, spot.y - y));
    show(far.indexOf(Math.min(...far)));
  });
}

function drawFigure(figure, width, small) {
  const height = small ? 130 : figure.low ? 150 : 330;
  const box = { left: small ? 44 : 56, right: width - 12, top: small ? 10 : 28, bottom: height - (small ? 22 : 42) };
  const scales = { ...scalesOf(figure, box, small), labelled: figure.labelled };
  const svg = make("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": summary(figure) });
  axes(svg, figure, box, scales, small);
  const order = ["band", "faint", "line", "dashed", "trace", "points"];
  for (const look of order) for (const series of figure.series) if (series.k === look) drawSeries(svg, series, scales, small);
  drawMarks(svg, figure, box, scales, small);
  return [svg, scales];
}

function summary(figure) {
  const names = figure.series.filter((series) => series.k === "points" || series.k === "trace").map((series) => series.n);
  const marks = figure.marks.map((mark) => mark.n).filter(Boolean);
  return `${figure.title}: ${figure.y} against ${figure.x}; ${[...new Set([...names, ...marks])].join("; ")}`;
}

function drawBars(bars, width) {
  const longest = 10 + 7.6 * Math.max(...bars.names.map((name) => Math.min(name.length, 40)));
  const above = longest > width * 0.4, each = above ? 46 : 30;  // names stand above their bars where there is no room
  const box = { left: above ? 8 : longest, right: width - 12, top: 8, bottom: 8 + each * bars.names.length };
  const sums = bars.names.map((_, at) => bars.parts.reduce((sum, part) => sum + Math.max(part.v[at] || 0, 0), 0));
  const most = Math.max(...sums) || 1, x = (value) => box.left + (value / most) * (box.right - box.left) * 0.98;
  const label = `${bars.title}: ${bars.x}; ${bars.names.join(", ")}`;
  const svg = make("svg", { width, height: box.bottom + 40, viewBox: `0 0 ${width} ${box.bottom + 40}`, role: "img", "aria-label": label });
  const labels = make("g", { class: "labels" }), grid = make("g", { class: "grid" });
  for (const tick of steps(0, most, (box.right - box.left) / 70)) {
    grid.append(make("line", { x1: x(tick), x2: x(tick), y1: box.top, y2: box.bottom }));
    labels.append(make("text", { x: x(tick), y: box.bottom + 16, "text-anchor": "middle" }, short(tick)));
  }
  labels.append(make("text", { x: (box.left + box.right) / 2, y: box.bottom + 33, "text-anchor": "middle" }, bars.x));
  svg.append(grid);
  bars.names.forEach((name, at) => {
    const y = box.top + each * at + (above ? 16 : 0);
    const place = above ? { x: box.left, y: y - 1 } : { x: box.left - 8, y: y + 19, "text-anchor": "end" };
    labels.append(make("text", place, name.length > 40 ? `${name.slice(0, 38)}...` : name));
    let begun = 0;
    bars.parts.forEach((part) => {
      const value = Math.max(part.v[at] || 0, 0);
      const title = make("title", {}, `${part.n}: ${short(part.v[at])}`);
      svg.append(make("rect", { x: x(begun), y: y + 4, width: Math.max(x(begun + value) - x(begun), 0), height: 22, class: `bar c${part.c % 8}` }, title));
      begun += value;
    });
  });
  svg.append(labels);
  return svg;
}
