#!/bin/sh
# `make bench-families`: prints what 1, 10 and 1,000 column families cost, and how large the WALs get beside an
# idle family, with and without a limit. Default options; in a directory of target/, or in BENCH_DIR.
#
# WAL_MIB is the volume that is written beside the idle family (default: 1024).
set -eu
cd "$(dirname "$0")/.."
root=$PWD
target=${CARGO_TARGET_DIR:-$PWD/target}
cargo build --release --lib
work=${BENCH_DIR:-$target}/bench-families
rm -rf "$work"
mkdir -p "$work"
cc -std=gnu11 -O2 -Wall -Wextra -Werror -I"$root/include" -o "$work/families" tests/bench/families.c \
    "$target/release/libterrace.so" -Wl,-rpath,"$target/release"
soname=$(readelf -dW "$target/release/libterrace.so" | sed -n 's/.*(SONAME).*\[\(.*\)\].*/\1/p')
[ -z "$soname" ] || ln -sf "$target/release/libterrace.so" "$work/$soname"
LD_LIBRARY_PATH=$work${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export LD_LIBRARY_PATH

echo "| families | creation of one, ms | opening, ms | MiB, empty | MiB, 200,000 keys | threads | descriptors | descriptors, reopened | put, us | get, us | get, reopened, us |"
echo "|---|---|---|---|---|---|---|---|---|---|---|"
for count in 1 10 1000; do
    "$work/families" $count "$work/$count"
    rm -rf "${work:?}/$count"
done
echo
echo "| written beside an idle family | max_total_wal_size | WALs at most, length | WALs at most, on disk | time |"
echo "|---|---|---|---|---|"
for limit in 0 4194304 16777216; do
    "$work/families" wal "${WAL_MIB:-1024}" $limit "$work/wal"
    rm -rf "$work/wal"
done
rm -rf "$work"
