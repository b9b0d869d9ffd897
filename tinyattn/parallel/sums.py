"""The sum of the arrays of all ranks. Look first at `Sum`.

It takes two steps, and each rank sends and receives 2 (n - 1) / n times the bytes of the array, the
least that is possible (Patarasuk, Yuan 2009):

1. The array is cut into n pieces, and rank r is sent its piece r by all others. It adds up the n
   pieces in the order of the ranks.
2. It sends the sum to all others.

So a number is added up at one rank only, always in the same order, and copied to the others. Every
rank has the same bits, whatever the MPI library does, and they are the same in every run.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinyattn.kernels._types import Array
from tinyattn.parallel.processes import World, wait


class Sum:
    """A sum of arrays (size,), one of each rank. All ranks make their Sums in the same order.

    Fill `numbers`, call `start`, do other work, call `advance` now and then, and `finish` to wait
    for the end. Then `numbers` is the sum.
    """

    def __init__(self, size: int, dtype: np.dtype[Any], here: World) -> None:
        self.here, self.tag = here, here.tags(2)
        piece = -(-size // here.size)
        self.pieces = np.zeros((here.size, piece), dtype)  # ours, then the sums
        self.received = np.empty_like(self.pieces)  # from the others, for this rank to add up
        self.numbers: Array = self.pieces.reshape(-1)[:size]
        self.step = 0
        self.requests: dict[int, list[Any]] = {}

    def start(self) -> None:
        """Send what stands in `numbers`, which must not be changed before the end."""
        self.step = 1
        self._exchange(
            self.tag, {peer: self.pieces[peer] for peer in self.here.peers}, self.received
        )

    def advance(self) -> bool:
        """Take the next step, if what it needs has come. Returns whether the sum is complete."""
        if self.step == 1 and not self.missing():
            self.step = 2
            total = self._add_up()
            self._exchange(self.tag + 1, dict.fromkeys(self.here.peers, total), self.pieces)
        if self.step == 2 and not self.missing():
            self.step = 3
        return self.step == 3

    def _add_up(self) -> Array:
        """The sum of the pieces of all ranks in the place of this rank's own, without copies."""
        own = self.here.rank
        pieces = [self.pieces[own] if rank == own else x for rank, x in enumerate(self.received)]
        places = [self.received[own]] * (len(pieces) - 2) + [pieces[own]]
        total = pieces[0]
        for piece, place in zip(pieces[1:], places, strict=True):
            total = np.add(total, piece, out=place)
        return total

    def missing(self) -> list[int]:
        """The ranks with which the present step is not complete."""
        for peer in list(self.requests):
            if all(request.Test() for request in self.requests[peer]):
                del self.requests[peer]
        return list(self.requests)

    def _exchange(self, tag: int, out: dict[int, Array], into: Array) -> None:
        comm = self.here.comm
        self.requests = {
            peer: [comm.Irecv(into[peer], peer, tag), comm.Isend(out[peer], peer, tag)]
            for peer in self.here.peers
        }


def finish(sums: Sequence[Sum]) -> None:
    """Wait until these sums are complete."""
    wait(
        lambda: not [one for one in sums if not one.advance()],
        lambda: {peer for one in sums for peer in one.missing()},
    )
