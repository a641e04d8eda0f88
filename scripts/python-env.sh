#!/bin/sh
# Creates a virtual environment with the tools that build and test the Python package, and fetches plyvel's
# tests, once. Prints the directory that has both, as `env` and `plyvel`: `target/python`. Needs python3 with
# venv, and the network the first time.
set -eu
cd "$(dirname "$0")/.."
directory=${CARGO_TARGET_DIR:-$PWD/target}/python
requirements=bindings/python/requirements-test.txt
plyvel=1.5.1

if ! cmp -s "$requirements" "$directory/env/installed"; then
    rm -rf "$directory/env"
    mkdir -p "$directory"
    ${PYTHON:-python3} -m venv "$directory/env" || {
        echo "python-env: python3 cannot make environments: install python3-venv" >&2
        exit 1
    }
    "$directory/env/bin/pip" --disable-pip-version-check install -q -r "$requirements" >&2 || {
        echo "python-env: pip cannot install what $requirements names; it needs the network once" >&2
        exit 1
    }
    cp "$requirements" "$directory/env/installed"
fi
if [ ! -f "$directory/plyvel/plyvel-$plyvel/test/test_plyvel.py" ]; then
    rm -rf "$directory/plyvel"
    mkdir -p "$directory/plyvel"
    "$directory/env/bin/pip" --disable-pip-version-check download -q --no-binary :all: --no-deps \
        -d "$directory/plyvel" "plyvel==$plyvel" >&2 || {
        echo "python-env: pip cannot fetch the source of plyvel $plyvel; it needs the network once" >&2
        exit 1
    }
    tar -xzf "$directory/plyvel/plyvel-$plyvel.tar.gz" -C "$directory/plyvel"
fi
echo "$directory"
