"""embedding_bag: the rows of a table summed, averaged or maximised over bags of words. It is made
of `embedding` and `index_add`; a bag is a text whose order of words does not matter.
"""

import numpy as np

from tinyattn.autograd.storage import Tensor, results
from tinyattn.kernels._types import Array
from tinyattn.ops._arguments import as_tensor
from tinyattn.ops.elementwise import where
from tinyattn.ops.indexing import as_index, embedding, first_outside
from tinyattn.ops.reductions import max as largest
from tinyattn.ops.scatter import index_add
from tinyattn.ops.shape import reshape, unsqueeze


def embedding_bag(
    input: Tensor,
    weight: Tensor,
    offsets: Tensor | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Tensor:
    """The rows of weight (V, D) at the indices of a bag, reduced to one row, for every bag: (B, D).

    input: (B, N), a bag in every row; or (N,), all bags one behind the other, where `offsets` (B,)
    says at which place each begins. include_last_offset: offsets has one more number, the end.
    mode: "sum", "mean" or "max". A bag without words gives zeros.
    per_sample_weights: a factor for every word, in the shape of input; for mode "sum" only.
    padding_idx: a row that is left out of its bags and gets no gradient.
    max_norm, norm_type, scale_grad_by_freq: as in `embedding`. sparse: must be False.

    >>> table = ta.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    >>> F.embedding_bag(ta.tensor([0, 1, 2]), table, ta.tensor([0, 2]))
    tensor([[2., 3.],
            [5., 6.]])
    """
    if sparse:
        raise NotImplementedError("sparse: there are no sparse gradients; leave sparse=False")
    if mode not in ("sum", "mean", "max"):
        raise ValueError(f'mode: expected "sum", "mean" or "max", got {mode!r}')
    words = as_index(input, "embedding_bag")
    V = as_tensor(weight, "weight")._array.shape[0]
    bad = first_outside(words, V)
    if bad is not None:
        raise RuntimeError(f"input: index {bad} is out of range for weight of V = {V} rows")
    bag, B = _bags(words, offsets, include_last_offset)
    kept = words.reshape(-1)
    used = np.ones(kept.shape, bool) if padding_idx is None else kept != padding_idx % V
    kept, bag = kept[used], bag[used]
    rows = embedding(results.wrap(kept), weight, None, max_norm, norm_type, scale_grad_by_freq)
    if per_sample_weights is not None:
        factors = as_tensor(per_sample_weights, "per_sample_weights")
        if mode != "sum":
            raise NotImplementedError(f'per_sample_weights: expected mode "sum", got mode {mode!r}')
        if factors._array.shape != words.shape:
            raise ValueError(
                f"per_sample_weights: expected the shape of input, {list(words.shape)}, got "
                f"{list(factors._array.shape)}"
            )
        rows = rows * unsqueeze(reshape(factors, (-1,))[results.wrap(used)], 1)
    counts = np.bincount(bag, minlength=B)
    if mode == "max":
        return _largest(rows, bag, counts)
    zeros = results.wrap(np.zeros((B, rows._array.shape[1]), rows._array.dtype))
    total = index_add(zeros, 0, results.wrap(bag), rows)
    if mode == "sum":
        return total
    return total / results.wrap(np.maximum(counts, 1)[:, None].astype(rows._array.dtype))


def _bags(words: Array, offsets: Tensor | None, include_last: bool) -> tuple[Array, int]:
    """The number of its bag for each of the words in a line, and how many bags there are."""
    if words.ndim == 2:
        if offsets is not None:
            raise ValueError("offsets: expected None, since input (B, N) has a bag in every row")
        return np.repeat(np.arange(words.shape[0]), words.shape[1]), words.shape[0]
    if words.ndim != 1 or offsets is None:
        raise ValueError(
            "embedding_bag: expected input (B, N), or (N,) together with offsets (B,), got input "
            f"{list(words.shape)}"
        )
    starts = as_index(offsets, "embedding_bag")
    if starts.ndim != 1 or (include_last and not len(starts)):
        raise ValueError(f"offsets: expected shape (B,), got {list(starts.shape)}")
    ends = starts[1:] if include_last else np.append(starts[1:], len(words))
    starts = starts[:-1] if include_last else starts
    if len(starts) and (starts[0] != 0 or np.any(ends < starts) or ends[-1] != len(words)):
        raise RuntimeError(
            f"offsets: expected 0 first, then numbers that do not fall, at most N = {len(words)} "
            f"(and N itself last with include_last_offset), got {offsets.tolist()}"
        )
    return np.repeat(np.arange(len(starts)), ends - starts), len(starts)


def _largest(rows: Tensor, bag: Array, counts: Array) -> Tensor:
    """The largest of the rows (N, D) of each bag, by elements; zeros for an empty bag."""
    place = np.arange(len(bag)) - np.repeat(np.cumsum(counts) - counts, counts)
    index = np.zeros((len(counts), max(counts.max(initial=0), 1)), np.int64)
    index[bag, place] = np.arange(len(bag))
    there = np.arange(index.shape[1]) < counts[:, None]
    if not len(bag):
        return results.wrap(np.zeros((len(counts), rows._array.shape[1]), rows._array.dtype))
    padded = where(results.wrap(there[..., None]), rows[results.wrap(index)], -np.inf)
    return where(results.wrap(counts[:, None] > 0), largest(padded, 1).values, 0.0)
