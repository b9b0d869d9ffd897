"""Embedding: a row of a table for every index. EmbeddingBag: the sum or mean of such rows.

Look first at `forward`; the gradient of the table stands in ops/.
"""

from typing import Self

from numpy.typing import DTypeLike

from tinyattn._tensor import Tensor
from tinyattn.autograd.devices import Device
from tinyattn.nn import init
from tinyattn.nn.functional import embedding, embedding_bag
from tinyattn.nn.module import Module
from tinyattn.nn.parameter import Parameter, unset


def _given(weight: Tensor, V: int, D: int, freeze: bool = False) -> Parameter:
    """A table that is given, as a Parameter. ValueError where its shape is not (V, D)."""
    if tuple(weight.shape) != (V, D):
        raise ValueError(f"_weight: expected shape {[V, D]}, got {list(weight.shape)}")
    return Parameter(weight, requires_grad=not freeze)


class Embedding(Module):
    """Row input[i] of the table `weight` for every index: int64 or int32 (...) -> (...,
    embedding_dim).

    weight (num_embeddings, embedding_dim) starts normal with mean 0 and standard deviation 1.
    padding_idx: this row starts as zeros and gets no gradient. max_norm: rows that are used and
    whose norm, of order norm_type, is larger are first scaled down to it, in place.
    scale_grad_by_freq: divide the gradient of a row by how often its index occurs in the input.
    _weight: the table, which is then taken as it is; _freeze: it is not learnt. An index outside
    the table raises IndexError.

    >>> table = nn.Embedding(10, 4, padding_idx=0)
    >>> table(ta.tensor([[1, 2, 0], [3, 0, 0]])).shape
    (2, 3, 4)
    """

    weight: Parameter

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        _weight: Tensor | None = None,
        _freeze: bool = False,
        device: Device = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        super().__init__()
        _dense(sparse)
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        self.padding_idx = _row(padding_idx, num_embeddings)
        self.max_norm, self.norm_type = max_norm, norm_type
        self.scale_grad_by_freq = scale_grad_by_freq
        if _weight is not None:
            self.weight = _given(_weight, num_embeddings, embedding_dim, _freeze)
            return
        self.weight = unset(num_embeddings, embedding_dim, device=device, dtype=dtype)
        self.weight.requires_grad_(not _freeze)
        self.reset_parameters()

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Tensor,
        freeze: bool = True,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
    ) -> Self:
        """An Embedding whose weight is the table `embeddings` (V, D), with shared memory.

        freeze: the table is not learnt. The other arguments are those of Embedding.
        """
        _dense(sparse)
        if not isinstance(embeddings, Tensor) or embeddings.dim() != 2:
            got = list(embeddings.shape) if isinstance(embeddings, Tensor) else type(embeddings)
            raise ValueError(f"embeddings: expected a 2-D tensor (V, D), got {got}")
        made = cls.__new__(cls)
        Module.__init__(made)
        made.num_embeddings, made.embedding_dim = embeddings.shape
        made.padding_idx = _row(padding_idx, made.num_embeddings)
        made.max_norm, made.norm_type = max_norm, norm_type
        made.scale_grad_by_freq = scale_grad_by_freq
        made.weight = Parameter(embeddings, requires_grad=not freeze)
        return made

    def reset_parameters(self) -> None:
        """Draw the table anew; the row padding_idx becomes zeros."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            self.weight._array[self.padding_idx] = 0

    def forward(self, input: Tensor) -> Tensor:
        limits = self.max_norm, self.norm_type, self.scale_grad_by_freq
        return embedding(input, self.weight, self.padding_idx, *limits)

    def extra_repr(self) -> str:
        usual = {"padding_idx": None, "max_norm": None, "norm_type": 2, "scale_grad_by_freq": False}
        told = [f", {k}={getattr(self, k)}" for k, v in usual.items() if getattr(self, k) != v]
        return f"{self.num_embeddings}, {self.embedding_dim}{''.join(told)}"


class EmbeddingBag(Module):
    """The sum, mean or largest of the rows of the table `weight` over a bag of indices: (B, N) ->
    (B, embedding_dim), or (N,) with offsets (B,), the place where each bag begins.

    mode: "mean", "sum" or "max". padding_idx: a row of zeros that is left out of its bags.
    include_last_offset: offsets has one more number, the end. The other arguments are those of
    Embedding. A bag without words gives zeros.

    >>> table = nn.EmbeddingBag(10, 4, mode="sum")
    >>> table(ta.tensor([1, 2, 4, 5, 4]), ta.tensor([0, 3])).shape
    (2, 4)
    """

    weight: Parameter

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        _weight: Tensor | None = None,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
        device: Device = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        super().__init__()
        _dense(sparse)
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.max_norm, self.norm_type = max_norm, norm_type
        self.scale_grad_by_freq, self.mode = scale_grad_by_freq, mode
        self.include_last_offset = include_last_offset
        self.padding_idx = _row(padding_idx, num_embeddings)
        if _weight is not None:
            self.weight = _given(_weight, num_embeddings, embedding_dim)
            return
        self.weight = unset(num_embeddings, embedding_dim, device=device, dtype=dtype)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the table anew; the row padding_idx becomes zeros."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            self.weight._array[self.padding_idx] = 0

    def forward(
        self,
        input: Tensor,
        offsets: Tensor | None = None,
        per_sample_weights: Tensor | None = None,
    ) -> Tensor:
        return embedding_bag(
            input,
            self.weight,
            offsets,
            self.max_norm,
            self.norm_type,
            self.scale_grad_by_freq,
            self.mode,
            per_sample_weights=per_sample_weights,
            include_last_offset=self.include_last_offset,
            padding_idx=self.padding_idx,
        )

    def extra_repr(self) -> str:
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}, mode={self.mode!r}{padding}"


def _dense(sparse: bool) -> None:
    if sparse:
        raise NotImplementedError("sparse: there are no sparse gradients; leave sparse=False")


def _row(padding_idx: int | None, num_embeddings: int) -> int | None:
    """padding_idx counted from the start; negative ones count from the end."""
    if padding_idx is None:
        return None
    if not -num_embeddings <= padding_idx < num_embeddings:
        raise ValueError(
            f"padding_idx: must be within num_embeddings = {num_embeddings}, got {padding_idx}"
        )
    return padding_idx % num_embeddings
