# Shared by the scripts of this folder, which read this file first. scripts/test-clients.sh runs them, and
# sets CLIENTS_PREFIX (the prefix of the installed Terrace) and CLIENTS_WORK (a directory for downloads and
# builds).
#
# A script runs the tests of one client with Terrace in the place of LevelDB, and ends with `report`. A
# missing prerequisite is a failure.
set -eu
prefix=${CLIENTS_PREFIX:?run scripts/test-clients.sh}
client=$(basename "$0" .sh)
here=$PWD/tests/clients
work=${CLIENTS_WORK:?run scripts/test-clients.sh}/$client
drop_in=$prefix/lib/terrace
mkdir -p "$work"

# The databases of the tests are in memory: many tests sync each write, which is of no interest here and takes
# minutes on a disk.
if [ -d /dev/shm ] && [ -w /dev/shm ]; then memory=/dev/shm; else memory=${TMPDIR:-/tmp}; fi
TMPDIR=$(mktemp -d "$memory/terrace-$client-XXXXXX")
export TMPDIR
trap 'chmod -R u+w "$TMPDIR"; rm -rf "$TMPDIR"' EXIT

fail() {
    echo "$client: $*" >&2
    exit 1
}

# need COMMAND PACKAGE: fails and names the Debian package if the command is missing.
need() {
    command -v "$1" >/dev/null || fail "no $1 on this machine: install it (Debian: $2)"
}

# served OBJECT: checks that the object needs the library under the name that only the drop-in directory has.
served() {
    LD_LIBRARY_PATH=$drop_in ldd "$1" | grep -q "libleveldb.so.1 => $drop_in/" || fail "$1 is not served by $drop_in"
}

# report PASSED FAILED: prints the line that scripts/test-clients.sh reads.
report() {
    echo "$client: $1 passed, $2 failed of $(($1 + $2))"
}
