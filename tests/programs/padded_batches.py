"""Which class a sequence has: a data set of lists, a collate function that pads, a packed LSTM."""

import torch
import torch.nn as nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence
from torch.utils.data import DataLoader, Dataset, random_split


class Sequences(Dataset):
    def __init__(self, n):
        self.data = [
            ([(i * 3 + j * j) % 9 + 1 for j in range(2 + (i * 5) % 6)], i % 3) for i in range(n)
        ]

    def __len__(self):
        return len(self.data)

    def __getitem__(self, index):
        sequence, label = self.data[index]
        return torch.tensor(sequence, dtype=torch.long), label


def collate(batch):
    sequences, labels = zip(*batch)  # noqa: B905
    lengths = torch.tensor([len(s) for s in sequences])
    return pad_sequence(sequences, batch_first=True), lengths, torch.tensor(labels)


class Classifier(nn.Module):
    def __init__(self, vocab_size, hidden_size, num_classes):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, 8, padding_idx=0)
        self.lstm = nn.LSTM(8, hidden_size, batch_first=True, bidirectional=True)
        self.fc = nn.Linear(2 * hidden_size, num_classes)

    def forward(self, x, lengths):
        embedded = self.embedding(x)
        packed = pack_padded_sequence(
            embedded, lengths.cpu(), batch_first=True, enforce_sorted=False
        )
        output, (hidden, _) = self.lstm(packed)
        output, _ = pad_packed_sequence(output, batch_first=True)
        assert output.size(1) == lengths.max()
        return self.fc(torch.cat([hidden[-2], hidden[-1]], dim=1))


def run(start, folder):
    device = "cuda" if torch.cuda.is_available() else "cpu"
    dataset = Sequences(24)
    parts = random_split(dataset, [18, 6], generator=torch.Generator().manual_seed(42))
    assert sorted(i for part in parts for i in part.indices) == list(range(24))
    train_loader = DataLoader(
        dataset, batch_size=5, collate_fn=collate, num_workers=2, pin_memory=False, drop_last=True
    )
    shuffled = DataLoader(dataset, batch_size=7, shuffle=True, collate_fn=collate)
    model = Classifier(10, 12, 3).to(device)
    start(model)
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    losses = []
    for _ in range(4):
        model.train()
        for x, lengths, labels in train_loader:
            x, labels = x.to(device), labels.to(device)
            optimizer.zero_grad()
            loss = criterion(model(x, lengths), labels)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    model.eval()
    correct, total = 0, 0
    with torch.no_grad():
        for x, lengths, labels in shuffled:
            _, predicted = torch.max(model(x.to(device), lengths).data, 1)
            total += labels.size(0)
            correct += (predicted == labels).sum().item()
    return losses, [correct / total, len(train_loader), len(shuffled)]
