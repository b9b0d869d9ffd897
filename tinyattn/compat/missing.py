"""Names of PyTorch that tinyattn doesn't have, each with what to use instead: look at TORCH.

`refuse(place, table)` makes the `__getattr__` of a module, `Hints` is a base of class Tensor. Both
raise an AttributeError that gives the hint. `Absent` gives it for an import of such a name.
"""

import importlib
import sys
from collections.abc import Callable, Collection, Mapping
from typing import Any, NoReturn

_CPU = "tinyattn computes on the CPU only"
_FIRST = "tinyattn has first-order gradients only"
_PICTURES = "tinyattn is for sequences, not for pictures; for text: Conv1d, MaxPool1d on (B, D, T)"
_HALF = "there are float32 and float64 only"
_BATCH = "there is BatchNorm1d; or use LayerNorm, or RMSNorm"

TORCH: dict[str, str] = {
    # Out of scope
    "mps": _CPU,
    "xpu": _CPU,
    "compile": "there is nothing to compile; use the model as it is",
    "jit": "there is nothing to compile; use the model as it is",
    "fx": "there is no tracing of programs",
    "sparse": "there are no sparse tensors",
    "sparse_coo_tensor": "there are no sparse tensors",
    "complex64": "there are no complex numbers",
    "complex128": "there are no complex numbers",
    "fft": "there are no complex numbers; use numpy.fft on arrays without gradients",
    "hub": "models are not downloaded; load a state_dict with load_state_dict",
    "ao": "use tinyattn.quantization",
    "profiler": "use cProfile",
    "nested": "pad the sequences, or pack them with nn.utils.rnn.pack_sequence",
    "jagged": "pad the sequences, or pack them with nn.utils.rnn.pack_sequence",
    "onnx": "models are not exported; save(model.state_dict(), path)",
    "vmap": "there is no vmap; write the batch dimension out",
    "func": _FIRST,
    "functional": "use tinyattn.nn.functional",
    "special": "use the function of that name in tinyattn itself, if it is there",
    "linalg": "there is norm, matmul and einsum; use numpy.linalg on arrays without gradients",
    "conv2d": _PICTURES,
    "set_default_tensor_type": "the default is float32; use model.double() and dtype=float64",
    # Other dtypes
    "int8": "the integers are int64, int32 and uint8",
    "int16": "the integers are int64, int32 and uint8",
    "short": "the integers are int64, int32 and uint8",
    "HalfTensor": _HALF,
    "ShortTensor": "the integers are int64, int32 and uint8",
    # Use another name
    "aminmax": "use x.amin(dim), x.amax(dim)",
    "quantile": "use x.sort(dim)[0] and take an element",
    "mode": "use unique(x, return_counts=True)",
    "histc": "use numpy.histogram(x.numpy())",
    "histogram": "use numpy.histogram(x.numpy())",
    "cdist": "use (x.unsqueeze(-2) - y.unsqueeze(-3)).norm(dim=-1)",
    "dist": "use (x - y).norm()",
    "tensordot": "use einsum",
    "inner": "use einsum or x @ y.mT",
    "kron": "use einsum",
    "cross": "use einsum",
    "bucketize": "use numpy.searchsorted on arrays",
    "searchsorted": "use numpy.searchsorted on arrays",
    "unique_consecutive": "use unique, or itertools.groupby on x.tolist()",
    "scatter_reduce": "use scatter_add; for a mean, divide by the scatter_add of ones",
    "masked_scatter": "use x[mask] = values",
    "take": "use x.reshape(-1)[index]",
    "empty_strided": "use empty",
    "as_strided": "use view, permute, narrow or unfold by indexing",
    "logspace": "use base ** linspace(start, end, steps)",
    "logaddexp": "use stack([x, y]).logsumexp(0)",
    "cummax": "use a loop over maximum",
    "cummin": "use a loop over minimum",
    **dict.fromkeys(
        ("acos", "asin", "atan", "atan2", "acosh", "asinh", "atanh"),
        "there are sin, cos, sinh, cosh and tanh",
    ),
    "tan": "use sin(x) / cos(x)",
    "sinc": "use sin(pi * x) / (pi * x)",
    "exp2": "use 2 ** x",
    "erfc": "use 1 - erf(x)",
    "logit": "use log(x / (1 - x))",
    "xlogy": "use x * y.log()",
    "hypot": "use sqrt(x ** 2 + y ** 2)",
    "float_power": "use x.double() ** y",
    "ldexp": "use x * 2 ** y",
    "fmax": "use maximum",
    "fmin": "use minimum",
    "logical_xor": "use x != y",
    "signbit": "use x < 0",
    "isposinf": "use x == inf",
    "isneginf": "use x == -inf",
    "nansum": "use x.nan_to_num().sum()",
    "nanmean": "use x.nan_to_num().sum() / (~x.isnan()).sum()",
    "kthvalue": "use x.sort(dim)[0] and take an element",
    "logcumsumexp": "use x.exp().cumsum(dim).log()",
    "fix": "use trunc",
    "fliplr": "use flip(x, (1,))",
    "flipud": "use flip(x, (0,))",
    "rot90": "use transpose and flip",
    "swapdims": "use swapaxes",
    "diag_embed": "use x.unsqueeze(-1) * eye(x.shape[-1])",
    "diagflat": "use diag(x.flatten())",
    "block_diag": "use zeros and x[i:j, k:l] = block",
    "cartesian_prod": "use meshgrid, flatten and stack",
    "combinations": "use itertools.combinations on x.tolist()",
    "split_with_sizes": "use split",
    "broadcast_shapes": "use numpy.broadcast_shapes",
    "atleast_1d": "use reshape",
    "atleast_2d": "use reshape",
    "atleast_3d": "use reshape",
    "ger": "use outer",
    "vdot": "use dot",
    **dict.fromkeys(
        ("inverse", "pinverse", "det", "logdet", "svd", "qr", "cholesky", "matrix_power"),
        "use numpy.linalg on arrays without gradients",
    ),
    "polar": "there are no complex numbers; rotate with cos and sin, as nn.RotaryPositions does",
    "addbmm": "use input + bmm(batch1, batch2).sum(0)",
    "addmv": "use input + mv(mat, vec)",
    "lstm": "use nn.LSTM",
    "gru": "use nn.GRU",
    "lstm_cell": "use nn.LSTMCell",
    "gru_cell": "use nn.GRUCell",
    "rnn_tanh": "use nn.RNN",
    "rnn_relu": "use nn.RNN",
    "rnn_tanh_cell": "use nn.RNNCell",
    "rnn_relu_cell": "use nn.RNNCell",
    **dict.fromkeys(
        (
            "adaptive_avg_pool1d",
            "adaptive_max_pool1d",
            "avg_pool1d",
            "max_pool1d",
            "batch_norm",
            "binary_cross_entropy_with_logits",
            "cosine_embedding_loss",
            "embedding",
            "kl_div",
        ),
        "use the function of that name in nn.functional",
    ),
    "asarray": "use as_tensor",
    "scalar_tensor": "use tensor",
    "frombuffer": "use from_numpy(numpy.frombuffer(...))",
    "row_stack": "use vstack, or cat",
    "column_stack": "use stack(..., dim=1)",
    "dstack": "use stack(..., dim=2)",
    "get_default_device": "use device('cpu')",
    "promote_types": "use (x + y).dtype",
    "result_type": "use (x + y).dtype",
    "seed": "use manual_seed",
}

# Of tensors, besides the names in TORCH.
TENSOR: dict[str, str] = {
    "cuda": _CPU,
    "half": _HALF,
    "bfloat16": _HALF,
    "char": "the integers are int64, int32 and uint8",
    "stride": "use shape; is_contiguous() tells whether the elements lie in order",
    "storage": "use numpy(), which shares the memory",
    "untyped_storage": "use numpy(), which shares the memory",
    "nbytes": "use numpy().nbytes",
    "itemsize": "use element_size()",
    "to_sparse": "there are no sparse tensors",
    "to_dense": "every tensor is dense",
    "share_memory_": "tensors are copied between processes",
    "resize_": "use reshape, or new_empty",
    "masked_scatter_": "use x[mask] = values",
    "put_": "use x[index] = values",
    "apply_": "use x.copy_(tensor(...)), or operations on whole tensors",
    "map_": "use x.copy_(tensor(...)), or operations on whole tensors",
    "sum_to_size": "use sum(dim, keepdim=True)",
}

NN: dict[str, str] = {
    **dict.fromkeys(
        (
            "Conv2d",
            "Conv3d",
            "ConvTranspose2d",
            "MaxPool2d",
            "AvgPool2d",
            "AdaptiveAvgPool2d",
            "AdaptiveMaxPool2d",
            "BatchNorm2d",
            "Dropout2d",
            "Upsample",
            "PixelShuffle",
            "Unfold",
            "Fold",
            "ReflectionPad2d",
            "InstanceNorm2d",
            "LazyConv2d",
            "LazyBatchNorm2d",
            "conv2d",
            "max_pool2d",
            "avg_pool2d",
            "adaptive_avg_pool2d",
            "interpolate",
            "unfold",
            "dropout2d",
        ),
        _PICTURES,
    ),
    **dict.fromkeys(
        ("ZeroPad1d", "ZeroPad2d", "ConstantPad1d", "ConstantPad2d"),
        "use nn.functional.pad(x, padding)",
    ),
    "LazyBatchNorm1d": _BATCH,
    **dict.fromkeys(
        ("GroupNorm", "InstanceNorm1d", "group_norm", "instance_norm", "local_response_norm"),
        "use LayerNorm, or RMSNorm",
    ),
    "Buffer": "use register_buffer(name, tensor)",
    "ConvTranspose1d": "there is Conv1d only",
    "SyncBatchNorm": _BATCH,
    "Bilinear": "use einsum with a Parameter",
    "PReLU": "use LeakyReLU, or where(x > 0, x, weight * x) with a Parameter",
    "SELU": "use ELU",
    "ReLU6": "use x.clamp(0, 6)",
    "Hardtanh": "use x.clamp(-1, 1)",
    "Hardsigmoid": "use (x / 6 + 0.5).clamp(0, 1)",
    "Hardswish": "use x * (x / 6 + 0.5).clamp(0, 1)",
    "Mish": "use x * softplus(x).tanh()",
    "Softmin": "use softmax(-x, dim)",
    "Softshrink": "use x - x.clamp(-lambd, lambd)",
    "Hardshrink": "use where(x.abs() > lambd, x, 0)",
    "Tanhshrink": "use x - x.tanh()",
    "Threshold": "use where(x > threshold, x, value)",
    "CELU": "use ELU",
    "AlphaDropout": "use Dropout",
    "Dropout1d": "use dropout of ones of shape (B, D, 1), times x",
    "CTCLoss": "there is no CTC loss",
    "TripletMarginLoss": "use pairwise_distance and relu",
    "MarginRankingLoss": "use relu",
    "HingeEmbeddingLoss": "use where and relu",
    "MultiMarginLoss": "use CrossEntropyLoss",
    "GaussianNLLLoss": "use 0.5 * (var.log() + (input - target) ** 2 / var)",
    "PoissonNLLLoss": "use input.exp() - target * input",
    "MultiLabelSoftMarginLoss": "use BCEWithLogitsLoss",
    "AdaptiveLogSoftmaxWithLoss": "use Linear and CrossEntropyLoss",
    "hardtanh": "use x.clamp(-1, 1)",
    "relu6": "use x.clamp(0, 6)",
    "hardsigmoid": "use (x / 6 + 0.5).clamp(0, 1)",
    "hardswish": "use x * (x / 6 + 0.5).clamp(0, 1)",
    "softshrink": "use x - x.clamp(-lambd, lambd)",
    "hardshrink": "use where(x.abs() > lambd, x, 0)",
    "tanhshrink": "use x - x.tanh()",
    "threshold": "use where(x > threshold, x, value)",
    "prelu": "use leaky_relu, or where(x > 0, x, weight * x)",
    "celu": "use elu",
    "selu": "use elu",
    "mish": "use x * softplus(x).tanh()",
    "softmin": "use softmax(-x, dim)",
    "ctc_loss": "there is no CTC loss",
    "triplet_margin_loss": "use pairwise_distance and relu",
    "margin_ranking_loss": "use relu",
    "hinge_embedding_loss": "use where and relu",
    "gaussian_nll_loss": "use 0.5 * (var.log() + (input - target) ** 2 / var)",
    "poisson_nll_loss": "use input.exp() - target * input",
    "multi_head_attention_forward": "use nn.MultiheadAttention",
}

OPTIM: dict[str, str] = {
    "Adadelta": "use Adam or RMSprop",
    "Adamax": "use Adam",
    "NAdam": "use Adam",
    "RAdam": "use Adam with LinearLR as a warmup",
    "SparseAdam": "use Adam: gradients are dense",
    "ASGD": "use SGD, and average the parameters yourself",
    "Rprop": "use RMSprop",
    "swa_utils": "average the parameters yourself under no_grad()",
    "CyclicLR": "use OneCycleLR or LambdaLR",
    "PolynomialLR": "use LambdaLR",
    "MultiplicativeLR": "use LambdaLR",
}


UTILS: dict[str, str] = {
    "benchmark": "use timeit",
    "cpp_extension": "write the operation as a subclass of autograd.Function",
    "model_zoo": "models are not downloaded; load a state_dict with load_state_dict",
    "tensorboard": "keep the losses in a list; draw them with matplotlib",
}

DATA: dict[str, str] = {
    "DistributedSampler": "use tinyattn.parallel.DistributedSampler",
    "datapipes": "use an IterableDataset",
    "StackDataset": "use a TensorDataset, or a Dataset of your own",
    "ChainDataset": "use itertools.chain in an IterableDataset of your own",
}

DISTRIBUTIONS: dict[str, str] = {
    "Normal": "use mean + std * randn_like(mean)",
    "Bernoulli": "use bernoulli(probs), and binary_cross_entropy for the logarithm",
    "Multinomial": "use multinomial, or Categorical",
    "OneHotCategorical": "use Categorical and nn.functional.one_hot",
    "Uniform": "use low + (high - low) * rand(size)",
    "Gumbel": "use -zeros(size).exponential_().log()",
    "kl_divergence": "use nn.functional.kl_div",
}

AUTOGRAD: dict[str, str] = {"functional": _FIRST, "profiler": "use cProfile"}

DEVICE: dict[str, str] = {"*": _CPU}  # every name
DISTRIBUTED: dict[str, str] = {"*": "use tinyattn.parallel, under mpiexec"}

_TABLES: dict[str, Mapping[str, str]] = {"tinyattn.autograd": AUTOGRAD}


def _hint(place: str, name: str) -> str:
    """ ": " and the hint for that name of that module, or nothing."""
    table = _TABLES.get(place, {})
    hint = table.get(name) or table.get("*")
    return f": {hint}" if hint else ""


class Absent:
    """The last place where Python looks for a module: there a missing name of PyTorch's gets its
    hint. `from tinyattn.nn import GroupNorm` comes here, too: nn might have a file of that name."""

    @staticmethod
    def find_spec(fullname: str, path: Any = None, target: Any = None) -> None:
        """ModuleNotFoundError with the hint, if there is one."""
        place, _, name = fullname.rpartition(".")
        hint = _hint(place, name)
        if hint:
            raise ModuleNotFoundError(f"cannot import {name!r} from {place!r}{hint}")


sys.meta_path.append(Absent)


def refuse(
    place: str, table: Mapping[str, str], later: Collection[str] = ()
) -> Callable[[str], Any]:
    """The `__getattr__` of the module `place`: an AttributeError, with the table's hint. The
    packages in `later` are imported."""
    _TABLES[place] = table
    # Python looks for a name in other files only where a module has a path.
    vars(sys.modules[place]).setdefault("__path__", [])

    def __getattr__(name: str) -> Any:
        if name in later:
            return importlib.import_module(f"{place}.{name}")
        raise AttributeError(
            f"module {place!r} has no attribute {name!r}{_hint(place, name)}", name=name
        )

    return __getattr__


class Refused:
    """An attribute of tensors that is missing: to read it is an AttributeError with a hint."""

    def __init__(self, name: str, hint: str) -> None:
        self.name, self.hint = name, hint

    def __get__(self, tensor: object, cls: type) -> NoReturn:
        what = f"type object {cls.__name__!r}" if tensor is None else f"{cls.__name__!r} object"
        raise AttributeError(f"{what} has no attribute {self.name!r}: {self.hint}", name=self.name)


class Hints:
    """A base of class Tensor that has the missing names: those of TENSOR and TORCH, and operations
    in place. With a method `__getattr__` to refuse them, every other attribute of a tensor would
    take five times as long."""

    def __init_subclass__(cls) -> None:
        for name, value in vars(cls).items() if Hints in cls.__bases__ else ():
            public = callable(value) and not name.startswith("_") and not name.endswith("_")
            if public and not hasattr(cls, f"{name}_"):
                _refuse(f"{name}_", f"use x = x.{name}(), or x.copy_(x.{name}())")

    def __dir__(self) -> list[str]:
        return [name for name in super().__dir__() if name not in _refused or hasattr(self, name)]


_refused: set[str] = set()


def _refuse(name: str, hint: str) -> None:
    if name not in _refused:
        _refused.add(name)
        setattr(Hints, name, Refused(name, hint))


for _table in (TENSOR, TORCH):
    for _name, _what in _table.items():
        _refuse(_name, _what)
for _name, _what in TORCH.items():
    _refuse(f"{_name}_", _what)
