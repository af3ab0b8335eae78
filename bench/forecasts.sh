#!/usr/bin/env bash
# How often is the top rung's forecast right? Campaigns over corpora and seeds; prints the tables of docs/notes/forecasts.md.
#   bench/forecasts.sh BUDGET SEEDS OUT_DIR CORPUS...     e.g. bench/forecasts.sh 4e11 10 OUT /usr/include text.txt
# RUN_OPTIONS holds further options of flywheel run, "--proposers none" for instance. FIRST_SEED: 1. A campaign that
# OUT_DIR has already is not run again, and with SEEDS 0 what it has is only summed up.
set -euo pipefail
budget=$1 seeds=$2 out=$3
shift 3
here=$(cd "$(dirname "$0")" && pwd)
flywheel=${FLYWHEEL:-$here/../build/flywheel}
mkdir -p "$out"
for corpus in "$@"; do
  for ((seed = ${FIRST_SEED:-1}; seed < ${FIRST_SEED:-1} + seeds; ++seed)); do
    lab=$out/$(basename "$corpus")-$seed
    [ -s "$lab.json" ] ||
      "$flywheel" run --corpus "$corpus" --budget "$budget" --seed "$seed" --dir "$lab" ${RUN_OPTIONS:-} --json \
        >"$lab.json" 2>"$lab.log" || echo "$lab failed: $(tail -n 1 "$lab.log")" >&2
  done
done
node "$here/forecasts.mjs" "$out"
