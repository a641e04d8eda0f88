#!/bin/sh
# `make bench`: Terrace beside its peers. Arguments go to the benchmark (tests/bench/README.md); without any, a run with one
# thread and default options.
set -eu
cd "$(dirname "$0")/.."

cargo build --release
if [ ! -e target/peers/libleveldb-release.so ] && [ -z "${LEVELDB_RELEASE_LIB:-}" ]; then
    sh scripts/leveldb-release.sh || echo "bench: going on without a release build of LevelDB" >&2
fi
CARGO_TARGET_DIR=$PWD/target/bench cargo build --release --locked --manifest-path tests/bench/Cargo.toml
exec target/bench/release/terrace-bench "$@"
