#!/bin/sh
# Fetches the source of a Debian package as its authors released it, without Debian's own changes, and unpacks it:
# debian-source.sh PACKAGE DIRECTORY. Prints the directory of the source. What is there already is taken as it is.
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
        # No deb-src line in apt's sources: one of our own, for where the packages come from, in lists of our own, so that the
        # machine's stay as they are.
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
    # Some packages have several archives, of which a mirror may lack those that are not used here: what counts is the main one.
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
