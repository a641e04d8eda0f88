#!/bin/sh
# Runs the models under the model checker loom: threads that use the skiplist, a published value, the queue of
# writers and a thread pool, in every interleaving with at most MODELS_PREEMPTIONS preemptions (default: 2).
# The models are the modules `models` of the library. They exist only under `--cfg loom`, and are built in a
# target directory of their own.
set -eu
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-$PWD/target}
# Compiling takes longer than running, so nothing is optimised.
LOOM_MAX_PREEMPTIONS=${MODELS_PREEMPTIONS:-2} CARGO_TARGET_DIR=$target/models RUSTFLAGS="--cfg loom" \
    cargo test --lib --config 'profile.test.debug=false' --config 'profile.test.opt-level=0' models "$@"
