#!/usr/bin/env bash
# What a process is started with and gets sent: closed descriptors, full disks, broken pipes, limits and signals, with
# real shells.   testing/surroundings.sh FLYWHEEL
set -u
flywheel=$1
work=$(mktemp -d)
labs=()
end() {
  for pid in "${labs[@]}"; do kill -KILL "$pid" 2>/dev/null; done
  rm -rf "$work"
}
trap end EXIT
cd "$work" || exit 1
failures=0 checks=0

# check WHAT FOUND EXPECTED
check() {
  checks=$((checks + 1))
  [ "$2" = "$3" ] || { failures=$((failures + 1)); echo "FAILED: $1: found $2, expected $3"; }
}
# exits CODE COMMAND...: stderr goes to the file err, stdout where the caller says.
exits() {
  local code=$1
  shift
  "$@" 2>err
  check "$*" $? "$code"
}
says() {
  checks=$((checks + 1))
  grep -qF -- "$1" err || { failures=$((failures + 1)); echo "FAILED: expected \"$1\" in: $(tail -n 2 err)"; }
}

mkdir text
for i in $(seq 400); do seq $((i * 1000)) $((i * 1000 + 500)); echo; done >text/numbers.txt
printf 'N,D,L\n1e6,2e7,3.9\n2e6,2e7,3.7\n1e6,4e7,3.8\n2e6,4e7,3.6\n4e6,8e7,3.3\n' >runs.csv

# Labs, started first: they come to work while the rest is checked. HUP_IGNORED is a `nohup`, and a shell's background
# job ignores SIGINT as these do.
start_lab() { # NAME [PREFIX...]
  local name=$1
  shift
  "$@" "$flywheel" run --corpus text --budget 1e13 --slots 1 --dir "$name" >"$name.out" 2>"$name.err" &
  labs+=($!)
}
start_lab stopped
start_lab hung
start_lab kept nohup
start_lab unread python3 -c '
import os, subprocess, sys
read, write = os.pipe()
process = subprocess.Popen(sys.argv[1:], stderr=write)
os.close(write)
while b"training at" not in os.read(read, 1 << 16): pass
os.close(read)
sys.exit(process.wait())'

# Output that cannot be written is exit 1, whatever the command.
for command in --help --version "run --help" "recipe show" "recipe show --json" "fit runs.csv --bootstrap 5" \
  "fit runs.csv --bootstrap 5 --json" "plan --csv runs.csv --flops 1e15 --bootstrap 5" \
  "simulate search --campaigns 3" "simulate search --campaigns 3 --json"; do
  exits 1 "$flywheel" $command >/dev/full
  says "could not be written"
  exits 1 "$flywheel" $command >&-
done
# Also to a pipe that nobody reads.
exits 1 python3 -c '
import os, subprocess, sys
read, write = os.pipe()
os.close(read)
sys.exit(subprocess.run(sys.argv[1:], stdout=write).returncode)' "$flywheel" recipe show
says "Broken pipe"
"$flywheel" recipe show >/dev/null 2>&- <&-
check "without stdin and stderr" $? 0

# No file of ours gets the number of a closed descriptor, and log lines with it.
"$flywheel" corpus text --dir corpus >/dev/null 2>err
"$flywheel" corpus text --dir without >&- 2>&- <&-
check "a corpus without descriptors" $? 1
for split in train search audit locked; do
  cmp -s "corpus/$split.tokens" "without/$split.tokens"
  check "$split.tokens made without descriptors" $? 0
done

# Limits.
(ulimit -s 64; exits 0 "$flywheel" fit runs.csv --bootstrap 5 >/dev/null; exit $failures)
check "ulimit -s 64" $? 0
(ulimit -f 1; exits 1 "$flywheel" fit runs.csv --bootstrap 5 --report page.html 2>&1 >/dev/null | cat >/dev/null; exit "${PIPESTATUS[0]}")
check "ulimit -f 1" $? 0

# Text of others.
exits 2 "$flywheel" run --corpus $'text/\e[31mred\a' --budget 30s --dir none
says '\x1b[31mred\x07'
head -c 100000 /dev/zero | tr '\0' '[' >deep.json
exits 2 "$flywheel" train deep.json --dir none
says "deep.json: line 1"
printf '{"id":\n 1e400}' >large.json
exits 2 "$flywheel" train large.json --dir none
says "large.json: line 2"
{ printf a; for _ in $(seq 5000); do printf .a; done; echo ' = 1'; } >keys.toml
exits 2 "$flywheel" recipe check keys.toml
says "keys.toml: line 1"
if [ "$(id -u)" -eq 0 ]; then
  mkdir theirs
  chown 12345:12345 theirs
  exits 2 "$flywheel" run --corpus text --budget 30s --dir theirs
  says "FLYWHEEL_TRUST_OWNER=1"
fi

# Signals.
working() { # LAB: a run of it trains.
  for _ in $(seq 400); do
    grep -qs '"step"' "$1"/runs/*/events.jsonl && return
    sleep 0.05
  done
  echo "FAILED: $1 does not get to work: $(tail -n 2 "$1.err")"
}
checkpoints() { cat "$1"/runs/*/events.jsonl 2>/dev/null | grep -c '"checkpoint"'; }
ended() { # LAB PID CODE
  wait "$2"
  local found=$?
  check "$1: $(tail -n 1 "$1.err")" $found "$3"
  "$flywheel" verify --dir "$1" >/dev/null 2>err
  check "$1: its ledger" $? 0
}
for lab in stopped hung kept; do working $lab; done
kill -TERM "${labs[0]}"
kill -TERM "${labs[0]}" # patience: it saves all the same
kill -HUP "${labs[1]}"
kill -HUP "${labs[2]}" # ignored, as nohup says
ended stopped "${labs[0]}" 75
ended hung "${labs[1]}" 75
before=$(checkpoints kept)
kill -USR1 "${labs[2]}"
for _ in $(seq 200); do [ "$(checkpoints kept)" -gt "$before" ] && break; sleep 0.05; done
check "kept: a checkpoint when asked" "$([ "$(checkpoints kept)" -gt "$before" ] && echo yes)" yes
kill -TERM "${labs[2]}"
ended kept "${labs[2]}" 75
wait "${labs[3]}"
check "unread: stderr that nobody reads" $? 75
exits 0 "$flywheel" status --dir kept >/dev/null
for command in status runs findings verify "status --json" "runs --json"; do
  exits 1 "$flywheel" $command --dir kept >/dev/full
done

echo "$((checks - failures)) of $checks checks of the surroundings passed"
[ "$failures" -eq 0 ]
