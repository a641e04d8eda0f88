#!/bin/sh
# Builds LevelDB as its authors release it (-O2 -DNDEBUG; Debian's package has assertions on), as
# target/peers/libleveldb-release.so, for the benchmark. The source comes from apt-get, or from the source
# tree LEVELDB_SOURCE.
set -eu
cd "$(dirname "$0")/.."
peers=${CARGO_TARGET_DIR:-$PWD/target}/peers
library=$peers/libleveldb-release.so
mkdir -p "$peers"

if ! echo '#include <snappy.h>' | c++ -E -x c++ - >/dev/null 2>&1; then
    echo "leveldb-release: no snappy.h: install libsnappy-dev (without compression the comparison would be worth nothing)" >&2
    exit 1
fi

source=${LEVELDB_SOURCE:-}
if [ -z "$source" ]; then
    command -v apt-get >/dev/null || {
        echo "leveldb-release: no apt-get here to fetch LevelDB's source with; set LEVELDB_SOURCE to a source tree of LevelDB 1.23" >&2
        exit 1
    }
    source=$(sh scripts/debian-source.sh leveldb "$peers/source")
fi
[ -f "$source/db/db_impl.cc" ] || {
    echo "leveldb-release: no LevelDB source in '$source'" >&2
    exit 1
}

# The sources of the library, without tests, benchmarks and the code for Windows.
files=$(find "$source/db" "$source/table" "$source/util" -name '*.cc' ! -name '*_test.cc' ! -name '*_bench.cc' \
    ! -name 'leveldbutil.cc' ! -name '*_windows.cc' ! -name 'testutil.cc' ! -name 'testharness.cc')
# shellcheck disable=SC2086 # a list of words
c++ -std=c++17 -O2 -DNDEBUG -fPIC -shared -fno-exceptions -fno-rtti -pthread \
    -DLEVELDB_PLATFORM_POSIX=1 -DLEVELDB_IS_BIG_ENDIAN=0 -DHAVE_FDATASYNC=1 -DHAVE_FULLFSYNC=0 -DHAVE_O_CLOEXEC=1 \
    -DHAVE_CRC32C=0 -DHAVE_SNAPPY=1 -DLEVELDB_SHARED_LIBRARY -DLEVELDB_COMPILE_LIBRARY \
    -I"$source" -I"$source/include" -o "$library" $files -lsnappy
echo "leveldb-release: $library"
