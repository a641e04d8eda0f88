#!/bin/sh
# `make test`: runs all tests, with the shared library as it is shipped. Arguments are passed to the tests of
# the library and to those of tests/main.rs (`scripts/test.sh exchange` runs the tests with that in their
# names).
set -eu
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-$PWD/target}
log=$target/test.log
sh scripts/deps.sh test
# A Go that deps.sh has downloaded precedes an older one of the machine.
[ ! -x "$target/go/bin/go" ] || PATH=$target/go/bin:$PATH
export PATH

# The suite loads the library that is installed and shipped: the release build, named by TERRACE_LIB.
cargo build --release --lib
TERRACE_LIB=${TERRACE_LIB:-$target/release/libterrace.so}
export TERRACE_LIB

# The tests themselves are optimised, but have assertions and overflow checks.
export CARGO_PROFILE_TEST_OPT_LEVEL=2 CARGO_PROFILE_TEST_DEBUG=line-tables-only

run_tests() {
    failed=0
    cargo test --no-fail-fast -- "$@" || failed=1
    # With a filter, nothing else runs.
    if [ $# -eq 0 ]; then
        # A build without zlib and zstd: how it reports their blocks.
        cargo test --no-default-features --lib -- compression:: foreign_tables || failed=1
        sh scripts/models.sh || failed=1
        CARGO_TARGET_DIR=$target/bench cargo test --locked --manifest-path tests/bench/Cargo.toml || failed=1
    fi
    return $failed
}

# A pipe has the status of its last command, so the status of the tests is passed through a file.
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
