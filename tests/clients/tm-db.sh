#!/bin/sh
# tm-db, the storage of Tendermint, with its own tests of the LevelDB backend (by levigo) beside its others. cometbft-db, which grew
# out of it, is not taken because the module proxy does not serve it everywhere.
. tests/clients/common.sh
. tests/clients/go.sh
test_module github.com/tendermint/tm-db v0.6.7 cleveldb
