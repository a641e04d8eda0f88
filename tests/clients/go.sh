# Runs the tests of a Go module: read by the scripts of the Go clients.

# test_module MODULE VERSION TAGS: runs the tests of a module and their subtests, with Terrace linked through
# cgo.
test_module() {
    need go golang-go
    need cc gcc
    mkdir -p "$work/download"
    (cd "$work/download" && { [ -f go.mod ] || go mod init download >/dev/null 2>&1; } && go mod download "$1@$2")
    fetched=$(cd "$work/download" && go mod download -json "$1@$2" | sed -n 's/^[[:space:]]*"Dir": "\(.*\)",*$/\1/p')
    [ -d "$fetched" ] || fail "$1@$2 could not be fetched"
    rm -rf "$work/module"
    cp -r "$fetched" "$work/module"
    chmod -R u+w "$work/module"
    CGO_CFLAGS=-I$prefix/include/terrace
    CGO_LDFLAGS=-L$drop_in
    export CGO_CFLAGS CGO_LDFLAGS
    (cd "$work/module" && go test -mod=mod -count=1 -c -tags "$3" -o "$work/tests" .)
    served "$work/tests"
    (cd "$work/module" && LD_LIBRARY_PATH=$drop_in timeout 900 "$work/tests" -test.v >"$work/log" 2>&1) || true
    grep -E '^ *--- FAIL|^panic|^FAIL|SIG' "$work/log" || true
    good=$(grep -cE '^ *--- PASS' "$work/log" || true)
    bad=$(grep -cE '^ *--- FAIL' "$work/log" || true)
    # A test that crashes has no result.
    tail -n 1 "$work/log" | grep -qE '^(PASS|FAIL)$' || bad=$((bad + 1))
    report "$good" "$bad"
}
