#!/bin/sh
# `make demo`: installs Terrace under target/demo-prefix, builds examples/c/fileindex.c with the flags of
# pkg-config, as a user would, and indexes a directory tree with it: DEMO_DIR, by default /usr.
set -eu
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-$PWD/target}
sh scripts/deps.sh demo

tree=${DEMO_DIR:-/usr}
prefix=$target/demo-prefix
work=$target/demo
rm -rf "$work" "$prefix"
mkdir -p "$work"

say() { printf '\n== %s\n' "$*"; }
run() {
    printf '$ %s\n' "$*"
    "$@"
}

say "Building and installing under $prefix"
make --no-print-directory install PREFIX="$prefix" >"$work/install.log" 2>&1 || {
    cat "$work/install.log" >&2
    exit 1
}
PKG_CONFIG_PATH=$prefix/lib/pkgconfig
LD_LIBRARY_PATH=$prefix/lib
export PKG_CONFIG_PATH LD_LIBRARY_PATH
# shellcheck disable=SC2046 # words are what pkg-config answers
run cc -O2 -Wall -Wextra -o "$work/fileindex" examples/c/fileindex.c $(pkg-config --cflags --libs terrace)

cd "$work"
say "Indexing $tree: the first run takes everything in"
run ./fileindex index files.db "$tree"
say "The second run writes only what has changed since"
run ./fileindex index files.db "$tree"
below=$tree
[ ! -d "$tree/share" ] || below=$tree/share/
say "The biggest files under $below"
run ./fileindex biggest files.db "$below" 5
say "The first and the last paths, by iterating forward and backward"
run ./fileindex list files.db "$tree" 3
run ./fileindex list -r files.db "$tree" 3
say "The store about itself"
run ./fileindex stats files.db
du -sh files.db | sed 's/\t.*/ on disk/'
