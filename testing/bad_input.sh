#!/usr/bin/env bash
# Bad input as a user gives it: exit code 2, one clear message, nothing written.   testing/bad_input.sh FLYWHEEL
set -u
flywheel=$(realpath "$1")
work=$(mktemp -d)
trap 'pkill -9 -f "$work" 2>/dev/null; rm -rf "$work"' EXIT
failures=0 checks=0

# expect CODE TEXT COMMAND...: the command ends with CODE and its error message holds TEXT.
expect() {
  local code=$1 text=$2 found
  shift 2
  "$@" >"$work/.out" 2>"$work/.err"
  found=$?
  checks=$((checks + 1))
  if [ "$found" -ne "$code" ] || { [ -n "$text" ] && ! grep -qF -- "$text" "$work/.err"; }; then
    failures=$((failures + 1))
    echo "FAILED: $* : exit $found (expected $code), message: $(tail -n 2 "$work/.err") (expected to hold: $text)"
  fi
}
absent() {
  checks=$((checks + 1))
  [ ! -e "$1" ] || { failures=$((failures + 1)); echo "FAILED: $1 was left behind"; }
}
run() { "$flywheel" run "$@"; }

mkdir "$work/empty" "$work/binary" "$work/small" "$work/text" "$work/mine"
head -c 100000 /dev/zero >"$work/binary/zeros"
echo "one line of text" >"$work/small/a.txt"
for i in $(seq 400); do seq $((i * 1000)) $((i * 1000 + 500)); echo; done >"$work/text/numbers.txt"
ln -s "$work/text" "$work/text/loop"
echo precious >"$work/mine/notes.txt"
lab=$work/lab

expect 2 "no such file" run --corpus "$work/nowhere" --budget 30s --dir "$lab"; absent "$lab"
expect 2 "empty" run --corpus "$work/empty" --budget 30s --dir "$lab"; absent "$lab"
expect 2 "binary" run --corpus "$work/binary" --budget 30s --dir "$lab"; absent "$lab"
expect 2 "bytes" run --corpus "$work/small" --budget 30s --dir "$lab"; absent "$lab"
mkdir "$work/records" "$work/links" "$work/otherlab"
for i in $(seq 50); do echo "{\"body\": \"record number $i\"}"; done >"$work/records/a.jsonl"
ln -s "$work/text/numbers.txt" "$work/links/numbers.txt"
touch "$work/otherlab/ledger.sqlite" "$work/otherlab/lock"
expect 2 "--text-field: body (100% of records" run --corpus "$work/records" --budget 30s --dir "$lab"; absent "$lab"
expect 2 "--follow-links" run --corpus "$work/links" --budget 30s --dir "$lab"; absent "$lab"
expect 2 "it is a lab" run --corpus "$work/otherlab" --budget 30s --dir "$lab"; absent "$lab"
expect 2 "binary" "$flywheel" corpus "$work/binary/zeros" --validation-tail 0.1 --dir "$work/tail"; absent "$work/tail"
for budget in 0 -5m 10x abc 1e40 nan 5; do
  expect 2 "budget" run --corpus "$work/text" "--budget=$budget" --dir "$lab"; absent "$lab"
done
expect 2 "too small" run --corpus "$work/text" --budget 2s --dir "$lab"; absent "$lab"
expect 2 "slots" run --corpus "$work/text" --budget 30s --dir "$lab" --slots -1; absent "$lab"
expect 2 "not empty" run --corpus "$work/text" --budget 30s --dir "$work/mine"
expect 2 "is a file" run --corpus "$work/text" --budget 30s --dir "$work/text/numbers.txt"
expect 2 "--budget" run --corpus "$work/text" --dir "$lab"; absent "$lab"
expect 2 "flywheel --help" "$flywheel" trian
expect 2 'did you mean "train"' "$flywheel" trian
expect 2 'did you mean "--budget"' run "$work/text" --budgt 30s --dir "$lab"; absent "$lab"
expect 2 'did you mean "search"' "$flywheel" simulate serch
expect 2 'did you mean "status"' "$flywheel" help stauts
expect 2 "no lab was named" env -C "$work" "$flywheel" status
printf '[[change]]\nid = "w"\npatches = ["schedule.warmup_step=40"]\n' >"$work/list.toml"
expect 2 'did you mean "schedule.warmup_steps"' run "$work/text" --budget 30s --dir "$lab" --changes "$work/list.toml"; absent "$lab"
mkdir "$work/corpus" && echo '{}' >"$work/corpus/manifest.json"
expect 2 "--overwrite" "$flywheel" corpus "$work/text" --dir "$work/corpus"
[ "$(cat "$work/mine/notes.txt")" = precious ] || { failures=$((failures + 1)); echo "FAILED: a user's file was touched"; }

printf '[model]\nhead_dims = 16\n' >"$work/unknown.toml"
printf '[model]\nhead_dim = 0\n' >"$work/zero.toml"
printf '[model\n' >"$work/broken.toml"
expect 2 "head_dims" run --corpus "$work/text" --budget 30s --dir "$lab" --recipe "$work/unknown.toml"; absent "$lab"
expect 2 "head_dim" run --corpus "$work/text" --budget 30s --dir "$lab" --recipe "$work/zero.toml"; absent "$lab"
expect 2 "broken.toml" run --corpus "$work/text" --budget 30s --dir "$lab" --recipe "$work/broken.toml"; absent "$lab"
for command in status runs verify report findings; do expect 2 "$work/nolab" "$flywheel" "$command" --dir "$work/nolab"; absent "$work/nolab"; done

printf 'N,D,L\n1e6,2e7,3.9\n2e6,2e7,3.7\n1e6,4e7,3.8\n2e6,4e7,3.6\n4e6,8e7,3.3\n' >"$work/runs.csv"
plan() { "$flywheel" plan "$@"; }
expect 2 "--csv" plan --flops 1e15
expect 2 "--flops" plan --csv "$work/runs.csv"
for budget in abc 0 -1 nan 1e30 1e400; do expect 2 "budget" plan --csv "$work/runs.csv" "--flops=$budget"; done
expect 2 "below the data" plan --csv "$work/runs.csv" --flops 1e9
expect 2 "needs a rate" plan --csv "$work/runs.csv" --seconds 1d
expect 2 "no such file" plan --csv "$work/nowhere.csv" --flops 1e15
expect 2 "no such lab" plan --law "$work/nolab" --flops 1e15; absent "$work/nolab"
expect 2 "ledger" plan --law "$work/empty" --flops 1e15; absent "$work/empty/ledger.sqlite"
expect 0 "" plan --csv "$work/runs.csv" --flops 1e15 --bootstrap 10
# Tables of runs.
table() { printf "$@" >"$work/runs.csv"; }
fit() { "$flywheel" fit "$work/runs.csv" --bootstrap 5 "$@"; }
expect 2 "nowhere.csv" "$flywheel" replay "$work/nowhere.csv" --target loss
table 'x,loss\n1,2\n2,3\n'
expect 2 "did you mean \"loss\"" "$flywheel" replay "$work/runs.csv" --target los
expect 2 "expected --target" "$flywheel" replay "$work/runs.csv"
expect 2 "unknown proposer" "$flywheel" replay "$work/runs.csv" --target loss --policy magic
expect 2 "nowhere.csv" "$flywheel" fit "$work/nowhere.csv"
expect 2 "nowhere.csv" "$flywheel" fit --columns N=n "$work/nowhere.csv"
expect 2 "binary" "$flywheel" fit "$work/binary/zeros"
table ''; expect 2 "empty" fit
table 'N,D,L\n'; expect 2 "no runs" fit
table 'N,L\n1e6,2\n'; expect 2 "line 1: expected a header" fit
table 'N,D\n1e6,1e7\n'; expect 2 "expected a loss column" fit
for bad in 0 -1 nan inf abc ''; do
  table 'N,D,L\n1e6,1e7,3\n1e6,%s,2\n' "$bad"; expect 2 "runs.csv: line 3: column D" fit
done
good='1e6,1e7,3\n1e6,2e7,2.9\n2e6,1e7,2.95\n2e6,2e7,2.8\n'
table "N,D,L\n${good}1e6,oops,2\n2e6,x,1\n"; expect 2 "2 bad rows" fit
expect 0 "" fit --skip-bad-rows
table 'N,D,L\n1e6,1e7,3\n1e6,2e7,2.9\n1e6,2e7,2.9\n'; expect 2 "2 runs of different size or length, expected at least 4" fit
table 'N,D,L\n3.1,1e7,1e6\n'; expect 2 "swapped" fit
table 'N,D,L\n1e6,3,900\n2e6,2,800\n'; expect 2 "swapped" fit
table "N,D,L\n$good"; expect 0 "" fit
expect 2 "astrology" fit --forms astrology
expect 2 "named twice" fit --forms tied,tied
expect 2 "--drop-highest 4" fit --drop-highest 4
expect 2 "--reduce mode" fit --reduce mode
expect 2 "no column" fit --group nothing
expect 2 "--group" fit --shared-exponents
table 'N;C;val_loss\r\n1e12;1e30;1.5\r\n2e12;1e30;1.51\r\n3e12;1e30;1.52\r\n4e12;1e30;1.53\r\n'; expect 0 "" fit
gzip -kf "$work/runs.csv"; expect 0 "" "$flywheel" fit "$work/runs.csv.gz" --bootstrap 5
head -c 40 "$work/runs.csv.gz" >"$work/cut.csv.gz"; expect 2 "cut.csv.gz" "$flywheel" fit "$work/cut.csv.gz"

# Comparisons and searches.
"$flywheel" recipe show >"$work/base.toml"
"$flywheel" recipe show --patch optimizer.weight_decay=0 >"$work/changed.toml"
expect 2 "same recipe" "$flywheel" compare "$work/base.toml" "$work/base.toml" --corpus "$work/text" --budget 1e12 --dir "$lab"; absent "$lab"
expect 2 "too small" "$flywheel" compare "$work/base.toml" "$work/changed.toml" --corpus "$work/text" --budget 1e10 --dir "$lab"; absent "$lab"
expect 2 "nowhere.toml" "$flywheel" compare "$work/base.toml" "$work/nowhere.toml" --corpus "$work/text" --budget 1e12 --dir "$lab"; absent "$lab"
expect 2 "astrologer" run --corpus "$work/text" --budget 30s --dir "$lab" --proposers list,astrologer; absent "$lab"
expect 2 "nowhere.toml" run --corpus "$work/text" --budget 30s --dir "$lab" --changes "$work/nowhere.toml"; absent "$lab"
expect 2 "no such lab" run --corpus "$work/text" --budget 30s --dir "$lab" --prior "$work/nolab"; absent "$lab"
expect 2 "campaigns" "$flywheel" simulate search --campaigns 0
expect 2 "no such lab" "$flywheel" simulate search --dir "$work/nolab"

# A lab at work: a second one is refused, another question too; SIGTERM leaves a lab that resumes.
"$flywheel" run --corpus "$work/text" --budget 60s --dir "$lab" >/dev/null 2>"$work/.lab" &
pid=$!
for _ in $(seq 200); do [ -e "$lab/ledger.sqlite" ] && [ -e "$lab/runs" ] && break; sleep 0.05; done
expect 76 "in use" run --corpus "$work/text" --budget 60s --dir "$lab"
kill -TERM "$pid"
wait "$pid"
code=$?
checks=$((checks + 1))
[ "$code" -eq 75 ] || { failures=$((failures + 1)); echo "FAILED: SIGTERM ended the lab with $code, expected 75: $(tail -n 2 "$work/.lab")"; }
expect 2 "--budget" run --corpus "$work/text" --budget 1e12 --dir "$lab"
expect 2 "--corpus" run --corpus "$work/small" --budget 60s --dir "$lab"
expect 0 "" "$flywheel" verify --dir "$lab"
spec=$(find "$lab/runs" -name spec.json | head -n 1)
head -c 100 "$spec" >"$work/cut.json"
expect 2 "cut.json" "$flywheel" train "$work/cut.json" --dir "$work/run"; absent "$work/run"
sed 's/"width": *[0-9]*/"width": 33/' "$spec" >"$work/odd.json"
expect 2 "heads" "$flywheel" train "$work/odd.json" --dir "$work/run"; absent "$work/run"
printf 'garbage' >"$lab/ledger.sqlite"
rm -f "$lab/ledger.sqlite-wal" "$lab/ledger.sqlite-shm"
expect 2 "ledger.sqlite" "$flywheel" status --dir "$lab"
expect 2 "ledger.sqlite" run --corpus "$work/text" --budget 60s --dir "$lab"

echo "$((checks - failures)) of $checks checks of bad input passed"
[ "$failures" -eq 0 ]
