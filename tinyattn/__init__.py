"""tinyattn: an automatic-differentiation engine for attention, with PyTorch's names.

Read autograd/function.py and autograd/engine.py for the engine, ops/ for every operation and its
gradient, kernels/reference/ for what the fast kernels compute.
"""

from tinyattn import autograd, nn, optim
from tinyattn._checkpoint import load_checkpoint, save_checkpoint
from tinyattn._doctor import doctor
from tinyattn._gradcheck import GradcheckError, gradcheck, gradcheck_module
from tinyattn._serialization import load, save
from tinyattn._tensor import Tensor
from tinyattn.autograd import enable_grad, is_grad_enabled, no_grad, set_grad_enabled
from tinyattn.autograd.dtypes import bool_ as bool
from tinyattn.autograd.dtypes import float32, float64, int32, int64
from tinyattn.kernels import (
    available_backends,
    backend,
    get_num_threads,
    set_num_threads,
    use_backend,
)
from tinyattn.ops.activations import relu
from tinyattn.ops.comparisons import (
    eq,
    ge,
    gt,
    isfinite,
    isinf,
    isnan,
    le,
    logical_and,
    logical_not,
    logical_or,
    lt,
    ne,
)
from tinyattn.ops.convolution import conv1d
from tinyattn.ops.creation import (
    arange,
    as_tensor,
    empty,
    empty_like,
    eye,
    from_numpy,
    full,
    full_like,
    linspace,
    ones,
    ones_like,
    tensor,
    zeros,
    zeros_like,
)
from tinyattn.ops.elementwise import (
    abs,
    add,
    clamp,
    clone,
    cos,
    div,
    erf,
    exp,
    expm1,
    log,
    log1p,
    maximum,
    minimum,
    mul,
    neg,
    pow,
    reciprocal,
    rsqrt,
    sigmoid,
    sign,
    sin,
    sqrt,
    square,
    sub,
    tanh,
    where,
)
from tinyattn.ops.indexing import gather, index_select, masked_fill
from tinyattn.ops.normalising import (
    cosine_similarity,
    layer_norm,
    log_softmax,
    pairwise_distance,
    rms_norm,
    softmax,
)
from tinyattn.ops.products import addmm, baddbmm, bmm, dot, einsum, matmul, mm, mv, outer
from tinyattn.ops.random import (
    dropout,
    get_rng_state,
    manual_seed,
    rand,
    rand_like,
    randint,
    randn,
    randn_like,
    randperm,
    set_rng_state,
)
from tinyattn.ops.reductions import (
    all,
    amax,
    amin,
    any,
    argmax,
    argmin,
    cumsum,
    logsumexp,
    max,
    mean,
    min,
    norm,
    prod,
    sort,
    std,
    sum,
    topk,
    var,
)
from tinyattn.ops.scores import attention
from tinyattn.ops.shape import (
    broadcast_to,
    cat,
    chunk,
    flatten,
    flip,
    narrow,
    permute,
    repeat,
    reshape,
    roll,
    select,
    split,
    squeeze,
    stack,
    t,
    tensor_split,
    transpose,
    tril,
    triu,
    unbind,
    unflatten,
    unsqueeze,
)

__version__ = "0.1.0"

float = float32
double = float64
int = int32
long = int64

__all__ = [name for name in globals() if not name.startswith("_")]
