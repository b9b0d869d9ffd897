"""What an operation saves for its backward, and whether it may still be used.

A backward computes with arrays that its forward has seen. If one of them has been changed in place
since then, the gradients would be wrong, so `check` looks at the versions first.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from tinyattn.autograd.storage import Storage, source_lines

NOTHING: Mapping[Any, Any] = MappingProxyType({})
FREED: Mapping[str, Any] = MappingProxyType({})  # in place of what was saved, after the pass


class Saved:
    """What a node of the graph keeps from its forward."""

    saved: Mapping[str, Any] = NOTHING  # by name
    number: int = 0  # when the forward ran, by the clock
    watched: dict[int, Storage]  # of its inputs and outputs, by the id of the array
    recorded_at: str = ""  # the source line, in anomaly mode
    fingerprints: Sequence[int] = ()  # of what is saved, in anomaly mode

    def save(self, **values: Any) -> None:
        """Keep what backward needs, by name: `self.save(x=x)` here, `self.saved["x"]` there."""
        self.saved = values

    def check(self) -> None:
        """Refuse a backward after what was saved has been freed or changed in place."""
        name = type(self).__name__
        if self.saved is FREED:
            raise RuntimeError(
                f"Trying to backward through the graph a second time: what {name} saved was freed "
                "by the first pass. Pass retain_graph=True to the first backward() or grad()."
            )
        for array in self.saved.values():
            storage = self.watched.get(id(array))
            if storage is not None and storage.changed_last > self.number:
                raise RuntimeError(
                    "one of the variables needed for gradient computation has been modified by an "
                    f"inplace operation: {name} saved a tensor of shape {list(array.shape)}; "
                    f"{storage.changed_by} has since made it version {storage.version}. Clone it "
                    "before the change, or use the operation that makes a new tensor."
                    + source_lines(saved=self.recorded_at, changed=storage.changed_at)
                )
