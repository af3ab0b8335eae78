#!/usr/bin/env bash
# Completion as shells do it, and the man page.   testing/completion.sh FLYWHEEL
# What a shell offers for a line is compared with what must be among it; a shell that is not there is skipped, and said.
set -u
flywheel=$(realpath "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0 checks=0
mkdir -p "$work/mylab" "$work/other"
touch "$work/mylab/ledger.sqlite" "$work/text.txt"
cd "$work" || exit 1
PATH="$(dirname "$flywheel"):$PATH"

# offers SHELL "LINE" WORD...: completing the line offers each word; a word after "!" is not offered.
offers() {
  local shell=$1 line=$2 word found
  shift 2
  found=$("complete_$shell" "$line")
  for word in "$@"; do
    checks=$((checks + 1))
    case "$word" in
      !*) ! grep -qxF -- "${word#!}" <<<"$found" && continue ;;
      *) grep -qxF -- "$word" <<<"$found" && continue ;;
    esac
    failures=$((failures + 1))
    echo "FAILED: $shell: $line: expected $word, offered: $(tr '\n' ' ' <<<"$found" | head -c 300)"
  done
}

complete_bash() {
  bash --norc -c '
    source "$1"
    read -ra COMP_WORDS <<<"$2"
    [ "${2% }" = "$2" ] || COMP_WORDS+=("")
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    _flywheel
    printf "%s\n" "${COMPREPLY[@]}"' bash "$work/flywheel.bash" "$1"
}
complete_fish() { fish --no-config -c 'source $argv[1]; complete -C $argv[2]' "$work/flywheel.fish" "$1" | cut -f 1 | sed 's|/$||'; }

for shell in bash zsh fish; do
  "$flywheel" completion "$shell" >"$work/flywheel.$shell" || exit 1
done
for shell in bash fish; do
  if ! command -v "$shell" >/dev/null; then
    echo "skipped: $shell is not installed"
    continue
  fi
  offers "$shell" "flywheel st" status
  offers "$shell" "flywheel " run status help version completion
  offers "$shell" "flywheel run --bud" --budget
  offers "$shell" "flywheel runs --state " done failed '!--stage'
  offers "$shell" "flywheel status " mylab '!other' '!text.txt'
  offers "$shell" "flywheel run te" text.txt
  offers "$shell" "flywheel recipe " show check diff
  offers "$shell" "flywheel simulate " search compare
  offers "$shell" "flywheel simulate search --camp" --campaigns
  offers "$shell" "flywheel completion " bash zsh fish
done
if command -v zsh >/dev/null; then
  # Its completion needs a terminal; what it would hand to _arguments is looked at instead.
  checks=$((checks + 1))
  found=$(zsh -f -c 'compdef() { :; }; source $1; _arguments() { print -rl -- "$@"; state=(); line=(run); }; _flywheel_run' zsh "$work/flywheel.zsh" 2>&1)
  if ! grep -qF -- '--budget[' <<<"$found" || grep -q "not found\|error" <<<"$found"; then
    failures=$((failures + 1))
    echo "FAILED: zsh: run: $found"
  fi
else
  echo "skipped: zsh is not installed"
fi

"$flywheel" man >"$work/flywheel.1" || exit 1
if command -v groff >/dev/null; then
  checks=$((checks + 1))
  warnings=$(groff -man -Tutf8 -ww -z "$work/flywheel.1" 2>&1)
  [ -z "$warnings" ] || { failures=$((failures + 1)); echo "FAILED: man page: $warnings"; }
else
  echo "skipped: groff is not installed"
fi

echo "$((checks - failures)) of $checks checks of completion and the man page passed"
[ "$failures" -eq 0 ]
