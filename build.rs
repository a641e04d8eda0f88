//! Generates the C headers from `src/ffi` into OUT_DIR, and sets the name of the shared library.
//!
//! The committed headers in `include/` are copies: a test compares them with the generated ones,
//! `make headers` updates them, and a build never writes into the source tree. The prefix of a function
//! decides in which header it is declared.

use std::fs;
use std::path::{Path, PathBuf};

/// The files of `src/ffi` with declarations, in the order of the headers.
const SOURCES: &[&str] = &[
    "db",
    "db/access",
    "db/get",
    "iterator",
    "iterator/read",
    "snapshot",
    "write_batch",
    "column_family",
    "column_family/access",
    "transfer",
    "options",
    "terrace_options",
    "comparator",
    "filter_policy",
    "read_options",
    "write_options",
    "cache",
    "env",
    "env/files",
    "env/callbacks",
    "logger",
    "failure",
    "last_error",
    "background_error",
    "iterator/movement",
    "table",
    "dump",
    "symbol_table",
    "version",
];

/// Functions whose place in a header is not that of their file: each stands after the other one. So the order
/// of a header does not change when a function moves from file to file.
const PLACES: &[(&str, &str)] = &[
    ("leveldb_get", "leveldb_write"),
    ("terrace_get_with", "terrace_resume"),
    ("terrace_write_rep", "terrace_get_with"),
];

fn main() {
    let root = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR"));
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    for input in ["build.rs", "cbindgen-leveldb.toml", "cbindgen-terrace.toml", "src/ffi"] {
        println!("cargo:rerun-if-changed={input}");
    }
    let include = out.join("include");
    fs::create_dir_all(include.join("leveldb")).expect("a directory for the headers");
    let conventions = comment(&module_doc(&root.join("src/ffi.rs")));
    generate(&root, "cbindgen-leveldb.toml", Some(conventions), "leveldb_", &include.join("leveldb/c.h"));
    generate(&root, "cbindgen-terrace.toml", None, "terrace_", &include.join("terrace.h"));
    link_arguments();
}

/// Link arguments of the shared library. Its soname has the version of the interface. It is never unloaded
/// (`nodelete`), since crates keep thread-locals on the host's threads. Its calls to its own functions bind
/// to itself, whatever else the process has loaded (`-Bsymbolic-functions`).
fn link_arguments() {
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("linux") {
        return;
    }
    let version = std::env::var("CARGO_PKG_VERSION_MAJOR").expect("cargo sets the version");
    for argument in [
        &*format!("-Wl,-soname,libterrace.so.{version}"),
        "-Wl,-z,nodelete",
        "-Wl,-Bsymbolic-functions",
        "-Wl,-z,relro,-z,now",
    ] {
        println!("cargo:rustc-cdylib-link-arg={argument}");
    }
}

/// Writes the header with all items of `src/ffi` whose names start with `prefix`.
fn generate(root: &Path, config: &str, header: Option<String>, prefix: &str, output: &Path) {
    let sources: Vec<PathBuf> =
        SOURCES.iter().map(|name| root.join("src/ffi").join(name).with_extension("rs")).collect();
    let mut config = cbindgen::Config::from_file(root.join(config)).expect("a configuration of cbindgen");
    config.language = cbindgen::Language::C;
    config.cpp_compat = true;
    config.no_includes = true;
    config.style = cbindgen::Style::Type;
    config.usize_is_size_t = true;
    config.documentation_style = cbindgen::DocumentationStyle::Doxy;
    config.line_length = 100;
    config.tab_width = 4;
    config.header = header.or(config.header);
    config.export.exclude.extend(sources.iter().flat_map(|source| names_without(prefix, source)));
    let mut builder = cbindgen::Builder::new().with_config(config);
    for source in sources {
        builder = builder.with_src(source);
    }
    let mut bytes = Vec::new();
    builder.generate().expect("headers of src/ffi").write(&mut bytes);
    let text = String::from_utf8(bytes).expect("UTF-8 headers");
    fs::write(output, in_order(as_c(text), prefix)).expect("a header in OUT_DIR");
}

/// Adapts a generated header to C: a `# Safety` section becomes `Requires:`. Older compilers accept neither
/// line comments nor a comma at the end of an enum, so both are replaced.
fn as_c(header: String) -> String {
    let header = header.replace(" * # Safety\n * ", " * Requires: ").replace("/**\n", "/*\n");
    let header = header.replace(",\n} ", "\n} ");
    header.replace("// __cplusplus", "/* __cplusplus */").replace("// extern \"C\"", "/* extern \"C\" */")
}

/// Moves the functions of [`PLACES`]. A declaration with its comment is a paragraph of the header.
fn in_order(header: String, prefix: &str) -> String {
    let mut paragraphs: Vec<&str> = header.split("\n\n").collect();
    for (function, before) in PLACES.iter().filter(|(function, _)| function.starts_with(prefix)) {
        let place = |name: &str, paragraphs: &[&str]| {
            let declares = |paragraph: &&str| declared(paragraph) == Some(name);
            paragraphs.iter().position(declares).unwrap_or_else(|| panic!("{name} is in no header"))
        };
        let paragraph = paragraphs.remove(place(function, &paragraphs));
        paragraphs.insert(place(before, &paragraphs) + 1, paragraph);
    }
    paragraphs.join("\n\n")
}

/// The name of the function that a paragraph of a header declares.
fn declared(paragraph: &str) -> Option<&str> {
    let declaration = paragraph.rsplit("*/\n").next()?;
    let (before, _) = declaration.split_once('(')?;
    before.rsplit([' ', '*']).next()
}

/// The functions and types of a source file that belong to the other header.
fn names_without(prefix: &str, source: &Path) -> Vec<String> {
    let text = read(source);
    let declared = text.lines().filter_map(|line| {
        let line = line.strip_prefix("pub ")?;
        let (_, name) =
            ["extern \"C\" fn ", "struct ", "enum "].iter().find_map(|word| line.split_once(word))?;
        Some(name.split(|c: char| !c.is_alphanumeric() && c != '_').next()?.to_owned())
    });
    declared.filter(|name| !name.starts_with(prefix)).collect()
}

/// The `//!` comment at the top of a file.
fn module_doc(source: &Path) -> String {
    let text = read(source);
    let lines = text.lines().map_while(|line| line.strip_prefix("//!"));
    lines.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect::<Vec<_>>().join("\n")
}

/// A text as a C comment.
fn comment(text: &str) -> String {
    let lines = text.lines().map(|line| format!(" * {line}").trim_end().to_owned());
    format!("/*\n{}\n */", lines.collect::<Vec<_>>().join("\n"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
