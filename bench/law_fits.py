#!/usr/bin/python3
"""A published fit, searched from 4,500 starts and bootstrapped 4,000 times, by flywheel and by the usual SciPy code.

  bench/law_fits.py FLYWHEEL RUNS.csv [--share 0.02]

FLYWHEEL fit runs on one thread. SciPy (L-BFGS with analytic gradients over the grid of Hoffmann et al. 2022, appendix
D.3) does `share` of the starts and resamples, and its time is scaled up; --share 1 does them all. Both are measured in
this call, wall time and CPU time; on a busy machine CPU time is the one to compare. Checks that both reach the same
objective.
"""
import argparse
import itertools
import json
import os
import resource
import subprocess
import time

HUBER, DROPPED, RESAMPLES = 1e-3, 5, 4000


def flywheel(args):
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    command = [args.flywheel, "fit", args.runs, "--forms", "chinchilla", "--drop-highest", str(DROPPED), "--huber",
               str(HUBER), "--bootstrap", str(RESAMPLES), "--threads", "1", "--json"]
    form = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["forms"][0]
    whole = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
    print(f"flywheel: {form['starts']} starts and {RESAMPLES} resamples in {form['seconds']:.3f} s wall "
          f"(the whole command, backtests included: {whole:.2f} s CPU), objective {form['objective']:.14g}")
    for name, value in form["parameters"].items():
        low, high = form["interval95"][name]
        print(f"  {name:6} {value:12.6g}  95% {low:.6g} to {high:.6g}")
    return form["objective"]


def scipy_peer(args):
    import numpy as np
    from scipy.optimize import minimize

    table = np.genfromtxt(args.runs, delimiter=",", names=True)
    kept = np.argsort(-table["L"], kind="stable")[DROPPED:]
    n, d, target = (np.log(table[name][kept]) for name in "NDL")

    def objective(theta, rows):
        a, b, e, alpha, beta = theta
        terms = np.stack([a - alpha * n[rows], b - beta * d[rows], np.full(len(rows), e)])
        top = terms.max(0)
        shares = np.exp(terms - top)
        total = shares.sum(0)
        r = top + np.log(total) - target[rows]
        inside = np.abs(r) <= HUBER
        value = np.where(inside, 0.5 * r * r, HUBER * (np.abs(r) - 0.5 * HUBER)).sum()
        psi = np.where(inside, r, HUBER * np.sign(r)) * shares / total
        return value, np.array([psi[0].sum(), psi[1].sum(), psi[2].sum(), -(psi[0] * n[rows]).sum(),
                                -(psi[1] * d[rows]).sum()])

    def solve(start, rows):
        return minimize(objective, start, args=(rows,), jac=True, method="L-BFGS-B")

    everything = np.arange(len(n))
    grid = list(itertools.product(np.arange(0, 30, 5), np.arange(0, 30, 5), np.arange(-1, 1.5, 0.5),
                                  np.arange(0, 2.5, 0.5), np.arange(0, 2.5, 0.5)))
    rng = np.random.default_rng(1)
    chosen = rng.permutation(len(grid))[:max(1, int(args.share * len(grid)))]
    clock, cpu = time.perf_counter(), time.process_time()
    best = min((solve(grid[i], everything) for i in chosen), key=lambda result: result.fun)
    for _ in range(max(1, int(args.share * RESAMPLES))):
        solve(best.x, rng.integers(0, len(n), len(n)))
    scale = len(grid) / len(chosen)
    print(f"SciPy: {len(grid)} starts and {RESAMPLES} resamples in {scale * (time.perf_counter() - clock):.1f} s wall, "
          f"{scale * (time.process_time() - cpu):.1f} s CPU ({100 / scale:.0f}% of them done), objective {best.fun:.14g}")
    return best.fun


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("flywheel")
    parser.add_argument("runs")
    parser.add_argument("--share", type=float, default=0.02)
    args = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
    ours = flywheel(args)
    try:
        theirs = scipy_peer(args)
    except ImportError:
        print("SciPy is not there: not compared")
        return
    if ours > theirs * (1 + 1e-6):
        raise SystemExit(f"flywheel's objective {ours} is above SciPy's {theirs}")


main()
