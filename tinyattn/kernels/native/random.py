"""Random numbers made where they are used, native/random.c."""

from typing import Any

from tinyattn.kernels._types import Array, Source, Stream
from tinyattn.kernels.native import check, ffi
from tinyattn.kernels.native.calling import INT64, NULL, address, by_size

_VERSIONS = by_size("uniform", "dropout")
_NORMALS = by_size("normals")
_WORDS = ffi.typeof("uint64_t[]")
_REST = ffi.typeof("uint64_t[3]")
_STREAM = ffi.typeof("struct ta_stream *")
_WORD = 2**64 - 1


def _stream(stream: Stream) -> Any:
    key, counter, used, first = stream
    keys = key & _WORD, key >> 64
    counters = counter & _WORD, counter >> 64 & _WORD, counter >> 128 & _WORD, counter >> 192
    return ffi.new(_STREAM, (keys, counters, used, first is not None, first or 0))


def uniform(arrays: list[Array], stream: Stream) -> None:
    """Fill the arrays, one after another, with numbers from [0, 1)."""
    for out in arrays:
        real, kernel, _ = _VERSIONS[out.itemsize]
        check(kernel(address(real, out), _stream(stream), out.size))
        stream = stream.after(out.size * out.itemsize // 4)


def normals(arrays: list[Array], source: Source) -> Source:
    """Fill the arrays, one after another, with normal numbers."""
    counter, key, block = source.counter.copy(), source.key, source.block.copy()
    rest = ffi.new(_REST, source[3:])
    words = [address(_WORDS, x) for x in (counter, key, block)]
    for out in arrays:
        real, kernel = _NORMALS[out.itemsize]
        check(kernel(address(real, out), out.size, *words, rest))
    return Source(counter, key, block, *rest)


def dropout(
    x: Array, stream: Stream, p: float, scale: float, places: Array | None, out: Array
) -> None:
    """x -> out, x scale where the next number, uniform in float32, is p or more, else x 0. Row i of
    x has the numbers of row places[i] of a larger array."""
    real, _, kernel = _VERSIONS[x.itemsize]
    at, width = NULL, x.size
    if places is not None:
        at, width = address(INT64, places), x.size // max(1, len(places))
    check(
        kernel(address(real, x), at, _stream(stream), p, scale, address(real, out), x.size, width)
    )
