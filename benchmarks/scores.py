"""Speed and quality of every score of attention: `python -m benchmarks.scores`, or of some:
`python -m benchmarks.scores dot additive`; options of the example's `train` hold for all.

Each trains examples/translate.py's recurrent model on the built-in corpus with its defaults and
translates sentences that it has never seen; "transformer" trains the other model. Time is that of
the processor, all threads together.
"""

import argparse
import tempfile
import time
from pathlib import Path

import tinyattn as ta
from benchmarks.example import (
    MODELS,
    Progress,
    Run,
    fit,
    perplexity,
    prepare,
    quality,
    train_options,
    use_best,
)


def main() -> None:
    every = (*MODELS["rnn"].options["score"], "transformer")
    top = argparse.ArgumentParser(description=__doc__)
    top.add_argument("scores", nargs="*", help=f"of {', '.join(every)} (default: all)")
    ours, rest = top.parse_known_args()
    backend = ta.backend().name
    print(f"backend {backend}, {ta.get_num_threads()} threads\n", flush=True)
    print("| score | processor seconds | ms a step | perplexity | BLEU | exact match |")
    print("|---|---:|---:|---:|---:|---:|", flush=True)
    for score in ours.scores or every:
        kind = "--model" if score == "transformer" else "--score"
        args = train_options(*rest, kind, score)
        model, data = prepare(args)
        optimizer = ta.optim.Adam(model.parameters(), lr=args.lr)
        with tempfile.TemporaryDirectory() as folder:
            run = Run(model, optimizer, args, data, Path(folder), Progress())
            started = time.process_time()
            fit(model, optimizer, args, run)
            seconds = time.process_time() - started
            use_best(model, run.progress, run.folder)
        found = quality(model, data.test)
        print(
            f"| {score} | {seconds:.0f} | {1e3 * seconds / run.total:.1f} "
            f"| {perplexity(model, model.ids(data.test)):.3f} | {found.bleu:.1f} "
            f"| {100 * found.exact:.1f} % |",
            flush=True,
        )


if __name__ == "__main__":
    main()
