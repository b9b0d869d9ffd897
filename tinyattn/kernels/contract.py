"""What a kernel takes and gives, stated once, and what follows from the statement: checks, copies
and the memory of the results. Look first at `Contract`, then at `Contract.prepare`.

The twins of a kernel (reference/, jit/, native/) trust what they get: aligned, native-endian,
C-contiguous arrays of one float type, in the shapes of the statement.
"""

import functools
import math
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from tinyattn.kernels import blocks
from tinyattn.kernels._types import Array
from tinyattn.kernels.blocks import LARGE
from tinyattn.kernels.recording import check, local, step

Shape = tuple[int, ...]
Sizes = tuple[tuple[str, int], ...]

F32 = np.dtype(np.float32)
F64 = np.dtype(np.float64)
I64 = np.dtype(np.int64)
U8 = np.dtype(np.uint8)
U64 = np.dtype(np.uint64)
BOOL = np.dtype(np.bool_)

MOVED = (1, 4, 8)  # sizes in bytes of the elements that the kernel `copy` moves
PLANS = 1024  # combinations of shapes that one kernel remembers

_ARGUMENT = re.compile(r"(\w+) (\([^)]*\)|\[\])(\??)((?: \w+)*)")
_WORDS = {"int64", "uint8", "bool", "float", "broadcast", "rows", "wide", "changed"}
_AXIS = re.compile(r"(\d*)([A-Za-z]\w*|\.\.\.)")


def float_type(kernel: str, name: str, x: Any) -> np.dtype[Any]:
    """The float type of `x` in native byte order; any other type is refused by name."""
    dtype = getattr(x, "dtype", None)
    if dtype is F32 or dtype is F64:
        return dtype
    if dtype is None:
        raise TypeError(f"{kernel}: {name} must be a NumPy array, got {type(x).__name__}")
    if isinstance(dtype, np.dtype) and dtype.kind == "f" and dtype.itemsize in (4, 8):
        return F32 if dtype.itemsize == 4 else F64
    raise TypeError(f"{kernel}: {name}: expected float32 or float64, got {dtype}")


def wider(real: np.dtype[Any]) -> np.dtype[Any]:
    """The type of what is "wide" in a call of float type `real`."""
    return F64 if real is F32 else real


class Argument(NamedTuple):
    """One array of a statement, such as b_hh (3H,)?, read."""

    name: str
    letters: str  # "(3H,)", as errors show it
    axes: tuple[tuple[int, str], ...]  # (3, "H"); any number of axes is (1, "...")
    optional: bool  # None will do
    words: tuple[str, ...]
    dtype: np.dtype[Any] | None  # None: the float type of the call
    steps: tuple[int, ...]  # read through its strides, with these on the last axis, in elements
    broadcast: bool  # a shape that broadcasts to the stated one will do

    @classmethod
    def read(cls, text: str) -> "Argument":
        match = _ARGUMENT.fullmatch(text)
        letters = match[2] if match else ""
        axes = [_AXIS.fullmatch(axis) for axis in re.findall(r"[^][(), ]+", letters)]
        if not match or None in axes:
            raise ValueError(f"expected an argument such as 'x (N, 3H)? int64', got {text!r}")
        name, _, optional, rest = match.groups()
        words = tuple(rest.split())
        if words[:1] != ("like",) and not _WORDS.issuperset(words):
            raise ValueError(f"expected words among {sorted(_WORDS)}, got {text!r}")
        factors = tuple((int(axis[1] or 1), axis[2]) for axis in axes if axis)
        types: dict[str, np.dtype[Any]] = {"int64": I64, "uint8": U8, "bool": BOOL}
        dtype = next((types[word] for word in words if word in types), None)
        # Rows without gaps; a mask that is spread along a row is read with step 0.
        steps = () if "rows" not in words else (0, 1) if "broadcast" in words else (1,)
        layout = steps, "broadcast" in words
        return cls(name, letters, factors, bool(optional), words, dtype, *layout)

    def type_in_code(self) -> str:
        """The name of its type in the code that a contract writes."""
        if "wide" in self.words:
            return "wider(real)"
        return {None: "real", I64: "I64", U8: "U8", BOOL: "BOOL"}[self.dtype]

    def bind(self, kernel: str, shape: Shape, known: dict[str, Any]) -> None:
        """Note the size of every letter that stands alone and has none yet."""
        axes = self.axes
        if axes and axes[0][1] == "...":
            axes = axes[1:]
            lead = len(shape) - len(axes)
            if lead >= 0:
                known.setdefault("...", shape[:lead])
                shape = shape[lead:]
        if len(shape) != len(axes):
            raise ValueError(f"{kernel}: {self.name} must be {self.letters}, got shape {shape}")
        for (factor, letter), size in zip(axes, shape, strict=True):
            if factor == 1:
                known.setdefault(letter, size)

    def shape(self, known: dict[str, Any]) -> Shape:
        """The stated shape, with a number for every letter."""
        if self.axes and self.axes[0][1] == "...":
            return (*known["..."], *(factor * known[a] for factor, a in self.axes[1:]))
        return tuple(factor * known[letter] for factor, letter in self.axes)

    def fit(self, kernel: str, x: Any, real: np.dtype[Any]) -> Array:
        """`x` itself where the twins can read it as it stands, else a copy that they can read."""
        own = getattr(x, "dtype", None)
        if "wide" in self.words:
            float_type(kernel, self.name, x)
            return readable(x, wider(real), self.steps)
        if self.dtype is None or ("float" in self.words and own != BOOL):
            if float_type(kernel, self.name, x) is not real:
                wanted = f"bool or {real}" if self.dtype is BOOL else real
                raise TypeError(
                    f"{kernel}: {self.name}: expected {wanted} like the others, got {own}"
                )
            return readable(x, real, self.steps)
        kind, size = self.dtype.kind, self.dtype.itemsize
        if not isinstance(x, np.ndarray) or (x.dtype.kind, x.itemsize) != (kind, size):
            article = "an" if kind == "i" else "a"
            came = type(x).__name__ if own is None else own
            raise TypeError(
                f"{kernel}: {self.name} must be {article} {self.dtype} array, got {came}"
            )
        return readable(x, self.dtype, self.steps)


def readable(x: Array, dtype: np.dtype[Any], steps: tuple[int, ...] = ()) -> Array:
    """`x` where it is aligned, and contiguous or with one of these steps on its last axis; else a
    copy that is."""
    if type(x) is np.ndarray and x.dtype is dtype:
        flags = x.flags
        if flags.aligned and (
            flags.c_contiguous or (x.ndim and x.strides[-1] in [n * x.itemsize for n in steps])
        ):
            return x
    return step("copy", _copied, x, dtype)


def _copied(x: Array, dtype: np.dtype[Any]) -> Array:
    return np.array(x, dtype, order="C")


class Plan(NamedTuple):
    """What follows from the shapes of a call."""

    outputs: tuple[Shape, ...]
    small: bool  # whether all outputs are, so that numpy.empty does for them
    spread: tuple[tuple[int, Shape], ...]  # inputs to broadcast, and to which shape


class Contract:
    """The statement of a kernel, read once, such as

        x (..., n), mask (..., n)? bool broadcast -> y (..., n)

    Arguments stand in the order in which twins take them. Shapes are letters: equal letters are
    equal sizes, 3H is three times H, `...` any number of axes. `?` allows None. Words say more:

        int64, uint8, bool  the type; without it the float type that all others have
        float           after bool: either of the two
        broadcast       the shape may be any that broadcasts to the stated one
        rows            read through strides, if the last axis has no gaps
        like q          a result in the memory order of q
        wide            in float64, whatever the float type of the call
        []              instead of a shape: a list of arrays, each in the shape of its neighbour in
                        the first list; `changed`: the kernel changes them in place
    """

    def __init__(self, kernel: str, statement: str) -> None:
        self.kernel = kernel
        self.statement = statement
        takes, _, gives = statement.partition(" -> ")
        between = re.compile(r", (?![^(]*\))")
        self.inputs = tuple(Argument.read(text) for text in between.split(takes))
        self.outputs = tuple(Argument.read(text) for text in between.split(gives) if text)
        must = [x for x in self.inputs if not x.optional and not x.broadcast]
        told = {letter for x in must for factor, letter in x.axes if factor == 1}
        for letter in {letter for x in self.inputs for _, letter in x.axes} - told:
            raise ValueError(f"no argument of {kernel} tells the size of {letter}")
        self.at = {argument.name: i for i, argument in enumerate(self.inputs)}
        # The float type of a call is that of its first argument that must be there.
        self._first = next(
            i for i, x in enumerate(self.inputs) if x.dtype is None and not x.optional
        )
        self.plan = functools.lru_cache(PLANS)(self._plan)

    @functools.cached_property
    def prepare(self) -> Callable[..., tuple[tuple[Any, ...], tuple[Any, ...]]]:
        """Check the arrays of a call, and make its results. It is compiled when it is first used,
        from code that is written out for this kernel."""
        made_by: dict[str, Any] = {}
        exec(self.source, globals(), made_by)
        return made_by["bind"](self, self.plan)

    @functools.cached_property
    def source(self) -> str:
        """The code of `prepare`, without a loop: a loop over the statement would cost more than a
        small kernel does."""
        kernel, first = self.kernel, self.inputs[self._first].name
        code = [
            "def bind(contract, plan):",
            f"  def prepare({', '.join(self.at)}, sizes=(), optional=True):",
            f"    real = getattr({first}, 'dtype', None)",
            "    if real is not F32 and real is not F64:",
            f"        real = float_type({kernel!r}, {first!r}, {first})",
        ]
        shapes = []
        for i, argument in enumerate(self.inputs):
            x, kind = argument.name, argument.type_in_code()
            none = f"{x} is None or " if argument.optional else ""
            code += [
                f"    if not ({none}type({x}) is np.ndarray and {x}.dtype is {kind} "
                f"and {x}.flags.carray):",
                f"        {x} = contract.inputs[{i}].fit({kernel!r}, {x}, real)",
            ]
            shapes.append(f"None if {x} is None else {x}.shape" if none else f"{x}.shape")
        code += [
            f"    shapes, small, spread = plan(({', '.join(shapes)},), sizes)",
            "    make = blocks.small if small else blocks.empty",
            f"    inputs = ({', '.join(self.at)},)",
            "    if spread:",
            "        inputs = contract.broadcast(inputs, spread)",
        ]
        outputs = []
        for i, output in enumerate(self.outputs):
            made = f"make(shapes[{i}], {output.type_in_code()})"
            if "like" in output.words:
                like = self.at[output.words[-1]]
                made = f"empty_like_rows(inputs[{like}], shapes[{i}])"
            outputs.append(f"{made} if optional else None" if output.optional else made)
        results = "".join(f"{output}, " for output in outputs)
        code += [f"    return inputs, ({results})", "  return prepare"]
        return "\n".join(code)

    def broadcast(
        self, inputs: tuple[Any, ...], shapes: tuple[tuple[int, Shape], ...]
    ) -> tuple[Any, ...]:
        """The inputs, with those of a smaller shape in the stated one."""
        arrays = [*inputs]
        for i, shape in shapes:
            x = np.broadcast_to(arrays[i], shape)
            arrays[i] = readable(x, x.dtype, self.inputs[i].steps)
        return tuple(arrays)

    def prepare_lists(
        self, lists: Sequence[Sequence[Array] | None]
    ) -> tuple[list[list[Array] | None], list[tuple[Array, Array]]]:
        """The lists with every array flat; and, for arrays that change but have gaps, pairs of the
        array and the copy that `write_back` puts into it.
        """
        name, first, like = self.kernel, self.inputs[0].name, lists[0]
        assert like is not None
        real = float_type(name, f"{first}[0]", like[0]) if like else F32
        flat: list[list[Array] | None] = []
        gaps = []
        for argument, arrays in zip(self.inputs, lists, strict=True):
            if arrays is None:
                flat.append(None)
                continue
            if len(arrays) != len(like):
                raise ValueError(f"{name}: {len(like)} {first} but {len(arrays)} {argument.name}")
            changed = "changed" in argument.words
            row = []
            for i, x in enumerate(arrays):
                fit = x
                if type(x) is not np.ndarray or x.dtype is not real or not x.flags.carray:
                    fit = argument._replace(name=f"{argument.name}[{i}]").fit(name, x, real)
                    if changed and not x.flags.writeable:
                        raise ValueError(
                            f"{name}: {argument.name}[{i}] is read-only, it cannot change in place"
                        )
                    if changed and fit is not x:
                        gaps.append((x, fit))
                if arrays is not like and x.shape != like[i].shape:
                    raise ValueError(
                        f"{name}: {argument.name}[{i}] must be the shape of {first}[{i}] = "
                        f"{like[i].shape}, got {x.shape}"
                    )
                row.append(fit if fit.ndim == 1 else fit.reshape(-1))
            flat.append(row)
        return flat, gaps

    def _plan(self, shapes: tuple[Shape | None, ...], sizes: Sizes) -> Plan:
        known: dict[str, Any] = dict(sizes)
        given = [(x, s) for x, s in zip(self.inputs, shapes, strict=True) if s is not None]
        given.sort(key=lambda pair: pair[0].optional)  # what must be there decides
        for argument, shape in given:
            if not argument.broadcast:
                argument.bind(self.kernel, shape, known)
        to_spread = []
        for i, (argument, own) in enumerate(zip(self.inputs, shapes, strict=True)):
            if own is None:
                continue
            wanted = argument.shape(known)
            if argument.broadcast and own != wanted and _broadcasts(own, wanted):
                to_spread.append((i, wanted))
            elif own != wanted:
                verb = "must broadcast to" if argument.broadcast else "must be"
                raise ValueError(
                    f"{self.kernel}: {argument.name} {verb} {argument.letters} = {wanted}, "
                    f"got {own}"
                )
        outputs = tuple(output.shape(known) for output in self.outputs)
        small = all(math.prod(shape) * 8 < LARGE for shape in outputs)
        return Plan(outputs, small, tuple(to_spread))


def _broadcasts(shape: Shape, wanted: Shape) -> bool:
    return len(shape) <= len(wanted) and all(
        a in (1, b) for a, b in zip(reversed(shape), reversed(wanted), strict=False)
    )


def write_back(gaps: Sequence[tuple[Array, Array]]) -> None:
    """Put what a kernel computed in copies into the arrays it should have changed."""
    for x, copy in gaps:
        x[...] = copy


# Memory layouts of single kernels.


def strided(x: Array, dtype: np.dtype[Any]) -> Array:
    """`x` itself where one of its last two axes has unit stride and the other a wide enough one."""
    flags = x.flags
    if type(x) is np.ndarray and x.dtype is dtype and flags.aligned:
        if flags.c_contiguous:
            return x
        rows, columns = x.strides[-2:]
        size = dtype.itemsize
        if columns == size and rows >= x.shape[-1] * size and not rows % size:
            return x
        if rows == size and columns >= x.shape[-2] * size and not columns % size:
            return x
    return step("copy", _copied, x, dtype)


def spread(x: Array, batch: Shape, n: int) -> Array:
    """(..., R, C) broadcast to the batch and folded to (n, R, C), a view where strides allow."""
    tail = x.shape[-2:]
    if x.shape[:-2] != batch:
        x = np.broadcast_to(x, batch + tail)
    return x if len(batch) == 1 else x.reshape(n, *tail)


def empty_like_rows(x: Array, shape: Shape) -> Array:
    """Memory in the order of x, whose heads may stand inside its rows; no gaps in a row."""
    if x.flags.c_contiguous:
        return blocks.empty(shape, x.dtype)
    order, places = _order(x.strides)
    return blocks.empty(tuple([shape[axis] for axis in order]), x.dtype).transpose(places)


@functools.lru_cache(maxsize=PLANS)
def _order(strides: tuple[int, ...]) -> tuple[list[int], list[int]]:
    """The axes in the order in which they lie in memory, the last axis last; and where each is."""
    order = sorted(range(len(strides)), key=lambda axis: -strides[axis])
    if order[-1] != len(strides) - 1:
        order.sort()
    return order, sorted(range(len(order)), key=order.__getitem__)


def side_by_side(*parts: Array) -> tuple[Array, ...] | None:
    """New memory for each part (B, h, T, D). All lie side by side in one array, (B, T, parts, h, D)
    or (T, B, parts, h, D), as the given parts do; None where those lie otherwise.
    """
    first = parts[0]
    (B, h, T, D), strides, whole = first.shape, first.strides, first.base
    size, count = first.itemsize, len(parts)
    row = count * h * D * size
    if whole is None or any(x.base is not whole or x.strides != strides for x in parts):
        return None
    if any(x.shape != first.shape for x in parts) or strides[1::2] != (D * size, size):
        return None
    if strides[::2] == (T * row, row):
        shape, order = (B, T, count, h, D), (2, 0, 3, 1, 4)
    elif strides[::2] == (row, B * row):
        shape, order = (T, B, count, h, D), (2, 1, 3, 0, 4)
    else:
        return None
    starts = [x.__array_interface__["data"][0] for x in parts]
    if any(start != starts[0] + i * h * D * size for i, start in enumerate(starts)):
        return None
    return tuple(blocks.empty(shape, first.dtype).transpose(order))


def elements(kernel: str, name: str, x: Any) -> Array:
    """`x` as an array of numbers or bools in native byte order; others are refused by name."""
    if type(x) is not np.ndarray:
        if not isinstance(x, np.ndarray):
            raise TypeError(f"{kernel}: {name} must be a NumPy array, got {type(x).__name__}")
        x = np.asarray(x)
    if x.dtype.kind not in "fiub":
        raise TypeError(f"{kernel}: {name}: expected numbers or bools, got {x.dtype}")
    return x if x.dtype.isnative else x.astype(x.dtype.newbyteorder("="))


_INDEX = Argument.read("index (A, N, C) int64")


def picking(kernel: str, name: str, x: Any, index: Any) -> tuple[Array, Array]:
    """The two inputs of `gather`, `scatter` or `scatter_add`, as the twins read them."""
    x = elements(kernel, name, x)
    if not x.flags.carray:
        x = readable(x, x.dtype)
    if type(index) is not np.ndarray or index.dtype is not I64 or not index.flags.carray:
        index = _INDEX.fit(kernel, index, F32)
    if x.ndim != 3:
        raise ValueError(f"{kernel}: {name} must have three axes, got shape {x.shape}")
    own = index.shape
    if len(own) != 3 or own[0] not in (1, x.shape[0]) or own[2] not in (1, x.shape[2]):
        raise ValueError(
            f"{kernel}: index must be (A, N, C), with 1 or that of {name} {x.shape} as A and as C, "
            f"got {own}"
        )
    return x, index


def elementwise_inputs(
    kernel: str, operation: str, inputs: Sequence[Any], out: Array | None
) -> tuple[Sequence[Any], np.dtype[Any], Shape, bool]:
    """The inputs as the twins read them, their float type and common shape, and whether all were
    turned round (transposed), so that they are C-contiguous."""
    taken, real = inputs, _plain_type(inputs)
    if real is None or out is not None or operation == "where":
        taken, real = _checked_inputs(kernel, operation, inputs, out)
    arrays = [x for x in taken if type(x) is not float]
    try:
        shape = common_shape(*[x.shape for x in arrays])
    except ValueError:
        shapes = ", ".join(str(x.shape) for x in arrays)
        raise ValueError(f"{kernel}: {operation}: the shapes {shapes} do not broadcast") from None
    turned = out is None and all(
        x.shape == shape and x.flags.f_contiguous and not x.flags.c_contiguous for x in arrays
    )
    if turned:
        taken = [x if type(x) is float else x.T for x in taken]
        shape = shape[::-1]
    return taken, real, shape, turned


def _plain_type(inputs: Sequence[Any]) -> np.dtype[Any] | None:
    """The float type of inputs that are arrays of one type, which the twins can read, and floats;
    None if others are among them."""
    real: np.dtype[Any] | None = None
    for x in inputs:
        if type(x) is float:
            continue
        if type(x) is not np.ndarray or not x.flags.aligned:
            return None
        if real is None:
            real = x.dtype
        elif x.dtype is not real:
            return None
    return real if real is F32 or real is F64 else None


def _checked_inputs(
    kernel: str, operation: str, inputs: Sequence[Any], out: Array | None
) -> tuple[list[Any], np.dtype[Any]]:
    """The inputs as the twins read them, and their float type."""
    kernel = f"{kernel}: {operation}"
    inputs = [np.asarray(x) if isinstance(x, np.generic) else x for x in inputs]
    arrays = [x for x in inputs if isinstance(x, np.ndarray)]
    floats = [x for x in arrays if x.dtype.kind != "b"]
    if not arrays or len(inputs) - len(arrays) > 2:
        kinds = ", ".join(type(x).__name__ for x in inputs)
        raise TypeError(f"{kernel}: expected an array and at most two numbers, got {kinds}")
    real = float_type(kernel, "a", floats[0]) if floats else F32
    taken: list[Any] = []
    for i, x in enumerate(inputs):
        if not isinstance(x, np.ndarray):
            if not isinstance(x, (int, float, np.number, np.bool_)):
                raise TypeError(
                    f"{kernel}: {'abc'[i]}: expected an array or a number, got {type(x).__name__}"
                )
            taken.append(float(x))
            continue
        masks = operation == "where" and i == 0
        if (x.dtype != BOOL) if masks else float_type(kernel, "abc"[i], x) is not real:
            raise TypeError(
                f"{kernel}: {'abc'[i]}: expected {BOOL if masks else real}, got {x.dtype}"
            )
        if type(x) is not np.ndarray or not x.dtype.isnative or not x.flags.aligned:
            x = np.array(x, BOOL if masks else real)
        if out is not None and x is not out and np.may_share_memory(x, out):
            x = x.copy()
        taken.append(x)
    return taken, real


common_shape = functools.lru_cache(PLANS)(np.broadcast_shapes)


# Values that a twin would not survive, or that have no meaning.


def check_indices(kernel: str, name: str, index: Array, n: int, ignored: int | None = None) -> None:
    """IndexError for what a twin would read or write outside an array of n rows."""
    if local.recorder is not None:
        check(check_indices, kernel, name, index, n, ignored)
        return
    # Without its sign a negative number is a very large one.
    if not index.size or np.maximum.reduce(index.view(U64), axis=None) < n:
        return
    outside = index[((index < 0) | (index >= n)) & (True if ignored is None else index != ignored)]
    if outside.size:
        other = "" if ignored is None else f" or ignore_index = {ignored}"
        raise IndexError(f"{kernel}: {name} must be in [0, {n}){other}, got {outside[0]}")


def check_probability(kernel: str, name: str, p: float) -> None:
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"{kernel}: {name} must be in [0, 1], got {p}")


def check_batch_sizes(kernel: str, batch_sizes: Array, N: int, B: int) -> None:
    """ValueError where these are not the sizes of a packed batch: they start with B, never
    increase, and add up to the N rows.
    """
    sizes = batch_sizes.tolist()
    if sizes == [N] and N == B:  # a single step, as in a decoder: the call has to be cheap
        return
    if not sizes:
        raise ValueError(f"{kernel}: batch_sizes is empty: expected at least one time step")
    if sizes[0] != B or sizes[-1] < 0 or sorted(sizes, reverse=True) != sizes:
        raise ValueError(
            f"{kernel}: batch_sizes must start with B = {B} and never increase, got {sizes}"
        )
    if sum(sizes) != N:
        raise ValueError(
            f"{kernel}: batch_sizes add up to {sum(sizes)}, but there are N = {N} rows"
        )
