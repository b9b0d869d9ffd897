"""The recurrent translator (Bahdanau, Cho, Bengio 2014, arXiv:1409.0473): GRUs or LSTMs read and
write, and for every word attention looks back at the source. Read Encoder, then Decoder.

Letters: B sentences, N hypotheses that are followed (B in training), Ts and Tt source and target
tokens, L layers, H hidden, V vocabulary.
"""

from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import tinyattn as ta
import tinyattn.nn as nn
import tinyattn.nn.functional as F
from tinyattn.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from tinyattn.text import PAD, Batch, DataError

CELLS: dict[str, Callable[..., nn.Module]] = {"gru": nn.GRU, "lstm": nn.LSTM}
State = Any  # (L, B, H) of a GRU; of an LSTM two of them, h and c


def uniform(query: ta.Tensor, key: ta.Tensor) -> ta.Tensor:
    """s_ij = 0, every token alike: what is left without attention."""
    return ta.zeros(*query.shape[:-1], key.shape[-2], dtype=query.dtype)


SCORES = {**F.scores, "uniform": uniform}
# Cosines within 1 of each other need stretching, distances of states all of one size calming.
SHARPNESS = {"cosine": {"temperature": 0.1}, "neg_sq_distance": {"scale": 0.2}}


class Memory(NamedTuple):
    """What the encoder leaves to the decoder."""

    outputs: ta.Tensor  # (B, Ts, H)
    keys: ta.Tensor  # (B, Ts, H), what a query is compared with
    present: ta.Tensor  # (B, 1, Ts) bool, False at padding


class Encoder(nn.Module):
    """Reads the source: a state for every token. Padding never enters a state."""

    def __init__(
        self, cell: str, V: int, H: int, layers: int, bidirectional: bool, dropout: float
    ) -> None:
        super().__init__()
        if bidirectional and H % 2:
            raise DataError(f"hidden: expected an even number for two directions, got {H}")
        self.embedding = small_embedding(V, H)
        self.dropout = nn.Dropout(dropout)
        between = dropout if layers > 1 else 0.0
        self.bidirectional = bidirectional
        self.rnn = CELLS[cell](
            H,
            H // 2 if bidirectional else H,
            layers,
            dropout=between,
            bidirectional=bidirectional,
        )

    def forward(self, source: ta.Tensor, lengths: ta.Tensor) -> tuple[ta.Tensor, State]:
        """source (Ts, B), longest first: outputs (Ts, B, H) and the last states."""
        embedded = self.dropout(self.embedding(source))
        output, state = self.rnn(pack_padded_sequence(embedded, lengths))
        if self.bidirectional:  # (2 L, B, H / 2), the directions in turn, to (L, B, H)
            parts = state if isinstance(state, tuple) else (state,)
            parts = tuple(ta.cat((part[0::2], part[1::2]), 2) for part in parts)
            state = parts if isinstance(state, tuple) else parts[0]
        return pad_packed_sequence(output, total_length=len(source))[0], state


class Decoder(nn.Module):
    """Writes the target: at each step it reads its last word and looks back at the source.

    `query` says in which order. "before": it looks with the state before that word, and reads the
    word together with what it saw (Bahdanau et al. 2014). "after": it reads the word first, so that
    it looks for what comes next with all that it knows (Luong et al. 2015, arXiv:1508.04025).
    """

    def __init__(
        self, cell: str, V: int, H: int, layers: int, score: str, query: str, dropout: float
    ) -> None:
        super().__init__()
        self.score, self.reads_first = score, query == "after"
        self.embedding = small_embedding(V, H)
        self.dropout = nn.Dropout(dropout)
        width = H if self.reads_first else H * 2
        self.rnn = CELLS[cell](width, H, layers, dropout=dropout if layers > 1 else 0.0)
        self.out = nn.Linear(H * 2, V)
        if score == "additive":
            self.query = nn.Linear(H, H)
            self.key = nn.Linear(H, H, bias=False)
            self.v = nn.Parameter(ta.randn(H) * H**-0.5)
        elif score == "general":
            self.weight = nn.Parameter(ta.eye(H))  # W = weight / sqrt(H) begins as scaled_dot

    def remember(self, outputs: ta.Tensor, source: ta.Tensor) -> Memory:
        """The encoder's outputs (Ts, B, H) of source (Ts, B), ready to be attended to."""
        outputs = outputs.transpose(0, 1).contiguous()
        keys = self.key(outputs) if self.score == "additive" else outputs
        return Memory(outputs, keys, (source != PAD).t().unsqueeze(1))

    def attend(self, states: ta.Tensor, memory: Memory) -> tuple[ta.Tensor, ta.Tensor]:
        """What states (T, N, H) see of the source: contexts (T, N, H), and the weights (B, n, Ts)
        of its tokens. The n = T N / B states of a sentence look at one memory."""
        T, N, H = states.shape
        query = states.transpose(0, 1).reshape(len(memory.outputs), -1, H)
        parameters: dict[str, Any] = {}
        if self.score == "additive":  # keys are projected once, in `remember`
            query, parameters = self.query(query), {"v": self.v}
        elif self.score == "general":
            parameters = {"weight": self.weight * len(self.weight) ** -0.5}
        elif self.score in SHARPNESS:
            parameters = SHARPNESS[self.score]
        score = SCORES[self.score]
        context, weights = F.attention(
            query,
            memory.keys,
            memory.outputs,
            score,
            memory.present,
            need_weights=True,
            **parameters,
        )
        return context.reshape(N, T, H).transpose(0, 1), weights

    def step(
        self, embedded: ta.Tensor, state: State, memory: Memory
    ) -> tuple[ta.Tensor, State, ta.Tensor]:
        """Read tokens (T, N, H): [output; context] (T, N, 2H), the last state, the weights. T is 1
        if it looks before it reads, since then what it reads depends on what it saw."""
        if self.reads_first:
            output, state = self.rnn(embedded, state)
            context, weights = self.attend(output, memory)
        else:
            hidden = state[0] if isinstance(state, tuple) else state
            context, weights = self.attend(hidden if len(hidden) == 1 else hidden[-1:], memory)
            output, state = self.rnn(ta.cat((embedded, context), 2), state)
        return ta.cat((output, context), 2), state, weights

    def forward(self, target: ta.Tensor, state: State, memory: Memory) -> ta.Tensor:
        """target (Tt, B), each token given the right ones before it: scores (Tt, B, V)."""
        embedded = self.dropout(self.embedding(target))
        read = []
        for tokens in [embedded] if self.reads_first else embedded.split(1):
            out, state, _ = self.step(tokens, state, memory)
            read.append(out)
        return self.out(self.dropout(ta.cat(read, 0)))


class RNN(nn.Module):
    """Encoder and decoder together, by the options of the command line."""

    options: ClassVar[dict[str, Any]] = {
        "score": tuple(SCORES),
        "query": ("before", "after"),
        "cell": tuple(CELLS),
        "layers": int,
        "bidirectional": bool,
    }
    defaults: ClassVar[dict[str, Any]] = {
        "score": "additive",
        "query": "after",
        "cell": "gru",
        "layers": 1,
        "bidirectional": True,
        "epochs": 1,
        "lr": 1e-2,
        "warmup": 200,
    }
    # With neither weights nor a scale, dot must wait for the states themselves to fit.
    by_score: ClassVar[dict[str, dict[str, Any]]] = {"dot": {"epochs": 2, "lr": 5e-3}}

    def __init__(self, options: dict[str, Any], source_size: int, target_size: int) -> None:
        super().__init__()
        cell, H, layers = options["cell"], options["hidden"], options["layers"]
        both, dropout = options["bidirectional"], options["dropout"]
        self.encoder = Encoder(cell, source_size, H, layers, both, dropout)
        looks = options["score"], options["query"]
        self.decoder = Decoder(cell, target_size, H, layers, *looks, dropout)

    def forward(self, batch: Batch) -> ta.Tensor:
        """The scores (Tt, B, V) of the target tokens, each after the right ones before it."""
        return self.decoder(ta.from_numpy(batch.target_in.T), *self.start(batch))

    def start(self, batch: Batch) -> tuple[State, Memory]:
        """The decoder's first state, which is the encoder's last, and its memory."""
        source = ta.from_numpy(batch.source.T)
        outputs, state = self.encoder(source, ta.from_numpy(batch.lengths))
        return state, self.decoder.remember(outputs, source)

    def next(self, tokens: ta.Tensor, state: Any) -> tuple[ta.Tensor, ta.Tensor, Any]:
        """One step of translating, tokens (N,): scores (N, V), weights (N, Ts), the new state."""
        hidden, memory = state
        embedded = self.decoder.embedding(tokens.unsqueeze(0))
        out, hidden, weights = self.decoder.step(embedded, hidden, memory)
        return self.decoder.out(out).squeeze(0), weights.flatten(0, 1), (hidden, memory)

    def select(self, state: Any, rows: ta.Tensor, sentences: ta.Tensor | None) -> Any:
        """The state of these rows alone, in this order; of the memory, that of these sentences."""
        hidden, memory = state
        parts = hidden if isinstance(hidden, tuple) else (hidden,)
        parts = tuple(part.index_select(1, rows) for part in parts)
        hidden = parts if isinstance(hidden, tuple) else parts[0]
        if sentences is not None:
            memory = Memory(*(part.index_select(0, sentences) for part in memory))
        return hidden, memory


def small_embedding(V: int, H: int) -> nn.Embedding:
    """Vectors that start with spread 0.3: at 1 they saturate the gates, and scores without weights
    of their own, such as dot, take longer to tell the words apart."""
    embedding = nn.Embedding(V, H, padding_idx=PAD)
    with ta.no_grad():
        embedding.weight.mul_(0.3)
    return embedding
