#!/bin/sh
# classic-level, Node's newer binding, with the suite that abstract-level ships for it. The package does not
# contain its own tests.
. tests/clients/common.sh
. tests/clients/node.sh
fetch_packages classic-level@3.0.0 abstract-level@3 tape@5
package=$work/node/node_modules/classic-level
# The only call that is not part of LevelDB's interface.
sed -i 's/db_->Get(options, key, &value)/GetIntoSink(db_, options, key, \&value)/' "$package/binding.cc"
grep -q 'GetIntoSink' "$package/binding.cc" || fail "binding.cc of classic-level is another than is known here"
sink=$(find "$package/deps" -name value_sink.h)
build_binding "$package" classic_level -include string -include "$sink" -include "$here/classic-level_get.h"
cp "$here/classic-level.js" "$work/node/run.js"
run_tap "$work/node" run.js
