// The translators in plain JavaScript: greedy and beam search, and the trace that view.js draws.
// The models stand in recurrent.js and transformer.js, their tokens in text.js and subwords.js.
// Look first at `Model.trace`.
//
// Letters: T source tokens, H hidden, V vocabulary. A vector is a Float32Array.
"use strict";

const [BOS, EOS, UNK] = [1, 2, 3];
const SPECIALS = ["<pad>", "<bos>", "<eos>", "<unk>"];
const MODELS = {};
const modelOf = (given) => new MODELS[given.options.model](given);

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
  if (half !== undefined) {
    return { rows, columns, data: Float32Array.from(new Uint16Array(bytes(half)), float16) };
  }
  const [codes, scales] = [new Int8Array(bytes(int8)), new Float32Array(bytes(scale))];
  const value = (code, i) => code * scales[Math.floor(i / columns)];
  return { rows, columns, data: Float32Array.from(codes, value) };
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

// --- what both models share -----------------------------------------------------------------------

// A model has three methods more: `encode(ids)` gives a memory with `outputs`, one for each id, and
// the first `state`; `step(id, state, memory)` gives logP, weights (T) and the next state;
// `inside(memory, steps, ...)` gives the attention and the gates of a whole translation.
class Model {
  constructor({ options, source, target, scores, weights }) {
    this.options = options;
    this.words = [...SPECIALS, ...target];
    this.ids = new Map(source.map((token, i) => [token, i + SPECIALS.length]));
    const tokeniserOf = (kind, tokens, values) =>
      TOKENISERS[kind] || subwords(kind, tokens, new Float32Array(bytes(values)));
    const read = tokeniserOf(options.source_tokens, source, scores.source);
    const turkish = (text) => text.replace(/I/g, "ı").replace(/İ/g, "i");
    const small = (text) => (options.dotless ? turkish(text) : text).toLowerCase();
    const known = ["'", "’"].filter((c) => source.some((token) => token.includes(c)));
    const spelt = (text) => (known.length === 1 ? text.replace(/['’]/g, known[0]) : text);
    const asRead = (text) => (options.lower ? small(spelt(text)) : spelt(text));
    this.read = { ...read, tokenize: (text) => read.tokenize(asRead(text)) };
    this.write = tokeniserOf(options.target_tokens, target, scores.target);
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
        return choices.map((choice) =>
          ({ id: choice, parent: slot, sum: sum + next.logP[choice], state: next.state }));
      });
      reached.sort((a, b) => b.sum - a.sum); // stable: of equal ones the first
      const taken = reached.slice(0, left).map((one, slot) => ({ ...one, slot }));
      const row = (pick, empty) =>
        Array.from({ length: count }, (_, k) => (k < taken.length ? pick(taken[k]) : empty));
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
      alive = taken.filter(({ id, sum }) =>
        id !== EOS && length < limit && sum / penalty(limit) > best);
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

  // Where the words of a translation by subwords begin, and their texts; null without subwords.
  wordsOf(source, written, end) {
    if (!this.read.words && !this.write.words) return null;
    const words = (side, tokens) =>
      (side.words ? side.words(tokens) : { starts: [...tokens.keys()], texts: tokens });
    const { starts, texts } = words(this.write, written);
    return { source: words(this.read, source),
      target: { starts: [...starts, ...end.map(() => written.length)], texts: [...texts, ...end] } };
  }

  // What happened in one translation, as view.js draws it. `prefix`: tokens that it begins with.
  // Its `covered` takes many times longer than the rest: `cover` gives it.
  trace(sentence, { beam = 1, prefix = [] } = {}) {
    const source = this.read.tokenize(sentence);
    if (!source.length) throw new Error("Type a sentence first.");
    const known = source.map((token) => this.ids.get(token) ?? UNK);
    if (known.every((id) => id === UNK)) throw new Error("The model knows none of these words.");
    const memory = this.encode(known);
    const begin = prefix.map((token) => Math.max(this.words.indexOf(token), UNK));
    if (prefix.at(-1) === "<eos>") begin[begin.length - 1] = EOS;
    const { ids, record, ended } = this.search(memory, begin, beam);
    const steps = this.forced(memory, ids);
    const rows = steps.map((one) => one.weights);
    // An unknown word is copied: the source word that is looked at most.
    const target = ids.map((id, t) =>
      (id === UNK ? this.read.detokenize([source[largest(rows[t], 1)[0]]]) : this.words[id]));
    const written = target.slice(0, ids.at(-1) === EOS ? -1 : undefined);
    const best = steps.map((one) => largest(one.logP, 8));
    return {
      sentence,
      translation: this.write.detokenize(written),
      source,
      target,
      ...this.inside(memory, steps, source, target),
      probabilities: steps.map((one, t) => Math.exp(one.logP[ids[t]])),
      entropies: steps.map((one) => -one.logP.reduce((sum, x) => sum + Math.exp(x) * x, 0)),
      alternatives: best.map((places) => places.map((id) => this.words[id])),
      alternativeProbabilities: best.map((places, t) =>
        places.map((id) => Math.exp(steps[t].logP[id]))),
      covered: null,
      cover: () => this.covered(known, ids),
      words: this.wordsOf(source, written, target.slice(written.length)),
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
