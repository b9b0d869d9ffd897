"""Stop when the validation loss no longer falls, and go back to the best weights."""

import copy

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.autograd import Variable
from torch.utils.data import DataLoader, TensorDataset


class Net(nn.Module):
    def __init__(self):
        super(Net, self).__init__()  # noqa: UP008
        self.fc1 = nn.Linear(4, 16)
        self.fc2 = nn.Linear(16, 1)

    def forward(self, x):
        return self.fc2(F.relu(self.fc1(x)))


class EarlyStopping:
    def __init__(self, patience=3):
        self.patience, self.counter = patience, 0
        self.best_loss, self.best_weights = float("inf"), None

    def __call__(self, loss, model):
        if loss < self.best_loss:
            self.best_loss, self.counter = loss, 0
            self.best_weights = copy.deepcopy(model.state_dict())
        else:
            self.counter += 1
        return self.counter >= self.patience


def run(start, folder):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 4)).astype(np.float32)
    y = np.sin(X.sum(1, keepdims=True)).astype(np.float32)
    train = TensorDataset(torch.from_numpy(X[:30]), torch.from_numpy(y[:30]))
    X_val, y_val = Variable(torch.FloatTensor(X[30:])), Variable(torch.FloatTensor(y[30:]))
    model = Net()
    start(model)
    snapshot = copy.deepcopy(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.2, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=1)
    criterion, stopping = nn.MSELoss(), EarlyStopping()
    losses, stopped = [], 0
    for epoch in range(30):
        model.train()
        running_loss = 0.0
        for inputs, targets in DataLoader(train, batch_size=8, shuffle=False):
            optimizer.zero_grad()
            loss = criterion(model(inputs), targets)
            loss.backward()
            optimizer.step()
            running_loss += loss.item() * inputs.size(0)
        model.eval()
        with torch.no_grad():
            val_loss = criterion(model(X_val), y_val).item()
        scheduler.step(val_loss)
        losses += [running_loss / len(train), val_loss]
        if stopping(val_loss, model):
            stopped = epoch
            break
    model.load_state_dict(stopping.best_weights)
    model.eval()
    best = criterion(model(X_val), y_val).data.item()
    assert abs(best - min(losses[1::2])) < 1e-6
    before = criterion(snapshot(X_val), y_val).item()
    return losses, [best, before, stopped, optimizer.param_groups[0]["lr"]]
