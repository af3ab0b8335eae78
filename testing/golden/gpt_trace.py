#!/usr/bin/python3
"""Records losses and parameter gradients of small GPTs, written independently of the engine in PyTorch and in float64.

  for g in gpt attention; do python3 testing/golden/gpt_trace.py $g > testing/golden/${g}_trace.h; done

A case is a list of patches of testing/small_model.h's patched_model. Parameters and tokens come from a formula that the
test repeats, so that only results are recorded: per parameter its gradient's norm, its projection on a fixed direction
and its first elements. A parameter's formula depends on its place in the order of declaration, which is the order of
first use here.
"""
import math
import sys
import torch
import torch.nn.functional as F

LAYERS, WIDTH, HEADS, HEAD_DIM, HIDDEN, CONTEXT, VOCABULARY = 3, 24, 4, 6, 20, 11, 19
EPSILON = 1e-5
torch.set_default_dtype(torch.float64)

# What patched_model starts from.
PLAIN = {"model.mixers": "attention", "model.positions": "rope", "model.rope_base": 10000.0, "model.rope_fraction": 1.0,
         "model.kv_group": 1, "model.qk_norm": False, "model.attention_softcap": 0.0, "model.window": 64,
         "model.attention_sink": False, "model.attention_gate": False, "model.latent_dim": 0,
         "model.value_residual": False, "model.norm": "rmsnorm", "model.feed_forward": "swiglu",
         "model.tied_head": False}

CASES = {
    "gpt": [
        ["model.positions=learned", "model.norm=layernorm", "model.feed_forward=gelu", "model.tied_head=true"],
        ["model.qk_norm=true"],
        ["model.feed_forward=relu_squared", "model.kv_group=2", "model.tied_head=true"],
        ["model.positions=learned", "model.norm=layernorm", "model.kv_group=4", "model.qk_norm=true"],
    ],
    "attention": [
        ["model.positions=alibi", "model.kv_group=2", "model.attention_softcap=5", "model.qk_norm=true"],
        ["model.positions=none", "model.kv_group=4", "model.attention_sink=true"],
        ["model.rope_fraction=0.67", "model.rope_base=100", "model.qk_norm=true", "model.attention_gate=true"],
        ["model.mixers=window,attention", "model.window=3", "model.value_residual=true", "model.kv_group=2"],
        ["model.mixers=window,window,attention", "model.window=4", "model.positions=alibi",
         "model.attention_sink=true", "model.attention_softcap=1.5", "model.attention_gate=true",
         "model.value_residual=true"],
        ["model.mixers=latent", "model.latent_dim=10", "model.qk_norm=true"],
        ["model.mixers=latent,window,attention", "model.rope_fraction=0.34", "model.window=5", "model.kv_group=2",
         "model.attention_sink=true"],
        ["model.mixers=latent", "model.positions=alibi", "model.attention_softcap=3", "model.attention_gate=true",
         "model.attention_sink=true", "model.tied_head=true"],
    ],
}


def recipe(patches):
    fields = dict(PLAIN)
    for patch in patches:
        name, text = patch.split("=")
        kind = type(fields[name])
        fields[name] = text == "true" if kind is bool else kind(text)
    return {name.split(".")[1]: value for name, value in fields.items()}


def formula(index, count, scale):
    """Spread over [-scale, scale], different for every parameter (index) and element."""
    i = torch.arange(count)
    return scale * torch.sin(0.7 * (i + 1) * (1 + 0.01 * index) + 1.3 * index)


def rms(x):
    return x / torch.sqrt((x * x).mean(-1, keepdim=True) + EPSILON)


def turn(x, width, base):
    """Rotary positions as complex numbers: element i and element i + width / 2 are one, times e^(i t theta)."""
    theta = base ** (-2 * torch.arange(width // 2) / width)
    spin = torch.polar(torch.ones(CONTEXT, width // 2), torch.arange(CONTEXT)[:, None] * theta)
    z = torch.complex(x[..., :width // 2], x[..., width // 2:width]) * spin
    return torch.cat([z.real, z.imag, x[..., width:]], -1)


class Model:
    def __init__(self, patches):
        self.c, self.named, self.first_values = recipe(patches), {}, None
        self.mixers = {"attention": self.attention, "window": self.attention, "latent": self.latent}

    def parameter(self, name, *shape, around=0.0):
        if name not in self.named:
            count = math.prod(shape)
            # float32 values, as the engine holds them
            value = (around + formula(len(self.named), count, 0.3)).float().double().reshape(shape)
            self.named[name] = value.requires_grad_()
        return self.named[name]

    def linear(self, name, x, out):
        return x @ self.parameter(name, out, x.shape[-1]).T

    def norm(self, name, x):
        gain = self.parameter(name + ".gain", WIDTH, around=1.0)
        if self.c["norm"] == "layernorm":
            return F.layer_norm(x, (WIDTH,), gain, self.parameter(name + ".bias", WIDTH), EPSILON)
        return rms(x) * gain

    def heads(self, x):
        return x.reshape(CONTEXT, -1, HEAD_DIM).transpose(0, 1)

    def weigh(self, name, kind, h, q, k, v):
        """Scores of (H, T, Dh) queries and keys to the block's result."""
        c = self.c
        scores = torch.einsum("htd,hud->htu", q, k) * HEAD_DIM ** -0.5
        if c["attention_softcap"] > 0:
            scores = c["attention_softcap"] * torch.tanh(scores / c["attention_softcap"])
        distance = torch.arange(CONTEXT)[:, None] - torch.arange(CONTEXT)[None, :]
        if c["positions"] == "alibi":  # four heads: 1/4, 1/16, 1/64, 1/256
            scores = scores - torch.tensor([0.25 ** (h + 1) for h in range(HEADS)])[:, None, None] * distance
        seen = (distance >= 0) & (distance < (c["window"] if kind == "window" else CONTEXT))
        scores = scores.masked_fill(~seen, float("-inf"))
        if c["attention_sink"]:
            sink = self.parameter(name + ".sinks", HEADS)[:, None, None].expand(HEADS, CONTEXT, 1)
            weights = torch.softmax(torch.cat([scores, sink], -1), -1)[..., :-1]
        else:
            weights = torch.softmax(scores, -1)
        mixed = (weights @ v).transpose(0, 1).reshape(CONTEXT, -1)
        if c["attention_gate"]:
            mixed = mixed * torch.sigmoid(self.linear(name + ".gate", h, HEADS * HEAD_DIM))
        return self.linear(name + ".out", mixed, WIDTH)

    def attention(self, name, kind, h):
        c, groups = self.c, HEADS // self.c["kv_group"]
        qkv = self.linear(name + ".qkv", h, (HEADS + 2 * groups) * HEAD_DIM)
        q, k, v = (self.heads(z) for z in qkv.split([HEADS * HEAD_DIM, groups * HEAD_DIM, groups * HEAD_DIM], -1))
        if c["qk_norm"]:
            q, k = rms(q), rms(k)
        if c["positions"] == "rope":
            width = round(c["rope_fraction"] * HEAD_DIM)
            q, k = turn(q, width, c["rope_base"]), turn(k, width, c["rope_base"])
        if c["value_residual"]:
            if self.first_values is None:
                self.first_values = v
            else:
                share = self.parameter(name + ".first_value_share", 1, around=0.5)
                v = (1 - share) * v + share * self.first_values
        k, v = (z.repeat_interleave(HEADS // groups, 0) for z in (k, v))
        return self.weigh(name, kind, h, q, k, v)

    def latent(self, name, kind, h):
        c, dim = self.c, self.c["latent_dim"] or 4 * HEAD_DIM
        rotary = min(round(c["rope_fraction"] * HEAD_DIM), HEAD_DIM // 4 * 2) if c["positions"] == "rope" else 0
        q = self.heads(self.linear(name + ".query", h, HEADS * HEAD_DIM))
        latent = self.linear(name + ".latent", h, dim)
        latent = rms(latent) * self.parameter(name + ".latent_norm.gain", dim, around=1.0)
        q = rms(q) if c["qk_norm"] else q
        if rotary:
            shared = self.linear(name + ".rotary_key", h, rotary)
            shared = turn(rms(shared) if c["qk_norm"] else shared, rotary, c["rope_base"])
            q = turn(q, rotary, c["rope_base"])
        content = HEAD_DIM - rotary
        up = self.linear(name + ".up", latent, HEADS * (content + HEAD_DIM))
        k = up[:, :HEADS * content].reshape(CONTEXT, HEADS, content).transpose(0, 1)
        if rotary:
            k = torch.cat([shared.expand(HEADS, CONTEXT, rotary), k], -1)
        return self.weigh(name, kind, h, q, k, self.heads(up[:, HEADS * content:]))

    def feed_forward(self, name, h):
        kind = self.c["feed_forward"]
        if kind == "swiglu":
            gate, up = self.linear(name + ".gate_up", h, 2 * HIDDEN).split(HIDDEN, -1)
            y = F.silu(gate) * up
        else:
            u = self.linear(name + ".up", h, HIDDEN)
            y = F.gelu(u, approximate="tanh") if kind == "gelu" else torch.relu(u) ** 2
        return self.linear(name + ".down", y, WIDTH)

    def loss(self):
        tokens = torch.tensor([(7 * i * i + 3 * i + 2) % VOCABULARY for i in range(CONTEXT + 1)])
        table = self.parameter("embedding.tokens", VOCABULARY, WIDTH)
        x = table[tokens[:-1]]
        if self.c["positions"] == "learned":
            x = x + self.parameter("embedding.positions", CONTEXT, WIDTH)
        pattern = self.c["mixers"].split(",")
        for layer in range(LAYERS):
            kind, name = pattern[layer % len(pattern)], f"blocks.{layer}.attention"
            x = x + self.mixers[kind](name, kind, self.norm(name + ".norm", x))
            name = f"blocks.{layer}.feed_forward"
            x = x + self.feed_forward(name, self.norm(name + ".norm", x))
        x = self.norm("norm", x)
        head = table if self.c["tied_head"] else self.parameter("head", VOCABULARY, WIDTH)
        return F.cross_entropy(x @ head.T, tokens[1:], reduction="sum")


def main(group):
    print("// Generated by gpt_trace.py: losses and gradients of small GPTs in PyTorch, float64. Do not edit.")
    print("#pragma once\n\n#include \"testing/golden/trace.h\"\n\nnamespace flywheel::testing::golden {\n")
    print(f"inline std::vector<Trace> {group}_traces() {{\n  return {{")
    for patches in CASES[group]:
        model = Model(patches)
        loss = model.loss()
        loss.backward()
        print("      {{" + ", ".join(f'"{patch}"' for patch in patches) + "},")
        print(f"       {loss.item():.9g},\n       {{")
        for name, p in model.named.items():
            g = p.grad.flatten()
            first = ", ".join(f"{v:.6g}" for v in g[:4].tolist())
            projection = (g * formula(50, len(g), 1.0)).sum().item()
            print(f"           {{\"{name}\", {g.norm().item():.7g}, {projection:.7g}, {{{first}}}}},")
        print("       }},")
    print("  };\n}\n\n}  // namespace flywheel::testing::golden")


main(sys.argv[1])
