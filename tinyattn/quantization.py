"""Trained models made four times smaller, and faster: weights as integers of 8 bits.

`quantize_dynamic(model)` gives each row of a weight a scale of its own and stores its numbers as
integers (uint8, with 128 for 0). "Dynamic" says that what comes into a layer is rounded, too, when
it comes: row by row, so that a sentence gets the same result alone and in a batch. The products are
then sums of integers. Look first at `quantize_dynamic`; the operations are in ops/quantized.py.

(Jacob et al. 2018, arXiv:1712.05877, on integers of 8 bits; the names are PyTorch's)
"""

from collections.abc import Callable, Iterable
from copy import copy, deepcopy
from typing import Any

import numpy as np

from tinyattn._tensor import Tensor
from tinyattn.autograd.storage import results
from tinyattn.nn.attention import MultiheadAttention
from tinyattn.nn.linear import Linear
from tinyattn.nn.module import Module
from tinyattn.nn.rnn import GRU, LSTM
from tinyattn.nn.sparse import Embedding
from tinyattn.nn.utils.prune import is_pruned
from tinyattn.ops.quantized import (
    quantized_embedding,
    quantized_gru_layer,
    quantized_linear,
    quantized_lstm_layer,
    quantized_rows,
)

__all__ = [
    "QuantizedEmbedding",
    "QuantizedGRU",
    "QuantizedLSTM",
    "QuantizedLinear",
    "QuantizedMultiheadAttention",
    "qint8",
    "quantize_dynamic",
]

qint8: np.dtype[Any] = np.dtype(np.int8)  # the one way of quantising; tensors have no such type


class QuantizedLinear(Linear):
    """A Linear whose weight (out_features, in_features) is uint8, with weight_scale
    (out_features,)."""

    weight_scale: Tensor

    def forward(self, input: Tensor) -> Tensor:
        return quantized_linear(input, self.weight, self.weight_scale, self.bias)


class QuantizedEmbedding(Embedding):
    """An Embedding whose weight (num_embeddings, embedding_dim) is uint8, with weight_scale
    (num_embeddings,)."""

    weight_scale: Tensor

    def forward(self, input: Tensor) -> Tensor:
        return quantized_embedding(input, self.weight, self.weight_scale)


class QuantizedGRU(GRU):
    """A GRU whose weights are uint8: weight_ih_l0 with weight_ih_l0_scale, and so on."""

    _layer = staticmethod(quantized_gru_layer)  # type: ignore[assignment]

    @property
    def _dtype(self) -> np.dtype[Any]:
        return _scale_of(self, "weight_ih_l0").dtype


class QuantizedLSTM(LSTM):
    """An LSTM whose weights are uint8: weight_ih_l0 with weight_ih_l0_scale, and so on."""

    _layer = staticmethod(quantized_lstm_layer)  # type: ignore[assignment]

    @property
    def _dtype(self) -> np.dtype[Any]:
        return _scale_of(self, "weight_ih_l0").dtype


class QuantizedMultiheadAttention(MultiheadAttention):
    """A MultiheadAttention whose projections are uint8: in_proj_weight with in_proj_weight_scale
    (or q_proj_weight, k_proj_weight and v_proj_weight with theirs), and out_proj.
    """

    def _maps(self, x: Tensor, first: int, end: int) -> Tensor:
        width, b = self.num_heads * self.head_dim, self.in_proj_bias
        rows = slice(first * width, end * width)
        bias = None if b is None else b[rows]
        if self.in_proj_weight is None:
            name = ("q_proj_weight", "k_proj_weight", "v_proj_weight")[first]
            return quantized_linear(x, getattr(self, name), _scale_of(self, name), bias)
        scale = _scale_of(self, "in_proj_weight")[rows]
        return quantized_linear(x, self.in_proj_weight[rows], scale, bias)

    @property
    def _dtype(self) -> np.dtype[Any]:
        return _scale_of(self.out_proj, "weight").dtype


# What a module becomes.
QUANTIZED: dict[type[Module], type[Module]] = {
    Linear: QuantizedLinear,
    Embedding: QuantizedEmbedding,
    GRU: QuantizedGRU,
    LSTM: QuantizedLSTM,
    MultiheadAttention: QuantizedMultiheadAttention,
}


def quantize_dynamic(
    model: Module,
    qconfig_spec: Iterable[type[Module] | str] | None = None,
    dtype: Any = qint8,
    mapping: None = None,
    inplace: bool = False,
) -> Module:
    """The model with the weights of its Linear, Embedding, GRU, LSTM and MultiheadAttention modules
    as integers of 8 bits, for use and no longer for training.

    qconfig_spec: the types of modules to quantise, or the names that `named_modules` gives them;
    all unless given. dtype: qint8, the only way there is. mapping: None. inplace: change `model`
    itself instead of a copy.

    A state_dict of the result has a uint8 tensor and a scale for each weight, and `save` writes it.
    To load it, build the model, call quantize_dynamic and then load_state_dict. Raises ValueError
    for a weight that is not finite, and for an LSTM with proj_size.

    >>> model = nn.Sequential(nn.Embedding(100, 64), nn.Linear(64, 10))
    >>> small = ta.quantization.quantize_dynamic(model)
    >>> small
    Sequential(
      (0): QuantizedEmbedding(100, 64)
      (1): QuantizedLinear(in_features=64, out_features=10, bias=True)
    )
    >>> {name: x.dtype.name for name, x in sorted(small[1].state_dict().items())}
    {'bias': 'float32', 'weight': 'uint8', 'weight_scale': 'float32'}
    """
    if not isinstance(model, Module):
        raise TypeError(f"model: expected a Module, got {type(model).__name__}")
    if dtype != qint8:
        raise ValueError(f"dtype: expected tinyattn.qint8, got {dtype}")
    if mapping is not None:
        raise ValueError("mapping: expected None: which modules are quantised can't be changed")
    wanted = _wanted(model, qconfig_spec)
    if not inplace:
        model = deepcopy(model)
    return _converted(model, "", wanted, {}, {})


def _wanted(model: Module, spec: Any) -> Callable[[str, Module], bool]:
    """Whether to quantise the module of this name."""
    if spec is None:
        return lambda name, module: type(module) in QUANTIZED
    if isinstance(spec, (str, type)) or not isinstance(spec, Iterable):
        raise TypeError(
            f"qconfig_spec: expected a set of module types and names, got {type(spec).__name__}"
        )
    spec, known = set(spec), dict(model.named_modules())
    for one in spec:
        kind = type(known.get(one)) if isinstance(one, str) else one
        if kind not in QUANTIZED:
            names = ", ".join(other.__name__ for other in QUANTIZED)
            raise ValueError(
                f"qconfig_spec: expected types among {names}, or names of such modules, got {one!r}"
            )
    return lambda name, module: type(module) in QUANTIZED and (name in spec or type(module) in spec)


def _converted(
    module: Module,
    name: str,
    wanted: Callable[[str, Module], bool],
    done: dict[int, Module],
    weights: dict[int, tuple[Tensor, Tensor]],
) -> Module:
    """The module, or what it becomes. `done` and `weights` keep shared ones shared."""
    if id(module) in done:
        return done[id(module)]
    if wanted(name, module):
        new = done[id(module)] = _quantized(module, name, weights)
        return new
    done[id(module)] = module
    if not isinstance(module, MultiheadAttention):  # its out_proj is quantised with it, or not
        for child, below in list(module.named_children()):
            path = f"{name}.{child}" if name else child
            new = _converted(below, path, wanted, done, weights)
            if new is not below:
                for own, value in module._members("module").items():
                    if value is below:
                        module._register(own, new, "module")
    return module


def _quantized(module: Module, name: str, weights: dict[int, tuple[Tensor, Tensor]]) -> Module:
    """A copy of the module with quantised weights; what else it has is shared."""
    if is_pruned(module):
        raise ValueError(f"{name}: the module is pruned: call nn.utils.prune.remove first")
    new: Any = copy(module)
    new.__class__ = QUANTIZED[type(module)]
    if getattr(module, "proj_size", 0):
        raise ValueError(
            f"{name}: an LSTM with proj_size can't be quantised; leave it out by qconfig_spec"
        )
    for kind, param in module._members("parameter").items():
        if "weight" in kind and param is not None:
            if id(param) not in weights:
                weights[id(param)] = _rows(param, f"{name}.{kind}" if name else kind)
            q, scale = weights[id(param)]
            new.register_buffer(kind, q)
            new.register_buffer(f"{kind}_scale", scale)
    if isinstance(new, (GRU, LSTM)):
        new._names = [(ih, hh, f"{ih}_scale", f"{hh}_scale", *rest) for ih, hh, *rest in new._names]
    if isinstance(new, MultiheadAttention):
        path = f"{name}.out_proj" if name else "out_proj"
        new.add_module("out_proj", _quantized(module.out_proj, path, weights))
    return new.requires_grad_(False)


def _rows(param: Tensor, name: str) -> tuple[Tensor, Tensor]:
    try:
        q, scale = quantized_rows(param._array)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    return results.wrap(q), results.wrap(scale)


def _scale_of(module: Module, name: str) -> Tensor:
    scale: Tensor = getattr(module, f"{name}_scale")
    return scale
