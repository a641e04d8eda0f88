#!/bin/sh
# Runs the fuzz targets of tests/fuzz under libFuzzer and the address sanitizer, with the stable compiler.
# cargo-fuzz is not needed.
#
#   scripts/fuzz.sh [seconds for each target, 60] [targets, all]
#
# New inputs and findings are written to FUZZ_OUT (default: target/fuzz). Minimise them and copy them to
# tests/fuzz/corpus by hand.
set -eu
cd "$(dirname "$0")/.."
root=$PWD
seconds=${1:-60}
[ $# -gt 0 ] && shift
targets=${*:-block table snappy filter log manifest current write_batch directory}
out=${FUZZ_OUT:-$root/target/fuzz}
triple=$(rustc -vV | sed -n 's/^host: //p')

# The flags of cargo-fuzz: coverage counters, comparisons, and the sanitizer. A stable compiler accepts -Z
# options only with RUSTC_BOOTSTRAP.
coverage="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
-Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares"
(
    cd tests/fuzz
    RUSTC_BOOTSTRAP=1 RUSTFLAGS="--cfg fuzzing -Zsanitizer=address $coverage" CARGO_TARGET_DIR="$root/target/fuzz-build" \
        cargo build --release --bins --target "$triple"
)
status=0
for target in $targets; do
    mkdir -p "$out/$target/new" "$out/$target/found"
    echo "fuzz: $target for $seconds seconds; inputs in $out/$target"
    # Leaks are checked by the other sanitizer runs: here, worker threads may still be ending when the process
    # exits.
    ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 \
        "$root/target/fuzz-build/$triple/release/$target" \
        "$out/$target/new" "$root/tests/fuzz/corpus/$target" -dict="$root/tests/fuzz/dictionary.txt" \
        -artifact_prefix="$out/$target/found/" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 \
        -max_len=20000 -print_final_stats=1 || status=1
done
exit $status
