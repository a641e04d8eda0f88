//! WAL files: the mapped kind and the plain kind.

use super::*;

#[test]
fn both_kinds_of_log_hold_the_same_bytes_and_end_where_the_last_record_does() {
    let (env, dir) = (env(), dir());
    let lengths =
        [0, 1, 121, 4095, 4096, 4097, 20_000, 32_761, 3, 100, 32_761, 0, 50_000, 300_000, 5, 700_000, 9];
    let mut expected = Vec::new();
    let mut logs: Vec<_> = [PLAIN, MAPPED]
        .iter()
        .enumerate()
        .map(|(index, options)| {
            let path = dir.path().join(format!("{index}.log"));
            (env.create_log(&path, *options).unwrap(), path)
        })
        .collect();
    for (index, &length) in lengths.iter().cycle().take(lengths.len() * 3).enumerate() {
        let (payload, header) = (bytes(index as u64, length), [index as u8 + 1; 7]);
        expected.extend_from_slice(&header);
        expected.extend_from_slice(&payload);
        for (log, path) in &mut logs {
            if index % 2 == 0 || length < 100 {
                log.append_record(&header, &payload).unwrap();
            } else {
                let (first, rest) = payload.split_at(length / 3);
                let mut pieces = [first, &[], &rest[..7], &rest[7..]].map(IoSlice::new);
                log.append_record_in_pieces(&header, &mut pieces).unwrap();
            }
            // Without a flush the records are in the file, and only zeros follow them.
            let contents = std::fs::read(&*path).unwrap();
            assert!(contents.starts_with(&expected), "record {index} of {length} bytes, {path:?}");
            assert!(contents[expected.len()..].iter().all(|&byte| byte == 0));
        }
        if index % 5 == 4 {
            expected.extend_from_slice(&[0; 6]);
        }
        for (log, _) in &mut logs {
            match index % 5 {
                0 => log.sync().unwrap(),
                1 => log.flush().unwrap(),
                4 => log.append(&[0; 6]).unwrap(),
                _ => {}
            }
        }
    }
    let (mut mapped, mapped_path) = logs.pop().unwrap();
    let (plain, plain_path) = logs.pop().unwrap();
    mapped.close().unwrap();
    mapped.close().unwrap();
    assert_eq!(mapped.append_record(&[1; 7], b"").unwrap_err().kind(), ErrorKind::IoError);
    drop(plain);
    assert_eq!(std::fs::read(plain_path).unwrap(), expected);
    assert_eq!(std::fs::read(mapped_path).unwrap(), expected);
}

#[test]
fn a_mapped_log_that_is_dropped_is_cut_and_one_that_is_not_has_a_tail_of_zeros() {
    let (env, dir) = (env(), dir());
    let path = dir.path().join("1.log");
    let mut log = env.create_log(&path, MAPPED).unwrap();
    log.append_record(&[9; 7], b"payload").unwrap();
    let length = env.file_size(&path).unwrap();
    // If the temporary directory is on a file system on which WALs are mapped, space is allocated ahead of
    // the writer.
    assert!(length == 14 || length == sys::page_size(), "{length}");
    drop(log);
    assert_eq!(env.file_size(&path).unwrap(), 14);
}

/// A thousand databases to which little or nothing was written have a thousand small WALs.
#[test]
fn an_empty_log_takes_no_space_and_one_record_no_more_than_a_page() {
    use std::os::unix::fs::MetadataExt;
    let (env, dir) = (env(), dir());
    let path = dir.path().join("1.log");
    let mut log = env.create_log(&path, LogFileOptions { mapped: true, expected_size: 64 << 20 }).unwrap();
    let blocks = || std::fs::metadata(&path).unwrap().blocks() * 512;
    assert_eq!((env.file_size(&path).unwrap(), blocks()), (0, 0));
    log.append_record(&[9; 7], &[7; 100]).unwrap();
    assert!(blocks() <= sys::page_size() && env.file_size(&path).unwrap() <= sys::page_size());
}

#[test]
fn no_record_is_written_nor_space_taken_ahead_beyond_the_limit_on_file_sizes() {
    let (env, dir) = (env(), dir());
    let path = |name: &str| dir.path().join(name);
    // With the second limit a record ends exactly at the limit.
    for limit in [100_500, 100_000] {
        let log = |mapped| {
            let options = LogFileOptions { mapped, expected_size: 64 << 20 };
            env.create_log(&path(&format!("{mapped}-{limit}")), options).unwrap()
        };
        let file = |mode| env.create_writable(&path(&format!("{mode:?}-{limit}")), mode).unwrap();
        let files = [log(false), log(true), file(CreateMode::New), file(CreateMode::Append)];
        for (index, file) in files.into_iter().enumerate() {
            let status = status_of_child_that_logs(file, limit);
            let is_exit = libc::WIFEXITED(status);
            assert!(is_exit && libc::WEXITSTATUS(status) == 100, "{index} {limit} {status:#x}");
        }
    }
}

/// The child exits with the number of records of 1000 bytes that it could log, or ends by a signal.
fn status_of_child_that_logs(mut log: Box<dyn WritableFile>, limit: u64) -> libc::c_int {
    // SAFETY: the child sets a limit for itself, and ends by _exit. Everything else it calls belongs to this
    // library, and no other thread of the parent holds a lock that the child takes.
    unsafe {
        let child = libc::fork();
        if child == 0 {
            // The default action of SIGXFSZ would end the child at the first call beyond the limit.
            libc::signal(libc::SIGXFSZ, libc::SIG_DFL);
            let limit = libc::rlimit { rlim_cur: limit, rlim_max: libc::RLIM_INFINITY };
            libc::setrlimit(libc::RLIMIT_FSIZE, &limit);
            let mut taken = 0;
            let errno = loop {
                match log.append_record(&[9; 7], &[7; 993]) {
                    Ok(()) => taken += 1,
                    Err(error) => break error.errno(),
                }
            };
            // A refused record is refused again, even after `take_back`.
            let _ = log.take_back(taken * 1000);
            let again = log.append_record(&[9; 7], &[7; 993]).map_err(|error| error.errno());
            let is_refused = errno == Some(libc::EFBIG) && again == Err(errno);
            libc::_exit(if is_refused { taken as libc::c_int } else { 255 });
        }
        let mut status = 0;
        assert_eq!(libc::waitpid(child, &mut status, 0), child);
        status
    }
}

#[test]
fn a_mapped_log_takes_no_more_space_ahead_than_an_eighth_of_what_it_is_to_become() {
    let (env, dir) = (env(), dir());
    let path = dir.path().join("1.log");
    let expected_size = 4 << 20;
    let mut log = env.create_log(&path, LogFileOptions { mapped: true, expected_size }).unwrap();
    let payload = [7; 1000];
    for records in 1..=expected_size / 1007 {
        log.append_record(&[9; 7], &payload).unwrap();
        let (size, written) = (env.file_size(&path).unwrap(), records * 1007);
        assert!(size >= written && size <= written + expected_size / 8 + 1, "{size} for {written}");
        assert!(size <= 2 * written + (128 << 10), "{size} for {written}");
    }
}

#[test]
fn who_sees_the_header_of_a_record_sees_its_payload() {
    let (env, dir) = (env(), dir());
    const RECORDS: u64 = 5000;
    for (name, length) in [("stored.log", 3000), ("written.log", 4999)] {
        write_records_while_they_are_read(&env, &dir.path().join(name), RECORDS, length);
    }
}

fn write_records_while_they_are_read(env: &Arc<dyn Env>, path: &Path, records: u64, length: usize) {
    let mut log = env.create_log(path, LogFileOptions { mapped: true, expected_size: 4 << 20 }).unwrap();
    let file = env.open_random_access(path, ReadMode::Positioned).unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut buffer = vec![0; 7 + length];
            for record in 0..records {
                loop {
                    let ended = stop.load(Ordering::Acquire);
                    let at = record * (7 + length as u64);
                    let read = file.read_at(at, &mut buffer[..7]).unwrap();
                    // Readers see half of a header now and then, if it crosses a cache line or the copy is
                    // made in pieces.
                    if read > 0 && buffer[..7] == [record as u8 | 1; 7] {
                        // A separate read: one read of header and payload may copy the payload before the
                        // header.
                        file.read_at(at + 7, &mut buffer[7..]).unwrap();
                        assert!(
                            buffer[7..] == vec![record as u8 | 1; length],
                            "a torn payload in record {record}"
                        );
                        break;
                    }
                    assert!(!ended, "record {record} never came");
                }
            }
        });
        for record in 0..records {
            log.append_record(&[record as u8 | 1; 7], &vec![record as u8 | 1; length]).unwrap();
        }
        stop.store(true, Ordering::Release);
    });
}

#[test]
fn a_process_that_dies_within_a_payload_leaves_no_header() {
    let (env, dir) = (env(), dir());
    for (length, in_pieces) in [(200, false), (3000, false), (20_000, false), (20_000, true)] {
        let path = dir.path().join(format!("{length}{in_pieces}.log"));
        let mut log = env.create_log(&path, LogFileOptions { mapped: true, expected_size: 1 << 20 }).unwrap();
        log.append_record(&[1; 7], b"whole").unwrap();
        if env.file_size(&path).unwrap() == 12 {
            return; // The temporary directory is on a file system that is not mapped.
        }
        // The last 100 bytes of the payload are on a page that cannot be read: copying it kills the child,
        // and writing it is refused.
        let page = sys::page_size() as usize;
        let readable = (length - 100usize).next_multiple_of(page);
        // SAFETY: fresh pages, of which only the child reads the forbidden ones. The child calls nothing that
        // allocates or locks before it ends.
        let status = unsafe {
            let protection = libc::PROT_READ | libc::PROT_WRITE;
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
            let pages = libc::mmap(std::ptr::null_mut(), readable + page, protection, flags, -1, 0);
            assert_ne!(pages, libc::MAP_FAILED);
            let pages = pages.cast::<u8>();
            pages.write_bytes(7, readable);
            assert_eq!(libc::mprotect(pages.add(readable).cast(), page, libc::PROT_NONE), 0);
            let payload = std::slice::from_raw_parts(pages.add(readable + 100 - length), length);
            let child = libc::fork();
            if child == 0 {
                libc::signal(libc::SIGSEGV, libc::SIG_DFL);
                let is_err = if in_pieces {
                    let (first, rest) = payload.split_at(100);
                    let mut pieces = [IoSlice::new(first), IoSlice::new(rest)];
                    log.append_record_in_pieces(&[2; 7], &mut pieces).is_err()
                } else {
                    log.append_record(&[2; 7], payload).is_err()
                };
                libc::_exit(is_err.into());
            }
            let mut status = 0;
            assert_eq!(libc::waitpid(child, &mut status, 0), child);
            status
        };
        assert!(libc::WIFSIGNALED(status) || libc::WEXITSTATUS(status) == 1, "it could read the payload");
        let contents = std::fs::read(&path).unwrap();
        assert!(contents.starts_with(b"\x01\x01\x01\x01\x01\x01\x01whole"));
        assert!(contents[12..].iter().take(7).all(|&byte| byte == 0), "a header without its payload");
    }
}
