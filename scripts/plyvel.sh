#!/bin/sh
# Runs the test suite of plyvel, a Python binding of LevelDB, twice on Terrace. First with Debian's build of
# plyvel, which is made for LevelDB's C++ library: LD_LIBRARY_PATH alone makes it use the object in the
# drop-in directory. Then with plyvel built from its unchanged source with Terrace's headers. Needs root for
# apt-get, or python3-plyvel, python3-pytest, python3-dev and g++. Fetches plyvel's source with pip.
set -eu
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-$PWD/target}
prefix=${PLYVEL_PREFIX:-$target/plyvel-prefix}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if ! /usr/bin/python3 -c 'import plyvel, pytest' 2>/dev/null; then
    if [ "$(id -u)" -ne 0 ]; then
        echo "plyvel: install python3-plyvel and python3-pytest, or run this as root" >&2
        exit 1
    fi
    DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends python3-plyvel python3-pytest
fi
make install PREFIX="$prefix" >/dev/null

# The tests of the version that Debian has.
version=$(/usr/bin/python3 -c 'import plyvel; print(plyvel.__version__)')
python3 -m pip download -q --no-binary :all: --no-deps -d "$work" "plyvel==$version"
tar -C "$work" -xf "$work/plyvel-$version.tar.gz"
cp -r "$work/plyvel-$version/test" "$work/test"

# One test opens a database without write permission, which root always has. So the tests run as another user
# if possible.
chmod -R a+rX "$work"
as_user() {
    if [ "$(id -u)" -eq 0 ] && command -v setpriv >/dev/null; then
        setpriv --reuid=65534 --regid=65534 --clear-groups env HOME="$work" TMPDIR=/tmp "$@"
    else
        "$@"
    fi
}

status=0
echo "plyvel $version as Debian built it, on Terrace:"
(cd "$work/test" && as_user env LD_LIBRARY_PATH="$prefix/lib/terrace" /usr/bin/python3 -m pytest -q -p no:cacheprovider .) || status=1

echo "plyvel $version from source, with Terrace's headers:"
flags="-DLEVELDB_SHARED_LIBRARY -I$prefix/include/terrace"
# Prefer the system's Python if it has headers: another one on the PATH may not find its own headers.
if /usr/bin/python3 -c 'import sysconfig, os, sys; sys.exit(not os.path.exists(sysconfig.get_paths()["include"] + "/Python.h"))'; then
    python=/usr/bin/python3
else
    python=$(command -v python3)
fi
include=$("$python" -c 'import sysconfig; print(sysconfig.get_paths()["include"])')
suffix=$("$python" -c 'import sysconfig; print(sysconfig.get_config_var("EXT_SUFFIX"))')
mkdir "$work/built"
cp -r "$work/plyvel-$version/plyvel" "$work/built/plyvel"
# shellcheck disable=SC2086 # a list of flags
${CXX:-c++} -std=c++11 -O1 -fPIC -shared -w $flags -I"$include" -o "$work/built/plyvel/_plyvel$suffix" \
    "$work/plyvel-$version/plyvel/_plyvel.cpp" "$work/plyvel-$version/plyvel/comparator.cpp" -L"$prefix/lib/terrace" -lleveldb
chmod -R a+rX "$work"
"$python" -c 'import pytest' 2>/dev/null || "$python" -m pip install -q --target "$work/built" pytest
chmod -R a+rX "$work"
(cd "$work/test" && as_user env PYTHONPATH="$work/built" PYTHONDONTWRITEBYTECODE=1 LD_LIBRARY_PATH="$prefix/lib/terrace" \
    "$python" -m pytest -q -p no:cacheprovider .) || status=1
exit $status
