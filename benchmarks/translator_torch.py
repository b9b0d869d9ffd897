"""The translator of examples/translate.py trained by PyTorch: `python -m
benchmarks.translator_torch --data FILE --swap --seed N` and the example's other options.

Data, batches and their order, vocabularies, first weights, schedule and options are the example's.
The model stands here once more, in PyTorch; its trained weights go back into the example's model,
whose report (perplexity, BLEU, exact match) is then the same code for both.
"""

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

import tinyattn as ta
from benchmarks.workers import cores
from examples import translate
from tinyattn.text import PAD, Batch, batches, generate, read_pairs, split_by_source


class Encoder(nn.Module):
    def __init__(self, vocab_size: int, hidden_size: int, dropout: float) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, hidden_size, padding_idx=PAD)
        self.dropout = nn.Dropout(dropout)
        self.gru = nn.GRU(hidden_size, hidden_size)

    def forward(self, source: torch.Tensor, lengths: torch.Tensor) -> Any:
        embedded = self.dropout(self.embedding(source))
        output, hidden = self.gru(pack_padded_sequence(embedded, lengths))
        return pad_packed_sequence(output)[0], hidden


class AttentionDecoder(nn.Module):
    def __init__(self, hidden_size: int, vocab_size: int, score: str, dropout: float) -> None:
        super().__init__()
        self.score = score
        self.embedding = nn.Embedding(vocab_size, hidden_size, padding_idx=PAD)
        self.dropout = nn.Dropout(dropout)
        self.gru = nn.GRU(hidden_size * 2, hidden_size)
        self.out = nn.Linear(hidden_size * 2, vocab_size)
        if score == "additive":
            self.query = nn.Linear(hidden_size, hidden_size)
            self.key = nn.Linear(hidden_size, hidden_size, bias=False)
            self.energy = nn.Linear(hidden_size, 1, bias=False)

    def forward(
        self,
        target: torch.Tensor,
        hidden: torch.Tensor,
        outputs: torch.Tensor,
        source: torch.Tensor,
    ) -> torch.Tensor:
        outputs = outputs.transpose(0, 1).contiguous()
        keys = self.key(outputs) if self.score == "additive" else outputs
        padding = (source == PAD).t().unsqueeze(1)
        embedded = self.dropout(self.embedding(target))
        states = []
        for t in range(len(target)):
            query = hidden.transpose(0, 1)
            if self.score == "dot":
                scores = query @ keys.transpose(1, 2)
            elif self.score == "additive":
                scores = self.energy(torch.tanh(self.query(query) + keys)).transpose(1, 2)
            else:
                scores = torch.zeros(padding.shape)
            weights = F.softmax(scores.masked_fill(padding, -math.inf), dim=-1)
            context = (weights @ outputs).transpose(0, 1)
            output, hidden = self.gru(torch.cat((embedded[t : t + 1], context), 2), hidden)
            states.append(torch.cat((output, context), 2))
        return self.out(self.dropout(torch.cat(states, 0)))


class Translator(nn.Module):
    """Starts from the weights of the example's model, whose names it shares."""

    def __init__(self, example: translate.Translator) -> None:
        super().__init__()
        hidden, dropout = example.options["hidden"], example.options["dropout"]
        score = example.options["score"]
        self.encoder = Encoder(len(example.source), hidden, dropout)
        self.decoder = AttentionDecoder(hidden, len(example.target), score, dropout)
        weights = example.state_dict().items()
        self.load_state_dict({name: torch.tensor(w.numpy()) for name, w in weights})

    def forward(self, batch: Batch) -> torch.Tensor:
        source = torch.from_numpy(batch.source.T)
        outputs, hidden = self.encoder(source, torch.from_numpy(batch.lengths))
        return self.decoder(torch.from_numpy(batch.target_in.T), hidden, outputs, source)


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
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr, fused=True)
    steps = args.epochs * math.ceil(len(training) / args.batch)
    every, done = max(steps // 20, 1), 0
    for epoch in range(args.epochs):
        for batch in batches(training, args.batch, args.seed, epoch):
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


def main() -> None:
    args = translate.parser().parse_args(["train", "--out", "runs/torch", *sys.argv[1:]])
    torch.set_num_threads(cores())
    torch.manual_seed(args.seed)
    ta.manual_seed(args.seed)
    pairs = read_pairs(args.data, args.swap) if args.data else generate(args.pairs, seed=0)
    parts = split_by_source(pairs, args.valid, args.test, seed=args.seed)
    example = translate.new_model(translate.options_of(args, parts[0]), parts[0])
    model = Translator(example)
    training, validation = map(example.ids, parts[:2])
    started = time.perf_counter()
    fit(model, args, training, validation)
    minutes = (time.perf_counter() - started) / 60
    print(f"torch {torch.__version__}, {cores()} threads: trained in {minutes:.2f} minutes")
    example.load_state_dict(model.state_dict())
    translate.report(example, parts[2], translate.new_folder(Path(args.out)))


if __name__ == "__main__":
    main()
