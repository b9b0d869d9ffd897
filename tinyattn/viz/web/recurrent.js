// The recurrent model, that of translator_rnn.py. Look first at `step`.
"use strict";

// Cells: each reads x and gives its new state and its gates.
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
    const [v, W, b] = ["v", "query.weight", "query.bias"].map((name) =>
      this.weights[`decoder.${name}`]);
    let query = score === "additive" ? linear(W, state, b) : state;
    if (score === "general") {
      const { rows, columns, data } = this.weights["decoder.weight"];
      query = new Float32Array(columns);
      for (let i = 0; i < rows; i += 1) {
        for (let j = 0; j < columns; j += 1) {
          query[j] += (state[i] * data[i * columns + j]) / Math.sqrt(rows);
        }
      }
    }
    const scores = memory.keys.map((key) => SCORES[score](query, key, { v }));
    const weights = logSoftmax(scores).map(Math.exp);
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

MODELS.rnn = Recurrent;
