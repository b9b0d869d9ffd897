"""What products of matrices are called with: every rank, empty axes, shapes that clash."""

from .harness import CASES, Call, Entry


def shapes(*letters):
    """Arrays of these letters' sizes; now and then one size is off."""

    def draw(d, kinds="ffff"):
        sizes = {c: 0 if d.chance(0.04) else d.int(1, 4) for word in letters for c in word}
        dtype = d.dtype("fffi")
        arrays = []
        for word in letters:
            shape = tuple(sizes[c] for c in word)
            if shape and d.chance(0.03):
                shape = (*shape[:-1], shape[-1] + 1)
            arrays.append(d.array(shape, "d").astype(dtype))
        return Call(*arrays)

    return draw


def matmul(d):
    m, k, n = (0 if d.chance(0.04) else d.int(1, 4) for _ in range(3))
    batch = d.broadcast(2, 2)
    one = (k,) if d.chance(0.2) else (*batch[0], m, k)
    two = (k + d.chance(0.04),) if d.chance(0.2) else (*batch[1], k, n)
    dtype = d.dtype("fffi")
    return Call(d.array(one, "d").astype(dtype), d.array(two, "d").astype(dtype))


def added(letters):
    def draw(d):
        call = shapes(*letters)(d)
        bias = call.args[0]
        if d.chance(0.4) and bias.ndim:
            axis = d.int(0, bias.ndim - 1)
            bias = bias.take([0], axis) if bias.shape[axis] else bias
        options = {}
        if d.chance(0.5):
            whole = bias.dtype.kind == "i"
            options["beta"] = d.pick(0, 2, -1) if whole else d.pick(0, 0.5, 2)
            options["alpha"] = d.pick(0, 2, -1) if whole else d.pick(0, 0.5, 2)
        return Call(bias, *call.args[1:], **options)

    return draw


EQUATIONS = [
    "ij,jk->ik",
    "bij,bjk->bik",
    "bhid,bhjd->bhij",
    "ij->ji",
    "ij->",
    "ii->i",
    "ii",
    "i,j->ij",
    "ij,ij->i",
    "bij,bj",
    "...ij,...jk->...ik",
    "bi,ij,bj->b",
    "ij,kj",
    "i,i->",
    "...",
    "...i->...",
    "abc,cd,de->abe",
    "a...,b...->ab...",
]


def einsum(d):
    equation = d.pick(*EQUATIONS)
    sizes = {c: d.int(1, 3) for c in "abcdehijkm"}
    batch = d.shape(0, 2, 0)
    arrays = []
    for word in equation.split("->")[0].split(","):
        shape = [sizes[c] for c in word.replace("...", "")]
        if "..." in word:
            at = word.index("...")
            shape[at:at] = batch
        arrays.append(d.array(tuple(shape), "d"))
    return Call(equation, *arrays)


def clash(name):
    return (
        lambda t: getattr(t, name)(t.ones(2, 3), t.ones(2, 3)),
        lambda t: getattr(t, name)(t.ones(2, 3), t.ones(3, 2).double()),
        lambda t: getattr(t, name)(t.ones(2, 3), 2.0),
    )


TABLE = {
    "matmul": Entry(matmul, clash("matmul"), cases=80),
    "__matmul__": Entry(matmul, (lambda t: t.ones(2) @ 2,), {"x @ y": lambda t, x, y: x @ y}),
    "mm": Entry(shapes("ij", "jk"), (*clash("mm"), lambda t: t.mm(t.ones(2), t.ones(2, 2)))),
    "bmm": Entry(
        shapes("bij", "bjk"), (*clash("bmm"), lambda t: t.bmm(t.ones(1, 2, 2), t.ones(2, 2, 2)))
    ),
    "mv": Entry(shapes("ij", "j"), clash("mv")),
    "dot": Entry(shapes("i", "i"), (*clash("dot"), lambda t: t.dot(t.ones(2), t.ones(3)))),
    "outer": Entry(shapes("i", "j"), (lambda t: t.outer(t.ones(2, 2), t.ones(2)),)),
    "addmm": Entry(
        added(("ik", "ij", "jk")), (lambda t: t.addmm(t.ones(3, 3), t.ones(2, 2), t.ones(2, 2)),)
    ),
    "baddbmm": Entry(
        added(("bik", "bij", "bjk")),
        (lambda t: t.baddbmm(t.ones(1), t.ones(1, 2, 2), t.ones(2, 2, 2)),),
    ),
    "einsum": Entry(
        einsum,
        (
            lambda t: t.einsum("ij,jk->ik", t.ones(2, 2)),
            lambda t: t.einsum("ij->ik", t.ones(2, 2)),
            lambda t: t.einsum("ij,jk->ik", t.ones(2, 2), t.ones(3, 3)),
            lambda t: t.einsum("i1->i", t.ones(2, 2)),
            lambda t: t.einsum("ij->ii", t.ones(2, 2)),
            lambda t: t.einsum("i", t.ones(2, 2)),
        ),
        cases=2 * CASES,
    ),
}
