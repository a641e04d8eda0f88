#!/bin/sh
# `make bench`: Terrace beside its peers. Arguments go to the benchmark (tests/bench/README.md); without any, a run with one
# thread and default options. `make bench` itself passes BENCH_ARGS.
set -eu
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-$PWD/target}

cargo build --release --lib
if [ ! -e "$target/peers/libleveldb-release.so" ] && [ -z "${LEVELDB_RELEASE_LIB:-}" ]; then
    sh scripts/leveldb-release.sh || echo "bench: going on without a release build of LevelDB" >&2
fi
# goleveldb does its part in its own language; without Go, or its module, the run goes on without it and says so.
if command -v go >/dev/null 2>&1; then
    mkdir -p "$target/peers"
    (cd tests/bench/goleveldb && go build -o "$target/peers/goleveldb-bench" .) ||
        echo "bench: going on without goleveldb: its program could not be built" >&2
else
    echo "bench: going on without goleveldb: no Go (apt-get install golang-go)" >&2
fi
CARGO_TARGET_DIR=$target/bench cargo build --release --locked --manifest-path tests/bench/Cargo.toml
# shellcheck disable=SC2086 # a list of words
exec "$target/bench/release/terrace-bench" ${BENCH_ARGS:-} "$@"
