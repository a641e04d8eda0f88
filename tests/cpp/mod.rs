//! LevelDB's C++ interface: header-only on top of libterrace, and the object that replaces libleveldb.so.1.
//!
//! The programs of `bindings/cpp/tests` use LevelDB's interface only. Each is compiled header-only against
//! Terrace, against the object, and against Google's headers and library. The last one shows that the program
//! expects LevelDB's behaviour; it then also runs with the object, as a prebuilt program would.
//! `column_families_test.cc` uses the interface for column families, which is header-only.

use crate::drop_in::prefix;
use crate::support::{Tool, google_path, repository, scratch};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// How a program is built.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Build {
    /// Everything inline, in a namespace of its own, linked with libterrace.
    HeaderOnly,
    /// Linked with the object in the drop-in directory.
    Object,
    /// Google's headers and library.
    Google,
}

const WARNINGS: [&str; 4] = ["-Wall", "-Wextra", "-pedantic", "-Werror"];

fn compiler(standard: &str) -> Tool {
    Tool::new("c++", "g++").args([&*format!("-std={standard}"), "-g", "-O1", "-pthread"])
}

/// Compiles and links `source`, a path relative to the repository.
fn compile(source: &str, program: &Path, build: Build, standard: &str) {
    let source = repository().join(source);
    let tool = compiler(standard).args(["-o".as_ref(), program.as_os_str(), source.as_os_str()]);
    let include = format!("-I{}", prefix().join("include/terrace").display());
    let lib = prefix().join("lib");
    match build {
        Build::HeaderOnly => {
            let lib = format!("-L{}", lib.display());
            tool.args(WARNINGS).args([&include, &lib, "-lterrace"]).run()
        }
        Build::Object => {
            let lib = format!("-L{}", lib.join("terrace").display());
            tool.args(WARNINGS).args(["-DLEVELDB_SHARED_LIBRARY", &include, &lib, "-lleveldb"]).run()
        }
        Build::Google => tool.args(["-w", "-DGOOGLE", "-lleveldb"]).run(),
    };
}

/// Runs a program in a directory of its own with the libraries of `library_path`.
fn run(program: &Path, arguments: &[&Path], library_path: Option<&Path>, valgrind: bool) -> String {
    let directory = program.parent().expect("a program in a directory");
    let scratch = tempfile::tempdir_in(directory).expect("a scratch directory for the program");
    let tool = if valgrind {
        Tool::new("valgrind", "valgrind")
            .args(["--quiet", "--leak-check=full", "--errors-for-leak-kinds=definite,possible"])
            .args(["--show-leak-kinds=definite,possible", "--error-exitcode=99"])
            .args([format!("--suppressions={}/tests/c_programs/valgrind.supp", repository().display())])
            .args([format!("--suppressions={}/bindings/cpp/tests/valgrind.supp", repository().display())])
            .args([program])
    } else {
        Tool::new(program.to_str().expect("a path of a program"), "g++")
    };
    let tool = tool.args(arguments).env("TEST_TMPDIR", scratch.path());
    match library_path {
        Some(path) => tool.env("LD_LIBRARY_PATH", path).run(),
        None => tool.env_remove("LD_LIBRARY_PATH").run(),
    }
}

fn lib() -> PathBuf {
    prefix().join("lib")
}

fn drop_in() -> PathBuf {
    prefix().join("lib/terrace")
}

const INTERFACE_TEST: &str = "bindings/cpp/tests/interface_test.cc";

#[test]
fn the_interface_is_leveldbs_header_only() {
    let scratch = scratch();
    for standard in ["c++11", "c++17", "c++20"] {
        let program = scratch.path().join(standard);
        compile(INTERFACE_TEST, &program, Build::HeaderOnly, standard);
        run(&program, &[], Some(&lib()), false);
    }
}

#[test]
fn the_interface_is_leveldbs_header_only_under_valgrind() {
    let scratch = scratch();
    let program = scratch.path().join("program");
    compile(INTERFACE_TEST, &program, Build::HeaderOnly, "c++17");
    run(&program, &[], Some(&lib()), true);
}

#[test]
fn the_interface_is_leveldbs_with_the_object() {
    let scratch = scratch();
    let program = scratch.path().join("program");
    compile(INTERFACE_TEST, &program, Build::Object, "c++11");
    run(&program, &[], Some(&drop_in()), false);
    run(&program, &[], Some(&drop_in()), true);
}

#[test]
fn a_program_built_with_googles_headers_and_library_runs_on_the_object() {
    let scratch = scratch();
    let program = scratch.path().join("program");
    compile(INTERFACE_TEST, &program, Build::Google, "c++17");
    run(&program, &[], None, false);
    run(&program, &[], Some(&drop_in()), false);
}

#[test]
fn tables_and_dumps_are_googles_byte_for_byte() {
    let scratch = scratch();
    let (google, terrace) = (scratch.path().join("google"), scratch.path().join("terrace"));
    compile("bindings/cpp/tests/same_bytes.cc", &google, Build::Google, "c++17");
    compile("bindings/cpp/tests/same_bytes.cc", &terrace, Build::HeaderOnly, "c++17");
    let database = scratch.path().join("db");
    for writer in [&google, &terrace] {
        let _ = fs::remove_dir_all(&database);
        run(writer, &[Path::new("write"), &database], Some(&lib()), false);
        let print = |program| run(program, &[Path::new("print"), &database], Some(&lib()), false);
        let (expected, found) = (print(&google), print(&terrace));
        assert!(
            expected.contains("put 'last'") && expected.contains("AddFile") && expected.contains(" : val =>")
        );
        let different = expected.lines().zip(found.lines()).find(|(a, b)| a != b);
        assert!(expected == found, "first difference: {different:?}");
    }
}

const COLUMN_FAMILIES_TEST: &str = "bindings/cpp/tests/column_families_test.cc";

#[test]
fn column_families_have_rocksdbs_names() {
    let scratch = scratch();
    for standard in ["c++11", "c++17", "c++20"] {
        let program = scratch.path().join(standard);
        compile(COLUMN_FAMILIES_TEST, &program, Build::HeaderOnly, standard);
        run(&program, &[], Some(&lib()), standard == "c++17");
    }
}

#[test]
fn column_families_work_in_a_process_that_has_loaded_googles_library_first() {
    let scratch = scratch();
    let program = scratch.path().join("program");
    link_behind_google(COLUMN_FAMILIES_TEST, &program);
    run(&program, &[], Some(&lib()), false);
}

#[test]
fn the_header_of_column_families_compiles_without_exceptions_and_without_rtti() {
    let include = format!("-I{}", prefix().join("include/terrace").display());
    for mode in [&[][..], &["-DTERRACE_LEVELDB_PLAIN_NAMESPACE"]] {
        compiler("c++11")
            .args(WARNINGS)
            .args(["-Wshadow", "-fno-exceptions", "-fno-rtti", "-fsyntax-only", &include])
            .args(mode)
            .args([repository().join(COLUMN_FAMILIES_TEST)])
            .run();
    }
}

/// The names that a file exports (or, with `dynamic` false, contains).
fn defined(file: &Path, dynamic: bool) -> BTreeSet<String> {
    let tool =
        Tool::new("nm", "binutils").args(["--defined-only"]).args(dynamic.then_some("-D")).args([file]);
    let listing = tool.run();
    let names = listing.lines().filter_map(|line| line.split_whitespace().nth(2));
    names.map(|name| name.split('@').next().unwrap_or(name).to_owned()).collect()
}

/// Is this an exported name of Google's library that no program can use? These are private members, copies of
/// the C++ standard library's templates (a program has its own copies), and classes local to functions.
fn is_out_of_reach(symbol: &str) -> bool {
    const PRIVATE: [&str; 6] = [
        "_ZN7leveldb12TableBuilder10WriteBlockE",
        "_ZN7leveldb12TableBuilder13WriteRawBlockE",
        "_ZN7leveldb5Table10ReadFilterE",
        "_ZN7leveldb5Table11BlockReaderE",
        "_ZN7leveldb5Table11InternalGetE",
        "_ZN7leveldb5Table8ReadMetaE",
    ];
    let of_the_standard_library = ["_ZNSt", "_ZNKSt", "_ZSt", "_ZTINSt", "_ZTSNSt", "_ZTVNSt"];
    let inside_of_functions = ["_ZTIZ", "_ZTSZ", "_ZTVZ"];
    PRIVATE.iter().chain(&of_the_standard_library).chain(&inside_of_functions).any(|p| symbol.starts_with(p))
}

/// The file of Google's library, which the loader finds by its name.
fn google_file() -> PathBuf {
    let path = google_path();
    if path.is_absolute() {
        return path;
    }
    let known = Tool::new("/sbin/ldconfig", "libc-bin").args(["-p"]).run();
    let line = known.lines().find(|line| line.trim_start().starts_with(&*path.to_string_lossy()));
    let file = line.and_then(|line| line.split(" => ").nth(1));
    PathBuf::from(file.unwrap_or_else(|| panic!("ldconfig does not know {}", path.display())).trim())
}

#[test]
fn the_object_shows_every_name_of_googles_library_that_a_program_can_use() {
    let (google, ours) = (defined(&google_file(), true), defined(&drop_in().join("libleveldb.so.1"), true));
    let usable: BTreeSet<&String> = google.iter().filter(|name| !is_out_of_reach(name)).collect();
    assert!(usable.len() > 200, "{usable:?}");
    let missing: Vec<_> = usable.iter().filter(|name| !ours.contains(**name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    let foreign: Vec<_> = ours
        .iter()
        .filter(|name| {
            !google.contains(*name) && !name.starts_with("terrace_") && !name.contains("7leveldb3LogE")
        })
        .collect();
    assert!(foreign.is_empty(), "the object shows what LevelDB does not: {foreign:?}");
}

#[test]
fn header_only_shares_no_name_with_a_leveldb() {
    let scratch = scratch();
    let program = scratch.path().join("program");
    compile(INTERFACE_TEST, &program, Build::HeaderOnly, "c++17");
    let clashing: Vec<String> = defined(&program, false)
        .into_iter()
        .filter(|name| name.contains("7leveldb") && !name.contains("7leveldb7terrace"))
        .collect();
    assert!(clashing.is_empty(), "{clashing:?}");
}

/// Compiles a program header-only, and links it with Google's library before Terrace's.
fn link_behind_google(source: &str, program: &Path) {
    let source = repository().join(source);
    let include = format!("-I{}", prefix().join("include/terrace").display());
    compiler("c++17")
        .args(["-o".as_ref(), program.as_os_str(), source.as_os_str()])
        .args([include, "-Wl,--no-as-needed".to_owned()])
        .args([google_file()])
        .args([format!("-L{}", lib().display()), "-lterrace".to_owned()])
        .run();
}

#[test]
fn header_only_works_in_a_process_that_has_loaded_googles_library_first() {
    let scratch = scratch();
    let program = scratch.path().join("program");
    link_behind_google(INTERFACE_TEST, &program);
    run(&program, &[], Some(&lib()), false);
}

#[test]
fn the_headers_compile_without_exceptions_and_without_rtti() {
    let source = repository().join("bindings/cpp/src/leveldb.cc");
    let include = format!("-I{}", prefix().join("include/terrace").display());
    for mode in [&[][..], &["-DTERRACE_LEVELDB_PLAIN_NAMESPACE"]] {
        compiler("c++11")
            .args(WARNINGS)
            .args(["-Wshadow", "-fno-exceptions", "-fno-rtti", "-fsyntax-only", &include])
            .args(["-DTERRACE_LEVELDB_HEADERS_ONLY"])
            .args(mode)
            .args([&source])
            .run();
    }
}

/// Configures, builds and runs a program with CMake.
fn with_cmake(package: &str, target: &str, directory: &Path) {
    let scratch = scratch();
    let (source, build) = (scratch.path().join("source"), scratch.path().join("build"));
    fs::create_dir(&source).expect("a directory for the project");
    let lists = format!(
        "cmake_minimum_required(VERSION 3.10)\nproject(p LANGUAGES CXX)\nset(CMAKE_CXX_STANDARD 17)\n\
         find_package({package} REQUIRED CONFIG)\nadd_executable(p {}/{INTERFACE_TEST})\n\
         target_link_libraries(p PRIVATE {target})\n",
        repository().display()
    );
    fs::write(source.join("CMakeLists.txt"), lists).expect("the project's file");
    let prefix_path = format!("-DCMAKE_PREFIX_PATH={}", directory.display());
    let cmake = || Tool::new("cmake", "cmake");
    cmake()
        .args(["-S".as_ref(), source.as_os_str(), "-B".as_ref(), build.as_os_str()])
        .args([prefix_path])
        .run();
    cmake().args(["--build".as_ref(), build.as_os_str()]).run();
    let program = build.join("p");
    let needed = Tool::new("readelf", "binutils").args(["-dW"]).args([&program]).run();
    let library = if package == "terrace" { "[libterrace.so.0]" } else { "[libleveldb.so.1]" };
    assert!(needed.contains(library), "{needed}");
    // CMake has put the library's directory into the program.
    run(&program, &[], None, false);
}

#[test]
fn cmake_finds_terrace() {
    with_cmake("terrace", "terrace::terrace", prefix());
}

#[test]
fn cmake_finds_leveldb_in_the_drop_in_directory() {
    with_cmake("leveldb", "leveldb::leveldb", &drop_in());
}

#[test]
fn the_example_indexes_words() {
    let scratch = scratch();
    for build in [Build::HeaderOnly, Build::Object, Build::Google] {
        let program = scratch.path().join(format!("{build:?}"));
        compile("examples/cpp/wordindex.cc", &program, build, "c++11");
        let database = scratch.path().join(format!("{build:?}.db"));
        // Real text: from this repository.
        let (readme, license) = (repository().join("README.md"), scratch.path().join("license"));
        fs::copy(repository().join("LICENSE"), &license).expect("a copy of a text");
        let library_path = match build {
            Build::HeaderOnly => Some(lib()),
            Build::Object => Some(drop_in()),
            Build::Google => None,
        };
        let call = |command: &str, arguments: &[&Path]| {
            let arguments = [&[Path::new(command), &database], arguments].concat();
            run(&program, &arguments, library_path.as_deref(), false)
        };
        let said = call("add", &[&readme, &license]);
        assert!(said.lines().count() == 2 && said.contains("0 before"), "{said}");
        let text = fs::read_to_string(&license).expect("a text");
        let has_word = |line: &&str| {
            line.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| word.eq_ignore_ascii_case("software"))
        };
        let expected = text.lines().filter(has_word).count();
        let found = call("find", &[Path::new("software")]);
        let places = found.lines().filter(|line| line.starts_with(&*license.to_string_lossy())).count();
        assert!(expected > 0 && places == expected, "{expected} expected:\n{found}");
        let words = call("words", &[Path::new("softw")]);
        assert!(words.starts_with("software "), "{words}");

        // Index it again, with less text: no entry of the old text is left.
        fs::write(&license, "one line\n").expect("a shorter text");
        let said = call("add", &[&license]);
        assert!(said.contains("1 lines, 2 places") && !said.contains(" 0 before"), "{said}");
        let found = call("find", &[Path::new("software")]);
        assert!(!found.lines().any(|line| line.starts_with(&*license.to_string_lossy())), "{found}");
        let said = call("remove", &[&license]);
        assert!(said.contains("2 places forgotten"), "{said}");
    }
}
