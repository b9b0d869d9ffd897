"""Every operation that is not a product, forward and backward, at three sizes.

A row of the tables is a name, the operands by letter (see `operand`) and the operation, which takes
the library t, its functional names f, and the operands. `IDIOMS` are statements that programs
have in their loops, at the sizes they have there.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.compare.case import Call, Case, normal, there_and_back

SIZES = {"2000": (40, 50), "200000": (400, 500), "4M": (2000, 2000)}


def operand(lib: Any, letter: str, rows: int, cols: int, seed: int) -> Any:
    """Gradients reach x, y (normal), p (0.05 to 0.95), u (0.9 to 1.1), r (a row), c (a column).

    None reach z (normal), q (0.05 to 0.95), b (0 or 1), m (a mask), h (a mask of rows); of the
    indices, g stands for each element, j for each row, k is a class for each row.
    """
    rng = np.random.default_rng(seed)
    uniform = rng.random((rows, cols), dtype=np.float32)
    leaves = {
        "x": lambda: normal(rows, cols, seed=seed),
        "y": lambda: normal(rows, cols, seed=seed),
        "p": lambda: 0.05 + 0.9 * uniform,
        "u": lambda: 0.9 + 0.2 * uniform,
        "r": lambda: normal(cols, seed=seed),
        "c": lambda: normal(rows, 1, seed=seed),
    }
    others = {
        "z": lambda: normal(rows, cols, seed=seed),
        "q": lambda: 0.05 + 0.9 * uniform,
        "b": lambda: (uniform > 0.5).astype(np.float32),
        "m": lambda: uniform > 0.8,
        "h": lambda: uniform[:, 0] > 0.5,
        "g": lambda: rng.integers(0, cols, (rows, cols)),
        "j": lambda: rng.integers(0, rows, rows),
        "k": lambda: rng.integers(0, cols, rows),
    }
    x = lib.tensor((leaves | others)[letter]())
    return x.requires_grad_() if letter in leaves else x


def put(y: Any, index: Any, value: Any) -> Any:
    y[index] = value
    return y


def filled(t: Any, x: Any) -> Any:
    """The outputs of a loop over eight steps, put into one tensor."""
    steps = x.view(8, -1)
    outputs = t.zeros(8, steps.shape[1])
    for i in range(8):
        outputs[i] = steps[i]
    return outputs


BOTH_WAYS: dict[str, tuple[str, Callable[..., Any]]] = {
    # arithmetic
    "x + y": ("xy", lambda t, f, x, y: x + y),
    "x - y": ("xy", lambda t, f, x, y: x - y),
    "x * y": ("xy", lambda t, f, x, y: x * y),
    "x / y": ("xp", lambda t, f, x, y: x / y),
    "x * 2": ("x", lambda t, f, x: x * 2),
    "1 - x": ("x", lambda t, f, x: 1 - x),
    "-x": ("x", lambda t, f, x: -x),
    "x + row": ("xr", lambda t, f, x, r: x + r),
    "x * column": ("xc", lambda t, f, x, c: x * c),
    "x + tanh(x) / 2": ("x", lambda t, f, x: x + x.tanh() / 2),
    "x % 0.7": ("x", lambda t, f, x: x % 0.7),
    # functions
    "abs": ("x", lambda t, f, x: x.abs()),
    "square": ("x", lambda t, f, x: x.square()),
    "sqrt": ("p", lambda t, f, x: x.sqrt()),
    "rsqrt": ("p", lambda t, f, x: x.rsqrt()),
    "reciprocal": ("p", lambda t, f, x: x.reciprocal()),
    "exp": ("x", lambda t, f, x: x.exp()),
    "expm1": ("x", lambda t, f, x: x.expm1()),
    "log": ("p", lambda t, f, x: x.log()),
    "log1p": ("p", lambda t, f, x: x.log1p()),
    "log2": ("p", lambda t, f, x: x.log2()),
    "sin": ("x", lambda t, f, x: x.sin()),
    "cos": ("x", lambda t, f, x: x.cos()),
    "erf": ("x", lambda t, f, x: x.erf()),
    "tanh": ("x", lambda t, f, x: x.tanh()),
    "sigmoid": ("x", lambda t, f, x: x.sigmoid()),
    "x ** 3": ("x", lambda t, f, x: x**3),
    "x ** -0.5": ("p", lambda t, f, x: x**-0.5),
    "x ** y": ("py", lambda t, f, x, y: x**y),
    # activations
    "relu": ("x", lambda t, f, x: f.relu(x)),
    "leaky_relu": ("x", lambda t, f, x: f.leaky_relu(x)),
    "elu": ("x", lambda t, f, x: f.elu(x)),
    "gelu": ("x", lambda t, f, x: f.gelu(x)),
    "gelu, tanh": ("x", lambda t, f, x: f.gelu(x, approximate="tanh")),
    "silu": ("x", lambda t, f, x: f.silu(x)),
    "softplus": ("x", lambda t, f, x: f.softplus(x)),
    "softsign": ("x", lambda t, f, x: f.softsign(x)),
    "logsigmoid": ("x", lambda t, f, x: f.logsigmoid(x)),
    "glu": ("x", lambda t, f, x: f.glu(x)),
    "dropout": ("x", lambda t, f, x: f.dropout(x, 0.1)),
    # choices
    "clamp": ("x", lambda t, f, x: x.clamp(-0.5, 0.5)),
    "maximum": ("xy", lambda t, f, x, y: t.maximum(x, y)),
    "minimum": ("xy", lambda t, f, x, y: t.minimum(x, y)),
    "where": ("mxy", lambda t, f, m, x, y: t.where(m, x, y)),
    "masked_fill": ("xm", lambda t, f, x, m: x.masked_fill(m, -1e9)),
    "nan_to_num": ("x", lambda t, f, x: x.nan_to_num()),
    "tril": ("x", lambda t, f, x: x.tril()),
    # reductions
    "sum": ("x", lambda t, f, x: x.sum()),
    "sum, dim 0": ("x", lambda t, f, x: x.sum(0)),
    "sum, dim 1": ("x", lambda t, f, x: x.sum(1)),
    "mean, dim 1": ("x", lambda t, f, x: x.mean(1)),
    "var, dim 1": ("x", lambda t, f, x: x.var(1)),
    "std, dim 0": ("x", lambda t, f, x: x.std(0)),
    "amax, dim 1": ("x", lambda t, f, x: x.amax(1)),
    "max, dim 1": ("x", lambda t, f, x: x.max(1)[0]),
    "max, dim 0": ("x", lambda t, f, x: x.max(0)[0]),
    "prod, dim 1": ("u", lambda t, f, x: x.prod(1)),
    "norm": ("x", lambda t, f, x: x.norm()),
    "norm, dim 1": ("x", lambda t, f, x: x.norm(dim=1)),
    "logsumexp, dim 1": ("x", lambda t, f, x: x.logsumexp(1)),
    "cumsum, dim 0": ("x", lambda t, f, x: x.cumsum(0)),
    "cumsum, dim 1": ("x", lambda t, f, x: x.cumsum(1)),
    "cumprod, dim 1": ("u", lambda t, f, x: x.cumprod(1)),
    "sort, dim 1": ("x", lambda t, f, x: x.sort(1)[0]),
    "topk(10), dim 1": ("x", lambda t, f, x: x.topk(10, 1)[0]),
    # normalising
    "softmax, dim 0": ("x", lambda t, f, x: x.softmax(0)),
    "softmax, dim 1": ("x", lambda t, f, x: x.softmax(1)),
    "log_softmax, dim 1": ("x", lambda t, f, x: x.log_softmax(1)),
    "layer_norm": ("xrr", lambda t, f, x, w, b: f.layer_norm(x, w.shape, w, b)),
    "rms_norm": ("xr", lambda t, f, x, w: f.rms_norm(x, w.shape, w)),
    "normalize": ("x", lambda t, f, x: f.normalize(x)),
    "cosine_similarity": ("xy", lambda t, f, x, y: f.cosine_similarity(x, y)),
    "pairwise_distance": ("xy", lambda t, f, x, y: f.pairwise_distance(x, y)),
    # losses
    "mse_loss": ("xz", lambda t, f, x, z: f.mse_loss(x, z)),
    "l1_loss": ("xz", lambda t, f, x, z: f.l1_loss(x, z)),
    "smooth_l1_loss": ("xz", lambda t, f, x, z: f.smooth_l1_loss(x, z)),
    "huber_loss": ("xz", lambda t, f, x, z: f.huber_loss(x, z)),
    "binary cross-entropy": ("pb", lambda t, f, x, b: f.binary_cross_entropy(x, b)),
    "binary cross-entropy, logits": (
        "xb",
        lambda t, f, x, b: f.binary_cross_entropy_with_logits(x, b),
    ),
    "kl_div": ("xq", lambda t, f, x, q: f.kl_div(x, q, reduction="batchmean")),
    "nll_loss": ("xk", lambda t, f, x, k: f.nll_loss(x, k)),
    "cross_entropy": ("xk", lambda t, f, x, k: f.cross_entropy(x, k)),
    "cross_entropy, smoothed": (
        "xk",
        lambda t, f, x, k: f.cross_entropy(x, k, label_smoothing=0.1),
    ),
    # picking and placing
    "gather": ("xg", lambda t, f, x, g: x.gather(1, g)),
    "scatter_add": ("xgy", lambda t, f, x, g, y: x.scatter_add(1, g, y)),
    "index_select": ("xj", lambda t, f, x, j: x.index_select(0, j)),
    "index_add": ("xjy", lambda t, f, x, j, y: x.index_add(0, j, y)),
    "embedding": ("xj", lambda t, f, x, j: f.embedding(j, x)),
    "x[rows]": ("xj", lambda t, f, x, j: x[j]),
    "x[mask]": ("xm", lambda t, f, x, m: x[m]),
    "x[mask of rows]": ("xh", lambda t, f, x, h: x[h]),
    "x[mask] = 0": ("xm", lambda t, f, x, m: put(x.clone(), m, 0.0)),
    "x[:, 1:-1]": ("x", lambda t, f, x: x[:, 1:-1]),
    "x[:, ::2]": ("x", lambda t, f, x: x[:, ::2]),
    "x[:, 1:] = y": (
        "xy",
        lambda t, f, x, y: put(x.clone(), (slice(None), slice(1, None)), y[:, 1:]),
    ),
    "outputs[t] = x[t], 8 times": ("x", lambda t, f, x: filled(t, x)),
    # copies
    "clone": ("x", lambda t, f, x: x.clone()),
    "transpose, contiguous": ("x", lambda t, f, x: x.t().contiguous()),
    "permute(2, 0, 1), contiguous": (
        "x",
        lambda t, f, x: x.view(x.shape[0], -1, 10).permute(2, 0, 1).contiguous(),
    ),
    "heads: transpose(1, 2), contiguous": (
        "x",
        lambda t, f, x: x.view(4, -1, 5, x.shape[1] // 5).transpose(1, 2).contiguous(),
    ),
    "cat": ("xy", lambda t, f, x, y: t.cat((x, y), 1)),
    "stack": ("xy", lambda t, f, x, y: t.stack((x, y), 1)),
    "split and cat": ("x", lambda t, f, x: t.cat(x.split(x.shape[1] // 2, 1)[::-1], 1)),
    "unbind and stack": ("x", lambda t, f, x: t.stack(x.view(8, -1).unbind(0), 1)),
    "pad": ("x", lambda t, f, x: f.pad(x, (3, 3))),
    "repeat": ("x", lambda t, f, x: x.repeat(2, 1)),
    "repeat_interleave": ("x", lambda t, f, x: x.repeat_interleave(2, 1)),
    "expand": ("r", lambda t, f, x: x.expand(40, -1) * 1.5),
    "roll": ("x", lambda t, f, x: x.roll(1, 1)),
    "flip": ("x", lambda t, f, x: x.flip(0)),
    # pooling
    "max_pool1d": ("x", lambda t, f, x: f.max_pool1d(x.unsqueeze(0), 2)),
    "adaptive_avg_pool1d": ("x", lambda t, f, x: f.adaptive_avg_pool1d(x.unsqueeze(0), 10)),
}

FORWARD: dict[str, tuple[str, Callable[..., Any]]] = {
    "x > y": ("zz", lambda t, f, x, y: x > y),
    "x == 0": ("z", lambda t, f, x: x == 0),
    "mask & mask": ("mm", lambda t, f, x, y: x & y),
    "isnan": ("z", lambda t, f, x: x.isnan()),
    "floor": ("z", lambda t, f, x: x.floor()),
    "long()": ("z", lambda t, f, x: x.long()),
    "double()": ("z", lambda t, f, x: x.double()),
    "argmax, dim 1": ("z", lambda t, f, x: x.argmax(1)),
    "any, dim 1": ("m", lambda t, f, m: m.any(1)),
    "mask.sum()": ("m", lambda t, f, m: m.sum()),
    "randn": ("z", lambda t, f, x: t.randn(*x.shape)),
    "rand": ("z", lambda t, f, x: t.rand(*x.shape)),
    "zeros": ("z", lambda t, f, x: t.zeros(*x.shape)),
    "x.add_(y)": ("zz", lambda t, f, x, y: x.add_(y, alpha=-1e-3)),
    "x.mul_(-1)": ("z", lambda t, f, x: x.mul_(-1)),
    "x.copy_(y)": ("zz", lambda t, f, x, y: x.copy_(y)),
    "x.zero_()": ("z", lambda t, f, x: x.zero_()),
}


# What stands for all of them with Numba (200,000 elements) and with more threads (4 million).
SOME = {
    "x + y",
    "x + row",
    "x + tanh(x) / 2",
    "exp",
    "tanh",
    "gelu",
    "x ** 3",
    "where",
    "dropout",
    "sum, dim 0",
    "sum, dim 1",
    "var, dim 1",
    "max, dim 1",
    "logsumexp, dim 1",
    "cumsum, dim 1",
    "softmax, dim 0",
    "gather",
    "scatter_add",
    "embedding",
    "transpose, contiguous",
    "cat",
}


def operation(lib: Any, letters: str, apply: Callable[..., Any], rows: int, cols: int) -> Call:
    """Forward, and backward where a gradient reaches an operand."""
    f = lib.nn.functional
    operands = [operand(lib, letter, rows, cols, seed) for seed, letter in enumerate(letters)]
    leaves = [x for x in operands if x.requires_grad]
    if not leaves:
        return lambda: apply(lib, f, *operands)
    shape = apply(lib, f, *operands).shape
    gradient = lib.tensor(normal(*shape, seed=99)) if shape else None
    return there_and_back(leaves, lambda: apply(lib, f, *operands), gradient)


def _case(size: str, name: str, letters: str, apply: Callable[..., Any]) -> Case:
    rows, cols = SIZES[size]
    return Case(
        f"operations-{size}",
        name,
        lambda lib: operation(lib, letters, apply, rows, cols),
        twin=size == "200000" and name in SOME,
    )


def one_hot_letters(t: Any) -> Any:
    lines = t.zeros(8, 1, 57)
    for i in range(8):
        lines[i][0][7 * i] = 1
    return lines


IDIOMS: dict[str, tuple[int, int, str, Callable[..., Any]]] = {
    "pow(x, 3) of 64x256, forward": (64, 256, "z", lambda t, f, x: t.pow(x, 3)),
    "x ** -0.5 of 64x256, forward": (64, 256, "q", lambda t, f, x: x**-0.5),
    "topk(1) of 1x1000, forward": (1, 1000, "z", lambda t, f, x: x.topk(1)),
    "argmax of 1x1000, item": (1, 1000, "z", lambda t, f, x: x.argmax(1).item()),
    "t[i][0][j] = 1, 8 letters": (1, 1, "z", lambda t, f, x: one_hot_letters(t)),
    "x[mask] = v of 64x24": (64, 24, "xm", lambda t, f, x, m: put(x.clone(), m, -1e9)),
    "x[rows] of 64x256": (64, 256, "xj", lambda t, f, x, j: x[j]),
    "x[:, t] of 64x256": (64, 256, "x", lambda t, f, x: x[:, 3]),
    "outputs[t] = h of 64x256, 8 times": (64, 256, "x", lambda t, f, x: filled(t, x)),
}


def _idiom(name: str, rows: int, cols: int, letters: str, apply: Callable[..., Any]) -> Case:
    return Case("idioms", name, lambda lib: operation(lib, letters, apply, rows, cols))


CASES = [
    *(
        _case(size, name, letters, apply)
        for size in SIZES
        for table in (BOTH_WAYS, FORWARD)
        for name, (letters, apply) in table.items()
    ),
    *(_idiom(name, *row) for name, row in IDIOMS.items()),
]
