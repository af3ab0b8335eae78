#!/usr/bin/env python3
"""What the program decides and measures, recorded so that two builds can be compared.

  testing/recorded.py record FLYWHEEL OUT [--data DATA] [--budget 1.2e13]
      runs a campaign with a search (a FLOP budget, one slot, one seed), a comparison, a search replayed on a table, a
      fit with its page, a plan, a simulation and the lab's report; OUT gets one JSON file each
  testing/recorded.py same OUT_A OUT_B
      holds two of them against each other: decisions and words must be equal, numbers within 1e-9 (another contraction
      of floating point may move last bits); what is a time, a place or a peak of memory is left out

DATA is a folder with text/*.txt, scaling/*.csv and policy/*.csv. Standard library only.
"""
import argparse
import json
import math
import pathlib
import re
import sqlite3
import subprocess
import sys

MASKED = re.compile(
    r"(^|_)(seconds|t|time|created|cpu|slots|threads|program|version|started|events_before|instruction_set)$"
    r"|gflops|memory|busy_fraction|tokens_per_second|^command$|^commands$|^sources$|^files$|_slots$|^needed_seconds$|machine|utilisation")
PLACE = re.compile(r"(/[\w.+-]+)+")
TIMES = re.compile(r"\b\d+(\.\d+)? (s|ms|min|h)\b|\b\d\d:\d\d:\d\d\b")


def masked(value):
    if isinstance(value, dict):
        return {k: masked(v) for k, v in sorted(value.items()) if not MASKED.search(k)}
    if isinstance(value, list):
        return [masked(v) for v in value]
    if isinstance(value, str):
        return TIMES.sub("TIME", PLACE.sub("PLACE", value))
    return value


def ledger(lab):
    rows = sqlite3.connect(f"file:{lab}/ledger.sqlite?mode=ro", uri=True).execute(
        "SELECT kind, payload FROM records ORDER BY sequence")
    return [[kind, masked(json.loads(payload))] for kind, payload in rows if kind not in ("machine", "start", "report")]


def page_data(path):
    text = pathlib.Path(path).read_text()
    found = re.search(r'<script[^>]*type="application/json"[^>]*>(.*?)</script>', text, re.S)
    return json.loads(found.group(1))


def record(flywheel, out, data, budget):
    out.mkdir(parents=True, exist_ok=True)
    corpus = sorted((data / "text").glob("*.txt"))[0]
    root = pathlib.Path(__file__).resolve().parent.parent

    def run(name, *arguments):
        done = subprocess.run([flywheel, *map(str, arguments)], capture_output=True, text=True)
        (out / f"{name}.err").write_text(done.stderr)
        if done.returncode != 0:
            sys.exit(f"{name}: exit status {done.returncode}\n{done.stderr[-2000:]}")
        return done.stdout

    def keep(name, value):
        (out / f"{name}.json").write_text(json.dumps(masked(value), indent=1, sort_keys=True) + "\n")

    # A fit and its page, a plan, a replay, a simulation: no training.
    ladder = data / "scaling" / "chinchilla_epoch.csv"
    fit = run("fit", "fit", ladder, "--drop-highest", "5", "--bootstrap", "200", "--report", out / "fit.html", "--json")
    keep("fit", json.loads(fit))
    keep("fit_page", page_data(out / "fit.html"))
    keep("plan", json.loads(run("plan", "plan", "--csv", ladder, "--flops", "1e21", "--json")))
    keep("replay", json.loads(run("replay", "replay", data / "policy" / "steplaw_dense_dev.csv", "--target",
                                  "smooth_loss", "--policy", "random,local,bayes", "--seeds", "2", "--budget", "20",
                                  "--json")))
    keep("simulate", json.loads(run("simulate", "simulate", "search", "--campaigns", "60", "--proposals", "40",
                                    "--effect", "2", "--json")))
    # A comparison, and a campaign with a search.
    base, other = out / "base.toml", out / "candidate.toml"
    base.write_text(run("base", "recipe", "show"))
    other.write_text(run("candidate", "recipe", "show", "--patch", "model.ngram_embeddings=0"))
    keep("compare", json.loads(run("compare", "compare", base, other, "--corpus", corpus, "--budget", "3e12",
                                   "--slots", "1", "--seed", "1", "--dir", out / "compare_lab", "--json")))
    keep("compare_ledger", ledger(out / "compare_lab"))
    lab = out / "lab"
    run("run", "run", "--corpus", corpus, "--budget", budget, "--slots", "1", "--seed", "1", "--recipe",
        root / "recipes" / "plain.toml", "--dir", lab, "--json")
    keep("ledger", ledger(lab))
    keep("report", json.loads((lab / "report.json").read_text()))
    keep("page", page_data(lab / "report.html"))
    keep("runs", json.loads(run("runs", "runs", "--dir", lab, "--json")))
    keep("findings", json.loads(run("findings", "findings", "--dir", lab, "--json")))


def differences(a, b, where, found):
    if isinstance(a, bool) or isinstance(b, bool) or a is None or b is None or type(a) is str or type(b) is str:
        if a != b:
            found.append(f"{where}: {a!r} and {b!r}")
    elif isinstance(a, (int, float)) and isinstance(b, (int, float)):
        if not math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-12):
            found.append(f"{where}: {a!r} and {b!r}")
    elif isinstance(a, dict) and isinstance(b, dict):
        for key in sorted(set(a) | set(b)):
            if key not in a or key not in b:
                found.append(f"{where}.{key}: only in the {'first' if key in a else 'second'}")
            else:
                differences(a[key], b[key], f"{where}.{key}", found)
    elif isinstance(a, list) and isinstance(b, list):
        if len(a) != len(b):
            found.append(f"{where}: {len(a)} and {len(b)} entries")
        for i, (x, y) in enumerate(zip(a, b)):
            differences(x, y, f"{where}[{i}]", found)
    elif a != b:
        found.append(f"{where}: {a!r} and {b!r}")


def same(a, b):
    names = sorted({p.name for p in a.glob("*.json")} | {p.name for p in b.glob("*.json")})
    if not names:
        sys.exit(f"recorded: nothing is recorded in {a} and {b}")
    wrong = 0
    for name in names:
        if not (a / name).exists() or not (b / name).exists():
            print(f"{name}: only in one of the two")
            wrong += 1
            continue
        found = []
        differences(json.loads((a / name).read_text()), json.loads((b / name).read_text()), name[:-5], found)
        print(f"{name}: {'the same' if not found else f'{len(found)} differences'}")
        for line in found[:12]:
            print("   ", line[:300])
        wrong += bool(found)
    return 1 if wrong else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    recording = commands.add_parser("record")
    recording.add_argument("flywheel")
    recording.add_argument("out", type=pathlib.Path)
    recording.add_argument("--data", type=pathlib.Path, default=pathlib.Path("../shared/data"))
    recording.add_argument("--budget", default="1.2e13")
    comparing = commands.add_parser("same")
    comparing.add_argument("a", type=pathlib.Path)
    comparing.add_argument("b", type=pathlib.Path)
    options = parser.parse_args()
    if options.command == "record":
        record(str(pathlib.Path(options.flywheel).resolve()), options.out.resolve(), options.data, options.budget)
        return 0
    return same(options.a, options.b)


if __name__ == "__main__":
    sys.exit(main())
