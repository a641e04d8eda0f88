//! Runs a history on two libraries and on the model, and compares at every step.

use super::history::{Change, History, ITERATORS, Move, Operation, SNAPSHOTS, Value};
use super::model::{Cursor, Model, View};
use crate::support::leveldb_c::{Db, Entry, Iterator, Library, OpenOptions, Snapshot, WriteBatch};
use crate::support::{google, scratch, terrace};
use std::fmt;
use std::path::{Path, PathBuf};

/// A difference between a library and the model.
#[derive(Debug)]
pub struct Failure {
    /// The index of the operation.
    pub operation: usize,
    /// A description of the difference.
    pub what: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at operation {}: {}", self.operation, self.what)
    }
}

type Outcome = Result<(), String>;

/// Runs a history from an empty directory to its end.
///
/// # Errors
/// The first difference between a library and the model.
pub fn run(history: &History) -> Result<(), Failure> {
    let scratch = scratch();
    let mut directories = [scratch.path().join("one"), scratch.path().join("two")];
    let failed = |operation: usize| move |what: String| Failure { operation, what };
    let mut state = State::open(history, &history.options, &directories).map_err(failed(0))?;
    for (number, operation) in history.operations.iter().enumerate() {
        if let Operation::Reopen(options, swap) = operation {
            state = state.reopen(options, &mut directories, *swap).map_err(failed(number))?;
        } else {
            state.apply(operation).map_err(failed(number))?;
        }
    }
    state.check_everything().map_err(failed(history.operations.len()))
}

/// One library with its directory.
struct Side {
    library: &'static Library,
    db: Db,
    snapshots: Vec<Snapshot>,
    iterators: [Option<Iterator>; ITERATORS],
}

impl Side {
    fn open(library: &'static Library, path: &Path, options: &OpenOptions) -> Result<Side, String> {
        let db = Db::open(library, path, options).map_err(|error| format!("{library:?}: open: {error}"))?;
        Ok(Side { library, db, snapshots: Vec::new(), iterators: Default::default() })
    }

    fn batch(&self, history: &History, changes: &[Change]) -> WriteBatch {
        let mut batch = WriteBatch::new(self.library);
        for change in changes {
            match change {
                Change::Put(key, value) => batch.put(history.key(*key), &value.bytes()),
                Change::Delete(key) => batch.delete(history.key(*key)),
            }
        }
        batch
    }

    fn write(&self, history: &History, changes: &[Change], cut: Option<usize>, sync: bool) -> Outcome {
        let batch = match cut {
            None => self.batch(history, changes),
            Some(cut) => {
                let (head, tail) = changes.split_at(cut.min(changes.len()));
                let mut batch = self.batch(history, head);
                batch.append(&self.batch(history, tail));
                batch
            }
        };
        let expected: Vec<Entry> = changes
            .iter()
            .map(|change| match change {
                Change::Put(key, value) => Entry::Put(history.key(*key).to_vec(), value.bytes()),
                Change::Delete(key) => Entry::Delete(history.key(*key).to_vec()),
            })
            .collect();
        if batch.entries() != expected {
            return Err(format!("{:?}: the batch does not hold what was put into it", self.library));
        }
        self.db.write(&batch, sync).map_err(|error| format!("{:?}: write: {error}", self.library))
    }
}

struct State<'h> {
    history: &'h History,
    sides: [Side; 2],
    model: Model,
    views: Vec<View>,
    cursors: [Option<Cursor>; ITERATORS],
}

impl<'h> State<'h> {
    fn open(history: &'h History, options: &OpenOptions, directories: &[PathBuf; 2]) -> Result<Self, String> {
        Ok(State {
            history,
            sides: [
                Side::open(terrace(), &directories[0], options)?,
                Side::open(google(), &directories[1], options)?,
            ],
            model: Model::new(options.order),
            views: Vec::new(),
            cursors: Default::default(),
        })
    }

    fn reopen(
        self,
        options: &OpenOptions,
        directories: &mut [PathBuf; 2],
        swap: bool,
    ) -> Result<Self, String> {
        self.check_everything()?;
        for side in self.sides {
            drop(side.iterators);
            drop(side.snapshots);
            side.db.close();
        }
        if swap {
            directories.swap(0, 1);
        }
        let mut state = State::open(self.history, options, directories)?;
        state.model = self.model;
        state.check_everything()?;
        Ok(state)
    }

    fn apply(&mut self, operation: &Operation) -> Outcome {
        let history = self.history;
        let key = |number: usize| history.key(number);
        match operation {
            Operation::Put(number, value, sync) => {
                self.model.put(key(*number), *value);
                self.each("put", |side| side.db.put(key(*number), &value.bytes(), *sync))
            }
            Operation::Delete(number, sync) => {
                self.model.delete(key(*number));
                self.each("delete", |side| side.db.delete(key(*number), *sync))
            }
            Operation::Write(changes, cut, sync) => {
                for change in changes {
                    match change {
                        Change::Put(number, value) => self.model.put(key(*number), *value),
                        Change::Delete(number) => self.model.delete(key(*number)),
                    }
                }
                self.sides.iter().try_for_each(|side| side.write(history, changes, *cut, *sync))
            }
            Operation::Get(number) => self.get(*number),
            Operation::GetAt(snapshot, number) => self.get_at(*snapshot, *number),
            Operation::TakeSnapshot => self.take_snapshot(),
            Operation::ReleaseSnapshot(number) => self.release_snapshot(*number),
            Operation::NewIterator(slot, snapshot) => self.new_iterator(*slot, *snapshot),
            Operation::MoveIterator(slot, step, times) => self.move_iterator(*slot, *step, *times),
            Operation::CloseIterator(slot) => {
                self.cursors[*slot] = None;
                for side in &mut self.sides {
                    side.iterators[*slot] = None;
                }
                Ok(())
            }
            Operation::Compact(start, limit) => {
                for side in &self.sides {
                    side.db.compact_range(start.map(key), limit.map(key));
                }
                Ok(())
            }
            Operation::Reopen(..) => unreachable!("a reopening makes a new state"),
        }
    }

    fn each<T>(
        &self,
        what: &str,
        call: impl Fn(&Side) -> crate::support::leveldb_c::Result<T>,
    ) -> Result<(), String> {
        for side in &self.sides {
            call(side).map_err(|error| format!("{:?}: {what}: {error}", side.library))?;
        }
        Ok(())
    }

    fn get(&self, number: usize) -> Outcome {
        let key = self.history.key(number);
        let expected = match self.history.lie_about_get {
            Some(liar) if liar == number => None,
            _ => self.model.get(&self.model.view(), key),
        };
        for side in &self.sides {
            let found = side.db.get(key).map_err(|error| format!("{:?}: get: {error}", side.library))?;
            same_value(side, "get", key, found.as_deref(), expected)?;
        }
        Ok(())
    }

    fn get_at(&self, snapshot: usize, number: usize) -> Outcome {
        if self.views.is_empty() {
            return Ok(());
        }
        let (snapshot, key) = (snapshot % self.views.len(), self.history.key(number));
        let expected = self.model.get(&self.views[snapshot], key);
        for side in &self.sides {
            let found = side.db.get_at(&side.snapshots[snapshot], key);
            let found = found.map_err(|error| format!("{:?}: get at a snapshot: {error}", side.library))?;
            same_value(side, "get at a snapshot", key, found.as_deref(), expected)?;
        }
        Ok(())
    }

    fn take_snapshot(&mut self) -> Outcome {
        if self.views.len() < SNAPSHOTS {
            self.views.push(self.model.view());
            for side in &mut self.sides {
                side.snapshots.push(side.db.snapshot());
            }
        }
        Ok(())
    }

    fn release_snapshot(&mut self, number: usize) -> Outcome {
        if !self.views.is_empty() {
            let number = number % self.views.len();
            self.views.remove(number);
            for side in &mut self.sides {
                side.snapshots.remove(number);
            }
        }
        Ok(())
    }

    fn new_iterator(&mut self, slot: usize, snapshot: Option<usize>) -> Outcome {
        let snapshot = snapshot.filter(|_| !self.views.is_empty()).map(|number| number % self.views.len());
        let view = snapshot.map_or_else(|| self.model.view(), |number| self.views[number].clone());
        self.cursors[slot] = Some(self.model.cursor(view));
        for side in &mut self.sides {
            let iterator = side.db.iterator(snapshot.map(|number| &side.snapshots[number]));
            if iterator.valid() {
                return Err(format!("{:?}: a new iterator is valid", side.library));
            }
            side.iterators[slot] = Some(iterator);
        }
        Ok(())
    }

    fn move_iterator(&mut self, slot: usize, step: Move, times: usize) -> Outcome {
        for _ in 0..times {
            let Some(cursor) = &mut self.cursors[slot] else { return Ok(()) };
            if matches!(step, Move::Next | Move::Prev) && cursor.entry().is_none() {
                return Ok(());
            }
            cursor.step(step, |number| self.history.key(number));
            for side in &mut self.sides {
                let iterator =
                    side.iterators[slot].as_mut().expect("every side has the iterators of the model");
                match step {
                    Move::First => iterator.seek_to_first(),
                    Move::Last => iterator.seek_to_last(),
                    Move::Seek(number) => iterator.seek(self.history.key(number)),
                    Move::Next => iterator.next(),
                    Move::Prev => iterator.prev(),
                }
                same_entry(side.library, &format!("iterator {slot}, {step:?}"), iterator, cursor)?;
            }
        }
        Ok(())
    }

    /// Checks all entries, in both directions, and that the number of files of each level is a number.
    fn check_everything(&self) -> Outcome {
        for side in &self.sides {
            for (first, step) in [(Move::First, Move::Next), (Move::Last, Move::Prev)] {
                let mut cursor = self.model.cursor(self.model.view());
                let mut iterator = side.db.iterator(None);
                match first {
                    Move::First => iterator.seek_to_first(),
                    _ => iterator.seek_to_last(),
                }
                cursor.step(first, |_| &[]);
                loop {
                    same_entry(side.library, "a whole iteration", &iterator, &cursor)?;
                    if cursor.entry().is_none() {
                        break;
                    }
                    match step {
                        Move::Next => iterator.next(),
                        _ => iterator.prev(),
                    }
                    cursor.step(step, |_| &[]);
                }
            }
            for level in 0..7 {
                let count = side.db.property(&format!("leveldb.num-files-at-level{level}"));
                if count.as_deref().and_then(|text| text.parse::<u32>().ok()).is_none() {
                    return Err(format!("{:?}: files at level {level}: {count:?}", side.library));
                }
            }
        }
        Ok(())
    }
}

fn same_value(side: &Side, what: &str, key: &[u8], found: Option<&[u8]>, expected: Option<Value>) -> Outcome {
    if found == expected.map(Value::bytes).as_deref() {
        return Ok(());
    }
    let (key, found) = (key.escape_ascii(), found.map(<[u8]>::len));
    Err(format!(
        "{:?}: {what} of \"{key}\": expected {expected:?}, found a value of {found:?} bytes",
        side.library
    ))
}

fn same_entry(library: &Library, what: &str, iterator: &Iterator, cursor: &Cursor) -> Outcome {
    iterator.status().map_err(|error| format!("{library:?}: {what}: {error}"))?;
    let found = iterator.valid().then(|| (iterator.key(), iterator.value()));
    let expected = cursor.entry();
    let same = match (found, expected) {
        (None, None) => true,
        (Some((key, value)), Some((expected_key, expected_value))) => {
            key == expected_key && value == expected_value.bytes()
        }
        _ => false,
    };
    if same {
        return Ok(());
    }
    let found = found.map(|(key, value)| format!("\"{}\" with {} bytes", key.escape_ascii(), value.len()));
    let expected = expected.map(|(key, value)| format!("\"{}\" with {value:?}", key.escape_ascii()));
    Err(format!("{library:?}: {what}: expected {expected:?}, found {found:?}"))
}
