"""The types that every kernel file names. `Array` is any NumPy array; dispatch.py says which fit
where.
"""

from collections.abc import MutableMapping
from typing import Any

from numpy.typing import NDArray

Array = NDArray[Any]

# Where a layout derived from weights (packed for the inner loops) may be kept; its owner empties it
# on any change.
Cache = MutableMapping[Any, Any]
