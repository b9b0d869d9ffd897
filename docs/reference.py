"""Pages of the reference: the public names of each module, from their docstrings."""

import importlib

import tinyattn

MODULES = {
    "tensor": ("Tensor", "tinyattn", ["Tensor"]),
    "functions": ("Functions", "tinyattn", None),
    "nn": ("Modules: nn", "tinyattn.nn", None),
    "functional": ("Functions of modules: nn.functional", "tinyattn.nn.functional", None),
    "init": ("First values: nn.init", "tinyattn.nn.init", None),
    "utils": ("Clipping: nn.utils", "tinyattn.nn.utils", None),
    "rnn": ("Sequences of unequal length: nn.utils.rnn", "tinyattn.nn.utils.rnn", None),
    "prune": ("Pruning: nn.utils.prune", "tinyattn.nn.utils.prune", None),
    "optim": ("Optimisers: optim", "tinyattn.optim", None),
    "schedules": ("Learning rates: optim.lr_scheduler", "tinyattn.optim.lr_scheduler", None),
    "autograd": ("The engine: autograd", "tinyattn.autograd", None),
    "data": ("Batches: utils.data", "tinyattn.utils.data", None),
    "files": ("Files: utils", "tinyattn.utils", None),
    "distributions": ("Distributions", "tinyattn.distributions", None),
    "quantization": ("Quantisation", "tinyattn.quantization", None),
    "text": ("Text and search: text", "tinyattn.text", None),
    "datasets": ("Data sets: datasets", "tinyattn.datasets", None),
    "viz": ("Pictures: viz", "tinyattn.viz", None),
    "learn": ("Exercises: learn", "tinyattn.learn", None),
    "parallel": ("Several processes: parallel", "tinyattn.parallel", None),
}
INDEX = """# Reference

The names of PyTorch, where it has the thing.

```{toctree}
:maxdepth: 1

"""


def reference_pages() -> dict[str, str]:
    """The pages by their names, for the sources of the site."""
    pages = {f"reference/{page}.md": _page(*what) for page, what in MODULES.items()}
    listed = "\n".join(f"reference/{page}" for page in MODULES)
    return {"reference.md": f"{INDEX}{listed}\n```\n", **pages}


def _page(title: str, module: str, names: list[str] | None) -> str:
    found = importlib.import_module(module)
    lines = [f"# {title}", "", "```{eval-rst}", f".. currentmodule:: {module}", ""]
    for name in names or _public(module):
        value = getattr(found, name)
        kind = "class" if isinstance(value, type) else "function" if callable(value) else "data"
        lines.append(f".. auto{kind}:: {module}.{name}")
        if kind == "class":
            lines += ["   :members:", "   :undoc-members:"] if value.__doc__ else []
            if module == "tinyattn.nn" and name != "Module":
                lines.append("   :exclude-members: function, options, extra_repr")
        lines.append("")
    return "\n".join([*lines, "```", ""])


def _public(module: str) -> list[str]:
    """The names of a module that a page of its own does not show."""
    found = importlib.import_module(module)
    names = getattr(found, "__all__", None) or [
        name
        for name, value in vars(found).items()
        if name[0] != "_" and getattr(value, "__module__", "") == module
    ]
    pages = {name for _, name, _ in MODULES.values()}
    return [
        name
        for name in names
        if f"{module}.{name}" not in pages
        and (module, name) != ("tinyattn", "Tensor")
        and not (module != "tinyattn" and _is_class_of_the_front(getattr(found, name)))
    ]


def _is_class_of_the_front(value: object) -> bool:
    return isinstance(value, type) and getattr(tinyattn, value.__name__, None) is value
