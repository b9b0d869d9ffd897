"""Train, evaluate and use a translator with attention, Chinese to English unless the data says
otherwise.

    python examples/translate.py                         train on the built-in corpus, then report
    python examples/translate.py train --data FILE       train on lines of source TAB target
    python examples/translate.py train --model transformer
    python examples/translate.py train --resume          go on with a run that was stopped
    python examples/translate.py evaluate                report on the model trained last
    python examples/translate.py translate 我喜欢看书。     translate (a sentence, --file, or stdin)

The models stand whole in translator_rnn.py and translator_transformer.py; this file is the program
around them: text, training, evaluation, files, the command line.
"""

import argparse
import contextlib
import csv
import hashlib
import importlib
import math
import os
import signal
import sys
import time
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import accumulate, chain, islice
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, NoReturn

import numpy as np
from translator_rnn import RNN
from translator_transformer import Transformer

import tinyattn as ta
import tinyattn.nn as nn
import tinyattn.nn.functional as F
from tinyattn.datasets import everyday
from tinyattn.nn.utils import clip_grad_norm_
from tinyattn.text import (
    PAD,
    TOKENISERS,
    UNK,
    Batch,
    DataError,
    Vocab,
    batches,
    count_batches,
    greedy,
    guess_tokeniser,
    lines_of,
    read_pairs,
    split_by_source,
)  # fmt: skip
from tinyattn.viz import attention_figure, attention_text, curve_figure

MODELS: dict[str, Any] = {"rnn": RNN, "transformer": Transformer}
CHECKPOINT = "checkpoint.safetensors"  # the last, to go on with
BEST = "best.safetensors"  # that of the lowest perplexity in validation

# What has to be known to build a model again and to find its test pairs, beside the options of its
# own kind: a type, or the choices.
OPTIONS: dict[str, Any] = {
    "model": tuple(MODELS),
    "hidden": int,
    "dropout": float,
    "source_tokens": tuple(TOKENISERS),
    "target_tokens": tuple(TOKENISERS),
    "min_count": int,
    "data": str | None,
    "swap": bool,
    "pairs": int,
    "valid": int,
    "test": int,
    "seed": int,
    "fingerprint": str,
}


# From text to text. Letters: B sentences, Ts and Tt source and target tokens, V vocabulary.


class Translator(nn.Module):
    """A model with the vocabularies and tokenisers that lead in and out."""

    def __init__(self, options: dict[str, Any], source: Vocab, target: Vocab) -> None:
        super().__init__()
        self.model = MODELS[options["model"]](options, len(source), len(target))
        self.options, self.source, self.target = options, source, target

    def forward(self, batch: Batch) -> ta.Tensor:
        """The scores (Tt, B, V) of the target tokens, each after the right ones before it."""
        return self.model(batch)

    def ids(self, pairs: Sequence[tuple[str, str]]) -> list[tuple[list[int], list[int]]]:
        read = TOKENISERS[self.options["source_tokens"]].tokenize
        write = TOKENISERS[self.options["target_tokens"]].tokenize
        return [(self.source.encode(read(s)), self.target.encode(write(t))) for s, t in pairs]

    def translate(self, sentences: Sequence[str]) -> list[tuple[str, np.ndarray, list[str]]]:
        """For each sentence its translation, attention weights (Tq, Ts) and target tokens."""
        results: list[Any] = [("", np.zeros((0, 0)), [])] * len(sentences)  # of an empty sentence
        write = TOKENISERS[self.options["target_tokens"]].detokenize
        pairs = self.ids([(sentence, "") for sentence in sentences])
        self.eval()
        for batch in batches(pairs, 64):
            with ta.no_grad():
                state = self.model.start(batch)
            found = greedy(self.model.next, state, batch.lengths)
            for place, one, length in zip(batch.index, found, batch.lengths, strict=True):
                tokens = self.target.decode(one.ids)
                results[place] = (write(tokens), one.weights[:, :length], tokens)
        return results


def loss_of(model: Translator, batch: Batch, smoothing: float = 0.0) -> tuple[ta.Tensor, int]:
    """The mean cross-entropy of the target tokens, padding left out, and their number."""
    scores = model(batch).flatten(0, 1)
    gold = ta.from_numpy(batch.target_out.T.reshape(-1))
    loss = F.cross_entropy(scores, gold, ignore_index=PAD, label_smoothing=smoothing)
    return loss, int((batch.target_out != PAD).sum())


# Training


@dataclass
class Progress:
    """Where training stands, beside weights, optimiser and random numbers."""

    step: int = 0
    losses: list[float] = field(default_factory=list)  # since the curve's last row
    curve: list[dict] = field(default_factory=list)
    best: float = math.inf  # perplexity on the validation pairs


def train(args: argparse.Namespace) -> None:
    stopped = resumed(args) if args.resume is not None else None
    complete(args)
    pairs = all_pairs(args.data, args.swap, args.pairs)
    try:
        parts = split_by_source(pairs, args.valid, args.test, seed=args.seed)
    except DataError as error:
        origin = args.data or "the built-in corpus"
        raise DataError(f"{origin}: {error}; lower --valid and --test") from None
    options = {**options_of(args, parts[0]), "fingerprint": fingerprint(pairs)}
    ta.manual_seed(args.seed)
    model = new_model(options, parts[0])
    optimizer = ta.optim.Adam(model.parameters(), lr=args.lr)
    training, validation = map(model.ids, parts[:2])
    require("tqdm", "matplotlib", "sacrebleu")
    if stopped:
        progress = go_on(stopped, model, optimizer)
        folder = stopped.parent
    else:
        progress = Progress()
        folder = new_folder(Path(args.out))
    try:
        print(f"{len(parts[0])} training, {len(parts[1])} validation, {len(parts[2])} test pairs")
        print(f"vocabulary {len(model.source)} x {len(model.target)}, backend {ta.backend().name}")
        started = time.perf_counter()
        # Ctrl-C only leaves a note here: no step stays half done, and no file half written.
        interrupts: list[int] = []
        before = signal.signal(signal.SIGINT, lambda number, _: interrupts.append(number))

        def save(name: str) -> None:
            save_checkpoint(folder / name, model, optimizer, args, progress)

        fit(model, optimizer, args, training, validation, progress, save, interrupts)
        seconds = time.perf_counter() - started
        save_model(model, folder)
        write_curve(progress.curve, folder)
    except DataError:
        if (folder / CHECKPOINT).exists():
            say(f"the checkpoint before it is kept: {folder / CHECKPOINT}")
        raise
    finally:
        with contextlib.suppress(OSError):
            folder.rmdir()  # which is refused once there is something in it
    if interrupts:
        say(
            f"stopped; the model so far is in {folder / 'model.safetensors'}; "
            f"go on with: {sys.argv[0]} train --resume {folder}"
        )
        sys.exit(130)
    signal.signal(signal.SIGINT, before)
    (folder / CHECKPOINT).unlink(missing_ok=True)  # there is nothing left to go on with
    print(f"trained in {seconds:.0f} s; in {folder}: model.safetensors, curve.csv, curve.png")
    report(model, parts[2], folder)


def all_pairs(data: str | None, swap: bool, count: int) -> list[tuple[str, str]]:
    """The pairs of a file, or `count` of the built-in corpus; swapped: the second column first."""
    if data:
        return read_pairs(data, swap)
    return [(t, s) if swap else (s, t) for s, t in everyday.generate(count, seed=0)]


def fingerprint(pairs: Sequence[tuple[str, str]]) -> str:
    """Tells whether pairs are those of training, which the split depends on."""
    return hashlib.sha256(repr(pairs).encode()).hexdigest()[:16]


def options_of(args: argparse.Namespace, pairs: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """All options of the model but the fingerprint, for these training pairs."""
    names = (*OPTIONS, *MODELS[args.model].options)
    options = {name: getattr(args, name) for name in names if name != "fingerprint"}
    if args.data:
        options["data"] = str(Path(args.data).resolve())
    for side, name in enumerate(("source_tokens", "target_tokens")):
        if options[name] == "auto":
            options[name] = guess_tokeniser(pair[side] for pair in pairs)
    return options


def new_model(options: dict[str, Any], pairs: Sequence[tuple[str, str]]) -> Translator:
    vocabs = []
    for side, name in enumerate(("source_tokens", "target_tokens")):
        tokenize = TOKENISERS[options[name]].tokenize
        vocabs.append(Vocab.build((tokenize(pair[side]) for pair in pairs), options["min_count"]))
    return Translator(options, *vocabs)


def fit(
    model: Translator,
    optimizer: ta.optim.Optimizer,
    args: argparse.Namespace,
    training: Any,
    validation: Any,
    progress: Progress,
    save: Callable[[str], None] = lambda name: None,
    interrupts: Sequence[int] = (),
) -> None:
    """A learning rate that rises for a while, then falls to zero, until all epochs are done or
    there is an interrupt. `save` writes a checkpoint of this name."""
    from tqdm import tqdm

    order = [(training, args.batch, args.seed, epoch) for epoch in range(args.epochs)]
    ends = list(accumulate(count_batches(*of_epoch) for of_epoch in order))
    steps = ends[-1]
    every = max(steps // 20, 1)
    epoch = bisect_right(ends, progress.step)
    done = progress.step - (ends[epoch - 1] if epoch else 0)
    epochs = (batches(*of_epoch) for of_epoch in order[epoch:])
    tokens = 0
    with tqdm(total=steps, initial=progress.step, unit="batch", dynamic_ncols=True) as bar:

        def measure() -> None:
            """One more row of the curve."""
            mean = sum(progress.losses) / len(progress.losses)
            valid = perplexity(model, validation)
            progress.losses = []
            progress.curve.append({"step": progress.step, "loss": mean, "perplexity": valid})
            speed = tokens / bar.format_dict["elapsed"]
            bar.set_postfix_str(f"loss {mean:.3f}, valid ppl {valid:.2f}, {speed:.0f} tokens/s")

        for batch in islice(chain.from_iterable(epochs), done, None):
            model.train()
            step = progress.step + 1
            rate = min(step / args.warmup, (steps - step + 1) / max(steps - args.warmup, 1))
            optimizer.param_groups[0]["lr"] = args.lr * min(rate, 1.0)
            random = ta.get_rng_state()
            loss, count = loss_of(model, batch, args.smoothing)
            optimizer.zero_grad()
            loss.backward()
            norm = clip_grad_norm_(model.parameters(), 1.0).item()
            if not math.isfinite(loss.item() + norm):
                bar.close()
                explain(model, batch, args.smoothing, random)
                raise DataError(
                    f"step {step} of {steps}: expected a finite loss and gradient, got loss "
                    f"{loss.item():g}, gradient norm {norm:g}; try an --lr below {args.lr:g}"
                )
            optimizer.step()
            progress.step = step
            progress.losses.append(loss.item())
            tokens += count + int(batch.lengths.sum())
            bar.update()
            planned = step % every == 0 or step == steps
            if planned:
                measure()
                if progress.curve[-1]["perplexity"] < progress.best:
                    progress.best = progress.curve[-1]["perplexity"]
                    save(BEST)
            if interrupts or step % args.save_every == 0:
                save(CHECKPOINT)
            if interrupts:
                if not planned:  # not in the checkpoint: a run never stopped has no such row
                    measure()
                break


def explain(model: Translator, batch: Batch, smoothing: float, random: ta.Tensor) -> None:
    """Say which sentences gave no finite loss or gradient, and where anomaly mode, in the same step
    with the same random numbers, finds the first number that isn't finite."""
    say("sentences of the batch without a finite loss or gradient:")
    for source, target in zip(batch.source, batch.target_out, strict=True):
        sides = ((model.source, source), (model.target, target))
        say("\t".join(" ".join(vocab.decode(ids)) for vocab, ids in sides))
    ta.set_rng_state(random)
    model.zero_grad()
    try:
        with ta.autograd.detect_anomaly():
            loss_of(model, batch, smoothing)[0].backward()
        say("anomaly mode: every result and gradient is finite; their norm is not")
    except RuntimeError as error:
        say(f"anomaly mode: {error}")


def write_curve(curve: list[dict], folder: Path) -> None:
    with open(folder / "curve.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["step", "loss", "perplexity"])
        writer.writeheader()
        writer.writerows(curve)
    columns = {name: [row[name] for row in curve] for name in ("loss", "perplexity")}
    figure = curve_figure([row["step"] for row in curve], columns, "step")
    figure.savefig(folder / "curve.png")


# Evaluation


def perplexity(model: Translator, ids: Any) -> float:
    """exp of the mean cross-entropy of a target token, given the right ones before it."""
    model.eval()
    total, count = 0.0, 0
    with ta.no_grad():
        for batch in batches(ids, 128):
            loss, tokens = loss_of(model, batch)
            total, count = total + loss.item() * tokens, count + tokens
    mean = total / count
    return math.exp(mean) if mean < 700 else math.inf  # a model that ran away


class Quality(NamedTuple):
    """What a model makes of pairs: a hypothesis for each source, which may have many references."""

    references: dict[str, list[str]]
    hypotheses: list[str]
    exact: float  # the share of hypotheses that are one of their references
    bleu: float
    signature: str  # how BLEU was computed


def quality(model: Translator, pairs: Sequence[tuple[str, str]]) -> Quality:
    from sacrebleu.metrics import BLEU

    references = defaultdict(list)
    for source, target in pairs:
        references[source].append(target)
    hypotheses = [text for text, _, _ in model.translate(list(references))]
    width = max(map(len, references.values()))
    streams = [[r[i] if i < len(r) else None for r in references.values()] for i in range(width)]
    chinese = model.options["target_tokens"] == "char"
    bleu = BLEU(tokenize="zh" if chinese else "13a")
    score = bleu.corpus_score(hypotheses, streams).score
    matches = sum(h in r for h, r in zip(hypotheses, references.values(), strict=True))
    exact = matches / len(hypotheses)
    return Quality(references, hypotheses, exact, score, str(bleu.get_signature()))


def report(
    model: Translator,
    pairs: Sequence[tuple[str, str]],
    folder: Path,
    title: str = "sentences never trained on",
) -> None:
    """Perplexity, BLEU, exact match with any reference, ten examples, an attention map."""
    found = quality(model, pairs)
    sources = list(found.references)
    print(f"\non {len(sources)} {title}:")
    print(f"gold-prefix perplexity: {perplexity(model, model.ids(pairs)):.3f}")
    print(f"BLEU: {found.bleu:.1f}  ({found.signature})")
    print(f"exact match: {100 * found.exact:.1f} %\n")
    for source, hypothesis in list(zip(sources, found.hypotheses, strict=True))[:10]:
        meant = found.references[source]
        mark = "" if hypothesis in meant else f"   (meant: {meant[0]})"
        print(f"  {source}  ->  {hypothesis}{mark}")
    show_attention(model, sources[0], folder)


def show_attention(model: Translator, sentence: str, folder: Path) -> None:
    ((_, weights, tokens),) = model.translate([sentence])
    source = TOKENISERS[model.options["source_tokens"]].tokenize(sentence)
    target = [*tokens, "<eos>"][: len(weights)]
    print(f"\n{attention_text(weights, source, target)}\n")
    path = unused(folder / "attention", ".png")
    try:
        attention_figure(weights, source, target).savefig(path)
    except (OSError, RuntimeError) as error:  # no room for it, or no font that has Chinese
        say(f"{path}: no attention map: {error}")
    else:
        print(f"attention map: {path}")


def evaluate(args: argparse.Namespace) -> None:
    model, path = load_model(args.model)
    require("matplotlib", "sacrebleu")
    if args.data:
        pairs = read_pairs(args.data, args.swap)
        report(model, pairs, path.parent, f"sentences of {args.data}")
        return
    options = model.options
    pairs = all_pairs(options["data"], options["swap"], options["pairs"])
    if fingerprint(pairs) != options["fingerprint"]:
        raise DataError(
            f"{options['data'] or 'the built-in corpus'}: expected the pairs that {path} was "
            "trained on, got others; give --data"
        )
    parts = split_by_source(pairs, options["valid"], options["test"], options["seed"])
    report(model, parts[2], path.parent)


# Translation


def translate(args: argparse.Namespace) -> None:
    if args.sentence and args.file:
        raise DataError("expected a sentence or --file, got both")
    model, _ = load_model(args.model)
    if args.sentence:
        print(*checked_translations(model, [("sentence", " ".join(args.sentence))]))
    elif args.file:
        with open(args.file, "rb") as file:
            print(*checked_translations(model, sentences_of(file, args.file)), sep="\n")
    else:
        for line in sentences_of(sys.stdin.buffer, "standard input"):
            print(*checked_translations(model, [line]))


def sentences_of(file: BinaryIO, name: str) -> Iterator[tuple[str, str]]:
    """The lines of a file, each with its place (name:number); at least one."""
    lines = lines_of(file, name)
    first = next(lines, None)
    if first is None:
        raise DataError(f"{name}: expected a sentence a line, got nothing")
    yield first
    yield from lines


def checked_translations(model: Translator, lines: Iterable[tuple[str, str]]) -> list[str]:
    """The translations of sentences that come with their places; all are checked first."""
    sentences = []
    for place, sentence in lines:
        ((ids, _),) = model.ids([(sentence, "")])
        if not ids:
            raise DataError(f"{place}: expected a sentence, got an empty line")
        if all(i == UNK for i in ids):
            raise DataError(
                f"{place}: expected words of the training data, got {sentence.strip()!r:.40}"
            )
        sentences.append(sentence)
    return [text for text, _, _ in model.translate(sentences)]


# Files


def unused(name: Path, suffix: str = "") -> Path:
    """The first of name, name-2, name-3, ... (with the suffix) that doesn't exist."""
    path, number = Path(f"{name}{suffix}"), 1
    while path.exists():
        number += 1
        path = Path(f"{name}-{number}{suffix}")
    return path


def new_folder(wanted: Path) -> Path:
    """A folder of its own for every run, so that none overwrites another."""
    folder = unused(wanted)
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise DataError(f"{folder}: expected a folder to write to: {error.strerror}") from None
    return folder


def save_checkpoint(
    path: Path,
    model: Translator,
    optimizer: ta.optim.Optimizer,
    args: argparse.Namespace,
    progress: Progress,
) -> None:
    ta.save_checkpoint(
        path,
        model,
        optimizer,
        arguments={**vars(args), "data": model.options["data"], "resume": None},
        options=model.options,
        source=model.source.to_list(),
        target=model.target.to_list(),
        progress=asdict(progress),
    )


def resumed(args: argparse.Namespace) -> Path:
    """The checkpoint to go on with, whose arguments become ours; others that are given must be
    the same, but for those that change no number."""
    path = Path(args.resume) if args.resume else newest_checkpoint(args.out)
    if path.is_dir():
        path = path / CHECKPOINT
    saved = read_checkpoint(path)["arguments"]
    usual = vars(parser().parse_args(["train"]))
    if saved.keys() != usual.keys():
        raise DataError(f"{path}: expected a checkpoint of this program, of this version")
    for name, value in vars(args).items():
        if value == usual[name]:
            setattr(args, name, saved[name])
        elif name not in ("data", "out", "resume", "save_every") and value != saved[name]:
            option = name.replace("_", "-")
            raise DataError(f"--{option}: expected {saved[name]}, as in {path}, got {value}")
    return path


def read_checkpoint(path: Path) -> dict[str, Any]:
    wanted = {"arguments": dict, "options": dict, "source": list, "target": list, "progress": dict}
    try:
        return checked(ta.load_checkpoint(path), wanted)
    except FileNotFoundError:
        raise DataError(f"{path}: expected a checkpoint, found no file") from None
    except (TypeError, ValueError) as error:
        raise DataError(f"{path}: {str(error).removeprefix(f'{path}: ')}") from None


def go_on(path: Path, model: Translator, optimizer: ta.optim.Optimizer) -> Progress:
    """Put model, optimiser and random numbers where the checkpoint has them."""
    saved = read_checkpoint(path)
    if saved["options"].get("fingerprint") != model.options["fingerprint"]:
        raise DataError(f"{path}: expected the pairs it was trained on, got others")
    try:
        ta.load_checkpoint(path, model, optimizer)
        kinds = {"step": int, "losses": list, "curve": list, "best": float}
        progress = Progress(**checked(saved["progress"], kinds))
    except (TypeError, ValueError) as error:
        raise DataError(f"{path}: {str(error).removeprefix(f'{path}: ')}") from None
    for left in path.parent.glob(".*.tmp"):  # of a save that was killed
        left.unlink()
    return progress


def save_model(model: Translator, folder: Path) -> None:
    path = folder / "model.safetensors"
    ta.save(
        {
            "options": model.options,
            "source": model.source.to_list(),
            "target": model.target.to_list(),
            "model": dict(model.state_dict()),
        },
        path,
    )


def load_model(name: str | None) -> tuple[Translator, Path]:
    path = Path(name) if name else newest_model()
    if path.is_dir():
        path = path / "model.safetensors"
    try:
        saved = ta.load(path)
        if isinstance(saved, dict) and "rest" in saved:  # a checkpoint
            saved = {**ta.load_checkpoint(path), "model": saved["model"]}
        saved = checked(saved, {"options": dict, "source": list, "target": list, "model": dict})
        options = checked(saved["options"], OPTIONS)
        checked(options, MODELS[options["model"]].options)
        model = Translator(options, Vocab(saved["source"]), Vocab(saved["target"]))
        model.load_state_dict(saved["model"])
    except FileNotFoundError:
        raise DataError(f"{path}: expected a model that `train` saved, found no file") from None
    except (TypeError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).removeprefix(f"{path}: ").split("\n\t")[:2])
        raise DataError(f"{path}: expected a model that `train` saved: {reason}") from None
    return model, path


def checked(found: Any, wanted: dict[str, Any]) -> dict[str, Any]:
    """`found`, a dict that has all that is wanted: for each name a type or a tuple of choices."""
    if not isinstance(found, dict):
        raise TypeError(f"expected a dict, got {type(found).__name__}")
    for name, kind in wanted.items():
        if name not in found:
            raise ValueError(f"expected {name!r} in it, found none")
        value = found[name]
        if not (value in kind if isinstance(kind, tuple) else isinstance(value, kind)):
            expected = kind.__name__ if isinstance(kind, type) else kind
            raise ValueError(f"expected {name} to be {expected}, got {str(value)[:40]!r}")
    return found


def newest_model() -> Path:
    found = sorted(Path("runs").glob("*/model.safetensors"), key=lambda p: p.stat().st_mtime)
    if not found:
        raise DataError("runs/: expected a trained model, found none; run `train`, or give --model")
    return found[-1]


def newest_checkpoint(out: str) -> Path:
    """Of a run with this --out: folders out, out-2, out-3, ..."""
    folders = Path(out).parent.glob(f"{Path(out).name}*")
    found = [folder / CHECKPOINT for folder in folders if (folder / CHECKPOINT).is_file()]
    if not found:
        raise DataError(f"{out}: expected a run that was stopped, found none with a {CHECKPOINT}")
    return max(found, key=lambda path: path.stat().st_mtime)


# The command line


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise DataError(message)  # one line, as for all other wrong input


def parser() -> argparse.ArgumentParser:
    top = Parser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    commands = top.add_subparsers(dest="command")
    add = commands.add_parser(
        "train", help="train a model and report on held-out pairs"
    ).add_argument
    add("--data", metavar="FILE", help="lines of source TAB target (default: the built-in corpus)")
    add("--swap", action="store_true", help="the second column is the source")
    add("--out", default="runs/translate", help="folder for the results (default: %(default)s)")
    add("--model", choices=tuple(MODELS), default="rnn", help="default: %(default)s")
    add("--hidden", type=positive, default=128, help="hidden size (default: %(default)s)")
    add("--layers", type=positive, help=usual("layers"))
    add("--score", choices=RNN.options["score"], help=usual("score"))
    add("--cell", choices=RNN.options["cell"], help=usual("cell"))
    both = argparse.BooleanOptionalAction
    add("--bidirectional", action=both, help=f"read both ways ({usual('bidirectional')})")
    add("--heads", type=positive, help=usual("heads"))
    add("--feed-forward", type=positive, help=usual("feed_forward"))
    add("--epochs", type=positive, help=usual("epochs"))
    add("--batch", type=positive, default=64, help="pairs a batch (default: %(default)s)")
    add("--lr", type=rate, help=f"peak learning rate ({usual('lr')})")
    add("--warmup", type=positive, help=f"steps to the peak ({usual('warmup')})")
    add("--dropout", type=share, default=0.0, help="default: %(default)s")
    add("--smoothing", type=share, default=0.0, help="label smoothing (default: %(default)s)")
    add(
        "--min-count", type=positive, default=1, help="rarer words are <unk> (default: %(default)s)"
    )
    names = ("auto", *TOKENISERS)
    add("--source-tokens", choices=names, default="auto", help="default: by the script")
    add("--target-tokens", choices=names, default="auto", help="default: by the script")
    add("--pairs", type=positive, default=100_000, help="of the built-in corpus (%(default)s)")
    add("--valid", type=positive, default=1000, help="validation sources (default: %(default)s)")
    add("--test", type=positive, default=2000, help="test sources (default: %(default)s)")
    add("--seed", type=natural, default=0, help="default: %(default)s")
    add("--save-every", type=positive, default=500, metavar="STEPS",
        help="steps from one checkpoint to the next (default: %(default)s)")  # fmt: skip
    add("--resume", nargs="?", const="", metavar="RUN",
        help="go on with a run that was stopped (default: the newest with this --out)")  # fmt: skip
    add = commands.add_parser("evaluate", help="report on a trained model").add_argument
    add("--model", help="its file or folder (default: the newest in runs/)")
    add("--data", metavar="FILE", help="pairs to use (default: the model's own test pairs)")
    add("--swap", action="store_true", help="the second column is the source")
    add = commands.add_parser("translate", help="translate with a trained model").add_argument
    add("sentence", nargs="*", help="default: standard input, a sentence a line")
    add("--file", help="a text file, a sentence a line")
    add("--model", help="its file or folder (default: the newest in runs/)")
    return top


def usual(name: str) -> str:
    """What an option is unless given, by model and score."""
    values = [(kind, MODELS[kind].defaults.get(name)) for kind in MODELS]
    values += [(score, options.get(name)) for score, options in RNN.by_score.items()]
    return "default: " + ", ".join(f"{kind} {value}" for kind, value in values if value is not None)


def complete(args: argparse.Namespace) -> argparse.Namespace:
    """The options of `train` with the defaults of its model; those of another are an error."""
    mine = {**MODELS[args.model].defaults, **RNN.by_score.get(args.score, {})}
    for name in {name for model in MODELS.values() for name in model.defaults}:
        if getattr(args, name) is None:
            setattr(args, name, mine.get(name))
        elif name not in mine:
            option = name.replace("_", "-")
            raise DataError(f"--{option}: expected a model that has it, got --model {args.model}")
    return args


def number(kind: type, wanted: str, fits: Callable[[Any], bool]) -> Callable[[str], Any]:
    """A type for argparse: an int or a float within limits."""

    def read(text: str) -> Any:
        try:
            if fits(value := kind(text)):
                return value
        except ValueError:
            pass
        raise argparse.ArgumentTypeError(f"expected {wanted}, got {text!r}")

    return read


positive = number(int, "a whole number from 1", lambda n: n >= 1)
natural = number(int, "a whole number from 0", lambda n: 0 <= n < 2**63)
rate = number(float, "a number above 0", lambda x: 0 < x < math.inf)
share = number(float, "a number from 0 to below 1", lambda x: 0 <= x < 1)


def require(*packages: str) -> None:
    for name in packages:
        try:
            importlib.import_module(name)
        except ImportError:
            raise DataError(f"{name} is missing: pip install 'tinyattn[examples]'") from None


def say(message: str) -> None:
    print(f"translate.py: {message}", file=sys.stderr)


def main(arguments: list[str]) -> None:
    if not arguments or (arguments[0].startswith("-") and arguments[0] not in ("-h", "--help")):
        arguments = ["train", *arguments]
    sys.stdout.reconfigure(encoding="utf-8", errors="surrogateescape", line_buffering=True)
    try:
        args = parser().parse_args(arguments)
        {"train": train, "evaluate": evaluate, "translate": translate}[args.command](args)
    except DataError as error:
        say(str(error))
        sys.exit(2)
    except BrokenPipeError:  # the reader, head for one, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        say(f"{error.filename or 'output'}: expected to read or write it: {error.strerror}")
        sys.exit(2)
    except MemoryError as error:
        say(f"out of memory: {error}")
        sys.exit(2)
    except KeyboardInterrupt:
        say("stopped")
        sys.exit(130)


if __name__ == "__main__":
    main(sys.argv[1:])
