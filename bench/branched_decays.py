#!/usr/bin/env python3
"""Do branched runs end where full ones do? The table of docs/notes/branched-decays.md.

  bench/branched_decays.py FLYWHEEL CORPUS OUT [--flops 3e10] [--rungs 5] [--ratio 1.82] [--seeds 8] [--model-flops 1e12]

Trains one model size on every rung and seed twice: from the first step, and branched from the run of the rung below.
CORPUS is a folder made by `flywheel corpus`. Finished runs in OUT are not trained again.
"""
import argparse
import concurrent.futures
import json
import math
import os
import statistics
import subprocess
import sys


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("flywheel", "corpus", "out"):
        parser.add_argument(name)
    parser.add_argument("--flops", type=float, default=3e10)
    parser.add_argument("--rungs", type=int, default=5)
    parser.add_argument("--ratio", type=float, default=1.82)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--model-flops", type=float, default=1e12, help="the model is the one for so many FLOPs")
    parser.add_argument("--recipe", help="a recipe file")
    parser.add_argument("--slots", type=int, default=os.cpu_count())
    return parser.parse_args()


def recipe_at(options, flops):
    command = [options.flywheel, "recipe", "show", "--json", "--flops", str(flops)]
    if options.recipe:
        command.insert(3, options.recipe)
    answer = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return answer["recipe"], answer["sizes"][0]


def full_size(recipe, model, flops_per_token, flops):
    """Batch and steps as the recipe scales them."""
    size = dict(model)
    scaling, context = recipe["scaling"], size["context"]
    batch = scaling["batch_tokens"] * (flops / scaling["base_flops"]) ** scaling["batch_exponent"]
    most = max(1, math.floor(flops / (flops_per_token * context * 50)))
    size["batch_sequences"] = min(max(1, round(batch / context)), most)
    size["steps"] = max(1, round(flops / (flops_per_token * context * size["batch_sequences"])))
    return size


def sequences(size, step):
    done = size.get("trunk_steps", 0)
    return size.get("trunk_sequences", 0) + (step - done) * size["batch_sequences"]


def stable_steps(recipe, size):
    batches = sequences(size, size["steps"]) / size["batch_sequences"]
    return size["steps"] - math.floor(recipe["schedule"]["decay_fraction"] * batches + 0.5)


def branched_size(recipe, full, trunk):
    size = dict(full)
    size["trunk_steps"] = stable_steps(recipe, trunk)
    size["trunk_sequences"] = sequences(trunk, size["trunk_steps"])
    missing = full["steps"] * full["batch_sequences"] - size["trunk_sequences"]
    size["steps"] = size["trunk_steps"] + math.floor(missing / size["batch_sequences"] + 0.5)
    return size


def train(options, recipe, name, seed, size, branch=None):
    folder = os.path.join(os.path.abspath(options.out), name)
    os.makedirs(folder, exist_ok=True)
    spec = {"schema": 1, "id": name, "recipe": recipe, "size": size, "corpus": os.path.abspath(options.corpus),
            "seed": seed, "data_seed": seed, "keep_stable": True, "eval": {"tokens": 262144, "every_fraction": 0}}
    if branch:
        spec["branch"] = os.path.join(os.path.abspath(options.out), branch)
    path = os.path.join(folder, "asked.json")
    with open(path, "w") as file:
        json.dump(spec, file)
    subprocess.run([options.flywheel, "train", path, "--dir", folder], check=True, capture_output=True)
    with open(os.path.join(folder, "events.jsonl")) as file:
        return [event for event in map(json.loads, file) if event["type"] == "done"][-1]


def train_seed(options, recipe, sizes, seed):
    """Per rung: the full run's last event and the branched one's."""
    rows, trunk, below = [], None, None
    for rung, full in enumerate(sizes):
        whole = train(options, recipe, f"full-r{rung}-s{seed}", seed, full)
        if rung == 0:
            rows.append((whole, whole))
            trunk, below = full, f"full-r0-s{seed}"
            continue
        size, name = branched_size(recipe, full, trunk), f"branch-r{rung}-s{seed}"
        rows.append((whole, train(options, recipe, name, seed, size, below)))
        trunk, below = size, name
    print(f"seed {seed} done", file=sys.stderr)
    return rows


def main():
    options = arguments()
    recipe, at = recipe_at(options, options.model_flops)
    rungs = [options.flops * options.ratio**i for i in range(options.rungs)]
    sizes = [full_size(recipe, at["size"], at["flops_per_token"], flops) for flops in rungs]
    with concurrent.futures.ThreadPoolExecutor(options.slots) as pool:
        seeds = list(pool.map(lambda s: train_seed(options, recipe, sizes, s), range(1, options.seeds + 1)))
    print(f"{at['matrix_parameters']} matrix parameters, {options.seeds} seeds, bits per byte")
    print("| FLOPs | tokens | steps | batch | full | branched | difference | noise floor | FLOPs spent, of the full |")
    print("|---|---|---|---|---|---|---|---|---|")
    whole_flops = spent_flops = 0
    for rung, size in enumerate(sizes):
        full = [rows[rung][0]["bits_per_byte"] for rows in seeds]
        branched = [rows[rung][1]["bits_per_byte"] for rows in seeds]
        difference = [b - f for f, b in zip(full, branched)]
        error = statistics.stdev(difference) / math.sqrt(len(difference)) if len(difference) > 1 else math.nan
        whole, spent = (sum(rows[rung][i]["spent_flops"] for rows in seeds) for i in (0, 1))
        whole_flops, spent_flops = whole_flops + whole, spent_flops + spent
        print(f"| {rungs[rung]:.2e} | {size['steps'] * size['batch_sequences'] * size['context']} | {size['steps']} | "
              f"{size['batch_sequences']} | {statistics.mean(full):.4f} | {statistics.mean(branched):.4f} | "
              f"{statistics.mean(difference):+.4f} ± {error:.4f} | {statistics.stdev(full) if len(full) > 1 else math.nan:.4f} | "
              f"{spent / whole:.3f} |")
    print(f"all rungs: {spent_flops:.3e} FLOPs instead of {whole_flops:.3e}, {spent_flops / whole_flops:.3f}")


if __name__ == "__main__":
    main()
