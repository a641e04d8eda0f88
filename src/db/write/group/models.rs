//! Writers under every interleaving (up to a number of preemptions): each of them ends, with the result of
//! its own commit, and every entry is written once.

use crate::db::write::group::*;
use crate::util::lock::atomic::AtomicUsize;
use loom::thread;

/// The entries of one byte that groups and single writers have written, in the order of commits.
#[derive(Default)]
struct Log {
    commits: Vec<Vec<u8>>,
    /// Touched in a commit, so that other threads run in between: the checker switches threads only at such
    /// places.
    touched: AtomicUsize,
}

/// Writes one entry as `DbShared::write` does. A commit that includes the entry `fails` fails, with all its
/// entries.
fn write(queue: &WriteQueue<Log>, entry: u8, fails: Option<u8>) -> Result<()> {
    let commit = |log: &mut Log, entries: &[u8]| {
        log.touched.fetch_add(1, Ordering::Relaxed);
        if fails.is_some_and(|fails| entries.contains(&fails)) {
            return Err(Error::io("a full disk"));
        }
        log.commits.push(entries.to_vec());
        Ok(())
    };
    if let Some(mut log) = queue.try_alone() {
        return commit(&mut log, &[entry]);
    }
    let join = |members: &mut Members| {
        members.record.push(entry);
        members.count += 1;
        Ok(())
    };
    let commit_group = |log: &mut Log, members: &mut Members| {
        assert_eq!(members.record.len(), HEADER_SIZE + members.count as usize);
        commit(log, &members.record[HEADER_SIZE..])
    };
    queue.write_in_group(join, commit_group).expect("room in the group")
}

/// Writes an entry, and checks that it can be found from then on if it was acknowledged.
fn write_and_look(queue: &WriteQueue<Log>, entry: u8, fails: Option<u8>) -> Result<()> {
    let result = write(queue, entry, fails);
    let is_written = queue.lock().commits.concat().contains(&entry);
    assert_eq!(is_written, result.is_ok());
    result
}

fn model(writers: u8, fails: Option<u8>) {
    loom::model(move || {
        let queue = Arc::new(WriteQueue::new(Log::default()));
        let threads: Vec<_> = (1..writers)
            .map(|entry| {
                let queue = queue.clone();
                thread::spawn(move || write_and_look(&queue, entry, fails))
            })
            .collect();
        let mut results = vec![write_and_look(&queue, 0, fails)];
        results.extend(threads.into_iter().map(|thread| thread.join().unwrap()));

        assert!(queue.try_alone().is_some(), "nobody is left in the queue");
        let written: Vec<u8> = queue.lock().commits.concat();
        for entry in 0..writers {
            let times = written.iter().filter(|&&other| other == entry).count();
            let is_ok = results[usize::from(entry)].is_ok();
            assert_eq!(times, usize::from(is_ok), "entry {entry} of {written:?}");
            assert!(is_ok || fails.is_some());
        }
        assert!(fails.is_none_or(|fails| results[usize::from(fails)].is_err()));
    });
}

#[test]
fn two_writers() {
    model(2, None);
}

#[test]
fn three_writers() {
    model(3, None);
}

/// One writer that has the turn, two leaders, and a follower of the second.
#[test]
fn four_writers() {
    model(4, None);
}

#[test]
fn three_writers_of_whom_one_fails() {
    model(3, Some(1));
}
