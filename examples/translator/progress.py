"""What happens between the steps of training: progress bar, validation, checkpoints, Ctrl-C.

Look first at `Run`, and at its calls in training.py.
"""

import argparse
import contextlib
import math
import signal
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate, chain, islice
from pathlib import Path
from typing import Any

import tinyattn as ta
from tinyattn import parallel
from tinyattn.text import PAD, Batch, DataError, batches, count_batches
from translator.data import Data
from translator.files import BEST, CHECKPOINT, EVERY, Progress, save_checkpoint
from translator.forming import Watched, moments
from translator.model import Translator
from translator.options import say
from translator.ranks import loss_of_part
from translator.scores import perplexity

ROWS = 20  # of the curve, about


class Run:
    """A training on its way: where it stands, and what it writes to its folder.

    It ends early, and is `stopped` then, once there is something in `interrupts`.
    """

    stopped = False
    noted = False  # Ctrl-C in one of several processes, of which all know

    def __init__(
        self,
        model: Translator,
        optimizer: ta.optim.Optimizer,
        args: argparse.Namespace,
        data: Data,
        folder: Path,
        progress: Progress,
        interrupts: Sequence[Any] = (),
    ) -> None:
        self.model, self.optimizer, self.args = model, optimizer, args
        self.folder, self.progress, self.interrupts = folder, progress, interrupts
        self.data = data
        self.order = [(data.training, args.batch, args.seed, epoch) for epoch in range(args.epochs)]
        self.ends = list(accumulate(count_batches(*epoch) for epoch in self.order))
        self.total = self.ends[-1]  # steps
        self.watched, self.moments = Watched(model, data.validation), moments(self.total)
        self.tokens = 0
        # Gradients are means over the processes; with one process this does nothing.
        self.shared = parallel.DistributedDataParallel(model)

    def steps(self) -> Iterator[tuple[int, Batch]]:
        """The steps that are left, counted from 1, each with its batch, behind a progress bar."""
        from tqdm import tqdm

        done = self.progress.step
        epoch = bisect_right(self.ends, done)
        into = done - (self.ends[epoch - 1] if epoch else 0)
        left = chain.from_iterable(batches(*epoch) for epoch in self.order[epoch:])
        with tqdm(
            total=self.total,
            initial=done,
            unit="batch",
            dynamic_ncols=True,
            disable=parallel.get_rank() > 0,
        ) as self.bar:
            for step, batch in enumerate(islice(left, into, None), start=done + 1):
                self.random = ta.get_rng_state()
                yield step, batch
                if self.noted if parallel.get_world_size() > 1 else self.interrupts:
                    self.stop()
                if self.stopped or self.out_of_patience():
                    break

    def out_of_patience(self) -> bool:
        """Whether the last validations, as many as --patience says, gave nothing better."""
        curve = self.progress.curve
        if not curve or self.args.patience is None:
            return False
        return len(curve) - 1 - curve.index(self.progress.best()) >= self.args.patience

    def mean(self, loss: float) -> float:
        """The mean over the processes of a loss; they also tell each other of Ctrl-C."""
        told = parallel.all_gather_object((loss, len(self.interrupts)))
        self.noted = any(notes for _, notes in told)
        return sum(loss for loss, _ in told) / len(told)

    def check(self, batch: Batch, loss: float, norm: float) -> None:
        """Stop a training whose loss or gradient is not finite, and say where that came from."""
        if math.isfinite(loss + norm):
            return
        self.bar.close()
        step = self.progress.step + 1
        with self.shared.no_sync():
            found, lines = explain(self.model, batch, self.args, self.random)
        told = parallel.all_gather_object((found, lines))
        for line in next((lines for found, lines in told if found), lines):
            say(line)
        raise DataError(
            f"step {step} of {self.total}: expected a finite loss and gradient, "
            f"got loss {loss:g}, gradient norm {norm:g}; try an --lr below {self.args.lr:g}"
        )

    def after_step(self, batch: Batch, loss: float) -> None:
        """One step more on the progress bar; validation and checkpoints where they are due."""
        progress = self.progress
        progress.step += 1
        progress.losses.append(loss)
        self.tokens += int((batch.target_out != PAD).sum()) + int(batch.lengths.sum())
        self.bar.update()
        if progress.step in self.moments:
            self.look()
        every = max(self.total // ROWS, 1)
        if progress.step % every == 0 or progress.step == self.total:
            self.validate()
            if progress.best() is progress.curve[-1]:
                self.save(BEST)
            if self.args.average:
                self.keep_weights()
        if progress.step % self.args.save_every == 0:
            self.save(CHECKPOINT)

    def look(self) -> None:
        """One more moment of how the alignment forms, unless this step has one."""
        step, seen = self.progress.step, self.progress.forming
        if not seen or seen[-1]["step"] != step:
            moment = self.watched.moment(step)
            seen += [] if moment is None else [moment]

    def stop(self) -> None:
        """End between two steps: a checkpoint to go on from, and the curve up to here.

        The checkpoint lacks the row that is new now, as a run that was never stopped does.
        """
        self.stopped = True
        self.save(CHECKPOINT)
        if self.progress.losses:
            self.validate()

    def validate(self) -> None:
        """One more row of the curve."""
        progress = self.progress
        loss = sum(progress.losses) / len(progress.losses)
        valid = perplexity(self.model, self.data.validation, shared=True)
        progress.losses = []
        progress.curve.append({"step": progress.step, "loss": loss, "perplexity": valid})
        if self.bar.disable:
            return
        speed = self.tokens / self.bar.format_dict["elapsed"]
        self.bar.set_postfix_str(f"loss {loss:.3f}, valid ppl {valid:.2f}, {speed:.0f} tokens/s")

    def keep_weights(self) -> None:
        """Write the weights of this validation, and leave no more than --average asks for."""
        if parallel.get_rank():
            return
        weights = dict(self.model.state_dict())
        ta.save(weights, self.folder / EVERY.replace("*", f"{self.progress.step:09}"))
        for old in sorted(self.folder.glob(EVERY))[: -self.args.average]:
            old.unlink()

    def use_average(self, best: float) -> float | None:
        """Give the model the mean of the weights that were kept, if that is better in validation
        than `best`; returns its perplexity then."""
        paths = sorted(self.folder.glob(EVERY))
        if not paths:
            return None
        before = {name: weight.clone() for name, weight in self.model.state_dict().items()}
        kept = [ta.load(path) for path in paths]
        self.model.load_state_dict(
            {name: sum(weights[name] for weights in kept) / len(kept) for name in before}
        )
        found = perplexity(self.model, self.data.validation)
        if found < best:
            return found
        self.model.load_state_dict(before)
        return None

    def save(self, name: str) -> None:
        """Write a checkpoint of this name; of several processes the first does it."""
        if parallel.get_rank():
            return
        path = self.folder / name
        save_checkpoint(path, self.model, self.optimizer, self.args, self.data, self.progress)


@contextlib.contextmanager
def noted_interrupts() -> Iterator[list[int]]:
    """Ctrl-C only leaves a note in this list: no step stays half done, and no file half written.

    After an error the program ends, and a late Ctrl-C doesn't cut that short: it is ignored.
    """
    notes: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: notes.append(number))
    try:
        yield notes
    except BaseException:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        raise
    signal.signal(signal.SIGINT, before)


def explain(
    model: Translator, batch: Batch, args: argparse.Namespace, random: ta.Tensor
) -> tuple[bool, list[str]]:
    """Which sentences gave no finite loss or gradient, and where anomaly mode, in the same step
    with the same random numbers, finds the first number that isn't finite; whether it finds one."""
    lines = ["sentences of the batch without a finite loss or gradient:"]
    for source, target in zip(batch.source, batch.target_out, strict=True):
        sides = ((model.source, source), (model.target, target))
        lines.append("\t".join(" ".join(vocab.decode(ids)) for vocab, ids in sides))
    ta.set_rng_state(random)
    model.zero_grad()
    try:
        with ta.autograd.detect_anomaly():
            loss_of_part(model, batch, args).backward()
    except RuntimeError as error:
        return True, [*lines, f"anomaly mode: {error}"]
    return False, [*lines, "anomaly mode: every result and gradient is finite; their norm is not"]
