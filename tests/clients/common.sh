# What the scripts of this folder share: they are run by scripts/test-clients.sh, which sets CLIENTS_PREFIX (where Terrace is installed)
# and CLIENTS_WORK (a directory for what is fetched and built), and read this file first.
#
# A script runs one client's tests with Terrace in the place of LevelDB, and ends by `report`. What a machine lacks is a failure.
set -eu
prefix=${CLIENTS_PREFIX:?run scripts/test-clients.sh}
client=$(basename "$0" .sh)
here=$PWD/tests/clients
work=${CLIENTS_WORK:?run scripts/test-clients.sh}/$client
drop_in=$prefix/lib/terrace
mkdir -p "$work"

# Databases of the tests: many of them sync each write, which says nothing here and takes minutes on a disk.
if [ -d /dev/shm ] && [ -w /dev/shm ]; then memory=/dev/shm; else memory=${TMPDIR:-/tmp}; fi
TMPDIR=$(mktemp -d "$memory/terrace-$client-XXXXXX")
export TMPDIR
trap 'chmod -R u+w "$TMPDIR"; rm -rf "$TMPDIR"' EXIT

fail() {
    echo "$client: $*" >&2
    exit 1
}

# need COMMAND PACKAGE: a command, or the Debian package that brings it.
need() {
    command -v "$1" >/dev/null || fail "no $1 on this machine: install it (Debian: $2)"
}

# served OBJECT: it asks for the library under the name that only the drop-in directory has.
served() {
    LD_LIBRARY_PATH=$drop_in ldd "$1" | grep -q "libleveldb.so.1 => $drop_in/" || fail "$1 is not served by $drop_in"
}

# report PASSED FAILED: the line that scripts/test-clients.sh looks for.
report() {
    echo "$client: $1 passed, $2 failed of $(($1 + $2))"
}
