"""A word language model: one long text in columns, the hidden state cut from its history between
pieces, tied weights, a learning rate that is divided when the loss does not fall."""

import math

import torch
import torch.nn as nn

TEXT = "a cat and a dog and a bird saw a dog and a cat saw a bird <eos>"


class Dictionary(object):  # noqa: UP004
    def __init__(self):
        self.word2idx, self.idx2word = {}, []

    def add_word(self, word):
        if word not in self.word2idx:
            self.idx2word.append(word)
            self.word2idx[word] = len(self.idx2word) - 1
        return self.word2idx[word]


class RNNModel(nn.Module):
    def __init__(self, rnn_type, ntoken, ninp, nhid, nlayers, dropout=0.5, tie_weights=False):
        super(RNNModel, self).__init__()  # noqa: UP008
        self.ntoken = ntoken
        self.drop = nn.Dropout(dropout)
        self.encoder = nn.Embedding(ntoken, ninp)
        self.rnn = getattr(nn, rnn_type)(ninp, nhid, nlayers, dropout=dropout)
        self.decoder = nn.Linear(nhid, ntoken)
        if tie_weights:
            self.decoder.weight = self.encoder.weight
        self.init_weights()
        self.rnn_type, self.nhid, self.nlayers = rnn_type, nhid, nlayers

    def init_weights(self):
        initrange = 0.1
        nn.init.uniform_(self.encoder.weight, -initrange, initrange)
        nn.init.zeros_(self.decoder.bias)
        self.decoder.weight.data.uniform_(-initrange, initrange)

    def forward(self, input, hidden):
        emb = self.drop(self.encoder(input))
        output, hidden = self.rnn(emb, hidden)
        decoded = self.decoder(self.drop(output))
        decoded = decoded.view(-1, self.ntoken)
        return nn.functional.log_softmax(decoded, dim=1), hidden

    def init_hidden(self, bsz):
        weight = next(self.parameters())
        if self.rnn_type == "LSTM":
            return (
                weight.new_zeros(self.nlayers, bsz, self.nhid),
                weight.new_zeros(self.nlayers, bsz, self.nhid),
            )
        return weight.new_zeros(self.nlayers, bsz, self.nhid)


def repackage_hidden(h):
    if isinstance(h, torch.Tensor):
        return h.detach()
    return tuple(repackage_hidden(v) for v in h)


def batchify(data, bsz):
    nbatch = data.size(0) // bsz
    data = data.narrow(0, 0, nbatch * bsz)
    return data.view(bsz, -1).t().contiguous()


def get_batch(source, i, bptt=5):
    seq_len = min(bptt, len(source) - 1 - i)
    return source[i : i + seq_len], source[i + 1 : i + 1 + seq_len].view(-1)


def run(start, folder):
    corpus = Dictionary()
    words = TEXT.split() * 4
    ids = torch.LongTensor(len(words))
    for i, word in enumerate(words):
        ids[i] = corpus.add_word(word)
    train_data = batchify(ids, 4)
    ntokens = len(corpus.idx2word)
    results = []
    for rnn_type in ("LSTM", "GRU"):
        model = RNNModel(rnn_type, ntokens, 10, 10, 2, dropout=0.0, tie_weights=True)
        start(model)
        criterion, lr, losses, best = nn.NLLLoss(), 2.0, [], None
        for _ in range(9):
            model.train()
            hidden, total_loss = model.init_hidden(4), 0.0
            for i in range(0, train_data.size(0) - 1, 5):
                data, targets = get_batch(train_data, i)
                model.zero_grad()
                hidden = repackage_hidden(hidden)
                output, hidden = model(data, hidden)
                loss = criterion(output, targets)
                loss.backward()
                torch.nn.utils.clip_grad_norm_(model.parameters(), 0.25)
                for p in model.parameters():
                    p.data.add_(p.grad, alpha=-lr)
                total_loss += len(data) * loss.item()
            losses.append(total_loss / (len(train_data) - 1))
            if best is None or losses[-1] < best:
                best = losses[-1]
            else:
                lr /= 4.0
        results += [losses, [math.exp(best)]]
        model.eval()
        input, hidden = torch.randint(ntokens, (1, 1), dtype=torch.long), model.init_hidden(1)
        words = []
        with torch.no_grad():
            for _ in range(6):
                output, hidden = model(input, hidden)
                word_weights = output.squeeze().div(1.0).exp().cpu()
                word_idx = torch.multinomial(word_weights, 1)[0]
                input.fill_(word_idx)
                words.append(corpus.idx2word[word_idx])
        assert len(words) == 6
    return tuple(results)
