#!/usr/bin/env python3
"""Search costs on a table of finished runs: Optuna's samplers and `flywheel replay`, same tables, same rules, one call.

  PYTHONPATH=OPTUNA:CMAES python3 bench/peers/replay_optuna.py build/flywheel TABLE.csv --seeds 20 [--json out.json]

Every policy searches each (N, D) grid of the table until it has seen a run within 0.25% of the grid's best `smooth loss`.
Suggestions off the grid run as the nearest point in units of the logarithmic range; a point that was evaluated before is
looked up and free, for everybody. Optuna is told the same ranges as ours: those of the table. A failed run does not
occur in this table. Ratios are our mean cost over the lowest mean of Optuna's, each tolerance for itself; their
intervals draw grids, then seeds within each (1,000 resamples). Two yardsticks: the samplers as they come, and given the
middle of the ranges as their first trial, which is where ours starts.
"""
import argparse
import collections
import csv
import json
import math
import random
import subprocess
import sys
import time
import warnings

import optuna

TOLERANCES = (0.0025, 0.005, 0.01)
warnings.filterwarnings("ignore")
optuna.logging.set_verbosity(optuna.logging.CRITICAL)


def allow_old_torch():
    """Optuna's GP enters torch.device as a context, which torch 1.x cannot; the CPU is its default anyway."""
    import contextlib

    import torch

    if hasattr(torch.device, "__enter__"):
        return
    from optuna.samplers._gp import sampler

    class Torch:
        def __getattr__(self, name):
            return (lambda *_: contextlib.nullcontext()) if name == "device" else getattr(torch, name)

    sampler.torch = Torch()


def read_grids(path):
    grids = collections.defaultdict(dict)
    with open(path) as file:
        for row in csv.DictReader(file):
            key = (float(row["N"]), float(row["D"]))
            grids[key][(float(row["lr"]), float(row["bs"]))] = float(row["smooth loss"])
    return [grids[key] for key in sorted(grids)]


class Ranges:
    def __init__(self, grids):
        self.low = [min(p[i] for g in grids for p in g) for i in (0, 1)]
        self.high = [max(p[i] for g in grids for p in g) for i in (0, 1)]

    def unit(self, point):
        return [math.log(point[i] / self.low[i]) / math.log(self.high[i] / self.low[i]) for i in (0, 1)]

    def middle(self):
        return [math.sqrt(self.low[i] * self.high[i]) for i in (0, 1)]


def search(grid, ranges, sampler, from_middle):
    """Runs until within each tolerance."""
    study = optuna.create_study(sampler=sampler)
    distributions = {
        "lr": optuna.distributions.FloatDistribution(ranges.low[0], ranges.high[0], log=True),
        "bs": optuna.distributions.FloatDistribution(ranges.low[1], ranges.high[1], log=True),
    }
    if from_middle:
        lr, bs = ranges.middle()
        study.enqueue_trial({"lr": lr, "bs": bs})
    best, points = min(grid.values()), {p: ranges.unit(p) for p in grid}
    runs, found, seen = 0, [None] * 3, set()
    for _ in range(3000):
        trial = study.ask(distributions)
        at = ranges.unit((trial.params["lr"], trial.params["bs"]))
        point = min(points, key=lambda p: (points[p][0] - at[0]) ** 2 + (points[p][1] - at[1]) ** 2)
        if point not in seen:
            seen.add(point)
            runs += 1
        study.tell(trial, grid[point])
        for t, tolerance in enumerate(TOLERANCES):
            if found[t] is None and grid[point] <= best * (1 + tolerance):
                found[t] = runs
        if found[0] is not None:
            break
    return [len(grid) if f is None else f for f in found]


# As they come, and with the middle of the ranges as the first trial.
SAMPLERS = {
    "optuna random": (lambda seed: optuna.samplers.RandomSampler(seed=seed), False),
    "optuna tpe": (lambda seed: optuna.samplers.TPESampler(seed=seed), False),
    "optuna cma-es": (lambda seed: optuna.samplers.CmaEsSampler(seed=seed), False),
    "optuna gp": (lambda seed: optuna.samplers.GPSampler(seed=seed), False),
    "optuna tpe, middle first": (lambda seed: optuna.samplers.TPESampler(seed=seed), True),
    "optuna cma-es, middle first": (lambda seed: optuna.samplers.CmaEsSampler(seed=seed), True),
    "optuna gp, middle first": (lambda seed: optuna.samplers.GPSampler(seed=seed), True),
}


def flywheel(binary, table, policies, seeds, prior):
    command = [binary, "replay", table, "--target", "smooth_loss", "--policy", ",".join(policies), "--seeds",
               str(seeds), "--budget", "1000", "--prior", prior, "--json"]
    answer = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return {p["policy"]: [g["runs"] for g in p["grids"]] for p in answer["policies"]}


def mean_of(costs, tolerance):
    return sum(sum(s[tolerance] for s in grid) / len(grid) for grid in costs) / len(costs)


def ratio_interval(ours, peers, tolerance, resamples=1000):
    """95% of our mean cost over the lowest mean of the peers, which is chosen anew in every resample."""
    rng, ratios = random.Random(1), []
    for _ in range(resamples):
        grids = [rng.randrange(len(ours)) for _ in ours]

        def mean(costs):
            total = 0
            for g in grids:
                total += sum(costs[g][rng.randrange(len(costs[g]))][tolerance] for _ in costs[g]) / len(costs[g])
            return total / len(grids)

        ratios.append(mean(ours) / min(mean(p) for p in peers))
    ratios.sort()
    return ratios[int(0.025 * resamples)], ratios[int(0.975 * resamples)]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("flywheel")
    parser.add_argument("table")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--without", default="none", help="leave out samplers whose names hold this, as in gp")
    parser.add_argument("--json")
    options = parser.parse_args()
    allow_old_torch()
    grids = read_grids(options.table)
    ranges = Ranges(grids)
    results = {}
    for name, (make, from_middle) in SAMPLERS.items():
        if options.without in name:
            continue
        start = time.time()
        results[name] = [[search(g, ranges, make(1000 * i + seed), from_middle) for seed in range(options.seeds)]
                         for i, g in enumerate(grids)]
        print(f"{name}: {time.time() - start:.0f} s", file=sys.stderr)
    for policy, costs in flywheel(options.flywheel, options.table, ["random", "local", "evolve", "bayes"],
                                  options.seeds, "none").items():
        results["flywheel " + policy] = costs
    results["flywheel bayes, other sizes known"] = flywheel(options.flywheel, options.table, ["bayes"], options.seeds,
                                                            "others")["bayes"]
    plain = [costs for name, costs in results.items() if name.startswith("optuna") and "middle" not in name]
    middle = [costs for name, costs in results.items() if "middle first" in name]
    print(f"{len(grids)} grids, {options.seeds} seeds; mean runs until within (ratio to the best of Optuna, 95%)")
    table = []
    for name, costs in results.items():
        row = {"policy": name, "cost": []}
        print(name)
        for t, tolerance in enumerate(TOLERANCES):
            mean = mean_of(costs, t)
            line = f"  {100 * tolerance:.2f}%  {mean:6.2f} runs"
            cell = {"within": tolerance, "runs": mean}
            for label, peers in (("as they come", plain), ("middle first", middle)):
                low, high = ratio_interval(costs, peers, t)
                ratio = mean / min(mean_of(p, t) for p in peers)
                cell[label] = {"ratio": ratio, "low": low, "high": high}
                line += f"   {label}: {ratio:.2f} ({low:.2f} to {high:.2f})"
            row["cost"].append(cell)
            print(line)
        table.append(row)
    if options.json:
        with open(options.json, "w") as file:
            json.dump({"table": table, "runs": results}, file)


if __name__ == "__main__":
    main()
