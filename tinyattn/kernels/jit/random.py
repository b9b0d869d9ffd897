"""Random numbers made where they are used: Philox 4x64 with 10 rounds; see reference/random.py.

A block of four words depends on its number only (Salmon, Moraes, Dror, Shaw 2011). A product of two
words has 128 bits: its upper word is put together from products of halves.
"""

import numba
import numpy as np

from tinyattn.kernels._types import Array, Stream
from tinyattn.kernels.jit.compiling import SMALL, exact, kernel
from tinyattn.kernels.reference.random import normals as normals  # one after another, as in NumPy

U = np.uint64
LOW, HALF = U(0xFFFFFFFF), U(32)
LEFT, RIGHT = U(0xD2E7470EE14C6C93), U(0xCA5A826395121157)
KEY0, KEY1 = U(0x9E3779B97F4A7C15), U(0xBB67AE8584CAA73B)
HALVES = 1024  # numbers of 32 bits that are made at a time
ONE_ROW = np.zeros(1, np.int64)


@exact
def upper(x, y):
    """The upper word of a product."""
    a, b, c, d = x >> HALF, x & LOW, y >> HALF, y & LOW
    middle = a * d + (b * d >> HALF)
    return a * c + (middle >> HALF) + ((middle & LOW) + b * c >> HALF)


@exact
def philox(words, block, out):
    """words: the key (2) and the counter (4) of block 0."""
    key0, key1, carry = words[0], words[1], U(block)
    c0 = words[2] + carry
    carry = U(1) if c0 < carry else U(0)
    c1 = words[3] + carry
    carry = U(1) if c1 < carry else U(0)
    c2 = words[4] + carry
    carry = U(1) if c2 < carry else U(0)
    c3 = words[5] + carry
    for _ in range(10):
        left, right = upper(LEFT, c0), upper(RIGHT, c2)
        c0, c1, c2, c3 = right ^ c1 ^ key0, RIGHT * c2, left ^ c3 ^ key1, LEFT * c0
        key0, key1 = key0 + KEY0, key1 + KEY1
    out[0], out[1], out[2], out[3] = c0, c1, c2, c3


@exact
def halves(words, used, first, begin, half):
    """The numbers begin, begin + 1, ... of 32 bits into half; `first`, if it is not negative, comes
    before all others."""
    block = np.empty(4, np.uint64)
    at = begin + used - (first >= 0)
    have = np.int64(-1)
    for i in range(len(half)):
        if at // 8 != have:
            have = at // 8
            philox(words, have, block)
        word = block[at % 8 // 2]
        half[i] = np.uint32(word >> HALF) if at % 2 else np.uint32(word & LOW)
        at += 1
    if begin == 0 and first >= 0 and len(half):
        half[0] = np.uint32(first)


@kernel("w1 i1 int int")
def run_uniform(out, words, used, first):
    wide = out.itemsize == 8
    for part in numba.prange((len(out) + HALVES - 1) // HALVES):
        begin = part * HALVES
        some = out[begin : begin + HALVES]
        half = np.empty(len(some) * (2 if wide else 1), np.uint32)
        halves(words.view(np.uint64), used, first, begin * (2 if wide else 1), half)
        for i in range(len(some)):
            if wide:
                word = U(half[2 * i + 1]) << HALF | U(half[2 * i])
                some[i] = np.float64(word >> U(11)) * 2.0**-53
            else:
                some[i] = np.float32(half[i] >> np.uint32(8)) * np.float32(2.0**-24)


@kernel("r2 i1 i1 int int float float w2")
def run_dropout(x, places, words, used, first, p, scale, out):
    width = x.shape[1]
    blocks = (width + HALVES - 1) // HALVES  # of a row
    for part in numba.prange(len(x) * blocks):
        row, begin = part // blocks, part % blocks * HALVES
        some, of_x = out[row, begin : begin + HALVES], x[row, begin : begin + HALVES]
        half = np.empty(len(some), np.uint32)
        halves(words.view(np.uint64), used, first, places[row] * width + begin, half)
        for i in range(len(some)):
            kept = np.float64(half[i] >> np.uint32(8)) * 2.0**-24 >= p
            some[i] = of_x[i] * (out.dtype.type(scale) if kept else out.dtype.type(0))


def numbers(stream: Stream) -> tuple[Array, int, int]:
    """What the kernels take of a stream: key and counter as words, `used`, and `first` or -1."""
    both = stream.key + (stream.counter << 128)
    words = np.frombuffer(both.to_bytes(48, "little"), "<i8").astype(np.int64)
    return words, stream.used, -1 if stream.first is None else stream.first


def uniform(arrays: list[Array], stream: Stream) -> None:
    """Fill the arrays, one after another, with numbers from [0, 1)."""
    for out in arrays:
        run_uniform(out, *numbers(stream), alone=out.size < SMALL)
        stream = stream.after(out.size * out.itemsize // 4)


def dropout(
    x: Array, stream: Stream, p: float, scale: float, places: Array | None, out: Array
) -> None:
    """x -> out, x scale where the next number, uniform in float32, is p or more, else x 0. Row i of
    x has the numbers of row places[i] of a larger array."""
    places = ONE_ROW if places is None else places
    shape = len(places), x.size // max(1, len(places))
    run_dropout(
        x.reshape(shape), places, *numbers(stream), p, scale, out.reshape(shape),
        alone=x.size < SMALL,
    )  # fmt: skip
