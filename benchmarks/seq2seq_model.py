"""One training step of a Seq2Seq with attention, in code that runs on tinyattn and on PyTorch.

`torch` is either library, handed in by whoever measures. The decoder's loop is the one a reader
would write; only the projection onto the vocabulary stands after it.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

PAD = 0


def build(torch: Any, V: int, H: int) -> Any:
    nn = torch.nn

    class Seq2Seq(nn.Module):  # type: ignore[name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.source = nn.Embedding(V, H, padding_idx=PAD)
            self.target = nn.Embedding(V, H, padding_idx=PAD)
            self.encoder = nn.GRU(H, H)
            self.decoder = nn.GRU(2 * H, H)
            self.out = nn.Linear(2 * H, V)

        def forward(self, source: Any, target: Any) -> Any:
            """source (Ts, B), target (Tt, B): scores (Tt, B, V)."""
            outputs, hidden = self.encoder(self.source(source))
            memory = outputs.transpose(0, 1).contiguous()
            padding = (source == PAD).t().unsqueeze(1)
            embedded = self.target(target)
            states = []
            for t in range(len(target)):
                scores = torch.matmul(hidden.transpose(0, 1), memory.transpose(1, 2))
                weights = nn.functional.softmax(scores.masked_fill(padding, -math.inf), dim=-1)
                context = torch.matmul(weights, memory).transpose(0, 1)
                output, hidden = self.decoder(torch.cat((embedded[t : t + 1], context), 2), hidden)
                states.append(torch.cat((output, context), 2))
            return self.out(torch.cat(states, 0))

    return Seq2Seq()


def adam(torch: Any, parameters: Any, lr: float = 1e-3) -> Any:
    """Adam as fast as the library has it."""
    fused = {"fused": True} if torch.__name__ == "torch" else {}
    return torch.optim.Adam(parameters, lr=lr, **fused)


def training_step(torch: Any, B: int, T: int, H: int, V: int) -> Callable[[], Any]:
    """Forward, backward, clipping to 1 and Adam, over a batch with sources of T/2 to T tokens."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    lengths = np.sort(rng.integers(T // 2, T + 1, B))[::-1].copy()
    lengths[0] = T
    tokens = rng.integers(3, V, (2, T, B))
    tokens[0][np.arange(T)[:, None] >= lengths] = PAD
    source, target = torch.tensor(tokens[0]), torch.tensor(tokens[1])
    model = build(torch, V, H)
    optimizer = adam(torch, model.parameters())

    def step() -> Any:
        logits = model(source, target)
        loss = torch.nn.functional.cross_entropy(
            logits.reshape(-1, V), target.reshape(-1), ignore_index=PAD
        )
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss

    return step


def flops(B: int, T: int, H: int, V: int) -> float:
    """Of the products of a step; backward has two products for each of forward's.

    Encoder 2 T B 6H^2, decoder 2 T B 9H^2, attention 4 T^2 B H, projection 2 T B 2H V.
    """
    return 3.0 * T * B * (12 * H * H + 18 * H * H + 4 * T * H + 4 * H * V)
