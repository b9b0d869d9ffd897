"""What ranks send each other: Python objects, and sums of tensors. All ranks make the same calls in
the same order. Look first at `all_gather_object`."""

from typing import Any, TypeVar

from tinyattn._tensor import Tensor
from tinyattn.parallel.processes import OBJECTS, wait, world
from tinyattn.parallel.sums import Sum, finish

T = TypeVar("T")


def all_gather_object(obj: T) -> list[T]:
    """The objects of all ranks, in the order of the ranks, on every rank. They are pickled.

    >>> ta.parallel.all_gather_object("only one rank")
    ['only one rank']
    """
    here = world()
    found = {here.rank: obj}
    sent = [here.comm.isend(obj, peer, OBJECTS) for peer in here.peers]
    _receive(found, here.peers, sent)
    return [found[rank] for rank in range(here.size)]


def broadcast_object(obj: T, src: int = 0) -> T:
    """The object of rank `src`, on every rank; what the others give is not used. It is pickled."""
    here = world()
    if not 0 <= src < here.size:
        raise ValueError(f"src: expected a rank from 0 to {here.size - 1}, got {src}")
    if here.rank == src:
        _receive({}, [], [here.comm.isend(obj, peer, OBJECTS) for peer in here.peers])
        return obj
    found: dict[int, T] = {}
    _receive(found, [src], [])
    return found[src]


def barrier() -> None:
    """Return once every rank has come here."""
    all_gather_object(None)


def all_reduce(tensor: Tensor) -> None:
    """Put the sum of the tensors of all ranks into `tensor`, which has one shape and float dtype on
    all of them. Every rank gets the same bits.

    TypeError for a tensor that is not of floats; RuntimeError for one that needs a gradient, or
    that differs in shape or dtype between ranks.
    """
    if not isinstance(tensor, Tensor) or tensor._array.dtype.kind != "f":
        got = tensor.dtype if isinstance(tensor, Tensor) else type(tensor).__name__
        raise TypeError(f"tensor: expected a tensor of float32 or float64, got {got}")
    if tensor.requires_grad:
        raise RuntimeError("tensor: expected one outside the graph; use detach()")
    here = world()
    if not here.peers:
        return
    kinds = all_gather_object(f"{tensor.dtype} {list(tensor.shape)}")
    for rank, kind in enumerate(kinds):
        if kind != kinds[0]:
            raise RuntimeError(
                f"tensor: expected one shape and dtype on all ranks, got {kinds[0]} on rank 0 and "
                f"{kind} on rank {rank}"
            )
    total = Sum(tensor.numel(), tensor._array.dtype, here)
    total.numbers[:] = tensor._array.reshape(-1)
    total.start()
    finish([total])
    tensor._array[...] = total.numbers.reshape(tensor.shape)
    tensor._storage.changed("all_reduce")


def share(count: float) -> float:
    """What to multiply a loss by that is the mean over `count` items, so that the mean over ranks
    is the mean over the items of all of them: count * ranks / (the counts of all ranks).

    Ranks often get parts of a batch with unequal numbers of items, tokens for instance. With one
    rank it is 1. A rank without items gives 0.
    """
    counts = all_gather_object(count)
    if not all(one >= 0 for one in counts) or not sum(counts) > 0:
        raise ValueError(f"count: expected at least 0, and one above 0, got {counts}")
    return count * len(counts) / sum(counts)


def _receive(found: dict[int, Any], sources: list[int], sent: list[Any]) -> None:
    """Put an object of each source into `found`, and see that all that was sent has left."""
    here = world()

    def missing() -> list[int]:
        return [peer for peer in sources if peer not in found]

    def done() -> bool:
        for peer in missing():
            message = here.comm.improbe(peer, OBJECTS)
            if message is not None:
                found[peer] = message.recv()
        return not missing() and all(request.Test() for request in sent)

    wait(done, lambda: missing() or here.peers)
