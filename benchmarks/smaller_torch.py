"""The recurrent translator of examples/, searched greedily by PyTorch: what benchmarks.smaller
measures beside ours. One GRU a side, additive scores, the word read first."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn as nn

from benchmarks.translator_torch import Encoder
from tinyattn.text import PAD, Batch


class Decoder(nn.Module):
    def __init__(self, V: int, H: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(V, H, padding_idx=PAD)
        self.rnn = nn.GRU(H, H)
        self.out = nn.Linear(H * 2, V)
        self.query, self.key = nn.Linear(H, H), nn.Linear(H, H, bias=False)
        self.v = nn.Parameter(torch.empty(H))


class Translator(nn.Module):
    def __init__(self, model: Any) -> None:
        super().__init__()
        H, both = model.options["hidden"], model.options["bidirectional"]
        self.encoder = Encoder(len(model.source), H, both, 0.0)
        self.decoder = Decoder(len(model.target), H)
        weights = model.model.state_dict().items()
        self.load_state_dict({name: torch.tensor(w.numpy()) for name, w in weights})

    def search(self, batch: Batch, bos: int, eos: int) -> torch.Tensor:
        """The tokens (B, T) that are the most probable, one after another."""
        source, decoder = torch.from_numpy(batch.source.T), self.decoder
        outputs, state = self.encoder(source, torch.from_numpy(batch.lengths))
        outputs = outputs.transpose(0, 1).contiguous()
        keys, padding = decoder.key(outputs), (source == PAD).t()
        B = len(outputs)
        tokens, alive = torch.full((B,), bos), torch.ones(B, dtype=torch.bool)
        found = []
        while alive.any() and len(found) < 2 * outputs.shape[1] + 50:
            output, state = decoder.rnn(decoder.embedding(tokens)[None], state)
            query = decoder.query(output.transpose(0, 1))
            scores = torch.tanh(query + keys) @ decoder.v
            weights = scores.masked_fill(padding, -torch.inf).softmax(-1)
            context = (weights[:, None] @ outputs).transpose(0, 1)
            tokens = decoder.out(torch.cat((output, context), 2))[0, :, eos:].argmax(-1) + eos
            found.append(tokens)
            alive &= tokens != eos
        return torch.stack(found, 1)


def searches(
    model: Any, test: Sequence[Batch], bos: int, eos: int
) -> dict[str, Callable[[], object]]:
    """In float32 and quantised; nothing for a model that does not stand here."""
    options = model.options
    usual = {"model": "rnn", "cell": "gru", "layers": 1, "query": "after", "score": "additive"}
    if any(options[name] != value for name, value in usual.items() if name in options):
        return {}
    torch.set_num_threads(1)
    whole = Translator(model).eval()
    small = torch.quantization.quantize_dynamic(whole, {nn.Linear, nn.GRU})

    def run(one: Any) -> Callable[[], object]:
        def all_of_them() -> object:
            with torch.no_grad():
                return [one.search(batch, bos, eos) for batch in test]

        return all_of_them

    return {"torch": run(whole), "torch int8": run(small)}
