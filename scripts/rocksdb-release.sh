#!/bin/sh
# Builds RocksDB as its authors release it (-O2 -DNDEBUG; Debian's package has assertions on) from the source
# in the crate librocksdb-sys, as target/peers/librocksdb-release.so, for the benchmark. This takes half an
# hour of processor time, so it is done on request only. A build that was interrupted continues where it
# stopped.
set -eu
cd "$(dirname "$0")/.."
peers=${CARGO_TARGET_DIR:-$PWD/target}/peers
library=$peers/librocksdb-release.so
objects=$peers/rocksdb-objects
mkdir -p "$objects"

if ! echo '#include <snappy.h>' | c++ -E -x c++ - >/dev/null 2>&1; then
    echo "rocksdb-release: no snappy.h: install libsnappy-dev (without compression the comparison would be worth nothing)" >&2
    exit 1
fi

manifest=tests/bench/rocksdb/Cargo.toml
cargo fetch --locked --manifest-path "$manifest"
crate=$(cargo metadata --locked --offline --format-version 1 --manifest-path "$manifest" |
    grep -o '"manifest_path":"[^"]*/librocksdb-sys-[^"]*/Cargo.toml"' | sed 's/.*:"//; s/\/Cargo.toml"//')
[ -f "$crate/rocksdb/db/c.cc" ] || {
    echo "rocksdb-release: no RocksDB source in '$crate'" >&2
    exit 1
}

export FLAGS="-std=c++17 -O2 -DNDEBUG -fPIC -fno-rtti -pthread -w -DSNAPPY -DOS_LINUX -DROCKSDB_PLATFORM_POSIX
    -DROCKSDB_LIB_IO_POSIX -DROCKSDB_SCHED_GETCPU_PRESENT -DROCKSDB_SUPPORT_THREAD_LOCAL -DROCKSDB_FALLOCATE_PRESENT
    -DROCKSDB_RANGESYNC_PRESENT -I$crate/rocksdb -I$crate/rocksdb/include"
[ "$(uname -m)" != x86_64 ] || FLAGS="$FLAGS -msse4.2 -mpclmul"
# One compiler process per file, JOBS at the same time (default: the number of processors).
{
    grep -v '^util/build_version\.cc$' "$crate/rocksdb_lib_sources.txt" |
        while read -r file; do echo "$crate/rocksdb/$file $objects/$(echo "$file" | tr / _).o"; done
    echo "$crate/build_version.cc $objects/build_version.o"
} | xargs -P "${JOBS:-$(nproc)}" -L 1 sh -c '[ -e "$2" ] || { c++ $FLAGS -c "$1" -o "$2.part" && mv "$2.part" "$2"; }' compile
c++ -shared -pthread -o "$library" "$objects"/*.o -lsnappy
echo "rocksdb-release: $library"
