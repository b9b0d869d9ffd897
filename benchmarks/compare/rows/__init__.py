"""Every row, in the order of the report, and the table of groups."""

from benchmarks.compare.case import Case, cores
from benchmarks.compare.report import Group
from benchmarks.compare.rows import kernels, models, operations, products, sizes, small

NOT_PRODUCTS = "Every operation that is not a product"
GROUPS = {
    "operations-2000": Group(f"{NOT_PRODUCTS}, 2,000 elements", 1.5, 0.9),
    "operations-200000": Group(f"{NOT_PRODUCTS}, 200,000 elements", 1.4, 0.9),
    "operations-4M": Group(f"{NOT_PRODUCTS}, 4,000,000 elements", 1.5, 0.95),
    "idioms": Group("Statements that programs have in their loops", 1.5, 0.9),
    "transformer": Group("Training steps of Transformer encoders", 1.35, 1.2),
    "seq2seq": Group("Training steps of a Seq2Seq with attention", 1.6, 1.4),
    "replay": Group("The same, recorded and replayed, beside a compiler", 1.4, 1.1),
    "translator": Group("Training step of a translator as a user writes it", 1.6, 1.6),
    "programs": Group("Other programs as users write them", 1.3, 1.0),
    "products": Group("Products at the sizes that training has", 1.15, 1.0),
    "documents": Group("The loop of tutorials", 2.0, 2.0),
    "tape": Group("Many small operations", 1.05, 1.05),
    "rows": Group("Softmax and cross entropy of a few rows", 1.3, 1.3),
    "gemm": Group("Products alone", 1.0, 1.0),
    "softmax": Group("Softmax, cross entropy and layer norm", 1.2, 1.0),
    "gru": Group("GRU", 1.2, 1.2),
    "attention": Group("Attention", 1.1, 1.1),
    "optimiser": Group("Adam", 1.0, 1.0),
    "numba": Group("Twins in Numba, beside the kernels in C", 0.5, 0.2),
    "memory": Group("Peak memory of training steps", 1.0, 0.91),  # 0.91: at most 1.1 times
    "threads": Group("More threads", 1.2, 1.0),
    "sizes": Group("Time against size, forward", 1.0, 1.0),
}
TIMED = [
    *operations.CASES,
    *models.CASES,
    *products.CASES,
    *small.CASES,
    *kernels.CASES,
    *sizes.CASES,
]
# Where the first side is Numba, a ratio is C's time over that of its twin.
NUMBA = [
    case._replace(group="numba", sides=("numba", "tinyattn"), own={}) for case in TIMED if case.twin
]
MEMORY = [case._replace(group="memory", memory=True) for case in TIMED if case.step]
THREADS = [
    case._replace(group="threads", name=f"{case.name}, {count} threads", threads=count, own={})
    for count in (4, 8, 16)
    if count <= cores()
    for case in TIMED
    if case.step
    or case.name in kernels.MANY_CORES
    or (case.group == "operations-4M" and case.name in operations.SOME)
]
CASES: list[Case] = [*TIMED, *NUMBA, *MEMORY, *THREADS]
