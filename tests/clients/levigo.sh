#!/bin/sh
# levigo, a Go binding of LevelDB's C interface, with its own tests.
. tests/clients/common.sh
. tests/clients/go.sh
test_module github.com/jmhodges/levigo v1.0.0 ''
