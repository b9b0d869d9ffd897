"""Scaled dot-product attention in every backend: against the definition in float64, itself held to
plain softmax; dropout's numbers; strides; threads; memory.
"""

import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tinyattn.kernels import (
    AttentionOptions,
    Backend,
    available_backends,
    set_num_threads,
    use_backend,
)
from tinyattn.kernels.reference.attention import kept, philox

from . import cases
from .bounds import assert_within, summing
from .cases import but, cast


def inputs(*sizes: int, seed: int = 60) -> dict[str, Any]:
    """q, k, v and grad for B, h, h_kv, Tq, Tk, D, Dv."""
    B, h, h_kv, Tq, Tk, D, Dv = sizes
    r = cases.rng(seed, *sizes)
    return {
        "q": r.normal(size=(B, h, Tq, D)),
        "k": r.normal(size=(B, h_kv, Tk, D)),
        "v": r.normal(size=(B, h_kv, Tk, Dv)),
        "grad": r.normal(size=(B, h, Tq, Dv)),
        "mask": None,
        "options": AttentionOptions(causal=False, scale=D**-0.5 if D else 1.0),
    }


def inside_rows(args: dict[str, Any]) -> dict[str, Any]:
    """The same with heads that stand in the rows of (B, T, h, D)."""
    names = ("q", "k", "v", "grad")
    return args | {n: args[n].swapaxes(1, 2).copy().swapaxes(1, 2) for n in names}


def attention() -> Iterator[cases.Case]:
    r = cases.rng(61)
    for sizes in [
        (1, 1, 1, 1, 1, 1, 1),
        (2, 3, 3, 5, 7, 4, 6),
        (1, 2, 1, 16, 16, 32, 32),
        (2, 4, 2, 17, 67, 13, 3),
        (1, 1, 1, 64, 64, 64, 64),
        (1, 2, 2, 131, 193, 20, 70),
        (1, 1, 1, 3, 1100, 5, 5),
        (1, 1, 1, 70, 1, 3, 4),
    ]:
        name = "x".join(map(str, sizes))
        plain = inputs(*sizes)
        B, h, _, Tq, Tk, _, _ = sizes
        yield name, plain
        yield name + " causal", but(plain, causal=True)
        yield name + " bool mask", plain | {"mask": r.random((B, h, Tq, Tk)) < 0.6}
        yield name + " added mask", but(plain, scale=-0.3) | {"mask": 3 * r.normal(size=(Tq, Tk))}
        holes = np.where(r.random((B, 1, Tq, Tk)) < 0.5, -np.inf, r.normal(size=(B, 1, Tq, Tk)))
        yield name + " added -inf", plain | {"mask": holes}
        padding = np.arange(Tk) < r.integers(0, Tk + 1, size=(B, 1, 1, 1))
        yield name + " padding, causal", but(plain, causal=True) | {"mask": padding}
        yield name + " queries masked", plain | {"mask": r.random((Tq, 1)) < 0.5}
        yield name + " dropout", but(plain, dropout_p=0.3, key=2**64 - 5, causal=True)
        yield name + " ±1e4", plain | {"q": 1e4 * np.sign(plain["q"])}
    plain = inputs(2, 2, 2, 70, 150, 8, 8)
    band = np.abs(np.arange(70)[:, None] * 2 - np.arange(150)) < 9
    yield "band", plain | {"mask": band}
    yield "nothing open", plain | {"mask": np.zeros((70, 150), bool)}
    yield "nothing open, added", plain | {"mask": np.full((1, 150), -np.inf)}
    yield "one mask column", plain | {"mask": r.normal(size=(2, 1, 70, 1))}
    yield "mask of odd strides", plain | {"mask": r.normal(size=(150, 140))[:, ::-2].T}
    yield "causal, more queries", but(inputs(1, 2, 2, 150, 70, 8, 8), causal=True)
    yield "long, causal", but(inputs(1, 1, 1, 600, 1100, 4, 5), causal=True)
    yield "heads inside rows", inside_rows(inputs(1, 6, 6, 280, 280, 5, 7))
    hidden = inputs(1, 1, 1, 20, 40, 8, 8)
    hidden["k"][..., 5, 2] = np.nan
    yield "NaN behind the mask", hidden | {"mask": np.arange(40) > 7}
    yield "NaN behind an added mask", hidden | {"mask": np.where(np.arange(40) > 7, 0, -np.inf)}
    yield "all dropped", but(plain, dropout_p=1.0, key=3)
    numbers = np.array([7, 0, 2**40 + 3, 4])
    yield "numbered heads", but(plain, dropout_p=0.3, key=5, numbers=numbers)
    for sizes in [
        (0, 2, 2, 3, 4, 5, 6),
        (1, 0, 0, 3, 4, 5, 6),
        (1, 2, 2, 0, 4, 5, 6),
        (1, 2, 2, 3, 0, 5, 6),
        (1, 2, 2, 3, 4, 0, 6),
        (1, 2, 2, 3, 4, 5, 0),
    ]:
        yield f"empty {sizes}", inputs(*sizes)


def split(args: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    return args["grad"], {name: value for name, value in args.items() if name != "grad"}


def run(kernels: Backend, args: dict[str, Any]) -> list[np.ndarray]:
    grad, rest = split(args)
    out, lse = kernels.attention(**rest)
    return [out, lse, *kernels.attention_backward(grad, out=out, lse=lse, **rest)]


def plainly(args: dict[str, Any]) -> tuple[np.ndarray, ...]:
    """Weights after dropout, before it, and the scores' magnitudes, all (B, h, Tq, Tk)."""
    q, k = args["q"], args["k"]
    _, h, Tq, _ = q.shape
    Tk = k.shape[2]
    k = k.repeat(h // max(k.shape[1], 1), axis=1)
    options = args["options"]
    s = options.scale * (q @ k.swapaxes(-1, -2))
    size = abs(options.scale) * (np.abs(q) @ np.abs(k).swapaxes(-1, -2))
    mask = args["mask"]
    if mask is not None and mask.dtype == bool:
        mask = np.where(mask, 0, -np.inf)
    if mask is not None:
        s = np.where(mask == -np.inf, mask, s + mask)
        size = np.where(mask == -np.inf, 0, size + np.where(np.isfinite(mask), np.abs(mask), 0))
    if options.causal:
        s = np.where(np.tri(Tq, Tk, dtype=bool), s, -np.inf)
    top = s.max(axis=-1, keepdims=True, initial=-np.inf)
    e = np.exp(s - np.where(np.isfinite(top), top, 0))
    total = e.sum(axis=-1, keepdims=True)
    p = e / np.where(total == 0, 1, total)
    dropped = p
    if options.dropout_p:
        dropped = p * kept(p.shape, 0, options, p.dtype)
    return dropped, p, np.where(p > 0, size, 0)


ATTENTION = [pytest.param(args, id=name) for name, args in attention()]


@pytest.mark.parametrize(("Tq", "Tk"), [(3, 150), (70, 150), (600, 1100)])
@pytest.mark.parametrize("dropout_p", [0.0, 0.3])
def test_what_an_earlier_call_left_does_not_matter(
    kernels: Backend, dtype: Any, Tq: int, Tk: int, dropout_p: float
) -> None:
    """The room that a thread works in is taken again as it is."""
    args = but(inputs(1, 2, 1, Tq, Tk, 12, 20), causal=True, dropout_p=dropout_p)
    args = cast(args, dtype)
    want = run(kernels, args)
    nan = {name: np.full_like(args[name], np.nan) for name in ("q", "k", "v", "grad")}
    with np.errstate(all="ignore"):
        run(kernels, but(args | nan, causal=False))
    for g, w in zip(run(kernels, args), want, strict=True):
        np.testing.assert_array_equal(g, w)


@pytest.mark.parametrize("args", ATTENTION)
def test_agrees_with_the_definition(
    kernels: Backend, definition: Backend, dtype: Any, args: dict[str, Any]
) -> None:
    args = cast(args, dtype)
    exact = cast(args, np.float64)
    got, want = run(kernels, args), run(definition, exact)
    (q, k, v), grad = (np.abs(exact[name]) for name in "qkv"), np.abs(exact["grad"])
    group = q.shape[1] // max(k.shape[1], 1)
    k, v = np.nan_to_num(k).repeat(group, axis=1), v.repeat(group, axis=1)
    dropped, p, size = plainly(exact)
    Tq, Tk = size.shape[2:]
    # A score's rounding is a weight's relative error; l's is one more.
    largest = size.max(axis=-1, keepdims=True, initial=0) + np.log(Tk + 1)
    room = (2 * q.shape[3] + 8) * largest + summing(Tk)
    scale = abs(exact["options"].scale)
    ds = p * (grad @ v.swapaxes(-1, -2) / max(1 - exact["options"].dropout_p, 0.5))
    ds = room * (ds + p * (grad * np.abs(want[0])).sum(axis=-1, keepdims=True))

    def shared(x: np.ndarray) -> np.ndarray:
        B, h, T, D = x.shape
        return x.reshape(B, h // group, group, T, D).sum(axis=2) if x.size else x

    magnitudes = [
        room * (dropped @ v),
        np.where(np.isfinite(want[1]), room[..., 0], 0),
        scale * (ds @ k),
        shared(scale * ds.swapaxes(-1, -2) @ q),
        shared((room * dropped).swapaxes(-1, -2) @ grad),
    ]
    roundings = [4, 1, summing(v.shape[3] + Tk), *2 * [summing(v.shape[3] + Tq * group)]]
    for g, w, m, n in zip(got, want, magnitudes, roundings, strict=True):
        assert_within(g, w, m, n)


@pytest.mark.parametrize("sizes", [(2, 4, 2, 7, 3, 2, 1), (2, 2, 2, 7, 8, 1, 2)])
@pytest.mark.parametrize("causal", [False, True])
def test_a_few_queries_at_a_time(
    kernels: Backend,
    definition: Backend,
    monkeypatch: pytest.MonkeyPatch,
    sizes: tuple[int, ...],
    causal: bool,
) -> None:
    if kernels.name == "numba":  # which takes 3 of 7 as it takes 128 of more
        monkeypatch.setattr("tinyattn.kernels.jit.attention.ROWS", 3)
    args = but(inputs(*sizes), causal=causal)
    args["mask"] = cases.rng(66).random((sizes[3], sizes[4])) < 0.7
    for got, want in zip(run(kernels, args), run(definition, args), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-11, atol=1e-13)


def test_where_all_values_are_equal_the_scores_have_no_gradient(kernels: Backend) -> None:
    """To the bit: the logarithm of the sum, 1e8 + log 2, is off by more than what is left."""
    args = inputs(1, 1, 1, 1, 2, 1, 1) | {"q": np.full((1, 1, 1, 1), 1e4)}
    args |= {"k": np.full((1, 1, 2, 1), 1e4), "v": np.ones((1, 1, 2, 1))}
    _, _, dq, dk, _ = run(kernels, args)
    assert dq.tolist() == [[[[0]]]]
    assert dk.tolist() == [[[[0], [0]]]]


@pytest.mark.parametrize("args", ATTENTION)
def test_the_definition_is_softmax_times_values(definition: Backend, args: dict[str, Any]) -> None:
    _, rest = split(args)
    if not args["k"].size or "NaN" in str(args["k"][..., 5:6, :]):
        return
    out, _ = definition.attention(**rest)
    group = args["q"].shape[1] // args["k"].shape[1]
    with np.errstate(all="ignore"):
        want = plainly(args)[0] @ args["v"].repeat(group, axis=1)
    finite = ~np.isnan(want)
    np.testing.assert_allclose(out[finite], want[finite], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dropout_p", [0.0, 0.3])
@pytest.mark.parametrize("masked", [False, True])
def test_the_definitions_gradients_are_softmaxs(
    definition: Backend, dropout_p: float, masked: bool
) -> None:
    """Of weights kept whole, with none of what the forward pass saved."""
    args = but(inputs(2, 4, 2, 5, 7, 4, 6), dropout_p=dropout_p, key=7, scale=-0.3)
    if masked:
        args["mask"] = cases.rng(65).normal(size=(4, 5, 7))
    q, k, v, g = (args[name] for name in ("q", "k", "v", "grad"))
    k, v = k.repeat(2, axis=1), v.repeat(2, axis=1)
    dropped, p, _ = plainly(args)
    dp = dropped / p * (g @ v.swapaxes(-1, -2))
    ds = p * (dp - (p * dp).sum(axis=-1, keepdims=True))
    dk = -0.3 * ds.swapaxes(-1, -2) @ q
    dv = dropped.swapaxes(-1, -2) @ g
    want = [-0.3 * ds @ k, *(d.reshape(2, 2, 2, 7, -1).sum(axis=2) for d in (dk, dv))]
    out, lse, *got = run(definition, args)
    if masked:
        _, rest = split(args)
        got.append(definition.attention_mask_gradient(g, out=out, lse=lse, **rest))
        want.append(ds)
    for one, other in zip(got, want, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12)


def test_philox_gives_the_published_numbers() -> None:
    zero = np.zeros(1, np.uint64)
    words = [int(word[0]) for word in philox(zero, zero, zero, 0)]
    assert words == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]


def test_dropout_keeps_the_same_elements_everywhere(
    kernels: Backend, definition: Backend, dtype: Any
) -> None:
    args = but(inputs(2, 3, 3, 70, 133, 4, 133), dropout_p=0.25, key=0x123456789ABCDEF0)
    args["v"] = np.broadcast_to(np.eye(133), (2, 3, 133, 133)).copy()
    _, rest = split(cast(args, dtype))
    out, _ = kernels.attention(**rest)
    want = kept((2, 3, 70, 133), 0, args["options"], np.dtype(dtype)) > 0
    np.testing.assert_array_equal(out > 0, want)
    assert abs(want.mean() - 0.75) < 0.01
    other = kept(want.shape, 0, args["options"]._replace(key=1), np.dtype(dtype)) > 0
    assert (want != other).any()


def test_heads_out_of_a_larger_batch_drop_what_they_drop_there(
    kernels: Backend, dtype: Any
) -> None:
    args = but(inputs(5, 4, 2, 17, 67, 13, 3), dropout_p=0.25, key=2**63 + 1)
    whole = run(kernels, cast(args, dtype))
    rows = [3, 1]
    numbers = np.array([12, 13, 14, 15, 4, 5, 6, 7])
    some = {name: args[name][rows] for name in ("grad", "q", "k", "v")}
    found = run(kernels, cast(but(args | some, numbers=numbers), dtype))
    for x, y in zip(whole, found, strict=True):
        np.testing.assert_allclose(y, x[rows], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("numbers", "error", "says"),
    [
        ([0, 1], TypeError, r"numbers must be an int64 array \(B h,\) = \(2,\), got list"),
        (np.zeros(2), TypeError, r"got float64 \[2\]"),
        (np.zeros(3, np.int64), ValueError, r"= \(2,\) without gaps"),
        (np.zeros(4, np.int64)[::2], ValueError, "without gaps"),
    ],
)
def test_numbers_that_are_not_those_of_all_heads_are_refused(
    kernels: Backend, numbers: Any, error: Any, says: str
) -> None:
    _, rest = split(but(inputs(1, 2, 2, 3, 4, 5, 6), dropout_p=0.5, numbers=numbers))
    with pytest.raises(error, match=says):
        kernels.attention(**rest)


def test_a_query_that_attends_nothing_gives_zeros_and_gets_none(
    kernels: Backend, dtype: Any
) -> None:
    args = inputs(2, 2, 2, 70, 80, 8, 8)
    closed = np.arange(70) % 3 == 0
    for mask in (~closed[:, None], np.where(closed, -np.inf, 0)[:, None]):
        out, lse, dq, dk, dv = run(kernels, cast(args | {"mask": mask}, dtype))
        assert not out[:, :, closed].any()
        assert not dq[:, :, closed].any()
        assert (lse[:, :, closed] == -np.inf).all()
        for x in (out, dq, dk, dv):
            assert np.isfinite(x).all()
        assert np.isfinite(lse[:, :, ~closed]).all()


@pytest.mark.parametrize("bad", [np.inf, np.nan])
def test_a_spoiled_query_spoils_its_own_row_only(kernels: Backend, dtype: Any, bad: float) -> None:
    args = inputs(1, 2, 2, 70, 80, 8, 8)
    args["q"] = np.abs(args["q"])
    args["k"] = np.abs(args["k"])
    args["q"][0, 1, 33, 2] = bad
    out, *_ = run(kernels, cast(args, dtype))
    spoiled = np.zeros((2, 70), bool)
    spoiled[1, 33] = True
    assert np.isnan(out[0][spoiled]).all()
    assert np.isfinite(out[0][~spoiled]).all()


@pytest.mark.parametrize("T", [7, 130])
def test_heads_inside_rows_are_read_and_written_where_they_lie(
    kernels: Backend, dtype: Any, T: int
) -> None:
    args = cast(but(inputs(2, 16, 16, T, T, 64, 64), causal=True), dtype)
    for got, want in zip(run(kernels, inside_rows(args)), run(kernels, args), strict=True):
        np.testing.assert_array_equal(got, want)
        if got.ndim == 4:
            assert got.transpose(0, 2, 1, 3).flags.c_contiguous


@pytest.mark.parametrize("order", [(2, 0, 3, 1, 4), (2, 1, 3, 0, 4)])
@pytest.mark.parametrize("count", [2, 3])
def test_the_gradients_of_parts_side_by_side_lie_side_by_side(
    kernels: Backend, dtype: Any, order: tuple[int, ...], count: int
) -> None:
    """As the projections of q, k and v, or of k and v, do: one array has all their gradients."""
    r = cases.rng(67)
    whole = r.normal(size=(4, 5, count, 3, 8)).astype(dtype)
    parts = list(whole.transpose(order))
    grad = r.normal(size=parts[0].shape).astype(dtype)
    q = grad if count == 2 else parts[0]
    options = AttentionOptions(causal=False, scale=0.5)

    def gradients(k: np.ndarray, v: np.ndarray, q: np.ndarray) -> list[np.ndarray]:
        out, lse = kernels.attention(q, k, v, None, options)
        return list(kernels.attention_backward(grad, q, k, v, out, lse, None, options))

    got = gradients(parts[-2], parts[-1], q)
    together = got[-count:]
    assert all(g.base is together[0].base for g in together)
    base = together[0].base
    assert base is not None
    assert base.shape == whole.shape
    for part, g in zip(base.transpose(order), together, strict=True):
        np.testing.assert_array_equal(part, g)
    want = gradients(parts[-2].copy(), parts[-1].copy(), q.copy())
    for g, w in zip(got, want, strict=True):
        np.testing.assert_allclose(g, w, rtol=1e-5, atol=1e-6)
    assert not np.shares_memory(want[-2], want[-1])


def test_the_gradients_of_parts_that_lie_otherwise_have_memory_of_their_own(
    kernels: Backend,
) -> None:
    """In another order, overlapping, with a gap, or of two arrays."""
    r = cases.rng(68)
    whole = r.normal(size=(2, 5, 3, 4, 8)).astype(np.float32)
    q, k, v = whole.transpose(2, 0, 3, 1, 4)
    options = AttentionOptions(causal=False, scale=0.5)
    for inputs_ in [(k, q, v), (q, q, q), (q, v, k), (q, k, v.copy()), (v, k, q)]:
        out, lse = kernels.attention(*inputs_, None, options)
        grads = kernels.attention_backward(out, *inputs_, out, lse, None, options)
        for one in range(3):
            for other in range(one):
                assert not np.shares_memory(grads[one], grads[other])


def test_a_thread_that_only_goes_back_has_room_enough(native: Backend, dtype: Any) -> None:
    set_num_threads(1)  # then the calling thread's own room is used, which is new in a new thread
    grad, rest = split(inside_rows(cast(inputs(1, 3, 3, 280, 280, 64, 64), dtype)))
    out, lse = native.attention(**rest)
    got: list[np.ndarray] = []

    def back() -> None:
        got.extend(native.attention_backward(grad, out=out, lse=lse, **rest))

    thread = threading.Thread(target=back)
    thread.start()
    thread.join()
    for g, want in zip(got, native.attention_backward(grad, out=out, lse=lse, **rest), strict=True):
        np.testing.assert_array_equal(g, want)


@pytest.mark.parametrize("layout", cases.LAYOUTS)
def test_any_layout_gives_the_same(kernels: Backend, dtype: Any, layout: Any) -> None:
    args = cast(inputs(2, 2, 1, 9, 11, 6, 5) | {"mask": cases.rng(62).normal(size=(9, 11))}, dtype)
    awkward = {name: layout(x) if isinstance(x, np.ndarray) else x for name, x in args.items()}
    for got, want in zip(run(kernels, awkward), run(kernels, args), strict=True):
        np.testing.assert_array_equal(got, want)


def test_the_same_bits_for_any_number_of_threads(native: Backend, dtype: Any) -> None:
    jobs = [
        inputs(64, 4, 4, 16, 16, 32, 32),
        but(inputs(1, 2, 1, 130, 1500, 24, 24), causal=True),
        but(inputs(1, 2, 2, 300, 1100, 24, 40), dropout_p=0.1, key=5),
        inputs(2, 3, 3, 67, 67, 8, 8) | {"mask": cases.rng(63).random((67, 67)) < 0.5},
    ]
    for job in jobs:
        args = cast(job, dtype)
        set_num_threads(1)
        alone = [x.tobytes() for x in run(native, args)]
        for threads in (1, 2, 3, 8):
            set_num_threads(threads)
            assert [x.tobytes() for x in run(native, args)] == alone


def test_every_instruction_set_agrees(native: Backend, definition: Backend, dtype: Any) -> None:
    best, *_ = names = native.package.supported_isas()
    cases_ = [
        but(inputs(1, 2, 2, 131, 193, 20, 70), causal=True, dropout_p=0.2, key=9),
        inputs(2, 2, 1, 67, 61, 16, 16) | {"mask": cases.rng(64).random((67, 61)) < 0.5},
        inputs(1, 1, 1, 5, 70, 33, 3) | {"mask": np.arange(70) < 50},
        but(inputs(1, 2, 1, 2, 70, 33, 3), causal=True) | {"mask": np.arange(70) < 50},
    ]
    try:
        for args in cases_:
            want = run(definition, cast(args, np.float64))
            for isa in names:
                native.package.set_isa(isa)
                for got, w in zip(run(native, cast(args, dtype)), want, strict=True):
                    np.testing.assert_allclose(
                        got, w, rtol=0, atol=2000 * np.finfo(dtype).eps * (1 + np.abs(w).max())
                    )
    finally:
        native.package.set_isa(best)


LONG = """
import resource
import numpy as np
from tinyattn.kernels import AttentionOptions, use_backend
r = np.random.default_rng(0)
q, k, v, grad = (r.normal(size=(1, 2, 8192, 64)).astype("f") for _ in range(4))
with use_backend("native") as kernels:
    options = AttentionOptions(causal=True, scale=0.125)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    out, lse = kernels.attention(q, k, v, None, options)
    kernels.attention_backward(grad, q, k, v, out, lse, None, options)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no resource module")
@pytest.mark.skipif("native" not in available_backends(), reason="the extension is not built")
def test_memory_grows_with_the_length_not_with_its_square() -> None:
    """T 8192, 2 heads, D 64 with backward: the scores alone would take 512 MB."""
    result = subprocess.run(
        [sys.executable, "-c", LONG], capture_output=True, text=True, check=True
    )
    kilobytes = int(result.stdout) / (1024 if sys.platform == "darwin" else 1)
    outputs = 4 * 4096
    assert kilobytes < 60_000 + outputs, kilobytes


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (
            {"q": np.zeros((2, 5, 4))},
            ValueError,
            r"q must be \(B, h, Tq, D\), got shape \(2, 5, 4\)",
        ),
        ({"k": np.zeros((1, 3, 7, 4))}, ValueError, r"k must be .* \(2, 3, 7, 4\)"),
        ({"k": np.zeros((2, 3, 7, 5))}, ValueError, r"k must be"),
        (
            {"k": np.zeros((2, 2, 7, 4)), "v": np.zeros((2, 2, 7, 6))},
            ValueError,
            "h = 3 heads of q are no multiple of the 2",
        ),
        (
            {"mask": np.zeros((5, 6))},
            ValueError,
            r"mask must broadcast to \(B, h, Tq, Tk\) = \(2, 3, 5, 7\), got \(5, 6\)",
        ),
        ({"mask": np.zeros((5, 7), int)}, TypeError, "mask: expected float32 or float64"),
        (
            {"mask": np.zeros((5, 7), np.float32)},
            TypeError,
            "mask: expected bool or float64 like the others, got float32",
        ),
        ({"v": np.zeros((2, 3, 7, 6), np.float32)}, TypeError, "v: expected float64"),
    ],
)
def test_wrong_arguments_are_named(
    kernels: Backend, change: dict[str, Any], error: type[Exception], words: str
) -> None:
    _, rest = split(inputs(2, 3, 3, 5, 7, 4, 6) | change)
    with pytest.raises(error, match=words):
        kernels.attention(**rest)


@pytest.mark.parametrize("name", ["q", "k", "v"])
def test_an_operand_spread_along_its_last_axis_is_read_as_it_is(name: str) -> None:
    rng = np.random.default_rng(0)
    arrays = {n: rng.standard_normal((1, 2, 3, 4)) for n in "qkv"}
    arrays[name] = np.broadcast_to(arrays[name][..., :1], (1, 2, 3, 4))
    whole = {n: np.ascontiguousarray(x) for n, x in arrays.items()}
    options = AttentionOptions(causal=False, scale=0.5)
    for backend in available_backends():
        with use_backend(backend) as kernels:
            got = kernels.attention(*arrays.values(), None, options)
            want = kernels.attention(*whole.values(), None, options)
        for g, w in zip(got, want, strict=True):
            np.testing.assert_array_equal(g, w)
