"""One generator of cases per kernel: inputs in float64, in the shapes where kernels go wrong.

A case is (name, arguments). Look first at `cast`, which turns one into the float type and the
awkward memory layout a test asks for, and at bounds.py for how near a result must come.
"""

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tinyattn.kernels import AdamOptions, SGDOptions
from tinyattn.kernels._types import Source, Stream
from tinyattn.kernels.windows import Windows

Case = tuple[str, dict[str, Any]]


def rng(*seed: int) -> np.random.Generator:
    return np.random.default_rng([17, *seed])


def cast(args: dict[str, Any], dtype: Any) -> dict[str, Any]:
    """The same arguments with every float array (also inside lists) in `dtype`, fresh copies that
    keep their strides.
    """

    def one(x: Any) -> Any:
        if isinstance(x, list):
            return [one(item) for item in x]
        if isinstance(x, np.ndarray):
            kind = dtype if x.dtype.kind == "f" else x.dtype
            if 0 in x.strides and x.size > 1:
                return np.broadcast_to(
                    x[tuple(slice(0, 1) if s == 0 else slice(None) for s in x.strides)].astype(
                        kind
                    ),
                    x.shape,
                )
            return x.astype(kind, order="K")
        return x

    return {name: one(x) for name, x in args.items()}


def but(args: dict[str, Any], **options: Any) -> dict[str, Any]:
    """The same arguments with other options."""
    return args | {"options": args["options"]._replace(**options)}


# Memory layouts that hold the same values.


def unaligned(x: np.ndarray) -> np.ndarray:
    raw = np.empty(x.nbytes + 1, np.uint8)
    out = raw[1:].view(x.dtype).reshape(x.shape)
    out[...] = x
    return out


def gapped(x: np.ndarray) -> np.ndarray:
    wide = np.zeros((*x.shape[:-1], 2 * x.shape[-1] + 3), x.dtype)
    out = wide[..., 1 : 1 + 2 * x.shape[-1] : 2]
    out[...] = x
    return out


def backwards(x: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(x[..., ::-1])[..., ::-1]


def big_endian(x: np.ndarray) -> np.ndarray:
    return x.astype(x.dtype.newbyteorder(">"))


def read_only(x: np.ndarray) -> np.ndarray:
    out = x.copy()
    out.flags.writeable = False
    return out


def fortran(x: np.ndarray) -> np.ndarray:
    return np.asfortranarray(x)


LAYOUTS: list[Callable[[np.ndarray], np.ndarray]] = [
    unaligned,
    gapped,
    backwards,
    big_endian,
    read_only,
    fortran,
]


def int8_linear() -> Iterator[Case]:
    r = rng(77)
    sizes = [(1, 1, 1), (3, 5, 7), (6, 16, 64), (7, 17, 65), (2, 200, 33), (97, 33, 130), (0, 4, 5)]
    for N, K, F in [*sizes, (4, 0, 5), (4, 5, 0), (13, 64, 48)]:
        weight = r.integers(1, 256, size=(F, K)).astype(np.uint8)
        # Multiples of a power of two, up to 127 of them: nothing is rounded.
        x = r.integers(-127, 128, size=(N, K)).astype(np.float64)
        x[:, :1] = 127
        x *= 2.0 ** r.integers(-5, 5, size=(N, 1))
        scale, bias = r.uniform(0.001, 0.02, size=F), r.normal(size=F)
        args = {"x": x, "weight": weight, "scale": scale, "bias": bias}
        yield f"{N}x{K}x{F}", args
        yield f"{N}x{K}x{F} without bias", args | {"bias": None}
        yield f"{N}x{K}x{F} between steps", args | {"x": r.normal(size=(N, K))}
    x = r.normal(size=(7, 5))
    x[0], x[1], x[2, 3], x[3, 1], x[4, 0], x[5] = 0, 1e-35, np.nan, np.inf, -np.inf, 1e25
    yield "special rows between steps", args | {"x": x, "weight": args["weight"][:, :5].copy()}


def int8_rows() -> Iterator[Case]:
    r = rng(78)
    for N, V, D in [(1, 1, 1), (5, 7, 3), (40, 11, 65), (0, 3, 4), (3, 4, 0)]:
        weight = r.integers(1, 256, size=(V, D)).astype(np.uint8)
        args = {"index": r.integers(0, V, size=N), "weight": weight}
        yield f"{N} of {V}x{D}", args | {"scale": r.uniform(0.001, 0.02, size=V)}


def gru_gates() -> Iterator[Case]:
    r = rng(79)
    for N, H in [(1, 1), (3, 5), (7, 67), (200, 48), (0, 4), (3, 0)]:
        gx, gh = 3 * r.normal(size=(2, N, 3 * H))
        yield f"{N}x{H}", {"gx": gx, "gh": gh, "h": r.normal(size=(N, H))}


def lstm_gates() -> Iterator[Case]:
    r = rng(80)
    for N, H in [(1, 1), (3, 5), (7, 67), (200, 48), (0, 4), (3, 0)]:
        gx, gh = 3 * r.normal(size=(2, N, 4 * H))
        yield f"{N}x{H}", {"gx": gx, "gh": gh, "c": r.normal(size=(N, H))}


def matmul() -> Iterator[Case]:
    r = rng(1)
    sizes = [
        (1, 1, 1),
        (2, 3, 5),
        (7, 13, 11),
        (1, 64, 97),
        (97, 1, 64),
        (64, 97, 1),
        (17, 31, 129),
        (33, 200, 67),
        (131, 400, 193),  # more than one block of K where K is blocked by 384 or 256
        (5, 16, 1),  # one column: dot products
        (0, 3, 4),
        (3, 0, 4),
        (3, 4, 0),
    ]
    for M, K, P in sizes:
        name = f"{M}x{K}x{P}"
        a, b, bias = r.normal(size=(M, K)), r.normal(size=(K, P)), r.normal(size=P)
        yield name, {"a": a, "b": b}
        yield name + " bias", {"a": a, "b": b, "bias": bias}
        yield name + " a transposed", {"a": np.ascontiguousarray(a.T).T, "b": b}
        yield name + " b transposed", {"a": a, "b": np.ascontiguousarray(b.T).T, "bias": bias}
        yield (
            name + " both transposed",
            {"a": np.ascontiguousarray(a.T).T, "b": np.ascontiguousarray(b.T).T},
        )
    wide = r.normal(size=(29, 60))
    yield "a leading dimension", {"a": wide[:, 3:20], "b": wide[:17, 20:55]}
    yield "odd strides", {"a": wide[::2, ::3], "b": wide[9:29, ::-1]}
    yield "a column", {"a": wide[:, 3:4], "b": wide[4:5, :]}
    one, line = wide[3:4:5, 7:8:9], wide.reshape(-1)[:20]
    yield "axes of one with odd strides", {"a": one, "b": one}
    yield "column times row", {"a": line[:, None], "b": line[None]}
    yield "row times column", {"a": line[None], "b": line[:, None]}
    yield "reversed axis of one", {"a": wide[::-60], "b": wide.T[:, ::-60]}
    yield "reversed rows", {"a": wide[::-1], "b": r.normal(size=(60, 5))}
    x = r.normal(size=(4, 6, 7))
    yield "batch of a, one b", {"a": x, "b": r.normal(size=(7, 9)), "bias": r.normal(size=9)}
    yield "batch with gaps, one b", {"a": x[:, 1:5, 2:6], "b": r.normal(size=(4, 9))}
    yield "batch transposed, one b", {"a": x.transpose(0, 2, 1), "b": r.normal(size=(6, 9))}
    yield "batch", {"a": x, "b": r.normal(size=(4, 7, 5)), "bias": r.normal(size=5)}
    yield "batch against itself transposed", {"a": x, "b": x.transpose(0, 2, 1)}
    yield "one a, batch of b", {"a": r.normal(size=(3, 6)), "b": x}
    yield "batch of one", {"a": x, "b": r.normal(size=(1, 7, 5))}
    yield "batches crossing", {"a": r.normal(size=(3, 1, 2, 4)), "b": r.normal(size=(5, 4, 6))}
    yield (
        "heads",
        {
            "a": r.normal(size=(2, 5, 3, 4)).transpose(0, 2, 1, 3),
            "b": r.normal(size=(2, 6, 3, 4)).transpose(0, 2, 3, 1),
        },
    )
    yield (
        "broadcast a",
        {"a": np.broadcast_to(r.normal(size=(6, 7)), (4, 6, 7)), "b": r.normal(size=(4, 7, 5))},
    )
    yield "batch reversed", {"a": x[::-1], "b": r.normal(size=(4, 7, 5))}
    yield "empty batch", {"a": np.zeros((0, 2, 3)), "b": np.zeros((0, 3, 4))}
    yield "batch, K = 0", {"a": np.zeros((2, 3, 0)), "b": np.zeros((2, 0, 4)), "bias": np.ones(4)}
    yield "large numbers", {"a": 1e4 * x, "b": 1e4 * r.normal(size=(7, 3))}


# Other axes than the last: few and many columns, more than a block of them, nothing.
AXES: list[tuple[tuple[int, ...], int]] = [
    ((5, 3), 0),
    ((2, 17, 40), 1),
    ((3, 4, 7, 5), -2),
    ((33, 2, 150), 0),
    ((1, 3000, 21), 1),
    ((4, 9, 1), 1),
    ((0, 3, 2), 1),
    ((2, 0, 3), 1),
    ((2, 3, 0), 1),
]


def rows() -> Iterator[tuple[str, np.ndarray]]:
    """Rows for everything that works along the last axis."""
    r = rng(2)
    for shape in [(1, 1), (3, 2), (5, 17), (31, 64), (2, 1000), (257, 7), (2, 3, 4, 5), (11,)]:
        yield f"{shape}", r.normal(size=shape)
    yield "(3, 20011)", r.normal(size=(3, 20011))
    for shape in [(0, 5), (5, 0), (0, 0), (2, 0, 3)]:
        yield f"empty {shape}", np.zeros(shape)
    yield "±1e4", r.choice([-1e4, 0.0, 1e4], size=(13, 33)) + r.normal(size=(13, 33))
    yield "wide", 30 * r.normal(size=(9, 130))
    yield "equal", np.full((4, 37), 3.25)
    with_inf = r.normal(size=(6, 19))
    with_inf[:, ::3] = -np.inf
    yield "some -inf", with_inf


def elements() -> Iterator[Case]:
    """Arrays of any shape, for what works element by element."""
    yield from ((name, {"x": x}) for name, x in rows())
    yield "scalar", {"x": np.array(0.7)}
    yield "odd strides", {"x": rng(14).normal(size=(6, 40))[::2, ::-3]}


def softmax() -> Iterator[Case]:
    r = rng(3)
    for name, x in rows():
        yield name, {"x": x}
        yield name + " masked", {"x": x, "mask": r.random(x.shape) < 0.6}
    x = r.normal(size=(4, 3, 10))
    yield "nothing to attend", {"x": x, "mask": np.zeros(x.shape, bool)}
    yield "all to attend", {"x": x, "mask": np.ones(x.shape, bool)}
    padding = np.arange(10) < np.array([0, 1, 7, 10])[:, None]
    yield "padding", {"x": x, "mask": padding[:, None, :]}
    yield "one mask for all", {"x": x, "mask": np.arange(10) % 3 > 0}
    yield "mask of one column", {"x": x, "mask": np.array([[True], [False], [True]])}
    yield "one key left of ±1e4", {"x": 1e4 * x, "mask": np.arange(10) == 4}
    for shape, axis in AXES:
        yield f"axis {axis} of {shape}", {"x": r.normal(size=shape), "axis": axis}
    long = r.normal(size=(1, 70_001))
    yield "a long row", {"x": long}
    yield "a long row masked", {"x": long, "mask": long < 1}
    hidden = x.copy()
    hidden[..., 3], hidden[..., 4] = np.nan, np.inf
    yield "NaN behind the mask", {"x": hidden, "mask": (np.arange(10) < 3)}
    yield (
        "odd strides",
        {"x": r.normal(size=(6, 40))[::2, ::-3], "mask": r.random((3, 28))[:, ::2] < 0.5},
    )


def log_softmax() -> Iterator[Case]:
    for name, x in rows():
        yield name, {"x": x}
    for shape, axis in AXES:
        yield f"axis {axis} of {shape}", {"x": 3 * rng(15).normal(size=shape), "axis": axis}


def backward_rows() -> Iterator[Case]:
    """Logits and a gradient; the test makes y by the forward kernel."""
    r = rng(4)
    for name, x in rows():
        if name != "some -inf":
            yield name, {"x": x, "grad": r.normal(size=x.shape)}
    for shape, axis in AXES:
        x, grad = r.normal(size=shape), r.normal(size=shape)
        yield f"axis {axis} of {shape}", {"x": x, "grad": grad, "axis": axis}


def cross_entropy() -> Iterator[Case]:
    r = rng(5)
    for N, V in [(1, 1), (5, 3), (7, 33), (64, 16), (3, 1000), (2, 20011), (0, 4)]:
        logits = 3 * r.normal(size=(N, V))
        target = r.integers(0, V, size=N)
        some = target.copy()
        some[::2] = -100
        plain = {
            "logits": logits,
            "target": target,
            "weight": None,
            "ignore_index": -100,
            "label_smoothing": 0.0,
            "mean": False,
            "with_grad": True,
        }
        weight = r.uniform(0.2, 2, size=V)
        weight[0] = 0 if V > 1 else 1
        name = f"({N}, {V})"
        yield name, plain
        yield name + " without gradient", plain | {"with_grad": False}
        yield name + " ignored in part", plain | {"target": some, "mean": True}
        yield name + " all ignored", plain | {"target": np.full(N, -100), "label_smoothing": 0.1}
        yield name + " ignore a class", plain | {"ignore_index": 0, "label_smoothing": 0.2}
        yield name + " weight", plain | {"weight": weight, "mean": True}
        yield name + " smoothing", plain | {"label_smoothing": 0.1, "mean": True}
        yield name + " smoothing only", plain | {"label_smoothing": 1.0, "weight": weight}
        yield (
            name + " all together",
            plain | {"target": some, "weight": weight, "label_smoothing": 0.3, "mean": True},
        )
        yield name + " ±1e4", plain | {"logits": 1e4 * np.sign(logits) + logits}
        yield name + " growing", plain | {"logits": logits + np.linspace(1, 60, V)}
        yield name + " -1e4", plain | {"logits": logits - 1e4}
    long = {"logits": r.normal(size=(1, 70_001)), "target": np.array([70_000])}
    yield "a long row", plain | long
    yield "a long row, growing", plain | long | {"logits": long["logits"] + np.arange(70_001) / 50}
    yield (
        "odd strides",
        plain | {"logits": r.normal(size=(20, 30))[::3, ::-2], "target": np.arange(14)[::2]},
    )


def nll_loss() -> Iterator[Case]:
    r = rng(80)
    for N, V in [(1, 1), (5, 3), (7, 33), (64, 16), (2000, 3), (0, 4)]:
        x, weight = -r.uniform(0, 9, size=(N, V)), r.uniform(0.2, 2, size=V)
        target = r.integers(0, V, size=N)
        some = np.where(np.arange(N) % 3 == 1, -100, target)
        plain = {"x": x, "target": target, "weight": None, "ignore_index": -100, "mean": True}
        name = f"({N}, {V})"
        yield name, plain
        yield name + " sum", plain | {"mean": False}
        yield name + " weight, ignored in part", plain | {"weight": weight, "target": some}
        yield name + " weight, ignore a class", plain | {"weight": weight, "ignore_index": 0}
        yield name + " all ignored", plain | {"target": np.full(N, -100), "mean": False}


def nll_loss_backward() -> Iterator[Case]:
    r = rng(81)
    for name, args in nll_loss():
        N, V = args["x"].shape
        known = {key: args[key] for key in ("target", "ignore_index")}
        known |= {"weights": r.uniform(0.2, 2, size=N), "total": np.full((), 1.5), "classes": V}
        yield name, {"grad": r.normal(size=N)} | known
        yield name + " one gradient", {"grad": r.normal(size=1)} | known


def products() -> Iterator[Case]:
    r = rng(87)
    for name, x in middles():
        yield name, {"x": x, "y": r.normal(size=x.shape)}


def elementwise_sum() -> Iterator[Case]:
    r = rng(82)
    for shape in [(1,), (7,), (3, 5, 41), (40, 1000), (0, 4), ()]:
        x, y = (np.asarray(v) for v in r.normal(size=(2, *shape)))
        plain = {"operation": "squared_error", "inputs": [x, y], "p": 0.0, "divisor": 1.0}
        yield f"{shape}", plain
        yield f"{shape} huber, mean", plain | {"operation": "huber", "p": 0.5, "divisor": 3.0}
        yield f"{shape} an array without axes", plain | {"inputs": [np.array(0.5), y]}
    rows, column = r.normal(size=(50, 700)), r.normal(size=(50, 1))
    yield "spread", plain | {"inputs": [rows, column]}
    yield "a number", plain | {"inputs": [rows, 0.5]}
    yield "gaps", plain | {"inputs": [rows[:, ::2], rows[:, 1::2]]}


def row_pairs() -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    r = rng(83)
    for N, D in [(1, 1), (3, 7), (5, 16), (4, 33), (2, 3000), (300, 70), (0, 3), (3, 0)]:
        x, y = r.normal(size=(2, N, D))
        yield f"({N}, {D})", x, y
        if N > 2 and D:
            x, y = x.copy(), x + 1e-3 * y
            x[1] = 0
            yield f"({N}, {D}) a zero row, others nearly alike", x, y


def normalize() -> Iterator[Case]:
    for name, x, _ in row_pairs():
        yield name, {"x": x, "eps": 1e-12}
        yield name + " large eps", {"x": x, "eps": 2.0}


def cosine() -> Iterator[Case]:
    for name, x, y in row_pairs():
        yield name, {"x": x, "y": y, "eps": 1e-8}
        yield name + " large eps", {"x": x, "y": y, "eps": 2.0}


def pairwise() -> Iterator[Case]:
    for name, x, y in row_pairs():
        yield name, {"x": x, "y": y, "eps": 1e-6}
        yield name + " no eps", {"x": x, "y": y, "eps": 0.0}


def embedding_backward() -> Iterator[Case]:
    r = rng(6)
    for N, V, D in [(1, 1, 1), (5, 3, 4), (97, 11, 33), (300, 1000, 17), (64, 2, 130), (7, 5, 1)]:
        grad, index = r.normal(size=(N, D)), r.integers(0, V, size=N)
        plain = {"grad": grad, "index": index, "num_embeddings": V, "padding_idx": -1}
        name = f"N{N} V{V} D{D}"
        yield name, plain
        yield name + " padding", plain | {"padding_idx": V // 2}
        yield name + " one row only", plain | {"index": np.full(N, V - 1)}
        yield name + " all padding", plain | {"index": np.zeros(N, np.int64), "padding_idx": 0}
    yield (
        "cancelling",
        {
            "grad": np.array([[1e8], [1.0], [-1e8], [1.0]]),
            "index": np.zeros(4, np.int64),
            "num_embeddings": 1,
            "padding_idx": -1,
        },
    )
    for N, V, D in [(0, 4, 3), (5, 4, 0), (0, 0, 2)]:
        yield (
            f"empty N{N} V{V} D{D}",
            {
                "grad": np.zeros((N, D)),
                "index": np.zeros(N, np.int64),
                "num_embeddings": V,
                "padding_idx": -1,
            },
        )
    yield (
        "odd strides",
        plain | {"grad": r.normal(size=(14, 9))[::2, ::-3], "index": np.arange(28)[::4] % 5},
    )


def copy() -> Iterator[Case]:
    """Views of every kind. Large ones are cut into parts."""
    r = rng(20)
    yield from elements()
    for shape in [(3, 40, 50), (16, 16), (17, 65), (130, 66), (2, 3, 5, 7), (1030, 33), (5, 2100)]:
        x, name = r.normal(size=shape), "x".join(map(str, shape))
        yield name + " turned", {"x": x.T}
        yield name + " rolled axes", {"x": np.moveaxis(x, 0, -1)}
        yield name + " neighbours", {"x": x.swapaxes(-1, -2)}
        yield name + " gaps, turned", {"x": x[..., ::2].T}
        yield name + " backwards", {"x": x[::-1, ..., ::-1]}
        yield name + " backwards, turned", {"x": x[::-1, ..., ::-1].T}
        yield name + " repeated columns", {"x": np.broadcast_to(x[..., None], (*shape, 3))}
        yield name + " repeated rows", {"x": np.broadcast_to(x, (3, *shape))}
    axes = r.normal(size=(2, 1, 3, 2, 2, 3, 1, 2))
    yield "eight axes", {"x": axes.transpose(7, 0, 5, 2, 1, 4, 6, 3)}


def fill() -> Iterator[Case]:
    """Few elements, many, so many that they leave the caches; zero, and a zero with a sign."""
    for shape in [(1,), (3, 5), (0, 4), (16_385,), (100, 401), (1100, 1000)]:
        for number in (0.0, -0.0, 2.5):
            y = np.full(shape, 7.0)
            yield f"{shape} {number}", {"y": y, "x": np.array(number)}
            y = np.full((*shape, 2), 7.0)[..., 1]
            yield f"{shape} {number}, gaps", {"y": y, "x": np.array(number)}


def convert() -> Iterator[Case]:
    r = rng(24)
    for shape in [(), (1,), (3, 5), (0, 4), (16_385,), (100, 401)]:
        x = np.asarray(r.normal(size=shape) * 100)
        for name in ("int64", "int32"):
            yield f"{shape} {name}", {"x": x, "dtype": np.dtype(name)}
    yield "transposed", {"x": r.normal(size=(30, 40)).T, "dtype": np.dtype("int64")}


def triangle() -> Iterator[Case]:
    r = rng(21)
    for shape in [(1, 1, 1), (2, 3, 5), (1, 33, 17), (3, 70, 130), (40, 20, 20), (0, 2, 2)]:
        x = r.normal(size=shape)
        for k in (0, 2, -3, 1000, -1000, 2**63 - 1):
            for upper in (False, True):
                yield f"{shape} k = {k}, {upper}", {"x": x, "k": k, "upper": upper}
    yield "three columns", {"x": r.normal(size=(2, 3, 0)), "k": 0, "upper": True}


def place() -> Iterator[Case]:
    r = rng(23)
    for A, m, C, n, start, step in [
        (1, 1, 1, 1, 0, 1),
        (3, 4, 1, 9, 2, 2),
        (3, 4, 5, 9, 0, 2),
        (2, 3, 7, 11, 4, 3),
        (40, 50, 1, 60, 3, 1),
        (1, 9000, 3, 20_000, 1000, 1),
        (1, 9000, 3, 20_000, 7, 2),
        (5, 0, 3, 4, 0, 1),
        (0, 2, 3, 4, 1, 2),
        (2, 3, 0, 4, 0, 1),
        (2, 1, 70_000, 3, 1, 1),
    ]:
        x = r.normal(size=(A, m, C))
        yield f"{A}x{m}x{C} to {n}", {"x": x, "n": n, "start": start, "step": step}


def picks() -> Iterator[tuple[str, tuple[int, int, int, int], np.ndarray]]:
    """(A, n, N, C) and an index (A or 1, N, C or 1): one element, rows, columns, all; on an axis
    that fits into the caches and one that does not; few places, and all at the same place."""
    r = rng(22)
    sizes = [(1, 5, 7, 1), (3, 4, 5, 6), (2, 100, 50, 40), (50, 30, 70, 1), (2, 7, 3, 2000)]
    sizes += [(1, 1, 9, 1), (300, 40, 1, 1), (20, 100, 3, 1), (1, 5000, 300, 20), (1, 20, 30, 33)]
    sizes += [(1, 40_000, 20_000, 1), (2, 34_000, 500, 1), (1, 3000, 800, 17), (1, 9000, 2000, 5)]
    sizes += [(1, 3, 0, 4), (0, 3, 2, 1), (2, 3, 4, 0), (1, 0, 0, 1)]
    for A, n, N, C in sizes:
        for own, columns in {(1, 1), (A, 1), (1, C), (A, C)}:
            index = (
                r.integers(0, n, size=(own, N, columns)) if n else np.zeros((own, 0, columns), int)
            )
            yield f"A{A} n{n} N{N} C{C}, index {index.shape}", (A, n, N, C), index
    yield "one place", (1, 50, 600, 3), np.full((1, 600, 1), 49)
    yield "one place of many", (1, 40_000, 600, 1), np.full((1, 600, 1), 39_999)


def gather() -> Iterator[Case]:
    for name, (A, n, _, C), index in picks():
        yield name, {"x": rng(23).normal(size=(A, n, C)), "index": index}


def scatter() -> Iterator[Case]:
    for name, (A, n, N, C), index in picks():
        y, x = rng(24).normal(size=(A, n, C)), rng(25).normal(size=(A, N, C))
        yield name, {"y": y, "index": index, "x": x}
        yield name + ", a number", {"y": y, "index": index, "x": np.full((1, 1, 1), 7.5)}


def scatter_add() -> Iterator[Case]:
    for name, (A, n, N, C), index in picks():
        plain = {"x": rng(26).normal(size=(A, N, C)), "index": index, "n": n}
        yield name, plain
        yield name + ", onto", plain | {"onto": rng(27).normal(size=(A, n, C))}
    x = np.array([1e8, 1.0, -1e8, 1.0, np.inf, 1.0]).reshape(1, 6, 1)
    yield "cancelling", {"x": x, "index": np.array([0, 0, 0, 0, 1, 1]).reshape(1, 6, 1), "n": 3}


def gru() -> Iterator[Case]:
    yield from _recurrent(7, gates=3)


def lstm() -> Iterator[Case]:
    for name, args in _recurrent(12, gates=4):
        yield name, args | {"c0": rng(13).normal(size=args["h0"].shape)}


def _recurrent(seed: int, gates: int) -> Iterator[Case]:
    r = rng(seed)
    shapes = [
        ("one", [1], 1),
        ("T = 1", [5], 4),
        ("B = 1", [1, 1, 1, 1], 6),
        ("equal", [4, 4, 4], 5),
        ("unequal", [7, 5, 5, 3, 1, 1], 13),
        ("a warp of rows", [33, 20, 8], 32),
        ("odd", [3, 3, 2], 67),
        ("wide", [6, 6, 5], 130),
        ("few rows, cut into columns", [2, 2, 1], 150),
        ("H = 0", [2, 1], 0),
        ("B = 0", [0, 0], 3),
    ]
    for name, sizes, H in shapes:
        B, N = sizes[0], sum(sizes)
        plain = {
            "gx": r.normal(size=(N, gates * H)),
            "h0": np.tanh(r.normal(size=(B, H))),
            "w_hh": r.normal(size=(gates * H, H)) / max(H, 1) ** 0.5,
            "b_hh": r.normal(size=gates * H),
            "batch_sizes": np.array(sizes, np.int64),
            "reverse": False,
        }
        yield name, plain
        yield name + ", reverse", plain | {"reverse": True}
        yield name + ", no bias", plain | {"b_hh": None, "h0": np.zeros((B, H))}
        yield name + ", saturated", plain | {"gx": 1e4 * plain["gx"]}


def layer_norm() -> Iterator[Case]:
    r = rng(8)
    for N, D in [(1, 1), (4, 2), (7, 33), (64, 64), (3, 1000), (257, 5), (2, 20011), (0, 4)]:
        x, weight, bias = r.normal(size=(N, D)), r.normal(size=D), r.normal(size=D)
        name = f"({N}, {D})"
        yield name, {"x": x, "weight": None, "bias": None, "eps": 1e-5}
        yield name + " affine", {"x": x, "weight": weight, "bias": bias, "eps": 1e-5}
        yield name + " weight only", {"x": x, "weight": weight, "bias": None, "eps": 1e-3}
        yield name + " off centre", {"x": 3 * x + 100, "weight": weight, "bias": bias, "eps": 1e-5}
    yield "constant rows", {"x": np.full((3, 8), 2.5), "weight": None, "bias": None, "eps": 1e-5}
    yield (
        "odd strides",
        {
            "x": r.normal(size=(6, 40))[::2, ::-3],
            "weight": r.normal(size=28)[::2],
            "bias": None,
            "eps": 1e-5,
        },
    )


def rms_norm() -> Iterator[Case]:
    for name, args in layer_norm():
        if args["bias"] is None or args["weight"] is None:
            yield name, {key: value for key, value in args.items() if key != "bias"}


def additive() -> Iterator[Case]:
    r = rng(13)
    sizes = [(1, 1, 1, 1), (2, 3, 5, 7), (3, 1, 17, 33), (2, 9, 4, 130), (1, 40, 31, 64)]
    more = [(2, 19, 3, 2), (1, 2, 67, 2)]
    empty = [(0, 2, 2, 3), (2, 0, 3, 4), (2, 3, 0, 4), (2, 3, 2, 0)]
    for B, Tq, Tk, H in [*sizes, *empty, (5, 24, 20, 37), *more]:
        q, k, v = r.normal(size=(B, Tq, H)), r.normal(size=(B, Tk, H)), r.normal(size=H)
        yield f"B{B} Tq{Tq} Tk{Tk} H{H}", {"q": q, "k": k, "v": v}
        yield f"B{B} Tq{Tq} Tk{Tk} H{H} saturated", {"q": 1e4 * q, "k": k, "v": v}


def adam() -> Iterator[Case]:
    r = rng(9)
    shapes = [(3,), (4, 5), (129, 7), (0,), (), (1, 1), (9000,)]
    plain = {
        "params": [r.normal(size=s) for s in shapes],
        "grads": [r.normal(size=s) for s in shapes],
        "exp_avgs": [r.normal(size=s) for s in shapes],
        "exp_avg_sqs": [r.random(size=s) for s in shapes],
        "steps": [1, 2, 3, 1, 100, 5, 100000],
        "options": AdamOptions(lr=1e-2, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.0),
    }
    yield "plain", plain
    yield "weight decay", but(plain, weight_decay=0.1)
    yield "decoupled", but(plain, weight_decay=0.1, decoupled=True)
    yield "maximize", but(plain, weight_decay=0.1, maximize=True)
    yield "no averaging", but(plain, beta1=0.0, beta2=0.0, eps=1e-3)
    yield (
        "first step",
        plain
        | {
            "steps": [1] * len(shapes),
            "exp_avgs": [np.zeros(s) for s in shapes],
            "exp_avg_sqs": [np.zeros(s) for s in shapes],
        },
    )
    yield (
        "no parameters",
        plain | {"params": [], "grads": [], "exp_avgs": [], "exp_avg_sqs": [], "steps": []},
    )


def sgd() -> Iterator[Case]:
    r = rng(10)
    shapes = [(3,), (4, 5), (129, 7), (0,), (), (9000,)]
    n = len(shapes)
    plain = {
        "params": [r.normal(size=s) for s in shapes],
        "grads": [r.normal(size=s) for s in shapes],
        "buffers": None,
        "first": [True] * n,
        "options": SGDOptions(lr=0.1, momentum=0.0, dampening=0.0, weight_decay=0.0),
    }
    yield "plain", plain
    yield "weight decay", but(plain, weight_decay=0.1, maximize=True)
    first = but(plain, momentum=0.9) | {"buffers": [r.normal(size=s) for s in shapes]}
    later = first | {"first": [False] * n}
    yield "first momentum", but(first, dampening=0.5)
    yield "momentum", but(later, dampening=0.5)
    yield "some first", first | {"first": [True, False, False, True, False, True]}
    yield "nesterov", but(later, nesterov=True, weight_decay=0.1)
    yield "nesterov, maximize", but(first, nesterov=True, maximize=True)


def middles() -> Iterator[tuple[str, np.ndarray]]:
    """x (A, n, C) to be reduced over n: rows, columns, few and many, cut into pieces and not."""
    r = rng(12)
    shapes = [(1, 1, 1), (3, 5, 1), (2, 100, 3), (300, 10, 1), (40, 10, 5), (2, 33, 600)]
    shapes += [(1, 20, 1500), (4, 2, 70), (3, 5, 513), (301, 3, 1)]
    shapes += [(1, 2000, 513), (2, 17, 65), (1, 9000, 64), (5, 0, 3), (0, 4, 2), (2, 3, 0)]
    shapes += [(1, 100_001, 1), (3, 30_001, 1), (1, 33_000, 3), (2, 200, 257)]
    for shape in shapes:
        yield "x".join(map(str, shape)), r.random(size=shape) + 0.5
        if math.prod(shape) < 10_000:
            yield "x".join(map(str, shape)) + " off centre", r.normal(size=shape) + 1e4
            yield "x".join(map(str, shape)) + " cancelling", r.normal(size=shape)
    yield "odd strides", r.random(size=(4, 30, 6))[:, ::-3, ::2].swapaxes(0, 2)


def extreme() -> Iterator[Case]:
    for name, x in middles():
        if x.shape[1]:
            yield name, {"x": x}
            yield name + " smallest, ties", {"x": np.round(4 * x), "sign": -1.0}


def topk() -> Iterator[Case]:
    for name, x in middles():
        if n := x.shape[1]:
            yield name, {"x": x, "k": min(n, 5)}
            yield name + " smallest, ties", {"x": np.round(4 * x), "k": 1, "largest": False}
            yield name + " many", {"x": x, "k": min(n, 64), "largest": False}


def prod() -> Iterator[Case]:
    """Numbers whose product neither overflows nor vanishes, however many there are."""
    for name, x in middles():
        if "centre" not in name:
            yield name, {"x": np.sign(x) * np.abs(x) ** (4 / max(x.shape[1], 4))}
    x = rng(17).normal(size=(4, 6, 3))
    x[0, 2], x[1, [2, 4]] = 0, 0
    yield "with zeros", {"x": x}


def cumprod() -> Iterator[Case]:
    yield from prod()


def glu() -> Iterator[Case]:
    r = rng(20)
    for shape in [(1, 2, 1), (3, 2, 5), (40, 2, 33), (2, 2, 3000), (0, 2, 3), (2, 2, 0)]:
        yield f"{shape}", {"x": 3 * r.normal(size=shape)}
    yield "±1e4", {"x": 1e4 * r.normal(size=(3, 2, 20))}


def windows() -> Iterator[tuple[str, Windows]]:
    """Windows side by side, overlapping, with gaps, over the ends; and those that cover all."""
    yield "pairs", Windows(6, 3, 2, 2)
    yield "pairs of an odd number", Windows(33, 16, 2, 2)
    yield "every step", Windows(9, 9, 3, 1, 1)
    yield "gaps between", Windows(20, 4, 3, 5)
    yield "long and overlapping", Windows(150, 8, 101, 9, 20)
    yield "one step", Windows(5, 5, 1, 1)
    yield "one window", Windows(70, 1, 70, 1)
    yield "windows without a step", Windows(4, 3, 2, 5, 1)
    for T, count in [(7, 3), (3, 7), (200, 10), (1, 1), (40, 40), (0, 2)]:
        yield f"{count} that cover {T}", Windows(T, count)


def max_pool() -> Iterator[Case]:
    r = rng(21)
    for name, w in windows():
        for N in (1, 5, 300) if name == "pairs" else (4,):
            yield f"{N} rows, {name}", {"x": r.normal(size=(N, w.T)), "windows": w}
    x = r.normal(size=(4, 90))
    yield "dilated", {"x": x, "windows": Windows(90, 80, 3, 1, 1, 5)}
    yield "dilated, few steps", {"x": x[:, :2], "windows": Windows(2, 1, 2, 1, 1, 3)}
    yield "ties", {"x": np.round(x), "windows": Windows(90, 3)}
    yield "no rows", {"x": x[:0], "windows": Windows(90, 3)}
    x[0, [3, 50]], x[1], x[2, 80] = np.nan, -np.inf, np.inf
    for w in (Windows(90, 45, 2, 2), Windows(90, 2)):
        yield f"special values, windows of {w.size}", {"x": x, "windows": w}


def mean_pool() -> Iterator[Case]:
    r = rng(22)
    for name, w in windows():
        for N in (1, 5, 300) if name == "pairs" else (4,):
            yield f"{N} rows, {name}", {"x": r.normal(size=(N, w.T)), "windows": w}
            if w.size:
                divided = w._replace(divisor=w.size)
                yield (
                    f"{N} rows, {name}, divisor",
                    {"x": r.normal(size=(N, w.T)), "windows": divided},
                )
    yield "no rows", {"x": np.zeros((0, 9)), "windows": Windows(9, 3)}


def moments_backward() -> Iterator[Case]:
    r = rng(18)
    for name, x in middles():
        A, _, C = x.shape
        with np.errstate(all="ignore"):
            mean = x.sum(axis=1) / x.shape[1]
        yield name, {"slope": r.normal(size=(A, C)), "x": x, "mean": mean, "rest": 1e-18 * mean}


STREAMS = {
    "a new generator": Stream(12345, 0, 8),
    "within a block": Stream(2**127 + 5, 7, 4),
    "over the end of the counter": Stream(1, 2**256 - 3, 6),
    "a carry": Stream(9, 2**64 - 2, 2),
    "a half is left": Stream(5, 9, 4, 0xFFFFFFFF),
    "an odd half": Stream(5, 9, 3),
}


def uniform() -> Iterator[Case]:
    for (name, stream), size in itertools.product(STREAMS.items(), (0, 1, 7, 2000)):
        if stream.first is None and stream.used % 2 == 0:
            yield f"{size}, {name}", {"arrays": [np.zeros(size)], "stream": stream}
    several = [np.zeros((200, 200)), np.zeros(0), np.zeros(3), np.zeros((5, 5))]
    yield "several", {"arrays": several, "stream": Stream(3, 4, 2)}


def source_of(stream: Stream) -> Source:
    """The place of a stream that begins with a whole word, in NumPy's terms."""
    words = np.frombuffer((stream.key + (stream.counter << 128)).to_bytes(48, "little"), "<u8")
    bits = np.random.Philox(counter=(stream.counter - 1) % 2**256, key=stream.key)
    bits.random_raw(1)
    block, half = bits.state["buffer"], stream.first
    return Source(words[2:], words[:2], block, stream.used // 2, half is not None, half or 0)


def normals() -> Iterator[Case]:
    for (name, stream), size in itertools.product(STREAMS.items(), (0, 1, 7, 2000)):
        if stream.used % 2 == 0:
            yield f"{size}, {name}", {"arrays": [np.zeros(size)], "source": source_of(stream)}
    several = [np.zeros((200, 200)), np.zeros(0), np.zeros(3), np.zeros((5, 5))]
    yield "several", {"arrays": several, "source": source_of(Stream(3, 4, 2))}


def dropout() -> Iterator[Case]:
    r = rng(19)
    for (name, stream), size in itertools.product(STREAMS.items(), (0, 1, 7, 2000)):
        yield (
            f"{size}, {name}",
            {"x": r.normal(size=size), "stream": stream, "p": 0.25, "scale": 1.5},
        )
    large = {"x": r.normal(size=(200, 200)), "stream": Stream(3, 4, 3), "scale": 2.0}
    yield "40,000", large | {"p": float(np.float32(0.1))}
    yield "all", large | {"p": 1.0}
    yield "odd strides", large | {"x": large["x"][::-3, ::2].T, "p": 0.5}
    yield "rows", large | {"p": 0.5, "places": r.integers(0, 1000, 400)}


def norms() -> Iterator[tuple[str, list[np.ndarray]]]:
    r = rng(11)
    yield "none", []
    yield "empty", [np.zeros(0), np.zeros((3, 0))]
    yield "one", [np.array([-3.0])]
    yield "scalar", [np.array(2.5)]
    yield "several", [r.normal(size=s) for s in [(3,), (4, 5), (), (129, 77), (20011,)]]
    yield "tiny and large", [np.array([1e-30, 1e-20]), np.array([1e15, 1.0, -1e-3])]
    yield "odd strides", [r.normal(size=(6, 40))[::2, ::-3], r.normal(size=(5, 4)).T]
