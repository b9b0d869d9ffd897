"""Sums of x (A, n, C) over its middle axis by pieces of rows, in float64, with what every addition
has rounded away; the pieces' totals are added in order.

Few columns: several rows are read as one, so that a row fills vector registers. One column of
float32 is added up by blocks of BLOCK elements, whose sums in float64 LLVM takes apart as it likes.
"""

import numba
import numpy as np

from tinyattn.kernels._types import Array
from tinyattn.kernels.jit.compiling import SMALL, exact, kernel, sums

ROW = 256  # elements that rows are joined to, where they are shorter
BLOCK = 128
PIECE = 64 * 1024  # elements of a piece
SHORT = 64  # float64 elements of one column, below which they are added up one by one

# What is added up: x, x^2, |x|, x - mean, (x - mean)^2.
VALUES, SQUARES, MAGNITUDES, DEVIATIONS, SQUARED_DEVIATIONS = 0, 1, 2, 3, 4


@exact
def add_one(s, lost, j, v):
    """s[j] += v, with what rounding has lost of it in lost[j]."""
    more = s[j] + v
    of_v = more - s[j]
    lost[j] += (s[j] - (more - of_v)) + (v - of_v)
    s[j] = more


@exact
def whole(s, lost):
    """A sum with what it has lost, which is a NaN where the sum is infinite."""
    return s + lost if lost == lost else s


@exact
def add_row(x, what, mean, rest, s, lost):
    """A row of columns on to their totals."""
    for j in range(len(x)):
        v = np.float64(x[j])
        if what >= DEVIATIONS:
            v = (v - mean[j]) - rest[j]
        if what in (SQUARES, SQUARED_DEVIATIONS):
            v = v * v
        if what == MAGNITUDES:
            v = abs(v)
        more = s[j] + v
        of_v = more - s[j]
        lost[j] += (s[j] - (more - of_v)) + (v - of_v)
        s[j] = more


@exact
def add_row_by_row(x, columns, what, mean, rest, s, lost):
    for begin in range(0, len(x), columns):
        row = x[begin : begin + columns]
        if what == VALUES:
            add_row(row, VALUES, mean, rest, s, lost)
        elif what == SQUARES:
            add_row(row, SQUARES, mean, rest, s, lost)
        elif what == MAGNITUDES:
            add_row(row, MAGNITUDES, mean, rest, s, lost)
        elif what == SQUARED_DEVIATIONS:
            add_row(row, SQUARED_DEVIATIONS, mean, rest, s, lost)
        else:
            add_row(row, DEVIATIONS, mean, rest, s, lost)


@exact
def add_rows(x, width, joined, what, mean, rest, s, lost):
    """Rows of `width` that stand one after another in x, on to s and lost (width,)."""
    if joined == 1:
        add_row_by_row(x, width, what, mean, rest, s, lost)
        return
    columns = width * joined
    of_s, of_lost = np.zeros(columns), np.zeros(columns)
    means, rests = np.zeros(columns), np.zeros(columns)
    if what >= DEVIATIONS:
        for r in range(joined):
            for j in range(width):
                means[r * width + j], rests[r * width + j] = mean[j], rest[j]
    add_row_by_row(x, columns, what, means, rests, of_s, of_lost)
    for r in range(joined):
        for j in range(width):
            add_one(s, lost, j, of_s[r * width + j])
            lost[j] += of_lost[r * width + j]


@exact
def term(v, what, mean, rest):
    if what >= DEVIATIONS:
        v = (v - mean) - rest
    if what == MAGNITUDES:
        v = abs(v)
    return v * v if what in (SQUARES, SQUARED_DEVIATIONS) else v


@sums
def block_total(x, what, mean, rest):
    total = 0.0
    for j in range(len(x)):
        total += term(np.float64(x[j]), what, mean, rest)
    return total


@exact
def column_total(x, what, mean, rest):
    """The sum of x (n,), a single column, and what it has lost."""
    s = lost = 0.0
    each = BLOCK if x.itemsize == 4 else 1
    for begin in range(0, len(x), each):
        block = x[begin : begin + each]
        if what == VALUES:  # constants make a loop of its own of each of them
            v = block_total(block, VALUES, mean, rest)
        elif what == SQUARES:
            v = block_total(block, SQUARES, mean, rest)
        elif what == SQUARED_DEVIATIONS:
            v = block_total(block, SQUARED_DEVIATIONS, mean, rest)
        else:
            v = block_total(block, what, mean, rest)
        more = s + v
        of_v = more - s
        lost += (s - (more - of_v)) + (v - of_v)
        s = more
    return s, lost


@exact
def add_pieces(x, what, mean, rest, pieces, part, s, lost):
    """Piece `part` of x (A, n, C), of `pieces` a matrix, into s[part] and lost[part]."""
    n, C = x.shape[1:]
    a, piece = part // pieces, part % pieces
    begin, end = n * piece // pieces, n * (piece + 1) // pieces
    flat = x[a].reshape(n * C)[begin * C : end * C]
    if C == 1 and (x.itemsize == 4 or n < SHORT):
        m, r = (mean[a, 0], rest[a, 0]) if what >= DEVIATIONS else (0.0, 0.0)
        s[part, 0], lost[part, 0] = column_total(flat, what, m, r)
        return
    joined = max(1, min(ROW // C, (end - begin) // 8))
    add_rows(flat, C, joined, what, mean[a], rest[a], s[part], lost[part])


@kernel("r3 int s2 s2 int s2 s2")
def add_up(x, what, mean, rest, pieces, s, lost):
    for part in numba.prange(len(s)):
        add_pieces(x, what, mean, rest, pieces, part, s, lost)


@exact
def scan(x, reverse, begin, end, s, lost, out):
    """Rows begin to end of x (n, C) into out, from totals s and lost (C,) on."""
    if x.shape[1] == 1 and x.itemsize == 4:
        total = s[0] + lost[0]
        for i in range(end - begin):
            row = end - 1 - i if reverse else begin + i
            total += np.float64(x[row, 0])
            out[row, 0] = total
        return
    for i in range(end - begin):
        row = end - 1 - i if reverse else begin + i
        for j in range(x.shape[1]):
            add_one(s, lost, j, np.float64(x[row, j]))
            out[row, j] = whole(s[j], lost[j])


@kernel("r3 bool int s2 s2 w3")
def scan_pieces(x, reverse, pieces, s, lost, out):
    n = x.shape[1]
    for part in numba.prange(len(s)):
        a, piece = part // pieces, part % pieces
        begin, end = n * piece // pieces, n * (piece + 1) // pieces
        scan(x[a], reverse, begin, end, s[part], lost[part], out[a])


def cut(x: Array) -> int:
    """The number of pieces of a matrix's rows."""
    n, C = x.shape[1:]
    return max(1, min(n, n * C // PIECE, 64))


def totals(x: Array, what: int, mean: Array, rest: Array) -> tuple[Array, Array]:
    """The sums (A, pieces, C) and what they have lost."""
    (A, _, C), pieces = x.shape, cut(x)
    s, lost = np.zeros((A * pieces, C)), np.zeros((A * pieces, C))
    if s.size:
        add_up(x, what, mean, rest, pieces, s, lost, alone=x.size < SMALL)
    return s.reshape(A, pieces, C), lost.reshape(A, pieces, C)


def joined(x: Array, what: int, mean: Array, rest: Array) -> tuple[Array, Array]:
    """The sums (A, C) and what they have lost, the pieces' added in order."""
    s, lost = totals(x, what, mean, rest)
    all_s, all_lost = s[:, 0], lost[:, 0]
    for piece in range(1, s.shape[1]):
        more = all_s + s[:, piece]
        of_s = more - all_s
        all_lost = all_lost + lost[:, piece] + (all_s - (more - of_s)) + (s[:, piece] - of_s)
        all_s = more
    return all_s, np.where(np.isfinite(all_lost), all_lost, 0)


@np.errstate(all="ignore")
def sum(x: Array, divisor: float, out: Array) -> None:
    """x (A, n, C) -> out (A, C), the sum over the middle axis divided by divisor; out is of x's
    type or of float64."""
    none = np.empty((x.shape[0], 0))
    s, lost = joined(x, VALUES, none, none)
    out[...] = (s + lost) / divisor


def summed(x: Array, what: int, out: Array) -> None:
    none = np.empty((x.shape[0], 0))
    s, lost = joined(x, what, none, none)
    out[...] = s + lost


@np.errstate(all="ignore")
def norm(x: Array, out: Array) -> None:
    """x (A, n, C) -> out (A, C), the root of the sum of the squares over the middle axis."""
    total = np.empty(out.shape)
    summed(x, SQUARES, total)
    out[...] = np.sqrt(total)


@np.errstate(all="ignore")
def magnitudes(x: Array, out: Array) -> None:
    """x (A, n, C) -> out (A, C) in float64, the sum of |x| over the middle axis."""
    summed(x, MAGNITUDES, out)


@np.errstate(all="ignore")
def products(x: Array, y: Array, out: Array) -> None:
    """x, y (A, n, C) -> out (A, C), the sum of the products over the middle axis."""
    summed(np.multiply(x, y, dtype=np.float64), VALUES, out)


@np.errstate(all="ignore")
def moments(x: Array, mean: Array, rest: Array, squares: Array) -> None:
    """x (A, n, C) -> mean, what rounding has lost of it, and squares, (A, C) in float64."""
    none = np.empty((x.shape[0], 0))
    s, lost = joined(x, VALUES, none, none)
    mean[...] = (s + lost) / np.float64(x.shape[1])
    rest[...] = 0
    if x.itemsize == 8:
        # What the rounded mean lacks counts where the numbers lie far from 0, close together.
        left = joined(x, DEVIATIONS, mean, rest)[0] / np.float64(x.shape[1])
        rest[...] = np.where(np.isfinite(left), left, 0)
    s, lost = joined(x, SQUARED_DEVIATIONS, mean, rest)
    squares[...] = s + lost


@kernel("r2 r2 d2 d2 w2")
def run_moments_backward(slope, x, mean, rest, out):
    """slope (A, C), x (A, n C); a task is a row of C elements, or a piece of one column."""
    A, C = slope.shape
    width = C if C > 1 else PIECE
    pieces = (x.shape[1] + width - 1) // width
    for task in numba.prange(A * pieces):
        a, first = task // pieces, task % pieces * width
        line, to = x[a, first : first + width], out[a, first : first + width]
        if C == 1:
            factor, m, r = slope[a, 0], mean[a, 0], rest[a, 0]
            for j in range(len(line)):
                to[j] = factor * ((line[j] - m) - r)
        else:
            for j in range(len(line)):
                to[j] = slope[a, j] * ((line[j] - mean[a, j]) - rest[a, j])


def moments_backward(slope: Array, x: Array, mean: Array, rest: Array, out: Array) -> None:
    """slope, mean, rest (A, C), x (A, n, C) -> out (A, n, C), slope (x - mean)."""
    if x.size:
        A = len(x)
        flat, to = x.reshape(A, -1), out.reshape(A, -1)
        run_moments_backward(slope, flat, mean, rest, to, alone=x.size < SMALL)


@np.errstate(all="ignore")
def cumsum(x: Array, reverse: bool, out: Array) -> None:
    """x (A, n, C) -> out (A, n, C), the sum of all up to each along the middle axis; `reverse`:
    from the last on."""
    A, _, C = x.shape
    if not x.size:
        return
    none = np.empty((A, 0))
    pieces = cut(x)
    if pieces == 1:
        s, lost = np.zeros((A, 1, C)), np.zeros((A, 1, C))  # nothing comes before a single piece
    else:
        s, lost = totals(x, VALUES, none, none)
    before, before_lost = np.zeros_like(s), np.zeros_like(lost)
    for k in range(1, pieces):
        at, last = (-1 - k, -k) if reverse else (k, k - 1)
        a, b = before[:, last], s[:, last]
        before[:, at] = a + b
        of_b = before[:, at] - a
        rounded_away = (a - (before[:, at] - of_b)) + (b - of_b)
        before_lost[:, at] = before_lost[:, last] + lost[:, last] + rounded_away
    flat = before.reshape(A * pieces, C), before_lost.reshape(A * pieces, C)
    scan_pieces(x, reverse, pieces, *flat, out, alone=x.size < SMALL)
