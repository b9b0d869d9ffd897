"""A recorded training step beside PyTorch and a compiler: `python -m benchmarks.replay [H ...]`.

The Seq2Seq step of models/seq2seq.py four times: as it is written, with `ta.replay`, in PyTorch,
and written for JAX and compiled whole (`jit`, `lax.scan`; where jax and optax are installed). Every
side runs in a process of its own, and they are asked in turn. A row has the median time of a step,
and the time of the faster of PyTorch and JAX over that of the replay. Look first at `SIDES`.
"""

import argparse
import importlib.util
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable
from statistics import geometric_mean, median
from typing import Any

import numpy as np

from benchmarks.models.seq2seq import PAD, adam, build

SIZES = {64: (32, 8, 300), 128: (64, 10, 1000), 256: (64, 12, 4000), 512: (64, 15, 8000)}  # B T V
Batch = tuple[np.ndarray, np.ndarray]


def batches(H: int, count: int = 4) -> list[Batch]:
    """source (T, B) of T/2 to T tokens, target (T, B)."""
    B, T, V = SIZES[H]
    rng = np.random.default_rng(0)
    found = []
    for _ in range(count):
        lengths = np.sort(rng.integers(T // 2, T + 1, B))[::-1].copy()
        lengths[0] = T
        tokens = rng.integers(3, V, (2, T, B))
        tokens[0][np.arange(T)[:, None] >= lengths] = PAD
        found.append((tokens[0], tokens[1]))
    return found


def written(torch: Any, H: int) -> Callable[..., Any]:
    """The step as a reader would write it, of source and target."""
    V = SIZES[H][2]
    torch.manual_seed(0)
    model = build(torch, V, H)
    optimizer = adam(torch, model.parameters())

    def step(source: Any, target: Any) -> Any:
        logits = model(source, target)
        loss = torch.nn.functional.cross_entropy(
            logits.reshape(-1, V), target.reshape(-1), ignore_index=PAD
        )
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss

    return step


def in_torch(H: int) -> tuple[Callable[..., float], list[Any]]:
    import torch

    torch.set_num_threads(cores())
    step = written(torch, H)
    return (lambda *batch: step(*batch).item()), [
        tuple(torch.tensor(x) for x in batch) for batch in batches(H)
    ]


def in_tinyattn(H: int, replayed: bool = False) -> tuple[Callable[..., float], list[Any]]:
    import tinyattn as ta

    step = written(ta, H)
    if replayed:
        step = ta.replay(step)
    return (lambda *batch: step(*batch).item()), [
        tuple(ta.tensor(x) for x in batch) for batch in batches(H)
    ]


def in_jax(H: int) -> tuple[Callable[..., float], list[Any]]:
    """The same model in arrays and pure functions, which one call of `jit` compiles with gradients,
    clipping and Adam."""
    import jax
    import jax.numpy as jnp
    import optax

    B, _, V = SIZES[H]
    keys = iter(jax.random.split(jax.random.key(0), 20))
    bound = 1 / math.sqrt(H)

    def uniform(*shape: int, bound: float = bound) -> Any:
        return jax.random.uniform(next(keys), shape, minval=-bound, maxval=bound)

    def gru_weights(width: int) -> dict[str, Any]:
        return {"i": uniform(width, 3 * H), "h": uniform(H, 3 * H),
                "bi": uniform(3 * H), "bh": uniform(3 * H)}  # fmt: skip

    parameters = {
        "source": jax.random.normal(next(keys), (V, H)).at[PAD].set(0),
        "target": jax.random.normal(next(keys), (V, H)).at[PAD].set(0),
        "encoder": gru_weights(H),
        "decoder": gru_weights(2 * H),
        "out": uniform(2 * H, V, bound=1 / math.sqrt(2 * H)),
        "bias": uniform(V, bound=1 / math.sqrt(2 * H)),
    }

    def cell(w: dict[str, Any], h: Any, gx: Any) -> Any:
        gh = h @ w["h"] + w["bh"]
        r, z = jnp.split(jax.nn.sigmoid(gx[:, : 2 * H] + gh[:, : 2 * H]), 2, axis=1)
        n = jnp.tanh(gx[:, 2 * H :] + r * gh[:, 2 * H :])
        return (1 - z) * n + z * h

    def lookup(table: Any, index: Any) -> Any:
        rows, padding = table[index], (index == PAD)[..., None]
        return jnp.where(padding, jax.lax.stop_gradient(rows), rows)

    def loss_of(p: dict[str, Any], source: Any, target: Any) -> Any:
        gx = lookup(p["source"], source) @ p["encoder"]["i"] + p["encoder"]["bi"]

        def encode(h: Any, gx: Any) -> Any:
            h = cell(p["encoder"], h, gx)
            return h, h

        hidden, outputs = jax.lax.scan(encode, jnp.zeros((B, H)), gx)
        memory = outputs.transpose(1, 0, 2)
        padding = (source == PAD).T
        w = p["decoder"]
        gx = lookup(p["target"], target) @ w["i"][:H] + w["bi"]

        def decode(h: Any, gx: Any) -> Any:
            scores = jnp.where(padding, -jnp.inf, jnp.einsum("bh,bth->bt", h, memory))
            context = jnp.einsum("bt,bth->bh", jax.nn.softmax(scores), memory)
            h = cell(w, h, gx + context @ w["i"][H:])
            return h, jnp.concatenate([h, context], 1)

        _, states = jax.lax.scan(decode, hidden, gx)
        logits = states @ p["out"] + p["bias"]
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, target)
        kept = target != PAD
        return (losses * kept).sum() / kept.sum()

    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(1e-3))

    def step(p: Any, state: Any, source: Any, target: Any) -> Any:
        loss, gradients = jax.value_and_grad(loss_of)(p, source, target)
        updates, state = optimizer.update(gradients, state)
        return optax.apply_updates(p, updates), state, loss

    compiled = jax.jit(step, donate_argnums=(0, 1))
    now = [parameters, optimizer.init(parameters)]

    def call(source: Any, target: Any) -> float:
        *now[:], loss = compiled(*now, source, target)
        return float(loss)

    return call, [tuple(jnp.asarray(x) for x in batch) for batch in batches(H)]


SIDES: dict[str, Callable[[int], Any]] = {
    "as written": in_tinyattn,
    "replay": lambda H: in_tinyattn(H, True),
    "torch": in_torch,
    "jax": in_jax,
}
NEEDS = {"torch": ("torch",), "jax": ("jax", "optax")}


def cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def work(side: str, H: int) -> None:
    """Inside the process of a side: a line in, how many steps; a line out, seconds a step."""
    step, data = SIDES[side](H)
    for i in range(12):  # compiled, recorded, warm
        step(*data[i % len(data)])
    print("ready", flush=True)
    for line in sys.stdin:
        begin = time.perf_counter()
        for i in range(int(line)):
            step(*data[i % len(data)])
        print((time.perf_counter() - begin) / int(line), flush=True)


def measure(H: int, rounds: int) -> dict[str, float]:
    """The median time of a step for every side."""
    found = [side for side in SIDES if all(map(importlib.util.find_spec, NEEDS.get(side, ())))]
    processes: dict[str, subprocess.Popen[str]] = {}
    times: dict[str, list[float]] = {side: [] for side in found}

    def ask(side: str, steps: int) -> float:
        stdin, stdout = processes[side].stdin, processes[side].stdout
        assert stdin is not None
        assert stdout is not None
        print(steps, file=stdin, flush=True)
        return float(stdout.readline())

    for side in found:  # one after another: they would wait for each other's threads
        processes[side] = process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.replay", "--side", side, str(H)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        if process.stdout.readline() != "ready\n":
            raise RuntimeError(f"the process of {side} ended")
    count = max(2, int(0.15 / ask("replay", 2)))
    for _ in range(rounds):
        for side in found:
            time.sleep(0.1)  # until the last side's threads are asleep
            times[side].append(ask(side, count))
    for process in processes.values():
        assert process.stdin is not None
        process.stdin.close()
        process.wait()
    return {side: median(values) for side, values in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("sizes", nargs="*", type=int, metavar="H", help=f"of {[*SIZES]}")
    parser.add_argument("--rounds", type=int, default=9, help="default: %(default)s")
    parser.add_argument("--side", help=argparse.SUPPRESS)
    args = parser.parse_args()
    sizes = args.sizes or [*SIZES]
    if not set(sizes) <= SIZES.keys():
        parser.error(f"H: expected some of {[*SIZES]}, got {sizes}")
    if args.side:
        work(args.side, sizes[0])
        return
    ratios = []
    print("| Seq2Seq step | " + " | ".join(SIDES) + " | faster of torch, jax / replay |")
    print("|---|" + "---:|" * (len(SIDES) + 1))
    for H in sizes:
        B, T, V = SIZES[H]
        seconds = measure(H, args.rounds)
        others = [seconds[side] for side in NEEDS if side in seconds]
        if others:
            ratios.append(min(others) / seconds["replay"])
        row = [f"{1e3 * seconds[side]:.2f} ms" if side in seconds else "" for side in SIDES]
        row.append(f"**{ratios[-1]:.2f}**" if others else "")
        print(f"| B{B} T{T} H{H} V{V} | " + " | ".join(row) + " |", flush=True)
    if ratios:
        print(f"\ngeometric mean {geometric_mean(ratios):.2f}, worst {min(ratios):.2f}")


if __name__ == "__main__":
    main()
