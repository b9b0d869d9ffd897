"""Faults that change no result, by file and part of their names, each with the reason."""

FASTER = "a faster way to the same result"
ONES = "both arrays are ones here"
SUMMED = "the engine sums over the axes that are left"
COPIED = "an array is copied that need not be"
ZERO = "what is left out is 0 there"
CUT = "how work is cut, not what is done"
LANES = "lanes without a row, which nobody reads; .ci/sanitize sees what is read beyond"
OUTSIDE = "memory outside its room, which .ci/sanitize sees, tests by chance"
ONE = "the same for one thread; tests/kernels/test_threads.py has more of them"

EQUIVALENT = {
    ("ops/attention.py", "_as_heads: wrong condition: q.ndim == 4", ""): FASTER,
    ("ops/attention.py", "_as_heads: never: q.ndim == 4", ""): FASTER,
    ("ops/attention.py", "_as_four: never: x.ndim == 4", ""): FASTER,
    ("ops/elementwise.py", "Clamp.backward: swapped", "[inside, above, below]"): "both are False",
    ("ops/elementwise.py", "TruncDiv.backward: factor", ""): "the gradient is 0",
    ("ops/losses.py", "CrossEntropy.backward: wrong branch", "-> (dx * grad)"): FASTER,
    ("ops/normalising.py", "_turned: wrong branch", "-> (x.swapaxes(axis, -1))"): FASTER,
    ("ops/normalising.py", "_turned: flipped sign: x.ndim - 1", ""): FASTER,
    ("ops/normalising.py", "_turned: dropped term: x.ndim - 1", ""): FASTER,
    ("ops/products.py", "MatMul.backward: never: b.ndim == 2", ""): FASTER,
    ("ops/products.py", "MatMul.backward: never: a.shape[:-2] ==", ""): FASTER,
    ("ops/recurrent.py", "Layer.before: never: len(self.sizes) == 1", ""): FASTER,
    ("ops/scores.py", "AdditiveScores._three: never: len(batch) == 1", ""): FASTER,
    ("ops/reductions.py", "Norm.backward: wrong branch", "-> (np.power(ratio"): FASTER,
    ("ops/reductions.py", "Prod.backward: swapped: before, after", ""): ONES,
    ("ops/indexing.py", "SetItem.backward: flipped sign", "((self.ndim) + (dv.ndim))"): SUMMED,
    ("ops/indexing.py", "SetItem.backward: dropped term", "-> (self.ndim)"): SUMMED,
    ("ops/indexing.py", "Gather.picked: wrong branch: n if i != self.axis", "-> (None)"): SUMMED,
    ("ops/convolution.py", "by_group: swapped: F, D, K -> [F, K, D]", ""): "only D K is used",
    ("reference/attention.py", "_weight_gradients: always: dropout_p", ""): "nothing is dropped",
    ("reference/cross_entropy.py", "wrong branch: label_smoothing / V", "/ V)"): "no rows",
    ("reference/cross_entropy.py", "always: label_smoothing", ""): ZERO,
    ("jit/embedding.py", "wrong branch: 1 if alone", ""): CUT,
    ("additive.c", "additive_grad_part: never: if (h + LANES <= end)", ""): FASTER,
    ("additive.c", "additive_backward: wrong branch: chunks", ""): CUT,
    ("attention.c", "transpose_queries: wrong operator", "m->nq + i"): LANES,
    ("attention.c", "read_mask: wrong operator", "m->nq + i"): LANES,
    ("attention.c", "prepare_backward: first step lost: for (long i = m->nq", ""): LANES,
    ("attention.c", "sum_over_keys: never: if (m->all->causal)", ""): ZERO,
    ("attention.c", "sum_over_keys: wrong operator", "rows + m->k0"): ZERO,
    ("attention.c", "scores: wrong operator", "m->nk + 1"): FASTER,
    ("attention.c", "high_product: wrong operator", "odd"): "float32's, which is not built",
    ("attention.c", "make_room: wrong branch: const long panel", ""): OUTSIDE,
    ("attention.c", "make_room: wrong operator", ".change = at - 2"): OUTSIDE,
    ("attention.c", "make_room: wrong operator", "at - KB * QB"): "room of what comes later",
    ("attention.c", "make_room: never: if (few)", ""): FASTER,
    ("attention.c", "piece_begin: wrong operator", "blocks * piece * job"): CUT,
    ("attention.c", "attention_backward: never: if (heads < PIECES)", ""): CUT,
    ("embedding.c", "embedding_backward: first step lost", "v = 2 + 1"): "start[1] is 0",
    ("embedding.c", "embedding_backward: wrong branch: ta_parallel", ""): CUT,
    ("layer_norm.c", "layer_norm_backward: wrong branch: chunks", ""): CUT,
    ("recurrent.h", "backward_columns: wrong operator", "* parts"): ONE,
    ("jit/attention.py", "run_backward: always: p > 0", ""): FASTER,
    ("jit/attention.py", "_added: wrong branch", "-> (slice(None))"): FASTER,
    ("jit/cross_entropy.py", "row: always: smoothing", ""): ZERO,
    ("jit/cross_entropy.py", "row: never: not smoothing", ""): FASTER,
    ("jit/cross_entropy.py", "cross_entropy: wrong condition: logits.size", ""): CUT,
    ("jit/gru.py", "backward: flipped sign: B + rows - 1", ""): CUT,
    ("jit/gru.py", "backward: dropped term: B + rows - 1 -> (B + rows)", ""): CUT,
    ("jit/lstm.py", "backward: flipped sign: B + rows - 1", ""): CUT,
    ("jit/lstm.py", "backward: dropped term: B + rows - 1 -> (B + rows)", ""): CUT,
    ("jit/layer_norm.py", "backward: flipped sign: N + BLOCK - 1", ""): CUT,
    ("jit/layer_norm.py", "backward: dropped term: N + BLOCK - 1 -> (N + BLOCK)", ""): CUT,
    ("jit/layer_norm.py", "layer_norm_backward: wrong condition: x.size < SMALL", ""): CUT,
    ("jit/softmax.py", "softmax_backward: wrong condition: y.size < SMALL", ""): CUT,
    ("jit/additive.py", "backward: flipped sign: H + COLUMNS - 1", ""): CUT,
    ("jit/additive.py", "backward: dropped term: H + COLUMNS - 1 -> (H + COLUMNS)", ""): CUT,
    ("jit/additive.py", "additive_backward: dropped factor: grad.size", ""): CUT,
    ("jit/additive.py", "additive_backward: wrong condition: grad.size", ""): CUT,
    ("engine.py", "_Pending.add: never: fresh", ""): COPIED,
    ("engine.py", "_Pending.add: never: (node, index) in self.owned", ""): COPIED,
    ("engine.py", "_special: always: (node, index) not in self.owned", ""): COPIED,
    ("function.py", "RowSum.value: never: len(self.parts) == 1", ""): FASTER,
    ("function.py", "RowSum.value: dropped term", "-> (-(2))"): "the same axis",
    ("function.py", "Function.placed: never: self.edges", ""): FASTER,
    ("storage.py", "accumulate: always: not (owned", ""): COPIED,
}


def reason(name: str) -> str | None:
    """Why the fault of this name changes nothing; None if it should."""
    for parts, why in EQUIVALENT.items():
        if all(part in name for part in parts):
            return why
    return None
