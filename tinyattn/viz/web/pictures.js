// Pictures that only show: the accuracy over training, the tree of a beam, the gates of cells, small
// maps. Each function gets what it draws and gives an element.
"use strict";

// Lines at 0, a half and 1, each with its name beside it.
const levels = (left, right, y, name) => [0, 0.5, 1].flatMap((value) => [
  svg("line", { x1: left, x2: right, y1: y(value), y2: y(value) }),
  svg("text", { x: left - 6, y: y(value) + 4, "text-anchor": "end", class: "small" }, name(value))]);

// A line through the values at x(0), x(1), ...; it has a gap where a value is null.
const through = (values, x, y) => values.map((value, i) => (value === null ? ""
  : `${i && values[i - 1] !== null ? "L" : "M"}${x(i)},${y(value)}`)).join("");

// A value at each step of training, on a logarithmic axis; the chosen one has a larger point.
function curve(steps, values, chosen) {
  const [width, height, left, right, top] = [640, 150, 44, 620, 12];
  const [first, last] = [Math.log(steps[0]), Math.log(steps.at(-1))];
  const x = (i) => left + ((right - left) * (Math.log(steps[i]) - first)) / (last - first || 1);
  const y = (value) => top + (height - top - 28) * (1 - value);
  const says = steps.map((step, i) => `step ${step}: ${percent(values[i])}`).join(", ");
  return html("figure", {}, drawing("Alignment accuracy over training", says, width, height,
    ...levels(left, right, y, percent),
    svg("path", { class: "kept", d: through(values, x, y) }),
    ...values.map((value, i) =>
      svg("circle", { cx: x(i), cy: y(value), r: i === chosen ? 6 : 3, fill: "var(--accent)" })),
    ...steps.flatMap((step, i) => (i % 2 === 0 || i === steps.length - 1 ? [svg("text",
      { x: x(i), y: height - 8, "text-anchor": "middle", class: "small" }, String(step))] : []))),
  html("figcaption", {}, "Alignment accuracy over the steps of training (logarithmic)."));
}

function tree({ beam, target }) {
  if (!beam) return null;
  const slots = beam.tokens[0].length;
  const [across, down] = [within(9 * longest(beam.tokens.flat()) + 24, 70, 150), 40];
  const x = (t) => 8 + t * across;
  const y = (k) => 8 + k * down;
  const path = (end) => { // the slots of a hypothesis, from its first token on
    const found = [];
    for (let t = beam.step[end], k = beam.slot[end]; t >= 0; k = beam.parents[t][k], t -= 1) {
      found.unshift(k);
    }
    return found;
  };
  const places = (end) => path(end).map((k, t) => `${t},${k}`);
  const [kept, ended] = [new Set(places(0)), new Set(beam.score.flatMap((_, end) => places(end)))];
  const kind = (t, k) => (kept.has(`${t},${k}`) ? "kept" : ended.has(`${t},${k}`) ? "" : "pruned");
  const [nodes, lines] = [[], []];
  beam.tokens.forEach((row, t) => row.forEach((token, k) => {
    if (token === "") return;
    if (t > 0) {
      const [from, above] = [x(t - 1) + across - 16, y(beam.parents[t][k]) + 13];
      lines.push(svg("path", { class: kind(t, k), d: `M${from},${above} ` +
        `C${from + 8},${above} ${x(t) - 8},${y(k) + 13} ${x(t)},${y(k) + 13}` }));
    }
    nodes.push(
      svg("rect", { class: kind(t, k), x: x(t), y: y(k), width: across - 16, height: 26, rx: 4 }),
      svg("text", { class: kind(t, k), x: x(t) + 6, y: y(k) + 17, lang: language(token, target) },
        cut(token, 14)),
      svg("text", { class: "small", x: x(t) + across - 18, y: y(k) + 36, "text-anchor": "end" },
        minus(beam.sums[t][k].toFixed(2))));
  }));
  const text = (end) => path(end).map((k, t) => shown(beam.tokens[t][k])).join(" ");
  return section("Beam search", "The beam",
    "At each step the most probable beginnings are kept, with the sum of their log-probabilities. " +
    "Dashed ones came to nothing; the thick path has the best score.",
    drawing("Tree of the beam", `Tree of a beam of ${slots} over ${beam.tokens.length} steps`,
      x(beam.tokens.length) + 8, y(slots) + 6, ...lines, ...nodes),
    table(["score", "translation"], beam.score.map((score, end) => html("tr", {},
      html("td", {}, minus(score.toFixed(3))),
      html("td", { style: "white-space: normal", class: end ? null : "chosen" }, text(end))))));
}

function gates(trace) {
  if (!trace.gates || !trace.gates.length) return null;
  return section("Gates", "What the cells do",
    "The mean of each gate over all units, and by how much the state changes (the mean of " +
    "|h − h before|). An update gate near 1 keeps the state.",
    html("div", { class: "charts" }, ...trace.gates.map(chart)));
}

// The lines of one layer over its tokens, whose names stand below, turned.
function chart({ name, tokens, lines }) {
  const [across, height, left] = [30, 130, 34];
  const right = left + across * tokens.length;
  const names = 14 + 6 * Math.min(longest(tokens), 10);
  const x = (t) => left + across * (t + 0.5);
  const y = (value) => 8 + (height - 16) * (1 - value);
  const number = (value) => (value === null ? "none" : value.toFixed(2));
  const entries = Object.entries(lines);
  const says = entries.map(([line, values]) => `${line}: ${values.map(number).join(", ")}`);
  return html("figure", {},
    html("figcaption", {}, name, ...entries.flatMap(([line], k) => [key(OKABE_ITO[k]), line])),
    drawing(`Gates, ${name}`, says.join("; "), right + 10, height + names,
      ...levels(left, right, y, String),
      ...entries.map(([, values], k) => svg("path", { d: through(values, x, y), style:
        `stroke: ${OKABE_ITO[k]}; stroke-width: 2${k === 1 ? "; stroke-dasharray: 6 3" : ""}` })),
      ...tokens.map((token, t) => svg("text", { x: x(t) - 4, y: height + 6,
        lang: language(token, tokens), transform: `rotate(60 ${x(t) - 4} ${height + 6})` },
      cut(token, 10)))));
}

// A map with a point for each weight.
function thumbnail({ values, columns, rows }) {
  const canvas = html("canvas",
    { width: columns.length, height: rows.length, "aria-hidden": "true" });
  const image = new ImageData(columns.length, rows.length);
  values.flat().forEach((value, i) => image.data.set([...colour(value), 255], 4 * i));
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}
