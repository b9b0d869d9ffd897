// Subwords in plain JavaScript: text is cut into the pieces of a model as sentencepiece cuts it
// (Kudo and Richardson 2018, arXiv:1808.06226), and shown by words. Look first at `subwords`.
"use strict";

const SPACE_MARK = "\u2581"; // in a piece it stands for the space before a word
const LOOKS_LIKE_IT = "\uf8ff"; // stands in a piece for a character of the text that is SPACE_MARK
const UNKNOWN_COSTS = 10; // so much more than the rarest piece
const BYTE = /^<0x[0-9A-F]{2}>$/; // a piece for one byte of a character that is no piece

// The bytes of a piece, and text from bytes: a byte that belongs to no character becomes U+FFFD.
const bytesOf = (piece) =>
  (BYTE.test(piece) ? [parseInt(piece.slice(1, -1), 16)] : [...new TextEncoder().encode(piece)]);
function textOf(bytes) {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let text = "";
  for (let at = 0; at < bytes.length;) {
    const length = [0xf0, 0xe0, 0xc0].findIndex((least) => bytes[at] >= least);
    const character = bytes.slice(at, at + (length < 0 ? 1 : 4 - length));
    try {
      text += decoder.decode(Uint8Array.from(character));
      at += character.length;
    } catch {
      text += "\ufffd";
      at += 1;
    }
  }
  return text;
}

// How characters become pieces, of which `scores` tells the scores.
const CUTS = {
  // The pieces with the largest sum of scores (Kudo 2018, arXiv:1804.10959), by Viterbi's algorithm:
  // best[end] is the best way to cut the characters before `end`. sentencepiece adds in float32.
  unigram(scores) {
    const longest = Math.max(...[...scores.keys()].map((piece) => [...piece].length));
    const unknown = Math.min(...scores.values()) - UNKNOWN_COSTS;
    return (characters) => {
      const best = [{ score: 0 }];
      for (let start = 0; start < characters.length; start += 1) {
        for (let end = start + 1; end <= Math.min(start + longest, characters.length); end += 1) {
          const piece = characters.slice(start, end).join("");
          const own = scores.get(piece) ?? (end === start + 1 ? unknown : -Infinity);
          const score = best[start].score + own;
          if (score > (best[end]?.score ?? -Infinity)) {
            best[end] = { score: Math.fround(score), start, piece };
          }
        }
      }
      const pieces = [];
      for (let end = characters.length; end > 0; end = best[end].start) {
        pieces.unshift(best[end].piece);
      }
      return pieces;
    };
  },

  // Two neighbours that are a piece together become one, those with the highest score first
  // (Sennrich, Haddow and Birch 2016, arXiv:1508.07909).
  bpe: (scores) => (characters) => {
    const pieces = [...characters];
    for (;;) {
      const pairs = pieces.slice(1).map((right, i) => scores.get(pieces[i] + right) ?? -Infinity);
      const most = pairs.reduce((a, b) => Math.max(a, b), -Infinity);
      if (most === -Infinity) return pieces;
      const at = pairs.indexOf(most);
      pieces.splice(at, 2, pieces[at] + pieces[at + 1]);
    }
  },
};

// A tokeniser, as those of text.js, and where words begin among its pieces.
function subwords(kind, pieces, values) {
  const scored = pieces.map((piece, i) => [piece, values[i]]);
  const scores = new Map(scored.filter(([piece]) => !BYTE.test(piece)));
  const cut = CUTS[kind](scores);

  function tokenize(given) {
    const text = normalize(given).replaceAll(SPACE_MARK, LOOKS_LIKE_IT);
    const characters = text ? [...(SPACE_MARK + text.replaceAll(" ", SPACE_MARK))] : [];
    return cut(characters).flatMap((piece) => (scores.has(piece) ? [piece]
      : bytesOf(piece).map((byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`)));
  }

  const detokenize = (given) => normalize(textOf(given.flatMap(bytesOf)).replaceAll(SPACE_MARK, " "))
    .replaceAll(LOOKS_LIKE_IT, SPACE_MARK);

  function words(tokens) {
    const joins = (c) => c === "<" || c === ">" || (/[\p{L}\p{N}]/u.test(c) && !isWide(c));
    const starts = [...tokens.keys()].filter((place) => place === 0 ||
      (tokens[place - 1] !== SPACE_MARK &&
        !(joins(last(tokens[place - 1])) && joins(first(tokens[place])))));
    const texts = starts.map((start, i) => detokenize(tokens.slice(start, starts[i + 1])));
    return { starts, texts };
  }
  return { tokenize, detokenize, words };
}
