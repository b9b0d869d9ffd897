"""Operations whose weights are integers of 8 bits: a linear map, an embedding, one layer of a GRU
or an LSTM. quantization.py has the modules that use them.

A weight W (F, K) is stored as q (F, K) uint8 and one scale for each row, s (F,):
W_fk = (q_fk - 128) s_f. What comes in is rounded row by row (kernels/reference/int8.py), so that a
row's result does not depend on the other rows. They are for trained models: none has a gradient.
Read QuantizedLinear first.
"""

from typing import Any, NoReturn

import numpy as np

from tinyattn.autograd.function import Function
from tinyattn.autograd.storage import Tensor
from tinyattn.kernels import backend
from tinyattn.kernels._types import Array
from tinyattn.kernels.recording import refuse
from tinyattn.ops.indexing import as_index, not_in_vocabulary
from tinyattn.ops.products import as_rows, by_rows
from tinyattn.ops.recurrent import steps


def quantized_rows(weight: Array) -> tuple[Array, Array]:
    """q (F, K) uint8 and s (F,) for a weight (F, K): s_f = max_k |W_fk| / 127, and q_fk - 128 is
    W_fk / s_f, rounded. ValueError if the weight has a NaN or an infinity.

    >>> q, s = quantized_rows(np.array([[1.27, -0.5], [0.0, 0.0]]))
    >>> q.tolist(), [round(float(x), 9) for x in s]
    ([[255, 78], [128, 128]], [0.01, 0.0])
    """
    if not np.isfinite(weight).all():
        raise ValueError("expected finite numbers, got NaN or infinity")
    largest = np.abs(weight).max(axis=1, keepdims=True, initial=0)
    inverse = np.divide(127, largest, out=np.zeros_like(largest), where=largest >= 1e-30)
    q = (np.rint(weight * inverse) + 128).astype(np.uint8)
    return q, np.where(inverse > 0, largest / 127, 0)[:, 0].astype(weight.dtype)


class Untrained(Function):
    """An operation without a gradient, which says so in the backward pass."""

    def backward(self, *grads: Array | None) -> NoReturn:
        raise RuntimeError(
            f"{type(self).__name__}: a quantised layer has no gradient: train the model before "
            "quantize_dynamic"
        )


class QuantizedLinear(Untrained):
    """y = x W^T + b  with  W_fk = (q_fk - 128) s_f,  x rounded row by row to 8 bits."""

    def forward(
        self, x: Array, weight: Array, scale: Array, bias: Array | None, packings: Any
    ) -> Array:
        y = backend().int8_linear(as_rows(x), weight, scale, bias, packings)
        return y.reshape(*x.shape[:-1], len(weight))


class QuantizedEmbedding(Untrained):
    """y_n = (q[index_n] - 128) s[index_n]."""

    def forward(self, index: Array, weight: Array, scale: Array) -> Array:
        flat = index.reshape(-1).astype(np.int64, copy=False)
        return backend().int8_rows(flat, weight, scale).reshape(*index.shape, weight.shape[1])


class QuantizedGRULayer(Untrained):
    """As GRULayer in recurrent.py, with both products in integers. The state is rounded anew at
    every step."""

    def forward(
        self,
        x: Array,
        h0: Array,
        w_ih: Array,
        w_hh: Array,
        s_ih: Array,
        s_hh: Array,
        b_ih: Array | None,
        b_hh: Array | None,
        sizes: Array,
        reverse: bool,
        packings: tuple[Any, Any],
    ) -> tuple[Array, Array]:
        k, H = backend(), w_hh.shape[1]
        gx = k.int8_linear(as_rows(by_rows(x)), w_ih, s_ih, b_ih, packings[0])
        h, y = np.array(as_rows(h0)), np.empty((len(gx), H), gx.dtype)
        for rows, n in steps(sizes, reverse):
            gh = k.int8_linear(h[:n], w_hh, s_hh, b_hh, packings[1])
            h[:n] = y[rows] = k.gru_gates(gx[rows], gh, h[:n])
        return y.reshape(*x.shape[:-1], H), h.reshape(h0.shape)


class QuantizedLSTMLayer(Untrained):
    """As LSTMLayer in recurrent.py, with both products in integers. The state h is rounded anew at
    every step, the state c never."""

    def forward(
        self,
        x: Array,
        h0: Array,
        c0: Array,
        w_ih: Array,
        w_hh: Array,
        s_ih: Array,
        s_hh: Array,
        b_ih: Array | None,
        b_hh: Array | None,
        sizes: Array,
        reverse: bool,
        packings: tuple[Any, Any],
    ) -> tuple[Array, Array, Array]:
        k, H = backend(), w_hh.shape[1]
        gx = k.int8_linear(as_rows(by_rows(x)), w_ih, s_ih, b_ih, packings[0])
        h, c = np.array(as_rows(h0)), np.array(as_rows(c0))
        y = np.empty((len(gx), H), gx.dtype)
        for rows, n in steps(sizes, reverse):
            gh = k.int8_linear(h[:n], w_hh, s_hh, b_hh, packings[1])
            y[rows], c[:n] = k.lstm_gates(gx[rows], gh, c[:n])
            h[:n] = y[rows]
        return y.reshape(*x.shape[:-1], H), h.reshape(h0.shape), c.reshape(c0.shape)


def quantized_linear(
    input: Tensor, weight: Tensor, scale: Tensor, bias: Tensor | None = None
) -> Tensor:
    """input (..., K) times the transpose of W = (weight - 128) scale, plus bias (F,): (..., F).

    weight (F, K) uint8, scale (F,). Each row of the input is rounded to integers from -127 to 127
    times its own step. A row that has a NaN or an infinity gives NaN.
    """
    refuse("quantized_linear: a replay is for training")
    return QuantizedLinear.apply(input, weight, scale, bias, _packings(weight))


def quantized_embedding(input: Tensor, weight: Tensor, scale: Tensor) -> Tensor:
    """The rows of W = (weight - 128) scale at the indices of input (...): (..., D).

    weight (V, D) uint8, scale (V,). IndexError for an index out of range.
    """
    refuse("quantized_embedding: a replay is for training")
    index = as_index(input, "quantized_embedding")
    try:
        return QuantizedEmbedding.apply(index, weight, scale)
    except IndexError:
        raise not_in_vocabulary(index, len(weight)) from None


def quantized_gru_layer(
    input: Tensor,
    h0: Tensor,
    w_ih: Tensor,
    w_hh: Tensor,
    s_ih: Tensor,
    s_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
    *,
    batch_sizes: Array,
    reverse: bool = False,
) -> tuple[Tensor, Tensor]:
    """gru_layer with quantised weights: w_ih (3H, I) and w_hh (3H, H) are uint8, with the scales
    s_ih and s_hh (3H,)."""
    refuse("quantized_gru_layer: a replay is for training")
    packings = _packings(w_ih), _packings(w_hh)
    weights = w_ih, w_hh, s_ih, s_hh, b_ih, b_hh
    return QuantizedGRULayer.apply(input, h0, *weights, batch_sizes, reverse, packings)


def quantized_lstm_layer(
    input: Tensor,
    h0: Tensor,
    c0: Tensor,
    w_ih: Tensor,
    w_hh: Tensor,
    s_ih: Tensor,
    s_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
    *,
    batch_sizes: Array,
    reverse: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:
    """lstm_layer with quantised weights: w_ih (4H, I) and w_hh (4H, H) are uint8, with the scales
    s_ih and s_hh (4H,)."""
    refuse("quantized_lstm_layer: a replay is for training")
    packings = _packings(w_ih), _packings(w_hh)
    weights = w_ih, w_hh, s_ih, s_hh, b_ih, b_hh
    return QuantizedLSTMLayer.apply(input, h0, c0, *weights, batch_sizes, reverse, packings)


def _packings(weight: Tensor) -> dict[Any, Any] | None:
    """Where packed copies of the weight are kept until it changes; None if NumPy shares its memory
    and could change it unseen."""
    storage = weight._storage
    if storage.exposed:
        return None
    if storage.packings is None:
        storage.packings = {}
    return storage.packings
