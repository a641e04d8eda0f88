#!/bin/sh
# `make soak HOURS=n`: repeats the stages of tests/README.md for n hours (0.2 is twelve minutes), each round
# with new seeds. Prints its progress once a minute. The summary at the end counts what each stage has run,
# and says how to reproduce each failure. The exit status is 1 if anything failed.
#
# SEED is the first seed (default: from the clock); ROUNDS limits the number of rounds. The output of a failed
# step is kept in target/soak.
set -eu
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-$PWD/target}
hours=${HOURS:-${1:-1}}
seed=${SEED:-$(($(date +%s) * 1000))}
work=$target/soak
seconds=$(awk -v hours="$hours" 'BEGIN { if (hours !~ /^[0-9]*[.]?[0-9]+$/) exit 1; printf "%d", hours * 3600 }') || {
    echo "soak: HOURS is a number of hours, not $hours" >&2
    exit 2
}

sh scripts/deps.sh test
rm -rf "$work"
mkdir -p "$work"
cargo build --release --lib
TERRACE_LIB=${TERRACE_LIB:-$target/release/libterrace.so}
export TERRACE_LIB
export CARGO_PROFILE_TEST_OPT_LEVEL=2 CARGO_PROFILE_TEST_DEBUG=line-tables-only
cargo test --lib --test main --no-run 2>&1 | tee "$work/build.log"
# "  Executable unittests src/lib.rs (target/debug/deps/terrace-...)"
binary() { sed -n "s|^ *Executable $1 (\(.*\))\$|\1|p" "$work/build.log"; }
unit=$(binary "unittests src/lib.rs")
suite=$(binary "tests/main.rs")
[ -x "$unit" ] && [ -x "$suite" ] || {
    echo "soak: cargo did not say where the tests are" >&2
    exit 2
}

started=$(date +%s)
deadline=$((started + seconds))
round=0
steps=0
failed=0
now() { date +%s; }
spent() { awk -v s="$(($(now) - started))" 'BEGIN { printf "%d:%02d:%02d", s / 3600, s / 60 % 60, s % 60 }'; }

# The sums of the counts that the stages have printed.
counts() {
    cat "$work"/*.log | awk '/count: [A-Z] [0-9]+ / {
        sub(/.*count: /, ""); key = $1; number = $2; $1 = $2 = ""; sum[key $0] += number
    } END { for (what in sum) printf "  %-45s %d\n", what, sum[what] }' | sort
}

# step STAGE NAME COMMAND...: runs one stage and prints a line every minute while it runs. NAME is the filter
# of the tests.
step() {
    stage=$1 name=$2
    again="scripts/test.sh $name"
    shift 2
    [ "$(now)" -lt "$deadline" ] || return 0
    log=$work/$(printf %04d $round)-$stage-${name%::}.log
    began=$(now)
    "$@" >"$log" 2>&1 &
    child=$!
    said=$began
    while kill -0 $child 2>/dev/null; do
        sleep 1
        if [ $(($(now) - said)) -ge 60 ]; then
            said=$(now)
            echo "soak: $(spent) of $hours h: round $round, stage $stage ($name) for $((said - began)) s; $steps steps done, $failed failed"
        fi
    done
    status=0
    wait $child || status=$?
    steps=$((steps + 1))
    if [ $status -eq 0 ]; then
        grep -o 'count: .*' "$log" >"$log.counts" || true
        echo "soak: $(spent): round $round, stage $stage ($name): $(($(now) - began)) s"
        mv "$log.counts" "$log" # of a success, only the counts are kept
    else
        failed=$((failed + 1))
        {
            echo "stage $stage ($name), round $round, status $status: $log"
            grep -E '^test .* FAILED$|panicked at|TERRACE_[A-Z]+=' "$log" | head -n 12 | sed 's/^/    /'
            echo "    again: TERRACE_FIRST_SEED=$first_seed TERRACE_LIB=$TERRACE_LIB $again"
        } >>"$work/failures"
        echo "soak: $(spent): stage $stage ($name) FAILED: $log"
    fi
}

# runs FILTER...: runs the tests of the suite whose names contain a filter, with the seeds of this round.
runs() { TERRACE_FIRST_SEED=$first_seed "$suite" --nocapture "$@"; }
units() { "$unit" "$@" && echo "count: A 1 runs of the unit tests"; }
programs() { runs c_programs:: && echo "count: G 1 runs of the C programs, bare and under valgrind"; }
all_faults() { TERRACE_FAULTS=all runs fault::an_error; }
family_kills() { TERRACE_KILLS=60 runs kill::families::a_kill; }
mutations() { TERRACE_MUTATIONS=1000 runs hostile::mutations::no_mutation; }
short_histories() { TERRACE_HISTORIES=2 runs differential::; }

# Ctrl-C does not reach background processes by itself.
trap 'trap - TERM; kill 0' INT TERM

echo "soak: $hours hours, first seed $seed, library $TERRACE_LIB"
while [ "$(now)" -lt "$deadline" ] && [ $round -lt "${ROUNDS:-1000000}" ]; do
    # The first seeds of two rounds are 1,000 apart; no stage has more seeds in a round.
    first_seed=$((seed + round * 1000))
    round=$((round + 1))
    step C crash runs crash::random crash::crowd
    step D fault all_faults
    step E kill runs kill::a_kill
    step E kill::families family_kills
    step B differential short_histories
    step F hostile mutations
    step A db:: units
    step G c_programs programs
done

echo
echo "soak: $(spent), $round rounds, first seed $seed, $steps steps, $failed failed"
counts
if [ $failed -gt 0 ]; then
    cat "$work/failures"
    exit 1
fi
echo "soak: no failure"
