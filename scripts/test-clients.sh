#!/bin/sh
# `make test-clients`: the test suites of LevelDB's clients with Terrace in LevelDB's place, and LevelDB's own
# tests. CLIENTS="levigo leveldb" runs only these two. The repository has no code of these clients: the
# package managers of their languages fetch it into target/clients.
#
# The exit status is 1 if a suite has more failures than tests/clients/expected.txt allows, passes fewer tests
# than it requires, or could not be run.
set -eu
cd "$(dirname "$0")/.."
CLIENTS_WORK=${CARGO_TARGET_DIR:-$PWD/target}/clients
CLIENTS_PREFIX=$CLIENTS_WORK/prefix
export CLIENTS_WORK CLIENTS_PREFIX
expectations=tests/clients/expected.txt
mkdir -p "$CLIENTS_WORK"
make install PREFIX="$CLIENTS_PREFIX" >"$CLIENTS_WORK/install.log" 2>&1 || {
    tail -n 20 "$CLIENTS_WORK/install.log" >&2
    exit 1
}
[ -f "$CLIENTS_PREFIX/lib/terrace/libleveldb.so.1" ] && [ ! -L "$CLIENTS_PREFIX/lib/terrace/libleveldb.so.1" ] || {
    echo "test-clients: no C++ compiler: many clients need LevelDB's C++ interface (Debian: g++)" >&2
    exit 1
}

clients=${CLIENTS:-$(sed -n 's/^\([a-z][^ #]*\) .*/\1/p' "$expectations")}
results=''
status=0
for client in $clients; do
    line=$(grep -E "^$client " "$expectations") || {
        echo "test-clients: no client '$client' in $expectations" >&2
        exit 1
    }
    # shellcheck disable=SC2086 # NAME PASSED FAILED REASON...
    set -- $line
    echo "== $client"
    log=$CLIENTS_WORK/$client.log
    # A pipe has the status of its last command, so the line of `report` shows whether the script has
    # completed.
    sh "tests/clients/$client.sh" 2>&1 | tee "$log"
    result=$(grep -E "^$client: [0-9]+ passed, [0-9]+ failed of [0-9]+$" "$log" | tail -n 1)
    passed=$(echo "$result" | sed -n 's/.*: \([0-9]*\) passed.*/\1/p')
    failed=$(echo "$result" | sed -n 's/.*, \([0-9]*\) failed.*/\1/p')
    if [ -z "$result" ]; then
        result="$client: could not be run (its output is above)"
        status=1
    elif [ "$passed" -lt "$2" ] || [ "$failed" -gt "$3" ]; then
        result="$result, expected: $2 and $3"
        status=1
    fi
    results="$results$result
"
done
echo
printf '%s' "$results"
exit $status
