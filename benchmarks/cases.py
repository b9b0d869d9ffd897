"""What is measured: a table of cases. Each is set up once by code that takes the library as an
argument, tinyattn or PyTorch, so that both run the same lines; NumPy has the products only.

`setup(lib)` gives the call that is timed. Letters: B batch, T time, H hidden, V vocabulary, N rows.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from benchmarks import documents_model, seq2seq_model

Call = Callable[[], Any]


class Case(NamedTuple):
    group: str
    name: str
    setup: Callable[[Any], Call]
    goal: float  # the other side's time over ours: at least this
    flops: float = 0.0  # of the products
    numpy: Callable[[], Call] | None = None
    numba: float = 0.0  # our C's speed over Numba's: at most this; 0: not compared


def operands(*shape: int) -> tuple[np.ndarray, np.ndarray]:
    """Of a product (..., M, K) (..., K, P); shape ends with M, K, P."""
    *batch, M, K, P = shape
    rng = np.random.default_rng(0)
    left, right = rng.standard_normal((*batch, M, K)), rng.standard_normal((*batch, K, P))
    return left.astype(np.float32), right.astype(np.float32)


def product(lib: Any, shape: tuple[int, ...]) -> Call:
    a, b = (lib.tensor(x) for x in operands(*shape))
    return lambda: lib.matmul(a, b)


def numpy_product(shape: tuple[int, ...]) -> Call:
    a, b = operands(*shape)
    return lambda: np.matmul(a, b)


def there_and_back(leaves: list[Any], function: Call, gradient: Any) -> Call:
    """Forward and backward, with new gradients every time."""

    def call() -> None:
        for leaf in leaves:
            leaf.grad = None
        function().backward(gradient)

    return call


def softmax(lib: Any, N: int, n: int) -> Call:
    x = lib.randn(N, n, requires_grad=True)
    return there_and_back([x], lambda: lib.softmax(x, dim=-1), lib.randn(N, n))


def cross_entropy(lib: Any, N: int, V: int) -> Call:
    x, target = lib.randn(N, V, requires_grad=True), lib.randint(0, V, (N,))
    return there_and_back([x], lambda: lib.nn.functional.cross_entropy(x, target), None)


def layer_norm(lib: Any, N: int, D: int) -> Call:
    x, module = lib.randn(N, D, requires_grad=True), lib.nn.LayerNorm(D)
    return there_and_back([x, *module.parameters()], lambda: module(x), lib.randn(N, D))


def gru(lib: Any, B: int, T: int, H: int) -> Call:
    x, module = lib.randn(T, B, H, requires_grad=True), lib.nn.GRU(H, H)
    return there_and_back([x, *module.parameters()], lambda: module(x)[0], lib.randn(T, B, H))


def attention(lib: Any, B: int, h: int, T: int, D: int, causal: bool) -> Call:
    q, k, v = (lib.randn(B, h, T, D, requires_grad=True) for _ in range(3))
    dot_product = lib.nn.functional.scaled_dot_product_attention
    return there_and_back(
        [q, k, v], lambda: dot_product(q, k, v, is_causal=causal), lib.randn(B, h, T, D)
    )


def adam(lib: Any, shapes: list[tuple[int, int]]) -> Call:
    parameters = [lib.nn.Parameter(lib.randn(*shape)) for shape in shapes]
    for parameter in parameters:
        parameter.grad = lib.randn(*parameter.shape)
    return seq2seq_model.adam(lib, parameters).step


def chain(lib: Any, links: int) -> Call:
    x, w, b = (lib.randn(8, 8, requires_grad=True) for _ in range(3))

    def forward() -> Any:
        y = x
        for _ in range(links):
            y = (y * w + b).tanh()
        return y

    return there_and_back([x, w, b], forward, lib.ones(8, 8))


def _gemm(*shape: int, name: str = "", numba: float = 0.0) -> Case:
    return Case(
        "gemm",
        f"matmul {name or 'x'.join(map(str, shape))}",
        lambda lib: product(lib, shape),
        1.0,
        2.0 * math.prod(shape),
        lambda: numpy_product(shape),
        numba,
    )


def _rows(function: Callable[..., Call], N: int, n: int, goal: float, numba: float = 0.0) -> Case:
    title = function.__name__.replace("_", " ")
    return Case(
        "softmax",
        f"{title} forward+backward {N}x{n}",
        lambda lib: function(lib, N, n),
        goal,
        numba=numba,
    )


def _gru(B: int, T: int, H: int, goal: float, numba: float = 0.0) -> Case:
    return Case(
        "gru",
        f"GRU forward+backward B{B} T{T} H{H}",
        lambda lib: gru(lib, B, T, H),
        goal,
        36.0 * T * B * H * H,
        numba=numba,
    )


def _attention(B: int, h: int, T: int, D: int, goal: float, causal: bool = False) -> Case:
    """Seven products, two of them forward; half of each where causal."""
    return Case(
        "attention",
        f"attention forward+backward B{B} h{h} T{T} D{D}{', causal' * causal}",
        lambda lib: attention(lib, B, h, T, D, causal),
        goal,
        14.0 * B * h * T * T * D / (2 if causal else 1),
    )


def _seq2seq(B: int, T: int, H: int, V: int, goal: float) -> Case:
    return Case(
        "seq2seq",
        f"Seq2Seq step B{B} T{T} H{H} V{V}",
        lambda lib: seq2seq_model.training_step(lib, B, T, H, V),
        goal,
        seq2seq_model.flops(B, T, H, V),
    )


CASES = [
    _gemm(32, 64, 192),
    _gemm(64, 64, 64, name="64³"),
    _gemm(64, 128, 384),
    _gemm(64, 256, 768, numba=4.0),
    _gemm(256, 256, 256, name="256³"),
    _gemm(512, 512, 512, name="512³", numba=4.0),
    _gemm(1024, 1024, 1024, name="1024³"),
    _gemm(2048, 2048, 2048, name="2048³"),
    _gemm(1, 256, 768),
    _gemm(256, 32, 64, 32, name="256 of 32x64x32", numba=4.0),
    _rows(softmax, 64, 16, 2.0),
    _rows(softmax, 32768, 64, 1.2),
    _rows(softmax, 4096, 1000, 1.2, numba=2.5),
    _rows(softmax, 768, 8000, 1.2),
    _rows(cross_entropy, 64, 16, 2.0),
    _rows(cross_entropy, 768, 8000, 1.8, numba=2.5),
    _rows(cross_entropy, 4096, 1000, 1.8),
    _rows(layer_norm, 8192, 512, 1.2, numba=2.5),
    _gru(32, 16, 64, 3.0),
    _gru(64, 16, 128, 1.8, numba=2.5),
    _gru(64, 32, 256, 1.35),
    _gru(64, 32, 512, 1.2),
    _attention(64, 4, 16, 32, 3.0),
    _attention(8, 8, 128, 64, 1.2),
    _attention(2, 8, 512, 64, 1.1),
    _attention(2, 8, 512, 64, 1.7, causal=True),
    _attention(1, 8, 2048, 64, 1.1),
    _attention(1, 8, 2048, 64, 1.2, causal=True),
    _attention(1, 2, 8192, 64, 1.1, causal=True),
    Case(
        "optimiser",
        "Adam, 4 M parameters",
        lambda lib: adam(lib, [(1000, 1000)] * 4),
        1.0,
        numba=2.5,
    ),
    _seq2seq(32, 8, 64, 300, 3.0),
    _seq2seq(64, 10, 128, 1000, 1.8),
    _seq2seq(64, 12, 256, 4000, 1.35),
    _seq2seq(64, 15, 512, 8000, 1.35),
    Case(
        "documents",
        "one sentence, a token at a time, T10 H256 V3000",
        lambda lib: documents_model.training_step(lib, T=10, H=256, V=3000),
        2.0,
    ),
    Case("tape", "150 operations on 8x8 with backward", lambda lib: chain(lib, 50), 1.0),
]
GROUPS = list(dict.fromkeys(case.group for case in CASES))
