#!/usr/bin/python3
"""Records every optimizer's rule on one matrix, float64, written from the papers' formulas (Adam with L2 is PyTorch's):
rules, cautious variants, forms of weight decay, averages of the weights.

  python3 testing/golden/optimizer_trace.py > testing/golden/optimizer_trace.h
"""
import numpy as np
import torch

RATE, BETA1, BETA2, EPSILON, MOMENTUM, DECAY, INTERVAL = 0.05, 0.9, 0.95, 1e-8, 0.9, 0.1, 2
SHARES = [0.5, 1.0, 1.0, 0.75, 0.5, 0.25, 0.25]
STEPS = len(SHARES)


def adam(state, g, t, w, rate):
    state["m"] = BETA1 * state.get("m", 0) + (1 - BETA1) * g
    state["v"] = BETA2 * state.get("v", 0) + (1 - BETA2) * g**2
    return rate * (state["m"] / (1 - BETA1**t)) / (np.sqrt(state["v"] / (1 - BETA2**t)) + EPSILON)


def lion(state, g, t, w, rate):
    m = state.get("m", np.zeros_like(g))
    state["m"] = BETA2 * m + (1 - BETA2) * g
    return rate * np.sign(BETA1 * m + (1 - BETA1) * g)


def muon(state, g, t, w, rate):
    state["m"] = MOMENTUM * state.get("m", 0) + g
    x = g + MOMENTUM * state["m"]
    wide = x if x.shape[0] <= x.shape[1] else x.T
    wide = wide / (np.linalg.norm(wide) + 1e-7)
    for _ in range(5):
        a = wide @ wide.T
        wide = 3.4445 * wide + (-4.7750 * a + 2.0315 * a @ a) @ wide
    x = wide if x.shape[0] <= x.shape[1] else wide.T
    return rate * np.sqrt(max(1, x.shape[0] / x.shape[1])) * x


def soap(state, g, t, w, rate):
    if "left" not in state:  # the first gradient only sets the bases
        state.update(l=g @ g.T, r=g.T @ g, left=np.eye(g.shape[0]), right=np.eye(g.shape[1]), m=0 * g, v=0 * g, k=0)
        for _ in range(8):
            state["left"] = np.linalg.qr(state["l"] @ state["left"])[0]
            state["right"] = np.linalg.qr(state["r"] @ state["right"])[0]
        return None
    state["k"] += 1
    left, right, k = state["left"], state["right"], state["k"]
    state["m"] = BETA1 * state["m"] + (1 - BETA1) * g
    state["v"] = BETA2 * state["v"] + (1 - BETA2) * (left.T @ g @ right) ** 2
    mean = left.T @ state["m"] @ right / (1 - BETA1**k)
    update = left @ (mean / (np.sqrt(state["v"] / (1 - BETA2**k)) + EPSILON)) @ right.T
    state["l"] = BETA2 * state["l"] + g @ g.T  # any scale: only the eigenvectors are used
    state["r"] = BETA2 * state["r"] + g.T @ g
    if k % INTERVAL == 0:
        state["left"] = np.linalg.qr(state["l"] @ left)[0]
        state["right"] = np.linalg.qr(state["r"] @ right)[0]
    return rate * update


def cautious_mask(update, g):
    """Liang et al. 2024; elements without a gradient are not counted."""
    mask = (update * g > 0).astype(float)
    return update * mask / max(mask.sum() / max(1, (g != 0).sum()), 1e-3)


def train(rule, shape, seed, cautious=False, form="decoupled", averaging="none"):
    random = np.random.default_rng(seed)
    w = np.round(random.normal(size=shape) * 64) / 64  # exact in float32
    gradients = [np.round(random.normal(size=shape) * 64) / 64 for _ in SHARES]
    gradients[3][0, 0] = 0
    start, state, average, weights = w.copy(), {}, w.copy(), []
    tail = round(0.4 * STEPS)
    for t, (share, gradient) in enumerate(zip(SHARES, gradients), 1):
        g = gradient + DECAY * w if form == "l2" else gradient
        if rule == "adam_l2":
            if t == 1:
                parameter = torch.tensor(w, dtype=torch.float64, requires_grad=True)
                optimizer = torch.optim.Adam([parameter], lr=1, betas=(BETA1, BETA2), eps=EPSILON, weight_decay=DECAY)
            optimizer.param_groups[0]["lr"] = RATE * share
            parameter.grad = torch.tensor(gradient)
            optimizer.step()
            w = parameter.detach().numpy().copy()
        elif rule == "schedule_free":
            rate = RATE * share * np.sqrt(1 - BETA2**t)
            if t == 1:
                z, x, v, total = w.copy(), w.copy(), 0 * w, 0
            y = (1 - BETA1) * z + BETA1 * x
            v = BETA2 * v + (1 - BETA2) * g**2
            z = z - rate * g / (np.sqrt(v) + EPSILON) - (RATE * share * DECAY if form == "decoupled" else 0) * y
            total += rate**2
            x = (1 - rate**2 / total) * x + rate**2 / total * z
            w, average = (1 - BETA1) * z + BETA1 * x, x
        else:
            update = globals()[rule](state, g, t, w, RATE * share)
            if update is not None:
                if cautious:
                    update = cautious_mask(update, g)
                keep = {"decoupled": 1 - RATE * share * DECAY, "independent": 1 - share * DECAY, "l2": 1}[form]
                w = keep * w - update
        if averaging == "exponential":
            weights.append(w.copy())
            powers = 0.8 ** np.arange(t - 1, -1, -1)
            average = sum(p * past for p, past in zip(powers, weights)) / powers.sum()
        elif averaging == "tail":
            weights.append(w.copy())
            average = np.mean(weights[STEPS - tail:], axis=0) if t > STEPS - tail else w
    return start, gradients, w, average if averaging != "none" or rule == "schedule_free" else w


CASES = [(kind, rule, shape, flags)
         for kind, rule, shape in [("kAdamw", "adam", (3, 5)), ("kLion", "lion", (3, 5)), ("kScheduleFree", "schedule_free", (3, 5)),
                                   ("kMuon", "muon", (4, 4)), ("kMuon", "muon", (5, 3)), ("kMuon", "muon", (3, 5)),
                                   ("kSoap", "soap", (4, 4)), ("kSoap", "soap", (4, 3)), ("kSoap", "soap", (3, 4)),
                                   ("kSoap", "soap", (1, 1))]
         for flags in [{}] + ([] if rule == "schedule_free" else [{"cautious": True}])]
CASES += [(kind, rule, (3, 4), {"form": form})
          for kind, rule in [("kAdamw", "adam"), ("kLion", "lion"), ("kMuon", "muon"), ("kSoap", "soap")]
          for form in ("independent", "l2") if (rule, form) != ("adam", "l2")]
CASES += [("kAdamw", "adam_l2", (3, 4), {"form": "l2"})]
CASES += [("kAdamw", "adam", (3, 4), {"averaging": averaging}) for averaging in ("exponential", "tail")]


def numbers(values):
    return "{" + ", ".join(f"{v:.8g}" for v in np.ravel(values)) + "}"


print("// Generated by optimizer_trace.py: every optimizer on one matrix, float64. Do not edit.\n#pragma once\n")
print('#include <vector>\n\n#include "recipe/recipe.h"\n\nnamespace flywheel::testing::golden {\n')
print("// Each step's share of the peak rate; recipe as in optimizer_trace.py.")
print(f"inline const std::vector<double> kOptimizerShares = {numbers(SHARES)};\n")
print("struct OptimizerTrace {\n  OptimizerKind kind;\n  bool cautious;\n  WeightDecay decay_form;\n  Averaging averaging;\n"
      "  int rows, columns;\n  std::vector<double> start;\n  std::vector<std::vector<double>> gradients;\n"
      "  std::vector<double> weights, kept;  // after the last step\n};\n")
print("inline const OptimizerTrace kOptimizerTraces[] = {")
for seed, (kind, rule, shape, flags) in enumerate(CASES):
    start, gradients, w, kept = train(rule, shape, seed, **flags)
    form = {"decoupled": "kDecoupled", "independent": "kIndependent", "l2": "kL2"}[flags.get("form", "decoupled")]
    averaging = "k" + flags.get("averaging", "none").capitalize()
    print(f"    {{OptimizerKind::{kind}, {str(flags.get('cautious', False)).lower()}, WeightDecay::{form}, "
          f"Averaging::{averaging}, {shape[0]}, {shape[1]},\n     {numbers(start)},")
    print("     {" + ",\n      ".join(numbers(g) for g in gradients) + "},")
    print(f"     {numbers(w)},\n     {numbers(kept)}}},")
print("};\n\n}  // namespace flywheel::testing::golden")
