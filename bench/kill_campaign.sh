#!/usr/bin/env bash
# Kills a small campaign with SIGKILL at random moments (the lab, its runs, or both), continues it with the same command,
# and checks what must hold: it finishes, every finished run is there once, spend counts once, the chain verifies.
#   bench/kill_campaign.sh [KILLS=100] [BUDGET=40s] [CORPUS=/usr/include] [SEED=1]
set -euo pipefail
cd "$(dirname "$0")/.."
kills=${1:-100} budget=${2:-40s} corpus=${3:-/usr/include} seed=${4:-1}
flywheel=$PWD/build/flywheel
work=$(mktemp -d)
trap 'pkill -9 -f "$work" 2>/dev/null || true; rm -rf "$work"' EXIT
RANDOM=$seed
done_kills=0 campaign=0 lab_kills=0 run_kills=0 both_kills=0

check() { # LAB: the campaign ended; everything must add up
  local lab=$1
  "$flywheel" verify --dir "$lab" >/dev/null || { echo "FAILED: the chain of $lab does not verify"; exit 1; }
  "$flywheel" runs --dir "$lab" --json >"$work/runs.json"
  node -e '
    const runs = JSON.parse(require("fs").readFileSync(process.argv[1])).runs;
    const ids = new Set(runs.map(r => r.run));
    if (ids.size !== runs.length) { console.log("FAILED: a run is there twice"); process.exit(1); }
    const report = JSON.parse(require("fs").readFileSync(process.argv[2]));
    const done = runs.filter(r => r.state === "done");
    // What was trained and then lost with a killed process was spent, too; a run that finished has its FLOPs once, but
    // for those of the run that it branched from.
    const own = r => {
      const { steps, batch_sequences, trunk_steps = 0, trunk_sequences = 0 } =
        JSON.parse(require("fs").readFileSync(`${process.argv[3]}/runs/${r.run}/spec.json`)).size;
      const after = (steps - trunk_steps) * batch_sequences;
      return trunk_steps > 0 ? r.flops_done * after / (after + trunk_sequences) : r.flops_done;
    };
    for (const r of done) if (Math.abs(r.flops_done / r.flops - 1) > 1e-9 || r.spent_flops < own(r) * (1 - 1e-9)) {
      console.log("FAILED: run", r.run, "did", r.flops_done, "of", r.flops, "and spent", r.spent_flops); process.exit(1);
    }
    const flops = runs.reduce((sum, r) => sum + r.spent_flops, 0);
    const off = Math.abs(report.spend.train_flops - flops) / flops;
    if (off > 1e-9) { console.log("FAILED: spend", report.spend.train_flops, "but the runs add up to", flops); process.exit(1); }
    const kept = runs.reduce((sum, r) => sum + (r.state === "done" ? own(r) : r.spent_flops), 0);
    console.log(`  ${(100 * (1 - kept / flops)).toFixed(1)}% of the FLOPs of training done twice`);
    for (const r of runs) if (r.state !== "done") console.log(`  ${r.run} is ${r.state}: ${r.reason ?? ""}`);
    console.log(`  ${done.length} of ${runs.length} runs done, ${report.spend.seconds.toFixed(1)} s, forecast off by ${report.backtest.error_percent}%`);
  ' "$work/runs.json" "$lab/report.json" "$lab" || exit 1
}

while [ "$done_kills" -lt "$kills" ]; do
  campaign=$((campaign + 1))
  lab=$work/lab$campaign
  for ((attempt = 0; ; ++attempt)); do
    "$flywheel" run --corpus "$corpus" --budget "$budget" --dir "$lab" --seed "$((seed + campaign))" >"$work/out" 2>"$work/err" &
    pid=$!
    if [ "$done_kills" -ge "$kills" ] || [ "$attempt" -ge 60 ]; then wait "$pid"; break; fi
    sleep "$((RANDOM % 4)).$((RANDOM % 1000))"
    kill -0 "$pid" 2>/dev/null || { wait "$pid"; break; }
    case $((RANDOM % 3)) in
      0) kill -9 "$pid" 2>/dev/null || true; lab_kills=$((lab_kills + 1)) ;;
      1) pkill -9 -f "train $lab/runs" 2>/dev/null || true; run_kills=$((run_kills + 1)) ;;
      2) kill -9 "$pid" 2>/dev/null || true; pkill -9 -f "train $lab/runs" 2>/dev/null || true; both_kills=$((both_kills + 1)) ;;
    esac
    done_kills=$((done_kills + 1))
    if kill -0 "$pid" 2>/dev/null; then # only runs were killed: the lab goes on, and is killed next time round
      sleep "0.$((RANDOM % 1000))"
      kill -9 "$pid" 2>/dev/null || true
    fi
    wait "$pid" 2>/dev/null || true
  done
  echo "campaign $campaign: $attempt restarts"
  check "$lab"
done
echo "$done_kills kills ($lab_kills of the lab, $run_kills of runs, $both_kills of both) over $campaign campaigns: all finished, all verified"
