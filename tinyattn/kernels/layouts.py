"""How arrays of any strides are walked when they are copied: `walk`, which the twins of the kernel
`copy` share.
"""

import functools
from typing import NamedTuple

Sizes = tuple[int, ...]


class Walk(NamedTuple):
    """The axes of a copy, at least one: sizes, and the steps in bytes of source and target."""

    shape: Sizes
    source: Sizes
    target: Sizes
    turned: bool  # whether the source is read faster along the axis before the last


@functools.lru_cache(4096)
def walk(shape: Sizes, source: Sizes, target: Sizes) -> Walk:
    """The axes as they stand in the memory of the target, for these strides of both.

    Axes of size 1 are left out, and neighbours become one axis where both arrays walk evenly over
    them. If the source has its shortest step on another axis than the target, as in a transposed
    matrix, that axis comes before the last. A short axis that repeats each element does so, too.
    """
    axes = [axis for axis, n in enumerate(shape) if n != 1]
    axes.sort(key=lambda axis: -abs(target[axis]))
    joined: list[tuple[int, int, int]] = []
    for n, s, t in [(shape[axis], source[axis], target[axis]) for axis in axes]:
        if joined and joined[-1][1:] == (s * n, t * n):
            n *= joined.pop()[0]
        joined.append((n, s, t))
    if not joined:
        joined = [(1, 0, 0)]
    last = joined.pop()
    moving = [axis for axis in joined if axis[1]]  # the source stands still along the others
    shortest = min(moving, key=lambda axis: (abs(axis[1]), -axis[0]), default=last)
    turned = abs(shortest[1]) < abs(last[1])
    if turned:
        joined.remove(shortest)
        joined.append(shortest)
    elif joined and not last[1] and last[0] < joined[-1][0]:  # each element, a few times
        joined[-1], last = last, joined[-1]
    sizes, steps, places = zip(*joined, last, strict=True)
    return Walk(sizes, steps, places, turned)
