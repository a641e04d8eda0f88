#!/bin/sh
# `make sanitize`: the unit tests and the C programs of tests/c under the address sanitizer; the unit tests
# and threads_test.c under the thread sanitizer; the models of scripts/models.sh with one more preemption; the
# unit tests of the memtable, its arena and the compression under Miri. Arguments select parts:
# `scripts/sanitize.sh address`, `thread`, `models`, `miri`. tests/README.md says what each part can and
# cannot see.
set -eu
cd "$(dirname "$0")/.."
root=$PWD
target=${CARGO_TARGET_DIR:-$root/target}
host=$(rustc -vV | sed -n 's/^host: //p')

# Sanitizers are unstable options of the compiler. The toolchain is SANITIZE_TOOLCHAIN if set, else the
# nightly one if installed, else the default one, which RUSTC_BOOTSTRAP makes accept unstable options.
toolchain=${SANITIZE_TOOLCHAIN:-}
if [ -z "$toolchain" ] && rustc +nightly --version >/dev/null 2>&1; then
    toolchain=nightly
fi
export RUSTC_BOOTSTRAP=1
sysroot=$(rustc ${toolchain:+"+$toolchain"} --print sysroot)

build_cargo() { cargo ${toolchain:+"+$toolchain"} "$@"; }

# runtime NAME: the sanitizer's library of rustc, which a C program linked with Rust code needs.
runtime() { ls "$sysroot/lib/rustlib/$host/lib/"librustc-*_rt."$1".a; }

# c_programs NAME FLAG PROGRAM...: compiles the programs with FLAG, links them with the static library, and
# runs them.
c_programs() {
    name=$1 flag=$2
    shift 2
    work=$target/sanitize/$name
    library=$target/sanitize/$name/$host/debug/libterrace.a
    for program in "$@"; do
        echo "sanitize: $name: $program"
        cc -std=gnu11 -g -O1 -pthread -Iinclude "$flag" -c -o "$work/$program.o" "tests/c/$program.c"
        cc -o "$work/$program" "$work/$program.o" "$library" -Wl,--whole-archive "$(runtime "$name")" \
            -Wl,--no-whole-archive -Wl,--export-dynamic -lpthread -ldl -lm -lrt
        scratch=$(mktemp -d)
        (cd "$scratch" && TEST_TMPDIR=$scratch "$work/$program")
        rm -rf "$scratch"
    done
}

address() {
    export CARGO_TARGET_DIR="$target/sanitize/asan" RUSTFLAGS="-Zsanitizer=address -Cdebuginfo=1"
    # Some tests request more memory than there is, and expect an error.
    export ASAN_OPTIONS="allocator_may_return_null=1:detect_stack_use_after_return=1"
    export LSAN_OPTIONS="suppressions=$root/tests/sanitizers/lsan.supp:print_suppressions=0"
    build_cargo test --target "$host" --config 'profile.test.opt-level=1' --lib
    build_cargo build --target "$host" --config 'profile.dev.opt-level=1' --lib
    # Programs that limit their address space, or forbid system calls, cannot run: the sanitizer takes terabytes
    # of address space, and makes such calls.
    programs=$(grep -L -e RLIMIT_AS -e system_filter.h tests/c/*_test.c | sed 's|.*/||; s|\.c$||' | sort)
    # A child of fork has lost all memory that only its parent's threads referred to. So leaks are not checked
    # there.
    # shellcheck disable=SC2086 # a list of words
    c_programs asan -fsanitize=address $(echo "$programs" | grep -v fork_test)
    ASAN_OPTIONS=$ASAN_OPTIONS:detect_leaks=0
    c_programs asan -fsanitize=address fork_test
}

thread() {
    if [ ! -d "$sysroot/lib/rustlib/src/rust/library" ]; then
        echo "sanitize: the thread sanitizer must see the standard library too, which needs its source:" >&2
        echo "sanitize: rustup component add rust-src --toolchain nightly" >&2
        exit 1
    fi
    export CARGO_TARGET_DIR="$target/sanitize/tsan" RUSTFLAGS="-Zsanitizer=thread -Cdebuginfo=1"
    export TSAN_OPTIONS="allocator_may_return_null=1:halt_on_error=0:exitcode=66"
    build_cargo test -Zbuild-std --target "$host" --config 'profile.test.opt-level=1' --lib
    build_cargo build -Zbuild-std --target "$host" --config 'profile.dev.opt-level=1' --lib
    c_programs tsan -fsanitize=thread threads_test
}

models() {
    MODELS_PREEMPTIONS=${MODELS_PREEMPTIONS:-3} sh scripts/models.sh
}

# Finds undefined behaviour that no run of a compiled program shows: pointers used beyond their provenance,
# and data races that the memory order of this machine hides. Only for code that uses memory alone: Miri
# supports few system calls.
miri() {
    if ! cargo +nightly miri --version >/dev/null 2>&1; then
        echo "sanitize: Miri is needed: rustup toolchain install nightly --component miri --component rust-src" >&2
        exit 1
    fi
    export CARGO_TARGET_DIR="$target/sanitize/miri"
    # Without zstd, which is C code.
    cargo +nightly miri test --no-default-features --lib -- util::arena memtable:: compression::
}

[ $# -gt 0 ] || set -- address thread models miri
for part in "$@"; do
    case $part in
    # Each part runs in a subshell, with its own environment.
    address | thread | models | miri) ("$part") ;;
    *)
        echo "sanitize: no part $part: address, thread, models, miri" >&2
        exit 2
        ;;
    esac
done
echo "sanitize: clean"
