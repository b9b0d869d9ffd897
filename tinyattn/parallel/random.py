"""Random numbers that differ from rank to rank. Look at `own_random`."""

import contextlib
from collections.abc import Iterator

import numpy as np

from tinyattn.ops.random import default_generator, get_rng_state, set_rng_state
from tinyattn.parallel.processes import world


@contextlib.contextmanager
def own_random(step: int) -> Iterator[None]:
    """Inside, each rank draws numbers of its own, others for every step; afterwards all go on with
    those from before, which are the same on all ranks if they were seeded so.

    For dropout: with the same numbers on all ranks, sentences of different ranks would lose the
    same elements. With one rank nothing changes.
    """
    here = world()
    if not here.peers:
        yield
        return
    before = get_rng_state()
    seed = [*before.numpy().view(np.uint64).tolist(), step, here.rank]
    default_generator.bits.state = np.random.Philox(np.random.SeedSequence(seed)).state
    try:
        yield
    finally:
        set_rng_state(before)
