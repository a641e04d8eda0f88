#!/bin/sh
# Fetches a RocksDB 11 as its authors release it, for the tests of tests/rocksdb: the library in the artifact
# org.rocksdb:rocksdbjni, which has the functions of rocksdb/c.h and needs no Java to run. It is put into
# target/peers/librocksdb-11.so. Does nothing if it is there, or if ROCKSDB11_LIBRARY names one.
set -eu
cd "$(dirname "$0")/.."
peers=${CARGO_TARGET_DIR:-$PWD/target}/peers
version=11.1.2
library=$peers/librocksdb-11.so

fail() {
    echo "rocksdb-11: $*; or name a RocksDB 11 with rocksdb/c.h in ROCKSDB11_LIBRARY" >&2
    exit 1
}

[ -z "${ROCKSDB11_LIBRARY:-}" ] || exit 0
case $(uname -m) in
x86_64)
    name=librocksdbjni-linux64.so
    sum=677f59bfa16175a2d0a165b2e9dbee6e64d242ac3747b25e10c94033d5f37e06
    ;;
*) fail "no library is known for $(uname -m)" ;;
esac
is_right() { echo "$sum  $1" | sha256sum --check --status 2>/dev/null; }
! is_right "$library" || exit 0

command -v mvn >/dev/null || fail "no mvn: install the package maven"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mvn -q -B org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy \
    -Dartifact=org.rocksdb:rocksdbjni:$version -DoutputDirectory="$scratch" >"$scratch/log" 2>&1 ||
    { cat "$scratch/log" >&2; fail "Maven cannot fetch org.rocksdb:rocksdbjni:$version"; }
python3 -m zipfile -e "$scratch/rocksdbjni-$version.jar" "$scratch/jar"
is_right "$scratch/jar/$name" || fail "$name of $version is not the one that is expected"
mkdir -p "$peers"
mv "$scratch/jar/$name" "$library"
echo "rocksdb-11: $library"
