#!/bin/sh
# `make test`: everything that is tested, with the shared library as it ships. Arguments go to the tests of the library and
# of tests/main.rs alike (`scripts/test.sh exchange` runs what has that in its name).
set -eu
cd "$(dirname "$0")/.."
sh scripts/deps.sh

# The suite loads the library that is installed and shipped: the release build, by way of TERRACE_LIB.
cargo build --release
TERRACE_LIB=${TERRACE_LIB:-$PWD/target/release/libterrace.so}
export TERRACE_LIB

# The tests themselves are optimised, and keep assertions and overflow checks.
export CARGO_PROFILE_TEST_OPT_LEVEL=2 CARGO_PROFILE_TEST_DEBUG=line-tables-only

log=target/test.log
status=0
{ cargo test --no-fail-fast -- "$@" 2>&1 && echo passed >target/test.status || echo failed >target/test.status; } | tee "$log"
read -r outcome <target/test.status
[ "$outcome" = passed ] || status=1

echo
echo "what the runners said at their ends (all of it: $log):"
grep -E '^ +Running |^ +Doc-tests |^test result:|^test .* FAILED$|^error' "$log" || true
exit $status
