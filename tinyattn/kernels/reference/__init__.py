"""The kernels in NumPy. They are the definition: tests compare the other backends with them.

Each file states the formula and the derivation of its gradient above the code. Infinities and NaN
are valid results here, so NumPy's warnings are switched off: `@np.errstate(all="ignore")`.
"""


def isa() -> str:
    return "as NumPy was built"


def set_num_threads(count: int) -> None:
    """Nothing to set: these kernels run on the thread that calls them."""


def get_num_threads() -> int:
    return 1
