"""A Seq2Seq with attention as tutorials write it: one sentence, one token at a time. It is made of
many small operations, so it measures what surrounds them."""

import numpy as np
import torch
import torch.nn as nn


class Encoder(nn.Module):
    def __init__(self, V, H):
        super().__init__()
        self.embedding = nn.Embedding(V, H)
        self.gru = nn.GRU(H, H)

    def forward(self, token, hidden):
        return self.gru(self.embedding(token).view(1, 1, -1), hidden)


class AttentionDecoder(nn.Module):
    def __init__(self, V, H):
        super().__init__()
        self.embedding = nn.Embedding(V, H)
        self.gru = nn.GRU(2 * H, H)
        self.out = nn.Linear(2 * H, V)
        self.softmax = nn.Softmax(dim=-1)

    def forward(self, token, hidden, encoder_outputs):
        embedded = self.embedding(token).view(1, 1, -1)
        weights = self.softmax(torch.matmul(hidden, encoder_outputs.transpose(0, 1)))
        context = torch.matmul(weights, encoder_outputs)
        output, hidden = self.gru(torch.cat((embedded, context), 2), hidden)
        return self.out(torch.cat((output, context), 2)), hidden, weights


def training_step(T, H, V):
    """One sentence of T tokens into one of T tokens: forward, backward, SGD."""
    torch.manual_seed(0)
    tokens = np.random.default_rng(0).integers(2, V, (2, T))
    source, target = torch.tensor(tokens[0]), torch.tensor(tokens[1])
    encoder, decoder = Encoder(V, H), AttentionDecoder(V, H)
    optimizers = [torch.optim.SGD(m.parameters(), lr=0.01) for m in (encoder, decoder)]
    criterion = nn.CrossEntropyLoss()

    def step():
        hidden, outputs = torch.zeros(1, 1, H), torch.zeros(T, H)
        for i in range(T):
            output, hidden = encoder(source[i], hidden)
            outputs[i] = output[0, 0]
        loss, token = 0.0, torch.tensor(1)
        for i in range(T):
            logits, hidden, _ = decoder(token, hidden, outputs)
            loss = loss + criterion(logits[0], target[i : i + 1])
            token = target[i]
        for optimizer in optimizers:
            optimizer.zero_grad()
        loss.backward()
        for optimizer in optimizers:
            optimizer.step()
        return loss

    return step
