//! An installed Terrace in the place of LevelDB: the same binary with another library path, the same build
//! with another pkg-config path, and a static build.

use crate::support::{Tool, c_compiler, repository, scratch};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The prefix under which this process has installed Terrace, once for all tests.
pub fn prefix() -> &'static Path {
    static INSTALLED: OnceLock<PathBuf> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        let prefix = repository().join("target/test-prefix");
        let _ = fs::remove_dir_all(&prefix);
        Tool::new("make", "make")
            .args(["install", &format!("PREFIX={}", prefix.display())])
            .env_remove("DESTDIR")
            .current_dir(repository())
            .run();
        prefix
    })
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// The output of pkg-config for a package under the prefix.
fn pkg_config(directory: &str, arguments: &[&str]) -> Vec<String> {
    let path = prefix().join(directory);
    let tool = Tool::new("pkg-config", "pkg-config").args(arguments);
    words(&tool.env("PKG_CONFIG_PATH", path).env_remove("PKG_CONFIG_LIBDIR").run())
}

/// Compiles `program.c` with `flags`, in the order of a makefile.
fn compile(program: &Path, flags: &[String]) {
    let source = repository().join("tests/drop_in/program.c");
    c_compiler()
        .args(["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-o"])
        .args([program, &source])
        .args(flags)
        .args(["-ldl"])
        .run();
}

/// Runs the program on a database of its own. Returns which library served it.
fn served_by(program: &Path, library_path: Option<&Path>) -> String {
    let database = program.with_extension("db");
    let _ = fs::remove_dir_all(&database);
    let tool = Tool::new(program.to_str().expect("a path of a program"), "gcc").args([&database]);
    let tool = match library_path {
        Some(path) => tool.env("LD_LIBRARY_PATH", path),
        None => tool.env_remove("LD_LIBRARY_PATH"),
    };
    tool.run().trim().to_owned()
}

fn needed_libraries(program: &Path) -> Vec<String> {
    let dynamic = Tool::new("readelf", "binutils").args(["-dW"]).args([program]).run();
    let lines = dynamic.lines().filter(|line| line.contains("(NEEDED)"));
    lines.filter_map(|line| Some(line.split_once('[')?.1.split(']').next()?.to_owned())).collect()
}

#[test]
fn a_binary_linked_with_leveldb_is_served_by_terrace_through_the_library_path() {
    let scratch = scratch();
    let program = scratch.path().join("program");
    compile(&program, &words("-lleveldb"));
    assert!(needed_libraries(&program).iter().any(|name| name.starts_with("libleveldb.so")));
    assert_eq!(served_by(&program, None), "leveldb");
    assert_eq!(served_by(&program, Some(&prefix().join("lib/terrace"))), "terrace");
}

#[test]
fn a_build_that_asks_for_leveldb_gets_terrace_through_the_pkg_config_path() {
    let scratch = scratch();
    let program = scratch.path().join("program");
    compile(&program, &pkg_config("lib/terrace/pkgconfig", &["--cflags", "--libs", "leveldb"]));
    let libraries = prefix().join("lib");
    let both = std::env::join_paths([libraries.join("terrace"), libraries]).expect("two plain paths");
    assert_eq!(served_by(&program, Some(&PathBuf::from(both))), "terrace");
}

#[test]
fn a_build_that_asks_for_terrace_gets_it() {
    let scratch = scratch();
    let program = scratch.path().join("program");
    compile(&program, &pkg_config("lib/pkgconfig", &["--cflags", "--libs", "terrace"]));
    assert!(needed_libraries(&program).iter().any(|name| name.starts_with("libterrace.so.")));
    assert_eq!(served_by(&program, Some(&prefix().join("lib"))), "terrace");
}

#[test]
fn a_static_build_needs_no_library_at_run_time() {
    let scratch = scratch();
    let program = scratch.path().join("program");
    let flags = pkg_config("lib/pkgconfig", &["--static", "--cflags", "--libs", "terrace"]);
    // The linker prefers a shared library to an archive of the same name, unless the file is named.
    let archive = |flag: String| if flag == "-lterrace" { "-l:libterrace.a".to_owned() } else { flag };
    let mut flags: Vec<String> = flags.into_iter().map(archive).collect();
    assert!(flags.iter().any(|flag| flag == "-l:libterrace.a"), "{flags:?}");
    flags.push("-rdynamic".to_owned());
    compile(&program, &flags);
    let needed = needed_libraries(&program);
    assert!(!needed.iter().any(|name| name.contains("terrace") || name.contains("leveldb")), "{needed:?}");
    assert_eq!(served_by(&program, None), "terrace");
}
