"""class Tensor: the list of its operators and methods. What each does stands in ops/.

How gradients go through a graph of tensors: autograd/engine.py.
"""

import builtins
import sys
import warnings
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn, overload

import numpy as np
from numpy.typing import DTypeLike

from tinyattn.autograd import copying, frontend, hooks
from tinyattn.autograd.devices import CPU, Device, check_device, device
from tinyattn.autograd.devices import target as to_dtype
from tinyattn.autograd.dtypes import (
    DType,
    Scalar,
    bool_,
    float32,
    float64,
    int32,
    int64,
    is_floating_point,
    uint8,
)
from tinyattn.autograd.function import Function
from tinyattn.autograd.size import Size
from tinyattn.autograd.storage import Leaf, TensorBase, edge_now, requires_grad_, results
from tinyattn.compat import legacy, missing
from tinyattn.kernels._types import Array
from tinyattn.kernels.recording import refuse
from tinyattn.ops import (
    _in_place,
    activations,
    comparisons,
    composed,
    creation,
    elementwise,
    in_place,
    indexing,
    normalising,
    products,
    random,
    rearranging,
    reductions,
    rounding,
    searching,
    statistics,
)
from tinyattn.ops import scatter as scattering
from tinyattn.ops import shape as shapes
from tinyattn.ops._arguments import Operand, as_axis, as_operand, as_tensor
from tinyattn.ops._arguments import Size as SizeLike

_PRINTED: dict[str, Any] = {"precision": 4}  # set_printoptions


def set_printoptions(
    precision: int | None = None,
    threshold: float | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """How tensors are printed: digits behind the point; from how many elements on they are
    shortened, and to how many at each end; characters in a line; sci_mode False: no exponents.

    profile: "default", "short" (2 digits) or "full" (nothing is left out) first.
    """
    profiles: dict[str, dict[str, Any]] = {
        "default": {"precision": 4},
        "short": {"precision": 2, "threshold": 1000, "edgeitems": 2},
        "full": {"precision": 4, "threshold": sys.maxsize},
    }
    if profile is not None:
        if profile not in profiles:
            raise ValueError(f"profile: expected default, short or full, got {profile!r}")
        _PRINTED.clear()
        _PRINTED.update(profiles[profile])
    given = {
        "precision": precision,
        "threshold": threshold if threshold != float("inf") else sys.maxsize,
        "edgeitems": edgeitems,
        "max_line_width": linewidth,
        "suppress_small": None if sci_mode is None else not sci_mode,
    }
    _PRINTED.update({name: value for name, value in given.items() if value is not None})


class Tensor(TensorBase, missing.Hints):
    """An array that operations record, so that gradients can be found. Made by `tensor`, `zeros`,
    `randn`, ...; `Tensor(data)` and `Tensor(*sizes)` are float32.

    >>> x = ta.tensor([1.0, 2.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    tensor([2., 4.])
    """

    __array_ufunc__ = None  # NumPy's operators leave `array + tensor` to the tensor
    __hash__ = object.__hash__

    def __init__(self, *data: Any, device: Device = None) -> None:
        check_device(device)
        super().__init__(legacy.legacy_array(data, float32))
        if data and isinstance(data[0], TensorBase):
            self._storage = data[0]._storage

    # What it is

    @property
    def shape(self) -> Size:
        """The size of every dimension."""
        return Size(self._array.shape)

    @property
    def dtype(self) -> DType:
        """The type of the elements: float32, float64, int64, int32, uint8 or bool."""
        return self._array.dtype

    @property
    def device(self) -> device:
        """Where the elements are: device("cpu")."""
        return CPU

    @property
    def is_cuda(self) -> bool:
        """False: tinyattn computes on the CPU only."""
        return False

    @property
    def is_sparse(self) -> bool:
        """False: all tensors and gradients are dense. Optimisers of programs ask for it."""
        return False

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return self._array.ndim

    @property
    def requires_grad(self) -> bool:
        """Whether operations on this tensor are recorded for gradients."""
        return edge_now(self) is not None

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        requires_grad_(self, value)

    @property
    def is_leaf(self) -> bool:
        """Whether this tensor was made by the user, not by a recorded operation."""
        edge = edge_now(self)
        return edge is None or type(edge[0]) is Leaf

    @property
    def grad_fn(self) -> Function | None:
        """The operation that made this tensor; None if it is a leaf."""
        edge = edge_now(self)
        node = None if edge is None else edge[0]
        return node if isinstance(node, Function) else None

    @property
    def data(self) -> "Tensor":
        """The same memory outside the graph; `x.data = t` gives x the memory of t."""
        return self.detach()

    @data.setter
    def data(self, value: "Tensor") -> None:
        as_tensor(value, "data")
        if self.requires_grad and not value.is_floating_point():
            raise RuntimeError(
                "data: expected float32 or float64 for a tensor that requires grad, got "
                f"{value.dtype}"
            )
        self._array, self._storage = value._array, value._storage
        self._since, self._base = value._storage.version, None
        if self._edge is not None:
            node, index, _, _ = self._edge
            self._edge = (node, index, value._array.shape, value._array.dtype)

    @property
    def T(self) -> "Tensor":
        """The tensor with its dimensions in reverse order: a view."""
        return shapes.reverse_dims(self)

    @property
    def mT(self) -> "Tensor":
        """The tensor with its last two dimensions exchanged: a view."""
        return shapes.matrix_transpose(self)

    @overload
    def size(self, dim: None = None) -> Size: ...

    @overload
    def size(self, dim: int) -> int: ...

    def size(self, dim: int | None = None) -> Size | int:
        """The shape, or the size of one dimension; IndexError if there is no such dimension."""
        return self.shape if dim is None else self._array.shape[as_axis(dim, self.ndim)]

    def dim(self) -> int:
        """The number of dimensions."""
        return self._array.ndim

    ndimension = dim

    def numel(self) -> int:
        """The number of elements."""
        return self._array.size

    nelement = numel

    def data_ptr(self) -> int:
        """The address of the first element; two tensors that have the same one share memory."""
        return self._array.ctypes.data

    def element_size(self) -> int:
        """The number of bytes of an element."""
        return self._array.itemsize

    def is_floating_point(self) -> bool:
        """Whether the dtype is float32 or float64."""
        return is_floating_point(self._array.dtype)

    def is_contiguous(self) -> bool:
        """Whether the elements lie in memory in their order, without gaps."""
        return self._array.flags.c_contiguous

    def __len__(self) -> int:
        if not self.ndim:
            raise TypeError("len() of a 0-d tensor")
        return self.shape[0]

    def __iter__(self) -> Iterator["Tensor"]:
        if not self.ndim:
            raise TypeError("iteration over a 0-d tensor")
        return iter(self.unbind(0))

    def __contains__(self, element: object) -> bool:
        """Whether some element of the tensor equals `element`, a number or a tensor."""
        if not isinstance(element, (Tensor, *_NUMBERS)):
            raise RuntimeError(f"in: expected a Tensor or a number, got {type(element).__name__}")
        return bool(comparisons.eq(self, element)._read("in").any())

    def __repr__(self) -> str:
        text = np.array2string(self._read("repr"), separator=", ", prefix="tensor(", **_PRINTED)
        if not self._array.size and self.ndim > 1:
            text += f", size={tuple(self.shape)}"
        if self.dtype not in (float32, *([int64, bool_] if self._array.size else [])):
            text += f", dtype={self.dtype}"
        if self.grad_fn is not None:
            return f"tensor({text}, grad_fn={self.grad_fn})"
        return f"tensor({text}, requires_grad=True)" if self.requires_grad else f"tensor({text})"

    def __format__(self, spec: str) -> str:
        """A tensor of one element as its number, `f"{loss:.4f}"`; others as `repr`."""
        if not self.ndim or (spec and self._array.size == 1):
            return format(self.item(), spec)
        return object.__format__(self, spec)

    # Out of it

    def _read(self, name: str) -> Array:
        """The array, for what gives its numbers to Python: a recording can't hold that."""
        refuse(f"{name}: a step that is recorded can't read the numbers of its tensors")
        return self._array

    def item(self) -> Scalar:
        """The number in a tensor of one element; RuntimeError for any other tensor.

        >>> ta.tensor([2.5]).item()
        2.5
        """
        if self._array.size != 1:
            raise RuntimeError(
                f"item: expected a tensor of one element, got shape {list(self.shape)}"
            )
        return self._read("item").item()

    def _number(self, kind: str) -> Scalar:
        if self._array.size != 1:
            raise ValueError(
                f"{kind}(): only one element tensors can be converted to Python scalars, got "
                f"shape {list(self.shape)}"
            )
        return self._read(kind).item()

    def __float__(self) -> float:
        return float(self._number("float"))

    def __int__(self) -> int:
        return int(self._number("int"))

    def __index__(self) -> int:
        if self.dtype.kind == "f" or self._array.size != 1:
            raise TypeError(
                "index: expected an integer tensor of one element, got "
                f"{self.dtype} of shape {list(self.shape)}"
            )
        return int(self._read("index").item())

    def __bool__(self) -> bool:
        if self._array.size != 1:
            count = "more than one value" if self._array.size else "no values"
            raise RuntimeError(
                f"Boolean value of Tensor with {count} is ambiguous: got shape {list(self.shape)}"
            )
        return bool(self._read("bool").item())

    def tolist(self) -> Any:
        """The elements as nested lists of Python numbers; a number if there are no dimensions.

        >>> ta.tensor([[1, 2], [3, 4]]).tolist()
        [[1, 2], [3, 4]]
        """
        return self._read("tolist").tolist()

    def numpy(self) -> Array:
        """The array of this tensor; the memory is shared. RuntimeError if it needs a gradient."""
        if self.requires_grad:
            raise RuntimeError(
                "numpy: can't be called on a tensor that requires grad; use detach().numpy()"
            )
        self._storage.exposed = True
        return self._read("numpy")

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> Array:
        return np.array(self.detach().numpy(), dtype, copy=copy)

    def detach(self) -> "Tensor":
        """The same memory, outside the graph."""
        out = results.wrap(self._array)
        out._storage, out._since = self._storage, self._storage.version
        return out

    def detach_(self) -> "Tensor":
        """Take this tensor out of the graph, in place: it becomes a leaf without a gradient.
        RuntimeError for a view, which has its place in the graph from its base."""
        if self._base is not None:
            raise RuntimeError("detach_: a view can't be detached in place; use detach()")
        self._edge = None
        return self

    # Copies

    _renew = _in_place.renew
    __copy__ = copying.copy
    __deepcopy__ = copying.deepcopy
    __reduce_ex__ = copying.reduce

    # Its gradient

    @property
    def grad(self) -> "Tensor | None":
        """The gradient that backward passes have added up here; None before the first. It may be
        set to a tensor of this shape and dtype, or to None. None, with a warning, for a result of
        an operation, unless `retain_grad` was called."""
        if self._grad is None and self._edge is not None:
            node = self._edge[0]
            if type(node) is not Leaf and self._retained is not node:
                warnings.warn(
                    "The .grad attribute of a Tensor that is not a leaf Tensor is being accessed. "
                    "A backward pass doesn't set it. Use retain_grad() on the Tensor before the "
                    "pass, or look at the .grad of a leaf.",
                    stacklevel=2,
                )
        return self._grad

    @grad.setter
    def grad(self, value: "Tensor | None") -> None:
        if value is not None:
            array = as_tensor(value, "grad")._array
            if value is self:
                raise RuntimeError("grad: expected another tensor, got the tensor itself")
            if (array.shape, array.dtype) != (self._array.shape, self._array.dtype):
                raise RuntimeError(
                    f"grad: expected the shape {list(self.shape)} and dtype {self.dtype} of the "
                    f"tensor, got {list(array.shape)} and {array.dtype}"
                )
        self._grad = value

    @grad.deleter
    def grad(self) -> None:
        self._grad = None

    def requires_grad_(self, requires_grad: bool = True) -> "Tensor":
        """Set `requires_grad` of a leaf, and return the tensor."""
        return requires_grad_(self, requires_grad)

    def backward(
        self,
        gradient: "Tensor | None" = None,
        retain_graph: bool | None = None,
        create_graph: bool = False,
        inputs: "Sequence[Tensor] | Tensor | None" = None,
    ) -> None:
        """Add d(self)/d(leaf), times `gradient`, to the `.grad` of every leaf that self was made
        from, or of `inputs` only.

        gradient: of the shape of self; not needed if self has one element.
        retain_graph: keep what the operations saved, for another backward through them.
        create_graph: only False; gradients of gradients aren't supported.
        """
        frontend.backward(self, gradient, retain_graph, create_graph, inputs=inputs)

    def register_hook(self, hook: hooks.Hook) -> hooks.Handle:
        """Call hook(gradient) when the gradient of this tensor is known. If hook returns a tensor,
        that replaces the gradient. `remove()` of what is returned ends this."""
        edge = edge_now(self)
        if edge is None:
            raise RuntimeError("register_hook: the tensor doesn't require a gradient")
        return hooks.Handle(edge, hook)

    def register_post_accumulate_grad_hook(self, hook: hooks.AfterHook) -> hooks.AfterHandle:
        """Call hook(tensor) when a backward pass has added all of it to `.grad` of this leaf, while
        the pass goes on with others. `remove()` of what is returned ends this."""
        edge = edge_now(self)
        if edge is None or not isinstance(edge[0], Leaf):
            raise RuntimeError(
                "register_post_accumulate_grad_hook: expected a leaf that requires a gradient, got "
                + ("a tensor that doesn't" if edge is None else "the result of an operation")
            )
        return hooks.AfterHandle(edge[0], hook)

    def retain_grad(self) -> None:
        """Keep `.grad` of this tensor although it is not a leaf."""
        hooks.retain_grad(self)

    # Dtypes

    def to(
        self,
        *target: "DTypeLike | Device | Tensor",
        dtype: DTypeLike | None = None,
        device: Device = None,
        non_blocking: bool = False,
        copy: bool = False,
    ) -> "Tensor":
        """This tensor in another dtype; itself if it has that dtype already and copy is False.

        target: a dtype, the device "cpu", a device and a dtype, or a tensor whose dtype is meant.
        non_blocking has no effect. RuntimeError for another device.

        >>> ta.tensor([1, 2]).to("cpu", ta.float32)
        tensor([1., 2.])
        """
        wanted = to_dtype(target, device, dtype)
        return elementwise.to(self, self.dtype if wanted is None else wanted, copy)

    def cpu(self) -> "Tensor":
        """This tensor itself, which is on the CPU."""
        return self

    def pin_memory(self) -> "Tensor":
        """This tensor itself: there is no GPU that its memory would have to be prepared for."""
        return self

    def type_as(self, other: "Tensor") -> "Tensor":
        """This tensor in the dtype of another."""
        return self.to(other.dtype)

    def where(self, condition: "Tensor", other: Operand) -> "Tensor":
        """This tensor where condition is True, else other."""
        return elementwise.where(condition, self, other)

    def float(self) -> "Tensor":
        """This tensor in float32."""
        return elementwise.in_dtype(self, float32)

    def double(self) -> "Tensor":
        """This tensor in float64."""
        return elementwise.in_dtype(self, float64)

    def long(self) -> "Tensor":
        """This tensor in int64."""
        return elementwise.in_dtype(self, int64)

    def int(self) -> "Tensor":
        """This tensor in int32."""
        return elementwise.in_dtype(self, int32)

    def bool(self) -> "Tensor":
        """This tensor as bool: True where an element is not 0."""
        return self.to(bool_)

    def byte(self) -> "Tensor":
        """This tensor in uint8."""
        return self.to(uint8)

    @overload
    def type(self, dtype: None = None) -> str: ...

    @overload
    def type(self, dtype: Any) -> "Tensor": ...

    def type(self, dtype: Any = None, non_blocking: Any = False) -> "Tensor | str":
        """This tensor in another dtype, which may also be named as "torch.LongTensor" or by the
        class LongTensor; without one, such a name of the dtype it has."""
        if dtype is None:
            return legacy.type_name(self.dtype)
        return self.to(legacy.dtype_of_type(dtype))

    new = legacy.new

    # Operators and methods, each defined in ops/

    def __eq__(self, other: object) -> "Tensor":  # type: ignore[override]
        return self.eq(other) if isinstance(other, _OPERANDS) else NotImplemented

    def __ne__(self, other: object) -> "Tensor":  # type: ignore[override]
        return self.ne(other) if isinstance(other, _OPERANDS) else NotImplemented

    def __rmatmul__(self, other: Array) -> "Tensor":
        return products.matmul(as_operand(other, "input"), self)

    def __rmul__(self, other: Operand) -> "Tensor":
        # Python then repeats the list: `[0] * tensor(2)`
        return NotImplemented if isinstance(other, (list, str)) else elementwise.mul(self, other)

    def __delitem__(self, index: object) -> NoReturn:
        raise TypeError("Tensor does not support deleting items")

    __add__ = __radd__ = add = elementwise.add
    __sub__ = sub = elementwise.sub
    __rsub__ = elementwise.rsub
    __mul__ = mul = elementwise.mul
    __truediv__ = div = elementwise.div
    __rtruediv__ = elementwise.rdiv
    __floordiv__ = elementwise.floor_divide
    __rfloordiv__ = elementwise.rfloor_divide
    __mod__ = elementwise.remainder
    __rmod__ = elementwise.rremainder
    __pow__ = pow = elementwise.pow
    __rpow__ = elementwise.rpow
    __matmul__ = matmul = products.matmul
    __neg__ = neg = elementwise.neg
    __pos__ = elementwise.positive
    __abs__ = abs = elementwise.abs
    eq = comparisons.eq
    ne = comparisons.ne
    __lt__ = lt = comparisons.lt
    __le__ = le = comparisons.le
    __gt__ = gt = comparisons.gt
    __ge__ = ge = comparisons.ge
    __and__ = __rand__ = comparisons.bitwise_and
    __or__ = __ror__ = comparisons.bitwise_or
    __xor__ = __rxor__ = comparisons.bitwise_xor
    __invert__ = comparisons.bitwise_not
    __lshift__ = comparisons.left_shift
    __rlshift__ = comparisons.rleft_shift
    __rshift__ = comparisons.right_shift
    __rrshift__ = comparisons.rright_shift
    logical_and = comparisons.logical_and
    logical_or = comparisons.logical_or
    logical_not = comparisons.logical_not
    bitwise_and = comparisons.bitwise_and
    bitwise_or = comparisons.bitwise_or
    bitwise_xor = comparisons.bitwise_xor
    bitwise_not = comparisons.bitwise_not
    __iadd__ = add_ = in_place.add_
    __isub__ = sub_ = in_place.sub_
    __imul__ = mul_ = in_place.mul_
    __itruediv__ = div_ = in_place.div_
    __ifloordiv__ = floor_divide_ = in_place.floor_divide_
    __imod__ = remainder_ = in_place.remainder_
    __ipow__ = pow_ = in_place.pow_
    fmod_ = in_place.fmod_
    __iand__ = in_place.bitwise_and_
    __ior__ = in_place.bitwise_or_
    __ixor__ = in_place.bitwise_xor_
    __ilshift__ = in_place.left_shift_
    __irshift__ = in_place.right_shift_
    __getitem__ = indexing.getitem
    __setitem__ = indexing.setitem

    abs = elementwise.abs
    sign = elementwise.sign
    square = elementwise.square
    reciprocal = elementwise.reciprocal
    sqrt = elementwise.sqrt
    rsqrt = elementwise.rsqrt
    exp = elementwise.exp
    expm1 = elementwise.expm1
    sinh = elementwise.sinh
    cosh = elementwise.cosh
    log = elementwise.log
    log1p = elementwise.log1p
    log2 = elementwise.log2
    log10 = elementwise.log10
    lerp = composed.lerp
    addcmul = composed.addcmul
    addcdiv = composed.addcdiv
    clamp_min = composed.clamp_min
    clamp_max = composed.clamp_max
    clamp_min_ = composed.clamp_min_
    clamp_max_ = composed.clamp_max_
    nan_to_num = rearranging.nan_to_num
    clip = rearranging.clip
    sin = elementwise.sin
    cos = elementwise.cos
    erf = elementwise.erf
    tanh = elementwise.tanh
    sigmoid = elementwise.sigmoid
    relu = activations.relu
    floor = rounding.floor
    ceil = rounding.ceil
    round = rounding.round
    trunc = rounding.trunc
    frac = rounding.frac
    floor_ = rounding.floor_
    ceil_ = rounding.ceil_
    round_ = rounding.round_
    fmod = rounding.fmod
    floor_divide = elementwise.floor_divide
    remainder = elementwise.remainder
    maximum = elementwise.maximum
    minimum = elementwise.minimum
    clamp = elementwise.clamp
    clamp_ = in_place.clamp_
    isclose = searching.isclose
    allclose = searching.allclose
    equal = searching.equal
    isnan = comparisons.isnan
    isinf = comparisons.isinf
    isfinite = comparisons.isfinite
    clone = elementwise.clone
    addcmul_ = in_place.addcmul_
    addcdiv_ = in_place.addcdiv_
    lerp_ = in_place.lerp_
    neg_ = in_place.neg_
    abs_ = in_place.abs_
    sqrt_ = in_place.sqrt_
    exp_ = in_place.exp_
    log_ = in_place.log_
    sigmoid_ = in_place.sigmoid_
    tanh_ = in_place.tanh_
    relu_ = in_place.relu_
    copy_ = in_place.copy_
    new_tensor = creation.new_tensor
    new_zeros = creation.new_zeros
    new_ones = creation.new_ones
    new_empty = creation.new_empty
    new_full = creation.new_full
    fill_ = in_place.fill_
    zero_ = in_place.zero_
    unsqueeze_ = in_place.unsqueeze_
    squeeze_ = in_place.squeeze_
    transpose_ = in_place.transpose_
    t_ = in_place.t_
    uniform_ = random.uniform_
    normal_ = random.normal_
    bernoulli_ = random.bernoulli_
    exponential_ = random.exponential_
    random_ = random.random_
    bernoulli = random.bernoulli
    multinomial = random.multinomial

    mm = products.mm
    bmm = products.bmm
    addmm = products.addmm
    baddbmm = products.baddbmm
    mv = products.mv
    dot = products.dot
    outer = products.outer
    softmax = normalising.softmax
    log_softmax = normalising.log_softmax

    sum = reductions.sum
    mean = reductions.mean
    amax = reductions.amax
    amin = reductions.amin
    max = reductions.max
    min = reductions.min
    argmax = reductions.argmax
    argmin = reductions.argmin
    var = reductions.var
    std = reductions.std
    prod = reductions.prod
    cumsum = reductions.cumsum
    cumprod = reductions.cumprod
    all = reductions.all
    any = reductions.any
    logsumexp = reductions.logsumexp
    norm = reductions.norm
    sort = reductions.sort
    topk = reductions.topk
    argsort = searching.argsort
    nonzero = searching.nonzero
    unique = searching.unique
    bincount = searching.bincount
    median = statistics.median
    count_nonzero = statistics.count_nonzero
    diff = statistics.diff

    view = shapes.view
    view_as = shapes.view_as
    reshape = shapes.reshape
    contiguous = shapes.contiguous
    flatten = shapes.flatten
    unflatten = shapes.unflatten
    unsqueeze = shapes.unsqueeze
    squeeze = shapes.squeeze
    expand = shapes.expand
    expand_as = shapes.expand_as
    broadcast_to = shapes.broadcast_to
    permute = shapes.permute
    transpose = shapes.transpose
    t = shapes.t
    select = shapes.select
    narrow = shapes.narrow

    def split(self, split_size: SizeLike, dim: builtins.int = 0) -> tuple["Tensor", ...]:
        """The parts along dim, as views: all of one size, or of the sizes in a list."""
        return shapes.split(self, split_size, dim)

    chunk = shapes.chunk
    tensor_split = shapes.tensor_split
    unbind = shapes.unbind
    flip = shapes.flip
    roll = shapes.roll
    repeat = shapes.repeat
    reshape_as = composed.reshape_as
    ravel = composed.ravel
    diagonal = composed.diagonal
    fill_diagonal_ = composed.fill_diagonal_
    tril_ = composed.tril_
    triu_ = composed.triu_
    unfold = composed.unfold
    swapaxes = rearranging.swapaxes
    movedim = rearranging.movedim
    moveaxis = rearranging.moveaxis
    tile = rearranging.tile
    trace = rearranging.trace
    diag = scattering.diag
    repeat_interleave = rearranging.repeat_interleave
    tril = shapes.tril
    triu = shapes.triu

    argwhere = composed.argwhere
    index_put = composed.index_put
    index_put_ = composed.index_put_
    take_along_dim = composed.take_along_dim
    index_select = indexing.index_select
    gather = indexing.gather
    masked_fill = indexing.masked_fill
    masked_select = scattering.masked_select
    scatter = scattering.scatter
    scatter_ = scattering.scatter_
    scatter_add = scattering.scatter_add
    scatter_add_ = scattering.scatter_add_
    index_add = scattering.index_add
    index_add_ = scattering.index_add_
    index_copy = scattering.index_copy
    index_copy_ = scattering.index_copy_
    index_fill = scattering.index_fill
    index_fill_ = scattering.index_fill_
    masked_fill_ = indexing.masked_fill_

    # Second names

    absolute = elementwise.abs
    divide = true_divide = elementwise.div
    greater = comparisons.gt
    greater_equal = comparisons.ge
    less = comparisons.lt
    less_equal = comparisons.le
    multiply = elementwise.mul
    negative = elementwise.neg
    not_equal = comparisons.ne
    subtract = elementwise.sub


_NUMBERS = (bool, int, float, np.integer, np.floating, np.bool_)
_OPERANDS = (Tensor, np.ndarray, *_NUMBERS)
results.cls = Tensor
