#!/bin/sh
# tm-db, the storage of Tendermint, with its own tests of the LevelDB backend (which uses levigo) and of its
# other backends. Its successor cometbft-db is not used, because the module proxy does not serve it
# everywhere.
. tests/clients/common.sh
. tests/clients/go.sh
test_module github.com/tendermint/tm-db v0.6.7 cleveldb
