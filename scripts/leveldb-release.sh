#!/bin/sh
# Builds LevelDB as its authors release it (-O2 -DNDEBUG; Debian's package keeps assertions on) from Debian's sources, as
# target/peers/libleveldb-release.so, for the benchmark. LEVELDB_SOURCE names an unpacked source tree to use instead.
set -eu
cd "$(dirname "$0")/.."
root=$PWD
mkdir -p target/peers

source=${LEVELDB_SOURCE:-}
if [ -z "$source" ]; then
    if ! command -v apt-get >/dev/null || ! apt-get indextargets 'Created-By: Sources' 2>/dev/null | grep -q .; then
        echo "leveldb-release: no source packages here (no deb-src line in apt's sources); set LEVELDB_SOURCE to a source tree" >&2
        exit 1
    fi
    rm -rf target/peers/source
    mkdir target/peers/source
    (cd target/peers/source && apt-get source -q leveldb)
    source=$(find "$root/target/peers/source" -mindepth 1 -maxdepth 1 -type d | head -n 1)
fi

# The library's own sources: no tests, no benchmarks, no Windows.
files=$(find "$source/db" "$source/table" "$source/util" -name '*.cc' \
    ! -name '*_test.cc' ! -name '*_bench.cc' ! -name 'leveldbutil.cc' ! -name '*_windows.cc' ! -name 'testutil.cc' ! -name 'testharness.cc')
has_snappy=0
snappy=''
if echo '#include <snappy.h>' | c++ -E -x c++ - >/dev/null 2>&1; then
    has_snappy=1
    snappy=-lsnappy
else
    echo "leveldb-release: no snappy.h (libsnappy-dev): without compression, the comparison would be worthless" >&2
    exit 1
fi
# shellcheck disable=SC2086 # lists of words
c++ -std=c++17 -O2 -DNDEBUG -fPIC -shared -fno-exceptions -fno-rtti -pthread \
    -DLEVELDB_PLATFORM_POSIX=1 -DLEVELDB_IS_BIG_ENDIAN=0 -DHAVE_FDATASYNC=1 -DHAVE_FULLFSYNC=0 -DHAVE_O_CLOEXEC=1 \
    -DHAVE_CRC32C=0 -DHAVE_SNAPPY=$has_snappy -DLEVELDB_SHARED_LIBRARY -DLEVELDB_COMPILE_LIBRARY \
    -I"$source" -I"$source/include" -o target/peers/libleveldb-release.so $files $snappy
echo "leveldb-release: target/peers/libleveldb-release.so"
