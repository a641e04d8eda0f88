//! The Go module and its example: vet, formatting, and their own tests, under the race detector, with an
//! installed Terrace.

use crate::drop_in::prefix;
use crate::support::{Tool, repository};
use std::path::Path;

/// Runs a command in one of the modules. Nothing is downloaded: the modules have no dependencies.
fn go(module: &str, arguments: &[&str]) -> String {
    in_module(Tool::new("go", "golang-go").args(arguments), module).run()
}

fn in_module(tool: Tool, module: &str) -> Tool {
    let library = prefix().join("lib");
    tool.env("PKG_CONFIG_PATH", library.join("pkgconfig"))
        .env("LD_LIBRARY_PATH", &library)
        .env("GOPROXY", "off")
        .env("GOFLAGS", "-mod=readonly")
        .env("GOTOOLCHAIN", "local")
        .env("CGO_ENABLED", "1")
        .current_dir(&repository().join(module))
}

/// Runs the tests of a module and prints their number.
fn passes(module: &str, at_least: usize) {
    let printed = go(module, &["test", "-race", "-count=1", "-v", "./..."]);
    let count = |what: &str| printed.lines().filter(|line| line.trim_start().starts_with(what)).count();
    println!("{module}: {} passed, {} failed", count("--- PASS"), count("--- FAIL"));
    assert!(count("--- PASS") >= at_least, "{printed}");
    assert_eq!(count("--- SKIP"), 0, "{printed}");
}

#[test]
fn the_modules_tests_pass_under_the_race_detector() {
    passes("bindings/go", 30);
}

#[test]
fn the_examples_tests_pass_under_the_race_detector() {
    passes("examples/go", 5);
}

#[test]
fn vet_and_gofmt_find_nothing() {
    for module in ["bindings/go", "examples/go", "tests/bench/goleveldb"] {
        let printed = in_module(Tool::new("gofmt", "golang-go").args(["-l", "."]), module).run();
        assert_eq!(printed, "", "gofmt would change these files of {module}");
    }
    go("bindings/go", &["vet", "./..."]);
    go("examples/go", &["vet", "./..."]);
}

/// The way of using the module that its README shows.
#[test]
fn a_module_elsewhere_uses_it_by_a_replace_directive() {
    let scratch = crate::support::scratch();
    let module = repository().join("bindings/go");
    write(
        scratch.path(),
        "go.mod",
        &format!(
            "module example\n\ngo 1.24\n\nrequire terrace v0.0.0\n\nreplace terrace => {}\n",
            module.display()
        ),
    );
    write(
        scratch.path(),
        "main.go",
        "package main\n\nimport (\n\t\"fmt\"\n\t\"os\"\n\n\t\"terrace\"\n)\n\nfunc main() {\n\
         \tdb, err := terrace.Open(os.Args[1], &terrace.Options{CreateIfMissing: true})\n\
         \tif err != nil {\n\t\tpanic(err)\n\t}\n\
         \tdefer db.Close()\n\
         \tif err := db.Put([]byte(\"k\"), []byte(\"v\"), nil); err != nil {\n\t\tpanic(err)\n\t}\n\
         \tvalue, err := db.Get([]byte(\"k\"), nil)\n\
         \tfmt.Printf(\"%s %v\\n\", value, err)\n}\n",
    );
    let directory = scratch.path().to_str().expect("a path in UTF-8");
    let database = scratch.path().join("db");
    let printed = go(directory, &["run", ".", database.to_str().expect("a path in UTF-8")]);
    assert_eq!(printed, "v <nil>\n");
}

fn write(directory: &Path, name: &str, text: &str) {
    std::fs::write(directory.join(name), text).expect("a file");
}
