"""Answers to short sentences: packed encoder, dot attention, a loss that a mask chooses from,
clipped gradients, and a module that searches greedily."""

import itertools

import torch
import torch.nn.functional as F
from torch import nn

USE_CUDA = torch.cuda.is_available()
device = torch.device("cuda" if USE_CUDA else "cpu")
PAD_token, SOS_token, EOS_token = 0, 1, 2
PAIRS = [([3, 4, 5], [6, 7]), ([4, 4], [7]), ([5], [8, 6, 7]), ([3, 5], [6])]


def zeroPadding(lists, fillvalue=PAD_token):
    return list(itertools.zip_longest(*lists, fillvalue=fillvalue))


def binaryMatrix(lists):
    return [[0 if token == PAD_token else 1 for token in seq] for seq in lists]


def batch2TrainData(pairs):
    pairs = sorted(pairs, key=lambda pair: len(pair[0]), reverse=True)
    inputs = [[*pair[0], EOS_token] for pair in pairs]
    lengths = torch.tensor([len(indexes) for indexes in inputs])
    inp = torch.LongTensor(zeroPadding(inputs))
    outputs = zeroPadding([[*pair[1], EOS_token] for pair in pairs])
    mask = torch.BoolTensor(binaryMatrix(outputs))
    return inp, lengths, torch.LongTensor(outputs), mask, len(outputs)


class EncoderRNN(nn.Module):
    def __init__(self, hidden_size, embedding, n_layers=1):
        super().__init__()
        self.hidden_size, self.embedding = hidden_size, embedding
        self.gru = nn.GRU(hidden_size, hidden_size, n_layers, bidirectional=True)

    def forward(self, input_seq, input_lengths, hidden=None):
        embedded = self.embedding(input_seq)
        packed = nn.utils.rnn.pack_padded_sequence(embedded, input_lengths)
        outputs, hidden = self.gru(packed, hidden)
        outputs, _ = nn.utils.rnn.pad_packed_sequence(outputs)
        return outputs[:, :, : self.hidden_size] + outputs[:, :, self.hidden_size :], hidden


class Attn(nn.Module):
    def forward(self, hidden, encoder_outputs):
        energies = torch.sum(hidden * encoder_outputs, dim=2).t()
        return F.softmax(energies, dim=1).unsqueeze(1)


class LuongAttnDecoderRNN(nn.Module):
    def __init__(self, embedding, hidden_size, output_size):
        super().__init__()
        self.embedding = embedding
        self.gru = nn.GRU(hidden_size, hidden_size)
        self.concat = nn.Linear(hidden_size * 2, hidden_size)
        self.out = nn.Linear(hidden_size, output_size)
        self.attn = Attn()

    def forward(self, input_step, last_hidden, encoder_outputs):
        rnn_output, hidden = self.gru(self.embedding(input_step), last_hidden)
        context = self.attn(rnn_output, encoder_outputs).bmm(encoder_outputs.transpose(0, 1))
        concat_input = torch.cat((rnn_output.squeeze(0), context.squeeze(1)), 1)
        output = self.out(torch.tanh(self.concat(concat_input)))
        return F.softmax(output, dim=1), hidden


class GreedySearchDecoder(nn.Module):
    def __init__(self, encoder, decoder):
        super().__init__()
        self.encoder, self.decoder = encoder, decoder

    def forward(self, input_seq, input_length, max_length):
        encoder_outputs, encoder_hidden = self.encoder(input_seq, input_length)
        decoder_hidden = encoder_hidden[:1]
        decoder_input = torch.ones(1, 1, device=device, dtype=torch.long) * SOS_token
        all_tokens = torch.zeros([0], device=device, dtype=torch.long)
        all_scores = torch.zeros([0], device=device)
        for _ in range(max_length):
            output, decoder_hidden = self.decoder(decoder_input, decoder_hidden, encoder_outputs)
            scores, decoder_input = torch.max(output, dim=1)
            all_tokens = torch.cat((all_tokens, decoder_input), dim=0)
            all_scores = torch.cat((all_scores, scores), dim=0)
            decoder_input = torch.unsqueeze(decoder_input, 0)
        return all_tokens, all_scores


def maskNLLLoss(inp, target, mask):
    nTotal = mask.sum()
    crossEntropy = -torch.log(torch.gather(inp, 1, target.view(-1, 1)).squeeze(1))
    loss = crossEntropy.masked_select(mask).mean()
    loss = loss.to(device)
    return loss, nTotal.item()


def run(start, folder):
    embedding = nn.Embedding(9, 8)
    encoder, decoder = EncoderRNN(8, embedding), LuongAttnDecoderRNN(embedding, 8, 9)
    start(encoder, decoder)
    encoder, decoder = encoder.to(device), decoder.to(device)
    encoder.train()
    decoder.train()
    optimizers = [torch.optim.Adam(m.parameters(), lr=0.02) for m in (encoder, decoder)]
    input_variable, lengths, target_variable, mask, max_target_len = batch2TrainData(PAIRS)
    input_variable, target_variable = input_variable.to(device), target_variable.to(device)
    mask = mask.to(device)
    lengths = lengths.to("cpu")
    losses = []
    for _ in range(25):
        for optimizer in optimizers:
            optimizer.zero_grad()
        loss, n_totals, print_losses = 0, 0, []
        encoder_outputs, encoder_hidden = encoder(input_variable, lengths)
        decoder_input = torch.LongTensor([[SOS_token for _ in range(len(PAIRS))]]).to(device)
        decoder_hidden = encoder_hidden[:1]
        for t in range(max_target_len):
            output, decoder_hidden = decoder(decoder_input, decoder_hidden, encoder_outputs)
            decoder_input = target_variable[t].view(1, -1)
            mask_loss, nTotal = maskNLLLoss(output, target_variable[t], mask[t])
            loss += mask_loss
            print_losses.append(mask_loss.item() * nTotal)
            n_totals += nTotal
        loss.backward()
        for module in (encoder, decoder):
            nn.utils.clip_grad_norm_(module.parameters(), 50.0)
        for optimizer in optimizers:
            optimizer.step()
        losses.append(sum(print_losses) / n_totals)
    encoder.eval()
    decoder.eval()
    searcher = GreedySearchDecoder(encoder, decoder)
    with torch.no_grad():
        tokens, scores = searcher(torch.LongTensor([[3], [4], [5], [2]]), torch.tensor([4]), 4)
    return losses, tokens.tolist(), scores.tolist()
