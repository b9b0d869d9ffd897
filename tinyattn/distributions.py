"""Distributions that programs about sequences draw from: Categorical, the choice of a word."""

import sys
from typing import TYPE_CHECKING

from tinyattn._tensor import Tensor
from tinyattn.autograd.dtypes import finfo
from tinyattn.compat.missing import DISTRIBUTIONS, refuse
from tinyattn.ops.creation import zeros
from tinyattn.ops.random import multinomial

__all__ = ["Categorical"]

# PyTorch has Categorical in a file of its own, which programs import it from.
categorical = sys.modules[f"{__name__}.categorical"] = sys.modules[__name__]


class Categorical:
    """One of V classes, drawn by its probability.

    probs (..., V): probabilities, or weights >= 0, which are divided by their sum; or logits
    (..., V): their logarithms up to a constant. ValueError unless exactly one of the two is given.

    >>> choice = ta.distributions.Categorical(probs=ta.tensor([0.25, 0.75]))
    >>> choice.log_prob(ta.tensor(1)).exp(), choice.entropy()
    (tensor(0.75), tensor(0.5623))
    """

    def __init__(self, probs: Tensor | None = None, logits: Tensor | None = None) -> None:
        if (probs is None) == (logits is None):
            raise ValueError("Categorical: expected either probs or logits, and not both")
        if probs is not None:
            if not probs.dim() or (probs < 0).any() or not (probs.sum(-1) > 0).all():
                raise ValueError(
                    "probs: expected weights >= 0 of shape (..., V), with a sum above 0 in each row"
                )
            self.probs = probs / probs.sum(-1, keepdim=True)
            tiny = 1.1920929e-07 if probs.element_size() == 4 else 2.220446049250313e-16
            self.logits = self.probs.clamp(tiny, 1 - tiny).log()
        elif logits is not None:
            if not logits.dim():
                raise ValueError("logits: expected shape (..., V), got a tensor without axes")
            self.logits = logits.log_softmax(-1)
            self.probs = logits.softmax(-1)

    def sample(self, sample_shape: tuple[int, ...] = ()) -> Tensor:
        """Indices of classes, int64, of shape (*sample_shape, ...); drawn without a gradient."""
        rows = self.probs.detach().reshape(-1, self.probs.shape[-1])
        count = zeros(*sample_shape).numel()
        drawn = multinomial(rows, count, replacement=True)
        return drawn.t().reshape((*sample_shape, *self.probs.shape[:-1]))

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the probability of each class in `value` (...); the two broadcast.
        ValueError for what is no class."""
        if value.is_floating_point() and not (value == value.long()).all():
            raise ValueError(f"log_prob: value: expected whole numbers, got {value}")
        logits = self.logits + zeros(*value.shape, 1)
        index = value.long().unsqueeze(-1) + zeros(*logits.shape[:-1], 1, dtype="int64")
        try:
            return logits.gather(-1, index).squeeze(-1)
        except RuntimeError as error:
            raise ValueError(
                f"log_prob: value: expected classes in [0, {logits.shape[-1]}): {error}"
            ) from None

    def entropy(self) -> Tensor:
        """- sum over classes of p log p, in nats: (...). A class with p = 0, whose logit may be
        -inf, adds 0."""
        return -(self.probs * self.logits.clamp(min=finfo(self.logits.dtype).min)).sum(-1)


if not TYPE_CHECKING:
    __getattr__ = refuse(__name__, DISTRIBUTIONS)
