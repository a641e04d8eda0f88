#!/bin/sh
# Checks the prerequisites of a command of the Makefile: `deps.sh demo` for `make demo`, `deps.sh test` for
# `make test`. Missing packages are installed with apt-get if possible (as root), and named otherwise. A tool
# of the distribution that is too old is replaced (Go) or named (Rust, Python). Does nothing if everything is
# there.
set -eu
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-$PWD/target}
purpose=${1:-}

# cgo's noescape and nocallback need Go 1.24. `go_fetched` is the toolchain that is downloaded if there is
# none.
go_wanted=1.24
go_fetched=1.24.6
# As in requires-python of bindings/python.
python_wanted=3.9

fail() {
    echo "deps: $*" >&2
    exit 1
}

missing=''
need() { # need PACKAGE COMMAND...: if COMMAND fails, PACKAGE is missing
    package=$1
    shift
    "$@" >/dev/null 2>&1 || missing="$missing $package"
}

# Installs the packages that `need` found missing.
install_missing() {
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
        echo "deps: installing$missing"
        export DEBIAN_FRONTEND=noninteractive
        apt-get update -q
        # shellcheck disable=SC2086 # a list of words
        apt-get install -q -y --no-install-recommends $missing
        missing=''
    else
        echo "deps: missing:$missing" >&2
        fail "install these packages (the names are Debian's), or run this as root where there is apt-get"
    fi
}

at_least() { # at_least WANTED FOUND: is version FOUND at least WANTED?
    [ "$(printf '%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]
}

# On Debian, the PATH of an ordinary user lacks the directories of root's programs.
on_path_of_root() { PATH=$PATH:/usr/sbin:/sbin command -v "$1"; }

has_header() { echo "#include <$1>" | cc -E -x c -; }

need_rust() {
    wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
    command -v cargo >/dev/null || fail "no cargo: install Rust $wanted or later (https://rustup.rs)"
    found=$(rustc --version | sed 's/^rustc \([0-9.]*\).*/\1/')
    at_least "$wanted" "$found" ||
        fail "Rust $found is too old: install $wanted or later (rustup update stable, or https://rustup.rs)"
}

# Can this Go build the module with the race detector? Some distributions leave out the runtime of the race
# detector.
go_will_do() { # go_will_do COMMAND
    version=$("$1" env GOVERSION 2>/dev/null | sed -e 's/^go//' -e 's/[^0-9.].*//') || return 1
    [ -n "$version" ] && at_least "$go_wanted" "$version" || return 1
    [ -n "$(find "$("$1" env GOROOT)/src/runtime/race/" -name '*.syso' 2>/dev/null | head -n 1)" ]
}

# An older Go downloads a newer one, in the way of the go command: as the module golang.org/toolchain,
# verified with Go's checksum database. It is put into target/go, where scripts/test.sh finds it.
need_go() {
    ! go_will_do "$target/go/bin/go" || return 0
    ! go_will_do go || return 0
    need golang-go go version
    install_missing
    ! go_will_do go || return 0
    platform=$(go env GOOS)-$(go env GOARCH)
    echo "deps: $(go version) will not do for bindings/go: fetching Go $go_fetched for $platform"
    modules=$(mktemp -d)
    (cd "$modules" && GO111MODULE=on GOFLAGS='-modcacherw' GOTOOLCHAIN=local GOMODCACHE=$modules GOPATH=$modules \
        go mod download "golang.org/toolchain@v0.0.1-go$go_fetched.$platform") ||
        fail "Go $go_fetched could not be fetched: install Go $go_wanted or later, with its race detector (https://go.dev/dl)"
    rm -rf "$target/go"
    mkdir -p "$target"
    mv "$modules/golang.org/toolchain@v0.0.1-go$go_fetched.$platform" "$target/go"
    rm -rf "$modules"
    # Files of a module are unpacked without execute permission.
    chmod -R u+w "$target/go"
    find "$target/go/bin" "$target/go/pkg/tool" -type f -exec chmod a+x {} +
    go_will_do "$target/go/bin/go" || fail "the Go in $target/go does not run: install Go $go_wanted or later (https://go.dev/dl)"
}

need_python() {
    need python3 python3 --version
    need python3-venv python3 -c 'import ensurepip, venv'
    install_missing
    found=$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    at_least "$python_wanted" "$found" ||
        fail "Python $found is too old for bindings/python: install $python_wanted or later"
}

case $purpose in
demo)
    need gcc cc --version
    need libc6-dev has_header stdio.h
    need pkg-config pkg-config --version
    install_missing
    need_rust
    ;;
test)
    need gcc cc --version
    need libc6-dev has_header stdio.h
    need g++ c++ --version
    need make make --version
    need cmake cmake --version
    need binutils nm --version
    need pkg-config pkg-config --version
    need valgrind valgrind --version
    need mount mount --version
    need e2fsprogs on_path_of_root mkfs.ext4
    need xfsprogs on_path_of_root mkfs.xfs
    need libleveldb-dev has_header leveldb/c.h
    [ -n "${ROCKSDB_LIBRARY:-}" ] || need librocksdb-dev has_header rocksdb/c.h
    [ -n "${ROCKSDB11_LIBRARY:-}" ] || need maven mvn --version
    need_python
    need_rust
    need_go
    scripts/rocksdb-11.sh
    ;;
*)
    fail "say what for: deps.sh demo, or deps.sh test"
    ;;
esac
