"""Speed and quality of every score of attention: `python -m benchmarks.scores`, or of some:
`python -m benchmarks.scores dot additive`; options of the example's `train` hold for all.

Each trains examples/translate.py's recurrent model on the built-in corpus with its defaults and
translates sentences that it has never seen; "transformer" trains the other model. Time is that of
the processor, all threads together.
"""

import argparse
import math
import time

import tinyattn as ta
from benchmarks.example import translate
from tinyattn.text import split_by_source


def main() -> None:
    every = (*translate.MODELS["rnn"].options["score"], "transformer")
    top = argparse.ArgumentParser(description=__doc__)
    top.add_argument("scores", nargs="*", help=f"of {', '.join(every)} (default: all)")
    ours, rest = top.parse_known_args()
    backend = ta.backend().name
    print(f"backend {backend}, {ta.get_num_threads()} threads\n", flush=True)
    print("| score | processor seconds | ms a step | perplexity | BLEU | exact match |")
    print("|---|---:|---:|---:|---:|---:|", flush=True)
    for score in ours.scores or every:
        kind = "--model" if score == "transformer" else "--score"
        args = translate.complete(translate.parser().parse_args(["train", *rest, kind, score]))
        pairs = translate.all_pairs(args.data, args.swap, args.pairs)
        parts = split_by_source(pairs, args.valid, args.test, seed=args.seed)
        ta.manual_seed(args.seed)
        model = translate.new_model(translate.options_of(args, parts[0]), parts[0])
        training, validation = map(model.ids, parts[:2])
        started = time.process_time()
        optimizer = ta.optim.Adam(model.parameters(), lr=args.lr)
        translate.fit(model, optimizer, args, training, validation, translate.Progress())
        seconds = time.process_time() - started
        step = seconds / (args.epochs * math.ceil(len(training) / args.batch))
        perplexity = translate.perplexity(model, model.ids(parts[2]))
        found = translate.quality(model, parts[2])
        print(
            f"| {score} | {seconds:.0f} | {1e3 * step:.1f} | {perplexity:.3f} | {found.bleu:.1f} "
            f"| {100 * found.exact:.1f} % |",
            flush=True,
        )


if __name__ == "__main__":
    main()
