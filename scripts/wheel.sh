#!/bin/sh
# `make wheel`: builds a wheel of the Python package that contains libterrace.so, in target/wheel or in the
# directory given. TERRACE_LIB names the library if it is not the release build.
set -eu
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-$PWD/target}
out=${1:-$target/wheel}
library=${TERRACE_LIB:-$target/release/libterrace.so}
environment=$(sh scripts/python-env.sh)/env

# Work on a copy: the builder writes beside its input. The library is stripped: its debug symbols are ten
# times its size.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -R bindings/python "$work/python"
cp LICENSE "$work/python/LICENSE"
strip --strip-unneeded -o "$work/libterrace.so" "$library"

TERRACE_WHEEL_LIBRARY=$work/libterrace.so "$environment/bin/pip" --disable-pip-version-check wheel -q \
    --no-build-isolation --no-deps --no-index -w "$out" "$work/python"
ls "$out"/terrace-*.whl
