"""class Tensor: the list of its operators and methods. What each does stands in ops/.

The gradient's way through a graph of tensors is autograd/engine.py.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinyattn.autograd import copying, frontend, hooks
from tinyattn.autograd.dtypes import bool_, float32, float64, int32, int64
from tinyattn.autograd.storage import Leaf, TensorBase, requires_grad_, results
from tinyattn.ops import (
    activations,
    creation,
    elementwise,
    indexing,
    normalising,
    products,
    random,
    reductions,
)
from tinyattn.ops import shape as shapes


class Tensor(TensorBase):
    """An array with a place in a graph of operations; made by `tensor`, `zeros`, `randn`, ..."""

    __array_ufunc__ = None  # NumPy's operators leave `array + tensor` to the tensor
    __hash__ = object.__hash__

    def __init__(self, data: Any = ()) -> None:
        super().__init__(creation.tensor(data)._array)

    # What it is

    @property
    def shape(self) -> tuple[int, ...]:
        return self._array.shape

    @property
    def dtype(self) -> np.dtype:
        return self._array.dtype

    @property
    def ndim(self) -> int:
        return self._array.ndim

    @property
    def requires_grad(self) -> bool:
        return self._edge is not None

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        requires_grad_(self, value)

    @property
    def is_leaf(self) -> bool:
        return self._edge is None or type(self._edge[0]) is Leaf

    @property
    def grad_fn(self) -> Any:
        """The operation that made it, where a gradient is needed."""
        return None if self._edge is None or self.is_leaf else self._edge[0]

    @property
    def data(self) -> "Tensor":
        """The same memory outside the graph; `x.data = t` gives x the memory of t."""
        return self.detach()

    @data.setter
    def data(self, value: "Tensor") -> None:
        self._array, self._storage = value._array, value._storage
        self._since, self._base = value._storage.version, None
        if self._edge is not None:
            node, index, _, _ = self._edge
            self._edge = (node, index, value._array.shape, value._array.dtype)

    @property
    def T(self) -> "Tensor":
        return shapes.reverse_dims(self)

    @property
    def mT(self) -> "Tensor":
        return shapes.matrix_transpose(self)

    def size(self, dim: int | None = None) -> Any:
        return self.shape if dim is None else self.shape[dim]

    def dim(self) -> int:
        return self._array.ndim

    def numel(self) -> int:
        return self._array.size

    def is_floating_point(self) -> bool:
        return self._array.dtype.kind == "f"

    def is_contiguous(self) -> bool:
        return self._array.flags.c_contiguous

    def __len__(self) -> int:
        if not self.ndim:
            raise TypeError("len() of a 0-d tensor")
        return self.shape[0]

    def __iter__(self) -> Any:
        if not self.ndim:
            raise TypeError("iteration over a 0-d tensor")
        return iter(self.unbind(0))

    def __repr__(self) -> str:
        text = np.array2string(self._array, precision=4, separator=", ", prefix="tensor(")
        if self.dtype not in (float32, int64, bool_):
            text += f", dtype={self.dtype}"
        if self.grad_fn is not None:
            return f"tensor({text}, grad_fn={self.grad_fn})"
        return f"tensor({text}, requires_grad=True)" if self.requires_grad else f"tensor({text})"

    # Out of it

    def item(self) -> bool | int | float:
        if self._array.size != 1:
            raise RuntimeError(
                f"item: expected a tensor of one element, got shape {list(self.shape)}"
            )
        return self._array.item()

    __float__ = lambda self: float(self.item())  # noqa: E731
    __int__ = lambda self: int(self.item())  # noqa: E731

    def __index__(self) -> int:
        if self.dtype.kind != "i":
            raise TypeError(f"only integer tensors of one element are an index, got {self.dtype}")
        return int(self.item())

    def __bool__(self) -> bool:
        if self._array.size != 1:
            raise RuntimeError("Boolean value of Tensor with more than one value is ambiguous")
        return bool(self.item())

    def tolist(self) -> Any:
        return self._array.tolist()

    def numpy(self) -> np.ndarray:
        """The array itself: memory is shared."""
        if self._edge is not None:
            raise RuntimeError(
                "numpy: can't be called on a tensor that requires grad; use detach().numpy()"
            )
        self._storage.exposed = True
        return self._array

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        array = self.detach().numpy()
        return np.array(array, dtype, copy=copy)

    def detach(self) -> "Tensor":
        """The same memory, outside the graph."""
        out = results.wrap(self._array)
        out._storage, out._since = self._storage, self._storage.version
        return out

    # Copies

    __copy__ = copying.copy
    __deepcopy__ = copying.deepcopy
    __reduce_ex__ = copying.reduce

    # Its gradient

    def requires_grad_(self, requires_grad: bool = True) -> "Tensor":
        return requires_grad_(self, requires_grad)

    def backward(
        self,
        gradient: "Tensor | None" = None,
        retain_graph: bool | None = None,
        create_graph: bool = False,
        inputs: "Sequence[Tensor] | Tensor | None" = None,
    ) -> None:
        """Add d(self)/d(leaf), times `gradient`, to the `.grad` of every leaf below."""
        frontend.backward(self, gradient, retain_graph, create_graph, inputs=inputs)

    def register_hook(self, hook: hooks.Hook) -> hooks.Handle:
        """Call hook(gradient) when this tensor's gradient is there; a result takes its place."""
        if self._edge is None:
            raise RuntimeError("register_hook: the tensor doesn't require a gradient")
        return hooks.Handle(self._edge, hook)

    def retain_grad(self) -> None:
        """Keep `.grad` of a tensor that is not a leaf."""
        hooks.retain_grad(self)

    # Dtypes

    def to(self, dtype: Any = None, *, copy: bool = False) -> "Tensor":
        return elementwise.to(self, self.dtype if dtype is None else dtype, copy)

    def float(self) -> "Tensor":
        return self.to(float32)

    def double(self) -> "Tensor":
        return self.to(float64)

    def long(self) -> "Tensor":
        return self.to(int64)

    def int(self) -> "Tensor":
        return self.to(int32)

    def bool(self) -> "Tensor":
        return self.to(bool_)

    def type_as(self, other: "Tensor") -> "Tensor":
        return self.to(other.dtype)

    def where(self, condition: "Tensor", other: Any) -> "Tensor":
        return elementwise.where(condition, self, other)

    # Operators and methods, each defined in ops/

    def __eq__(self, other: Any) -> Any:
        return NotImplemented if other is None or isinstance(other, str) else self.eq(other)

    def __ne__(self, other: Any) -> Any:
        return NotImplemented if other is None or isinstance(other, str) else self.ne(other)

    __add__ = __radd__ = add = elementwise.add
    __sub__ = sub = elementwise.sub
    __rsub__ = elementwise.rsub
    __mul__ = __rmul__ = mul = elementwise.mul
    __truediv__ = div = elementwise.div
    __rtruediv__ = elementwise.rdiv
    __pow__ = pow = elementwise.pow
    __rpow__ = elementwise.rpow
    __matmul__ = matmul = products.matmul
    __neg__ = neg = elementwise.neg
    eq = elementwise.eq
    ne = elementwise.ne
    __lt__ = lt = elementwise.lt
    __le__ = le = elementwise.le
    __gt__ = gt = elementwise.gt
    __ge__ = ge = elementwise.ge
    __and__ = elementwise.bitwise_and
    __or__ = elementwise.bitwise_or
    __invert__ = elementwise.bitwise_not
    logical_and = elementwise.logical_and
    logical_or = elementwise.logical_or
    logical_not = elementwise.logical_not
    __iadd__ = add_ = elementwise.add_
    __isub__ = sub_ = elementwise.sub_
    __imul__ = mul_ = elementwise.mul_
    __itruediv__ = div_ = elementwise.div_
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
    log = elementwise.log
    log1p = elementwise.log1p
    sin = elementwise.sin
    cos = elementwise.cos
    erf = elementwise.erf
    tanh = elementwise.tanh
    sigmoid = elementwise.sigmoid
    relu = activations.relu
    maximum = elementwise.maximum
    minimum = elementwise.minimum
    clamp = elementwise.clamp
    clamp_ = elementwise.clamp_
    isnan = elementwise.isnan
    isinf = elementwise.isinf
    isfinite = elementwise.isfinite
    clone = elementwise.clone
    copy_ = elementwise.copy_
    fill_ = elementwise.fill_
    zero_ = elementwise.zero_
    uniform_ = random.uniform_
    normal_ = random.normal_

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
    all = reductions.all
    any = reductions.any
    logsumexp = reductions.logsumexp
    norm = reductions.norm
    sort = reductions.sort
    topk = reductions.topk

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
    split = shapes.split
    chunk = shapes.chunk
    tensor_split = shapes.tensor_split
    unbind = shapes.unbind
    flip = shapes.flip
    roll = shapes.roll
    repeat = shapes.repeat
    tril = shapes.tril
    triu = shapes.triu

    index_select = indexing.index_select
    gather = indexing.gather
    masked_fill = indexing.masked_fill
    masked_fill_ = indexing.masked_fill_


results.cls = Tensor
