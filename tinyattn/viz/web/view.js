// Draws a page from its traces. The data stands in the element #data, as JSON: `traces`, and for a
// page about learning `steps`. Look first at `draw`, which calls a function for each section.
"use strict";

const page = JSON.parse(document.getElementById("data").textContent);
const model = page.model ? modelOf(page.model) : null;
const root = document.getElementById("view");
const START = { row: 0, column: 0, step: 0 }; // what is selected: in the map, and the step
const state = { trace: 0, moment: page.steps ? page.steps.length - 1 : 0, map: 0, shift: false,
  ...START, timer: null, message: "", pieces: false,
  beam: !page.steps && page.traces[0].beam ? 5 : 1 };

// The trace that is shown; in a page about learning, as it was at the chosen moment.
const current = () =>
  page.steps ? page.traces[state.trace][state.moment] : page.traces[state.trace];

function change(values) {
  Object.assign(state, values);
  draw();
}

// --- what is shown --------------------------------------------------------------------------------

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
    if (layers.flat().length === 1) {
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
  const { source, target } = trace.words;
  const given = { // the decoder reads a word one step later
    starts: [0, ...target.starts.slice(0, -1).map((t) => t + 1)],
    texts: ["<bos>", ...target.texts.slice(0, -1)],
  };
  const sides = { cross: [target, source], encoder: [source, source], decoder: [given, given] };
  const [rows, columns] = sides[map.group];
  const parts = (values, { starts }) => starts.map((start, i) => values.slice(start, starts[i + 1]));
  const average = (looks) => looks[0].map((_, j) => sum(looks.map((row) => row[j])) / looks.length);
  const together = (values) =>
    parts(values, rows).map((looks) => parts(average(looks), columns).map(sum));
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
  ].filter((part) => part !== null));
  if (focus && document.getElementById(focus)) document.getElementById(focus).focus();
  mark();
}

// --- the head: sentences, search, moments ---------------------------------------------------------

function heading(trace) {
  const sentences = page.traces.map((one, i) => [i, shown((page.steps ? one[0] : one).sentence)]);
  const line = (text, tokens, before = "") => html("p",
    { class: "sentence", lang: language(text, tokens), dir: "auto" }, before + shown(text));
  return html("header", {}, html("h1", {}, page.title),
    sentences.length < 2 ? null : html("div", { class: "controls" },
      list("sentence", "Sentence", sentences, state.trace,
        (trace) => change({ trace, ...START, text: null }))),
    line(trace.sentence, trace.source), line(trace.translation, trace.target, "→ "));
}

// The model inside the page translates what is typed.
function translating() {
  if (!model) return null;
  const text = html("input", { type: "text", id: "text", "aria-label": "Sentence to translate",
    value: state.text ?? current().sentence, autocomplete: "off",
    oninput: () => { state.text = text.value; } });
  const translate = (event) => {
    event.preventDefault();
    run(text.value, []);
  };
  return html("section", { "aria-label": "Translate" },
    html("form", { class: "controls", onsubmit: translate }, text,
      list("beam", "Search", [[1, "greedy"], [5, "beam of 5"]], state.beam,
        (beam) => { state.beam = beam; }),
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
    Object.assign(state, { trace: page.traces.length - 1, ...START, text: sentence });
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
  const { steps, accuracy } = page;
  const last = steps.length - 1;
  const stop = () => {
    clearInterval(state.timer);
    change({ timer: null });
  };
  const next = () => (state.moment === last ? stop() : change({ moment: state.moment + 1 }));
  const play = () => change({ timer: setInterval(next, 700),
    moment: state.moment === last ? 0 : state.moment });
  const says = `step ${steps[state.moment]}` + (accuracy
    ? `: ${percent(accuracy[state.moment])} of the content words look where they should` : "");
  return html("section", { "aria-label": "Moment of training" },
    html("div", { class: "controls" },
      html("button", { id: "play", onclick: state.timer ? stop : play },
        state.timer ? "Pause" : "Play"),
      html("input", { type: "range", id: "moment", min: 0, max: last, step: 1,
        value: state.moment, "aria-label": "Moment of training", "aria-valuetext": says,
        oninput: (event) => change({ moment: Number(event.target.value) }) }),
      html("span", {}, says)),
    accuracy ? curve(steps, accuracy, state.moment) : null);
}

// --- which map: layers and heads ------------------------------------------------------------------

function choosing(trace, map) {
  const all = maps(trace);
  if (all.length < 2) return null;
  const label = (one) => (one.group === "covered" ? one.name : `${one.title}: ${one.name}`);
  const toggle = (id, values, name) => html("button",
    { id, "aria-pressed": String(state[id]), onclick: () => change(values) }, name);
  return html("section", { "aria-label": "What is shown" },
    html("div", { class: "controls" },
      list("map", "What is shown", all.map((one, i) => [i, label(one)]), state.map,
        (chosen) => change({ map: chosen })),
      map.group !== "cross" || !trace.attention.decoder ? null
        : toggle("shift", { shift: !state.shift }, "One step later (sharper)"),
      map.group === "covered" || !trace.words ? null
        : toggle("pieces", { pieces: !state.pieces, ...START }, "Pieces of words")),
    all.length < 5 ? null : small(all.filter((one) => one.group !== "covered"), label));
}

// All layers and heads as small maps, of which one takes part in the order of Tab.
function small(all, label) {
  const at = Math.min(state.map, all.length - 1);
  const turn = (event) => {
    const by = sum(ARROWS[event.key] || [0]);
    if (!by) return;
    event.preventDefault();
    change({ map: (at + by + all.length) % all.length });
    document.getElementById(`map${state.map}`).focus();
  };
  const short = ({ name }) => name.replace("layer ", "L").replace(", head ", " H").replace(",", "");
  return html("div", { class: "heads", onkeydown: turn }, ...all.flatMap((one, i) => [
    ...(i && all[i - 1].group === one.group ? [] : [html("p", { class: "axis" }, one.title)]),
    html("button", { id: `map${i}`, "aria-pressed": String(i === state.map), title: label(one),
      tabindex: i === at ? 0 : -1, "aria-label": `${one.title}: ${short(one)}`,
      onclick: () => change({ map: i }) }, thumbnail(one), short(one))]));
}

// --- the pair of sentences, with lines ------------------------------------------------------------

const HEIGHT = 26; // of a token

function pair({ rows, columns, values, heads, title, group }) {
  const height = HEIGHT * Math.max(rows.length, columns.length);
  const top = (tokens) => (height - HEIGHT * tokens.length) / 2;
  const y = (tokens, i) => top(tokens) + HEIGHT * (i + 0.5);
  const layers = heads || [values];
  const coloured = heads && heads.length < 9;
  const line = (i, j, weight, stroke) => svg("path", {
    "data-row": i, "data-column": j, "stroke-width": (0.5 + 5 * weight).toFixed(2),
    "stroke-opacity": weight.toFixed(3), style: stroke ? `stroke: ${stroke}` : null,
    d: `M0,${y(columns, j)} C40,${y(columns, j)} 60,${y(rows, i)} 100,${y(rows, i)}` });
  const lines = layers.flatMap((head, k) => head.flatMap((row, i) => row.flatMap((weight, j) =>
    (weight / layers.length < 0.02 ? []
      : [line(i, j, Math.min(weight, 1), coloured ? OKABE_ITO[k] : null)]))));
  const words = (tokens, axis, name) => html("ul", { "aria-label": name,
    style: `padding-top: ${top(tokens)}px`, onkeydown: (event) => walk(event, axis) },
  ...tokens.map((token, i) => html("li", {}, html("button", {
    [`data-${axis}`]: i, tabindex: -1, onclick: () => select({ [axis]: i }),
    onpointerenter: () => dim(axis, i), onpointerleave: () => dim(null),
    onfocus: () => dim(axis, i), onblur: () => dim(null) }, word(token, tokens)))));
  return section("Sentence pair", "Who looks at whom", group === "covered"
    ? "A line is the thicker, the more the probability of a word falls when the other is hidden."
    : `A line is the thicker, the more a word looks at the other (${title}).`,
  coloured ? html("p", { class: "hint" },
    ...heads.flatMap((_, k) => [key(OKABE_ITO[k]), `head ${k + 1}`])) : null,
  html("div", { class: "pair" }, words(columns, "column", "Looked at"),
    svg("svg", { viewBox: `0 0 100 ${height}`, height, preserveAspectRatio: "none",
      "aria-hidden": "true" }, ...lines),
    words(rows, "row", "Looking")));
}

// Only the lines of one token stay bright.
function dim(axis, i) {
  for (const path of root.querySelectorAll(".pair path")) {
    path.classList.toggle("dim", axis !== null && path.dataset[axis] !== String(i));
  }
}

// --- the map --------------------------------------------------------------------------------------

// What a map says: its unit, how it is read, a value in percent, a cell in words. What hiding a word
// takes away is a change below zero.
const shows = (value) => minus(String(Math.round(100 * value)));
const LOOKS = {
  unit: "in percent", show: shows,
  hint: "Rows are the words that look, columns the words they look at, in percent.",
  say: (row, column, value) => `${row} looks at ${column}: ${shows(value)} %`,
};
const HIDES = {
  unit: "changes in points", show: (value) => shows(-value),
  hint: "Rows are the words of the translation, columns the source words that are hidden: by how " +
    "many points of percent the probability changes.",
  say: (row, column, value) => `hiding ${column} changes ${row} by ${shows(-value)} points`,
};

function grid({ rows, columns, values, group, title }) {
  const { unit, hint, show, say } = group === "covered" ? HIDES : LOOKS;
  const cell = (value, i, j) => {
    const background = colour(value);
    const says = say(shown(rows[i]), shown(columns[j]), value);
    return html("td", { role: "gridcell", tabindex: -1, "data-row": i, "data-column": j,
      "aria-label": says, title: says,
      style: `background: rgb(${background}); color: ${ink(background)}` },
    Math.round(100 * value) ? show(value) : "");
  };
  const at = (event) => event.target.closest("td[data-row]");
  const cells = html("table", { role: "grid", class: columns.length > 24 ? "map long" : "map",
    "aria-label": `${title}, ${unit}`,
    onclick: (event) => at(event) && select(place(at(event)), true),
    onkeydown: (event) => at(event) && walk(event, "cell"),
    onpointerover: (event) => (at(event) ? dim("row", at(event).dataset.row) : dim(null)),
    onpointerleave: () => dim(null) },
  html("thead", {}, html("tr", {}, html("td", { role: "presentation", style: "background: none" }),
    ...columns.map((token, j) =>
      html("th", { scope: "col", "data-column": j }, word(token, columns))))),
  html("tbody", {}, ...values.map((row, i) => html("tr", {},
    html("th", { scope: "row", "data-row": i }, word(rows[i], rows)),
    ...row.map((value, j) => cell(value, i, j))))));
  return section("Map", "The numbers", `${hint} Arrow keys move; the step below follows.`,
    html("div", { class: "scrolls" }, cells),
    html("p", { class: "ramp", "aria-hidden": "true" }, "0 %", html("i", { style:
      `background: linear-gradient(to right, ${CIVIDIS.map((c) => `rgb(${c})`)})` }), "100 %"));
}

const place = ({ dataset }) => ({ row: Number(dataset.row), column: Number(dataset.column) });

// How far each key moves, down and across.
const ARROWS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
const MOVES = { ...ARROWS, Home: [0, -Infinity], End: [0, Infinity] };

// Arrow keys, Home and End move the focus: in the map in both directions, in a list up and down.
function walk(event, axis) {
  const move = MOVES[event.key];
  if (!move) return;
  event.preventDefault();
  const { rows, columns } = shownMap(current());
  const [down, across] = axis === "cell" ? move : [sum(move), sum(move)];
  const to = { row: within(state.row + down, 0, rows.length - 1),
    column: within(state.column + across, 0, columns.length - 1) };
  if (axis === "cell") {
    select(to, true);
  } else {
    select({ [axis]: to[axis] });
    root.querySelector(`.pair button[data-${axis}="${state[axis]}"]`).focus();
  }
}

const chosenCell = () =>
  root.querySelector(`td[data-row="${state.row}"][data-column="${state.column}"]`);

function select(values, focus = false) {
  Object.assign(state, values);
  const { group, starts } = shownMap(current());
  if (group !== "encoder") state.step = starts ? starts[0][state.row] : state.row;
  mark();
  if (focus) chosenCell().focus();
}

// Shows what is selected; of each list and of the map one element takes part in the order of Tab.
function mark() {
  for (const axis of ["row", "column"]) {
    const chosen = (node) => Number(node.dataset[axis]) === state[axis];
    for (const node of root.querySelectorAll(`.pair button[data-${axis}]`)) {
      node.setAttribute("aria-pressed", String(chosen(node)));
      node.tabIndex = chosen(node) ? 0 : -1;
    }
    for (const node of root.querySelectorAll(`th[data-${axis}]`)) {
      node.classList.toggle("chosen", chosen(node));
    }
  }
  const before = root.querySelector('td[tabindex="0"]');
  if (before) before.tabIndex = -1;
  chosenCell().tabIndex = 0;
  root.querySelector("#step").replaceChildren(...step(current()));
}

// --- one step -------------------------------------------------------------------------------------

function step(trace) {
  const { probabilities, entropies, alternatives, covered } = trace;
  const t = state.step;
  const map = chosenMap(trace);
  const weights = (map.group === "cross" ? map.values : mean(trace.attention.cross.flat()))[t];
  const words = (H) => `${Math.exp(H).toFixed(1)} words`;
  const facts = [
    ["probability", probabilities && percent(probabilities[t])],
    ["hesitates between", entropies && words(entropies[t])],
    ["looks at", words(entropy(weights))],
  ].filter(([, value]) => value !== null);
  const row = (chosen, name, ...cells) => html("tr", {},
    html("th", { scope: "row", class: chosen ? "chosen" : null }, name),
    ...cells.map((cell) => html("td", {}, ...cell)));
  const scrolled = (name, head, rows) => scrolling(name, table(head, rows), "scrolls high");
  const named = (token) => (model ? html("button", { "aria-label": `go on from ${shown(token)}`,
    onclick: () => run(trace.sentence, [...trace.target.slice(0, t), token]) }, word(token))
    : word(token));
  const others = alternatives && scrolled("Alternatives", ["word", "probability"],
    alternatives[t].map((token, k) => {
      const p = trace.alternativeProbabilities[t][k];
      return row(token === trace.target[t], named(token), [bar(p), percent(p)]);
    }));
  const hides = probabilities && covered;
  const { starts } = shownMap(trace);
  const column = starts ? starts[1][state.column] : state.column;
  const sources = scrolled("Source words", ["source word", "weight",
    ...(hides ? ["probability when hidden", "change in points"] : [])],
  trace.source.map((token, j) => {
    const change = hides && covered[t][j] - probabilities[t];
    return row(j === column, word(token, trace.source), [bar(weights[j]), percent(weights[j])],
      ...(hides ? [[percent(covered[t][j])], [bar(-change, "other"), signed(100 * change)]] : []));
  }));
  return [
    html("h2", {}, `Step ${t + 1} of ${trace.target.length}: `, word(trace.target[t], trace.target)),
    html("p", { class: "hint" }, "“Hesitates between” and “looks at” are exp(H): so many words " +
      "with equal shares have the same entropy."),
    html("dl", { class: "facts" }, ...facts.map(([name, value]) =>
      html("div", {}, html("dt", {}, name), html("dd", {}, value)))),
    html("div", { class: "beside" }, others || html("div"), sources)];
}

draw();
document.querySelector(".static").remove();
