#!/bin/sh
# `make bench`: Terrace beside its peers (tests/bench/README.md). The default is three rounds with one thread
# and default options, about 15 minutes. Arguments, and those in BENCH_ARGS, are passed to the benchmark.
set -eu
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-$PWD/target}

cargo build --release --lib
if [ ! -e "$target/peers/libleveldb-release.so" ] && [ -z "${LEVELDB_RELEASE_LIB:-}" ]; then
    sh scripts/leveldb-release.sh || echo "bench: going on without a release build of LevelDB" >&2
fi
# The system's RocksDB has assertions on. A release build takes half an hour, so it is built on request only,
# and once.
if [ "${ROCKSDB:-}" = release ]; then
    sh scripts/rocksdb-release.sh
fi
# goleveldb is measured by a Go program. Without Go, or without its module, the run continues without it and
# says so.
if command -v go >/dev/null 2>&1; then
    mkdir -p "$target/peers"
    (cd tests/bench/goleveldb && go build -o "$target/peers/goleveldb-bench" .) ||
        echo "bench: going on without goleveldb: its program could not be built" >&2
else
    echo "bench: going on without goleveldb: no Go (apt-get install golang-go)" >&2
fi
CARGO_TARGET_DIR=$target/bench cargo build --release --locked --manifest-path tests/bench/Cargo.toml
bench=$target/bench/release/terrace-bench

# Variables of `make bench`: PROFILE, ROUNDS, KEYS, ROWS, THREADS, ROCKSDB (release), BUDGET (seconds),
# INSTRUCTIONS (a file).
[ -z "${ROUNDS:-}" ] || set -- --rounds "$ROUNDS" "$@"
[ -z "${KEYS:-}" ] || set -- --num "$KEYS" "$@"
[ -z "${ROWS:-}" ] || set -- --rows "$ROWS" "$@"
[ -z "${THREADS:-}" ] || set -- --threads "$THREADS" "$@"
if [ -n "${INSTRUCTIONS:-}" ]; then
    set -- --instructions "$INSTRUCTIONS" "$@"
elif [ "${PROFILE:-}" = record ]; then
    # Measures the figures of the README, plots them and writes them into the README.
    set -- --profile record --budget "${BUDGET:-2700}" --out tests/bench/results --readme README.md "$@"
elif [ -n "${PROFILE:-}" ]; then
    set -- --profile "$PROFILE" ${BUDGET:+--budget "$BUDGET"} --out "$target/bench-results" "$@"
fi
# shellcheck disable=SC2086 # a list of words
exec "$bench" ${BENCH_ARGS:-} "$@"
