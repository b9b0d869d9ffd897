"""Products, softmax and losses, recurrences, attention and Adam, each alone at several sizes.

Letters: B batch, T time, H hidden, V vocabulary, N rows, h heads, D features of a head.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.compare.case import Call, Case, normal, there_and_back
from benchmarks.compare.rows import small
from benchmarks.models import adam


def gemm(*shape: int, name: str = "", **more: Any) -> Case:
    """A product (..., M, K) (..., K, P); shape ends with M, K, P."""
    *batch, M, K, P = shape

    def operands() -> tuple[np.ndarray, np.ndarray]:
        return normal(*batch, M, K), normal(*batch, K, P, seed=1)

    def product(lib: Any) -> Call:
        a, b = (lib.tensor(x) for x in operands())
        return lambda: lib.matmul(a, b)

    def numpy() -> Call:
        a, b = operands()
        return lambda: np.matmul(a, b)

    title = f"matmul {name or 'x'.join(map(str, shape))}"
    return Case("gemm", title, product, own={"numpy": numpy}, flops=2.0 * math.prod(shape), **more)


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


def adam_alone(lib: Any, shapes: list[tuple[int, int]]) -> Call:
    parameters = [lib.nn.Parameter(lib.randn(*shape)) for shape in shapes]
    for parameter in parameters:
        parameter.grad = lib.randn(*parameter.shape)
    return adam(parameters, lib.__name__).step


def _rows(
    title: str, setup: Callable[..., Call], N: int, n: int, claimed: float, **more: Any
) -> Case:
    name = f"{title} forward+backward {N}x{n}"
    return Case("softmax", name, lambda lib: setup(lib, N, n), claimed=claimed, **more)


def softmax(lib: Any, N: int, n: int) -> Call:
    return small.softmax(lib, N, n, backward=True)


def cross_entropy(lib: Any, N: int, V: int) -> Call:
    return small.cross_entropy(lib, N, V, backward=True)


def _gru(B: int, T: int, H: int, **more: Any) -> Case:
    products = 36.0 * T * B * H * H
    name = f"GRU forward+backward B{B} T{T} H{H}"
    return Case("gru", name, lambda lib: gru(lib, B, T, H), flops=products, **more)


def _attention(B: int, h: int, T: int, D: int, causal: bool = False, **more: Any) -> Case:
    """Seven products, two of them forward; half of each where causal."""
    name = f"attention forward+backward B{B} h{h} T{T} D{D}{', causal' * causal}"
    products = 14.0 * B * h * T * T * D / (2 if causal else 1)
    return Case(
        "attention", name, lambda lib: attention(lib, B, h, T, D, causal), flops=products, **more
    )


CASES = [
    gemm(32, 64, 192, claimed=0.99),
    gemm(64, 64, 64, name="64³", claimed=0.82),
    gemm(64, 128, 384, claimed=1.42),
    gemm(64, 256, 768, claimed=1.62, twin=True),
    gemm(256, 256, 256, name="256³", claimed=1.06),
    gemm(512, 512, 512, name="512³", claimed=1.08, twin=True),
    gemm(1024, 1024, 1024, name="1024³", claimed=1.08),
    gemm(2048, 2048, 2048, name="2048³", claimed=1.15),
    gemm(1, 256, 768, claimed=1.25),
    gemm(256, 32, 64, 32, name="256 of 32x64x32", claimed=1.41, twin=True),
    _rows("softmax", softmax, 32768, 64, 1.28),
    _rows("softmax", softmax, 4096, 1000, 1.42, twin=True),
    _rows("softmax", softmax, 768, 8000, 3.87),
    _rows("cross entropy", cross_entropy, 768, 8000, 4.30, twin=True),
    _rows("cross entropy", cross_entropy, 4096, 1000, 6.02),
    _rows("layer norm", layer_norm, 8192, 512, 1.78, twin=True),
    _gru(32, 16, 64, claimed=4.03),
    _gru(64, 16, 128, claimed=1.85, twin=True),
    _gru(64, 32, 256, claimed=1.48),
    _gru(64, 32, 512, claimed=1.37),
    _attention(64, 4, 16, 32, claimed=5.51),
    _attention(8, 8, 128, 64, claimed=1.67, twin=True),
    _attention(2, 8, 512, 64, claimed=1.47),
    _attention(2, 8, 512, 64, causal=True, claimed=2.51),
    _attention(1, 8, 2048, 64, claimed=1.27),
    _attention(1, 8, 2048, 64, causal=True, claimed=1.57),
    _attention(1, 2, 8192, 64, causal=True, claimed=1.40),
    Case(
        "optimiser",
        "Adam, 4 M parameters",
        lambda lib: adam_alone(lib, [(1000, 1000)] * 4),
        claimed=1.23,
        twin=True,
    ),
]
# What is measured with more threads, too.
MANY_CORES = {
    "matmul 256³",
    "matmul 512³",
    "matmul 1024³",
    "GRU forward+backward B64 T32 H512",
    "attention forward+backward B1 h8 T2048 D64",
    "attention forward+backward B1 h2 T8192 D64, causal",
}
