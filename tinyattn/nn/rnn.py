"""GRU: layers and directions over a batch of sequences. GRUCell: one step.

The recurrence itself, with its gradient, is ops/recurrent.py; look first at GRU.forward.
"""

import math
import warnings
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np

from tinyattn._tensor import Tensor
from tinyattn.autograd.storage import results
from tinyattn.nn import init
from tinyattn.nn.functional import dropout
from tinyattn.nn.module import Module
from tinyattn.nn.parameter import Parameter, unset
from tinyattn.nn.utils.rnn import PackedSequence
from tinyattn.ops.recurrent import gru_layer
from tinyattn.ops.shape import cat, stack


@lru_cache(maxsize=256)
def _equal_sizes(T: int, B: int) -> np.ndarray:
    """batch_sizes of a padded batch; only ever read."""
    return np.full(T, B, np.int64)


def _zeros(*shape: int, like: Tensor) -> Tensor:
    return results.wrap(np.zeros(shape, like._array.dtype))


class GRU(Module):
    """input (T, B, I), with batch_first (B, T, I), unbatched (T, I), or packed; h_0 (L*d, B, H).

    Returns the last layer's states (T, B, d*H), in the form of the input, and h_n (L*d, B, H), for
    L layers and d directions. Gates in the order r, z, n; Cho et al. 2014.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        sizes = {"input_size": input_size, "hidden_size": hidden_size, "num_layers": num_layers}
        _check_sizes(**sizes)
        if isinstance(dropout, bool) or not 0 <= dropout <= 1:
            raise ValueError(f"dropout: should be a number in range [0, 1], got {dropout!r}")
        if dropout and num_layers == 1:
            warnings.warn(
                f"dropout: acts between layers; with num_layers 1, {dropout} does nothing",
                stacklevel=2,
            )
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self._suffixes = ("", "_reverse") if bidirectional else ("",)
        for layer in range(num_layers):
            inputs = hidden_size * len(self._suffixes) if layer else input_size
            for suffix in self._suffixes:
                end = f"l{layer}{suffix}"
                setattr(self, f"weight_ih_{end}", unset(3 * hidden_size, inputs, dtype=dtype))
                setattr(self, f"weight_hh_{end}", unset(3 * hidden_size, hidden_size, dtype=dtype))
                if bias:
                    setattr(self, f"bias_ih_{end}", unset(3 * hidden_size, dtype=dtype))
                    setattr(self, f"bias_hh_{end}", unset(3 * hidden_size, dtype=dtype))
        self._names = [
            tuple(f"{kind}_l{layer}{suffix}" for kind in _KINDS[: 4 if bias else 2])
            for layer in range(num_layers)
            for suffix in self._suffixes
        ]
        self.reset_parameters()

    def reset_parameters(self) -> None:
        _draw(self, self.hidden_size)

    def forward(
        self, input: Tensor | PackedSequence, hx: Tensor | None = None
    ) -> tuple[Tensor | PackedSequence, Tensor]:
        if isinstance(input, PackedSequence):
            rows, sizes, order, back = input
            self._check_input(rows, 2)
            batch_sizes = sizes._array
            B = int(batch_sizes[0])
            if hx is not None and order is not None:
                self._check_hidden(hx, B, 3)
                hx = hx.index_select(1, order)
            rows, h_n = self._run(rows, self._first(hx, B, rows, 3), batch_sizes)
            if back is not None:
                h_n = h_n.index_select(1, back)
            return PackedSequence(rows, sizes, order, back), h_n
        ndim = input.dim()
        if ndim not in (2, 3):
            raise ValueError(f"GRU: Expected input to be 2D or 3D, got {ndim}D instead")
        self._check_input(input, ndim)
        if ndim == 3 and self.batch_first:
            input = input.transpose(0, 1)
        T, B = len(input), input.shape[1] if ndim == 3 else 1
        if not T:
            raise RuntimeError("GRU: input: Expected sequence length T to be larger than 0")
        output, h_n = self._run(input, self._first(hx, B, input, ndim), _equal_sizes(T, B))
        return output.transpose(0, 1) if ndim == 3 and self.batch_first else output, h_n

    def _run(
        self, rows: Tensor, first: Iterator[Tensor], batch_sizes: np.ndarray
    ) -> tuple[Tensor, Tensor]:
        """All layers over rows (N, I) or (T, B, I) -> (N, d*H) or (T, B, d*H), (L*d, B, H)."""
        last = []
        names = iter(self._names)
        values = self.__dict__
        for layer in range(self.num_layers):
            if layer and self.dropout and self.training:
                rows = dropout(rows, self.dropout)
            outputs = []
            for suffix in self._suffixes:
                weights = [values[name] for name in next(names)]
                output, h_n = gru_layer(
                    rows, next(first), *weights, batch_sizes=batch_sizes, reverse=bool(suffix)
                )
                outputs.append(output)
                last.append(h_n)
            rows = outputs[0] if len(outputs) == 1 else cat(outputs, -1)
        return rows, last[0] if len(last) == 1 else stack(last, 0)

    def _first(self, hx: Tensor | None, B: int, rows: Tensor, ndim: int) -> Iterator[Tensor]:
        """The first states of the layers and directions, (B, H); of a single one (1, B, H)."""
        count, H = len(self._names), self.hidden_size
        if hx is None:
            hx = _zeros(*((count, H) if ndim == 2 else (count, B, H)), like=rows)
        else:
            self._check_hidden(hx, B, ndim)
        return iter([hx] if count == 1 else hx.unbind(0))

    def _check_input(self, input: Tensor, ndim: int) -> None:
        shape, dtype = input.shape, self.weight_ih_l0._array.dtype
        if input._array.dtype != dtype:
            raise ValueError(
                f"GRU: input dtype ({input.dtype}) does not match weight dtype ({dtype}): convert "
                f"the input, input.to({dtype}), or the model, model.to({input.dtype})"
            )
        if len(shape) != ndim:
            raise RuntimeError(f"GRU: input must have {ndim} dimensions, got {len(shape)}")
        if shape[-1] != self.input_size:
            raise RuntimeError(
                f"GRU: input.size(-1) must be equal to input_size. Expected {self.input_size}, "
                f"got {shape[-1]} in shape {list(shape)}"
            )

    def _check_hidden(self, hx: Tensor, B: int, ndim: int) -> None:
        shape = hx.shape
        if len(shape) != ndim:
            batched = "batched 3-D" if ndim == 3 else "unbatched 2-D"
            raise RuntimeError(
                f"GRU: For {batched} input, hx should also be {ndim}-D "
                f"but got {len(shape)}-D tensor"
            )
        count, H = len(self._names), self.hidden_size
        batch = (B,) if ndim == 3 else ()
        letters, expected = "(L*d, B, H)" if batch else "(L*d, H)", (count, *batch, H)
        if shape != expected:
            raise RuntimeError(
                f"GRU: hx: Expected hidden size {letters} = {expected}, got {list(shape)}"
            )
        if hx._array.dtype != self.weight_ih_l0._array.dtype:
            raise ValueError(f"GRU: hx: expected {self.weight_ih_l0.dtype}, got {hx.dtype}")

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        for name, default in _DEFAULTS.items():
            value = getattr(self, name)
            if value != default:
                text += f", {name}={value}"
        return text


_KINDS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
_DEFAULTS = {
    "num_layers": 1,
    "bias": True,
    "batch_first": False,
    "dropout": 0,
    "bidirectional": False,
}


class GRUCell(Module):
    """One step: input (B, I) or (I,), hx (B, H) or (H,), zeros unless given -> the new state."""

    bias_ih: Parameter | None
    bias_hh: Parameter | None

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, dtype: Any = None
    ) -> None:
        super().__init__()
        _check_sizes(input_size=input_size, hidden_size=hidden_size)
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        self.weight_ih = unset(3 * hidden_size, input_size, dtype=dtype)
        self.weight_hh = unset(3 * hidden_size, hidden_size, dtype=dtype)
        for name in ("bias_ih", "bias_hh"):
            self.register_parameter(name, unset(3 * hidden_size, dtype=dtype) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        _draw(self, self.hidden_size)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        shape = input.shape
        if len(shape) not in (1, 2):
            raise ValueError(f"GRUCell: Expected input to be 1D or 2D, got {len(shape)}D instead")
        if shape[-1] != self.input_size:
            raise RuntimeError(
                f"GRUCell: input has inconsistent input_size: expected I = {self.input_size}, "
                f"got {shape[-1]} in shape {list(shape)}"
            )
        single = len(shape) == 1
        if single:
            input = input.unsqueeze(0)
        B = len(input)
        if hx is None:
            hx = _zeros(B, self.hidden_size, like=input)
        else:
            expected = (*shape[:-1], self.hidden_size)
            if hx.shape != expected:
                letters = "(H,)" if single else "(B, H)"
                raise RuntimeError(
                    f"GRUCell: hx: expected {letters} = {expected} for input {list(shape)}, "
                    f"got {list(hx.shape)}"
                )
            if single:
                hx = hx.unsqueeze(0)
        state, _ = gru_layer(
            input,
            hx,
            self.weight_ih,
            self.weight_hh,
            self.bias_ih,
            self.bias_hh,
            batch_sizes=_equal_sizes(1, B),
        )
        return state.reshape(self.hidden_size) if single else state

    def extra_repr(self) -> str:
        bias = "" if self.bias is True else f", bias={self.bias}"
        return f"{self.input_size}, {self.hidden_size}{bias}"


def _draw(module: Module, hidden_size: int) -> None:
    bound = 1 / math.sqrt(hidden_size)
    for param in module.parameters():
        init.uniform_(param, -bound, bound)


def _check_sizes(**sizes: int) -> None:
    for name, size in sizes.items():
        if not isinstance(size, (int, np.integer)) or isinstance(size, bool):
            raise TypeError(f"{name}: should be of type int, got {type(size).__name__}")
        if size <= 0:
            raise ValueError(f"{name}: must be greater than zero, got {size}")
