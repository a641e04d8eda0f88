#!/bin/sh
# What `make test` and `make demo` need from the machine: looks for it, installs it with apt-get where that is possible (as
# root), and otherwise says what is missing. Does nothing where everything is there.
set -eu

missing=''
need() { # need PACKAGE COMMAND...: the package that brings a command
    package=$1
    shift
    "$@" >/dev/null 2>&1 || missing="$missing $package"
}
has_header() { echo "#include <$1>" | cc -E -x c - ; }

need gcc cc --version
need g++ c++ --version
need make make --version
need cmake cmake --version
need binutils nm --version
need pkg-config pkg-config --version
need libleveldb-dev has_header leveldb/c.h
need valgrind valgrind --version
need python3 python3 --version
need python3-venv python3 -c 'import ensurepip, venv'
need golang-go go version

if [ -n "$missing" ]; then
    if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
        echo "deps: installing$missing"
        export DEBIAN_FRONTEND=noninteractive
        apt-get update -q
        # shellcheck disable=SC2086 # a list of words
        apt-get install -q -y --no-install-recommends $missing
    else
        echo "deps: missing:$missing" >&2
        echo "deps: install these packages (the names are Debian's), or run this as root where there is apt-get" >&2
        exit 1
    fi
fi

if ! command -v cargo >/dev/null; then
    echo "deps: no cargo: install Rust 1.88 or later (https://rustup.rs)" >&2
    exit 1
fi

# cgo's noescape and nocallback are of Go 1.24; Debian's may be older.
go=$(go env GOVERSION | sed -e 's/^go//' -e 's/[^0-9.].*//')
if [ "$(printf '%s\n' 1.24 "$go" | sort -V | head -n 1)" != 1.24 ]; then
    echo "deps: Go $go is too old for bindings/go: install Go 1.24 or later (https://go.dev/dl)" >&2
    exit 1
fi
