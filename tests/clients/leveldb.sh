#!/bin/sh
# LevelDB's own test programs, compiled against Terrace's headers and linked with the object in LevelDB's
# place. Their source is Debian's source package of LevelDB (or LEVELDB_SOURCE); googletest is Debian's
# package.
. tests/clients/common.sh
need c++ g++
need objcopy binutils
missing=''
for header in gtest/gtest.h:libgtest-dev gmock/gmock.h:libgmock-dev; do
    echo "#include <${header%:*}>" | c++ -std=c++17 -E -x c++ - >/dev/null 2>&1 || missing="$missing ${header#*:}"
done
if [ -n "$missing" ]; then
    [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null || fail "install$missing (the names are Debian's), or run this as root"
    # shellcheck disable=SC2086 # a list of words
    DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing
fi
source=${LEVELDB_SOURCE:-$(sh scripts/debian-source.sh leveldb "$work/source")}
[ -f "$source/db/recovery_test.cc" ] || fail "no tests of LevelDB in $source"

# The headers `leveldb/*.h` are Terrace's; headers that are not part of the interface are LevelDB's.
flags="-std=c++17 -O1 -g1 -pthread -w -DLEVELDB_SHARED_LIBRARY -DLEVELDB_PLATFORM_POSIX=1 -DLEVELDB_IS_BIG_ENDIAN=0 -DHAVE_SNAPPY=1
    -I$prefix/include/terrace -I$source"
built=$work/built
rm -rf "$built"
mkdir -p "$built/internals"

# LevelDB's internal parts that the tests use beside the interface. Symbols of the interface that they also
# define are made local, so that a test gets them from Terrace.
nm -D --defined-only "$drop_in/libleveldb.so.1" | awk '$2 == "T" { sub(/@.*/, "", $3); print $3 }' >"$built/interface"
for part in db/dbformat db/filename db/log_reader db/log_writer db/memtable db/write_batch util/arena util/coding util/crc32c util/env \
    util/hash util/logging util/testutil; do
    object=$built/internals/$(basename $part).o
    # shellcheck disable=SC2086 # a list of flags
    c++ $flags -c -o "$object" "$source/$part.cc"
    objcopy --localize-symbols="$built/interface" "$object"
done
# shellcheck disable=SC2086 # a list of flags
c++ $flags -c -o "$built/internals/db_impl.o" "$here/leveldb_db_impl.cc"
ar rc "$built/internals.a" "$built"/internals/*.o

passed=0
failed=0
for test in issues/issue178 issues/issue200 issues/issue320 util/env util/cache util/bloom util/status db/write_batch \
    helpers/memenv/memenv db/fault_injection db/recovery db/corruption; do
    name=$(basename $test)
    # shellcheck disable=SC2086 # a list of flags
    c++ $flags -o "$built/$name" "$source/${test}_test.cc" "-L$drop_in" -lleveldb "$built/internals.a" -lgtest -lgtest_main -lgmock
    served "$built/$name"
    mkdir -p "$TMPDIR/$name"
    TEST_TMPDIR=$TMPDIR/$name LD_LIBRARY_PATH=$drop_in timeout 600 "$built/$name" --gtest_color=no >"$built/$name.log" 2>&1 || true
    all=$(sed -n 's/^\[==========\] Running \([0-9]*\) test.*/\1/p' "$built/$name.log")
    good=$(grep -c '^\[       OK' "$built/$name.log" || true)
    echo "  $name: $good of ${all:-?}"
    # Tests that a program did not run because it ended early count as failed.
    passed=$((passed + good))
    failed=$((failed + ${all:-1} - good))
    grep '^\[  FAILED  \].*(' "$built/$name.log" || true
done
report $passed $failed
