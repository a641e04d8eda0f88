#!/bin/sh
# leveldown 5.6.0, whose source in Debian has all of its own tests.
. tests/clients/common.sh
. tests/clients/node.sh
source=$(sh scripts/debian-source.sh node-leveldown "$work/source")
fetch_packages leveldown@5.6.0 abstract-leveldown@6.2.3 tape@4 tempy@0.3.0 async-each@1 delayed@2 du@1 glob@7 level-concat-iterator@2 \
    mkfiletree@2 readfiletree@1 rimraf@3
package=$work/node/node_modules/leveldown
[ "$(node -p "require('$source/package.json').version")" = 5.6.0 ] || fail "$source is not leveldown 5.6.0"
rm -rf "$package/test"
cp -r "$source/test" "$package/test"
build_binding "$package" leveldown
# shellcheck disable=SC2046 # a list of files
run_tap "$package" $(cd "$package" && ls test/*-test.js)
