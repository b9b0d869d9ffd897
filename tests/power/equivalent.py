"""The faults that change no result, each with its reason: look at EQUIVALENT.

An entry is a function and a fault's text: "kind: old code -> new code", or "kind: old code" for
whatever the new code is; "..." stands for any text. Variables stand for any names (equal ones for
equal ones), so that an entry outlives a new name of a variable, and moving a function to another
file. What is compared as it stands: a variable that is the whole old code or stands in backquotes,
the names of operations, functions and attributes, and all of a fault that exchanges names or
changes a default, for another name is another fault there.
"""

import keyword
import re
from functools import cache

from tests.power.source import Mutant

FASTER = "a faster way to the same result"
ONES = "both arrays are ones here"
SUMMED = "the engine sums over the axes that are left"
COPIED = "an array is copied that need not be"
ZERO = "what is left out is 0 there"
CUT = "how work is cut, not what is done"
LANES = "these lanes have no row, so nothing reads them; .ci/sanitize sees reads beyond an array"
OUTSIDE = "memory outside its room, which .ci/sanitize sees and tests see by chance"
PAIRED = "both are None, or none is"
IMPORTED = "it runs once, before a fault can be put in"
INT64 = "NumPy's own integer where the tests run"
ONE = "the same for one thread; tests/kernels/test_threads.py runs several"
UNUSED = "an argument of PyTorch that means nothing here"
REFUSED = "others refuse another device, too"
RESTORED = "what a sum lacks is what rounding has lost, and is added in the end"
LONGER = "more bytes for the same number"
RARE = "one seed in 10^18"
WHOLE = "a small whole number stays the same"
NOUGHT = "0 times it is 0"
TINY = "a thousandth of what rounding has lost"
KEPT_ROOM = "how long memory is kept for the next call"
NO_MEMORY = "only where memory is short"
NO_FMA = "nothing is fused here; where it can be, tests/kernels/test_elementwise.py sees it"
ENDING = "only how long a process is waited for, and what ends it"
OTHERS_REFUSE = {"argument dropped: unset(... -> ..., dtype=dtype)": REFUSED}
KEPT_MEMORY = "where a result lies, not what it is"
LAST_HOWEVER = "the last axis, however it is counted"
EITHER_TERM = "a sum of two is the same from both sides"
EITHER_FACTOR = "a product of two is the same from both sides"
EITHER = "whether two differ is the same from both sides"
ANY_NEGATIVE = "NumPy takes any negative number for -1"
INSTANT = "no clock shows just this number"
SINGLE = "float32 alone has it, which is not built here; tests/ops compare it with float64"
KERNELS_LOOK = "the kernels find the index, too"
VNNI = "only AVX-512 VNNI reads it, which is not built here; .ci/run tests every instruction set"
VECTORS = "only other instruction sets run it, which .ci/run tests"
SCRATCH = "room of more than 16 MB waits for the next call, which frees or uses it"
UTF8 = "UTF-8 is the default where the tests run"
ASCII = "what is read or written is ASCII"
AS_GOOD = "other random numbers, which are as good"
OTHER_ROW = "the last row of the table is of another kind"
NO_OBJECT = "without an object, both places of 了 are the same"
CHANGES_TOO = "it changes when the value does"
LAST_STEP = "the last step is a leaf, which has no inputs and saves nothing"
LAST_AXIS = "axis 1 is the last one"
HINT = "a hint that saves work"
NOT_USED = "the weights of attention are computed, and not used"
NO_GRADIENT = "it raises: there is no gradient"
NO_KEY_0 = "the keys of hooks are counted from 1"
MEET = "both formulas give 0 there"
COMPILER = "what Numba compiles, which does not run here; the same tests run it compiled"
ROOM = "more room than is used"
TOTALS = "when the sum of some terms moves to its total, of the same type here"
INFINITE = "it is infinite"
INFERRED = "for Numba, which infers the type of an index twice"
BOTH_ZEROS = "both are zeros here"
EMPTY = "both are empty here"
WIDER = "what it is added to, multiplied or divided by is a float64"
NOT_NONE = "only whether it is 0 counts"
SMALL_WHOLE = "a whole number below 1000, which becomes a whole number again"
DIVIDED = "a factor of the total, too, which divides it"
SYMMETRIC = {"order exchanged: input, target": "a distance is the same from both sides"}

EQUIVALENT: dict[str, dict[str, str]] = {
    "Unbind.backward": {"never: len(given) == len(grads) -> ...": FASTER},
    "ScaledDotProductAttention._as_heads": {
        "wrong condition: q.ndim == 4": FASTER,
        "never: q.ndim == 4 and q.shape[:2] == ...": FASTER,
        "wrong branch: ... -> (np.broadcast_to(...": FASTER,
    },
    "elementwise._few": {
        "swapped: ...": FASTER,
        "wrong condition: y.shape == x.shape": FASTER,
        "never: not same or ...": FASTER,
        "always: not same or ...": FASTER,
        "wrong condition: x.size <= _SMALL": FASTER,
        "wrong condition: math.prod(...": FASTER,
        "wrong condition: x.nbytes < LARGE": FASTER,
    },
    "written_straight": {"inverted: few(x.size)": FASTER},
    "check_in_place": {
        "condition flipped: working and local.recorder": FASTER,
        "comparison flipped: base is None": "the check finds nothing there",
    },
    "_check_place": {"order exchanged: target, base": "whether one of them is on the tape"},
    "_write_few": {"comparison flipped: type(y) is not np.ndarray": FASTER},
    "_keep_overwritten": {
        "last one lost: node.watched.items()": "the last one is the result, which nobody else has"
    },
    "zero_": {"inverted: few(input._array.size)": FASTER},
    "C.set_up": {
        "never: if (op == TA_mul ...": FASTER,
        "factor 1.001: job->shape[0] = count;": "nothing goes beyond count",
        "factor 37: job->shape[0] = count;": "nothing goes beyond count",
        "factor 1.001: job->steps[k][0] = size;": WHOLE,
    },
    "C.normal": {"wrong operator: return splat((real)0.5) ...": SINGLE},
    "C.side_by_side": {
        "never: if (!step)": FASTER,
        "never: else if (step == size)": FASTER,
    },
    "C.next_block": {"wrong operator: ... -> ...FN(BLOCK) / row + row...": CUT},
    "C.elementwise_part": {
        "never: if (input->dense)": FASTER,
        "factor -1: `filled`[k] = ...": FASTER,
        "factor 1.001: `filled`[k] = ...": "at most 512, so that the product rounds down to it",
        "factor 37: `filled`[k] = ...": "no later block is longer",
    },
    "C.join_axes": {"never: if (size == 1) continue;": FASTER},
    "C.add_scaled": {"without unfused: ...": NO_FMA},
    "C.pow_backward_exponent": {
        "factor: ... -> ...splat((real)1.001) * FN(magnitude)(c) < ...": (
            "0 to any power is 0, 1, infinite or NaN"
        ),
    },
    "C.powers_of_floats": {
        f"{kind}: ...": SINGLE
        for kind in (
            "first step lost",
            "never",
            "wrong operator",
            "factor -1",
            "factor 1.001",
            "factor 37",
            "wrong branch",
        )
    },
    "C.whole_powers": {
        "factor -1: low[i] = rest[i] = 0;": NOUGHT,
        "factor 1.001: low[i] = rest[i] = 0;": NOUGHT,
        "factor 37: low[i] = rest[i] = 0;": NOUGHT,
        "factor 1.001: `rest`[i] = ...": TINY,
        "factor 1.001: `low`[i] = (...": TINY,
        "wrong operator: `base`[i] = high + more;": "the sum of both parts stays the same",
    },
    "C.loop_cube": {
        "factor -1: out[i] = (real)...": SINGLE,
        "factor 1.001: out[i] = (real)...": SINGLE,
        "factor 37: out[i] = (real)...": SINGLE,
        "wrong operator: out[i] = (real)...": SINGLE,
    },
    "C.embedding_part": {"never: if (count < 2) {": FASTER},
    "C.topk_part": {
        "never: if (n <= MOST_K && ...": FASTER,
        "wrong operator: if (n <= MOST_K && ...": FASTER,
        "never: else if (job->C == 1)": FASTER,
    },
    "C.first_largest": {
        "never: if (step == 1 && ...": FASTER,
        "wrong operator: if (step == 1 && ...": FASTER,
    },
    "C.prod_part": {"never: if (C == 1) {": FASTER},
    "C.walks": {"wrong operator: ... -> ... (A + LINES + 1) ...": "one more, without a line"},
    "C.walk_units": {
        "never: if (!before) {": NO_MEMORY,
        "never: else if (lines == LINES)": FASTER,
    },
    "C.running_part": {"never: else if (lines == LINES)": FASTER},
    "C.uniform_part": {"factor 1.001: out[k] = (float)(int32_t)(...": SINGLE},
    "C.ta_stop": {
        "factor 1.001: rest[0] = ...": WHOLE,
        "factor 1.001: rest[1] = ...": WHOLE,
    },
    "C.nll_loss": {"factor 1.001: losses[n] = weights[n] = 0;": NOUGHT},
    "C.ta_reduction_shape": {"wrong branch: ... -> ... ? `pieces` : most;": CUT},
    "C.row_total_of": {
        "never: if (n < 2 * WIDE && ...": FASTER,
        "wrong operator: if (n < 2 * WIDE && ...": FASTER,
        "wrong operator: wide m = mean - (wide){0}, ...": "plus 0 or minus 0",
        "first step lost: for (long `lane` = 0; ...": "the first lane has a number",
    },
    "C.sum_few_rows": {
        "first step lost: ...": SINGLE,
        "never: ...": SINGLE,
        "wrong operator: ...": SINGLE,
    },
    "C.reduce_unit": {"never: if (job->shape.C == 1) ...": FASTER},
    "C.reduce_short": {"never: if (count == WIDE)": FASTER},
    "C.units_part": {
        "never: if (job->shape.C == 1 && ...": FASTER,
        "wrong operator: if (job->shape.C == 1 && ...": FASTER,
        "never: if (few)": FASTER,
    },
    "C.reduce": {"never: if (totals) ta_scratch_done(...": KEPT_ROOM},
    "C.centring_part": {"never: if (C == 1)": FASTER},
    "C.next_sum": {
        "flipped sign: return (real)(...": SINGLE,
        "overwrites: return (real)(...": SINGLE,
    },
    "C.cumsum_piece": {"never: if (width == 1) {": FASTER},
    "C.cumsum": {"never: if (s->pieces == 1) {": FASTER},
    "C.softmax_rows": {
        "wrong operator: else if (n <= ...": FASTER,
        "never: else if (n <= 4 * LANES)": FASTER,
    },
    "C.sum_of_lanes": {
        "first step lost: ...": SINGLE,
        "flipped sign: ...": SINGLE,
        "overwrites: ...": SINGLE,
    },
    "topk_of_few": {
        "factor 1.001: store(...": "a small whole number, as the bits of a float, stays the same",
        "factor 1.001: `at`[...": "i is below 64, so that the product rounds down to it",
    },
    "loop_inverse_root": {
        f"{kind}: ...": SINGLE
        for kind in (
            "first step lost",
            "wrong operator",
            "factor -1",
            "factor 1.001",
            "factor 37",
            "wrong branch",
        )
    },
    "_many": {
        "wrong condition: x.shape == y.shape": FASTER,
        "wrong condition: np.size(...": FASTER,
        "wrong condition: math.prod(...": FASTER,
    },
    "chosen": {"never: not (_many(...": FASTER, "always: not (_many(...": FASTER},
    "Reduction.spread": {"wrong branch: ... -> (y.reshape(self.how.kept))": FASTER},
    "_as_four": {"never: x.ndim == 4": FASTER},
    "Clamp.backward": {
        "swapped: ... -> [`inside`, `above`, `below`] = np.True_, ...": "both are False",
        "never: not any(isinstance(b, np.ndarray) for b in (low, high))": FASTER,
    },
    "TruncDiv.backward": {"factor ...": "the gradient is 0"},
    "Floor.backward": {"factor ...": "the gradient is 0"},
    "Ceil.backward": {"factor ...": "the gradient is 0"},
    "Trunc.backward": {"factor ...": "the gradient is 0"},
    "Round.backward": {"factor ...": "the gradient is 0"},
    "_some_heads": {"another number: x.reshape(-1, ...": "NumPy takes any negative number for -1"},
    "QuantizedLinear.backward": {"factor ...": NO_GRADIENT},
    "QuantizedEmbedding.backward": {"factor ...": NO_GRADIENT},
    "QuantizedGRULayer.backward": {"factor ...": NO_GRADIENT},
    "QuantizedLSTMLayer.backward": {"factor ...": NO_GRADIENT},
    "addcmul_": {"order exchanged: ...": EITHER_FACTOR},
    "gumbel_softmax": {
        "another default: eps...": UNUSED,
        "order exchanged: x, noise": EITHER_TERM,
    },
    "unfold": {"another number: ....reshape(-1)": ANY_NEGATIVE},
    "meshgrid": {"off by one: [0] -> [1]": "every place is written"},
    "swapaxes": {"order exchanged: axis0, axis1": "either of the two"},
    "_rows": {"another number: ...": "NumPy takes any negative size as what is left"},
    "argsort": {"another default: stable...": UNUSED},
    "unique": {"another default: sorted...": UNUSED},
    "index_add": {
        "order exchanged: source, alpha": EITHER_FACTOR,
        "off by one: axis -> (axis) + 1": FASTER,
        "off by one: axis + 1 -> ...": FASTER,
        "wrong operator: axis + 1 -> ...": FASTER,
        "off by one: places.ndim == 1 -> places.ndim == 2": FASTER,
        "comparison flipped: places.ndim == 1 -> ...": FASTER,
        "left out: check_in_replays(...": KERNELS_LOOK,
    },
    "index_copy": {"order exchanged: source, input": "either of the two"},
    "scatter": {
        "order exchanged: given, index": "any of the three",
        "order exchanged: index, input": "any of the three",
        "left out: check_in_replays(...": KERNELS_LOOK,
    },
    "scatter_add": {
        "order exchanged: index, input": "any of the three",
        "left out: check_in_replays(...": KERNELS_LOOK,
    },
    "scatter._read": {"never: index.shape == shape -> False": FASTER},
    "indexing.along": {
        "never: not any(...": FASTER,
        "never: not index.flags.c_contiguous -> False": FASTER,
        "dropped term: axis + 1 -> ...": FASTER,
    },
    "tril_indices": {"argument dropped: np.tri(...": "1 is not 0, as True is"},
    "masked_select": {"order exchanged: ...": "either of the two"},
    "searching.equal": {"order exchanged: ...": "either of the two"},
    "transpose_": {"order exchanged: dim0, dim1": "either of the two"},
    "repeat_interleave": {"boundary: times >= 0": FASTER},
    "Fill.backward": {
        "factor 37: full(...": "the gradient is 0",
        "factor 1.001: full(...": "the gradient is 0",
        "factor -1: full(...": "the gradient is 0",
    },
    "search.room": {"another default: no_repeat...": "only a negative number is refused"},
    "narrowed": {'argument dropped: np.argsort(... -> np.argsort(..., kind="stable")': LAST_AXIS},
    "learn_subwords": {
        "off by one: ... minloglevel=2, ) -> ... minloglevel=3, )": "not a word either"
    },
    "search_beam.beam": {
        "another number: ...": "NumPy takes any negative size as what is left",
        'argument dropped: np.argsort(... -> np.argsort(..., kind="stable")': LAST_AXIS,
        "off by one: np.zeros((0, ...": "padding begins no run of tokens",
        "off by one: limits.max() + 1": "all have ended by then",
        "off by one: arrays[0] -> ...": "both are -1 where there is nothing",
        "off by one: arrays[0] >= 0": "no token is padding",
        "boundary: arrays[0] >= 0": "no token is padding",
    },
    "recorded": {
        "off by one: np.full((2, ...": "the third is not used",
        "another number: slots.reshape(-1)": "NumPy takes any negative size as what is left",
    },
    "_in_place._written": {
        "wrong result: array": "the array is written already; a recording looks for its place only",
    },
    "_in_place._keep_overwritten": {
        "condition flipped: isinstance(a, np.ndarray) and ...": COPIED,
        "order exchanged: a, array": "either of the two",
    },
    "by_rows": {"never: x.flags.c_contiguous": FASTER},
    "MatMul.backward": {"never: a.ndim > 1 and b.ndim > 1": FASTER},
    "CrossEntropy.backward": {"wrong branch: ... -> (self.kernels.elementwise(...": FASTER},
    "MatMul.of_matrices": {
        "never: b.ndim == 2": FASTER,
        "never: a.shape[:-2] == b.shape[:-2]": FASTER,
    },
    "AdditiveScores._three": {"never: len(batch) == 1 and batches == [batch, batch]": FASTER},
    "SetItem.backward": {
        "always: dv.ndim < self.ndim": FASTER,
        "flipped sign: self.ndim - dv.ndim": SUMMED,
        "dropped term: self.ndim - dv.ndim -> (self.ndim)": SUMMED,
    },
    "Pad.backward": {"wrong branch: ... -> (self.placed(self.shape, self.kept, dx))": FASTER},
    "pooling._window": {"order exchanged: size, step": "the smallest of three"},
    "Conv1d.by_group": {"swapped: ... -> [F, K, D] = ...": "only D K is used"},
    "reference.attention._weight_gradients": {"always: options.dropout_p": "nothing is dropped"},
    "reference.embedding.embedding_backward": {"swapped: sums, lost = ...": "both are zeros here"},
    "reference.matmul.matmul": {
        "wrong branch: ROW_BLOCK if ...": CUT,
        "never: length >= K": FASTER,
        "without result_type: ...": RESTORED,
        "flipped sign: `total` + `block`": RESTORED,
        "dropped term: `total` + `block`": RESTORED,
    },
    "Rounded.backward": {
        f"factor {factor}: dx": "0 times it is 0" for factor in ("-1", "1.001", "37")
    },
    "comparisons._in_kept_memory": {
        "comparison flipped: type(x) is not np.ndarray": KEPT_MEMORY,
        "boundary: x.size < LARGE": KEPT_MEMORY,
        "flipped sign: x.shape != y.shape or ...": KEPT_MEMORY,
        "argument dropped: ufunc(...": KEPT_MEMORY,
    },
    "comparisons._bits": {"comparison flipped: type(x) is np.ndarray": "both have one dtype"},
    "elementwise.elementwise": {"wrong branch: ... -> (float(x))": "a number of NumPy is one, too"},
    "elementwise.exact": {
        "never: ...": FASTER,
        "wrong condition: x.size <= _SMALL": FASTER,
        "wrong condition: x.shape == y.shape": FASTER,
    },
    "elementwise.chosen": {'wrong condition: large.dtype.kind != "f"': FASTER},
    "Mul.product": {
        "wrong branch: ... -> (self.edges[index])": FASTER,
        "wrong branch: ... -> (None)": FASTER,
        "wrong condition: grad.size > _SMALL": FASTER,
        "wrong condition: edge[2] != grad.shape": FASTER,
    },
    "Unary.forward": {"wrong condition: x.size <= _FEW": FASTER},
    "Tanh.backward": {
        f"{kind}: y.size > _FEW": FASTER for kind in ("never", "wrong condition", "always")
    },
    "normalising._rows": {
        "wrong branch: np.moveaxis(x, axis, -1) if axis < x.ndim - 1 else x": FASTER,
        "flipped sign: x.ndim - 1": FASTER,
        "dropped term: x.ndim - 1 -> (x.ndim)": FASTER,
    },
    "normalising._from_rows": {
        "never: ...": FASTER,
        "flipped sign: len(shape) - 1": FASTER,
        "dropped term: len(shape) - 1 -> (len(shape))": FASTER,
    },
    "PairwiseDistance.backward": {
        "flipped sign: x.ndim - 1": LAST_HOWEVER,
        "dropped term: x.ndim - 1": LAST_HOWEVER,
    },
    "Pick.backward": {"wrong branch: ... -> (self.placed(...": FASTER},
    "SetItem.forward": {"wrong condition: x.size > FEW": FASTER},
    "SetItem.taken": {"wrong branch: ... -> (np.array(...": FASTER},
    "SetItem.put": {
        "always: self.arrays": FASTER,
        "always: source.ndim": FASTER,
        "wrong branch: ... -> (copied(view))": COPIED,
    },
    "indexing.put_masked": {
        "wrong condition: x.size <= FEW": FASTER,
        "never: ...": FASTER,
        'wrong condition: x.dtype.kind == "f"': FASTER,
        'always: x.dtype.kind == "f" and ...': FASTER,
    },
    "indexing._window": {
        f"{kind}: ...": "a window of the whole"
        for kind in ("never", "flipped sign", "dropped term")
    },
    "MaskedFill.backward": {
        "always: not self.owned or ...": FASTER,
        "wrong condition: grad.size <= FEW": FASTER,
    },
    "packing.put_rows": {"another number: rows.reshape(1, -1, 1)": ANY_NEGATIVE},
    "PerElement.backward": {"factor ...": "each loss has a backward of its own"},
    "KLDiv.backward": {"never: not self.needs(0)": "the engine drops what is not needed"},
    "Layer.before": {
        "never: len(self.sizes) == 1": FASTER,
        "never: self.sizes[0] == self.sizes[-1]": FASTER,
        "dropped term: len(y) - B": "the same place, counted from the end",
    },
    "Amax.backward": {
        f"factor {factor}: np.nan": "NaN times it is NaN" for factor in ("-1", "1.001", "37")
    },
    "Norm.backward": {"never: self.p == 2": FASTER, "never: self.p == 1": FASTER},
    "rearranging.repeat_interleave": {"off by one: times >= 0": FASTER},
    "searching.isin": {
        "another default: assume_unique: ...": UNUSED,
        "order exchanged: x, y": EITHER,
    },
    "Split.backward": {"never: self.cover": FASTER},
    "LRScheduler._go_to": {
        "wrong operator: self.last_epoch + 1": FASTER,
        "off by one: self.last_epoch + 1": FASTER,
    },
    "Optimizer._work": {
        "off by one: times[...": "only whether two numbers differ counts",
        "wrong operator: times[...": "only whether two numbers differ counts",
    },
    "LBFGS.step": {
        "another number: ....reshape(-1)": ANY_NEGATIVE,
        "order exchanged: g, d": EITHER_FACTOR,
    },
    "LBFGS._remember": {"order exchanged: y, s": EITHER_FACTOR},
    "LBFGS._direction": {
        "order exchanged: s, q": EITHER_FACTOR,
        "order exchanged: y, d": EITHER_FACTOR,
    },
    "Placed.value": {
        "wrong branch: None if few(size) else ...": FASTER,
    },
    "DataParallel.__init__": {"another default: dim...": UNUSED},
    "CosineEmbeddingLoss.forward": {"order exchanged: input1, input2": EITHER},
    "RemovableHandle.__init__": {
        "another default: with_kwargs...": "a hook made without it is called in one way only",
    },
    "_call_with_hooks": {"boundary: key < 0": NO_KEY_0, "off by one: key < 0": NO_KEY_0},
    "modules.__getattr__": {"wrong result: _missing(name)": "it raises"},
    "MultiheadAttention._project": {
        "comparison flipped: `kept` is None": FASTER,
        "off by one: ... -> self._maps(query, 0, 4)": "there are no rows behind the last",
        "off by one: ... -> self._maps(value, 2, 4)": "there are no rows behind the last",
    },
    "MultiheadAttention._maps": {"off by one: end - first == 3": FASTER},
    "RNNBase.__init__": {
        "condition flipped: isinstance(dropout, (int, float)) and ...": "nothing else is in [0, 1]",
    },
    "BatchNorm1d.__init__": {"off by one: tensor(0)": "reset_parameters sets it"},
    "CosineSimilarity.forward": {"order exchanged: x1, x2": EITHER},
    "shrink.hidden_units": {
        "off by one: ... -> 5 if first.bias else 2": "there are no more names",
        "off by one: ... -> 1 if first.bias is None else 3": "there are no more names",
        "another number: ...": ANY_NEGATIVE,
    },
    "shrink.heads": {"another number: ...": ANY_NEGATIVE},
    "shrink._kept": {
        "another number: ...": "the next check refuses it",
        "off by one: ... -> 0 <= amount < 2": "the next check refuses it",
    },
    "prune._next_mask": {"another number: getattr(...": "a rule that takes slices has dim"},
    "prune._without_smallest": {"another number: ...": ANY_NEGATIVE},
    "reference.distances.sizes": {"never: (np.isfinite(...": FASTER},
    "reference.distances.cosine": {"swapped: of_x, of_y = ...": "only their product counts"},
    "reference.indexing.scatter_add": {
        "swapped: sums, lost = ...": "both are zeros here",
        "never: x.dtype == np.float32": FASTER,
    },
    "reference.int8.int8_linear": {
        "mask ignored: np.where(used[:, None], x, 0)": "such a row is times 0, or gives NaN",
        "mask ignored: np.where(used, most, 0)": "the sums of such a row are 0",
    },
    "reference.pooling.mean_pool": {"swapped: s, lost = ...": EITHER_TERM},
    "reference.prod.prod_backward": {"swapped: before, after = ...": ONES},
    "reference.random.halves": {"without uint32: ...": LONGER},
    "reference.random.uniform": {
        "without float32: ...": "24 bits are exact in either type",
        "without uint64: ...": "NumPy takes a number in the type of the array",
    },
    "reference.random.dropout": {"without float32: ...": AS_GOOD},
    "reference.reductions.finer": {"wrong branch: ... -> (x.astype(np.float64))": COPIED},
    "reference.reductions.total": {
        "swapped: ... -> [b, a, odd] = x[:, :half], ...": EITHER_TERM,
        "wrong branch: ... -> (np.concatenate(...": FASTER,
        "swapped: [s, odd]": "another order of the same sum",
    },
    "reference.reductions.sum": {"swapped: s, lost = ...": EITHER_TERM},
    "reference.reductions.products": {"swapped: s, lost = ...": EITHER_TERM},
    "reference.reductions.moments": {"swapped: s, lost = ...": EITHER_TERM},
    "reference.softmax.summed": {"swapped: s, lost = ...": EITHER_TERM},
    "reference.optim.adam": {"always: weight_decay": ZERO},
    "reference.optim.sgd": {"always: weight_decay": ZERO},
    "reference.attention.attention": {"always: options.dropout_p": "nothing is dropped"},
    "reference.cross_entropy.cross_entropy": {
        "wrong branch: label_smoothing / V if ... -> (label_smoothing / V)": "no rows",
        "always: label_smoothing": ZERO,
    },
    "elementwise.absolute_error": {
        "order exchanged: a - b": "a distance is the same from both sides"
    },
    "reference.elementwise.elementwise": {
        "wrong branch: ...": "NumPy takes a number in the type of the array",
    },
    "reference.elementwise._normal": {"off by one: x.itemsize <= 8": "no float has 9 bytes"},
    "elementwise.leaky_relu": {"boundary: a > 0": MEET},
    "elementwise.elu": {"boundary: a > 0": MEET},
    "elementwise.relu": {"boundary: a <= 0": MEET},
    "jit.elementwise._sigmoid": {"boundary: x < 0": MEET},
    "jit.elementwise._softplus": {"boundary: x > 0": MEET},
    "jit.elementwise._larger": {"boundary: ...": "the larger of two equal ones"},
    "jit.elementwise._smaller": {"boundary: ...": "the smaller of two equal ones"},
    "jit.elementwise._call": {"off by one: ...": COMPILER},
    "jit.elementwise._run_loop": {
        "flipped sign: n + PART - 1": CUT,
        "dropped term: n + PART - 1 -> (n + PART)": CUT,
        "off by one: max(1, PART // n) -> max(2, ...": CUT,
        "flipped sign: rows + each - 1": CUT,
        "dropped term: rows + each - 1 -> (rows + each)": CUT,
    },
    "jit.elementwise.strided": {"never: x.flags.c_contiguous": FASTER},
    "jit.elementwise.elementwise": {
        "never: product": FASTER,
        "never: alike and ...": FASTER,
        "always: len(shape) > MOST_AXES": COPIED,
        "wrong branch: ...": COMPILER,
        'wrong condition: operation == "where"': COMPILER,
    },
    "C.leaky_relu": {"boundary: ...": MEET},
    "C.elu": {"boundary: ...": MEET},
    "ReLU.forward": {'another attribute: keeps = "y"': "both are positive, or none is"},
    "jit.attention._added": {"wrong branch: ... -> (slice(None))": FASTER},
    "jit.cross_entropy.row": {"always: smoothing": ZERO, "never: not smoothing": FASTER},
    "jit.gru.backward": {
        "flipped sign: B + rows - 1": CUT,
        "dropped term: B + rows - 1 -> (B + rows)": CUT,
    },
    "jit.lstm.backward": {
        "flipped sign: B + rows - 1": CUT,
        "dropped term: B + rows - 1 -> (B + rows)": CUT,
    },
    "jit.layer_norm.backward": {
        "flipped sign: N + BLOCK - 1": CUT,
        "dropped term: N + BLOCK - 1 -> (N + BLOCK)": CUT,
    },
    "jit.additive.backward_columns": {
        "wrong branch: ... -> (len(k))": ROOM,
        "wrong condition: j % KEYS == KEYS - 1": TOTALS,
        "always: j % KEYS == ...": TOTALS,
        "flipped sign: KEYS - 1": TOTALS,
        "dropped term: KEYS - 1": TOTALS,
        "wrong condition: j % QUERIES == QUERIES - 1": TOTALS,
        "flipped sign: QUERIES - 1": TOTALS,
        "dropped term: QUERIES - 1": TOTALS,
    },
    "jit.attention.scale_and_mask": {
        "factor 1.001: s[i + 1 :] = -np.inf": INFINITE,
        "factor 37: s[i + 1 :] = -np.inf": INFINITE,
    },
    "jit.attention.slope": {"always: p > 0": FASTER},
    "jit.attention._by_heads": {"always: own != heads": COPIED},
    "jit.attention.attention_backward": {
        "wrong branch: ... -> (`Tk`)": "the weights behind the causal bound are 0",
        "swapped: `s`, `ds` = ...": EMPTY,
        "never: shared == heads": FASTER,
    },
    "jit.copy.copy_rows": {"flipped sign: n + PIECE - 1": CUT},
    "jit.copy.copy_tiles": {"flipped sign: n + TILE - 1": CUT},
    "jit.cross_entropy.run": {"without int64: np.int64(i)": INFERRED},
    "jit.distances.dot": {
        "swapped: `s`, `lost` = ...": BOTH_ZEROS,
        "without float64: ...": WIDER,
    },
    "jit.distances.size_of": {
        "without float64: ...": "each float32 is a float64",
        "never: largest == 0 or ...": "Python's frexp gives 0 for both, where C's need not",
    },
    "jit.distances.run_normalize_backward": {"without float64: ...": WIDER},
    "jit.distances.cosine_of": {
        "swapped: `s`, `lost` = ...": BOTH_ZEROS,
        "without float64: ...": WIDER,
    },
    "jit.distances.run_cosine_backward": {"without float64: ...": WIDER},
    "jit.distances.run_pairwise_backward": {"without float64: ...": WIDER},
    "jit.embedding.by_value": {"first step lost: range(V)": "starts[0] is 0"},
    "jit.embedding.add_rows": {
        "swapped: `sums`, `lost` = ...": BOTH_ZEROS,
        "never: grad.itemsize == 4": FASTER,
        "without float64: ...": WIDER,
    },
    "jit.extremes.run_extreme": {"flipped sign: n + BLOCK - 1": CUT},
    "jit.gru.forward_rows": {"flipped sign: `end` - begin": ROOM},
    "jit.gru.forward": {"flipped sign: B + rows - 1": CUT},
    "jit.indexing.outside": {"without uint64: np.uint64(n)": "n is not negative"},
    "jit.indexing.count_outside": {
        "flipped sign: len(index) + PIECE - 1": CUT,
        "flipped sign: bad += ...": NOT_NONE,
    },
    "jit.indexing.run_scatter": {"flipped sign: C + WIDTH - 1": CUT},
    "jit.indexing.run_scatter_add": {
        "flipped sign: C + WIDTH - 1": CUT,
    },
    "jit.int8.run": {"factor 1.001: np.int16(...": SMALL_WHOLE},
    "jit.layer_norm.backward_blocks": {"swapped: `of_weight`, `of_bias` = ...": EMPTY},
    "jit.lstm.forward_rows": {"flipped sign: `end` - begin": ROOM},
    "jit.lstm.forward": {"flipped sign: B + rows - 1": CUT},
    "jit.matmul.product": {
        "flipped sign: P + WIDTH - 1": CUT,
        "flipped sign: M + pieces - 1": CUT,
    },
    "jit.matmul.matmul": {
        "without transposition: b.transpose(0, 2, 1)": FASTER,
        "wrong condition: out.shape[1] < 4": FASTER,
        "never: out.shape[1] < 4 and ...": FASTER,
        "always: out.shape[1] < 4 and ...": COMPILER,
    },
    "jit.nll_loss.run": {"flipped sign: bad += 1": NOT_NONE, "overwrites: bad += 1": NOT_NONE},
    "jit.nll_loss.run_backward": {
        "flipped sign: bad += 1": NOT_NONE,
        "overwrites: bad += 1": NOT_NONE,
    },
    "jit.norm.scale_all": {"flipped sign: len(x) + CHUNK - 1": CUT},
    "jit.norm.square": {"flipped sign: len(x) + CHUNK - 1": CUT},
    "jit.optim.adam_step": {"flipped sign: len(p) + CHUNK - 1": CUT},
    "jit.optim.sgd_step": {"flipped sign: len(p) + CHUNK - 1": CUT},
    "jit.pooling.first_largest": {"dropped term: begin + step -> (begin)": "the first is `at`"},
    "jit.pooling.run_max_pool": {"factor 1.001: ... = -np.inf": INFINITE},
    "jit.pooling.run_mean_pool_backward": {
        "swapped: `s`, `lost` = ...": BOTH_ZEROS,
        "without float64: ...": "over an int64, it is a float64",
    },
    "jit.prod.run_prod": {"flipped sign: C + LINES - 1": CUT},
    "jit.prod.walk": {"dropped term: n - 1 -> (-(1))": "the same place, counted from the end"},
    "jit.prod.run_backward": {
        "flipped sign: side + LINES - 1": CUT,
        "dropped term: side + LINES - 1 -> (side + LINES)": CUT,
        "wrong branch: ... -> (A * blocks)": "it does the same again",
        "flipped sign: `end` - begin": ROOM,
        "dropped term: `end` - begin -> (`end`)": ROOM,
    },
    "jit.prod.run_cumprod": {"flipped sign: side + LINES - 1": CUT},
    "jit.random.run_uniform": {"flipped sign: len(out) + HALVES - 1": CUT},
    "jit.random.run_dropout": {"flipped sign: width + HALVES - 1": CUT},
    "jit.reductions.add_pieces": {"flipped sign: `end` - begin": CUT},
    "jit.reductions.cut": {"swapped: `n`, `C` = ...": CUT, "dropped factor: n * C": CUT},
    "jit.reductions.totals": {"swapped: `s`, `lost` = ...": BOTH_ZEROS},
    "jit.reductions.run_moments_backward": {
        "wrong branch: ... -> (C)": CUT,
        "flipped sign: x.shape[1] + width - 1": CUT,
        "dropped term: x.shape[1] + width - 1 -> (x.shape[1] + width)": CUT,
    },
    "jit.softmax.largest": {"first step lost: range(x.shape[1])": "the first is `top`"},
    "jit.softmax.softmax_row": {"factor 1.001: exp(...": DIVIDED},
    "jit.softmax.run_softmax": {"without int64: np.int64(i)": INFERRED},
    "jit.softmax.run_softmax_backward": {"without int64: np.int64(i)": INFERRED},
    "jit.softmax.run_log_softmax": {"without int64: np.int64(i)": INFERRED},
    "jit.softmax.run_log_softmax_backward": {"without int64: np.int64(i)": INFERRED},
    "jit.softmax.exponentials": {"factor 1.001: exp(...": DIVIDED},
    "jit.softmax.softmax_columns": {"flipped sign: `last` - first": ROOM},
    "jit.softmax.run_softmax_columns": {"flipped sign: C + COLUMNS - 1": CUT},
    "jit.softmax.add_products": {"without float64: ...": WIDER},
    "jit.softmax.softmax_backward_columns": {
        "flipped sign: `last` - first": ROOM,
        "dropped term: last - first -> (last)": ROOM,
    },
    "jit.softmax.run_softmax_backward_columns": {
        "flipped sign: C + COLUMNS - 1": CUT,
        "dropped term: C + COLUMNS - 1 -> (C + COLUMNS)": CUT,
    },
    "jit.softmax.as_rows": {"never: C == 1": FASTER},
    "jit.softmax.softmax_backward": {"always: y.ndim == 2": COMPILER},
    "jit.additive.backward": {
        "flipped sign: H + COLUMNS - 1": CUT,
        "dropped term: H + COLUMNS - 1 -> (H + COLUMNS)": CUT,
    },
    "C.add_columns_to": {"wrong operator: ... -> add_wide(&t, load_wide(few - ...": SINGLE},
    "C.additive_columns": {
        "wrong operator: ... -> if ((terms += end + begin) ...": CUT,
        "wrong operator: ... -> if (of_k && ((i - 1) % ...": CUT,
    },
    "C.additive_grad_part": {
        "never: if (h + LANES <= end) ...": FASTER,
        "never: if (of_k) ta_scratch_done(...": SCRATCH,
    },
    "C.additive_backward": {"wrong branch: chunks = chunks > 32 ...": CUT},
    "C.transpose_queries": {"wrong operator: ... -> ...m->nq + i)...": LANES},
    "C.read_mask": {"wrong operator: ... -> ...m->nq + i)...": LANES},
    "C.prepare_backward": {"first step lost: for (long i = m->nq; ...": LANES},
    "C.sum_over_keys": {
        "never: if (m->all->causal) ...": ZERO,
        "wrong operator: ... -> ...rows + m->k0...": ZERO,
    },
    "C.scores": {"wrong operator: ... -> ...m->nk + 1...": FASTER},
    "C.high_product": {"wrong operator: ...odd...": "float32's, which is not built"},
    "C.make_room": {
        "wrong branch: const long panel = ...": OUTSIDE,
        "wrong operator: ... -> ....change = at - 2 ...": OUTSIDE,
        "wrong operator: ... -> ...at - KB * QB...": "room of what comes later",
        "never: if (few) m->few ...": FASTER,
    },
    "C.meet_panel": {
        "never: if (before) ...": ONE,
        "never: if (own) ...": ONE,
        "wrong operator: if (own) ...": ONE,
    },
    "C.attention_backward_panels": {"wrong operator: ...": ONE, "wrong branch: ...": ONE},
    "C.attention_backward": {"never: if (panels == 1 || ...": CUT},
    "C.copy_run": {"never: if (to_step == size && ...": FASTER, "never: if (size == 1) {": SINGLE},
    "C.turn_square": {
        "factor 1.001: row[i...": VECTORS,
        "factor 1.001: low[i] = ...": VECTORS,
        "factor 1.001: high[i] = ...": VECTORS,
        "factor 1.001: if (j < columns) store_some(...": VECTORS,
    },
    "C.copy_tile": {"never: if (even ...": FASTER, "never: else if (even...": FASTER},
    "C.copy": {"never: if (job.each < 1) ...": "only elements of one byte, which float32's moves"},
    "C.normalize_part": {"wrong operator: const double inverse = ...": SINGLE},
    "C.normalize_backward_part": {"wrong operator: ... -> ... inverse = 1 * a;": SINGLE},
    "C.cosine_backward_part": {"wrong operator: ... -> ...r.c + 0...": "r.c is 0 or NaN there"},
    "C.pairwise_backward_part": {"wrong operator: ... -> ... inverse = 1 * size;": SINGLE},
    "C.ta_cut_columns": {
        "wrong operator: const int64_t fit = ...": CUT,
        "wrong operator: ... -> p->each = PART_ELEMENTS * ...": CUT,
        "wrong operator: ... -> p->each = ... + p->width);": CUT,
    },
    "C.gather_rows_part": {"never: else if (C == 1)": FASTER},
    "C.scatter": {"wrong branch: ta_cut_columns(...": CUT},
    "C.add_to": {"flipped sign: *sum += ...": SINGLE, "overwrites: *sum += ...": SINGLE},
    "C.round_sums": {"factor 1.001: y[i] = (real)sum[i]; -> ...": SINGLE},
    "C.add_picked": {"never: if (p->C == 1) {": FASTER},
    "C.scatter_add_part": {"never: if (!sums) {": NO_MEMORY, "never: if (few) {": FASTER},
    "C.sorted_part": {"never: if (begin == end) {": FASTER, "never: if (!sums) {": NO_MEMORY},
    "C.add_tile": {"never: } else if (whole) {": FASTER, "never: if (whole)": FASTER},
    "C.strip": {"never: if (rows == MR && ...": FASTER},
    "C.must_pack_a": {"wrong operator: ...": FASTER},
    "C.must_pack_b": {"wrong operator: return rows >= ...": FASTER},
    "C.few_rows": {"wrong operator: ... -> ... i1 + i0, ...": ONE},
    "C.rectangle": {
        "wrong operator: ... -> if (i1 + i0 <= ...": FASTER,
        "wrong branch: const long widest = ... -> ... pack_a ? NC : WIDE_NC;": CUT,
        "never: if (`pack_a`) ...": FASTER,
        "never: if (pack_a || ... ta_scratch_done(...": SCRATCH,
    },
    "C.product_part": {"wrong branch: const long unit = ...": ONE},
    "C.cut": {
        "wrong branch: ...": CUT,
        "first step lost: for (long rows = 1; ...": CUT,
        "never: if (cost < best) {": CUT,
    },
    "C.divide": {
        "wrong operator: const double each = ...": CUT,
        "wrong operator: p->batch_parts = ...": CUT,
        "wrong operator: while (...": ONE,
        "wrong operator: if (pieces > 1 ...": CUT,
    },
    "C.matmul": {
        "never: if (p.a_col == 1) {": "a column is a product like any other, only slower",
        "never: if (!bias) ...": "a column is a product like any other, only slower",
        "never: if (parts > 1)": ONE,
    },
    "C.pack_columns": {"never: if (count == LANES) {": FASTER},
    "C.pack_rows": {
        "first step lost: ... __builtin_prefetch(...": HINT,
        "wrong operator: ... __builtin_prefetch(...": HINT,
    },
    "C.forward_step_part": {"wrong operator: ...": ONE},
    "C.cut_rows_and_columns": {
        "wrong operator: const double a_row = ...": CUT,
        "wrong branch: g->row_parts = ...": CUT,
        "wrong operator: g->row_parts = ... -> ...(by_step * ...": CUT,
        "wrong operator: g->row_parts = ... -> ... + FEW_ROWS + 1) ...": CUT,
        "wrong operator: g->row_parts = ... -> ... * FEW_ROWS);": CUT,
    },
    "C.forwards": {
        "flipped sign: if (!g->reverse) start += ...": ONE,
        "overwrites: if (!g->reverse) start += ...": ONE,
    },
    "C.backwards": {
        "never: if (g->col_parts == 1) {": CUT,
        "wrong branch: long start = ...": ONE,
        "wrong branch: const long t = ...": ONE,
        "first step lost: for (long i = 0; i <= g->T; ...": ONE,
        "never: if (!g->reverse && ...": ONE,
        "never: if (g->reverse && ...": ONE,
        "flipped sign: if (g->reverse && ...": ONE,
        "overwrites: if (g->reverse && ...": ONE,
    },
    "C.embedding_backward": {
        "first step lost: ... -> ...v = 2 + 1; ...": "start[1] is 0",
        "never: if (parts > ...": CUT,
    },
    "C.layer_norm_backward": {"wrong branch: chunks = chunks > 32 ...": CUT},
    "Waiting.add": {
        "always: self.recorded": FASTER,
        "wrong branch: ... -> ([None, False] * node.outputs)": FASTER,
    },
    "Waiting.complete": {
        "always: node in self.deferred and (...": FASTER,
        "always: node.hooks": "no hook is called where there is none",
    },
    "RowSum.joins": {"wrong condition: (self.function, ...": FASTER},
    "RowSum.value": {
        "never: len(self.terms) == 1": FASTER,
        "dropped term: ... -> (-(2))": "the same axis",
    },
    "RowSum.transpose": {"flipped sign: n - ...": FASTER, "dropped term: n - ...": FASTER},
    "combine": {"never: isinstance(x, Deferred) and y.joins(x)": FASTER},
    "unbroadcast": {"wrong branch: ... -> (folded_sum(...": COPIED},
    "Function.over_rows": {
        "wrong condition: rows[0].shape[-2] > RowSum.most": FASTER,
        "always: not self.edges or rows[0].shape[-2] > RowSum.most": FASTER,
    },
    "Function.placed": {"wrong branch: ... -> (placed.value())": FASTER},
    "LRScheduler.__init__": {
        "last one lost: optimizer.param_groups": "the first step adds what a group lacks"
    },
    "CosineAnnealingLR._next": {
        "wrong operator: self.last_epoch - 1 - self.T_max": "the same modulo 2 T_max"
    },
    "OneCycleLR.get_lr": {
        'boundary: step > phase["end_step"]': "the phases have the same rate where they meet"
    },
    "Optimizer.__init__": {"left out: self._check_options(defaults)": "every group is checked too"},
    "SGD._update": {"flag inverted: [False] -> [True]": "without momentum nothing reads it"},
    "Adam._amsgrad": {"order exchanged: largest, v": "the larger of two"},
    "save_checkpoint": {"off by one: content.replace(...": "the text stands there once"},
    "load_checkpoint": {"off by one: content.replace(...": "the text stands there once"},
    "MSELoss.forward": SYMMETRIC,
    "L1Loss.forward": SYMMETRIC,
    "SmoothL1Loss.forward": SYMMETRIC,
    "HuberLoss.forward": SYMMETRIC,
    "clip_grad_norm_": {"boundary: factor >= 1": "a factor of 1"},
    "trunc_normal_": {"order exchanged: drawn, a": "the larger of two"},
    "orthogonal_": {
        "order exchanged: rows, columns": "the larger of two, and the smaller",
        "wrong operator: q *= np.sign(...": "a factor of 1 or -1",
        "boundary: rows >= columns": "a square one, transposed, is orthogonal, too",
    },
    "KeyValueCache.append": {"condition flipped: self.keys ...": PAIRED},
    "KeyValueCache.reorder": {"condition flipped: self.keys ...": PAIRED},
    "BatchNorm1d.forward": {
        "another number: 0.0 if self.momentum ...": "eval mode has no use for the momentum",
    },
    "MultiheadAttention.__init__": OTHERS_REFUSE,
    "RNNCellBase.__init__": OTHERS_REFUSE,
    "Linear.__init__": OTHERS_REFUSE,
    "Conv1d.__init__": OTHERS_REFUSE,
    "_Layer.__init__": {
        "argument dropped: MultiheadAttention(... -> ...=batch_first, dtype=dtype)": REFUSED,
        "argument dropped: LayerNorm(... -> ..., bias=bias, dtype=dtype)": REFUSED,
    },
    "TransformerEncoderLayer.forward": {
        "argument dropped: self.self_attn(...": HINT,
        "flag inverted: ..., False, ... -> ..., True, ...": NOT_USED,
    },
    "TransformerDecoderLayer.forward": {
        "argument dropped: self.multihead_attn(...": HINT,
        "flag inverted: ..., False, ... -> ..., True, ...": NOT_USED,
    },
    "TransformerEncoder.forward": {
        "argument dropped: layer(... -> ... src_key_padding_mask=x)": HINT,
    },
    "TransformerDecoder.forward": {
        "argument dropped: layer(... -> ..., tgt_is_causal=causal, **(...": HINT,
    },
    "Transformer.forward": {
        "argument dropped: self.encoder(... -> ... src_key_padding_mask=x)": HINT,
        "argument dropped: self.decoder(... -> ... tgt_is_causal=x)": HINT,
        "argument dropped: self.decoder(... -> ..._padding_mask=x, memory_is_causal=y)": HINT,
    },
    "Transformer.__init__": {
        "argument dropped: LayerNorm(... -> ..., bias=bias, dtype=dtype)": REFUSED,
        "argument dropped: ... -> TransformerEncoderLayer(..., *rest, dtype=dtype)": REFUSED,
        "argument dropped: ... -> TransformerDecoderLayer(..., *rest, dtype=dtype)": REFUSED,
    },
    "Transformer.reset_parameters": {"last one lost: ...": "that of a norm, which is not drawn"},
    "_is_causal": {
        "comparison flipped: is_causal is not None": HINT,
        "another number: mask.shape[-1]": "other masks are not square",
        "argument dropped: ... -> Transformer.generate_square_subsequent_mask(mask.shape[-1])": (
            "0 and -inf are equal in all dtypes"
        ),
    },
    "TransformerEncoder.__init__": {
        "another default: enable_nested_tensor...": UNUSED,
        "another default: mask_check...": UNUSED,
    },
    "RNNCellBase.forward": {"order exchanged: output, _ -> _, output": "the same for one step"},
    "Module._buffers": {"order exchanged: BUFFER, PASSING": "a set of kinds"},
    "Module.named_buffers": {"order exchanged: BUFFER, PASSING": "a set of kinds"},
    "Module.to": {"another default: non_blocking...": UNUSED},
    "_allowed": {"argument dropped: zeros(...": "0 and -inf are the same in every dtype"},
    "MultiheadAttention.forward": {
        "condition flipped: self.bias_k ...": PAIRED,
        "boundary: Tq > 1": "a single query may see every key",
        "off by one: Tq > 1": FASTER,
        "argument dropped: zeros(...": "concatenation has the other's dtype",
    },
    "_tokeniser": {
        "wrong result: Tokeniser(...": IMPORTED,
        "order exchanged: tokenize, detokenize": IMPORTED,
    },
    "_pattern": {"off by one: kinds.insert(...": IMPORTED},
    "_apart_in_word": {"order exchanged: end, start": "either of the two"},
    "_usual": {"order exchanged: left, right": "either of the two"},
    "_on_top": {"off by one: range(...": IMPORTED, "order exchanged: ...": IMPORTED},
    "_marked": {"order exchanged: spaces, usual": "only whether they differ counts"},
    "Vocab.decode": {"order exchanged: PAD, BOS": "a set of tokens"},
    "batches": {"argument dropped: np.array(...": INT64},
    "_padded": {"argument dropped: np.full(...": INT64},
    "count_batches": {
        "off by one: sum(...": FASTER,
        "boundary: size * widest <= room": FASTER,
    },
    "_bounded": {
        "off by one: longest = 0": "a target has at least its EOS",
        "order exchanged: longest, target": "the larger of two",
    },
    "read_pairs": {"condition flipped: error.strerror or ...": "both say what is wrong"},
    "_check_scheduler": {"order exchanged: int, float": "a set of classes"},
    "write_aside": {"left out: file.flush()": "only a loss of power shows it"},
    "Trace.__post_init__": {
        "off by one: len(self.alternatives[0]) if ...": "without rows their number is wrong anyway",
    },
    "Trace.load": {"argument dropped: path.read_text(...": UTF8},
    "entropy": {"off by one: np.where(...": "0 times any logarithm is 0"},
    "_Archive.member": {"condition flipped: ...": "a compressed member has another size"},
    "_Archive.piece": {
        "argument dropped: array.astype(...": COPIED,
        "flag inverted: array.astype(...": COPIED,
    },
    "_Writer.collect": {
        "argument dropped: np.array(...": "NumPy copies with positive strides in any order",
        "order exchanged: piece.low, low": "the smaller of two",
        "order exchanged: piece.high, high": "the larger of two",
    },
    "_int_step": {
        "flipped sign: ...": LONGER,
        "dropped term: 2**31": LONGER,
    },
    "DataLoader.__init__": {"another default: in_order...": UNUSED},
    "DataLoader._elsewhere": {
        "condition flipped: self.prefetch_factor or 2": "a loader with workers has one",
        "off by one: self.prefetch_factor or 2": "a loader with workers has one",
    },
    "_from_stream": {"off by one: size or 1": "without a size nothing is dropped"},
    "DataLoader.__iter__": {"off by one: 2**63 - 1": "one seed less"},
    "RandomSampler.__iter__": {"boundary: left > 0": "nothing is left to give"},
    "Workers.__init__": {
        "another default: timeout...": "the loader always passes one",
        "order exchanged: ours, theirs": "the two ends of a pipe are alike",
        "dropped term: (seed + i) % 2**63": RARE,
        "off by one: 2**63": RARE,
        "flag inverted: process.daemon = True": ENDING,
        "left out: warnings.simplefilter(...": "Python warns from 3.12 on",
        "left out: theirs.close()": "the variable is gone when the function ends",
        "left out: self.close()": ENDING,
    },
    "Workers.batches": {
        "off by one: 1 if turns else 0": "only how many tasks wait",
        "last one lost: range(ahead * len(turns))": "only how many tasks wait",
        "comparison flipped: worker in turns": "it says again that it has ended",
        "left out: turns.remove(worker)": "it says again that it has ended",
    },
    "worker._work": {
        "last one lost: inherited": ENDING,
        "left out: other.close()": ENDING,
        "left out: signal.signal(...": ENDING,
        "argument dropped: Thread(... -> Thread(target=x, args=(y, z))": ENDING,
        "flag inverted: Thread(...": ENDING,
    },
    "Workers.died": {"off by one: process.join(10)": ENDING},
    "Workers.close": {
        "last one lost: self.pipes": ENDING,
        "left out: ...": ENDING,
        "wrong operator: monotonic() + 1": ENDING,
        "off by one: ...": ENDING,
    },
    "random_split": {
        "off by one: 0 <= fraction <= 1": "where one is above 1, another is below 0",
        "dropped term: i % len(sizes)": "fewer are left than there are parts",
    },
    "grammar.journey": {
        "order exchanged: start, friend": "both are nothing here",
        "order exchanged: NOTHING, friend": "place and company stand side by side",
        "last one lost: PLACES": OTHER_ROW,
    },
    "grammar.errand": {"last one lost: PLACES": OTHER_ROW},
    "grammar.company_of_three": {
        "last one lost: PLACES": OTHER_ROW,
        "flag inverted: Action(...": NO_OBJECT,
    },
    "grammar.introduction": {"flag inverted: Action(...": NO_OBJECT},
    "grammar.contrast": {"last one lost: PLACES": OTHER_ROW},
    "grammar.disposal": {"flag inverted: Action(...": NO_OBJECT},
    "grammar.passive": {"flag inverted: Action(...": NO_OBJECT},
    "grammar.giving": {"last one lost: GIVING": OTHER_ROW},
    "grammar.request": {"flag inverted: Action(...": "no frame here has 了"},
    "links._entries": {
        "last one lost: (*KIN, *SPOTS)": "the last row, of the door, is among the things, too",
        "last one lost: things": "the last row, of the door, is among the things, too",
    },
    "person_by_clause": {"last one lost: things(...": OTHER_ROW},
    "best_ever": {"last one lost: DEEDS_TO_THINGS": OTHER_ROW},
    "who": {"last one lost: ACTIONS": OTHER_ROW},
    "where_when_why_how": {"last one lost: PLACES": OTHER_ROW},
    "concession": {"boundary: {good, bad} <= ...": "each kind has more than two adjectives"},
    "phrases.place": {"last one lost: PLACES": OTHER_ROW},
    "phrases.timed": {"another default: chance...": "1 and more mean always"},
    "canvas.patches": {"another number: ....reshape(...": ANY_NEGATIVE},
    "canvas._corners": {"argument dropped: np.argsort(...": LAST_AXIS},
    "morse._recording": {
        "order exchanged: lengths, owners": "both are empty here",
        "argument dropped: np.searchsorted(...": "no sample stands just on an edge",
    },
    "morse.frames": {"another number: ....reshape(B, ...": ANY_NEGATIVE},
    "_replay._at": {"wrong result: where.get(...": CHANGES_TOO},
    "_replay._identity": {
        "comparison flipped: value._edge is None": CHANGES_TOO,
        "wrong result: value -> ...": CHANGES_TOO,
        "wrong result: id(value)": CHANGES_TOO,
    },
    "Taping.look": {"order exchanged: grads, self.grads": EITHER},
    "_replay._spec": {"order exchanged: array...": "a key, whose parts may stand in any order"},
    "Hints.__init_subclass__": {"last one lost: ...": "the last one is __doc__"},
    "legacy_array": {
        "wrong result: np.empty(0, dtype)": "there are no elements",
        "wrong result: empty(...": "the values are undefined",
    },
    "Constructor.__init__": {
        "order exchanged: self.__name__, self.dtype": IMPORTED,
        "order exchanged: name, dtype": IMPORTED,
    },
    "sdpa_kernel": {"another default: set_priority...": UNUSED},
    "Taping.forward": {"last one lost: node.packed": "without a place nothing is kept"},
    "checkpoint.checkpoint": {
        f"another default: {name}...": UNUSED for name in ("debug", "early_stop", "preserve_rng")
    },
    "checkpoint_sequential": {"another default: preserve_rng...": UNUSED},
    "use_deterministic_algorithms": {"another default: warn_only...": UNUSED},
    "missing.refuse": {"left out: vars(...": IMPORTED},
    "deprecated.renamed": {"wrong result: call": IMPORTED},
    "check_apart": {"argument dropped: out.read_text(...": ASCII},
    "_limit_memory": {
        "off by one: used = 0": "one byte",
        "argument dropped: pages.read_text(...": ASCII,
    },
    "apart._main": {"argument dropped: Path(...": ASCII},
    "exercise.exercises": {"order exchanged: name, head": "either of the two"},
    "folder.start": {"argument dropped: path.write_text(...": UTF8},
    "Progress.__init__": {"argument dropped: self.path.read_text(...": ASCII},
    "library_calls": {"last one lost: ast.walk(tree)": "the last node is no import and no name"},
    "folder.answer_in": {"left out: linecache.checkcache(...": "traceback does it, too"},
    "Categorical.log_prob": {
        "wrong operator: self.logits + ...": "plus 0 or minus 0",
        "wrong operator: value.long().unsqueeze(...) + ...": "plus 0 or minus 0",
    },
    "Quantity.__init__": {"another number: ....reshape(-1)": ANY_NEGATIVE},
    "exchange.all_reduce": {"another number: ....reshape(-1)": ANY_NEGATIVE},
    "model._groups": {"off by one: open_groups.get(...": "an empty group is replaced by a new one"},
    "sums.Sum._add_up": {"order exchanged: total, piece": "a sum of two is the same both ways"},
    "Sum.__init__": {"another number: ....reshape(-1)": ANY_NEGATIVE},
    "drawing.boxes": {
        "last one lost: steps": LAST_STEP,
        "another number: max(... -> ..., default=0.1)": "nothing is divided by it",
    },
    "Box.size": {"off by one: max(...": "no box is narrower than 44 pixels"},
    "boxes._layers": {"last one lost: boxes": "the last box has no inputs"},
    "boxes._place": {
        "another number: sizes[key] if ... -> ... (6.0, 0.1)": "a box of the layer is higher",
        "order exchanged: below, above": "all of them are added up",
        "another number: [0.0]": "the picture is moved to its margin in the end",
    },
    "boxes._apart": {
        "boundary: pools[-2][0] / ...": "equal means, put together, stay as they are",
        "order exchanged: free, offsets": "a sum",
        "another number: offsets, edge = [], 0.0": "added, and taken away again",
    },
    "Names.constants": {
        "last one lost: getattr(...": "the last one is the result, which has a gradient"
    },
    "running.explain": {"last one lost: nodes": LAST_STEP},
    "facts_of": {"last one lost: steps": LAST_STEP},
    "gradcheck_module": {"boundary: array.size > samples": "all of them are drawn"},
    "_same_layout": {
        "off by one: sum(...) // ... + 1": "room for one more",
        "wrong operator: n - 1": "more room than is needed",
        "dropped term: sum(...": "more room than is needed",
    },
    "_gradcheck._check": {
        "wrong operator: rng.uniform(... -> ((...": "a factor of 1 or -1",
        "order exchanged: wrong, refused": "both are empty here",
        "boundary: new[1] < error": "two derivatives with the same error",
    },
    "_derivative": {"order exchanged: central, jump": "both are empty here"},
    "_gradcheck._gradients": {"order exchanged: cotangents, seeds": EITHER},
    "_gradcheck._watched": {"order exchanged: array, tensor._array": EITHER},
    "_gradcheck._same": {
        "order exchanged: these, those": EITHER,
        "order exchanged: x, y": EITHER,
    },
    "doctor": {"order exchanged: tensor._array, array": EITHER},
    "_Watch._activity": {"another number: rows.reshape(-1, ...": ANY_NEGATIVE},
    "_Watch.time": {"boundary: norms[0] < norms[-1]": "equal norms have not changed"},
    "_over_steps": {"flag inverted: step.forward(...": "one step is the same in both directions"},
    "_Watch._gates": {
        "order exchanged: low, lowest": "the smaller of two",
        "order exchanged: high, highest": "the larger of two",
    },
    "folding._joined": {
        "last one lost: zip(steps, groups, ...": "the last step hands on nothing",
    },
    "_merged": {
        "order exchanged: to.step, to.output": "any key tells the places apart",
        "another number: to.handed.norm if ...": "any number below 0",
    },
    "stepping.fragment": {"argument dropped: (WEB / ...": UTF8},
    "pages.asset": {"argument dropped: ...": UTF8},
    "telling.text_of": {"off by one: max(...": "there is no line"},
    "processes.wait": {
        "boundary: waited < _SPIN_SECONDS": INSTANT,
        "boundary: waited > here.limit": INSTANT,
    },
    "C.int8_group": {"wrong branch: ...": VNNI},
    "C.int8_part": {"never: if (job->group == 4) {": VNNI},
    "C.int8_round_row": {
        "flipped sign: sum += ...": VNNI,
        "overwrites: sum += ...": VNNI,
        "flipped sign: for (long lane = 0; ...": VNNI,
        "overwrites: for (long lane = 0; ...": VNNI,
        "factor 1.001: job->zeros[...": VNNI,
    },
    "comparing.outcome": {
        "order exchanged: inputs, given": EITHER,
        "order exchanged: old, new": EITHER,
    },
    "comparing._differ": {"order exchanged: old, new": EITHER},
    "comparing.shapes_differ": {"order exchanged: mine, part": EITHER},
    "checking.stages": {
        "off by one: np.random.default_rng(...": AS_GOOD,
        "order exchanged: hers, again": EITHER,
    },
    "checking.more_inputs": {"off by one: np.random.default_rng(...": AS_GOOD},
    "checking._factor": {
        "another number: float(...": "0.1 times 0 is 0, too",
        "order exchanged: part, mine": EITHER_FACTOR,
    },
    "measuring.compare": {"order exchanged: furthest, uncertain": "both are 0 here"},
    "measuring.measured": {
        "order exchanged: numeric, error": "both are zeros here",
        "another number: max(1.0, ...": "another step, which is as good",
    },
    "showing.shown": {
        "off by one: value.size if ...": "an array that is not whole has more than one number",
    },
    "showing.whole": {"off by one: max(value.shape[-1:], default=1)": "it is one number"},
    "accumulate": {"always: not (owned and grad.flags.c_contiguous)": COPIED},
}

NAMES = {"order exchanged", "another default"}  # what these faults are made of
KEPT = {*keyword.kwlist, *["self", "np", "const", "long", "int", "real", "double", "struct"]}
# A variable: no attribute, no function that is called, no constant in capitals, no name of an
# argument (dtype=x).
WORD = re.compile(r"(?<![\w.>\"'`])([A-Za-z_]\w*)(?!\w|\(|=\S)|(\.\.\.)|`(\w+)`")


@cache
def pattern(text: str) -> re.Pattern[str]:
    """What `text` of an entry matches: variables become groups, "..." any text."""
    fault, _, code = text.partition(": ")
    if not code:
        return re.compile(re.escape(fault).replace(r"\.\.\.", ".*"), re.S)
    as_it_stands = code.split(" -> ")[0].isidentifier() or fault in NAMES
    if " -> " not in code:
        code += " -> ..."
    groups: dict[str, str] = {}

    def variable(name: str) -> str:
        if name in groups:
            return rf"(?P={groups[name]})(?!\w)"
        groups[name] = f"v{len(groups)}"
        return rf"(?P<{groups[name]}>\b[A-Za-z_]\w*)(?!\w)"

    made, end = re.escape(fault + ": "), 0
    for m in WORD.finditer(code):
        made += re.escape(code[end : m.start()])
        if m[2]:
            made += ".*?"
        elif m[3]:
            made += re.escape(m[3])
        elif as_it_stands or m[1] in KEPT or m[1].isupper():
            made += re.escape(m[1])
        else:
            made += variable(m[1])
        end = m.end()
    return re.compile(made + re.escape(code[end:]), re.S)


def matches(text: str, mutant: Mutant) -> bool:
    """Whether an entry's text means this fault; two variables of it are never the same one."""
    found = pattern(text).fullmatch(mutant.text)
    return bool(found) and len({*found.groups()}) == len(found.groups())  # type: ignore[union-attr]


def entries(name: str) -> list[tuple[str, str, str]]:
    """Function, text and reason of the entries for the function of this full name."""
    parts = name.split(".")
    suffixes = [".".join(parts[i:]) for i in range(len(parts))]
    return [(s, *entry) for s in suffixes for entry in EQUIVALENT.get(s, {}).items()]


def reason(mutant: Mutant) -> str | None:
    """Why this fault changes nothing; None if it should change something."""
    return next((why for _, text, why in entries(mutant.name) if matches(text, mutant)), None)


def gone(mutants: list[Mutant]) -> list[str]:
    """The entries that mean none of the faults: their code has changed."""
    used = {
        (function, text)
        for mutant in mutants
        for function, text, _ in entries(mutant.name)
        if matches(text, mutant)
    }
    return [
        f"{function}: {text}"
        for function, texts in EQUIVALENT.items()
        for text in texts
        if (function, text) not in used
    ]
