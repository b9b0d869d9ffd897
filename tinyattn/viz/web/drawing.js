// What a page is drawn with: elements, numbers, tokens and colours. pictures.js and view.js use it.
//
// Tokens enter the page as text nodes, never as HTML.
"use strict";

// --- elements -------------------------------------------------------------------------------------

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
const svg = (name, attributes = {}, ...children) =>
  make("http://www.w3.org/2000/svg", name, attributes, children);

// A part of the page: its title, how it is read, and what it shows.
const section = (label, title, hint, ...children) => html("section", { "aria-label": label },
  html("h2", {}, title), html("p", { class: "hint" }, hint), ...children);

// A box that scrolls by itself where it is wider than the window.
const scrolling = (label, content, kind = "scrolls") =>
  html("div", { class: kind, tabindex: 0, role: "region", "aria-label": label }, content);

// A drawing; `says` is what it tells those who do not see it.
const drawing = (label, says, width, height, ...children) => scrolling(label,
  svg("svg", { class: "drawing", width, height, role: "img", "aria-label": says }, ...children));

const table = (head, rows) => html("table", { class: "table" },
  html("thead", {}, html("tr", {}, ...head.map((name) => html("th", { scope: "col" }, name)))),
  html("tbody", {}, ...rows));

// A list to choose from. options: pairs of a number and its name.
const list = (id, label, options, chosen, choose) => html("select",
  { id, "aria-label": label, onchange: (event) => choose(Number(event.target.value)) },
  ...options.map(([value, name]) =>
    html("option", { value, selected: value === chosen ? "" : null }, name)));

// --- numbers --------------------------------------------------------------------------------------

const sum = (values) => values.reduce((a, b) => a + b, 0);
const mean = (matrices) => matrices[0].map((row, i) =>
  row.map((_, j) => sum(matrices.map((m) => m[i][j])) / matrices.length));
const entropy = (p) => -sum(p.map((x) => (x > 0 ? x * Math.log(x) : 0)));
const within = (value, least, most) => Math.min(Math.max(value, least), most);

const minus = (text) => text.replace("-", "−");
const percent = (x) => `${(100 * x).toFixed(x > 0.0995 && x < 0.9 ? 0 : 1).replace(".0", "")} %`;
const signed = (x) => (Math.abs(x) < 0.05 ? "0" : `${x < 0 ? "−" : "+"}${Math.abs(x).toFixed(1)}`);

// --- tokens ---------------------------------------------------------------------------------------

// A token as it can be seen: control characters by their pictures.
const shown = (token) =>
  token.replace(/[\0-\x1f]/g, (c) => String.fromCodePoint(0x2400 + c.charCodeAt(0)))
    .replace(/\x7f/g, "\u2421") || "\u2205";
const cut = (token, length) => [...shown(token)].slice(0, length).join("");
const longest = (tokens) => Math.max(...tokens.map((token) => [...token].length));

// The language of a token, as far as its script says it; "" where it does not.
function language(token, others) {
  const kana = /[\p{Script=Hiragana}\p{Script=Katakana}]/u;
  if (/\p{Script=Hangul}/u.test(token)) return "ko";
  if (kana.test(token)) return "ja";
  if (!/\p{Script=Han}/u.test(token)) return "";
  return others.some((other) => kana.test(other)) ? "ja" : "zh";
}
const word = (token, others = [token]) =>
  html("span", { class: "token", dir: "auto", lang: language(token, others) }, shown(token));

// --- colours --------------------------------------------------------------------------------------

// The colours of cividis (Nuñez, Anderton and Renslow 2018), which look alike to colour-blind eyes,
// and those of Okabe and Ito (2008), which can be told apart.
const CIVIDIS = ["00224e", "123570", "3b496c", "575d6d", "707173", "8a8678", "a59c74", "c3b369",
  "e1cc55", "fee838"].map((code) => [0, 2, 4].map((at) => parseInt(code.slice(at, at + 2), 16)));
const OKABE_ITO = ["#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#999933",
  "#777777"];

function colour(value) {
  const place = within(value, 0, 1) * (CIVIDIS.length - 1);
  const low = Math.min(Math.floor(place), CIVIDIS.length - 2);
  return CIVIDIS[low].map((c, i) => Math.round(c + (CIVIDIS[low + 1][i] - c) * (place - low)));
}

// Black or white, whichever is easier to read on a colour.
function ink([red, green, blue]) {
  const linear = [red, green, blue].map((c) =>
    c <= 10 ? c / 3294 : ((c / 255 + 0.055) / 1.055) ** 2.4);
  return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] > 0.179 ? "#000" : "#fff";
}

const key = (colour) => html("i", { class: "key", style: `background: ${colour}` });
const bar = (value, kind = "") => html("span", { class: `bar ${kind}`, "aria-hidden": "true" },
  html("i", { style: `width: ${within(100 * value, 0, 100)}%` }));
