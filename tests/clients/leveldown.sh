#!/bin/sh
# leveldown, a Node binding, with the suite that abstract-leveldown ships for it. The package does not contain
# its own tests; leveldown-5.sh runs those of an older version.
. tests/clients/common.sh
. tests/clients/node.sh
fetch_packages leveldown@6.1.1 abstract-leveldown@7.2.0 tape@5
build_binding "$work/node/node_modules/leveldown" leveldown
cp "$here/leveldown.js" "$work/node/run.js"
run_tap "$work/node" run.js
