"""Small tensors, where the tape and the call around a kernel are what costs."""

from typing import Any

from benchmarks.compare.case import Call, Case, there_and_back


def chain(lib: Any, links: int) -> Call:
    x, w, b = (lib.randn(8, 8, requires_grad=True) for _ in range(3))

    def forward() -> Any:
        y = x
        for _ in range(links):
            y = (y * w + b).tanh()
        return y

    return there_and_back([x, w, b], forward, lib.ones(8, 8))


def softmax(lib: Any, N: int, n: int, backward: bool) -> Call:
    x = lib.randn(N, n, requires_grad=backward)

    def forward() -> Any:
        return lib.softmax(x, dim=-1)

    return there_and_back([x], forward, lib.randn(N, n)) if backward else forward


def cross_entropy(lib: Any, N: int, V: int, backward: bool) -> Call:
    x, target = lib.randn(N, V, requires_grad=backward), lib.randint(0, V, (N,))

    def forward() -> Any:
        return lib.nn.functional.cross_entropy(x, target)

    return there_and_back([x], forward, None) if backward else forward


CASES = [
    Case("tape", "150 operations on 8x8 with backward", lambda lib: chain(lib, 50), claimed=0.95),
    Case("rows", "softmax forward 64x16", lambda lib: softmax(lib, 64, 16, False)),
    Case(
        "rows",
        "softmax forward+backward 64x16",
        lambda lib: softmax(lib, 64, 16, True),
        claimed=1.68,
    ),
    Case("rows", "cross entropy forward 64x16", lambda lib: cross_entropy(lib, 64, 16, False)),
    Case(
        "rows",
        "cross entropy forward+backward 64x16",
        lambda lib: cross_entropy(lib, 64, 16, True),
        claimed=1.48,
    ),
]
