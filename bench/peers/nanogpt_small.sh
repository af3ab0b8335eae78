#!/usr/bin/env bash
# nanoGPT's small CPU configuration on tinyshakespeare: its validation tenth must reach 1.92 nats per character after
# 2,000 steps, with each seed; then a recipe of our own that must reach 1.88 in at most 12 s of training. With a PyTorch
# peer script, its training speed at the four sizes of `flywheel bench` beside ours.
#
#   bench/peers/nanogpt_small.sh TEXT [--precision auto|fp32|bf16] [--threads N] [--seeds N] [--peer torch_gpt.py]
set -euo pipefail
usage() { sed -n '6p' "$0" | cut -c3- >&2; exit 2; }

text="" precision=auto threads=$(nproc) seeds=1 peer=""
while [ $# -gt 0 ]; do
  case $1 in
    --precision) precision=$2; shift 2 ;;
    --threads) threads=$2; shift 2 ;;
    --seeds) seeds=$2; shift 2 ;;
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

# train NAME SEED LIMIT RECIPE_AND_SIZE: prints loss and time; fails when the loss is above LIMIT.
train() {
  cat > "$work/$1-$2.json" <<JSON
{"schema":1,"id":"$1-$2","corpus":"$work/corpus","seed":$2,"data_seed":$2,"threads":$threads,"precision":"$precision",
 "eval":{"split":"search","tokens":10000000,"every_fraction":1},"checkpoint_seconds":1000, $4}
JSON
  "$flywheel" train "$work/$1-$2.json" --dir "$work/$1-$2" --json > "$work/done.json"
  python3 - "$work/done.json" "$1 seed $2" "$3" <<'PY'
import json, sys
done, limit = json.load(open(sys.argv[1])), float(sys.argv[3])
ok = done["loss"] <= limit
print(f'{sys.argv[2]}: {done["loss"]:.4f} nats per character in {done["train_seconds"]:.1f} s '
      f'({done["cpu_seconds"]:.1f} CPU s): {"ok" if ok else f"above {limit}"}', flush=True)
sys.exit(0 if ok else 1)
PY
}

nanogpt='"recipe":{"model":{"positions":"learned","norm":"layernorm","feed_forward":"gelu","head_dim":32,"qk_norm":false,
                    "tied_head":true,"context":64,"ngram_embeddings":0},
           "optimizer":{"kind":"adamw","learning_rate":0.001,"beta1":0.9,"beta2":0.99,"weight_decay":0.1,"gradient_clip":1},
           "schedule":{"kind":"cosine","warmup_steps":100,"final_fraction":0.1},
           "initialisation":{"transfer":"standard","standard_deviation":0.02}},
 "size":{"vocabulary":257,"layers":4,"width":128,"heads":4,"kv_heads":4,"feed_forward":512,"context":64,
         "batch_sequences":12,"steps":2000,"matrix_learning_rate":0.001,"embedding_learning_rate":0.001,
         "head_learning_rate":0.001,"vector_learning_rate":0.001}'
own='"recipe":{"model":{"positions":"rope","norm":"rmsnorm","feed_forward":"swiglu","head_dim":32,"qk_norm":true,
                    "tied_head":false,"context":64,"ngram_embeddings":0},
           "optimizer":{"kind":"muon","learning_rate":0.02,"adam_learning_rate":0.01,"weight_decay":0.1},
           "schedule":{"kind":"linear","warmup_steps":14,"final_fraction":0}},
 "size":{"vocabulary":257,"layers":3,"width":64,"heads":2,"kv_heads":2,"feed_forward":176,"context":64,
         "batch_sequences":12,"steps":450,"matrix_learning_rate":0.02,"embedding_learning_rate":0.01,
         "head_learning_rate":0.01,"vector_learning_rate":0.01}'
for ((seed = 1; seed <= seeds; ++seed)); do train nanogpt-small "$seed" 1.92 "$nanogpt"; done
for ((seed = 1; seed <= seeds; ++seed)); do train own-recipe "$seed" 1.88 "$own"; done
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
