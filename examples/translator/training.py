"""The learning loop, `fit`, and the command around it, `train`. Look first at `fit`. Progress bar,
checkpoints and Ctrl-C are not in it: they stand in progress.py and files.py."""

import argparse
import contextlib
import math
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import tinyattn as ta
from tinyattn import parallel
from tinyattn.nn.utils import clip_grad_norm_
from tinyattn.text import UNK, DataError
from translator.data import Data, prepare
from translator.evaluation import report
from translator.files import (
    BEST,
    CHECKPOINT,
    CONFIG,
    EVERY,
    LAST,
    MODEL,
    Progress,
    begun_from,
    go_on,
    new_folder,
    resumed,
    save_model,
    use_best,
    write_config,
    write_curve,
)
from translator.forming import PAGE, write_forming
from translator.model import IdPair, Translator
from translator.options import complete, print_nowhere, require, say
from translator.progress import Run, noted_interrupts
from translator.ranks import loss_of_part

MANY_UNKNOWN = 0.02  # the share of tokens from which on subwords are worth a try


def fit(
    model: Translator, optimizer: ta.optim.Optimizer, args: argparse.Namespace, run: Run
) -> None:
    """Learn from the training pairs until all epochs are done, or the run is interrupted."""
    for step, batch in run.steps():
        model.train()
        share = schedule(step, run.total, args.warmup, args.schedule)
        optimizer.param_groups[0]["lr"] = args.lr * share
        optimizer.zero_grad()
        loss = loss_of_part(model, batch, args)
        loss.backward()
        norm = clip_grad_norm_(model.parameters(), 1.0)
        mean = run.mean(loss.item())
        run.check(batch, mean, norm.item())
        optimizer.step()
        run.after_step(batch, mean)


def schedule(step: int, steps: int, warmup: int, kind: str = "linear") -> float:
    """The share of the peak learning rate at a step: it rises for a while, then falls, to zero or
    with the square root of the step (Vaswani et al. 2017)."""
    if kind == "inverse-sqrt":
        return min(step / warmup, math.sqrt(warmup / step))
    return min(step / warmup, (steps - step + 1) / max(steps - warmup, 1), 1.0)


def unknown_shares(pairs: Sequence[IdPair]) -> tuple[float, float]:
    """The share of the tokens of the sources, and of the targets, that are unknown words."""
    columns = ([id for pair in pairs for id in pair[side]] for side in (0, 1))
    source, target = (ids.count(UNK) / max(len(ids), 1) for ids in columns)
    return source, target


def about(model: Translator, data: Data, args: argparse.Namespace) -> list[str]:
    """What a run begins with, in lines."""
    training, validation, test = data[:3]
    lines = [f"{len(training)} training, {len(validation)} validation, {len(test)} test pairs"]
    if data.repeated:
        lines += [f"left out: {data.repeated} pairs with a source of --valid-data or --test-data"]
    if data.left_out:
        lines += [f"left out: {data.left_out} training pairs longer than {args.max_length} tokens"]
    lines += [f"vocabulary {len(model.source)} x {len(model.target)}, backend {ta.backend().name}"]
    if max(unknown := unknown_shares(validation)) >= MANY_UNKNOWN:
        source, target = (f"{100 * share:.1f} %" for share in unknown)
        lines += [
            f"unknown in validation: {source} of the source tokens, {target} of the target's; "
            "--tokens bpe reads and writes rare words in pieces"
        ]
    if (processes := parallel.get_world_size()) > 1:
        lines += [f"{processes} processes of {ta.get_num_threads()} threads"]
    return lines


def train(args: argparse.Namespace) -> None:
    """Train a model, write it to a folder of its own, and report on the test pairs."""
    stopped = resumed(args) if args.resume is not None else None
    base = begun_from(args)
    complete(args)
    model, data = prepare(args) if base is None else prepare(args, base.model, base.seen)
    optimizer = ta.optim.Adam(model.parameters(), lr=args.lr)
    require("tqdm", "matplotlib", "sacrebleu")
    progress = go_on(stopped, model, optimizer, data) if stopped else Progress()
    first = parallel.get_rank() == 0  # of several processes this one reads and writes for all
    folder = stopped.parent if stopped else Path(args.out)
    if not stopped and first:
        folder = new_folder(folder)
    folder = parallel.broadcast_object(folder)
    try:
        try:
            print("\n".join(about(model, data, args)))
        except BrokenPipeError:  # nobody reads what is printed, but the model is wanted
            print_nowhere()
        started = time.perf_counter()
        with noted_interrupts() as interrupts:
            run = Run(model, optimizer, args, data, folder, progress, interrupts)
            fit(model, optimizer, args, run)
            seconds = time.perf_counter() - started
            if not first:
                return
            if not run.stopped:
                run.look()  # a run that is out of patience ends between two moments
                run.save(LAST)
            best = use_best(model, progress, folder)
            averaged = not run.stopped and run.use_average(best["perplexity"])
            save_model(model, data, folder)
            write_config(args, folder)
            write_curve(progress.curve, folder)
            write_forming(progress.forming, folder)
            if run.stopped:
                say(
                    f"stopped; the best model so far, of step {best['step']}, is in "
                    f"{folder / MODEL}; go on with: {sys.argv[0]} train --resume {folder}"
                )
                sys.exit(130)
    except DataError:
        if (folder / CHECKPOINT).exists():
            say(f"the checkpoint before it is kept: {folder / CHECKPOINT}")
        raise
    finally:
        if first:
            with contextlib.suppress(OSError):
                folder.rmdir()  # which is refused once there is something in it
    for path in (folder / CHECKPOINT, folder / BEST, *folder.glob(EVERY)):
        path.unlink(missing_ok=True)  # there is nothing left to go on with
    if progress.step < run.total:
        print(f"stopped at step {progress.step}: no better validation for {args.patience} times")
    which = f"the mean of the last {args.average}" if averaged else f"those of step {best['step']}"
    print(
        f"trained in {seconds:.0f} s; the best weights are {which} of {run.total} "
        f"(validation perplexity {averaged or best['perplexity']:.3f})"
    )
    print(f"in {folder}: {MODEL} (the best), {LAST}, {CONFIG}, curve.csv, curve.png, {PAGE}")
    if interrupts:  # after the last step, while the files were written
        raise KeyboardInterrupt
    report(model, data.test, folder)
