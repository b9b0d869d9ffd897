// The Transformer, that of translator_transformer.py. Look first at `step`.
"use strict";

const plus = (x, y) => x.map((value, i) => value + y[i]);

class Transformer extends Model {
  linear(name, x) {
    return linear(this.weights[`${name}.weight`], x, this.weights[`${name}.bias`]);
  }

  // (x - mean) / deviation, times a weight, plus a bias.
  norm(name, x) {
    const [weight, bias] = ["weight", "bias"].map((end) => this.weights[`${name}.${end}`].data);
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
    const rows = (end, size) =>
      this.weights[`${name}.in_proj_${end}`].data.subarray(part * size, (part + 1) * size);
    const weight = { rows: H, columns: H, data: rows("weight", H * H) };
    return linear(weight, x, { data: rows("bias", H) });
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
      values.forEach((value, j) =>
        part(value).forEach((v, i) => { seen[head * D + i] += p[j] * v; }));
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
      const [keys, values] = [1, 2].map((part) =>
        y.map((one) => this.project(`${name}.attention`, part, one)));
      const found = y.map((one) => this.attend(`${name}.attention`, one, keys, values));
      x = x.map((one, t) => plus(one, found[t].seen));
      x = x.map((one) =>
        plus(one, this.feedForward(`${name}.feed_forward`, this.norm(`${name}.norm2`, one))));
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
        encoder: memory.looks.map((rows) =>
          heads.map((head) => rows.map((weights) => weights[head]))),
        decoder: decoder((look) => look.own.map(later)),
      },
      gates: [],
    };
  }
}

MODELS.transformer = Transformer;
