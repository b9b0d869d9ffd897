"""Random numbers made inside kernels: in every backend those that numpy.random draws."""

from typing import Any

import numpy as np
import pytest

from tinyattn.kernels import Backend, set_num_threads
from tinyattn.kernels._types import Source, Stream

from .cases import STREAMS, source_of


def philox(stream: Stream) -> np.random.Generator:
    """NumPy's generator in that place of the sequence."""
    before = (stream.counter - 1) % 2**256
    bits = np.random.Philox(counter=before, key=stream.key)
    bits.random_raw(stream.used // 2)
    numbers = np.random.Generator(bits)
    if stream.used % 2:
        numbers.random(dtype=np.float32)
    if stream.first is not None:
        bits.state = bits.state | {"has_uint32": 1, "uinteger": stream.first}
    return numbers


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize("size", [1, 2, 9, 1025, 40_001])
def test_uniform_numbers_are_numpys(kernels: Backend, dtype: Any, name: str, size: int) -> None:
    stream = STREAMS[name]
    if dtype is np.float64 and (stream.first is not None or stream.used % 2):
        pytest.skip("a float64 takes a whole word")
    out = np.empty(size, dtype)
    kernels.uniform([out[:5], out[5:]], stream)
    np.testing.assert_array_equal(out, philox(stream).random(size, dtype))


@pytest.mark.parametrize("name", STREAMS)
def test_the_first_uniform_numbers_of_float32_are_numpys(kernels: Backend, name: str) -> None:
    out = np.empty(70, np.float32)
    kernels.uniform([out[:5], out[5:]], STREAMS[name])
    np.testing.assert_array_equal(out, philox(STREAMS[name]).random(70, np.float32))


@pytest.mark.parametrize("name", [name for name, stream in STREAMS.items() if not stream.used % 2])
@pytest.mark.parametrize("size", [0, 1, 2, 9, 1025, 40_001, 150_000])
def test_normal_numbers_are_numpys(kernels: Backend, dtype: Any, name: str, size: int) -> None:
    source, out = source_of(STREAMS[name]), np.empty(size, dtype)
    bits = np.random.Philox(0)
    bits.state = source.state()
    kept = [x.copy() for x in source[:3]]
    after = kernels.normals([out[:5], out[5:]], source)
    want = np.random.Generator(bits).standard_normal(size, dtype)
    np.testing.assert_array_equal(out, want)
    for x, y in zip(after, Source.of(bits.state), strict=True):
        np.testing.assert_array_equal(x, y)
    for x, y in zip(kept, source[:3], strict=True):  # what came in stays as it was
        np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 1.0])
def test_dropout_keeps_what_is_drawn_at_p_or_above(
    kernels: Backend, dtype: Any, name: str, p: float
) -> None:
    x = np.linspace(-3, 5, 20_003).astype(dtype)
    p = float(np.float32(p))
    kept = philox(STREAMS[name]).random(x.size, np.float32) >= p
    got = kernels.dropout(x, STREAMS[name], p, 1.25)
    np.testing.assert_array_equal(got, x * np.where(kept, dtype(1.25), 0), strict=True)


def test_a_number_that_is_p_itself_is_kept(kernels: Backend, dtype: Any) -> None:
    stream = STREAMS["within a block"]
    drawn = philox(stream).random(50, np.float32)
    got = kernels.dropout(np.ones(50, dtype), stream, float(drawn[7]), 2.0)
    np.testing.assert_array_equal(got, np.where(drawn >= drawn[7], 2, 0))
    assert got[7] == 2


def test_what_is_dropped_spoils_by_nan_and_infinity(kernels: Backend, dtype: Any) -> None:
    x = np.array([np.nan, np.inf, 1.0], dtype)
    assert str(kernels.dropout(x, STREAMS["a carry"], 1.0, 0.0)) == "[nan nan  0.]"


def test_the_numbers_do_not_depend_on_the_threads(kernels: Backend, dtype: Any) -> None:
    x = np.ones(100_003, dtype)
    results = []
    for threads in (1, 2, 5):
        set_num_threads(threads)
        results.append(kernels.dropout(x, STREAMS["an odd half"], 0.25, 1.5))
    set_num_threads(2)
    assert all(np.array_equal(results[0], other) for other in results[1:])


def test_a_probability_outside_its_range_is_refused(kernels: Backend) -> None:
    with pytest.raises(ValueError, match=r"dropout: p must be in \[0, 1\], got 1.5"):
        kernels.dropout(np.ones(3), STREAMS["a carry"], 1.5, 1.0)


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize("width", [1, 5, 1030])
def test_rows_of_a_larger_array_have_the_numbers_that_they_have_there(
    kernels: Backend, dtype: Any, name: str, width: int
) -> None:
    places = np.array([6, 0, 3, 4])
    whole = np.linspace(1, 2, 8 * width).reshape(8, width).astype(dtype)
    want = kernels.dropout(whole, STREAMS[name], 0.5, 2.0)[places]
    for x in (whole[places], whole[places].reshape(2, -1)):
        got = kernels.dropout(x, STREAMS[name], 0.5, 2.0, places)
        np.testing.assert_array_equal(got.reshape(4, width), want)


def test_a_wide_row_has_the_numbers_that_it_has_among_others(kernels: Backend) -> None:
    whole, stream = np.linspace(1, 2, 2100).reshape(2, 1050), STREAMS["an odd half"]
    want = kernels.dropout(whole, stream, 0.5, 2.0)[1:]
    got = kernels.dropout(whole[1:], stream, 0.5, 2.0, np.array([1]))
    np.testing.assert_array_equal(got, want)


def test_a_row_may_stand_far_away(kernels: Backend, dtype: Any) -> None:
    stream, far = STREAMS["a half is left"], 2**40
    want = kernels.dropout(np.ones(10, dtype), stream.after(10 * far), 0.5, 2.0)
    got = kernels.dropout(np.ones((1, 10), dtype), stream, 0.5, 2.0, np.array([far]))
    np.testing.assert_array_equal(got[0], want)


def test_no_rows_have_no_numbers(kernels: Backend, dtype: Any) -> None:
    none = np.zeros(0, np.int64)
    assert kernels.dropout(np.ones((0, 3), dtype), STREAMS["a carry"], 0.5, 2.0, none).size == 0


@pytest.mark.parametrize(
    ("places", "error", "says"),
    [
        ([0, 1], TypeError, r"places must be an int64 array \(R,\), got list"),
        (np.zeros(2, np.int32), TypeError, r"got int32 \[2\]"),
        (np.zeros((2, 1), np.int64), TypeError, r"got int64 \[2, 1\]"),
        (np.zeros(5, np.int64), ValueError, "6 numbers of x can't be R = 5 rows"),
        (np.zeros(0, np.int64), ValueError, "6 numbers of x can't be R = 0 rows"),
        (np.array([0, -1]), ValueError, "numbers of rows, from 0 on, got -1 to 0"),
        (np.array([0, 2**60]), ValueError, "from 0 on, got 0 to"),
    ],
)
def test_places_that_are_no_rows_are_refused(
    kernels: Backend, places: Any, error: Any, says: str
) -> None:
    with pytest.raises(error, match=says):
        kernels.dropout(np.ones(6), STREAMS["a carry"], 0.5, 2.0, places)
