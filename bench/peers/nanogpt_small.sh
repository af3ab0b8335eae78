#!/usr/bin/env bash
# nanoGPT's small CPU configuration on tinyshakespeare: its validation tenth must reach 1.92 nats per character after
# 2,000 steps. With a PyTorch peer script, its training speed at the four sizes of `flywheel bench` beside ours.
#
#   bench/peers/nanogpt_small.sh TEXT [--precision auto|fp32|bf16] [--threads N] [--peer torch_gpt.py]
set -euo pipefail
usage() { sed -n '5p' "$0" | cut -c3- >&2; exit 2; }

text="" precision=auto threads=$(nproc) peer=""
while [ $# -gt 0 ]; do
  case $1 in
    --precision) precision=$2; shift 2 ;;
    --threads) threads=$2; shift 2 ;;
    --peer) peer=$2; shift 2 ;;
    -*) usage ;;
    *) text=$1; shift ;;
  esac
done
[ -n "$text" ] || usage
flywheel=${FLYWHEEL:-$(dirname "$0")/../../build/flywheel}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$flywheel" corpus "$text" --dir "$work/corpus" --validation-tail 0.1 >&2
cat > "$work/spec.json" <<JSON
{"schema":1,"id":"nanogpt-small","corpus":"$work/corpus","seed":1,"data_seed":1,"threads":$threads,"precision":"$precision",
 "eval":{"split":"search","tokens":10000000,"every_fraction":0.25},
 "recipe":{"model":{"positions":"learned","norm":"layernorm","feed_forward":"gelu","head_dim":32,"qk_norm":false,
                    "tied_head":true,"context":64},
           "optimizer":{"kind":"adamw","learning_rate":0.001,"beta1":0.9,"beta2":0.99,"weight_decay":0.1,"gradient_clip":1},
           "schedule":{"kind":"cosine","warmup_fraction":0.05,"final_fraction":0.1},
           "initialisation":{"transfer":"standard","standard_deviation":0.02}},
 "size":{"vocabulary":257,"layers":4,"width":128,"heads":4,"kv_heads":4,"feed_forward":512,"context":64,
         "batch_sequences":12,"steps":2000,"matrix_learning_rate":0.001,"embedding_learning_rate":0.001,
         "head_learning_rate":0.001,"vector_learning_rate":0.001}}
JSON
"$flywheel" train "$work/spec.json" --dir "$work/run" --json > "$work/done.json"
python3 - "$work/done.json" <<'PY'
import json, sys
done = json.load(open(sys.argv[1]))
ok = done["loss"] <= 1.92
print(f'validation {done["loss"]:.4f} nats per character in {done["train_seconds"]:.1f} s '
      f'({done["cpu_seconds"]:.1f} CPU s): {"ok" if ok else "above 1.92"}')
sys.exit(0 if ok else 1)
PY
[ -n "$peer" ] || exit 0

# Peer and engine in turns, so that a busy machine slows both.
for size in "64 4 4 16" "128 4 4 16" "256 6 4 16" "512 8 8 8"; do
  read -r dim layers heads batch <<< "$size"
  for count in 1 2; do
    OMP_NUM_THREADS=$count OPENBLAS_NUM_THREADS=$count /usr/bin/python3 "$peer" step --dim "$dim" --layers "$layers" \
      --heads "$heads" --batch "$batch"
  done > "$work/peer.jsonl"
  "$flywheel" bench --sizes "$dim" --seconds 2 --json > "$work/bench.json"
  python3 - "$work/peer.jsonl" "$work/bench.json" <<'PY'
import json, sys
peer = max(json.loads(line)["tokens_per_second"] for line in open(sys.argv[1]))
for row in json.load(open(sys.argv[2]))["sizes"]:
    ours = row["tokens_per_second"]
    print(f'dim {row["dim"]:3d} {row["precision"]}: {ours:8.0f} tokens/s, PyTorch {peer:8.0f}, ratio {ours / peer:.2f}, '
          f'{100 * row["fraction_of_peak"]:.0f}% of peak')
PY
done
