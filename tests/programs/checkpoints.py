"""Save in the middle of training, load into new objects, and go on; also from a buffer."""

import io
import os

import torch
import torch.nn as nn
import torch.optim as optim


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(7, 6)
        self.rnn = nn.GRU(6, 6, batch_first=True)
        self.head = nn.Linear(6, 7, bias=False)
        self.head.weight = self.embedding.weight
        self.register_buffer("steps", torch.tensor(0))

    def forward(self, x):
        self.steps += 1
        return self.head(self.rnn(self.embedding(x))[0])


def train(model, optimizer, scheduler, epochs):
    x = torch.tensor([[1, 2, 3, 4], [2, 4, 6, 1]])
    losses = []
    for _ in range(epochs):
        optimizer.zero_grad()
        logits = model(x[:, :-1])
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), x[:, 1:].flatten())
        loss.backward()
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())
    return losses


def objects():
    model = Model()
    optimizer = optim.Adam(model.parameters(), lr=0.05)
    return model, optimizer, optim.lr_scheduler.StepLR(optimizer, step_size=4, gamma=0.5)


def resume(path):
    model, optimizer, scheduler = objects()
    checkpoint = torch.load(path, map_location=torch.device("cpu"))
    model.load_state_dict(checkpoint["model_state_dict"])
    optimizer.load_state_dict(checkpoint["optimizer_state_dict"])
    scheduler.load_state_dict(checkpoint["scheduler_state_dict"])
    assert checkpoint["vocab"] == {0: "a", 1: "b"}
    losses = train(model, optimizer, scheduler, 6)
    return [checkpoint["loss"], int(model.steps), *losses]


def run(start, folder):
    model, optimizer, scheduler = objects()
    start(model)
    losses = train(model, optimizer, scheduler, 6)
    path = os.path.join(folder, "checkpoint.tar")
    torch.save(
        {
            "epoch": 6,
            "model_state_dict": model.state_dict(),
            "optimizer_state_dict": optimizer.state_dict(),
            "scheduler_state_dict": scheduler.state_dict(),
            "loss": losses[-1],
            "vocab": {0: "a", 1: "b"},
        },
        path,
    )
    straight_on = train(model, optimizer, scheduler, 6)
    resumed = resume(path)
    assert resumed[2:] == straight_on
    buffer = io.BytesIO()
    torch.save(model.state_dict(), buffer)
    buffer.seek(0)
    other = Model()
    print(other.load_state_dict(torch.load(buffer, weights_only=True)))
    assert torch.equal(other.rnn.weight_hh_l0, model.rnn.weight_hh_l0)
    return losses, resumed
