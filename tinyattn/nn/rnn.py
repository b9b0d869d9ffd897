"""GRU, LSTM and RNN: layers and directions over a batch of sequences. Their cells: one step.

The recurrences and their gradients are in ops/recurrent.py. Look first at RNNBase.forward.
"""

import math
import warnings
from collections.abc import Iterator
from functools import lru_cache, partial
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import DTypeLike

from tinyattn._tensor import Tensor
from tinyattn.autograd.devices import Device
from tinyattn.autograd.storage import results
from tinyattn.kernels._types import Array
from tinyattn.kernels.recording import step
from tinyattn.nn import init
from tinyattn.nn.functional import linear
from tinyattn.nn.module import PARAMETER, Module, OverloadedForward
from tinyattn.nn.parameter import Parameter, unset
from tinyattn.nn.utils.rnn import PackedSequence
from tinyattn.ops._arguments import as_tensor
from tinyattn.ops.packing import place_rows
from tinyattn.ops.parts import Part, Places
from tinyattn.ops.random import dropout_of
from tinyattn.ops.recurrent import gru_layer, lstm_layer, rnn_layer
from tinyattn.ops.shape import cat, stack

# The input of a recurrent module; its output has the same form.
Rows = TypeVar("Rows", Tensor, PackedSequence)
Pair = tuple[Tensor, Tensor]  # h and c of an LSTM
State = TypeVar("State")  # Tensor or Pair


@lru_cache(maxsize=256)
def _equal_sizes(T: int, B: int) -> Array:
    """batch_sizes of a padded batch. Shared by all calls, so it must not be changed."""
    return np.full(T, B, np.int64)


def _zeros(*shape: int, like: Tensor) -> Tensor:
    return results.wrap(step("zeros", np.zeros, shape, like._array.dtype))


class RNNBase(OverloadedForward, Generic[State]):
    """What the recurrent modules share: L layers of d directions, each of H = hidden_size.

    input (T, B, I), with batch_first (B, T, I); one sequence (T, I); or a PackedSequence of
    unequal lengths. hx, the first states (L d, B, H), or (L d, H) without B, is zero unless given.
    Returns the output, the states of the last layer at every step, (T, B, d H) in the form of the
    input, and the last states h_n (L d, B, H).

    input_size: I. num_layers: L. bias False: no bias_ih and bias_hh. dropout: probability with
    which an output of a layer other than the last becomes 0 in training. bidirectional: d = 2, the
    second direction reads from the end. Parameters weight_ih_l0, weight_hh_l0, bias_ih_l0,
    bias_hh_l0, ..., l1, ..., with the suffix _reverse for the second direction, start uniform in
    [-k, k], k = 1 / sqrt(H). Shapes and dtypes that do not fit raise errors that name them.
    """

    _gates: int
    _states: tuple[str, ...] = ("hx",)  # the names of the parts of a state
    _layer: Any  # one layer in one direction: a function of ops/recurrent.py
    mode: str  # the name of the kind: "GRU", "LSTM", "RNN_TANH" or "RNN_RELU"

    weight_ih_l0: Parameter
    weight_hh_l0: Parameter

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Device = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        super().__init__()
        _check_sizes(input_size=input_size, hidden_size=hidden_size, num_layers=num_layers)
        for name, flag in (("bias", bias), ("batch_first", batch_first)):
            if not isinstance(flag, bool):
                raise TypeError(f"{name}: should be of type bool, got {type(flag).__name__}")
        number = isinstance(dropout, (int, float)) and not isinstance(dropout, bool)
        if not number or not 0 <= dropout <= 1:
            raise ValueError(f"dropout: should be a number in range [0, 1], got {dropout!r}")
        if dropout and num_layers == 1:
            warnings.warn(
                f"dropout: acts between layers; with num_layers 1, {dropout} does nothing",
                stacklevel=2,
            )
        if not 0 <= proj_size < hidden_size or (proj_size and len(self._states) == 1):
            raise ValueError(
                f"proj_size: should be 0, or for an LSTM less than hidden_size, got {proj_size}"
            )
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.proj_size = proj_size
        self._suffixes = ("", "_reverse") if bidirectional else ("",)
        self._widths = (proj_size or hidden_size, hidden_size)[: len(self._states)]
        rows, width = self._gates * hidden_size, self._widths[0]
        self._names: list[tuple[str, ...]] = []
        for layer in range(num_layers):
            inputs = width * len(self._suffixes) if layer else input_size
            shapes: dict[str, Any] = {"weight_ih": (rows, inputs), "weight_hh": (rows, width)}
            if bias:
                shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
            if proj_size:
                shapes["weight_hr"] = (proj_size, hidden_size)
            for suffix in self._suffixes:
                names = {kind: f"{kind}_l{layer}{suffix}" for kind in shapes}
                for kind, name in names.items():
                    setattr(self, name, unset(*shapes[kind], device=device, dtype=dtype))
                self._names.append(tuple(names.values()))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all parameters anew."""
        _draw(self, self.hidden_size)

    @property
    def _flat_weights_names(self) -> list[str]:
        """The names of all parameters, layer by layer: PyTorch's attribute."""
        return list(self._members(PARAMETER))

    @property
    def _all_weights(self) -> list[list[str]]:
        """The names of the parameters of each layer, or of each direction of it."""
        return [list(names) for names in self._names]

    @property
    def all_weights(self) -> list[list[Parameter]]:
        """The parameters of each layer, or of each direction of it."""
        return [[getattr(self, name) for name in names] for names in self._names]

    @property
    def _dtype(self) -> np.dtype[Any]:
        """The dtype that inputs and states must have."""
        return self.weight_ih_l0._array.dtype

    def flatten_parameters(self) -> None:
        """Do nothing. The method exists so that code for PyTorch runs."""

    def forward(self, input: Rows, hx: State | None = None) -> tuple[Rows, State]:
        if isinstance(input, PackedSequence):
            rows, sizes, order, back = input
            self._check_input(rows, 2)
            batch_sizes = sizes._array
            first = self._first(hx, int(batch_sizes[0]), rows, 3, order)
            rows, last = self._run(rows, first, batch_sizes, order)
            if back is not None:
                last = [state.index_select(1, back) for state in last]
            return PackedSequence(rows, sizes, order, back), _one_or_all(last)
        ndim = as_tensor(input, "input").dim()
        if ndim not in (2, 3):
            raise ValueError(
                f"{type(self).__name__}: Expected input to be 2D or 3D, got {ndim}D instead"
            )
        self._check_input(input, ndim)
        if ndim == 3 and self.batch_first:
            input = input.transpose(0, 1)
        T, B = len(input), input.shape[1] if ndim == 3 else 1
        if not T:
            raise RuntimeError(
                f"{type(self).__name__}: input: Expected sequence length T to be larger than 0"
            )
        output, last = self._run(input, self._first(hx, B, input, ndim), _equal_sizes(T, B))
        if ndim == 3 and self.batch_first:
            output = output.transpose(0, 1)
        return output, _one_or_all(last)

    def _run(
        self, rows: Tensor, first: Iterator[Any], batch_sizes: Array, order: Tensor | None = None
    ) -> tuple[Tensor, list[Tensor]]:
        """All layers over rows (N, I) or (T, B, I): their output (N, d H) or (T, B, d H), and h_n
        (for an LSTM also c_n). order: how a packed batch was sorted."""
        last: list[list[Tensor]] = []
        names = iter(self._names)
        values = self.__dict__
        for layer in range(self.num_layers):
            if layer and self.dropout and self.training:
                rows = dropout_of(rows, self.dropout, partial(_places, rows, batch_sizes, order))
            outputs = []
            for suffix in self._suffixes:
                weights = [values[name] for name in next(names)]
                output, *state = self._layer(
                    rows, *next(first), *weights, batch_sizes=batch_sizes, reverse=bool(suffix)
                )
                outputs.append(output)
                last.append(state)
            rows = outputs[0] if len(outputs) == 1 else cat(outputs, -1)
        if len(last) == 1:
            return rows, last[0]
        return rows, [stack(parts, 0) for parts in zip(*last, strict=True)]

    def _first(
        self, hx: Any, B: int, rows: Tensor, ndim: int, order: Tensor | None = None
    ) -> Iterator[Any]:
        """The first states (B, H) of each layer and direction; (1, B, H) if there is only one.

        order: how a packed batch was sorted.
        """
        count = len(self._names)
        batch = (B,) if ndim == 3 else ()
        if hx is None:
            states = [_zeros(count, *batch, width, like=rows) for width in self._widths]
        else:
            states = _parts(self, hx)
            for i, state in enumerate(states):
                self._check_hidden(i, state, batch)
            if order is not None:
                states = [state.index_select(1, order) for state in states]
        if count == 1:
            return iter([states])
        return zip(*(state.unbind(0) for state in states), strict=True)

    def _check_input(self, input: Tensor, ndim: int) -> None:
        name, shape, dtype = type(self).__name__, input.shape, self._dtype
        if input._array.dtype != dtype:
            raise ValueError(
                f"{name}: input dtype ({input.dtype}) does not match weight dtype ({dtype}): "
                f"convert the input, input.to({dtype}), or the model, model.to({input.dtype})"
            )
        if len(shape) != ndim:
            raise RuntimeError(f"{name}: input must have {ndim} dimensions, got {len(shape)}")
        if shape[-1] != self.input_size:
            raise RuntimeError(
                f"{name}: input.size(-1) must be equal to input_size. Expected {self.input_size}, "
                f"got {shape[-1]} in shape {list(shape)}"
            )

    def _check_hidden(self, i: int, state: Tensor, batch: tuple[int, ...]) -> None:
        shape, expected = state.shape, (len(self._names), *batch, self._widths[i])
        if shape == expected and state._array.dtype == self._dtype:
            return
        name, ndim = f"{type(self).__name__}: {self._states[i]}", len(expected)
        if len(shape) != ndim:
            batched = "batched 3-D" if batch else "unbatched 2-D"
            raise RuntimeError(
                f"{name}: For {batched} input, the hidden state should also be {ndim}-D "
                f"but got {len(shape)}-D tensor"
            )
        if shape != expected:
            width = "H" if self._widths[i] == self.hidden_size else "P"
            letters = f"(L*d, B, {width})" if batch else f"(L*d, {width})"
            raise RuntimeError(
                f"{name}: Expected hidden size {letters} = {expected}, got {list(shape)}"
            )
        raise ValueError(f"{name}: expected {self._dtype}, got {state.dtype}")

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        for name, default in _DEFAULTS.items():
            value = getattr(self, name)
            if value != default:
                text += f", {name}={value}"
        return text


_DEFAULTS = {
    "proj_size": 0,
    "num_layers": 1,
    "bias": True,
    "batch_first": False,
    "dropout": 0,
    "bidirectional": False,
}


class GRU(RNNBase[Tensor]):
    """A gated recurrent unit (Cho et al. 2014, arXiv:1406.1078).

    r = sigmoid(W_ir x + b_ir + W_hr h + b_hr)
    z = sigmoid(W_iz x + b_iz + W_hz h + b_hz)
    n = tanh(W_in x + b_in + r (W_hn h + b_hn))
    h' = (1 - z) n + z h

    weight_ih_l0 (3 H, I), weight_hh_l0 (3 H, H) and the biases (3 H,) hold r, z, n in this order.
    input (T, B, I), with batch_first (B, T, I); one sequence (T, I); or a PackedSequence. hx, the
    first states (L d, B, H), zero unless given. Returns the output of the last layer (T, B, d H) in
    the form of the input, and the last states h_n (L d, B, H). See RNNBase for all arguments.

    >>> gru = nn.GRU(input_size=4, hidden_size=8, batch_first=True)
    >>> output, h_n = gru(ta.randn(3, 5, 4))
    >>> output.shape, h_n.shape
    ((3, 5, 8), (1, 3, 8))
    """

    mode = "GRU"
    _gates = 3
    _layer = staticmethod(gru_layer)


class LSTM(RNNBase[Pair]):
    """Long short-term memory (Hochreiter and Schmidhuber 1997).

    i = sigmoid(W_ii x + b_ii + W_hi h + b_hi), and f and o in the same way
    g = tanh(W_ig x + b_ig + W_hg h + b_hg)
    c' = f c + i g
    h' = o tanh(c')

    weight_ih_l0 (4 H, I), weight_hh_l0 (4 H, H) and the biases (4 H,) hold i, f, g, o in this
    order.
    input (T, B, I), with batch_first (B, T, I); one sequence (T, I); or a PackedSequence. The first
    states are a pair hx = (h_0, c_0), each (L d, B, H), zero unless given. Returns the output of
    the last layer (T, B, d H) in the form of the input, and the pair of last states (h_n, c_n).
    proj_size P: h' = weight_hr_l0 (o tanh(c')), with P instead of H features (Sak et al. 2014,
    arXiv:1402.1128). See RNNBase for all arguments.

    >>> lstm = nn.LSTM(input_size=4, hidden_size=8, num_layers=2)
    >>> output, (h_n, c_n) = lstm(ta.randn(5, 3, 4))
    >>> output.shape, h_n.shape, c_n.shape
    ((5, 3, 8), (2, 3, 8), (2, 3, 8))
    """

    mode = "LSTM"
    _gates = 4
    _states = ("h_0", "c_0")

    def _layer(
        self, rows: Tensor, h0: Tensor, c0: Tensor, *weights: Tensor, **steps: Any
    ) -> tuple[Tensor, Tensor, Tensor]:
        if not self.proj_size:
            return lstm_layer(rows, h0, c0, *weights, **steps)
        # W_hh h = (W_hh W_hr) (o tanh c), so this is an LSTM without projection whose recurrent
        # weight is W_hh W_hr. h_0 is not a projection: it is appended to the input of the first
        # step of its sequence, with W_hh as its weight.
        w_ih, w_hh, *biases, w_hr = weights
        sizes = steps["batch_sizes"]
        N, B, H = int(sizes.sum()), int(sizes[0]), self.hidden_size
        at = np.arange(B)
        if steps["reverse"]:
            lengths = (sizes[:, None] > at).sum(axis=0)
            at += (np.cumsum(sizes) - sizes)[lengths - 1]
        started = place_rows(h0.reshape(B, self.proj_size), at, N)
        y, h_n, c_n = lstm_layer(
            cat([rows.reshape(N, rows.shape[-1]), started], 1),
            _zeros(B, H, like=rows),
            c0,
            cat([w_ih, w_hh], 1),
            w_hh.matmul(w_hr),
            *biases,
            **steps,
        )
        output = linear(y, w_hr).reshape(*rows.shape[:-1], self.proj_size)
        return output, linear(h_n, w_hr).reshape(h0.shape), c_n


class RNN(RNNBase[Tensor]):
    """A simple recurrent network (Elman 1990): h' = tanh(W_ih x + b_ih + W_hh h + b_hh).

    nonlinearity: "tanh" or "relu"; it is the fourth argument, before bias.
    input (T, B, I), with batch_first (B, T, I); one sequence (T, I); or a PackedSequence. hx, the
    first states (L d, B, H), zero unless given. Returns the output of the last layer (T, B, d H) in
    the form of the input, and the last states h_n (L d, B, H). See RNNBase for all arguments.

    >>> output, h_n = nn.RNN(4, 8, nonlinearity="relu")(ta.randn(5, 3, 4))
    >>> output.shape, h_n.shape
    ((5, 3, 8), (1, 3, 8))
    """

    _gates = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Device = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"nonlinearity: expected 'tanh' or 'relu', got {nonlinearity!r}")
        sizes = input_size, hidden_size, num_layers
        super().__init__(
            *sizes, bias, batch_first, dropout, bidirectional, proj_size, device, dtype
        )
        self.nonlinearity, self.mode = nonlinearity, f"RNN_{nonlinearity.upper()}"

    def _layer(self, *args: Any, **steps: Any) -> tuple[Tensor, Tensor]:
        return rnn_layer(*args, **steps, nonlinearity=self.nonlinearity)


class RNNCellBase(Module, Generic[State]):
    """What the cells share: one step of a recurrent network.

    input (B, I) or (I,), hx (B, H) or (H,), zero unless given -> the new state in the form of hx.
    weight_ih (g H, I), weight_hh (g H, H) and, with bias, bias_ih and bias_hh (g H,), for g gates,
    start uniform in [-k, k], k = 1 / sqrt(H). Shapes that do not fit raise errors that name them.
    """

    _gates: int
    _states: tuple[str, ...] = ("hx",)
    _layer: Any
    weight_ih: Parameter
    weight_hh: Parameter
    bias_ih: Parameter | None
    bias_hh: Parameter | None

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Device = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        super().__init__()
        _check_sizes(input_size=input_size, hidden_size=hidden_size)
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        rows = self._gates * hidden_size
        self.weight_ih = unset(rows, input_size, device=device, dtype=dtype)
        self.weight_hh = unset(rows, hidden_size, device=device, dtype=dtype)
        for name in ("bias_ih", "bias_hh"):
            self.register_parameter(name, unset(rows, device=device, dtype=dtype) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all parameters anew."""
        _draw(self, self.hidden_size)

    def forward(self, input: Tensor, hx: State | None = None) -> State:
        shape, name, H = input.shape, type(self).__name__, self.hidden_size
        if len(shape) not in (1, 2):
            raise ValueError(f"{name}: Expected input to be 1D or 2D, got {len(shape)}D instead")
        if shape[-1] != self.input_size:
            raise RuntimeError(
                f"{name}: input has inconsistent input_size: expected I = {self.input_size}, "
                f"got {shape[-1]} in shape {list(shape)}"
            )
        single = len(shape) == 1
        B = 1 if single else shape[0]
        if hx is None:
            states = [_zeros(B, H, like=input) for _ in self._states]
        else:
            states = _parts(self, hx)
            expected = (*shape[:-1], H)
            for label, state in zip(self._states, states, strict=True):
                found = state.shape
                if found != expected:
                    letters = "(H,)" if single else "(B, H)"
                    error = RuntimeError if len(found) in (1, 2) else ValueError
                    raise error(
                        f"{name}: {label}: expected {letters} = {expected} for input "
                        f"{list(shape)}, got {list(found)}"
                    )
        weights = self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh
        output, _, *rest = self._layer(
            input.unsqueeze(0) if single else input,
            *states,
            *weights,
            batch_sizes=_equal_sizes(1, B),
        )
        new = [output, *rest]
        result: State = _one_or_all([state.reshape(H) for state in new] if single else new)
        return result

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        for name, default in (("bias", True), ("nonlinearity", "tanh")):
            value = getattr(self, name, default)
            if value != default:
                text += f", {name}={value}"
        return text


class GRUCell(RNNCellBase[Tensor]):
    """One step of a GRU: input (B, I), hx (B, H) -> (B, H). One sequence comes
    without B.

    The formula and the order of the gates are those of GRU; hx is zero unless given.
    """

    _gates = 3
    _layer = staticmethod(gru_layer)


class LSTMCell(RNNCellBase[Pair]):
    """One step of an LSTM: input (B, I), hx = (h, c), each (B, H) -> the new pair.
    One sequence comes without B.

    The formula and the order of the gates are those of LSTM; h and c are zero unless given.
    """

    _gates = 4
    _states = ("h_0", "c_0")
    _layer = staticmethod(lstm_layer)


class RNNCell(RNNCellBase[Tensor]):
    """One step of an RNN: input (B, I), hx (B, H) -> (B, H). One sequence comes
    without B.

    nonlinearity: "tanh" or "relu". The formula is that of RNN; hx is zero unless given.
    """

    _gates = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: Device = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, device, dtype)
        self.nonlinearity = nonlinearity

    def _layer(self, *args: Any, **steps: Any) -> tuple[Tensor, Tensor]:
        if self.nonlinearity not in ("tanh", "relu"):
            raise RuntimeError(f"RNNCell: Unknown nonlinearity: {self.nonlinearity}")
        return rnn_layer(*args, **steps, nonlinearity=self.nonlinearity)


def _places(rows: Tensor, batch_sizes: Array, order: Tensor | None, part: Part) -> Places:
    """Where rows (N, H) or (T, B, H) stand in the whole batch that they are a part of."""
    if rows.dim() == 3:
        return part.of_tensor(rows.shape, 1)
    return part.of_packed(rows.shape, batch_sizes, None if order is None else order._array)


def _parts(module: "RNNBase[Any] | RNNCellBase[Any]", hx: Any) -> list[Tensor]:
    """The state `hx` as a list: of itself, or of h and c."""
    if len(module._states) == 1:
        return [as_tensor(hx, "hx")]
    if not isinstance(hx, (tuple, list)):
        error = RuntimeError if isinstance(hx, Tensor) else TypeError  # as in PyTorch
        raise error(f"hx: expected (h_0, c_0), got {type(hx).__name__}")
    if len(hx) != 2:
        raise RuntimeError(
            f"{type(module).__name__}: hx: expected two hidden states, (h_0, c_0), got {len(hx)}"
        )
    return [as_tensor(state, name) for state, name in zip(hx, ("h_0", "c_0"), strict=True)]


def _one_or_all(states: list[Tensor]) -> Any:
    """The reverse of `_parts`: a tensor, or the pair of h and c."""
    return states[0] if len(states) == 1 else tuple(states)


def _draw(module: Module, hidden_size: int) -> None:
    """All parameters uniform in [-k, k], k = 1 / sqrt(hidden_size)."""
    bound = 1 / math.sqrt(hidden_size)
    for param in module.parameters():
        init.uniform_(param, -bound, bound)


def _check_sizes(**sizes: int) -> None:
    for name, size in sizes.items():
        if not isinstance(size, (int, np.integer)) or isinstance(size, bool):
            raise TypeError(f"{name}: should be of type int, got {type(size).__name__}")
        if size <= 0:
            raise ValueError(f"{name}: must be greater than zero, got {size}")
