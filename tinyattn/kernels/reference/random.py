"""Random numbers made where they are used, by NumPy's generator Philox: the same in every backend.

A word of 64 bits is used in two halves, the lower one first. A uniform float32 is made of the upper
24 bits of a half, a uniform float64 of the upper 53 of a word, as numpy.random.Generator does it.
"""

import numpy as np

from tinyattn.kernels._types import Array, Source, Stream


def halves(stream: Stream, count: int) -> Array:
    """The next `count` numbers of 32 bits."""
    blocks, used = divmod(stream.used, 8)
    before = (stream.counter + blocks - 1) % 2**256  # Philox counts before it makes a block
    words = np.random.Philox(counter=before, key=stream.key).random_raw((used + count + 1) // 2)
    pairs = np.stack([words & 0xFFFFFFFF, words >> 32], axis=-1).astype(np.uint32)
    found = pairs.reshape(-1)[used:]
    if stream.first is not None:
        found = np.concatenate([[np.uint32(stream.first)], found])
    return found[:count]


def uniform(arrays: list[Array], stream: Stream) -> None:
    """Fill the arrays, one after another, with numbers from [0, 1)."""
    for out in arrays:
        if out.itemsize == 4:
            out[...] = (halves(stream, out.size) >> 8) * np.float32(2.0**-24)
        else:
            low, high = halves(stream, 2 * out.size).astype(np.uint64).reshape(-1, 2).T
            out[...] = ((high << np.uint64(32) | low) >> np.uint64(11)) * 2.0**-53
        stream = stream.after(out.size * out.itemsize // 4)


def normals(arrays: list[Array], source: Source) -> Source:
    """Fill the arrays, one after another, with normal numbers."""
    bits = np.random.Philox(0)
    bits.state = source.state()
    numbers = np.random.Generator(bits)
    for out in arrays:
        out[...] = numbers.standard_normal(out.shape, out.dtype.type)
    return Source.of(bits.state)


@np.errstate(all="ignore")
def dropout(
    x: Array, stream: Stream, p: float, scale: float, places: Array | None, out: Array
) -> None:
    """x -> out, x scale where the next number, uniform in float32, is p or more, else x 0. Row i of
    x has the numbers of row places[i] of a larger array."""
    starts = [0] if places is None else places.tolist()
    width = x.size // max(1, len(starts))
    found = [halves(stream.after(start * width), width) for start in starts]
    numbers = (np.array(found, np.uint32) >> 8) * np.float32(2.0**-24)
    out[...] = x * np.where(numbers >= p, x.dtype.type(scale), 0).reshape(x.shape)
