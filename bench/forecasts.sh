#!/usr/bin/env bash
# How often is the top rung's forecast right? Campaigns over corpora and seeds; prints the table of docs/forecasts.md.
#   bench/forecasts.sh BUDGET SEEDS OUT_DIR CORPUS...        e.g. bench/forecasts.sh 3m 3 /tmp/labs /usr/include text.txt
# RUN_OPTIONS holds further options of flywheel run, "--proposers none" for instance.
set -euo pipefail
budget=$1 seeds=$2 out=$3
shift 3
flywheel=$(cd "$(dirname "$0")/.." && pwd)/build/flywheel
mkdir -p "$out"
echo "| corpus | seed | runs | rungs | range | predicted | 90% interval | measured | error | inside | busy | seconds |"
echo "|---|---|---|---|---|---|---|---|---|---|---|---|"
for corpus in "$@"; do
  for ((seed = 1; seed <= seeds; ++seed)); do
    lab=$out/$(basename "$corpus")-$seed
    "$flywheel" run --corpus "$corpus" --budget "$budget" --seed "$seed" --dir "$lab" ${RUN_OPTIONS:-} --json >"$lab.json" 2>"$lab.log" ||
      { echo "| $(basename "$corpus") | $seed | failed: $(tail -n 1 "$lab.log") |"; continue; }
    node -e '
      const [path, corpus, seed, tsv] = process.argv.slice(1), fs = require("fs"), r = JSON.parse(fs.readFileSync(path));
      const rungs = [...new Set(fs.readFileSync(tsv, "utf8").trim().split("\n").slice(1).map(l => l.split("\t"))
        .filter(c => ["ladder", "top"].includes(c[1])).map(c => +c[3]))].sort((a, b) => a - b);
      const b = r.backtest, f = (x, n) => x == null ? "-" : x.toFixed(n);
      console.log(`| ${corpus} | ${seed} | ${r.spend.runs} | ${rungs.length} | ${f(rungs.at(-1) / rungs[0], 0)}x | ${f(b.predicted, 4)} | ` +
        `${f(b.low, 4)} to ${f(b.high, 4)} | ${f(b.measured, 4)} | ${f(b.error_percent, 2)}% | ` +
        `${b.measured == null ? "-" : b.measured >= b.low && b.measured <= b.high ? "yes" : "no"} | ` +
        `${f(100 * r.spend.slot_busy_fraction, 1)}% | ${f(r.spend.seconds, 0)} |`);
    ' "$lab.json" "$(basename "$corpus")" "$seed" "$lab/results.tsv"
  done
done
