//! What tests of several floors need.

use datadriven::TestCase;
use std::any::Any;
use std::sync::Mutex;

/// Keeps `value` until the process ends. It stays reachable, so that a leak checker does not take it for
/// lost.
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

/// Does to a file what the arguments of a directive say: `keep=300` bytes, `zeros=20` or `garbage=20`
/// bytes to its end, `hole=(512,1024)` of zeros, `flip=7` or `flip-last=1` for one changed byte.
pub(crate) fn take_damage(case: &mut TestCase, file: &mut Vec<u8>) {
    if let Some(length) = take(case, "keep") {
        assert!(length < file.len());
        file.truncate(length);
    }
    for (name, byte) in [("zeros", 0), ("garbage", 0xa5)] {
        let more = take(case, name).unwrap_or(0);
        file.resize(file.len() + more, byte);
    }
    if let [from, to] = take_list(case, "hole")[..] {
        file[from..to].fill(0);
    }
    let last = take::<usize>(case, "flip-last").map(|nth| file.len() - nth);
    if let Some(at) = take(case, "flip").or(last) {
        let byte: &mut u8 = &mut file[at];
        *byte ^= 0x20;
    }
}

/// The bytes of a text with `\n`, `\r`, `\t`, `\0`, `\\` and `\xff` in it.
pub(crate) fn unescape(text: &str) -> Vec<u8> {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        if first != b'\\' {
            bytes.push(first);
            continue;
        }
        let (&escape, after) = rest.split_first().expect("an escape");
        rest = after;
        bytes.push(match escape {
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'0' => 0,
            b'\\' => b'\\',
            b'x' => {
                let (digits, after) = rest.split_at(2);
                rest = after;
                u8::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).expect("two hex digits")
            }
            other => panic!("no escape: {}", char::from(other)),
        });
    }
    bytes
}
