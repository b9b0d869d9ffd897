"""What quantising and pruning do to a trained translator: `python -m benchmarks.smaller RNN
TRANSFORMER`, two runs of examples/translate.py train, the second one with --model transformer.

Prints size, BLEU and speed with weights of 8 bits, beside PyTorch where it is installed; exact
match against the share of weights that are 0, also as a picture (docs/pruning.svg); and what is
left when whole heads and hidden units are removed. Pruned models are trained on for --steps steps.
"""

import argparse
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import tinyattn as ta
from benchmarks.example import (
    GREEDY,
    Data,
    Translator,
    load_tested,
    loss_of,
    prepare,
    quality,
    quantized,
    save_quantized,
    search,
    train_options,
)
from tinyattn import nn
from tinyattn.nn.utils import prune
from tinyattn.text import BOS, EOS, Batch, batches
from tinyattn.viz import curve_figure

SHARES = (0.0, 0.3, 0.5, 0.6, 0.7, 0.8)
Loader = Callable[[], Translator]


def loader(run: str) -> tuple[Loader, Path, Data]:
    """What gives a trained model anew each time, its file, and the pairs it was trained with."""
    loaded = load_tested(run)
    _, data = prepare(train_options("--config", str(loaded.path.parent / "config.toml")))
    return lambda: load_tested(run).model, loaded.path, data


def ids_of(model: Translator, data: Data, count: int = 1000) -> list[Batch]:
    """The test sentences in batches of 64, as ids."""
    sources = list(dict.fromkeys(source for source, _ in data.test))[:count]
    pairs = [(model.source.encode(model.read.tokenize(source)), ()) for source in sources]
    return list(batches(pairs, 64))


def seconds(runs: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """The median processor time of each, measured in turn on one thread."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(rounds + 1):
        for name, run in runs.items():
            started = time.process_time()
            run()
            if number:  # the first one warms up
                times[name].append(time.process_time() - started)
    return {name: float(np.median(some)) for name, some in times.items()}


def ours(model: Translator, test: list[Batch]) -> Callable[[], object]:
    model.eval()
    return lambda: [search(model.model, batch, GREEDY) for batch in test]


def theirs(model: Translator, test: list[Batch]) -> dict[str, Callable[[], object]]:
    """The same search by PyTorch with the same weights, in float32 and quantised."""
    try:
        from benchmarks.smaller_torch import searches
    except ImportError:
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch says that its quantisation will move
        return searches(model, test, BOS, EOS)


def quantise(run: str, rounds: int) -> None:
    load, path, data = loader(run)
    whole, small = load(), quantized(load())
    file, test = save_quantized(small, path.parent), ids_of(whole, data)
    ta.save(dict(whole.state_dict()), path.parent / "whole.safetensors")
    weights = (path.parent / "whole.safetensors").stat().st_size
    (path.parent / "whole.safetensors").unlink()
    print(f"\n{path}: {weights} bytes of weights; {file}: {file.stat().st_size} bytes in all,")
    print(f"{file.stat().st_size / path.stat().st_size:.3f} of {path.name}")
    for name, model in (("float32", whole), ("int8", small)):
        found = quality(model, data.test)
        print(f"{name}: BLEU {found.bleu:.2f}, exact match {100 * found.exact:.1f} %")
    taken = seconds(
        {"ours": ours(whole, test), "ours int8": ours(small, test), **theirs(whole, test)}, rounds
    )
    count = sum(len(batch.lengths) for batch in test)
    for name, time_taken in taken.items():
        print(f"{name}: {count / time_taken:.0f} sentences/s, {taken['ours'] / time_taken:.2f}")


def train_on(model: Translator, data: Data, steps: int) -> None:
    """So many steps of Adam, with a learning rate that falls from 0.002 to 0."""
    optimizer = ta.optim.Adam(model.parameters(), lr=2e-3)
    model.train()
    for step, batch in zip(range(steps), batches(data.training, 64, 1, 0), strict=False):
        optimizer.param_groups[0]["lr"] = 2e-3 * (1 - step / steps)
        optimizer.zero_grad()
        loss_of(model, batch).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    model.eval()


def exact(model: Translator, data: Data) -> float:
    """Per cent of 500 test sentences."""
    return 100 * quality(model, data.test[:500]).exact


def weights_of(model: nn.Module) -> list[tuple[nn.Module, str]]:
    """All matrices of a model, with the modules that they belong to."""
    return [
        (module, name)
        for module in model.modules()
        for name, param in module.named_parameters(recurse=False)
        if param.ndim == 2 and "weight" in name
    ]


def pruned(run: str, steps: int, picture: Path) -> None:
    load, path, data = loader(run)
    print(f"\n{path}: share of zeros, exact match in % at once, after {steps} steps of training")
    curves: dict[str, list[float]] = {"exact match, pruned": [], "trained on": []}
    for share in SHARES:
        model = load().eval()
        prune.global_unstructured(weights_of(model), prune.L1Unstructured, amount=share)
        curves["exact match, pruned"].append(exact(model, data))
        train_on(model, data, steps)
        curves["trained on"].append(exact(model, data))
        print(f"{share}: {curves['exact match, pruned'][-1]:.1f}, {curves['trained on'][-1]:.1f}")
    curve_figure(SHARES, curves, "share of weights that are 0").save(picture)
    print(f"picture: {picture}")


def reading(model: Translator, pairs: list[Batch]) -> Callable[[], object]:
    """All scores of the right translations."""

    def run() -> None:
        with ta.no_grad():
            for batch in pairs:
                model(batch)

    return run


def shrunk(run: str, steps: int, rounds: int) -> None:
    load, path, data = loader(run)
    models: dict[str, Translator] = {"whole": load()}
    for share in (0.5, 0.75):
        model = models[f"{100 * share:.0f} % of heads and units removed"] = load()
        for module in model.modules():
            if isinstance(module, nn.MultiheadAttention):
                nn.shrink.heads(module, share)
            elif isinstance(module, nn.Sequential):
                nn.shrink.hidden_units(module[0], module[3], share)
        at_once = exact(model, data)
        train_on(model, data, steps)
        print(f"\n{share} removed: exact match {at_once:.1f} % at once")
    # A search takes longer where a model has not learnt to end, so right translations are read.
    pairs = list(batches(data.validation, 64))
    taken = seconds({name: reading(model, pairs) for name, model in models.items()}, rounds)
    print(f"{path}, after {steps} steps of training:")
    for name, model in models.items():
        blocks = sum(p.numel() for n, p in model.named_parameters() if "embedding" not in n)
        print(
            f"{name}: {blocks} numbers beside the embeddings, exact match "
            f"{exact(model, data):.1f} %, {taken['whole'] / taken[name]:.2f} times as fast"
        )


def main(arguments: list[str]) -> None:
    top = argparse.ArgumentParser(description=__doc__)
    top.add_argument("rnn", help="a run of translate.py train")
    top.add_argument("transformer", help="a run of translate.py train --model transformer")
    top.add_argument("--steps", type=int, default=300, help="of training after pruning")
    top.add_argument("--rounds", type=int, default=9, help="of each measurement of speed")
    top.add_argument("--picture", type=Path, default=Path("docs/pruning.svg"))
    top.add_argument("--only", choices=("quantise", "prune", "shrink"))
    args = top.parse_args(arguments)
    jobs: dict[str, Callable[[], Any]] = {
        "quantise": lambda: [quantise(run, args.rounds) for run in (args.rnn, args.transformer)],
        "prune": lambda: pruned(args.rnn, args.steps, args.picture),
        "shrink": lambda: shrunk(args.transformer, args.steps, args.rounds),
    }
    threads = ta.get_num_threads()
    ta.set_num_threads(1)  # processor time on one thread says the most on a busy machine
    try:
        for name, job in jobs.items():
            if args.only in (None, name):
                job()
    finally:
        ta.set_num_threads(threads)


if __name__ == "__main__":
    main(sys.argv[1:])
