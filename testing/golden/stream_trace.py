#!/usr/bin/python3
"""Records losses and parameter gradients of small models with the variants of feed-forward, residual stream and ends,
written independently of the engine in PyTorch and in float64, token by token where that is the plainest way.

  python3 testing/golden/stream_trace.py > testing/golden/stream_trace.h

As in gpt_trace.py, parameters and tokens come from a formula that the test repeats, and only results are recorded. The
gradient is of everything that training minimises; the loss is the cross-entropy of the first head alone.
"""
import math
import torch
import torch.nn.functional as F

LAYERS, WIDTH, HEADS, HEAD_DIM, HIDDEN, CONTEXT, VOCABULARY = 3, 24, 4, 6, 20, 11, 19
EPSILON = 1e-5
torch.set_default_dtype(torch.float64)


def formula(index, count, scale):
    """Spread over [-scale, scale], different for every parameter (index) and element."""
    i = torch.arange(count)
    return scale * torch.sin(0.7 * (i + 1) * (1 + 0.01 * index) + 1.3 * index)


def tanh_gelu(u):
    return 0.5 * u * (1 + torch.tanh(math.sqrt(2 / math.pi) * (u + 0.044715 * u ** 3)))


class Model:
    def __init__(self, options):
        self.o, self.named, self.extra_objective = options, {}, 0.0

    def option(self, name, default):
        return self.o.get(name, default)

    def parameter(self, name, *shape, around=0.0):
        if name not in self.named:
            count = math.prod(shape)
            # float32 values, as the engine holds them
            value = (around + formula(len(self.named), count, 0.3)).float().double().reshape(shape)
            self.named[name] = value.requires_grad_()
        return self.named[name]

    # Normalisation ------------------------------------------------------------------------------------------------
    def norm(self, name, x):
        kind = self.option("norm", "rmsnorm")
        if kind == "dynamic_tanh":
            alpha = self.parameter(name + ".alpha", 1, around=0.5)
            gain = self.parameter(name + ".gain", WIDTH, around=1.0)
            return gain * torch.tanh(alpha * x) + self.parameter(name + ".bias", WIDTH)
        gain = self.parameter(name + ".gain", WIDTH, around=1.0)
        if kind == "layernorm":
            return F.layer_norm(x, (WIDTH,), gain, self.parameter(name + ".bias", WIDTH), EPSILON)
        return x / torch.sqrt((x * x).mean(-1, keepdim=True) + EPSILON) * gain

    # Blocks, without norms and residual connections ---------------------------------------------------------------
    def attention(self, name, h):
        qkv = h @ self.parameter(name + ".qkv", 3 * HEADS * HEAD_DIM, WIDTH).T
        q, k, v = (z.reshape(CONTEXT, HEADS, HEAD_DIM).transpose(0, 1) for z in qkv.split(HEADS * HEAD_DIM, -1))
        half = HEAD_DIM // 2
        angle = torch.arange(CONTEXT)[:, None] * 10000.0 ** (-torch.arange(half)[None, :] * 2 / HEAD_DIM)
        cos, sin = angle.cos(), angle.sin()
        q, k = (torch.cat([z[..., :half] * cos - z[..., half:] * sin, z[..., half:] * cos + z[..., :half] * sin], -1)
                for z in (q, k))
        scores = q @ k.transpose(-2, -1) / math.sqrt(HEAD_DIM)
        mask = torch.triu(torch.ones(CONTEXT, CONTEXT, dtype=torch.bool), 1)
        mixed = torch.softmax(scores.masked_fill(mask, float("-inf")), -1) @ v
        return mixed.transpose(0, 1).reshape(CONTEXT, -1) @ self.parameter(name + ".out", WIDTH, HEADS * HEAD_DIM).T

    def hidden(self, h, up):
        """Of the matrix before the activation, (units or 2 * units, width)."""
        kind = self.option("feed_forward", "swiglu")
        u = h @ up.T
        if kind in ("swiglu", "geglu"):
            gate, value = u.split(u.shape[-1] // 2, -1)
            return (F.silu(gate) if kind == "swiglu" else tanh_gelu(gate)) * value
        return tanh_gelu(u) if kind == "gelu" else torch.relu(u) ** 2

    def up_name_and_rows(self, units):
        gated = self.option("feed_forward", "swiglu") in ("swiglu", "geglu")
        return (".gate_up", 2 * units) if gated else (".up", units)

    def dense(self, name, h, units):
        suffix, rows = self.up_name_and_rows(units)
        y = self.hidden(h, self.parameter(name + suffix, rows, WIDTH))
        return y @ self.parameter(name + ".down", WIDTH, units).T

    def feed_forward(self, name, h):
        experts = self.option("experts", 0)
        if experts == 0:
            return self.dense(name, h, HIDDEN)
        active, shared = self.option("experts_active", 2), self.option("experts_shared", 0)
        balance = self.option("expert_balance", "bias")
        units = max(1, math.floor(HIDDEN / (active + shared) / 8 + 0.5)) * 8
        scores = torch.sigmoid(h @ self.parameter(name + ".router", experts, WIDTH).T)
        bias = self.parameter(name + ".router_bias", experts) if balance == "bias" else torch.zeros(experts)
        suffix, rows = self.up_name_and_rows(units)
        up = self.parameter(name + ".experts" + suffix, experts, rows, WIDTH)
        down = self.parameter(name + ".experts.down", experts, WIDTH, units)
        result, counts = [], torch.zeros(experts)
        for t in range(CONTEXT):
            chosen = sorted(range(experts), key=lambda e: -(scores[t, e] + bias[e]).item())[:active]
            total = sum(scores[t, e] for e in chosen) if active > 1 else 1.0
            result.append(sum(scores[t, e] / total * (self.hidden(h[t], up[e]) @ down[e].T) for e in chosen))
            for e in chosen:
                counts[e] += 1
        if balance == "loss":
            fractions = experts * counts / (active * CONTEXT)
            shares = (scores / scores.sum(-1, keepdim=True)).mean(0)
            self.extra_objective = self.extra_objective + (
                self.option("expert_balance_rate", 0.001) * CONTEXT * (fractions * shares).sum())
        y = torch.stack(result)
        return y if shared == 0 else y + self.dense(name + ".shared", h, shared * units)

    # The stream: a list of streams, one of them without hyper-connections -------------------------------------------
    def block(self, name, index, function, streams):
        n, placement = len(streams), self.option("norm_placement", "pre")
        if n == 1:
            x = streams[0]
        else:
            weights = self.parameter(name + ".streams.read", n) + F.one_hot(torch.tensor(index % n), n)
            x = sum(weights[i] * streams[i] for i in range(n))
        h = x if placement == "post" else self.norm(name + ".norm", x)
        y = function(name, h)
        if placement != "pre":
            y = self.norm(name + ".post_norm", y)
        scaling = self.option("residual_scaling", "none")
        if scaling == "learned":
            y = y * self.parameter(name + ".scale", WIDTH, around=1 / math.sqrt(2 * LAYERS))
        if scaling == "depth":
            y = y / math.sqrt(2 * LAYERS)
        if n == 1:
            return [x + y]
        weights = self.parameter(name + ".streams.write", n * (n + 1)).reshape(n, n + 1)
        return [sum((weights[i, j] + (i == j)) * streams[j] for j in range(n)) + (weights[i, n] + 1) * y for i in range(n)]

    def embed(self, tokens):
        x = self.parameter("embedding.tokens", VOCABULARY, WIDTH)[tokens]
        rows = self.option("ngram_rows", 4096)
        for n in range(2, self.option("ngram_embeddings", 0) + 1):
            picked = []
            for t in range(CONTEXT):
                code = n
                for i in range(t - n + 1, t + 1):
                    code = ((code ^ (0 if i < 0 else tokens[i].item() + 1)) * 0x9E3779B97F4A7C15) % 2 ** 64
                picked.append((code >> 32) % rows)
            x = x + self.parameter(f"embedding.ngrams.{n}", rows, WIDTH)[picked]
        return x

    def head_objective(self, x, head, targets, z_loss):
        """Cross-entropy and z-loss, each summed over the tokens."""
        logits = x @ head.T
        cap = self.option("logit_softcap", 0)
        if cap:
            logits = cap * torch.tanh(logits / cap)
        return F.cross_entropy(logits, targets, reduction="sum"), z_loss * (torch.logsumexp(logits, -1) ** 2).sum()

    def run(self):
        """The reported loss, and the training objective."""
        tokens = torch.tensor([(7 * i * i + 3 * i + 2) % VOCABULARY for i in range(CONTEXT + 1)])
        streams = [self.embed(tokens[:-1])] * self.option("residual_streams", 1)
        received = []
        for layer in range(LAYERS):
            if self.option("skips", "none") == "unet":
                if layer < LAYERS // 2:
                    received.append(streams)
                partner = LAYERS - 1 - layer
                if partner < LAYERS // 2:
                    weight = self.parameter(f"blocks.{layer}.skip", 1, around=1.0)
                    streams = [a + weight * b for a, b in zip(streams, received[partner])]
            streams = self.block(f"blocks.{layer}.attention", 2 * layer, self.attention, streams)
            streams = self.block(f"blocks.{layer}.feed_forward", 2 * layer + 1, self.feed_forward, streams)
        stream = sum(streams) / len(streams)
        x = self.norm("norm", stream)
        tied = self.option("tied_head", False)
        head = self.parameter("embedding.tokens" if tied else "head", VOCABULARY, WIDTH)
        z_loss = self.option("z_loss", 0)
        loss, z = self.head_objective(x, head, tokens[1:], z_loss)
        objective = loss + z + self.extra_objective
        further = self.option("predicted_tokens", 1) - 1
        for ahead in range(1, further + 1):
            h = self.norm(f"further.{ahead}.norm", stream)
            own = self.norm("norm", stream + h @ self.parameter(f"further.{ahead}.out", WIDTH, WIDTH).T)
            objective = objective + 0.3 / further * sum(
                self.head_objective(own[:CONTEXT - ahead], head, tokens[1 + ahead:], z_loss))
        return loss, objective


CASES = [
    dict(feed_forward="geglu", norm="dynamic_tanh", logit_softcap=3),
    dict(norm="layernorm", norm_placement="post", residual_scaling="learned", z_loss=0.01),
    dict(norm_placement="sandwich", residual_scaling="depth", feed_forward="relu_squared", tied_head=True),
    dict(skips="unet", residual_streams=3),
    dict(ngram_embeddings=3, ngram_rows=16, logit_softcap=8, z_loss=0.02),
    dict(experts=4, experts_shared=1),
    dict(experts=5, experts_active=1, expert_balance="loss", expert_balance_rate=0.05, feed_forward="gelu"),
    dict(experts=4, expert_balance="loss", expert_balance_rate=0.5, residual_streams=2, norm_placement="post"),
    dict(predicted_tokens=3, z_loss=0.01, tied_head=True, norm="layernorm"),
]


def shown(value):
    return str(value).lower() if isinstance(value, bool) else str(value)


def main():
    print("// Generated by stream_trace.py: losses and gradients of small models in PyTorch, float64. Do not edit.")
    print("#pragma once\n\n#include \"testing/golden/trace.h\"\n")
    print("namespace flywheel::testing::golden {\n")
    print("inline std::vector<Trace> stream_traces() {\n  return {")
    for case in CASES:
        model = Model(case)
        loss, objective = model.run()
        objective.backward()
        patches = ", ".join(f'"model.{name}={shown(value)}"' for name, value in case.items())
        print(f"      {{{{{patches}}}, {loss.item():.9g},\n       {{")
        for name, p in model.named.items():
            g = torch.zeros(p.numel()) if p.grad is None else p.grad.flatten()
            values = (g.tolist() + [0.0] * 4)[:4]
            first = ", ".join(f"{v:.7g}" for v in values)
            projection = (g * formula(50, len(g), 1.0)).sum().item()
            print(f"           {{\"{name}\", {g.norm().item():.8g}, {projection:.8g}, {{{first}}}}},")
        print("       }},")
    print("  };\n}\n\n}  // namespace flywheel::testing::golden")


main()
