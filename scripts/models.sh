#!/bin/sh
# The models: what threads do to the skip list, a published value, the queue of writers and a pool, under every interleaving with at
# most MODELS_PREEMPTIONS preemptions (2 unless said), by the model checker loom. They are the modules `models` of the library,
# and exist only under `--cfg loom`, in a target directory of their own.
set -eu
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-$PWD/target}
# Compiling takes longer than running, so nothing is optimised.
LOOM_MAX_PREEMPTIONS=${MODELS_PREEMPTIONS:-2} CARGO_TARGET_DIR=$target/models RUSTFLAGS="--cfg loom" \
    cargo test --lib --config 'profile.test.debug=false' --config 'profile.test.opt-level=0' models "$@"
