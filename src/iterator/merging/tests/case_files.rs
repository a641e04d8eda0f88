//! The union, as the case files of `tests/testdata/merging` say it.

use super::*;
use crate::error::Error;
use crate::util::test_support::run_case_files;
use datadriven::TestCase;

#[derive(Default)]
struct Children {
    /// The line of each.
    lines: Vec<String>,
    is_caseless: bool,
}

#[test]
fn the_case_files_hold() {
    run_case_files("merging", Children::default, |children, case| match case.directive.as_str() {
        "children" => {
            children.is_caseless = case.take_flag("caseless-reverse").unwrap();
            children.lines = case.input.lines().map(str::to_owned).collect();
            format!("{} children\n", children.lines.len())
        }
        "iterate" => iterate(children, case),
        other => panic!("no directive: {other}"),
    });
}

fn key(text: &str) -> Vec<u8> {
    let (user, sequence) = text.split_once('@').expect("user@sequence");
    internal_key(user.as_bytes(), sequence.parse().unwrap())
}

/// A child of keys such as `a@1`; one may be `damaged:a@1` or `unreadable:a@1`. Each value is the child's
/// number.
fn child(comparator: &InternalKeyComparator, (number, line): (usize, &String)) -> VecIterator {
    let mut failure = None;
    let mut entries = Vec::new();
    for word in line.split_whitespace().filter(|&word| word != "empty") {
        let (says, text) = word.split_once(':').unwrap_or(("", word));
        match says {
            "" => {}
            "damaged" => failure = Some((entries.len(), Error::corruption("damaged entry"))),
            "unreadable" => failure = Some((entries.len(), Error::io("unreadable entry"))),
            _ => panic!("no kind of entry: {word}"),
        }
        entries.push((key(text), vec![number as u8]));
    }
    let child = VecIterator::new(comparator.clone(), entries);
    match failure {
        Some((index, error)) => child.failing_with(index, error),
        None => child,
    }
}

fn iterate(children: &Children, case: &mut TestCase) -> String {
    let comparator = comparators()[usize::from(children.is_caseless)].clone();
    let list = children.lines.iter().enumerate().map(|numbered| child(&comparator, numbered)).collect();
    let tolerates = case.take_flag("tolerates-damage").unwrap();
    let mut iterator = MergingIterator::new(comparator.clone(), list).tolerating_damage(tolerates);
    let mut text = String::new();
    for line in case.input.lines() {
        let (command, argument) = line.split_once(' ').unwrap_or((line, ""));
        let says = match command {
            "first" | "last" | "seek" | "next" | "prev" => {
                step(&mut iterator, command, argument);
                position(&iterator)
            }
            "to-end" | "to-beginning" => {
                let step_name = if command == "to-end" { "next" } else { "prev" };
                let mut passed = Vec::new();
                while iterator.valid() {
                    step(&mut iterator, step_name, "");
                    passed.push(position(&iterator));
                }
                passed.join("; ")
            }
            "next-user-key" => match iterator.try_next_user_key() {
                Some(trailer) => format!("{}, by its trailer @{}", position(&iterator), trailer >> 8),
                None => format!("not proven, still {}", position(&iterator)),
            },
            "status" => match iterator.status() {
                Ok(()) => "OK".to_string(),
                Err(error) => format!("{error}{}", if iterator.was_cut_short() { ", cut short" } else { "" }),
            },
            "pool" => {
                iterator = MergingIterator::from_pooled(comparator.clone(), iterator.take_pooled());
                position(&iterator)
            }
            other => panic!("no command: {other}"),
        };
        text += &format!("{line}: {says}\n");
    }
    text
}

fn step(iterator: &mut MergingIterator<VecIterator>, command: &str, argument: &str) {
    match command {
        "first" => iterator.seek_to_first(),
        "last" => iterator.seek_to_last(),
        "seek" => iterator.seek(&key(argument)),
        "next" => iterator.next(),
        _ => iterator.prev(),
    }
}

/// The entry, the number of its child, and how many children the last seek has not positioned.
fn position(iterator: &MergingIterator<VecIterator>) -> String {
    if !iterator.valid() {
        return "not valid".to_string();
    }
    let key = InternalKey::decode(iterator.key()).unwrap();
    let deferred = match iterator.deferred.count_ones() {
        0 => String::new(),
        count => format!(" ({count} deferred)"),
    };
    format!("{}@{} of {}{deferred}", key.user_key().escape_ascii(), key.sequence(), iterator.value()[0])
}
