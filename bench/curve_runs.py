#!/usr/bin/env python3
"""The runs of docs/curve-law.md: small models over constant, cosine and wsd schedules of several lengths.

  bench/curve_runs.py FLYWHEEL CORPUS OUT [--lengths 300,600,1200] [--widths 64] [--schedules constant,cosine,wsd]
                      [--seeds 1] [--warmup 30] [--evaluations 30] [--eval-tokens 8192] [--slots 2]

CORPUS is a folder made by `flywheel corpus`. A constant run of the greatest length holds the shorter ones. All warm up
over the same steps, with the same peak rate, batch, data and seed. OUT/NAME are run directories for
`flywheel fit --curves OUT`; finished runs are not trained again. Prints the CPU seconds of all runs.
"""
import argparse, concurrent.futures, json, os, subprocess, sys


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("flywheel", "corpus", "out"):
        parser.add_argument(name)
    parser.add_argument("--lengths", default="300,600,1200")
    parser.add_argument("--widths", default="64")
    parser.add_argument("--schedules", default="constant,cosine,wsd")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--warmup", type=int, default=30)
    parser.add_argument("--evaluations", type=int, default=30)
    parser.add_argument("--eval-tokens", type=int, default=8192)
    parser.add_argument("--slots", type=int, default=2)
    return parser.parse_args()


def spec_of(options, name, schedule, width, steps, seed):
    words = [options.flywheel, "recipe", "show", "--json", "--flops", "1e10"]
    for patch in ("model.context=64", f"schedule.kind={schedule}", f"schedule.warmup_steps={options.warmup}"):
        words += ["--patch", patch]
    shown = json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
    size = shown["sizes"][0]["size"]
    heads = width // shown["recipe"]["model"]["head_dim"]
    size.update(width=width, layers=2, heads=heads, kv_heads=heads, feed_forward=-(-width * 8 // 48) * 16,
                batch_sequences=8, steps=steps)
    return {"schema": 1, "id": name, "recipe": shown["recipe"], "size": size, "corpus": os.path.abspath(options.corpus),
            "seed": seed, "data_seed": seed, "checkpoint_seconds": 3600, "log_every_fraction": 0.01,
            "eval": {"tokens": options.eval_tokens, "every_fraction": 1 / options.evaluations}}


def train(options, job):
    schedule, width, steps, seed = job
    name = f"{schedule}-{steps}-w{width}-s{seed}"
    folder = os.path.join(options.out, name)
    os.makedirs(options.out, exist_ok=True)
    asked = os.path.join(options.out, name + ".json")
    with open(asked, "w") as file:
        json.dump(spec_of(options, name, schedule, width, steps, seed), file)
    subprocess.run([options.flywheel, "train", asked, "--dir", folder], check=True, stdout=subprocess.DEVNULL)
    with open(os.path.join(folder, "events.jsonl")) as file:
        done = [event for event in map(json.loads, file) if event["type"] == "done"][-1]
    print(f"{name}: loss {done['loss']:.4f}, {done['cpu_seconds']:.1f} CPU seconds", file=sys.stderr)
    return done["cpu_seconds"]


def main():
    options = arguments()
    lengths = sorted(map(int, options.lengths.split(",")), reverse=True)
    jobs = [(schedule, int(width), steps, seed) for seed in range(1, options.seeds + 1)
            for width in options.widths.split(",") for steps in lengths for schedule in options.schedules.split(",")
            if schedule != "constant" or steps == lengths[0]]
    with concurrent.futures.ThreadPoolExecutor(options.slots) as pool:
        print(f"{len(jobs)} runs, {sum(pool.map(lambda job: train(options, job), jobs)):.0f} CPU seconds")


if __name__ == "__main__":
    main()
