"""DistributedDataParallel: a model whose gradients are the means over all ranks.

Look first at `_ready`, which a backward pass calls once for each parameter, and at `_finish`, which
it calls at its end.
"""

import contextlib
import functools
from collections.abc import Iterator
from itertools import zip_longest
from typing import Any

import numpy as np

from tinyattn._tensor import Tensor
from tinyattn.autograd.hooks import after_pass
from tinyattn.autograd.storage import Leaf, edge_now, results
from tinyattn.nn.module import Module
from tinyattn.parallel.exchange import all_gather_object, broadcast_object
from tinyattn.parallel.processes import World, world
from tinyattn.parallel.sums import Sum, finish


class DistributedDataParallel(Module):
    """A model that has copies in all ranks, which stay the same: a backward pass leaves in `.grad`
    the mean of the gradients of all ranks, of the same bits on every rank (Li et al. 2020,
    arXiv:2006.15704).

    module: the model. It begins with the parameters and buffers of rank 0.
    broadcast_buffers: before each forward in training, take the buffers of rank 0.
    bucket_cap_mb: gradients are sent in groups of about so many megabytes, each as soon as it is
        complete, while the backward pass goes on with others.

    All ranks run as many backward passes. They end, with a message, if one of them fails or does
    not come within 600 seconds; TINYATTN_PARALLEL_TIMEOUT sets another limit. A parameter that no
    rank has used keeps `.grad` None. Calling `module` itself does the same, but for buffers.

    RuntimeError, on all ranks, if their models differ in names, shapes or dtypes.

    >>> model = ta.parallel.DistributedDataParallel(nn.Linear(3, 1))
    >>> model(ta.ones(2, 3)).shape
    (2, 1)
    """

    def __init__(
        self, module: Module, broadcast_buffers: bool = True, bucket_cap_mb: float = 1.0
    ) -> None:
        super().__init__()
        if not bucket_cap_mb > 0:
            raise ValueError(f"bucket_cap_mb: expected a number above 0, got {bucket_cap_mb}")
        self.module, self.broadcast_buffers = module, broadcast_buffers
        self._syncing, self._begun = True, False
        self._buckets: list[_Bucket] = []
        here = world()
        if not here.peers:
            return
        _require_alike(module)
        _take_from_rank_0([*module.parameters(), *module.buffers()])
        for group in _groups(module, bucket_cap_mb * 1e6):
            bucket = _Bucket(group, here)
            self._buckets.append(bucket)
            for place, parameter in enumerate(group):
                ready = functools.partial(self._ready, bucket, place)
                parameter.register_post_accumulate_grad_hook(ready)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the model gives."""
        if self._buckets and self.broadcast_buffers and self.training:
            _take_from_rank_0(list(self.module.buffers()))
        return self.module(*args, **kwargs)

    @contextlib.contextmanager
    def no_sync(self) -> Iterator[None]:
        """Inside, backward passes add to `.grad` of this rank alone. The next pass outside sends
        what has been added up: so a batch that is too large for memory is computed in parts."""
        before, self._syncing = self._syncing, False
        try:
            yield
        finally:
            self._syncing = before

    def _ready(self, bucket: "_Bucket", place: int, parameter: Tensor) -> None:
        """The gradient of a parameter is complete: send its group, if that is, too."""
        if not self._syncing:
            return
        if not self._begun:
            self._begun = True
            after_pass.callbacks.append(self._finish)
        bucket.take(place)
        for one in self._buckets:  # all ranks send them in this order
            if one.left:
                break
            if not one.sum.step:
                one.sum.start()
            one.sum.advance()

    def _finish(self) -> None:
        """The pass has ended: send what is left, wait, and put the means into `.grad`."""
        for bucket in self._buckets:
            for place in list(bucket.left):
                bucket.take(place)
            if not bucket.sum.step:
                bucket.sum.start()
        finish([bucket.sum for bucket in self._buckets])
        for bucket in self._buckets:
            bucket.put()
        self._begun = False


class _Bucket:
    """The gradients of some parameters of one dtype, which are sent together.

    Behind their numbers stands a 1 for each parameter that has a gradient, and 0 for the others.
    """

    def __init__(self, parameters: list[Tensor], here: World) -> None:
        self.parameters, self.ranks = parameters, here.size
        ends = np.cumsum([parameter.numel() for parameter in parameters]).tolist()
        self.slices = [slice(a, b) for a, b in zip([0, *ends], ends, strict=False)]
        self.sum = Sum(ends[-1] + len(parameters), parameters[0]._array.dtype, here)
        self.used = self.sum.numbers[ends[-1] :]
        self.left = set(range(len(parameters)))  # not taken yet

    def take(self, place: int) -> None:
        """Copy the gradient of the parameter at this place, or zeros if there is none."""
        gradient = self.parameters[place].grad
        self.left.discard(place)
        self.used[place] = gradient is not None
        numbers = self.sum.numbers[self.slices[place]]
        if gradient is None:
            numbers[:] = 0
        else:
            numbers.reshape(gradient._array.shape)[...] = gradient._array

    def put(self) -> None:
        """Write the means into `.grad`, and be ready for the next pass."""
        for place, parameter in enumerate(self.parameters):
            if not self.used[place]:  # on no rank
                continue
            total = self.sum.numbers[self.slices[place]].reshape(parameter.shape)
            if parameter.grad is None:
                parameter.grad = results.wrap(total / self.ranks)
            else:
                np.divide(total, self.ranks, out=parameter.grad._array)
                parameter.grad._storage.changed("DistributedDataParallel")
        self.left = set(range(len(self.parameters)))
        self.sum.step = 0


def _groups(module: Module, most: float) -> list[list[Tensor]]:
    """The parameters that need gradients, in the order in which a backward pass reaches them,
    about: groups of one dtype and of at most so many bytes, or of one parameter."""
    groups: list[list[Tensor]] = []
    open_groups: dict[Any, tuple[list[Tensor], int]] = {}
    for parameter in reversed(list(module.parameters())):
        edge = edge_now(parameter)
        if edge is None or not isinstance(edge[0], Leaf):
            continue
        dtype, size = parameter._array.dtype, parameter._array.nbytes
        group, held = open_groups.get(dtype, ([], 0))
        if not group or held + size > most:
            group, held = [], 0
            groups.append(group)
        group.append(parameter)
        open_groups[dtype] = group, held + size
    return groups


def _require_alike(module: Module) -> None:
    named = [*module.named_parameters(), *module.named_buffers()]
    lists = all_gather_object([f"{name} {list(x.shape)} {x.dtype}" for name, x in named])
    for rank, theirs in enumerate(lists):
        for first, other in zip_longest(lists[0], theirs, fillvalue="nothing"):
            if first != other:
                raise RuntimeError(
                    f"DistributedDataParallel: expected the same model on all ranks, got {first} "
                    f"on rank 0 and {other} on rank {rank}"
                )


def _take_from_rank_0(tensors: list[Tensor]) -> None:
    if not tensors:
        return
    arrays = broadcast_object([tensor._array for tensor in tensors])
    for tensor, array in zip(tensors, arrays, strict=True):
        if tensor._array is not array:
            tensor._array[...] = array
            tensor._storage.changed("DistributedDataParallel")
