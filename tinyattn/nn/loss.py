"""Losses as modules; the functions and their gradients are in ops/losses.py and
ops/pointwise_losses.py.

In all of them reduction says what becomes of the losses of the elements: "none" returns them,
"sum" adds them up, and "mean" divides the sum by their number or, where elements have weights, as
each class says. size_average and reduce are older names of the reductions, taken with a warning.
"""

from tinyattn._tensor import Tensor
from tinyattn.compat.deprecated import reduction_of
from tinyattn.nn import functional as F
from tinyattn.nn.module import Module


class _Loss(Module):
    """What all losses share: the attribute reduction. A program may derive its own losses."""

    def __init__(
        self,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__()
        self.reduction = reduction_of(size_average, reduce, reduction)


class _WeightedLoss(_Loss):
    """A loss with the buffer weight, which may be None."""

    weight: Tensor | None

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(reduction=reduction_of(size_average, reduce, reduction))
        self.register_buffer("weight", weight)


class NLLLoss(_WeightedLoss):
    """-weight[target] * input[target]: input, log-probabilities, (N, V) or (V,); target, int64,
    (N,) or (). Further axes may follow the classes: (N, V, ...) and (N, ...).

    weight (V,): one factor a class, or None for ones. ignore_index: targets of this value count
    nothing. reduction "mean" divides by the sum of the weights of the targets that count.
    """

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        ignore_index: int = -100,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(weight, reduction=reduction_of(size_average, reduce, reduction))
        self.ignore_index = ignore_index

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.nll_loss(
            input,
            target,
            self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
        )


class CrossEntropyLoss(_WeightedLoss):
    """NLLLoss of log_softmax(input), in one step: input, logits, (N, V) or (V,); target, int64,
    (N,) or (). Further axes may follow the classes: (N, V, ...) and (N, ...).

    weight (V,), ignore_index and reduction are those of NLLLoss. label_smoothing s: the target
    distribution is 1 - s at the target plus s / V at every class (Szegedy et al. 2015,
    arXiv:1512.00567).

    >>> loss = nn.CrossEntropyLoss(ignore_index=0)
    >>> logits = ta.tensor([[1.0, 2.0, 3.0], [0.0, 0.0, 0.0]])
    >>> round(loss(logits, ta.tensor([2, 0])).item(), 4)
    0.4076
    """

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        ignore_index: int = -100,
        reduce: bool | None = None,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(weight, reduction=reduction_of(size_average, reduce, reduction))
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy(
            input,
            target,
            self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
        )


class MSELoss(_Loss):
    """(input - target)^2 for two tensors of the same shape.

    >>> nn.MSELoss()(ta.tensor([1.0, 2.0]), ta.tensor([1.0, 4.0])).item()
    2.0
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.mse_loss(input, target, reduction=self.reduction)


class L1Loss(_Loss):
    """|input - target| for two tensors of the same shape."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.l1_loss(input, target, reduction=self.reduction)


class SmoothL1Loss(_Loss):
    """With d = |input - target|: d^2 / (2 beta) where d < beta, else d - beta / 2 (Girshick 2015,
    arXiv:1504.08083).
    """

    def __init__(
        self,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        beta: float = 1.0,
    ) -> None:
        super().__init__(reduction=reduction_of(size_average, reduce, reduction))
        self.beta = beta

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.smooth_l1_loss(input, target, reduction=self.reduction, beta=self.beta)


class HuberLoss(_Loss):
    """With d = |input - target|: d^2 / 2 where d < delta, else delta (d - delta / 2). This is delta
    times SmoothL1Loss (Huber 1964).
    """

    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        super().__init__(reduction=reduction)
        self.delta = delta

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.huber_loss(input, target, self.reduction, self.delta)


class BCELoss(_WeightedLoss):
    """-(y log p + (1 - y) log(1 - p)) weight, p = input, y = target, of one shape, both between 0
    and 1. Logarithms below -100 count as -100. `BCEWithLogitsLoss` is more exact.
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.binary_cross_entropy(input, target, self.weight, reduction=self.reduction)


class BCEWithLogitsLoss(_Loss):
    """-(pos_weight y log p + (1 - y) log(1 - p)) weight, p = sigmoid(input), y = target, of one
    shape, target between 0 and 1. It is computed in one step, which is exact even
    where p is almost 0 or 1.

    weight and pos_weight broadcast to the input; None stands for ones.
    """

    weight: Tensor | None
    pos_weight: Tensor | None

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        pos_weight: Tensor | None = None,
    ) -> None:
        super().__init__(reduction=reduction_of(size_average, reduce, reduction))
        self.register_buffer("weight", weight)
        self.register_buffer("pos_weight", pos_weight)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(
            input, target, self.weight, reduction=self.reduction, pos_weight=self.pos_weight
        )


class KLDivLoss(_Loss):
    """target (log(target) - input): the Kullback-Leibler divergence of target from input, where
    input holds log-probabilities.

    reduction may also be "batchmean": the sum divided by B, the size of the first axis.
    log_target: target holds log-probabilities, too.
    """

    def __init__(
        self,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        log_target: bool = False,
    ) -> None:
        super().__init__(reduction=reduction_of(size_average, reduce, reduction))
        self.log_target = log_target

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.kl_div(input, target, reduction=self.reduction, log_target=self.log_target)


class CosineEmbeddingLoss(_Loss):
    """1 - cos where target is 1, max(0, cos - margin) where it is -1: cos is the cosine similarity
    of input1 and input2, (B, D) or (D,); target (B,) or ()."""

    def __init__(
        self,
        margin: float = 0.0,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(reduction=reduction_of(size_average, reduce, reduction))
        self.margin = margin

    def forward(self, input1: Tensor, input2: Tensor, target: Tensor) -> Tensor:
        return F.cosine_embedding_loss(
            input1, input2, target, margin=self.margin, reduction=self.reduction
        )
