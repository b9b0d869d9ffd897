// The translators in plain JavaScript: text to tokens, greedy and beam search, the trace that view.js
// draws, and the two models, which are those of translator_rnn.py and translator_transformer.py. Look
// first at `Model.trace`, then at `Recurrent`.
//
// Letters: T source tokens, H hidden, V vocabulary. A vector is a Float32Array.
"use strict";

const [BOS, EOS, UNK] = [1, 2, 3];
const SPECIALS = ["<pad>", "<bos>", "<eos>", "<unk>"];

// --- text to tokens and back: tokenize.py in JavaScript -------------------------------------------

// Characters that only steer how a line is shown.
const STEERING = /[\u00ad\u061c\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u206f\ufeff]/gu;
const SPACE = /[\s\x1c-\x1f\x85]+/u;
const normalize = (text) =>
  text.replace(STEERING, "").normalize("NFC").split(SPACE).filter(Boolean).join(" ");

const UNSPACED = "\\u3005-\\u3007\\u3040-\\u30ff\\u3400-\\u4dbf\\u4e00-\\u9fff\\uf900-\\ufaff" +
  "\\u{20000}-\\u{3ffff}\\u0e00-\\u0eff\\u1000-\\u109f\\u1780-\\u17ff";
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

const TOKENISERS = Object.fromEntries(["char", "word"].map((name) => {
  const tokens = pattern(name === "char" ? UNSPACED : "");
  const tokenize = (given) => {
    const text = normalize(given);
    const texts = text.match(tokens) || [];
    const expected = usual(texts, USUAL[name]);
    if (!text.includes(JOINED) && !text.includes(APART) && joined(texts, expected) === text) return texts;
    let at = 0;
    const spaces = texts.map((part) => {
      const start = text.indexOf(part, at);
      const space = start > at;
      at = start + part.length;
      return space;
    });
    const marks = [...spaces.map((space) => (space ? APART : JOINED)), JOINED];
    const isMark = (c) => c === JOINED || c === APART;
    const front = texts.map((part) => isMark(first(part)));
    const end = texts.map((part) => isMark(last(part)));
    spaces.forEach((space, i) => {
      if (space === expected[i]) return;
      if (isWord(texts[i]) && !isWord(texts[i - 1])) end[i - 1] = true;
      else front[i] = true;
    });
    return texts.map((part, i) => (front[i] ? marks[i] : "") + part + (end[i] ? marks[i + 1] : ""));
  };
  const detokenize = (given) => {
    const parts = given.filter(Boolean).map((token) => {
      const mark = (c) => [...token].length > 1 && (c === JOINED || c === APART) ? c : "";
      const front = mark(first(token));
      const rest = token.slice(front.length);
      const end = [...rest].length > 1 && [JOINED, APART].includes(last(rest)) ? last(rest) : "";
      return [front, rest.slice(0, rest.length - end.length), end];
    });
    const texts = parts.map((part) => part[1]);
    const spaces = usual(texts, USUAL[name]);
    for (let i = 1; i < parts.length; i += 1) {
      const mark = parts[i - 1][2] || parts[i][0];
      if (mark) spaces[i] = mark === APART;
    }
    return joined(texts, spaces);
  };
  return [name, { tokenize, detokenize }];
}));
TOKENISERS.space = {
  tokenize: (text) => normalize(text).split(" ").filter(Boolean),
  detokenize: (tokens) => tokens.join(" "),
};

// --- numbers --------------------------------------------------------------------------------------

function bytes(text) {
  const raw = atob(text);
  const found = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i += 1) found[i] = raw.charCodeAt(i);
  return found.buffer;
}

// A number of 16 bits, IEEE 754: sign, 5 bits of exponent, 10 of fraction.
function float16(bits) {
  const [sign, exponent, fraction] = [bits >> 15 ? -1 : 1, (bits >> 10) & 31, bits & 1023];
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

// A weight as { rows, columns, data }; a vector has one row.
function unpack({ shape, float16: half, int8, scale }) {
  const columns = shape[shape.length - 1];
  const rows = shape.length > 1 ? shape[0] : 1;
  if (half !== undefined) return { rows, columns, data: Float32Array.from(new Uint16Array(bytes(half)), float16) };
  const [codes, scales] = [new Int8Array(bytes(int8)), new Float32Array(bytes(scale))];
  return { rows, columns, data: Float32Array.from(codes, (code, i) => code * scales[Math.floor(i / columns)]) };
}

// W x + b. Four sums run side by side, since each addition has to wait for the one before it.
function linear({ rows, columns, data }, x, bias = null) {
  const y = new Float32Array(rows);
  const even = columns - (columns % 4);
  for (let i = 0, at = 0; i < rows; i += 1, at += columns) {
    let a = bias ? bias.data[i] : 0;
    let b = 0;
    let c = 0;
    let d = 0;
    for (let j = 0; j < even; j += 4) {
      a += data[at + j] * x[j];
      b += data[at + j + 1] * x[j + 1];
      c += data[at + j + 2] * x[j + 2];
      d += data[at + j + 3] * x[j + 3];
    }
    for (let j = even; j < columns; j += 1) a += data[at + j] * x[j];
    y[i] = a + b + (c + d);
  }
  return y;
}

function dot(x, y) {
  let total = 0;
  for (let i = 0; i < x.length; i += 1) total += x[i] * y[i];
  return total;
}
const sigmoid = (x) => 1 / (1 + Math.exp(-x));
const size = (x) => Math.max(Math.sqrt(dot(x, x)), 1e-8);
const concatenated = (x, y) => {
  const both = new Float32Array(x.length + y.length);
  both.set(x);
  both.set(y, x.length);
  return both;
};
const average = (x) => x.reduce((a, b) => a + b, 0) / x.length;

function logSoftmax(x) {
  const most = x.reduce((a, b) => Math.max(a, b), -Infinity);
  let total = 0;
  for (const value of x) total += Math.exp(value - most);
  const log = most + Math.log(total);
  return x.map((value) => value - log);
}

// The places of the largest numbers, the largest first; of equal ones the first.
function largest(x, count) {
  const found = [];
  for (let place = 0; place < x.length; place += 1) {
    if (found.length === count && !(x[place] > x[found[count - 1]])) continue;
    let at = found.length;
    while (at > 0 && x[place] > x[found[at - 1]]) at -= 1;
    found.splice(at, 0, place);
    if (found.length > count) found.pop();
  }
  return found;
}

// --- cells: each reads x and gives its new state and its gates ------------------------------------

const CELLS = {
  gru(x, [h], [W, b, U, d]) {
    const H = h.length;
    const [inputs, before] = [linear(W, x, b), linear(U, h, d)];
    const [r, z, next] = [0, 0, 0].map(() => new Float32Array(H));
    for (let i = 0; i < H; i += 1) {
      r[i] = sigmoid(inputs[i] + before[i]);
      z[i] = sigmoid(inputs[H + i] + before[H + i]);
      next[i] = (1 - z[i]) * Math.tanh(inputs[2 * H + i] + r[i] * before[2 * H + i]) + z[i] * h[i];
    }
    return { state: [next], gates: { reset: r, update: z } };
  },
  lstm(x, [h, c], [W, b, U, d]) {
    const H = h.length;
    const [inputs, before] = [linear(W, x, b), linear(U, h, d)];
    const [input, forget, output, next, cell] = [0, 0, 0, 0, 0].map(() => new Float32Array(H));
    for (let i = 0; i < H; i += 1) {
      const gate = (k) => inputs[k * H + i] + before[k * H + i];
      [input[i], forget[i], output[i]] = [sigmoid(gate(0)), sigmoid(gate(1)), sigmoid(gate(3))];
      cell[i] = forget[i] * c[i] + input[i] * Math.tanh(gate(2));
      next[i] = output[i] * Math.tanh(cell[i]);
    }
    return { state: [next, cell], gates: { input, forget, output } };
  },
};

// How well a query fits a key: `weights` are those of the decoder.
const SCORES = {
  additive: (q, k, { v }) => {
    let total = 0;
    for (let i = 0; i < q.length; i += 1) total += v.data[i] * Math.tanh(q[i] + k[i]);
    return total;
  },
  dot,
  scaled_dot: (q, k) => dot(q, k) / Math.sqrt(q.length),
  general: dot, // the query is multiplied by the weight beforehand
  cosine: (q, k) => dot(q, k) / (size(q) * size(k) * 0.1),
  neg_sq_distance: (q, k) => (2 * dot(q, k) - dot(q, q) - dot(k, k)) * 0.2,
  geometric_mean: (q, k) => dot(q, k) / Math.sqrt(size(q) * size(k)),
  uniform: () => 0,
};

// --- what both models share -----------------------------------------------------------------------

// A model has three methods more: `encode(ids)` gives a memory with `outputs`, one for each id, and the
// first `state`; `step(id, state, memory)` gives logP, weights (T) and the next state; `inside(memory,
// steps, ...)` gives the attention and the gates of a whole translation.
class Model {
  constructor({ options, source, target, weights }) {
    this.options = options;
    this.words = [...SPECIALS, ...target];
    this.ids = new Map(source.map((token, i) => [token, i + SPECIALS.length]));
    this.read = TOKENISERS[options.source_tokens];
    this.write = TOKENISERS[options.target_tokens];
    this.weights = Object.fromEntries(Object.entries(weights).map(([name, x]) => [name, unpack(x)]));
  }

  embedding(name, id) {
    const { columns, data } = this.weights[`${name}.weight`];
    return data.subarray(id * columns, (id + 1) * columns);
  }

  // Beam search as in tinyattn.text.beam, with `count` slots a step and the score
  // log p / ((5 + L) / 6)^alpha; one slot is the greedy search. The ids of `prefix` come first.
  search(memory, prefix, count, alpha = 0.6) {
    const limit = 2 * memory.outputs.length + 50;
    const penalty = (length) => ((5 + length) / 6) ** alpha;
    const record = { tokens: [], parents: [], sums: [] };
    const ended = [];
    let left = count;
    let alive = [{ id: BOS, slot: 0, sum: 0, state: memory.state }];
    for (let length = 1; length <= limit && alive.length; length += 1) {
      const forced = prefix[length - 1];
      const reached = alive.flatMap(({ id, slot, sum, state }) => {
        const next = this.step(id, state, memory);
        const choices = forced === undefined
          ? largest(next.logP.subarray(EOS), count).map((place) => place + EOS) : [forced];
        return choices.map((choice) => ({ id: choice, parent: slot, sum: sum + next.logP[choice], state: next.state }));
      });
      reached.sort((a, b) => b.sum - a.sum); // stable: of equal ones the first
      const taken = reached.slice(0, left).map((one, slot) => ({ ...one, slot }));
      const row = (pick, empty) => Array.from({ length: count }, (_, k) => (k < taken.length ? pick(taken[k]) : empty));
      record.tokens.push(row((one) => one.id, -1));
      record.parents.push(row((one) => one.parent, -1));
      record.sums.push(row((one) => one.sum, 0));
      for (const { id, slot, sum } of taken) {
        if (id !== EOS && length < limit) continue;
        ended.push({ score: sum / penalty(length), step: length - 1, slot });
        left -= 1;
      }
      ended.sort((a, b) => b.score - a.score);
      const best = ended.length ? ended[0].score : -Infinity;
      alive = taken.filter((one) => one.id !== EOS && length < limit && one.sum / penalty(limit) > best);
    }
    const ids = [];
    for (let t = ended[0].step, k = ended[0].slot; t >= 0; k = record.parents[t][k], t -= 1) {
      ids.unshift(record.tokens[t][k]);
    }
    return { ids, record, ended };
  }

  // The probability of each id of a translation, with all that the decoder did for it.
  forced(memory, ids) {
    let { state } = memory;
    return ids.map((id, t) => {
      const found = this.step(t ? ids[t - 1] : BOS, state, memory);
      ({ state } = found);
      return found;
    });
  }

  // The probability of each id of a translation if one word of the source is hidden, for each word.
  covered(known, ids) {
    const columns = known.map((_, j) => {
      const without = this.encode(known.map((id, i) => (i === j ? UNK : id)));
      return this.forced(without, ids).map((one, t) => Math.exp(one.logP[ids[t]]));
    });
    return ids.map((_, t) => columns.map((column) => column[t]));
  }

  // What happened in one translation, as view.js draws it. `prefix`: tokens that it begins with.
  // Its `covered` takes many times longer than the rest: `cover` gives it.
  trace(sentence, { beam = 1, prefix = [] } = {}) {
    const source = this.read.tokenize(sentence);
    if (!source.length) throw new Error("Type a sentence first.");
    const known = source.map((token) => this.ids.get(token) ?? UNK);
    const memory = this.encode(known);
    const begin = prefix.map((token) => Math.max(this.words.indexOf(token), UNK));
    if (prefix.at(-1) === "<eos>") begin[begin.length - 1] = EOS;
    const { ids, record, ended } = this.search(memory, begin, beam);
    const steps = this.forced(memory, ids);
    const rows = steps.map((one) => one.weights);
    // An unknown word is copied: the source word that is looked at most.
    const target = ids.map((id, t) => (id === UNK ? source[largest(rows[t], 1)[0]] : this.words[id]));
    const end = ids[ids.length - 1] === EOS ? -1 : undefined;
    const best = steps.map((one) => largest(one.logP, 8));
    return {
      sentence,
      translation: this.write.detokenize(target.slice(0, end)),
      source,
      target,
      ...this.inside(memory, steps, source, target),
      probabilities: steps.map((one, t) => Math.exp(one.logP[ids[t]])),
      entropies: steps.map((one) => -one.logP.reduce((sum, x) => sum + Math.exp(x) * x, 0)),
      alternatives: best.map((places) => places.map((id) => this.words[id])),
      alternativeProbabilities: best.map((places, t) => places.map((id) => Math.exp(steps[t].logP[id]))),
      covered: null,
      cover: () => this.covered(known, ids),
      words: null, // a page has no subwords
      beam: beam === 1 ? null : {
        ...record,
        tokens: record.tokens.map((row) => row.map((id) => (id < 0 ? "" : this.words[id]))),
        score: ended.map((one) => one.score),
        step: ended.map((one) => one.step),
        slot: ended.map((one) => one.slot),
      },
    };
  }
}

// --- the recurrent model --------------------------------------------------------------------------

class Recurrent extends Model {
  // Everything of one cell of a stack: its weights and biases.
  cell(side, layer, direction) {
    return ["weight_ih", "bias_ih", "weight_hh", "bias_hh"].map((name) =>
      this.weights[`${side}.rnn.${name}_l${layer}${direction}`]);
  }

  // The encoder: an output for each id, the decoder's first state, and what the gates did.
  encode(ids) {
    const { cell, layers, bidirectional, hidden } = this.options;
    const directions = bidirectional ? ["", "_reverse"] : [""];
    let outputs = ids.map((id) => this.embedding("encoder.embedding", id));
    const [state, steps] = [[], []];
    for (let layer = 0; layer < layers; layer += 1) {
      const parts = directions.map((direction) => {
        const weights = this.cell("encoder", layer, direction);
        let now = [0, 0].map(() => new Float32Array(hidden / directions.length));
        const found = [];
        for (const x of direction ? [...outputs].reverse() : outputs) {
          const read = CELLS[cell](x, now, weights);
          found.push({ ...read, before: now });
          now = read.state;
        }
        const name = `encoder, layer ${layer + 1}` +
          (bidirectional ? (direction ? ", backwards" : ", forwards") : "");
        if (direction) found.reverse(); // from here on in the order of the tokens
        steps.push({ name, read: found });
        return { found, end: now };
      });
      const both = (pick) => parts.map(pick).reduce(concatenated);
      outputs = ids.map((_, t) => both((part) => part.found[t].state[0]));
      state.push(parts[0].end.map((_, i) => both((part) => part.end[i])));
    }
    return { outputs, keys: outputs.map((x) => this.key(x)), state, steps };
  }

  key(x) {
    return this.options.score === "additive" ? linear(this.weights["decoder.key.weight"], x) : x;
  }

  // The weights of the source tokens, and the context: their mean with these weights.
  attend(state, memory) {
    const { score } = this.options;
    let query = state;
    const v = this.weights["decoder.v"];
    if (score === "additive") {
      query = linear(this.weights["decoder.query.weight"], state, this.weights["decoder.query.bias"]);
    } else if (score === "general") {
      const { rows, columns, data } = this.weights["decoder.weight"];
      query = new Float32Array(columns);
      for (let i = 0; i < rows; i += 1) {
        for (let j = 0; j < columns; j += 1) query[j] += (state[i] * data[i * columns + j]) / Math.sqrt(rows);
      }
    }
    const weights = logSoftmax(memory.keys.map((key) => SCORES[score](query, key, { v }))).map(Math.exp);
    const context = new Float32Array(state.length);
    memory.outputs.forEach((x, j) => x.forEach((value, i) => { context[i] += weights[j] * value; }));
    return { weights, context };
  }

  // One step of the decoder: it reads a token, and says how probable each next one is.
  step(id, state, memory) {
    const { cell, query } = this.options;
    let x = this.embedding("decoder.embedding", id);
    let seen = null;
    if (query === "before") {
      seen = this.attend(state[state.length - 1][0], memory);
      x = concatenated(x, seen.context);
    }
    const read = state.map((before, layer) => {
      const found = CELLS[cell](x, before, this.cell("decoder", layer, ""));
      [x] = found.state;
      return { ...found, before };
    });
    if (query === "after") seen = this.attend(x, memory);
    const scores = linear(this.weights["decoder.out.weight"], concatenated(x, seen.context),
      this.weights["decoder.out.bias"]);
    return { logP: logSoftmax(Float64Array.from(scores)), weights: seen.weights,
      state: read.map((one) => one.state), read };
  }

  inside(memory, steps, source, target) {
    const read = ["<bos>", ...target.slice(0, -1)];
    return {
      attention: { cross: [[steps.map((one) => one.weights)]] },
      gates: [
        ...memory.steps.map((one) => chartOf(one.name, source, one.read)),
        ...memory.state.map((_, layer) =>
          chartOf(`decoder, layer ${layer + 1}`, read, steps.map((one) => one.read[layer]))),
      ],
    };
  }
}

// The mean of each gate over its units at each token, and of the change of the state.
function chartOf(name, tokens, read) {
  const lines = Object.fromEntries(Object.keys(read[0].gates).map((gate) =>
    [gate, read.map((one) => average(one.gates[gate]))]));
  lines.change = read.map(({ state, before }) =>
    average(state[0].map((value, i) => Math.abs(value - before[0][i]))));
  return { name, tokens, lines };
}

// --- the Transformer ------------------------------------------------------------------------------

class Transformer extends Model {
  linear(name, x) {
    return linear(this.weights[`${name}.weight`], x, this.weights[`${name}.bias`]);
  }

  // (x - mean) / deviation, times a weight, plus a bias.
  norm(name, x) {
    const [{ data: weight }, { data: bias }] = [this.weights[`${name}.weight`], this.weights[`${name}.bias`]];
    const middle = average(x);
    const deviation = Math.sqrt(average(x.map((value) => (value - middle) ** 2)) + 1e-5);
    return x.map((value, i) => ((value - middle) / deviation) * weight[i] + bias[i]);
  }

  // The vector of an id at its place in the sentence, which sines and cosines say.
  placed(name, id, t) {
    const H = this.options.hidden;
    return this.embedding(name, id).map((value, i) => {
      const turn = t * 10000 ** (-(i - (i % 2)) / H);
      return value + (i % 2 ? Math.cos(turn) : Math.sin(turn));
    });
  }

  // Queries (part 0), keys (1) or values (2) of all heads.
  project(name, part, x) {
    const H = this.options.hidden;
    const [weight, bias] = ["weight", "bias"].map((end) => this.weights[`${name}.in_proj_${end}`].data);
    const rows = { rows: H, columns: H, data: weight.subarray(part * H * H, (part + 1) * H * H) };
    return linear(rows, x, { data: bias.subarray(part * H, (part + 1) * H) });
  }

  // What a vector sees of keys and values, and the weights of each head.
  attend(name, x, keys, values) {
    const { hidden: H, heads } = this.options;
    const D = H / heads;
    const query = this.project(name, 0, x);
    const seen = new Float32Array(H);
    const weights = Array.from({ length: heads }, (_, head) => {
      const part = (vector) => vector.subarray(head * D, (head + 1) * D);
      const scores = keys.map((key) => dot(part(query), part(key)) / Math.sqrt(D));
      const p = logSoftmax(scores).map(Math.exp);
      values.forEach((value, j) => part(value).forEach((v, i) => { seen[head * D + i] += p[j] * v; }));
      return p;
    });
    return { seen: this.linear(`${name}.out_proj`, seen), weights };
  }

  feedForward(name, x) {
    const wide = this.linear(`${name}.0`, x).map((value) => Math.max(value, 0));
    return this.linear(`${name}.3`, wide);
  }

  encode(ids) {
    const layers = Array.from({ length: this.options.layers }, (_, layer) => layer);
    let x = ids.map((id, t) => this.placed("source_embedding", id, t));
    const looks = layers.map((layer) => {
      const name = `encoder.${layer}`;
      const y = x.map((one) => this.norm(`${name}.norm1`, one));
      const [keys, values] = [1, 2].map((part) => y.map((one) => this.project(`${name}.attention`, part, one)));
      const found = y.map((one) => this.attend(`${name}.attention`, one, keys, values));
      x = x.map((one, t) => plus(one, found[t].seen));
      x = x.map((one) => plus(one, this.feedForward(`${name}.feed_forward`, this.norm(`${name}.norm2`, one))));
      return found.map((one) => one.weights);
    });
    const outputs = x.map((one) => this.norm("encoder_norm", one));
    const memory = layers.map((layer) => [1, 2].map((part) =>
      outputs.map((one) => this.project(`decoder.${layer}.source_attention`, part, one))));
    return { outputs, looks, memory, state: layers.map(() => [[], []]) };
  }

  // The state holds the keys and values of the tokens before, for each layer.
  step(id, state, { memory }) {
    let x = this.placed("target_embedding", id, state[0][0].length);
    const looks = [];
    const next = state.map((before, layer) => {
      const name = `decoder.${layer}`;
      let y = this.norm(`${name}.norm1`, x);
      const own = before.map((all, i) => [...all, this.project(`${name}.attention`, i + 1, y)]);
      const toOwn = this.attend(`${name}.attention`, y, ...own);
      x = plus(x, toOwn.seen);
      y = this.norm(`${name}.norm2`, x);
      const toSource = this.attend(`${name}.source_attention`, y, ...memory[layer]);
      x = plus(x, toSource.seen);
      x = plus(x, this.feedForward(`${name}.feed_forward`, this.norm(`${name}.norm3`, x)));
      looks.push({ own: toOwn.weights, source: toSource.weights });
      return own;
    });
    const scores = this.linear("out", this.norm("decoder_norm", x));
    const { source } = looks[looks.length - 1];
    const weights = source[0].map((_, j) => average(source.map((head) => head[j])));
    return { logP: logSoftmax(Float64Array.from(scores)), weights, state: next, looks };
  }

  inside(memory, steps) {
    const heads = Array.from({ length: this.options.heads }, (_, head) => head);
    const later = (row) => [...row, ...Array(steps.length - row.length).fill(0)];
    const decoder = (pick) => memory.memory.map((_, layer) =>
      heads.map((head) => steps.map((one) => pick(one.looks[layer])[head])));
    return {
      attention: {
        cross: decoder((look) => look.source),
        encoder: memory.looks.map((rows) => heads.map((head) => rows.map((weights) => weights[head]))),
        decoder: decoder((look) => look.own.map(later)),
      },
      gates: [],
    };
  }
}

const plus = (x, y) => x.map((value, i) => value + y[i]);
const modelOf = (given) =>
  (given.options.model === "transformer" ? new Transformer(given) : new Recurrent(given));

if (typeof module !== "undefined") module.exports = { modelOf, TOKENISERS, float16 };
