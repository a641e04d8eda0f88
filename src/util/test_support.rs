//! What tests of several floors need.

use datadriven::TestCase;
use std::any::Any;
use std::sync::Mutex;

/// Keeps `value` until the process ends. It stays reachable, so that a leak checker does not take it for lost.
pub(crate) fn keep<T: Any + Send + Sync>(value: T) -> &'static T {
    static KEPT: Mutex<Vec<&'static (dyn Any + Send + Sync)>> = Mutex::new(Vec::new());
    let kept: &'static T = Box::leak(Box::new(value));
    KEPT.lock().unwrap().push(kept);
    kept
}

/// Runs the cases in the files of `tests/testdata/<folder>`, in their order. `begin` makes the state at the
/// beginning of a file, and `answer` gives the answer to one case. With `REWRITE=1` in the environment the
/// answers are written into the files; otherwise they must be there.
///
/// A file begins with a comment that explains its format. `answer` takes every argument of a directive out
/// of the case, so that a misspelled one fails, and returns whole lines.
pub(crate) fn run_case_files<S>(
    folder: &str,
    begin: impl Fn() -> S,
    answer: impl Fn(&mut S, &mut TestCase) -> String,
) {
    let mut cases = 0;
    datadriven::walk(&format!("tests/testdata/{folder}"), |file| {
        let name = file.filename.clone();
        let text = std::fs::read_to_string(&name).unwrap();
        assert!(text.starts_with("# "), "{name} does not begin with a comment that explains its format");
        let mut state = begin();
        file.run(|case| {
            cases += 1;
            let _case = SaidInPanic(format!("{name}: {} {:?}\n{}", case.directive, case.args, case.input));
            let answer = answer(&mut state, case);
            case.expect_empty().unwrap();
            assert!(answer.ends_with('\n') && !answer.contains("\n\n"), "no whole lines: {answer:?}");
            answer
        });
    });
    assert!(cases > 0 || std::env::var_os("RUN").is_some(), "tests/testdata/{folder} has no cases");
}

/// Printed if a panic drops it.
struct SaidInPanic(String);

impl Drop for SaidInPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("{}", self.0);
        }
    }
}

/// The arguments of this name, or none; takes them out of the case.
pub(crate) fn take_list<T: std::str::FromStr>(case: &mut TestCase, name: &str) -> Vec<T> {
    let parse = |value: String| value.parse().unwrap_or_else(|_| panic!("{name}: {value}"));
    case.args.remove(name).unwrap_or_default().into_iter().map(parse).collect()
}

/// The argument of this name, if it is there; takes it out of the case.
pub(crate) fn take<T: std::str::FromStr>(case: &mut TestCase, name: &str) -> Option<T> {
    take_list(case, name).pop()
}
