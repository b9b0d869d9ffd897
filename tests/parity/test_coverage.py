"""No public name that torch has too goes without a comparison."""

import inspect
import types

import pytest

pytest.importorskip("torch", reason="parity with torch: torch is not installed")

import torch

import tinyattn as ta

from . import modules, optimisers
from .test_containers import TABLE as CONTAINERS
from .test_operations import TABLE as OPERATIONS

PROMISED = {
    "elementwise": """add sub mul div pow neg exp log sqrt rsqrt abs tanh sigmoid sin cos maximum
        minimum clamp where erf log1p expm1 reciprocal square sign eq ne lt le gt ge logical_and
        logical_not isnan isinf isfinite""",
    "reductions": """sum mean amax amin max min var std prod cumsum argmax argmin all any logsumexp
        sort topk""",
    "shapes": """view reshape transpose permute t unsqueeze squeeze expand flatten unflatten cat
        stack split tensor_split chunk unbind narrow select index_select gather masked_fill flip
        tril triu repeat roll""",
    "products": "matmul mm bmm mv addmm baddbmm einsum outer dot",
    "nn.functional": """linear embedding softmax log_softmax cross_entropy nll_loss mse_loss l1_loss
        smooth_l1_loss huber_loss binary_cross_entropy_with_logits kl_div layer_norm rms_norm relu
        gelu silu softplus leaky_relu elu softsign logsigmoid glu normalize cosine_similarity
        pairwise_distance one_hot pad conv1d dropout scaled_dot_product_attention""",
    "nn": """MultiheadAttention TransformerEncoderLayer TransformerDecoderLayer TransformerEncoder
        TransformerDecoder Transformer RMSNorm RNN LSTM RNNCell LSTMCell Conv1d GELU SiLU Softplus
        LeakyReLU ELU GLU MSELoss L1Loss SmoothL1Loss HuberLoss BCEWithLogitsLoss KLDivLoss""",
    "optim": "Adagrad RMSprop Adam AdamW SGD",
    "optim.lr_scheduler": """StepLR MultiStepLR ExponentialLR LinearLR LambdaLR CosineAnnealingLR
        ReduceLROnPlateau OneCycleLR""",
}
# What only names a thing that other entries are made of.
SHARED = {
    "Optimizer",
    "LRScheduler",
    "RNNBase",
    "LBFGS",  # its steps need a closure: tests/optim/test_lbfgs.py compares them
    "e",
    "inf",
    "nan",
    "pi",
    "bool",
    "float",
    "double",
    "dtype",
    "int",
    "long",
    "qint8",  # an argument of quantize_dynamic, which tests/test_quantization.py compares
}


def at(lib, path):
    for part in filter(None, path.split(".")):
        lib = getattr(lib, part)
    return lib


@pytest.mark.parametrize("family", PROMISED)
def test_what_is_promised_is_here_wherever_torch_has_it(family):
    places = [family] if family.startswith(("nn", "optim")) else ["", "Tensor"]
    missing = [
        f"{place}.{name}"
        for place in places
        for name in PROMISED[family].split()
        if hasattr(at(torch, place), name) and not hasattr(at(ta, place), name)
    ]
    assert not missing


@pytest.mark.parametrize(
    ("place", "tables"),
    [
        ("", [OPERATIONS]),
        ("Tensor", [OPERATIONS]),
        ("nn.functional", [OPERATIONS]),
        ("nn", [modules.TABLE, CONTAINERS]),
        ("nn.init", [CONTAINERS, OPERATIONS]),
        ("nn.utils", [CONTAINERS, OPERATIONS]),
        ("nn.utils.rnn", [CONTAINERS, OPERATIONS]),
        ("optim", [optimisers.OPTIONS]),
        ("optim.lr_scheduler", [optimisers.SCHEDULES]),
    ],
)
def test_every_public_name_that_torch_has_too_is_compared(place, tables):
    ours, theirs = at(ta, place), at(torch, place)
    names = getattr(ours, "__all__", None) or [n for n in dir(ours) if n[0] != "_"]
    home = "tinyattn" if isinstance(ours, type) else ours.__name__.split(".")[0]
    missing = [
        name
        for name in names
        if hasattr(theirs, name)
        and hasattr(ours, name)
        and not isinstance(getattr(ours, name), types.ModuleType)
        and getattr(getattr(ours, name), "__module__", home).startswith(home)
        and name not in SHARED
        and not any(name in table for table in tables)
    ]
    assert not missing


def parameters(function):
    if not (inspect.isroutine(function) or isinstance(function, type)):
        return {}
    try:
        found = inspect.signature(function).parameters.values()
    except ValueError:  # a builtin
        return {}
    return {p.name: p.default for p in found if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}


@pytest.mark.parametrize(
    "place", ["nn.functional", "nn", "nn.init", "nn.utils", "optim", "optim.lr_scheduler"]
)
def test_arguments_have_torchs_names_order_and_defaults(place):
    ours, theirs = at(ta, place), at(torch, place)
    for name in getattr(ours, "__all__", dir(ours)):
        mine, other = (parameters(getattr(side, name, None)) for side in (ours, theirs))
        if not other:
            continue
        assert list(mine) == [p for p in other if p in mine], name
        for parameter, default in mine.items():
            implicit = parameter == "dim" and other[parameter] is None  # one PyTorch warns about
            named = getattr(default, "__name__", default)
            assert implicit or named == getattr(other[parameter], "__name__", other[parameter]), (
                name,
                parameter,
            )
