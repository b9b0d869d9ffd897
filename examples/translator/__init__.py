"""The program around the two translators: one file a subject, which imports from those above it.

    searching.py    the translations of a batch: greedy, by a beam, or drawn at random
    model.py        from text to text: a model with its vocabularies and tokenisers
    tracing.py      what happened in one translation
    options.py      the command line of translate.py, and its defaults
    paging.py       pages that show translations
    data.py         the pairs of a run: read, split, made into ids
    files.py        what a run writes and reads again: models, checkpoints
    scores.py       perplexity, BLEU, chrF, exact match, alignment
    evaluation.py   the score card of a model, two models compared
    ranks.py        the part of a batch that one of several processes computes
    forming.py      how the alignment formed: moments of a training
    progress.py     what happens between two steps: validation, checkpoints, Ctrl-C
    training.py     the learning loop
    lines.py        lines in, lines out
    prompt.py       sentences and commands at a terminal
    translating.py  the command `translate`

Look first at training.py.
"""
