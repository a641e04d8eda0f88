//! `scripts/deps.sh`, which checks the prerequisites of the two commands of the README, on machines that lack
//! some. Each test has a PATH of its own, with links to the tools that exist and small scripts that replace
//! others. Nothing is installed, because `id` reports an ordinary user.

use crate::support::repository;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

/// The tools that every machine has.
const BASIC: [&str; 16] = [
    "sh", "dirname", "sed", "sort", "head", "find", "mktemp", "mv", "rm", "mkdir", "chmod", "cat", "grep",
    "env", "bash", "printf",
];

/// A simulated machine: a directory of tools.
struct Machine {
    scratch: TempDir,
}

impl Machine {
    fn new(tools: &[&str]) -> Machine {
        let machine = Machine { scratch: crate::support::scratch() };
        fs::create_dir(machine.bin()).expect("a directory for the tools");
        for tool in BASIC.iter().chain(tools) {
            symlink(find(tool), machine.bin().join(tool)).expect("a link to a tool");
        }
        machine.program("id", "echo 1000");
        machine
    }

    fn bin(&self) -> PathBuf {
        self.scratch.path().join("bin")
    }

    fn target(&self) -> PathBuf {
        self.scratch.path().join("target")
    }

    /// Adds a shell script in the place of a tool.
    fn program(&self, name: &str, script: &str) {
        write_program(&self.bin().join(name), script);
    }

    /// Runs `deps.sh` on this machine.
    fn deps(&self, purpose: &str) -> Output {
        Command::new("sh")
            .arg(repository().join("scripts/deps.sh"))
            .arg(purpose)
            .env("PATH", self.bin())
            .env("CARGO_TARGET_DIR", self.target())
            .env("ROCKSDB11_LIBRARY", "no other is fetched")
            .output()
            .expect("the script runs")
    }
}

fn write_program(path: &Path, script: &str) {
    fs::write(path, format!("#!/bin/sh\n{script}\n")).expect("a program");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("the right to run it");
}

/// The path of a tool of the real machine.
fn find(tool: &str) -> PathBuf {
    let path = std::env::var_os("PATH").expect("a PATH");
    std::env::split_paths(&path)
        .map(|directory| directory.join(tool))
        .find(|candidate| candidate.is_file())
        .unwrap_or_else(|| panic!("this test needs `{tool}`"))
}

fn printed(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Both commands of the README failed on Debian 12 and Ubuntu 24.04, whose Go is too old for the module: even
/// the demo, which is a program in C.
#[test]
fn the_demo_asks_for_a_c_compiler_and_nothing_of_other_languages() {
    let machine = Machine::new(&["cc", "pkg-config"]);
    machine.program("cargo", "true");
    machine.program("rustc", "echo 'rustc 1.95.0 (59807616e 2026-04-14)'");
    let output = machine.deps("demo");
    assert!(output.status.success(), "{}", printed(&output));
}

#[test]
fn what_is_missing_is_named_where_it_cannot_be_installed() {
    let machine = Machine::new(&[]);
    let output = machine.deps("demo");
    assert!(!output.status.success());
    assert!(printed(&output).contains("missing: gcc libc6-dev pkg-config"), "{}", printed(&output));
}

#[test]
fn a_rust_that_is_too_old_is_named_with_what_is_wanted() {
    let machine = Machine::new(&["cc", "pkg-config"]);
    machine.program("cargo", "true");
    machine.program("rustc", "echo 'rustc 1.63.0'");
    let output = machine.deps("demo");
    assert!(!output.status.success());
    assert!(printed(&output).contains("Rust 1.63.0 is too old"), "{}", printed(&output));
}

/// A machine with all prerequisites of `make test`, with a Go that reports this version.
fn machine_with_go(version: &str) -> Machine {
    let machine = Machine::new(&["cc", "c++", "make", "cmake", "nm", "pkg-config", "mount"]);
    machine.program("valgrind", "true");
    machine.program("mkfs.ext4", "true");
    machine.program("mkfs.xfs", "true");
    machine.program("python3", "[ \"$1\" = --version ] || echo 3.11");
    machine.program("cargo", "true");
    machine.program("rustc", "echo 'rustc 1.95.0 (59807616e 2026-04-14)'");
    let root = machine.scratch.path().join("go");
    fs::create_dir_all(root.join("src/runtime/race")).expect("a Go");
    let newer = machine.scratch.path().join("newer");
    write_go(&machine.bin().join("go"), version, &root, &newer);
    machine
}

/// A fake Go that reports its version, root and platform, and "downloads" a suitable toolchain.
fn write_go(path: &Path, version: &str, root: &Path, fetches: &Path) {
    let script = format!(
        "case \"$1 $2\" in\n\
         'env GOVERSION') echo go{version} ;;\n\
         'env GOROOT') echo {root} ;;\n\
         'env GOOS') echo linux ;;\n\
         'env GOARCH') echo amd64 ;;\n\
         'mod download') mkdir -p \"$GOMODCACHE/golang.org\" && mv {fetches} \"$GOMODCACHE/$3\" && echo \"$3\" >>{root}/fetched ;;\n\
         esac",
        root = root.display(),
        fetches = fetches.display(),
    );
    write_program(path, &script);
}

#[test]
fn an_older_go_fetches_one_that_will_do() {
    let machine = machine_with_go("1.19.8");
    // The downloaded toolchain is without execute permission, as modules are unpacked.
    let newer = machine.scratch.path().join("newer");
    fs::create_dir_all(newer.join("bin")).expect("a Go");
    fs::create_dir_all(newer.join("pkg/tool")).expect("a Go");
    fs::create_dir_all(newer.join("src/runtime/race")).expect("a Go");
    fs::write(newer.join("src/runtime/race/race_linux.syso"), "").expect("a race detector");
    write_go(&newer.join("bin/go"), "1.24.6", &machine.target().join("go"), Path::new("nothing"));
    fs::set_permissions(newer.join("bin/go"), fs::Permissions::from_mode(0o444)).expect("other rights");

    let output = machine.deps("test");
    assert!(output.status.success(), "{}", printed(&output));
    let fetched = machine.scratch.path().join("go/fetched");
    let fetched_first = fs::read_to_string(&fetched).expect("something was fetched");
    assert!(fetched_first.starts_with("golang.org/toolchain@v0.0.1-go1.24."), "{fetched_first}");

    // The toolchain exists now, and is not downloaded again.
    let output = machine.deps("test");
    assert!(output.status.success(), "{}", printed(&output));
    assert_eq!(fs::read_to_string(&fetched).expect("what was fetched"), fetched_first);
}

#[test]
fn a_go_that_cannot_be_fetched_is_an_error_that_names_it() {
    let machine = machine_with_go("1.22.2");
    let output = machine.deps("test");
    assert!(!output.status.success());
    assert!(printed(&output).contains("install Go 1.24 or later"), "{}", printed(&output));
}
