#!/usr/bin/env python3
"""Which recipe is better at the end: that of `flywheel run`, or the best trial of Optuna's TPE, for the same budget?

  python3 bench/peers/duel_optuna.py build/flywheel TEXT.txt --budget 4e12 --seeds 1,2,3,4,5 [--given both|neither]
      [--recipe recipes/plain.toml] [--work FOLDER] [--json out.json]

Both sides search the first nine tenths of the text from the same recipe. `--given both`: both are given the default
recipe and the list of known changes, TPE as its first trials; `neither`: neither is. TPE trains every trial with one seed
on the rung where campaigns screen, two at a time, judged on the search split, until the FLOPs of its runs (model, optimizer
and evaluation), or its seconds, are the budget; its space has the fields that the list names and the usual numbers about
them, which is smaller than ours. The recipes of both, and the default one, are then trained with fresh seeds on two higher
rungs and judged on the last tenth of the text, which neither has seen. Prints one line a duel. What TPE found is kept in `--work` and not searched for again, so that another version
of the program meets the same opponent.
"""
import argparse
import json
import math
import os
import pathlib
import statistics
import subprocess
import sys
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

import optuna

warnings.filterwarnings("ignore")
optuna.logging.set_verbosity(optuna.logging.CRITICAL)
ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
TRIAL_FLOPS = 6.4e9
EVAL_TOKENS = 44576
JUDGED = (2e10, 6e10)
FRESH_SEEDS = (900001, 900002, 900003)

CHOICES = {
    "optimizer.kind": ["adamw", "muon", "lion", "soap"], "schedule.kind": ["cosine", "linear", "wsd"],
    "model.positions": ["learned", "rope", "alibi", "none"], "model.norm": ["layernorm", "rmsnorm"],
    "model.feed_forward": ["gelu", "swiglu", "relu_squared", "geglu"], "model.qk_norm": ["false", "true"],
    "model.tied_head": ["false", "true"], "model.ngram_embeddings": ["0", "2", "3", "4", "6"],
    "model.ngram_rows": ["4096", "16384", "65536"], "model.short_convolution": ["0", "2", "4"],
    "model.value_residual": ["false", "true"], "model.attention_gate": ["false", "true"],
    "model.skips": ["none", "unet"], "model.mixers": ["attention", "gated_delta,attention"],
    "optimizer.weight_decay": ["0", "0.01", "0.1", "0.3"], "optimizer.cautious": ["false", "true"],
    "optimizer.beta2": ["0.9", "0.95", "0.98", "0.99"], "schedule.warmup_steps": ["0", "5", "10", "20", "50"],
    "schedule.decay_fraction": ["0.2", "0.4", "0.7"], "schedule.final_fraction": ["0", "0.03", "0.1"],
    "initialisation.transfer": ["standard", "mup"],
}
NUMBERS = {"optimizer.learning_rate": (2.5e-4, 0.16), "optimizer.adam_learning_rate": (1.25e-3, 0.08),
           "scaling.batch_tokens": (512, 8192), "scaling.tokens_per_parameter": (10, 80)}


def text_of(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else str(value)


class Engine:
    def __init__(self, program, corpus, work):
        self.program, self.corpus, self.work = program, corpus, work
        work.mkdir(parents=True, exist_ok=True)

    def call(self, *words):
        done = subprocess.run([self.program, *map(str, words)], capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"exit {done.returncode}")
        return json.loads(done.stdout)

    def shown(self, recipe, patches, flops):
        words = ["recipe", "show"] + ([recipe] if recipe else []) + ["--flops", f"{flops:g}", "--spent", "--json"]
        for patch in patches:
            words += ["--patch", patch]
        return self.call(*words)

    def train(self, name, shown, seed, split):
        """Bits per byte, and the FLOPs of the run with its optimizer and its evaluation."""
        size = shown["sizes"][0]
        spec = {"schema": 1, "id": name, "corpus": str(self.corpus), "seed": seed, "data_seed": seed, "threads": 1,
                "precision": "auto", "recipe": shown["recipe"], "size": size["size"],
                "eval": {"split": split, "tokens": EVAL_TOKENS, "every_fraction": 1.0}}
        (self.work / f"{name}.json").write_text(json.dumps(spec))
        flops = size["training_flops"] + size["optimizer_flops"]
        flops += EVAL_TOKENS * size["training_flops"] / size["tokens"] / 3
        directory = self.work / name
        try:
            done = self.call("train", self.work / f"{name}.json", "--dir", directory, "--json")
            return done["bits_per_byte"], flops
        except RuntimeError:
            return math.inf, flops
        finally:
            subprocess.run(["rm", "-rf", directory])


def ours(options, train_text, seed, work):
    words = [options.flywheel, "run", "--corpus", train_text, "--recipe", options.recipe, "--budget", options.budget,
             "--seed", seed, "--dir", work]
    if options.given == "neither":
        words += ["--proposers", "local,bayes"]
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(done.stderr)
    return work / "recipe.toml"


def changes_of(options):
    """The list of known changes, from the source of the program."""
    import re
    text = (ROOT / "src" / "workload" / "flywheel" / "known_changes.cc").read_text()
    return [re.findall(r'"([^"]+)"', line) for line in text.splitlines() if line.startswith("patches")]


def absolute(patch, recipe):
    """Field and value; "field*=factor" is a factor of the recipe's."""
    field, value = patch.split("=")
    return (field[:-1], text_of(float(recipe[field[:-1]]) * float(value))) if field.endswith("*") else (field, value)


def tpe(options, engine, seed):
    base = engine.shown(options.recipe, [], TRIAL_FLOPS)["recipe"]
    default = engine.shown(None, [], TRIAL_FLOPS)["recipe"]
    values = lambda recipe: {f"{s}.{n}": text_of(v) for s, fields in recipe.items() for n, v in fields.items()}
    from_base, from_default = values(base), values(default)
    names = list(CHOICES) + list(NUMBERS)
    point = lambda source: {n: float(source[n]) if n in NUMBERS else source[n] for n in names}
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed, constant_liar=True))
    study.enqueue_trial(point(from_base))
    if options.given == "both":
        study.enqueue_trial(point(from_default))
        for patches in changes_of(options):
            changed = dict(from_default, **dict(absolute(p, from_default) for p in patches))
            study.enqueue_trial(point(changed))
    spent, began, best = 0.0, time.time(), (math.inf, None)
    is_time = options.budget[-1] in "smh"
    budget = float(options.budget[:-1]) * {"s": 1, "m": 60, "h": 3600}[options.budget[-1]] if is_time else float(options.budget)

    def propose():
        trial = study.ask()
        chosen = {n: trial.suggest_categorical(n, sorted(set(CHOICES[n]) | {from_base[n], from_default[n]})) for n in CHOICES}
        for n, (low, high) in NUMBERS.items():
            chosen[n] = text_of(trial.suggest_float(n, low, high, log=True))
        return trial, [f"{n}={v}" for n, v in chosen.items()]

    def run(item):
        trial, patches = item
        # A field that is inactive beside the others is left out: the program refuses it.
        for _ in range(len(patches)):
            try:
                shown = engine.shown(options.recipe, patches, TRIAL_FLOPS)
                break
            except RuntimeError as error:
                named = [p for p in patches if p.split("=")[0] in str(error)]
                if not named:
                    return trial, None, math.inf, 0.0
                patches = [p for p in patches if p not in named]
                # Back to the default, which an inactive field must have.
                patches += [f"{n}={from_default[n]}" for n in {p.split("=")[0] for p in named}
                            if f"{n}={from_default[n]}" not in named]
        else:
            return trial, None, math.inf, 0.0
        loss, flops = engine.train(f"tpe-{seed}-{trial.number}", shown, 1000 * seed + trial.number, "search")
        return trial, shown["recipe"], loss, flops

    with ThreadPoolExecutor(2) as pool:
        trials = 0
        pending = set()
        while (time.time() - began if is_time else spent) < budget:
            while len(pending) < 2:
                pending.add(pool.submit(run, propose()))
            done = next((f for f in pending if f.done()), None)
            if done is None:
                time.sleep(0.01)
                continue
            pending.remove(done)
            trial, recipe, loss, flops = done.result()
            spent += flops
            trials += 1
            study.tell(trial, loss if math.isfinite(loss) else 20.0)
            if loss < best[0]:
                best = (loss, recipe)
        for left in pending:
            left.result()
    return best[1], trials, time.time() - began


def toml_of(recipe):
    lines = []
    for section, fields in recipe.items():
        lines.append(f"[{section}]")
        lines += [f"{n} = {json.dumps(v)}" for n, v in fields.items()]
    return "\n".join(lines) + "\n"


def search_or_recall(options, corpus, seed, recipe):
    """Trials and seconds of TPE, whose best recipe is written; those of an earlier call with the same options are kept."""
    kept = recipe.with_suffix(".json")
    asked = {"budget": options.budget, "given": options.given, "start": options.recipe}
    if kept.exists():
        earlier = json.loads(kept.read_text())
        if earlier["asked"] != asked:
            sys.exit(f"{kept} was made with other options: {earlier['asked']}. Choose another --work.")
        return earlier["trials"], earlier["seconds"]
    best, trials, seconds = tpe(options, Engine(options.flywheel, corpus, options.work / "tpe"), seed)
    recipe.write_text(toml_of(best))
    kept.write_text(json.dumps({"asked": asked, "trials": trials, "seconds": seconds}))
    return trials, seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("flywheel")
    parser.add_argument("text", type=pathlib.Path)
    parser.add_argument("--budget", required=True)
    parser.add_argument("--seeds", default="1,2,3,4,5")
    parser.add_argument("--given", choices=["both", "neither"], default="both")
    parser.add_argument("--recipe", default=str(ROOT / "recipes" / "plain.toml"))
    parser.add_argument("--work", type=pathlib.Path, required=True)
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args()
    options.flywheel = os.path.abspath(options.flywheel)
    options.work.mkdir(parents=True, exist_ok=True)
    data = options.text.read_bytes()
    train_text = options.work / "train.txt"
    train_text.write_bytes(data[:int(0.9 * len(data))])
    judge_corpus = options.work / "judge"
    if not judge_corpus.exists():
        subprocess.run([options.flywheel, "corpus", options.text, "--validation-tail", "0.1", "--dir", judge_corpus],
                       check=True, capture_output=True)
    search_corpus = options.work / "search"
    if not search_corpus.exists():
        subprocess.run([options.flywheel, "corpus", train_text, "--dir", search_corpus], check=True, capture_output=True)
    judge = Engine(options.flywheel, judge_corpus, options.work / "judged")
    results = []
    for seed in map(int, options.seeds.split(",")):
        began = time.time()
        recipes = {"flywheel": str(ours(options, train_text, seed, options.work / f"lab-{seed}")), "default": None}
        own_seconds = time.time() - began
        recipes["tpe"] = str(options.work / f"tpe-{seed}.toml")
        trials, seconds = search_or_recall(options, search_corpus, seed, pathlib.Path(recipes["tpe"]))
        jobs = [(side, flops, fresh) for side in recipes for flops in JUDGED for fresh in FRESH_SEEDS]
        with ThreadPoolExecutor(2) as pool:
            losses = list(pool.map(lambda j: judge.train(f"{j[0]}-{seed}-{j[1]:g}-{j[2]}", judge.shown(recipes[j[0]], [], j[1]),
                                                         j[2], "locked")[0], jobs))
        row = {"seed": seed, "trials": trials, "seconds": {"flywheel": own_seconds, "tpe": seconds}}
        for side in recipes:
            row[side] = [statistics.mean(l for l, j in zip(losses, jobs) if j[0] == side and j[1] == f) for f in JUDGED]
        results.append(row)
        show = lambda pair: " ".join(f"{x:.4f}" for x in pair)
        better = all(a < b for a, b in zip(row["flywheel"], row["tpe"]))
        print(f"seed {seed}: flywheel {show(row['flywheel'])} ({own_seconds:.0f} s) | tpe {show(row['tpe'])} ({trials} trials, "
              f"{seconds:.0f} s) | default {show(row['default'])} | {'better on both' if better else 'not better on both'}",
              flush=True)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
