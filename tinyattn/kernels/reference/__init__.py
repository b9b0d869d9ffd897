"""The kernels in NumPy: the definition, written to be read; the other backends are held to it by
tests.

Each file states the formula and the derivation of its gradient above the code. Infinities and NaN
are answers here and not accidents, so nothing warns: `@np.errstate(all="ignore")`.
"""


def isa() -> str:
    return "as NumPy was built"


def set_num_threads(count: int) -> None:
    """Nothing to set: these kernels run on the thread that calls them."""


def get_num_threads() -> int:
    return 1
