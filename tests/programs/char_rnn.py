"""Names, letter by letter: a recurrent cell of Linear layers, one-hot letters, an update written
out by hand, and names drawn at a temperature."""

import torch
import torch.nn as nn

LETTERS = "abcdefgh"
NAMES = ["abba", "cab", "deaf", "fade", "hagb"]


class RNN(nn.Module):
    def __init__(self, input_size, hidden_size, output_size):
        super(RNN, self).__init__()  # noqa: UP008
        self.hidden_size = hidden_size
        self.i2h = nn.Linear(input_size + hidden_size, hidden_size)
        self.i2o = nn.Linear(input_size + hidden_size, output_size)
        self.o2o = nn.Linear(hidden_size + output_size, output_size)
        self.softmax = nn.LogSoftmax(dim=1)

    def forward(self, input, hidden):
        combined = torch.cat((input, hidden), 1)
        hidden = self.i2h(combined)
        output = self.i2o(combined)
        output = self.o2o(torch.cat((hidden, output), 1))
        return self.softmax(output), hidden

    def initHidden(self):
        return torch.zeros(1, self.hidden_size)


def inputTensor(line):
    tensor = torch.zeros(len(line), 1, len(LETTERS))
    for li in range(len(line)):
        tensor[li][0][LETTERS.find(line[li])] = 1
    return tensor


def targetTensor(line):
    return torch.LongTensor([LETTERS.find(c) for c in line[1:]] + [len(LETTERS)])


def generate(rnn, start_letter, temperature=0.8):
    with torch.no_grad():
        input, hidden, name = inputTensor(start_letter), rnn.initHidden(), start_letter
        for _ in range(8):
            output, hidden = rnn(input[0], hidden)
            output_dist = output.data.view(-1).div(temperature).exp()
            top_i = torch.multinomial(output_dist, 1)[0]
            if top_i == len(LETTERS):
                break
            name += LETTERS[top_i]
            input = inputTensor(name[-1])
        return name


def run(start, folder):
    rnn = RNN(len(LETTERS), 12, len(LETTERS) + 1)
    start(rnn)
    criterion, learning_rate, losses = nn.NLLLoss(), 0.05, []
    for _ in range(12):
        for name in NAMES:
            hidden, loss = rnn.initHidden(), torch.Tensor([0])
            target = targetTensor(name).unsqueeze_(-1)
            rnn.zero_grad()
            for i, letter in enumerate(inputTensor(name)):
                output, hidden = rnn(letter, hidden)
                loss += criterion(output, target[i])
            loss.backward()
            for p in rnn.parameters():
                p.data.add_(p.grad.data, alpha=-learning_rate)
            losses.append(loss.item() / len(name))
    torch.manual_seed(1)
    names = [generate(rnn, letter) for letter in "abcd"]
    assert all(set(name) <= set(LETTERS) and len(name) < 10 for name in names)
    return (losses,)
