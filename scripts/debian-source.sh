#!/bin/sh
# debian-source.sh PACKAGE DIRECTORY: fetches the source of a Debian package as its authors released it,
# without Debian's changes, and unpacks it. Prints the directory of the source. A source that is there already
# is used unchanged.
set -eu
package=$1
directory=$2

unpacked() { find "$directory" -mindepth 1 -maxdepth 1 -type d ! -name lists 2>/dev/null | head -n 1; }

if [ -z "$(unpacked)" ]; then
    command -v apt-get >/dev/null || {
        echo "debian-source: no apt-get here to fetch the source of $package with" >&2
        exit 1
    }
    rm -rf "$directory"
    mkdir -p "$directory/lists/partial"
    options=''
    if [ -z "$(apt-get indextargets 'Created-By: Sources' 2>/dev/null)" ]; then
        # apt's sources have no deb-src line. Use a separate source list, for the mirror of the binary
        # packages, and separate package lists, so that those of the machine do not change.
        suite=$(. /etc/os-release && echo "${VERSION_CODENAME:-stable}")
        keyring=/usr/share/keyrings/debian-archive-keyring.gpg
        components=main
        if [ ! -f "$keyring" ]; then
            keyring=/usr/share/keyrings/ubuntu-archive-keyring.gpg
            components='main universe'
        fi
        mirror=$(apt-get indextargets --format '$(RELEASE) $(REPO_URI)' 'Created-By: Packages' |
            sed -n "s/^$suite //p" | head -n 1)
        echo "deb-src [signed-by=$keyring] $mirror $suite $components" >"$directory/apt.list"
        options="-o Dir::Etc::sourcelist=$directory/apt.list -o Dir::Etc::sourceparts=/dev/null
            -o Dir::State::lists=$directory/lists"
        # shellcheck disable=SC2086 # a list of words
        timeout 120 apt-get $options update -q >&2
    fi
    # Some packages have several archives, and a mirror may lack some of them. Only the main archive is
    # needed.
    # shellcheck disable=SC2086 # a list of words
    (cd "$directory" && { timeout 120 apt-get $options source -q --download-only --tar-only "$package" >&2 || true; } &&
        tar xf "$(ls "$package"_*.orig.tar.* | grep -v '\.asc$')")
fi
source=$(unpacked)
[ -n "$source" ] || {
    echo "debian-source: no source of $package in $directory" >&2
    exit 1
}
echo "$source"
