#!/usr/bin/python3
"""Records losses and parameter gradients of small models with the mixers beyond attention, each written as the
recurrence of its paper, token by token, in PyTorch and in float64.

  python3 testing/golden/mixer_trace.py > testing/golden/mixer_trace.h

What surrounds the mixers, and how a case is recorded, is gpt_trace.py's.
"""
import torch
import torch.nn.functional as F

import gpt_trace
from gpt_trace import CONTEXT, HEAD_DIM, HEADS, WIDTH, rms

gpt_trace.PLAIN.update({"model.state_dim": 0, "model.short_convolution": 0})
CASES = [
    ["model.mixers=gated_linear", "model.positions=learned"],
    ["model.mixers=gated_linear,attention", "model.state_dim=4", "model.short_convolution=4"],
    ["model.mixers=mamba2"],
    ["model.mixers=mamba2,attention", "model.state_dim=20", "model.short_convolution=3"],
    ["model.mixers=gated_delta"],
    ["model.mixers=gated_delta,gated_delta,attention", "model.state_dim=8", "model.short_convolution=2"],
    ["model.mixers=rwkv7"],
    ["model.mixers=rwkv7,attention,gated_linear", "model.state_dim=9"],
]


class Model(gpt_trace.Model):
    def __init__(self, patches):
        super().__init__(patches)
        self.mixers.update(gated_linear=self.gated_linear, mamba2=self.mamba2, gated_delta=self.gated_delta,
                           rwkv7=self.rwkv7)
        self.keys = self.c["state_dim"] or HEAD_DIM
        self.first_value = None  # of the first layer of RWKV-7

    def linear(self, name, x, out):
        y = super().linear(name, x, out)
        return self.convolve(name[:-len(".qkv")], y) if name.endswith(".qkv") else y

    def convolve(self, name, x):
        """SiLU of a causal depthwise convolution; the engine's weights are (taps, channels), the token's own first."""
        taps, channels = self.c["short_convolution"], x.shape[-1]
        if taps == 0:
            return x
        weight = self.parameter(name + ".convolution", taps, channels)
        padded = F.pad(x.T[None], (taps - 1, 0))
        return F.silu(F.conv1d(padded, weight.flip(0).T[:, None], groups=channels))[0].T

    def split_heads(self, x, dim):
        return x.reshape(CONTEXT, -1, dim)

    def gated_linear(self, name, kind, h):
        keys, values = HEADS * self.keys, HEADS * HEAD_DIM
        x, gate, low = self.linear(name + ".in", h, 2 * keys + 2 * values + 16).split([2 * keys + values, values, 16], -1)
        forget = self.linear(name + ".forget", low, keys) + self.parameter(name + ".forget_bias", keys)
        q, k, v = self.convolve(name, x).split([keys, keys, values], -1)
        q, k, v = self.split_heads(q, self.keys), self.split_heads(k, self.keys), self.split_heads(v, HEAD_DIM)
        alpha = self.split_heads(torch.sigmoid(forget) ** (1 / 16), self.keys)
        state, out = torch.zeros(HEADS, self.keys, HEAD_DIM), []
        for t in range(CONTEXT):
            state = alpha[t][..., None] * state + k[t][..., None] * v[t][:, None]
            out.append(torch.einsum("hk,hkv->hv", q[t] / self.keys ** 0.5, state))
        return self.finish(name, rms(torch.stack(out)), gate)

    def finish(self, name, normal, gate):
        gain = self.parameter(name + ".out_norm.gain", HEADS * HEAD_DIM, around=1.0)
        return self.linear(name + ".out", normal.reshape(CONTEXT, -1) * gain * F.silu(gate), WIDTH)

    def mamba2(self, name, kind, h):
        values, dim = HEADS * HEAD_DIM, self.keys
        x, z, dt = self.linear(name + ".in", h, 2 * dim + 2 * values + HEADS).split([2 * dim + values, values, HEADS], -1)
        dt = F.softplus(dt + self.parameter(name + ".step_bias", HEADS))
        rate = torch.exp(self.parameter(name + ".log_rate", HEADS))
        C, B, x = self.convolve(name, x).split([dim, dim, values], -1)
        skip = self.parameter(name + ".skip", HEADS, around=1.0)
        x = self.split_heads(x, HEAD_DIM)
        state, out = torch.zeros(HEADS, dim, HEAD_DIM), []
        for t in range(CONTEXT):
            state = torch.exp(-rate * dt[t])[:, None, None] * state + B[t][:, None] * (dt[t][:, None] * x[t])[:, None]
            out.append(torch.einsum("k,hkv->hv", C[t], state) + skip[:, None] * x[t])
        gated = torch.stack(out).reshape(CONTEXT, -1) * F.silu(z)
        gain = self.parameter(name + ".out_norm.gain", values, around=1.0)
        return self.linear(name + ".out", rms(gated) * gain, WIDTH)

    def gated_delta(self, name, kind, h):
        keys, values = HEADS * self.keys, HEADS * HEAD_DIM
        x, gate, step, beta = self.linear(name + ".in", h, 2 * keys + 2 * values + 2 * HEADS).split(
            [2 * keys + values, values, HEADS, HEADS], -1)
        step = F.softplus(step + self.parameter(name + ".step_bias", HEADS))
        alpha = torch.exp(-torch.exp(self.parameter(name + ".log_rate", HEADS)) * step)
        beta = torch.sigmoid(beta)
        q, k, v = self.convolve(name, x).split([keys, keys, values], -1)
        q, k, v = self.split_heads(q, self.keys), self.split_heads(k, self.keys), self.split_heads(v, HEAD_DIM)
        q, k = (z / torch.sqrt((z * z).sum(-1, keepdim=True) + 1e-6) for z in (q, k))
        state, out = torch.zeros(HEADS, self.keys, HEAD_DIM), []
        for t in range(CONTEXT):
            state = alpha[t][:, None, None] * state
            held = torch.einsum("hk,hkv->hv", k[t], state)  # what the state says of this key
            state = state + k[t][..., None] * (beta[t][:, None] * (v[t] - held))[:, None]
            out.append(torch.einsum("hk,hkv->hv", q[t] / self.keys ** 0.5, state))
        return self.finish(name, rms(torch.stack(out)), gate)

    def rwkv7(self, name, kind, h):
        keys, values, rank = HEADS * self.keys, HEADS * HEAD_DIM, 16
        before = torch.cat([torch.zeros(1, WIDTH), h[:-1]])
        shares = self.parameter(name + ".shares", 6, WIDTH)
        receptance, decay, key, value, rate, gate = (h + (before - h) * share for share in shares)
        r, k = self.linear(name + ".receptance", receptance, keys), self.linear(name + ".key", key, keys)
        v = self.linear(name + ".value", value, values)
        if self.first_value is None:
            self.first_value = v
        else:
            low = self.linear(name + ".first_value_down", value, 16)
            towards = self.linear(name + ".first_value", low, values)
            share = torch.sigmoid(towards + self.parameter(name + ".first_value_bias", values, around=1.0))
            v = v + (self.first_value - v) * share
        decay = torch.tanh(self.linear(name + ".decay_down", decay, rank))
        bias = self.parameter(name + ".decay_bias", keys)
        w = torch.exp(-torch.exp(torch.tensor(-0.5)) * torch.sigmoid(bias + self.linear(name + ".decay", decay, keys)))
        rate = self.linear(name + ".rate", self.linear(name + ".rate_down", rate, rank), keys)
        gate = self.linear(name + ".gate", torch.sigmoid(self.linear(name + ".gate_down", gate, rank)), values)
        a = torch.sigmoid(self.parameter(name + ".rate_bias", keys) + rate)
        kappa = self.split_heads(k * self.parameter(name + ".removal", keys, around=0.85), self.keys)
        kappa = kappa / torch.sqrt((kappa * kappa).sum(-1, keepdim=True) + 1e-6)
        k = k * (1 + (a - 1) * self.parameter(name + ".replacement", keys, around=1.0))
        r, w, k, a = (self.split_heads(z, self.keys) for z in (r, w, k, a))
        v = self.split_heads(v, HEAD_DIM)
        # As the paper has it: S (value, key), S = S (diag(w) - kappa^T (a kappa)) + v^T k, o = S r.
        state, out = torch.zeros(HEADS, HEAD_DIM, self.keys), []
        for t in range(CONTEXT):
            transition = torch.diag_embed(w[t]) - kappa[t][:, :, None] * (a[t] * kappa[t])[:, None, :]
            state = state @ transition + v[t][:, :, None] * k[t][:, None, :]
            out.append(torch.einsum("hvk,hk->hv", state, r[t]))
        gain = self.parameter(name + ".out_norm.gain", values, around=1.0)
        bias = self.parameter(name + ".out_norm.bias", values)
        normal = F.group_norm(torch.stack(out).reshape(CONTEXT, -1), HEADS, gain, bias, 64e-5)
        bonus = (r * k * self.parameter(name + ".bonus", keys).reshape(HEADS, self.keys)).sum(-1, keepdim=True) * v
        return self.linear(name + ".out", (normal + bonus.reshape(CONTEXT, -1)) * gate, WIDTH)


if __name__ == "__main__":
    gpt_trace.main("mixer", CASES, Model)
