#!/bin/sh
# `make wheel`: a wheel of the Python package that carries libterrace.so, in target/wheel (or the directory given).
# TERRACE_LIB names another library than the release build.
set -eu
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-$PWD/target}
out=${1:-$target/wheel}
library=${TERRACE_LIB:-$target/release/libterrace.so}
environment=$(sh scripts/python-env.sh)/env

# A copy, because the builder writes beside what it reads, and the symbols of the debugger are ten times the library.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -R bindings/python "$work/python"
cp LICENSE "$work/python/LICENSE"
strip --strip-unneeded -o "$work/libterrace.so" "$library"

TERRACE_WHEEL_LIBRARY=$work/libterrace.so "$environment/bin/pip" --disable-pip-version-check wheel -q \
    --no-build-isolation --no-deps --no-index -w "$out" "$work/python"
ls "$out"/terrace-*.whl
