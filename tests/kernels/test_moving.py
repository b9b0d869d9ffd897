"""Copies and indexing where elements only move: types of every size, memory of every kind, errors;
and the definition of `scatter` and `scatter_add`, element by element.
"""

from typing import Any

import numpy as np
import pytest

from tinyattn.kernels import Backend
from tinyattn.kernels.layouts import walk

from .cases import big_endian, rng, unaligned

TYPES = ["float32", "float64", "int64", "int32", "uint8", "bool", "float16"]


def numbers(shape: tuple[int, ...], dtype: str) -> np.ndarray:
    return rng(100).integers(0, 100, size=shape).astype(dtype)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("shape", [(3, 4, 5), (60, 70, 80), (1, 20_000, 1)])
def test_elements_of_every_type_are_moved(
    kernels: Backend, dtype: str, shape: tuple[int, ...]
) -> None:
    x = numbers(shape, dtype)
    for view in (x, x.T, x[:, ::-1], x.swapaxes(1, 2)):
        got = kernels.copy(view)
        assert got.dtype == x.dtype
        np.testing.assert_array_equal(got, view)
    index = rng(101).integers(0, shape[1], size=(1, 30, shape[2]))
    whole = np.broadcast_to(index, (shape[0], 30, shape[2]))
    picked = kernels.gather(x, index)
    np.testing.assert_array_equal(picked, np.take_along_axis(x, whole, 1))
    y, want = x.copy(), x.copy()
    kernels.scatter(y, index, picked)
    np.testing.assert_array_equal(y, want)
    kernels.scatter(y, index, x[:1, :1, :1])
    np.put_along_axis(want, whole, x[0, 0, 0], 1)
    np.testing.assert_array_equal(y, want)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("other", TYPES)
@pytest.mark.parametrize("n", [1, 17, 20_000])
def test_every_type_becomes_every_other(kernels: Backend, dtype: str, other: str, n: int) -> None:
    x = numbers((n,), dtype) % 3
    for view in (x, x[::-1], np.resize(x, (2, n)).T):
        got = kernels.convert(view, np.dtype(other))
        assert got.dtype == other
        assert got.flags.c_contiguous
        np.testing.assert_array_equal(got, view.astype(other))


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")
@pytest.mark.parametrize("other", ["float32", "float64", "int64", "int32", "bool"])
def test_numbers_that_a_type_can_not_hold(kernels: Backend, dtype: Any, other: str) -> None:
    bad = [np.nan, np.inf, -np.inf, 1e300, -1e300, 2.0**63, -(2.0**63), 2.0**31, -(2.0**31), -0.0]
    with np.errstate(over="ignore"):
        x = np.resize(
            np.array([*bad, 2.0**31 - 1, 1e-310, 0.1, 1e-46, -1.9, 2.5]).astype(dtype), 99
        )
    want = x.astype(other)
    got = kernels.convert(x, np.dtype(other))
    np.testing.assert_array_equal(got, want)
    if got.dtype.kind == "f":
        np.testing.assert_array_equal(np.signbit(got), np.signbit(want))
    big = np.array([2**62 + 1, -(2**63), 2**53 + 1, 2**24 + 1, 7], np.int64)
    np.testing.assert_array_equal(kernels.convert(big, np.dtype(dtype)), big.astype(dtype))


def test_what_can_not_be_filled_is_refused(kernels: Backend) -> None:
    y = np.ones((2, 3), np.float32)
    for x in (np.ones((1,), np.float32), np.ones(())):
        with pytest.raises(ValueError, match=r"fill: x must be \(\) in float32, got .* in float"):
            kernels.fill(y, x)
    y.flags.writeable = False
    with pytest.raises(ValueError, match="fill: y is read-only"):
        kernels.fill(y, np.zeros((), np.float32))
    assert (y == 1).all()


@pytest.mark.parametrize("dtype", TYPES)
def test_a_number_of_every_type_fills(kernels: Backend, dtype: str) -> None:
    for y in (
        numbers((50, 401), dtype),
        big_endian(numbers((5, 4), dtype)),
        numbers((4, 3), dtype).T,
    ):
        kernels.fill(y, np.array(1, y.dtype))
        assert (y == 1).all()


@pytest.mark.parametrize("A", [1, 3])
@pytest.mark.parametrize("C", [1, 2])
@pytest.mark.parametrize("n", range(1, 8))
def test_rows_are_placed_between_zeros(
    kernels: Backend, dtype: Any, A: int, C: int, n: int
) -> None:
    for start in range(n):
        for step in range(1, n + 2):
            for m in range((n - 1 - start) // step + 2):
                x = numbers((A, m, C), "int64").astype(dtype) + 1
                want = np.zeros((A, n, C))
                for k in range(m):
                    want[:, start + k * step] = x[:, k]
                got = kernels.place(x, n, start, step)
                assert got.dtype == dtype
                np.testing.assert_array_equal(got, want)


def test_places_outside_are_refused(kernels: Backend) -> None:
    x = np.ones((2, 3, 4))
    for n, start, step in [(7, 1, 3), (7, 5, 1), (7, -1, 1), (7, 0, 0), (0, 0, 1)]:
        with pytest.raises(ValueError, match=r"place: expected 3 places from start .* in \[0, .\)"):
            kernels.place(x, n, start, step)
    with pytest.raises(TypeError, match=r"place: expected ints as start and step, got 0\.5 and 1"):
        kernels.place(x, 7, 0.5, 1)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="place: expected ints as start and step, got 0 and None"):
        kernels.place(x, 7, 0, None)  # type: ignore[arg-type]


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8"])
def test_transposed_matrices_of_every_small_size(kernels: Backend, dtype: str) -> None:
    whole = numbers((3, 19, 19), dtype)
    for n in range(1, 20):
        for m in range(1, 20):
            x = whole[:, :n, :m]
            np.testing.assert_array_equal(kernels.copy(x.swapaxes(1, 2)), x.swapaxes(1, 2))
            out = np.zeros((20, 20, 4), dtype)
            kernels.copy(x.T, out[:m, :n, :3])
            np.testing.assert_array_equal(out[:m, :n, :3], x.T)
            assert out.sum() == x.sum()


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8"])
def test_a_long_matrix_transposed(kernels: Backend, dtype: str) -> None:
    for shape in ((70, 1500), (1500, 70)):
        x = numbers(shape, dtype)
        np.testing.assert_array_equal(kernels.copy(x.T), x.T)


def test_nan_and_its_bits_are_moved(kernels: Backend) -> None:
    bits = np.array([0x7FC00001, 0x7F800123, -1, 0x00000001], np.int32)  # NaN of all kinds
    x = np.resize(bits, (40, 50)).view(np.float32)
    np.testing.assert_array_equal(kernels.copy(x.T).view(np.int32), x.T.view(np.int32))
    index = np.arange(50)[::-1].reshape(1, 50, 1)
    got = kernels.gather(x[..., None], index).view(np.int32)
    np.testing.assert_array_equal(got[..., 0], x.view(np.int32)[:, ::-1])


def test_a_copy_into_what_it_is_copied_from(kernels: Backend) -> None:
    x = np.arange(20_000.0)
    want = x[:-1].copy()
    kernels.copy(x[:-1], x[1:])
    np.testing.assert_array_equal(x[1:], want)
    kernels.copy(x[::-1], x)
    np.testing.assert_array_equal(x[:-1], want[::-1])


@pytest.mark.parametrize("shape", [(3, 4, 5), (33, 70, 20), (40_000, 1, 1)])
def test_copies_into_arrays_of_any_strides(
    kernels: Backend, dtype: Any, shape: tuple[int, ...]
) -> None:
    x = rng(106).normal(size=shape).astype(dtype)
    for source in (x, x[::-1], np.asfortranarray(x), np.broadcast_to(x[:1], shape)):
        for out in (
            np.zeros((*shape, 2), dtype)[..., 1],
            np.zeros(shape[::-1], dtype).T,
            np.zeros(shape, dtype)[::-1, ::-1],
            np.zeros((*shape[:2], 2 * shape[2]), dtype)[..., 1::2].swapaxes(0, 1).swapaxes(0, 1),
        ):
            assert kernels.copy(source, out) is out
            np.testing.assert_array_equal(out, source)


def test_only_the_target_is_written(kernels: Backend) -> None:
    whole = np.zeros((70, 90, 40), np.float32)
    x = rng(102).normal(size=(35, 89, 20)).astype(np.float32)
    kernels.copy(x, whole[::2, 1:, ::2])
    np.testing.assert_array_equal(whole[::2, 1:, ::2], x)
    whole[::2, 1:, ::2] = 0
    assert not whole.any()


def test_strange_memory(kernels: Backend) -> None:
    x = rng(103).normal(size=(6, 7, 8)).astype(np.float32)
    index = rng(104).integers(0, 7, size=(6, 5, 8))
    for strange in (unaligned, big_endian, np.asfortranarray):
        np.testing.assert_array_equal(kernels.copy(strange(x)), x)
        got = kernels.gather(strange(x), strange(index))
        np.testing.assert_array_equal(got, np.take_along_axis(x, index, 1))
        y, want = strange(x), x.copy()
        kernels.scatter(y, index, strange(got * 2))
        np.put_along_axis(want, index, got * 2, 1)
        np.testing.assert_array_equal(y, want)
    out = unaligned(np.zeros_like(x))
    np.testing.assert_array_equal(kernels.copy(x, out), x)


def test_sums_run_in_the_order_of_the_index(kernels: Backend) -> None:
    """Element by element, in plain Python; and what float64 rounds away is not lost."""
    x = np.array([2.0**53, 1.0, 1.0, 1.0, -1.0]).reshape(1, 5, 1)
    index = np.zeros((1, 5, 1), np.int64)
    assert kernels.scatter_add(x, index, 1).item() == 2.0**53 + 2
    r = rng(105)
    x, index = r.normal(size=(2, 50, 3)).astype(np.float32), r.integers(0, 4, size=(2, 50, 3))
    want = np.zeros((2, 4, 3))
    for a, i, c in np.ndindex(x.shape):
        want[a, index[a, i, c], c] += float(x[a, i, c])
    np.testing.assert_array_equal(kernels.scatter_add(x, index, 4), want.astype(np.float32))


@pytest.mark.parametrize("columns", [1, 3, 18])
@pytest.mark.parametrize("kind", ["float32", "float64"])
def test_every_column_is_added_up(kernels: Backend, kind: str, columns: int) -> None:
    r = rng(107)
    x, index = r.normal(size=(2, 5, columns)).astype(kind), r.integers(0, 3, (2, 5, columns))
    for used in (index, index[:1], index[:, :, :1]):
        onto = r.normal(size=(2, 3, columns)).astype(kind)
        want = onto.astype(np.float64)
        for a, i, c in np.ndindex(x.shape):
            want[a, np.broadcast_to(used, x.shape)[a, i, c], c] += x[a, i, c]
        got = kernels.scatter_add(x, used, 3, onto)
        np.testing.assert_allclose(got, want, rtol=1e-6 if kind == "float32" else 1e-14)


# So wide that the columns are cut into blocks, the last of them narrower; long; one column, with
# few places or few numbers.
@pytest.mark.parametrize(("n", "N", "C"), [(9, 1000, 40), (3000, 50, 40), (9, 5, 1), (900, 20, 1)])
@pytest.mark.parametrize("A", [1, 2])
def test_sums_of_columns_go_on_from_what_stands_there(
    kernels: Backend, dtype: Any, A: int, n: int, N: int, C: int
) -> None:
    r = rng(131)
    for own, columns in {(1, C), (A, C), (A, 1)}:  # in whole numbers, so that no sum is rounded
        index = r.integers(0, n, size=(own, N, columns))
        x, onto = r.integers(-9, 10, size=(A, N, C)), r.integers(-9, 10, size=(A, n, C))
        want = np.zeros((A, n, C))
        a, i, c = np.ogrid[:A, :N, :C]
        np.add.at(want, (a, np.broadcast_to(index, x.shape)[a, i, c], c), x)
        got = kernels.scatter_add(x.astype(dtype), index, n)
        np.testing.assert_array_equal(got, want)
        got = kernels.scatter_add(x.astype(dtype), index, n, onto.astype(dtype))
        np.testing.assert_array_equal(got, want + onto)


def test_the_last_of_several_numbers_stays(kernels: Backend) -> None:
    x = np.arange(40_000.0).reshape(1, -1, 1)
    y = np.zeros((1, 7, 1))
    kernels.scatter(y, (np.arange(40_000) % 7).reshape(1, -1, 1), x)
    assert y.reshape(-1).tolist() == [i + (40_000 - 1 - i) // 7 * 7 for i in range(7)]


@pytest.mark.parametrize("bad", [-1, 9, 2**62, -(2**63)])
@pytest.mark.parametrize("shape", [(1, 9, 1), (3, 9, 4), (1, 9, 40), (1, 9, 60_000)])
def test_an_index_outside_is_refused_by_its_value(
    kernels: Backend, dtype: Any, shape: tuple[int, ...], bad: int
) -> None:
    x = np.ones(shape, dtype)
    for columns in {1, shape[2]}:
        index = np.zeros((1, 5, columns), np.int64)
        index[0, 3, -1] = bad
        for call in (
            lambda index=index: kernels.gather(x, index),
            lambda index=index: kernels.scatter(x, index, np.ones((1, 1, 1), dtype)),
            lambda index=index: kernels.scatter_add(x[:, :5], index, 9),
        ):
            with pytest.raises(IndexError, match=rf"index must be in \[0, 9\), got {bad}"):
                call()
    index = np.array([bad, 0, bad])[:, None]
    for some in (index[:2], index[1:]):  # the first one, and the last
        with pytest.raises(IndexError, match=rf"index must be in \[0, 9\), got {bad}"):
            kernels.gather(x, some[None])
    with pytest.raises(IndexError, match=r"in \[0, 0\)"):
        kernels.gather(x[:, :0], np.zeros((1, 1, 1), np.int64))
    with pytest.raises(IndexError, match=r"in \[0, 0\)"):
        kernels.scatter(x[:, :0].copy(), np.zeros((1, 1, 1), np.int64), x[:1, :1, :1])
    with pytest.raises(IndexError, match=r"in \[0, 0\)"):
        kernels.scatter_add(x, np.zeros((1, 9, 1), np.int64), 0)


@pytest.mark.parametrize("C", [1, 2, 20])
@pytest.mark.parametrize("bad", [-1, 70_000])
def test_an_index_outside_of_a_long_axis(kernels: Backend, C: int, bad: int) -> None:
    N = 20_000 // C
    x = np.ones((1, N, C))
    for at in (0, 17_000 // C, N - 1):
        index = np.arange(N * C).reshape(1, N, C)
        index[0, at, C - 1] = bad
        with pytest.raises(IndexError, match=rf"in \[0, 70000\), got {bad}"):
            kernels.scatter_add(x, index, 70_000)


def test_wrong_calls_name_what_is_wrong(kernels: Backend) -> None:
    x, index = np.ones((2, 3, 4)), np.zeros((2, 5, 4), np.int64)
    wrong: list[tuple[type[Exception], str, Any]] = [
        (TypeError, "copy: x must be a NumPy array, got list", lambda: kernels.copy([1.0])),
        (TypeError, "expected numbers or bools, got complex", lambda: kernels.copy(x + 0j)),
        (ValueError, "copy: out must be", lambda: kernels.copy(x, x[:1])),
        (ValueError, "copy: out must be", lambda: kernels.copy(x, x.astype("f4"))),
        (ValueError, "gather: x must have three axes", lambda: kernels.gather(x[0], index)),
        (ValueError, "gather: index must be", lambda: kernels.gather(x, index[:, :, :3])),
        (ValueError, "gather: index must be", lambda: kernels.gather(x[:1], index)),
        (TypeError, "index must be an int64", lambda: kernels.gather(x, index.astype("f8"))),
        (ValueError, "scatter: x must be", lambda: kernels.scatter(x, index, x)),
        (ValueError, "scatter: x must be", lambda: kernels.scatter(x, index, index)),
        (ValueError, "scatter_add: index must", lambda: kernels.scatter_add(x, index, 3)),
        (TypeError, "expected float32 or", lambda: kernels.scatter_add(index, index, 3)),
    ]  # fmt: skip
    for error, text, call in wrong:
        with pytest.raises(error, match=text):
            call()
    x.flags.writeable = False
    with pytest.raises(ValueError, match="scatter: y is read-only"):
        kernels.scatter(x, index, np.ones((1, 1, 1)))
    with pytest.raises(ValueError, match="copy: out must be a writable"):
        kernels.copy(x, x)


def test_axes_that_both_arrays_walk_evenly_over_become_one() -> None:
    def steps(x: np.ndarray, out: np.ndarray) -> tuple[tuple[int, ...], bool]:
        found = walk(x.shape, x.strides, out.strides)
        return found.shape, found.turned

    x = np.zeros((4, 5, 6))
    assert steps(x, x) == ((120,), False)
    assert steps(x.T, x.T) == ((120,), False)
    assert steps(x[:, :4], x[:, :4]) == ((4, 24), False)
    assert steps(x.transpose(1, 0, 2), np.zeros((5, 4, 6))) == ((5, 4, 6), False)
    assert steps(x.transpose(0, 2, 1), np.zeros((4, 6, 5))) == ((4, 6, 5), True)
    assert steps(x.T, np.zeros((6, 5, 4))) == ((5, 6, 4), True)
    assert steps(np.zeros(()), np.zeros(())) == ((1,), False)
    # A repeated row is read as a row.
    assert steps(np.broadcast_to(x[:, None], (4, 3, 5, 6)), np.zeros((4, 3, 5, 6))) == (
        (4, 3, 30),
        False,
    )
    # The axis that x is read fastest along comes before the last.
    assert walk((2, 3, 4), (8, 64, 200), (96, 32, 8)).shape == (3, 2, 4)
