#!/usr/bin/env python3
"""The effect of each part of a recipe: every change is trained beside the base with the same seeds and data, both for the
same FLOPs of model and optimizer together, and its loss turned into compute and into time: "the changed recipe needs m
times the compute of the base". Time is processor time, single-threaded, so that it means the same on a busy machine.

  bench/ablations.py --corpus PATH --flops 1e11,4e11 [--seeds 3] [--base RECIPE.toml] [--changes FILE] [--out FILE.json]

A line of FILE is `name: section.field=value; section.field=value`. A value may be a list a|b|c (a learning rate, say):
the best of them on a seed that is not counted is taken. Prints a Markdown table. The interval (90%) is Student's over the
paired differences of the seeds, with the slope of the base's own loss over compute taken as known.
"""
import argparse, concurrent.futures, itertools, json, math, os, pathlib, statistics, subprocess, sys, tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
FLYWHEEL = os.environ.get("FLYWHEEL", str(ROOT / "build" / "flywheel"))
COSTS = ["training_flops", "optimizer_flops", "seconds", "parameters", "matrix_parameters", "artifact_bytes", "lookup_bytes"]
T90 = {1: 6.314, 2: 2.920, 3: 2.353, 4: 2.132, 5: 2.015, 6: 1.943, 7: 1.895, 8: 1.860, 9: 1.833}  # one-sided 95%


def call(*words):
    done = subprocess.run([FLYWHEEL, *map(str, words)], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, words))}: exit {done.returncode}: {done.stderr.strip()}")
    return json.loads(done.stdout)


class Bench:
    def __init__(self, work, corpus, precision):
        self.work, self.corpus, self.precision = work, corpus, precision

    def recipe(self, base, patches, flops):
        words = ["recipe", "show"] + ([base] if base else []) + ["--flops", flops, "--spent", "--json"]
        for patch in patches:
            words += ["--patch", patch]
        return call(*words)

    def run(self, base, patches, flops, seed):
        """Bits per byte, and what the run cost."""
        shown = self.recipe(base, patches, flops)
        size = shown["sizes"][0]
        name = f"{shown['hash'][:12]}-{flops:g}-{seed}"
        directory = self.work / name
        spec = {"schema": 1, "id": name, "corpus": str(self.corpus), "seed": seed, "data_seed": seed, "threads": 1,
                "precision": self.precision, "recipe": shown["recipe"], "size": size["size"],
                "eval": {"split": "search", "tokens": 262144, "every_fraction": 1.0}}
        (self.work / f"{name}.json").write_text(json.dumps(spec))
        done = subprocess.run([FLYWHEEL, "train", str(self.work / f"{name}.json"), "--dir", str(directory), "--json"],
                              capture_output=True, text=True)
        if done.returncode != 0:
            print(f"{name}: {done.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
            return {"bits_per_byte": math.inf, "seconds": math.inf, **size}
        event = json.loads(done.stdout)
        return {**size, "bits_per_byte": event["bits_per_byte"], "seconds": event["cpu_seconds"]}


def read_changes(path):
    changes = []
    for line in pathlib.Path(path).read_text().splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        name, _, text = line.partition(":")
        fields = [part.strip().split("=", 1) for part in text.split(";") if part.strip()]
        variants = [[f"{f}={v}" for (f, _), v in zip(fields, values)]
                    for values in itertools.product(*[v.split("|") for _, v in fields])]
        changes.append((name.strip(), variants))
    return changes


def interval(values):
    mean, n = statistics.fmean(values), len(values)
    half = T90[n - 1] * statistics.stdev(values) / math.sqrt(n) if n > 1 else math.nan
    return mean, mean - half, mean + half


def shown(m):
    """The base was measured from half to twice the FLOPs: what lies beyond four times is no measurement."""
    return "more than 4x" if m[1] > 4 else f"{m[0]:.2f}x [{m[1]:.2f}, {m[2]:.2f}]"


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--corpus", required=True)
    arguments.add_argument("--flops", required=True)
    arguments.add_argument("--seeds", type=int, default=3)
    arguments.add_argument("--base")
    arguments.add_argument("--changes", default=str(ROOT / "bench" / "ablations.txt"))
    arguments.add_argument("--precision", default="auto")
    arguments.add_argument("--slots", type=int, default=os.cpu_count())
    arguments.add_argument("--out")
    options = arguments.parse_args()
    rungs = [float(f) for f in options.flops.split(",")]
    changes = read_changes(options.changes)
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        subprocess.run([FLYWHEEL, "corpus", options.corpus, "--dir", str(work / "corpus")], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        bench = Bench(work, work / "corpus", options.precision)
        with concurrent.futures.ThreadPoolExecutor(options.slots) as pool:
            def runs(patches, flops, seeds):
                return [pool.submit(bench.run, options.base, patches, flops, seed) for seed in seeds]
            def losses(results):
                return [r["bits_per_byte"] for r in results]
            def mean(results, cost):
                return statistics.fmean(r[cost] for r in results)
            seeds = range(1, options.seeds + 1)
            base = {c: runs([], c, seeds) for c in sorted({f * r for f in rungs for r in (0.5, 1, 2)})}
            trial = [[runs(v, rungs[0], [1000])[0] for v in variants] if len(variants) > 1 else [] for _, variants in changes]
            chosen = [variants[min(range(len(t)), key=lambda i: t[i].result()["bits_per_byte"])] if t else variants[0]
                      for (_, variants), t in zip(changes, trial)]
            tried = [{f: runs(v, f, seeds) for f in rungs} for v in chosen]
            base = {c: [x.result() for x in futures] for c, futures in base.items()}
            rows = []
            for (name, _), patches, results in zip(changes, chosen, tried):
                for flops in rungs:
                    slope = (mean(base[2 * flops], "bits_per_byte") - mean(base[flops / 2], "bits_per_byte")) / math.log(4)
                    own, beside = [a.result() for a in results[flops]], base[flops]
                    spent = [mean(side, "training_flops") + mean(side, "optimizer_flops") for side in (own, beside)]
                    delta = [a - b for a, b in zip(losses(own), losses(beside))]
                    difference, low, high = interval(delta)
                    compute = [math.exp(min(50, -d / slope)) * spent[0] / spent[1] for d in (difference, low, high)]
                    slower = mean(own, "seconds") / mean(beside, "seconds")
                    rows.append({"change": name, "patches": patches, "flops": flops,
                                 "bits_per_byte": mean(own, "bits_per_byte"), "difference": difference, "low": low, "high": high,
                                 "seeds": len(delta), "compute": compute,
                                 "time": [m * slower * spent[1] / spent[0] for m in compute],
                                 "costs": {cost: [mean(beside, cost), mean(own, cost)] for cost in COSTS}})
                    print(f"{name} {flops:g}: {difference:+.4f}", file=sys.stderr, flush=True)
    print("| rung FLOPs | base bits per byte | sd over seeds | model FLOPs | optimizer FLOPs | processor seconds | parameters |"
          "\n|---|---|---|---|---|---|---|")
    for c, values in base.items():
        sd = statistics.stdev(losses(values)) if len(values) > 1 else math.nan
        print(f"| {c:.3g} | {mean(values, 'bits_per_byte'):.4f} | {sd:.4f} | {mean(values, 'training_flops'):.3g} | "
              f"{mean(values, 'optimizer_flops'):.3g} | {mean(values, 'seconds'):.1f} | {mean(values, 'parameters'):.3g} |")
    print("\n| change | patches | FLOPs | bits per byte | difference [90%] | compute needed [90%] | time needed [90%] | "
          "optimizer, of the model's FLOPs | parameters | look-up bytes |\n|---|---|---|---|---|---|---|---|---|---|")
    for r in rows:
        c = r["costs"]
        print(f"| {r['change']} | `{' '.join(r['patches'])}` | {r['flops']:.3g} | {r['bits_per_byte']:.4f} | {r['difference']:+.4f} "
              f"[{r['low']:+.4f}, {r['high']:+.4f}] | {shown(r['compute'])} | {shown(r['time'])} | "
              f"{c['optimizer_flops'][1] / c['training_flops'][1]:.2f} | {c['parameters'][1]:.3g} | {c['lookup_bytes'][1]:.3g} |")
    if options.out:
        pathlib.Path(options.out).write_text(json.dumps({"base": {f"{c:g}": v for c, v in base.items()}, "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
