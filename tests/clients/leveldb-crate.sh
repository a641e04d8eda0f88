#!/bin/sh
# The `leveldb` crate, a Rust binding of LevelDB's C interface, with its own tests. The build script of its
# leveldb-sys builds LevelDB; a cargo configuration overrides it and names Terrace.
. tests/clients/common.sh
need cargo cargo
version=0.8.6
# A package that depends on the crate lets cargo fetch it.
rm -rf "$work/fetch" "$work/crate"
mkdir -p "$work/fetch/src"
: >"$work/fetch/src/lib.rs"
printf '[package]\nname = "fetch"\nversion = "0.0.0"\nedition = "2021"\n[dependencies]\nleveldb = { version = "=%s", default-features = false }\n[workspace]\n' \
    $version >"$work/fetch/Cargo.toml"
(cd "$work/fetch" && cargo vendor -q "$work/vendor" >/dev/null)
cp -r "$work/vendor/leveldb" "$work/crate"
rm -f "$work/crate/.cargo-checksum.json"
echo '[workspace]' >>"$work/crate/Cargo.toml"
host=$(rustc -vV | sed -n 's/^host: //p')
mkdir -p "$work/crate/.cargo"
printf '[target.%s.leveldb]\nrustc-link-lib = ["leveldb"]\nrustc-link-search = ["%s"]\n' "$host" "$drop_in" \
    >"$work/crate/.cargo/config.toml"
(cd "$work/crate" && CARGO_TARGET_DIR=$work/target LD_LIBRARY_PATH=$drop_in RUSTFLAGS=-Awarnings timeout 900 \
    cargo test --no-default-features --no-fail-fast --test tests >"$work/log" 2>&1) || true
binary=$(sed -n 's/.*Running tests\/tests.rs (\(.*\))$/\1/p' "$work/log")
[ -n "$binary" ] || { tail -n 30 "$work/log" >&2; fail "the tests were not built"; }
served "$binary"
grep -E '^test .* FAILED' "$work/log" || true
good=$(grep -cE '^test .* \.\.\. ok$' "$work/log" || true)
all=$(sed -n 's/^running \([0-9]*\) tests*$/\1/p' "$work/log")
report "$good" $((all - good))
