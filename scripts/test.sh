#!/bin/sh
# `make test`: everything that is tested, with the shared library as it ships. Arguments go to the tests of the library and
# of tests/main.rs alike (`scripts/test.sh exchange` runs what has that in its name).
set -eu
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-$PWD/target}
log=$target/test.log
sh scripts/deps.sh test
# A Go that deps.sh has fetched comes before an older one of the machine.
[ ! -x "$target/go/bin/go" ] || PATH=$target/go/bin:$PATH
export PATH

# The suite loads the library that is installed and shipped: the release build, by way of TERRACE_LIB.
cargo build --release --lib
TERRACE_LIB=${TERRACE_LIB:-$target/release/libterrace.so}
export TERRACE_LIB

# The tests themselves are optimised, and keep assertions and overflow checks.
export CARGO_PROFILE_TEST_OPT_LEVEL=2 CARGO_PROFILE_TEST_DEBUG=line-tables-only

run_tests() {
    failed=0
    cargo test --no-fail-fast -- "$@" || failed=1
    # With a filter, only what it was meant for.
    if [ $# -eq 0 ]; then
        # A build without zlib and zstd: what it says of their blocks.
        cargo test --no-default-features --lib -- compression:: foreign_tables || failed=1
        sh scripts/models.sh || failed=1
        CARGO_TARGET_DIR=$target/bench cargo test --locked --manifest-path tests/bench/Cargo.toml || failed=1
    fi
    return $failed
}

# A pipe has the status of its last command, so that of the tests goes through a file.
{
    status=0
    run_tests "$@" 2>&1 || status=1
    echo $status >"$target/test.status"
} | tee "$log"
read -r status <"$target/test.status"

echo
echo "what the runners said at their ends (all of it: $log):"
grep -E '^ +Running |^ +Doc-tests |^test result:|^test .* FAILED$|^error' "$log" || true
exit "$status"
