// Text to tokens and back in plain JavaScript, as tokenize.py does it. Look first at `tokeniser`.
"use strict";

// Characters that only steer how a line is shown.
const STEERING = /[\u00ad\u061c\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u206f\ufeff]/gu;
const SPACE = /[\s\x1c-\x1f\x85]+/u;
const normalize = (text) =>
  text.replace(STEERING, "").normalize("NFC").split(SPACE).filter(Boolean).join(" ");

const UNSPACED = "\\u3005-\\u3007\\u3040-\\u30ff\\u3400-\\u4dbf\\u4e00-\\u9fff\\uf900-\\ufaff" +
  "\\u{20000}-\\u{3ffff}\\uff66-\\uff9f\\u0e00-\\u0eff\\u1000-\\u109f\\u1780-\\u17ff";
const WIDE = `[${UNSPACED}\\u3000-\\u303f\\uff00-\\uffef]`;
const [JOINED, APART] = ["\u203f", "\u2423"];
const TIGHT_LEFT = new Set(".,!?;:)]}%'’”…/—،؛؟।");
const TIGHT_RIGHT = new Set("([{‘“„¿¡$€£#@/—");

// What a token is. `\w` of Python is [\p{L}\p{N}_]; letters of `unspaced` are tokens of their own.
function pattern(unspaced) {
  const w = "[\\p{L}\\p{N}_]";
  const top = "[\\p{M}\\u200c\\u200d]";
  const letter = unspaced ? `(?![${unspaced}])${w}` : w;
  const run = `(?:${letter})+(?:${top}+(?:${letter})*)*`;
  const symbol = `[^\\p{L}\\p{N}_\\s](?:${top}|[\\u{1f3fb}-\\u{1f3ff}\\u{e0020}-\\u{e007f}])*`;
  const clitic = `['’](?:s|re|ve|ll|d|m)(?!${w})`;
  const joiner = `(?!${clitic})(?:['’-]|(?<=\\p{Nd})[.,:](?=\\p{Nd}))`;
  const kinds = [unspaced && `[${unspaced}]${top}*`, "(?:[A-Za-z]\\.){2,}",
    `(?<=${w}|${top})${clitic}`, `${run}(?:${joiner}${run})*`,
    "[\\u{1f1e6}-\\u{1f1ff}]{2}", `${symbol}(?:(?<=\\u200d)${symbol})*`];
  return new RegExp(kinds.filter(Boolean).join("|"), "gu");
}

const first = (text) => String.fromCodePoint(text.codePointAt(0));
const last = (text) => [...text].pop();
const inWord = (c) => /[\p{L}\p{N}\p{M}\u200c\u200d]/u.test(c);
const isWide = (c) => new RegExp(WIDE, "u").test(c);
const isWord = (text) => /[\p{L}\p{N}]/u.test(text);

// Whether a space usually stands between two tokens, from the end of one and the start of the next.
const USUAL = {
  word: (end, start) => !([end, start].some((c) => isWide(c) && !inWord(c)) ||
    TIGHT_RIGHT.has(end) || TIGHT_LEFT.has(start)),
  char: (end, start) => !(isWide(end) || isWide(start) || !(inWord(end) || inWord(start)) ||
    TIGHT_RIGHT.has(end) || TIGHT_LEFT.has(start)),
};

function usual(texts, apart) {
  const spaces = texts.map((text, i) => i > 0 && apart(last(texts[i - 1]), first(text)));
  let inside = false;
  for (let i = 1; i < texts.length; i += 1) {
    if (texts[i - 1] === '"') inside = !inside;
    if (inside && (texts[i - 1] === '"' || texts[i] === '"')) spaces[i] = false;
  }
  return spaces;
}
const joined = (texts, spaces) => texts.map((text, i) => (spaces[i] ? " " : "") + text).join("");

// The tokeniser where letters of `unspaced` are tokens of their own, and `apart` says whether a
// space is usual between two tokens. Where it is not as usual, a token is marked.
function tokeniser(unspaced, apart) {
  const tokens = pattern(unspaced);
  const isMark = (c) => c === JOINED || c === APART;

  function tokenize(given) {
    const text = normalize(given);
    const texts = text.match(tokens) || [];
    const expected = usual(texts, apart);
    if (![...text].some(isMark) && joined(texts, expected) === text) return texts;
    let at = 0;
    const spaces = texts.map((part) => {
      const start = text.indexOf(part, at);
      const space = start > at;
      at = start + part.length;
      return space;
    });
    const marks = [...spaces.map((space) => (space ? APART : JOINED)), JOINED];
    const front = texts.map((part) => isMark(first(part)));
    const end = texts.map((part) => isMark(last(part)));
    spaces.forEach((space, i) => {
      if (space === expected[i]) return;
      if (isWord(texts[i]) && !isWord(texts[i - 1])) end[i - 1] = true;
      else front[i] = true;
    });
    return texts.map((part, i) => (front[i] ? marks[i] : "") + part + (end[i] ? marks[i + 1] : ""));
  }

  // A token as its mark before it, its text and its mark after it.
  function unmarked(token) {
    const inner = [...token];
    const front = inner.length > 1 && isMark(inner[0]) ? inner.shift() : "";
    const end = inner.length > 1 && isMark(inner.at(-1)) ? inner.pop() : "";
    return [front, inner.join(""), end];
  }

  function detokenize(given) {
    const parts = given.filter(Boolean).map(unmarked);
    const texts = parts.map((part) => part[1]);
    const spaces = usual(texts, apart);
    for (let i = 1; i < parts.length; i += 1) {
      const mark = parts[i - 1][2] || parts[i][0];
      if (mark) spaces[i] = mark === APART;
    }
    return joined(texts, spaces);
  }
  return { tokenize, detokenize };
}

const TOKENISERS = {
  char: tokeniser(UNSPACED, USUAL.char),
  word: tokeniser("", USUAL.word),
  space: {
    tokenize: (text) => normalize(text).split(" ").filter(Boolean),
    detokenize: (tokens) => tokens.join(" "),
  },
};
