"""Embedding: a row of a table for every index."""

from typing import Any

from tinyattn._tensor import Tensor
from tinyattn.nn import init
from tinyattn.nn.functional import embedding
from tinyattn.nn.module import Module
from tinyattn.nn.parameter import Parameter, unset


class Embedding(Module):
    """int64 (...) -> (..., embedding_dim); weight (num_embeddings, embedding_dim).

    Row padding_idx starts as zeros and gets no gradient; the rest as in functional.embedding.
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        self.padding_idx = _row(padding_idx, num_embeddings)
        self.max_norm, self.norm_type = max_norm, norm_type
        self.scale_grad_by_freq = scale_grad_by_freq
        self.weight = unset(num_embeddings, embedding_dim, dtype=dtype)
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
    ) -> "Embedding":
        """An Embedding on a table (V, D) that exists; frozen unless told."""
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


def _row(padding_idx: int | None, num_embeddings: int) -> int | None:
    if padding_idx is None:
        return None
    if not -num_embeddings <= padding_idx < num_embeddings:
        raise ValueError(
            f"padding_idx: must be within num_embeddings = {num_embeddings}, got {padding_idx}"
        )
    return padding_idx % num_embeddings
