"""Shapes, strides and batches that Hypothesis makes up, against NumPy in float64."""

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tinyattn.kernels import Backend

from .bounds import assert_within, summing

few = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
size = st.integers(0, 40)
step = st.sampled_from([1, 1, 2, 3, -1, -2])


@st.composite
def matrix(draw: Any, batch: tuple[int, ...], rows: int, columns: int) -> np.ndarray:
    """A view of that shape: transposed, with steps, offset, or broadcast over the batch."""
    r = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    s, t, off = draw(step), draw(step), draw(st.integers(0, 3))
    own = tuple(1 if draw(st.integers(0, 4)) == 0 else n for n in batch)
    own = own[draw(st.integers(0, len(own))) :]
    if draw(st.booleans()):
        base = r.normal(size=(*own, columns * abs(t) + off, rows * abs(s)))
        base = np.swapaxes(base, -1, -2)
    else:
        base = r.normal(size=(*own, rows * abs(s), columns * abs(t) + off))
    view = base[..., ::s, :][..., : columns * abs(t)][..., ::t]
    assert view.shape == (*own, rows, columns)
    return view


@few
@given(data=st.data())
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_matmul(kernels: Backend, kind: Any, data: Any) -> None:
    M, K, P = data.draw(size), data.draw(size), data.draw(size)
    batch = data.draw(st.sampled_from([(), (1,), (3,), (2, 3), (2, 1, 2), (0,)]))
    # astype would tidy the strides up, so the cast goes through a buffer laid out alike.
    a, b = (data.draw(matrix(batch, *shape)).astype(kind, order="K") for shape in [(M, K), (K, P)])
    bias = data.draw(st.none() | st.just(np.linspace(-1, 1, P).astype(kind)))
    exact = a.astype(np.float64) @ b.astype(np.float64)
    room = np.abs(a.astype(np.float64)) @ np.abs(b.astype(np.float64))
    if bias is not None:
        exact, room = exact + bias, room + np.abs(bias)
    assert_within(kernels.matmul(a, b, bias), exact, room, K + 2)


@few
@given(data=st.data())
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_matmul_of_views(kernels: Backend, kind: Any, data: Any) -> None:
    """The same with the strides exactly as drawn."""
    M, K, P = data.draw(size), data.draw(size), data.draw(size)
    big = np.random.default_rng(3).normal(size=(130, 130)).astype(kind)

    def view(rows: int, columns: int) -> np.ndarray:
        s, t = data.draw(step), data.draw(step)
        x = big.T if data.draw(st.booleans()) else big
        at, to = data.draw(st.integers(0, 5)), data.draw(st.integers(0, 5))
        return x[at:, to:][: rows * abs(s), : columns * abs(t)][::s, ::t]

    a, b = view(M, K), view(K, P)
    exact = a.astype(np.float64) @ b.astype(np.float64)
    room = np.abs(a.astype(np.float64)) @ np.abs(b.astype(np.float64))
    assert_within(kernels.matmul(a, b), exact, room, K + 2)


@few
@given(
    shape=st.lists(st.integers(0, 9), min_size=1, max_size=4),
    masked=st.sampled_from([None, "full", "keys", "queries"]),
    seed=st.integers(0, 99),
)
def test_softmax(
    kernels: Backend, definition: Backend, shape: list[int], masked: str | None, seed: int
) -> None:
    r = np.random.default_rng(seed)
    x = (5 * r.normal(size=shape)).astype(np.float32)
    mask_shape = {
        "full": shape,
        "keys": shape[-1:],
        "queries": [*shape[:-1], 1],
        None: [],
    }[masked]
    mask = None if masked is None else r.random(mask_shape) < 0.5
    want = definition.softmax(x.astype(np.float64), mask)
    distance = -np.log(np.where(want > 0, want, 1))
    assert_within(kernels.softmax(x, mask), want, want, summing(shape[-1]) + distance)


@pytest.mark.parametrize("kind", ["gru", "lstm"])
@few
@given(
    lengths=st.lists(st.integers(1, 6), min_size=1, max_size=9),
    H=st.integers(1, 20),
    reverse=st.booleans(),
    seed=st.integers(0, 99),
)
def test_a_sequence_of_a_packed_batch_does_not_see_the_others(
    kernels: Backend, kind: str, lengths: list[int], H: int, reverse: bool, seed: int
) -> None:
    lengths = sorted(lengths, reverse=True)
    sizes = np.array([sum(n > t for n in lengths) for t in range(lengths[0])])
    starts = np.cumsum(sizes) - sizes
    gates, states = {"gru": (3, 1), "lstm": (4, 2)}[kind]
    r = np.random.default_rng(seed)
    gx, first = r.normal(size=(sum(lengths), gates * H)), r.normal(size=(states, len(lengths), H))
    w, bias = r.normal(size=(gates * H, H)) / H**0.5, r.normal(size=gates * H)

    def run(gx: np.ndarray, first: np.ndarray, sizes: np.ndarray) -> tuple[list[Any], list[Any]]:
        """Results of forward and backward: those with a row for each step, those with one state."""
        y, *last, saved = getattr(kernels, kind)(gx, *first, w, bias, sizes, reverse)
        kept = (saved, y, *first) if kind == "gru" else (saved, first[1])
        back = getattr(kernels, f"{kind}_backward")(y, *last, *kept, w, sizes, reverse)
        return [y, saved, *back[:-states]], [*last, *back[-states:]]

    rows, ends = run(gx, first, sizes)
    for sequence, length in enumerate(lengths):
        mine, one = starts[:length] + sequence, slice(sequence, sequence + 1)
        alone = run(gx[mine], first[:, one], np.ones(length, np.int64))
        packed = [*(x[mine] for x in rows), *(x[one] for x in ends)]
        for got, want in zip(packed, [*alone[0], *alone[1]], strict=True):
            np.testing.assert_allclose(got, want, rtol=0, atol=1e-12 * length)


@few
@given(
    index=st.lists(st.integers(0, 6), max_size=60),
    D=st.integers(0, 20),
    padding_idx=st.integers(-1, 6),
)
def test_embedding_backward(kernels: Backend, index: list[int], D: int, padding_idx: int) -> None:
    grad = np.arange(len(index) * D, dtype=np.float64).reshape(len(index), D)  # exact sums
    want = np.zeros((7, D))
    np.add.at(want, np.array(index, np.int64), grad)
    if padding_idx >= 0:
        want[padding_idx] = 0
    got = kernels.embedding_backward(grad, np.array(index, np.int64), 7, padding_idx)
    np.testing.assert_array_equal(got, want)
