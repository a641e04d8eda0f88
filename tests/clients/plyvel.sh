#!/bin/sh
# plyvel, a Python binding of LevelDB's C++ interface, with its own tests: Debian's build, and a build from
# its source.
. tests/clients/common.sh
need python3 python3
env -u TMPDIR PLYVEL_PREFIX="$prefix" sh scripts/plyvel.sh >"$work/log" 2>&1 || true
grep -E '^FAILED|^ERROR|^plyvel' "$work/log" || true
count() { grep -oE "[0-9]+ $1" "$work/log" | awk '{ sum += $1 } END { print sum + 0 }'; }
good=$(count passed)
[ "$(grep -cE '[0-9]+ passed' "$work/log")" -eq 2 ] || { tail -n 20 "$work/log" >&2; fail "the tests of one of the two builds did not end"; }
report "$good" $(($(count failed) + $(count error)))
