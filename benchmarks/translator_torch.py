"""The translator of examples/translate.py trained by PyTorch: `python -m
benchmarks.translator_torch --data FILE --swap --seed N` and the example's other options.

Data, batches and their order, vocabularies, first weights, schedule and options are the example's.
The model stands here once more, in PyTorch; its trained weights go back into the example's model,
whose report (perplexity, BLEU, exact match) is then the same code for both.
"""

import copy
import math
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.nn.utils import clip_grad_norm_
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from benchmarks import example
from benchmarks.compare.case import cores
from tinyattn.text import PAD, Batch, batches, count_batches


class Encoder(nn.Module):
    def __init__(self, V: int, H: int, bidirectional: bool, dropout: float) -> None:
        super().__init__()
        self.embedding = nn.Embedding(V, H, padding_idx=PAD)
        self.dropout = nn.Dropout(dropout)
        self.rnn = nn.GRU(H, H // 2 if bidirectional else H, bidirectional=bidirectional)

    def forward(self, source: torch.Tensor, lengths: torch.Tensor) -> Any:
        embedded = self.dropout(self.embedding(source))
        output, state = self.rnn(pack_padded_sequence(embedded, lengths))
        if self.rnn.bidirectional:
            state = torch.cat((state[0::2], state[1::2]), 2)
        return pad_packed_sequence(output)[0], state


class Decoder(nn.Module):
    def __init__(self, V: int, H: int, score: str, dropout: float) -> None:
        super().__init__()
        self.score = score
        self.embedding = nn.Embedding(V, H, padding_idx=PAD)
        self.dropout = nn.Dropout(dropout)
        self.rnn = nn.GRU(H * 2, H)
        self.out = nn.Linear(H * 2, V)
        if score == "additive":
            self.query = nn.Linear(H, H)
            self.key = nn.Linear(H, H, bias=False)
            self.v = nn.Parameter(torch.empty(H))

    def forward(
        self,
        target: torch.Tensor,
        state: torch.Tensor,
        outputs: torch.Tensor,
        source: torch.Tensor,
    ) -> torch.Tensor:
        outputs = outputs.transpose(0, 1).contiguous()
        keys = self.key(outputs) if self.score == "additive" else outputs
        padding = (source == PAD).t().unsqueeze(1)
        embedded = self.dropout(self.embedding(target))
        read = []
        for t in range(len(target)):
            query = state.transpose(0, 1)
            if self.score == "additive":
                scores = (torch.tanh(self.query(query) + keys) @ self.v).unsqueeze(1)
            else:
                scores = query @ keys.transpose(1, 2)
            weights = F.softmax(scores.masked_fill(padding, -math.inf), dim=-1)
            context = (weights @ outputs).transpose(0, 1)
            output, state = self.rnn(torch.cat((embedded[t : t + 1], context), 2), state)
            read.append(torch.cat((output, context), 2))
        return self.out(self.dropout(torch.cat(read, 0)))


class Translator(nn.Module):
    """Starts from the weights of the example's model, whose names it shares."""

    def __init__(self, ours: example.Translator) -> None:
        super().__init__()
        options = ours.options
        hidden, dropout, score = options["hidden"], options["dropout"], options["score"]
        both = options["bidirectional"]
        self.encoder = Encoder(len(ours.source), hidden, both, dropout)
        self.decoder = Decoder(len(ours.target), hidden, score, dropout)
        weights = ours.model.state_dict().items()
        self.load_state_dict({name: torch.tensor(w.numpy()) for name, w in weights})

    def forward(self, batch: Batch) -> torch.Tensor:
        source = torch.from_numpy(batch.source.T)
        outputs, state = self.encoder(source, torch.from_numpy(batch.lengths))
        return self.decoder(torch.from_numpy(batch.target_in.T), state, outputs, source)


def loss_of(model: Translator, batch: Batch, smoothing: float = 0.0) -> tuple[torch.Tensor, int]:
    gold = torch.from_numpy(batch.target_out.T.reshape(-1))
    scores = model(batch).flatten(0, 1)
    loss = F.cross_entropy(scores, gold, ignore_index=PAD, label_smoothing=smoothing)
    return loss, int((batch.target_out != PAD).sum())


def perplexity(model: Translator, ids: Sequence[Any]) -> float:
    model.eval()
    total, count = 0.0, 0
    with torch.no_grad():
        for batch in batches(ids, 128):
            loss, tokens = loss_of(model, batch)
            total, count = total + loss.item() * tokens, count + tokens
    return math.exp(total / count)


def fit(model: Translator, args: Any, training: Sequence[Any], validation: Sequence[Any]) -> None:
    """Train the model, and leave it with the weights of the best validation."""
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr, fused=True)
    order = [(training, args.batch, args.seed, epoch) for epoch in range(args.epochs)]
    steps = sum(count_batches(*epoch) for epoch in order)
    every, done = max(steps // example.ROWS, 1), 0
    best, weights = math.inf, model.state_dict()
    for epoch in order:
        for batch in batches(*epoch):
            model.train()
            rate = min((done + 1) / args.warmup, (steps - done) / max(steps - args.warmup, 1))
            optimizer.param_groups[0]["lr"] = args.lr * min(rate, 1.0)
            loss, _ = loss_of(model, batch, args.smoothing)
            optimizer.zero_grad()
            loss.backward()
            clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            done += 1
            if done % every == 0 or done == steps:
                ppl = perplexity(model, validation)
                print(f"step {done}/{steps}: loss {loss.item():.3f}, valid ppl {ppl:.2f}")
                if ppl < best:
                    best, weights = ppl, copy.deepcopy(model.state_dict())
    model.load_state_dict(weights)


def main() -> None:
    args = example.train_options("--out", "runs/torch", "--query", "before", *sys.argv[1:])
    kind = args.model, args.cell, args.layers, args.query
    if kind != ("rnn", "gru", 1, "before") or args.score not in ("additive", "dot"):
        sys.exit(
            "expected a GRU of one layer, the query before the word, additive or dot scores: "
            "only those stand here"
        )
    torch.set_num_threads(cores())
    torch.manual_seed(args.seed)
    ours, data = example.prepare(args)
    model = Translator(ours)
    started = time.perf_counter()
    fit(model, args, data.training, data.validation)
    minutes = (time.perf_counter() - started) / 60
    print(f"torch {torch.__version__}, {cores()} threads: trained in {minutes:.2f} minutes")
    ours.model.load_state_dict(model.state_dict())
    example.report(ours, data.test, example.new_folder(Path(args.out)))


if __name__ == "__main__":
    main()
