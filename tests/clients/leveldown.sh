#!/bin/sh
# leveldown, Node's binding, on the suite that abstract-leveldown ships for it. The package leaves its own tests out: those of an
# older version are run by leveldown-5.sh.
. tests/clients/common.sh
. tests/clients/node.sh
fetch_packages leveldown@6.1.1 abstract-leveldown@7.2.0 tape@5
build_binding "$work/node/node_modules/leveldown" leveldown
cp "$here/leveldown.js" "$work/node/run.js"
run_tap "$work/node" run.js
