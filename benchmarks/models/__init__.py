"""Models as people write them for PyTorch, each in a file of its own with `import torch`.

`load(name, library)` runs such a file with its import lines changed to the library, so that
tinyattn and PyTorch run the same text. Every file has `training_step(...)`, which gives a function
that does one step; seq2seq.py is the first to read. seq2seq_jax.py is the same for JAX.
"""

import importlib
import re
import types
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np


@cache
def load(name: str, library: str) -> types.ModuleType:
    """The file models/NAME.py as a module that computes with `library`, "tinyattn" or "torch"."""
    path = Path(__file__).parent / f"{name}.py"
    text = path.read_text(encoding="utf-8")
    if library != "torch":
        text = re.sub(r"^import torch$", f"import {library} as torch", text, flags=re.M)
        text = re.sub(r"^(import|from) torch\b", rf"\1 {library}", text, flags=re.M)
    module = types.ModuleType(f"{name}_with_{library}")
    exec(compile(text, f"{path} with {library}", "exec"), vars(module))
    return module


def sentences(B: int, T: int, V: int) -> tuple[np.ndarray, np.ndarray]:
    """Sources (T, B) of T/2 to T tokens and then padding, 0; targets (T, B)."""
    rng = np.random.default_rng(0)
    lengths = np.sort(rng.integers(T // 2, T + 1, B))[::-1].copy()
    lengths[0] = T
    source, target = rng.integers(3, V, (2, T, B))
    source[np.arange(T)[:, None] >= lengths] = 0
    return source, target


def adam(parameters: Any, library: str, lr: float = 1e-3) -> Any:
    """Adam as fast as the library has it; PyTorch's is slower unless it is asked to be fused."""
    fused = {"fused": True} if library == "torch" else {}
    return importlib.import_module(library).optim.Adam(parameters, lr=lr, **fused)
