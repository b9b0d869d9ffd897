// Draws a page from its traces. The data stands in the element #data, as JSON: `traces`, and for a
// page about learning `steps`. Look first at `draw`, which calls a function for each section.
//
// A trace has tokens and numbers only. Tokens enter the page as text nodes, never as HTML.
"use strict";

// --- small helpers ---------------------------------------------------------------------------------

const SVG = "http://www.w3.org/2000/svg";

// An element with attributes, listeners (names that begin with "on") and children.
function make(namespace, name, attributes, children) {
  const node = document.createElementNS(namespace, name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (value !== null && value !== false) node.setAttribute(key, value);
  }
  node.append(...children.filter((child) => child !== null));
  return node;
}
const html = (name, attributes = {}, ...children) =>
  make("http://www.w3.org/1999/xhtml", name, attributes, children);
const svg = (name, attributes = {}, ...children) => make(SVG, name, attributes, children);

const sum = (values) => values.reduce((a, b) => a + b, 0);
const mean = (matrices) =>
  matrices[0].map((row, i) => row.map((_, j) => sum(matrices.map((m) => m[i][j])) / matrices.length));
const entropy = (p) => -sum(p.map((x) => (x > 0 ? x * Math.log(x) : 0)));
const percent = (x) => `${(100 * x).toFixed(x > 0.0995 && x < 0.9 ? 0 : 1).replace(".0", "")} %`;
const signed = (x) => (Math.abs(x) < 0.05 ? "0" : `${x < 0 ? "−" : "+"}${Math.abs(x).toFixed(1)}`);

// A token as it can be seen: control characters by their pictures.
const shown = (token) =>
  token.replace(/[\0-\x1f]/g, (c) => String.fromCodePoint(0x2400 + c.charCodeAt(0)))
    .replace(/\x7f/g, "\u2421") || "\u2205";

// The language of a token, as far as its script says it; "" where it does not.
function language(token, others) {
  if (/\p{Script=Hangul}/u.test(token)) return "ko";
  if (/[\p{Script=Hiragana}\p{Script=Katakana}]/u.test(token)) return "ja";
  if (!/\p{Script=Han}/u.test(token)) return "";
  return others.some((other) => /[\p{Script=Hiragana}\p{Script=Katakana}]/u.test(other)) ? "ja" : "zh";
}
const word = (token, others = [token]) =>
  html("span", { class: "token", dir: "auto", lang: language(token, others) }, shown(token));

// The colours of cividis (Nuñez, Anderton and Renslow 2018), which look alike to colour-blind eyes,
// and those of Okabe and Ito (2008), which can be told apart.
const CIVIDIS = ["00224e", "123570", "3b496c", "575d6d", "707173", "8a8678", "a59c74", "c3b369",
  "e1cc55", "fee838"].map((code) => [0, 2, 4].map((at) => parseInt(code.slice(at, at + 2), 16)));
const OKABE_ITO = ["#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#999933", "#777777"];

function colour(value) {
  const place = Math.min(Math.max(value, 0), 1) * (CIVIDIS.length - 1);
  const low = Math.min(Math.floor(place), CIVIDIS.length - 2);
  return CIVIDIS[low].map((c, i) => Math.round(c + (CIVIDIS[low + 1][i] - c) * (place - low)));
}

// Black or white, whichever is easier to read on a colour.
function ink([red, green, blue]) {
  const linear = [red, green, blue].map((c) =>
    c <= 10 ? c / 3294 : ((c / 255 + 0.055) / 1.055) ** 2.4);
  return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] > 0.179 ? "#000" : "#fff";
}

// --- what is shown --------------------------------------------------------------------------------

const page = JSON.parse(document.getElementById("data").textContent);
const model = page.model ? modelOf(page.model) : null;
const root = document.getElementById("view");
const state = { trace: 0, moment: page.steps ? page.steps.length - 1 : 0, map: 0, shift: false,
  row: 0, column: 0, step: 0, timer: null, message: "", pieces: false,
  beam: !page.steps && page.traces[0].beam ? 5 : 1 };

// The trace that is shown; in a page about learning, as it was at the chosen moment.
const current = () =>
  page.steps ? page.traces[state.trace][state.moment] : page.traces[state.trace];

const TITLES = {
  cross: "translation → source", encoder: "source → source", decoder: "translation → translation",
};

// What the map can show: tokens that look (rows), tokens that are looked at (columns), weights; for
// a layer also those of each head. The mean over layers and heads comes first.
function mapsOf(trace) {
  const found = [];
  const given = ["<bos>", ...trace.target.slice(0, -1)]; // what the decoder reads at each step
  const sides = { cross: [trace.target, trace.source], encoder: [trace.source, trace.source],
    decoder: [given, given] };
  for (const group of ["cross", "encoder", "decoder"].filter((name) => name in trace.attention)) {
    const layers = trace.attention[group];
    const [rows, columns] = sides[group];
    const add = (name, values, heads = null) =>
      found.push({ group, name, values, heads, rows, columns, title: TITLES[group] });
    if (layers.length === 1 && layers[0].length === 1) {
      add("attention", layers[0][0]);
      continue;
    }
    add("mean of all", mean(layers.flat()));
    layers.forEach((heads, layer) => {
      add(`layer ${layer + 1}, mean`, mean(heads), heads);
      heads.forEach((head, i) => add(`layer ${layer + 1}, head ${i + 1}`, head));
    });
  }
  if (trace.covered && trace.probabilities) {
    const drop = trace.covered.map((row, t) => row.map((p) => trace.probabilities[t] - p));
    found.push({ group: "covered", name: "what hiding a word changes", values: drop, heads: null,
      rows: trace.target, columns: trace.source, title: TITLES.cross });
  }
  return found;
}

// Kept, since many layers and heads make many maps.
const known = new WeakMap();
function maps(trace) {
  if (!known.has(trace)) known.set(trace, mapsOf(trace));
  return known.get(trace);
}

// The map that is chosen: where it is shifted, each word looks as it does one step later, when the
// decoder reads it (Chen et al. 2020, arXiv:2004.14837).
function chosenMap(trace) {
  const map = maps(trace)[state.map];
  if (!(state.shift && map.group === "cross")) return map;
  const later = (values) => values.map((row, t) => values[t + 1] || row.map(() => 0));
  return { ...map, values: later(map.values), heads: map.heads && map.heads.map(later) };
}

// A map as it is shown: where tokens are pieces of words, by words. A word gets the sum of what its
// pieces get, and looks where they look on average.
function shownMap(trace) {
  const map = chosenMap(trace);
  if (!trace.words || state.pieces || map.group === "covered") return map;
  const sides = { cross: ["target", "source"], encoder: ["source", "source"], decoder: ["target", "target"] };
  const [rows, columns] = sides[map.group].map((side) => {
    const { starts, texts } = trace.words[side];
    return map.group !== "decoder" ? { starts, texts } // the decoder reads a word one step later
      : { starts: [0, ...starts.slice(0, -1).map((t) => t + 1)], texts: ["<bos>", ...texts.slice(0, -1)] };
  });
  const cut = (list, starts) => starts.map((start, i) => list.slice(start, starts[i + 1]));
  const together = (values) => cut(values, rows.starts).map((looks) =>
    cut(looks[0].map((_, j) => sum(looks.map((row) => row[j])) / looks.length), columns.starts).map(sum));
  return { ...map, values: together(map.values), heads: map.heads && map.heads.map(together),
    rows: rows.texts, columns: columns.texts, starts: [rows.starts, columns.starts] };
}

function draw() {
  const trace = current();
  state.map = Math.min(state.map, maps(trace).length - 1);
  const map = shownMap(trace);
  state.step = Math.min(state.step, trace.target.length - 1);
  state.row = Math.min(state.row, map.rows.length - 1);
  state.column = Math.min(state.column, map.columns.length - 1);
  const focus = document.activeElement && document.activeElement.id;
  root.replaceChildren(...[
    heading(trace), translating(), forming(), choosing(trace, map),
    html("div", { class: "beside" }, pair(map), html("div", {}, grid(map),
      html("section", { id: "step", "aria-live": "polite", "aria-label": "Step" }))),
    tree(trace), gates(trace),
  ].filter((section) => section !== null));
  if (focus && document.getElementById(focus)) document.getElementById(focus).focus();
  mark();
}

// --- the head: sentences, search, moments ---------------------------------------------------------

function heading(trace) {
  const choice = page.traces.length < 2 ? null : html("select",
    { id: "sentence", "aria-label": "Sentence", onchange: (event) => {
      Object.assign(state, { trace: Number(event.target.value), row: 0, column: 0, step: 0,
        text: null });
      draw();
    } },
    ...page.traces.map((one, i) => html("option", { value: i, selected: i === state.trace ? "" : null },
      shown((page.steps ? one[0] : one).sentence))));
  return html("header", {}, html("h1", {}, page.title),
    choice && html("div", { class: "controls" }, choice),
    html("p", { class: "sentence", lang: language(trace.sentence, trace.source), dir: "auto" },
      shown(trace.sentence)),
    html("p", { class: "sentence", lang: language(trace.translation, trace.target), dir: "auto" },
      `→ ${shown(trace.translation)}`));
}

// The model inside the page translates what is typed.
function translating() {
  if (!model) return null;
  const text = html("input", { type: "text", id: "text", "aria-label": "Sentence to translate",
    value: state.text ?? current().sentence, autocomplete: "off",
    oninput: () => { state.text = text.value; } });
  const beam = html("select", { id: "beam", "aria-label": "Search" },
    ...[[1, "greedy"], [5, "beam of 5"]].map(([value, name]) =>
      html("option", { value, selected: value === state.beam ? "" : null }, name)));
  const translate = (event) => {
    event.preventDefault();
    state.beam = Number(beam.value);
    run(text.value, []);
  };
  return html("section", { "aria-label": "Translate" },
    html("form", { class: "controls", onsubmit: translate }, text, beam,
      html("button", { id: "translate" }, "Translate")),
    html("p", { class: "hint", role: "status" }, state.message ||
      "The model itself stands in this page: type a sentence, or go on from another word below."));
}

function run(sentence, prefix) {
  const start = performance.now();
  try {
    const trace = model.trace(sentence, { beam: state.beam, prefix });
    state.message = `Translated in ${Math.round(performance.now() - start)} ms.`;
    page.traces.push(trace);
    Object.assign(state, { trace: page.traces.length - 1, row: 0, column: 0, step: 0, text: sentence });
    setTimeout(() => { // once the translation is on the screen
      trace.covered = trace.cover();
      known.delete(trace);
      draw();
    }, 30);
  } catch (error) {
    state.message = error.message;
  }
  draw();
}

// A page about learning: a slider through the moments, and the accuracy at each of them.
function forming() {
  if (!page.steps) return null;
  const count = page.steps.length;
  const go = (moment) => { state.moment = moment; draw(); };
  const play = () => {
    if (state.timer) {
      clearInterval(state.timer);
      state.timer = null;
      return draw();
    }
    if (state.moment === count - 1) state.moment = 0;
    state.timer = setInterval(() => {
      if (state.moment === count - 1) return play();
      go(state.moment + 1);
    }, 700);
    draw();
  };
  const accuracy = page.accuracy && page.accuracy[state.moment];
  const says = `step ${page.steps[state.moment]}` +
    (page.accuracy ? `: ${percent(accuracy)} of the content words look where they should` : "");
  return html("section", { "aria-label": "Moment of training" },
    html("div", { class: "controls" },
      html("button", { id: "play", onclick: play }, state.timer ? "Pause" : "Play"),
      html("input", { type: "range", id: "moment", min: 0, max: count - 1, step: 1,
        value: state.moment, "aria-label": "Moment of training", "aria-valuetext": says,
        oninput: (event) => go(Number(event.target.value)) }),
      html("span", {}, says)),
    page.accuracy ? curve(page.steps, page.accuracy) : null);
}

function curve(steps, values) {
  const [width, height, left, top] = [640, 150, 44, 12];
  const x = (i) => left + ((width - left - 20) * (Math.log(steps[i]) - Math.log(steps[0]))) /
    (Math.log(steps[steps.length - 1]) - Math.log(steps[0]) || 1);
  const y = (value) => top + (height - top - 28) * (1 - value);
  return html("figure", {}, html("div", { class: "scrolls", tabindex: 0, role: "region",
    "aria-label": "Alignment accuracy over training" },
    svg("svg", { class: "drawing", width, height, role: "img",
      "aria-label": steps.map((step, i) => `step ${step}: ${percent(values[i])}`).join(", ") },
      ...[0, 0.5, 1].flatMap((value) => [
        svg("line", { x1: left, x2: width - 20, y1: y(value), y2: y(value) }),
        svg("text", { x: left - 6, y: y(value) + 4, "text-anchor": "end", class: "small" },
          percent(value))]),
      svg("path", { class: "kept", d: values.map((v, i) => `${i ? "L" : "M"}${x(i)},${y(v)}`).join("") }),
      ...steps.map((step, i) => svg("circle", { cx: x(i), cy: y(values[i]),
        r: i === state.moment ? 6 : 3, fill: "var(--accent)" })),
      ...steps.filter((_, i) => i % 2 === 0 || i === steps.length - 1).map((step) =>
        svg("text", { x: x(steps.indexOf(step)), y: height - 8, "text-anchor": "middle", class: "small" },
          String(step))))),
    html("figcaption", {}, "Alignment accuracy over the steps of training (logarithmic)."));
}

// --- which map: layers and heads ------------------------------------------------------------------

function choosing(trace, map) {
  const all = maps(trace);
  if (all.length < 2) return null;
  const choose = (i) => { state.map = i; draw(); };
  const groups = [...new Set(all.map((one) => one.group))];
  const label = (one) => (one.group === "covered" ? one.name : `${one.title}: ${one.name}`);
  const short = (one) => one.name.replace("layer ", "L").replace(", head ", " H").replace(",", "");
  const count = all.filter((one) => one.group !== "covered").length;
  const turn = (event) => { // of the small maps one takes part in the order of Tab
    const by = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[event.key];
    if (!by) return;
    event.preventDefault();
    choose((Math.min(state.map, count - 1) + by + count) % count);
    document.getElementById(`map${state.map}`).focus();
  };
  const small = all.length < 5 ? [] : groups.filter((g) => g !== "covered").flatMap((group) => [
    html("p", { class: "axis" }, TITLES[group]),
    ...all.flatMap((one, i) => one.group !== group ? [] : [html("button", {
      id: `map${i}`, "aria-pressed": String(i === state.map), title: label(one),
      tabindex: i === Math.min(state.map, count - 1) ? 0 : -1,
      "aria-label": `${one.title}: ${short(one)}`, onclick: () => choose(i),
    }, thumbnail(one), short(one))]),
  ]);
  return html("section", { "aria-label": "What is shown" },
    html("div", { class: "controls" },
      html("select", { id: "map", "aria-label": "What is shown",
        onchange: (event) => choose(Number(event.target.value)) },
        ...all.map((one, i) =>
          html("option", { value: i, selected: i === state.map ? "" : null }, label(one)))),
      map.group !== "cross" || !trace.attention.decoder ? null :
        html("button", { id: "shift", "aria-pressed": String(state.shift),
          onclick: () => { state.shift = !state.shift; draw(); } }, "One step later (sharper)"),
      map.group === "covered" || !trace.words ? null :
        html("button", { id: "pieces", "aria-pressed": String(state.pieces),
          onclick: () => {
            Object.assign(state, { pieces: !state.pieces, row: 0, column: 0, step: 0 });
            draw();
          } }, "Pieces of words")),
    small.length ? html("div", { class: "heads", onkeydown: turn }, ...small) : null);
}

function thumbnail({ values, columns, rows }) {
  const canvas = html("canvas", { width: columns.length, height: rows.length, "aria-hidden": "true" });
  const image = new ImageData(columns.length, rows.length);
  values.flat().forEach((value, i) => image.data.set([...colour(value), 255], 4 * i));
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

// --- the pair of sentences, with lines ------------------------------------------------------------

const HEIGHT = 26; // of a token

function pair({ rows, columns, values, heads, title, group }) {
  const height = HEIGHT * Math.max(rows.length, columns.length);
  const top = (tokens) => (height - HEIGHT * tokens.length) / 2;
  const y = (tokens, i) => top(tokens) + HEIGHT * (i + 0.5);
  const line = (i, j, weight, stroke) => svg("path", {
    "data-row": i, "data-column": j, "stroke-width": (0.5 + 5 * weight).toFixed(2),
    "stroke-opacity": weight.toFixed(3), style: stroke ? `stroke: ${stroke}` : null,
    d: `M0,${y(columns, j)} C40,${y(columns, j)} 60,${y(rows, i)} 100,${y(rows, i)}` });
  const lines = (heads || [values]).flatMap((head, k) => head.flatMap((row, i) =>
    row.flatMap((w, j) => w / (heads ? heads.length : 1) < 0.02 ? [] :
      [line(i, j, Math.min(w, 1), heads && heads.length < 9 ? OKABE_ITO[k] : null)])));
  const list = (tokens, axis, name) => html("ul", { "aria-label": name,
    style: `padding-top: ${top(tokens)}px`, onkeydown: (event) => walk(event, axis) },
  ...tokens.map((token, i) => html("li", {}, html("button", {
    [`data-${axis}`]: i, tabindex: -1, onclick: () => select({ [axis]: i }),
    onpointerenter: () => dim(axis, i), onpointerleave: () => dim(null),
    onfocus: () => dim(axis, i), onblur: () => dim(null) }, word(token, tokens)))));
  return html("section", { "aria-label": "Sentence pair" }, html("h2", {}, "Who looks at whom"),
    html("p", { class: "hint" }, group === "covered"
      ? "A line is the thicker, the more the probability of a word falls when the other is hidden."
      : `A line is the thicker, the more a word looks at the other (${title}).`),
    heads && heads.length < 9 ? html("p", { class: "hint" }, ...heads.flatMap((_, k) => [
      html("i", { class: "key", style: `background: ${OKABE_ITO[k]}` }), `head ${k + 1}`])) : null,
    html("div", { class: "pair" }, list(columns, "column", "Looked at"),
      svg("svg", { viewBox: `0 0 100 ${height}`, height, preserveAspectRatio: "none",
        "aria-hidden": "true" }, ...lines),
      list(rows, "row", "Looking")));
}

// Only the lines of one token stay bright.
function dim(axis, i) {
  for (const path of root.querySelectorAll(".pair path")) {
    path.classList.toggle("dim", axis !== null && path.dataset[axis] !== String(i));
  }
}

// --- the map --------------------------------------------------------------------------------------

function grid({ rows, columns, values, group, title }) {
  const shows = (value) => // in percent; what hiding a word takes away is a change below zero
    String(Math.round(group === "covered" ? -100 * value : 100 * value)).replace("-", "−");
  const says = (i, j) => group === "covered"
    ? `hiding ${shown(columns[j])} changes ${shown(rows[i])} by ${shows(values[i][j])} points`
    : `${shown(rows[i])} looks at ${shown(columns[j])}: ${shows(values[i][j])} %`;
  const cell = (value, i, j) => {
    const background = colour(value);
    return html("td", { role: "gridcell", tabindex: -1, "data-row": i, "data-column": j,
      "aria-label": says(i, j), title: says(i, j),
      style: `background: rgb(${background}); color: ${ink(background)}` },
    Math.round(100 * value) ? shows(value) : "");
  };
  const place = (event) => event.target.closest("td");
  const table = html("table", { role: "grid", class: columns.length > 24 ? "map long" : "map",
    "aria-label": `${title}, ${group === "covered" ? "changes in points" : "in percent"}`,
    onclick: (event) => place(event) && select(numbers(place(event)), true),
    onkeydown: (event) => place(event) && walk(event, "cell"),
    onpointerover: (event) => dim(place(event) ? "row" : null, place(event) && place(event).dataset.row),
    onpointerleave: () => dim(null) },
  html("thead", {}, html("tr", {}, html("td", { role: "presentation", style: "background: none" }),
    ...columns.map((token, j) => html("th", { scope: "col", "data-column": j }, word(token, columns))))),
  html("tbody", {}, ...values.map((row, i) => html("tr", {},
    html("th", { scope: "row", "data-row": i }, word(rows[i], rows)),
    ...row.map((value, j) => cell(value, i, j))))));
  return html("section", { "aria-label": "Map" }, html("h2", {}, "The numbers"),
    html("p", { class: "hint" }, (group === "covered"
      ? "Rows are the words of the translation, columns the source words that are hidden: by how " +
        "many points of percent the probability changes."
      : "Rows are the words that look, columns the words they look at, in percent.") +
      " Arrow keys move; the step below follows."),
    html("div", { class: "scrolls" }, table),
    html("p", { class: "ramp", "aria-hidden": "true" }, "0 %", html("i", { style:
      `background: linear-gradient(to right, ${CIVIDIS.map((c) => `rgb(${c})`)})` }), "100 %"));
}

const numbers = (node) => {
  const { row, column } = node.dataset;
  return { ...(row && { row: Number(row) }), ...(column && { column: Number(column) }) };
};

// Arrow keys, Home and End move the focus: in the map in both directions, in a list up and down.
function walk(event, axis) {
  const across = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key];
  const down = { ArrowUp: -1, ArrowDown: 1 }[event.key];
  if (across === undefined && down === undefined) return;
  event.preventDefault();
  const map = shownMap(current());
  const move = (to, by, tokens) => Math.min(Math.max(to + by, 0), tokens.length - 1);
  const along = axis === "column" ? across || down : axis === "row" ? across || down : null;
  if (axis === "cell") {
    select({ row: move(state.row, down || 0, map.rows), column: move(state.column, across || 0, map.columns) }, true);
  } else {
    select({ [axis]: move(state[axis], along, axis === "row" ? map.rows : map.columns) });
    root.querySelector(`.pair button[data-${axis}="${state[axis]}"]`).focus();
  }
}

function select(change, focus = false) {
  Object.assign(state, change);
  const { group, starts } = shownMap(current());
  if (group !== "encoder") state.step = starts ? starts[0][state.row] : state.row;
  mark();
  if (focus) root.querySelector(`td[data-row="${state.row}"][data-column="${state.column}"]`).focus();
}

// Shows what is selected; of each list and of the map one element takes part in the order of Tab.
function mark() {
  for (const axis of ["row", "column"]) {
    for (const node of root.querySelectorAll(`.pair button[data-${axis}]`)) {
      const chosen = Number(node.dataset[axis]) === state[axis];
      node.setAttribute("aria-pressed", String(chosen));
      node.tabIndex = chosen ? 0 : -1;
    }
    for (const node of root.querySelectorAll(`th[data-${axis}]`)) {
      node.classList.toggle("chosen", Number(node.dataset[axis]) === state[axis]);
    }
  }
  const before = root.querySelector('td[tabindex="0"]');
  if (before) before.tabIndex = -1;
  root.querySelector(`td[data-row="${state.row}"][data-column="${state.column}"]`).tabIndex = 0;
  root.querySelector("#step").replaceChildren(...step(current()));
}

// --- one step -------------------------------------------------------------------------------------

const bar = (value, kind = "") => html("span", { class: `bar ${kind}`, "aria-hidden": "true" },
  html("i", { style: `width: ${Math.min(Math.max(100 * value, 0), 100)}%` }));

function step(trace) {
  const t = state.step;
  const map = chosenMap(trace);
  const { starts } = shownMap(trace);
  const column = starts ? starts[1][state.column] : state.column;
  const covered = trace.probabilities && trace.covered;
  const weights = (map.group === "cross" ? map.values : mean(trace.attention.cross.flat()))[t];
  const facts = [["looks at", `${Math.exp(entropy(weights)).toFixed(1)} words`]];
  if (trace.probabilities) facts.unshift(["probability", percent(trace.probabilities[t])]);
  if (trace.entropies) {
    facts.splice(1, 0, ["hesitates between", `${Math.exp(trace.entropies[t]).toFixed(1)} words`]);
  }
  const table = (name, head, rows) => html("div", { class: "scrolls high", tabindex: 0, role: "region",
    "aria-label": name }, html("table", { class: "table" },
    html("thead", {}, html("tr", {}, ...head.map((name) => html("th", { scope: "col" }, name)))),
    html("tbody", {}, ...rows)));
  const alternatives = trace.alternatives && table("Alternatives", ["word", "probability"],
    trace.alternatives[t].map((token, k) => html("tr", {},
      html("th", { scope: "row", class: token === trace.target[t] ? "chosen" : null }, model
        ? html("button", { "aria-label": `go on from ${shown(token)}`,
          onclick: () => run(trace.sentence, [...trace.target.slice(0, t), token]) }, word(token))
        : word(token)),
      html("td", {}, bar(trace.alternativeProbabilities[t][k]),
        percent(trace.alternativeProbabilities[t][k])))));
  const words = table("Source words",
    ["source word", "weight", ...(covered ? ["probability when hidden", "change in points"] : [])],
    trace.source.map((token, j) => {
      const change = covered && covered[t][j] - trace.probabilities[t];
      return html("tr", {},
        html("th", { scope: "row", class: j === column ? "chosen" : null },
          word(token, trace.source)),
        html("td", {}, bar(weights[j]), percent(weights[j])),
        covered ? html("td", {}, percent(covered[t][j])) : null,
        covered ? html("td", {}, bar(-change, "other"), signed(100 * change)) : null);
    }));
  return [html("h2", {}, `Step ${t + 1} of ${trace.target.length}: `, word(trace.target[t], trace.target)),
    html("p", { class: "hint" }, "“Hesitates between” and “looks at” are exp(H): so many words with " +
      "equal shares have the same entropy."),
    html("dl", { class: "facts" }, ...facts.map(([name, value]) =>
      html("div", {}, html("dt", {}, name), html("dd", {}, value)))),
    html("div", { class: "beside" }, alternatives || html("div"), words)];
}

// --- the tree of a beam ---------------------------------------------------------------------------

function tree(trace) {
  const beam = trace.beam;
  if (!beam) return null;
  const slots = beam.tokens[0].length;
  const widest = Math.max(...beam.tokens.flat().map((token) => [...token].length));
  const [across, down, left] = [Math.min(Math.max(70, 9 * widest + 24), 150), 40, 8];
  const x = (t) => left + t * across;
  const y = (k) => 8 + k * down;
  const path = (end) => { // the slots of a hypothesis, from its first token on
    const found = [];
    for (let t = beam.step[end], k = beam.slot[end]; t >= 0; k = beam.parents[t][k], t -= 1) found.unshift(k);
    return found;
  };
  const kept = new Set(path(0).map((k, t) => `${t},${k}`));
  const alive = new Set(beam.score.flatMap((_, end) => path(end).map((k, t) => `${t},${k}`)));
  const kind = (t, k) => (kept.has(`${t},${k}`) ? "kept" : alive.has(`${t},${k}`) ? "" : "pruned");
  const nodes = [];
  const lines = [];
  beam.tokens.forEach((row, t) => row.forEach((token, k) => {
    if (token === "") return;
    if (t > 0) {
      const from = [x(t - 1) + across - 16, y(beam.parents[t][k]) + 13];
      lines.push(svg("path", { class: kind(t, k),
        d: `M${from} C${from[0] + 8},${from[1]} ${x(t) - 8},${y(k) + 13} ${x(t)},${y(k) + 13}` }));
    }
    nodes.push(svg("rect", { class: kind(t, k), x: x(t), y: y(k), width: across - 16, height: 26, rx: 4 }),
      svg("text", { class: kind(t, k), x: x(t) + 6, y: y(k) + 17, lang: language(token, trace.target) },
        [...shown(token)].slice(0, 14).join("")),
      svg("text", { class: "small", x: x(t) + across - 18, y: y(k) + 36, "text-anchor": "end" },
        beam.sums[t][k].toFixed(2).replace("-", "−")));
  }));
  const text = (end) => path(end).map((k, t) => shown(beam.tokens[t][k])).join(" ");
  return html("section", { "aria-label": "Beam search" }, html("h2", {}, "The beam"),
    html("p", { class: "hint" }, "At each step the most probable beginnings are kept, with the sum of " +
      "their log-probabilities. Dashed ones came to nothing; the thick path has the best score."),
    html("div", { class: "scrolls", tabindex: 0, role: "region", "aria-label": "Tree of the beam" },
      svg("svg", { class: "drawing", width: x(beam.tokens.length) + 8, height: y(slots) + 6, role: "img",
        "aria-label": `Tree of a beam of ${slots} over ${beam.tokens.length} steps` }, ...lines, ...nodes)),
    html("table", { class: "table" }, html("thead", {}, html("tr", {},
      html("th", { scope: "col" }, "score"), html("th", { scope: "col" }, "translation"))),
    html("tbody", {}, ...beam.score.map((score, end) => html("tr", {},
      html("td", {}, score.toFixed(3).replace("-", "−")),
      html("td", { style: "white-space: normal", class: end ? null : "chosen" }, text(end)))))));
}

// --- gates ----------------------------------------------------------------------------------------

function gates(trace) {
  if (!trace.gates || !trace.gates.length) return null;
  return html("section", { "aria-label": "Gates" }, html("h2", {}, "What the cells do"),
    html("p", { class: "hint" }, "The mean of each gate over all units, and by how much the state " +
      "changes (the mean of |h − h before|). An update gate near 1 keeps the state."),
    html("div", { class: "charts" }, ...trace.gates.map(chart)));
}

function chart({ name, tokens, lines }) {
  const [across, height, left] = [30, 130, 34];
  const below = 14 + 6 * Math.min(Math.max(...tokens.map((token) => [...token].length)), 10); // labels
  const width = left + across * tokens.length + 10;
  const x = (t) => left + across * (t + 0.5);
  const y = (value) => 8 + (height - 16) * (1 - value);
  const drawn = Object.entries(lines).map(([line, values], k) => svg("path", {
    style: `stroke: ${OKABE_ITO[k]}; stroke-width: 2${k === 1 ? "; stroke-dasharray: 6 3" : ""}`,
    d: values.map((v, t) => (v === null ? "" : `${t && values[t - 1] !== null ? "L" : "M"}${x(t)},${y(v)}`)).join("") }));
  const says = Object.entries(lines).map(([line, values]) =>
    `${line}: ${values.map((v) => (v === null ? "none" : v.toFixed(2))).join(", ")}`).join("; ");
  return html("figure", {}, html("figcaption", {}, name, ...Object.keys(lines).flatMap((line, k) => [
    html("i", { class: "key", style: `background: ${OKABE_ITO[k]}` }), line])),
  html("div", { class: "scrolls", tabindex: 0, role: "region", "aria-label": `Gates, ${name}` },
    svg("svg", { class: "drawing", width, height: height + below, role: "img", "aria-label": says },
      ...[0, 0.5, 1].flatMap((value) => [
        svg("line", { x1: left, x2: width - 10, y1: y(value), y2: y(value) }),
        svg("text", { class: "small", x: left - 5, y: y(value) + 4, "text-anchor": "end" }, String(value))]),
      ...drawn,
      ...tokens.map((token, t) => svg("text", { x: x(t) - 4, y: height + 6, lang: language(token, tokens),
        transform: `rotate(60 ${x(t) - 4} ${height + 6})` }, [...shown(token)].slice(0, 10).join(""))))));
}

draw();
document.querySelector(".static").remove();
