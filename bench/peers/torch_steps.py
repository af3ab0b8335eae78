#!/usr/bin/env python3
"""Whole training steps of a GPT in current PyTorch beside `flywheel bench`, in turns on the same machine.

  bench/peers/torch_steps.py [--flywheel build/flywheel] [--sizes 64,128,256,512] [--rounds 3] [--seconds 1]

GPT-2's block (learned positions, LayerNorm, GELU, tied head, AdamW, clipping) at context 256 over 256 tokens, as in
`flywheel bench`. PyTorch's best of eager and compiled, in float32 and in bfloat16 autocast (whose products oneDNN runs on
a matrix unit where there is one), on one and on all threads. Also the same bfloat16 products alone. Each round runs
every peer and then ours; the medians are compared.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import time

SIZES = {64: (4, 4, 16), 128: (4, 4, 16), 256: (6, 4, 16), 512: (8, 8, 8)}  # layers, heads, batch
CONTEXT, VOCABULARY = 256, 256
PRODUCTS = [(256, 64, 256), (256, 128, 512), (256, 256, 1024), (512, 512, 2048), (512, 2048, 512)]


def model_of(torch, dim, layers, heads):
    nn, functional = torch.nn, torch.nn.functional

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
            self.qkv, self.out = nn.Linear(dim, 3 * dim, bias=False), nn.Linear(dim, dim, bias=False)
            self.up, self.down = nn.Linear(dim, 4 * dim, bias=False), nn.Linear(4 * dim, dim, bias=False)

        def forward(self, x):
            b, t, c = x.shape
            q, k, v = self.qkv(self.norm1(x)).view(b, t, 3, heads, c // heads).permute(2, 0, 3, 1, 4)
            y = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.out(y.transpose(1, 2).reshape(b, t, c))
            return x + self.down(functional.gelu(self.up(self.norm2(x)), approximate="tanh"))

    class Gpt(nn.Module):
        def __init__(self):
            super().__init__()
            self.tokens, self.positions = nn.Embedding(VOCABULARY, dim), nn.Embedding(CONTEXT, dim)
            self.blocks, self.norm = nn.ModuleList(Block() for _ in range(layers)), nn.LayerNorm(dim)
            for parameter in self.parameters():
                if parameter.dim() == 2:
                    nn.init.normal_(parameter, 0.0, 0.02)

        def forward(self, x, targets):
            h = self.tokens(x) + self.positions.weight
            for block in self.blocks:
                h = block(h)
            logits = functional.linear(self.norm(h), self.tokens.weight)
            return functional.cross_entropy(logits.flatten(0, 1).float(), targets.flatten())

    return Gpt()


def torch_steps(dim, threads, seconds):
    """Tokens per second by (precision, mode), in a process of its own: thread counts are set once."""
    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(1)
    layers, heads, batch = SIZES[dim]
    x = torch.randint(VOCABULARY, (batch, CONTEXT))
    y = torch.randint(VOCABULARY, (batch, CONTEXT))
    speeds = {}
    for mode in ("eager", "compiled"):
        for precision in ("fp32", "bf16"):
            model = model_of(torch, dim, layers, heads)
            optimizer = torch.optim.AdamW(model.parameters(), 1e-3, betas=(0.9, 0.99), fused=True)
            forward = torch.compile(model) if mode == "compiled" else model

            def step():
                optimizer.zero_grad(set_to_none=True)
                with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
                    loss = forward(x, y)
                loss.backward()
                torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                return loss.item()

            try:
                first = step()
                assert abs(first - 5.545) < 0.5, f"the first loss is {first}, not that of a fresh model"
                step()
            except Exception as error:  # a compiler that is missing, for one
                print(f"{mode} {precision}: {error}", file=sys.stderr)
                continue
            times, end = [], time.monotonic() + seconds
            while time.monotonic() < end or len(times) < 3:
                begun = time.monotonic()
                step()
                times.append(time.monotonic() - begun)
            speeds[f"{precision} {mode}"] = batch * CONTEXT / statistics.median(times)
    return speeds


def torch_products(threads):
    """GFLOP/s of bfloat16 products, weights packed beforehand where PyTorch does so."""
    import torch

    torch.set_num_threads(threads)
    speeds = {}
    for m, k, n in PRODUCTS:
        a = torch.randn(m, k, dtype=torch.bfloat16)
        b = torch.randn(n, k, dtype=torch.bfloat16)
        times, end = [], time.monotonic() + 0.3
        with torch.no_grad():
            while time.monotonic() < end:
                begun = time.monotonic()
                torch.nn.functional.linear(a, b)
                times.append(time.monotonic() - begun)
        speeds[f"{m}x{k}x{n}"] = 2e-9 * m * k * n / statistics.median(times)
    return speeds


def own(flywheel, dim, seconds):
    report = json.loads(subprocess.run([flywheel, "bench", "--json", "--sizes", str(dim), "--seconds", str(seconds)],
                                       check=True, capture_output=True, text=True).stdout)
    rows = {f"{row['precision']} {row['threads']}": row["tokens_per_second"]
            for key in ("sizes", "one_thread_sizes") for row in report[key]}
    return rows, report["auto"][str(dim)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flywheel", default=os.path.join(os.path.dirname(__file__), "../../build/flywheel"))
    parser.add_argument("--sizes", default="64,128,256,512")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        what, dim, threads = args.child.split(",")
        print(json.dumps(torch_products(int(threads)) if what == "products"
                         else torch_steps(int(dim), int(threads), args.seconds)))
        return
    cores = len(os.sched_getaffinity(0))

    def child(what, dim, threads):
        command = [sys.executable, __file__, "--child", f"{what},{dim},{threads}", "--seconds", str(args.seconds)]
        return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True,
                                         env={**os.environ, "OMP_NUM_THREADS": str(threads)}).stdout.splitlines()[-1])

    import torch
    print(f"PyTorch {torch.__version__}; median of {args.rounds} rounds in turns, tokens per second")
    print(f"{'wide':>5} {'ours fp32':>10} {'ours bf16':>10} {'PyTorch fp32':>13} {'PyTorch bf16':>13} {'best of it':>22} "
          f"{'ours / PyTorch':>15}")
    for dim in (int(size) for size in args.sizes.split(",")):
        ours, peers, auto = {}, {}, "fp32"
        for _ in range(args.rounds):
            for threads in sorted({1, cores}):
                for name, speed in child("steps", dim, threads).items():
                    peers.setdefault(f"{name}, {threads} thread{'s' * (threads > 1)}", []).append(speed)
            rows, auto = own(args.flywheel, dim, args.seconds)
            for name, speed in rows.items():
                ours.setdefault(name, []).append(speed)
        ours = {name: statistics.median(speeds) for name, speeds in ours.items()}
        peers = {name: statistics.median(speeds) for name, speeds in peers.items()}
        best = max(peers, key=peers.get)
        of = lambda precision: max((speed for name, speed in peers.items() if name.startswith(precision)), default=0)
        print(f"{dim:5d} {ours[f'fp32 {cores}']:10.0f} {ours.get(f'bf16 {cores}', 0):10.0f} {of('fp32'):13.0f} "
              f"{of('bf16'):13.0f} {best:>22} {ours[f'{auto} {cores}'] / peers[best]:14.2f}x", flush=True)
    print("bf16 products of PyTorch, one thread, GFLOP/s:",
          ", ".join(f"{name} {speed:.0f}" for name, speed in child("products", 0, 1).items()))


if __name__ == "__main__":
    main()
