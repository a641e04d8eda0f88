//! The system calls for the locks that LevelDB implementations take on LOCK.
//!
//! A record lock on the whole file excludes LevelDB's fcntl lock, and flock excludes goleveldb's. The record
//! lock belongs to the open file description if the system has such locks (Linux 3.15 and later; not gVisor,
//! not PRoot), else to the process. A lock of the process is lost when the process closes *any* descriptor of
//! the file, and the process does not exclude itself. If neither can be taken, the file cannot be locked,
//! which is an error. flock may be missing (NFS without its daemon, sandboxes) once there is a record lock.
//!
//! Thread rule: any thread.

#![allow(unsafe_code)]

use super::place::Status;
use super::sys::{check, retry};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

/// The owner of a record lock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Owner {
    /// The open file description: the lock ends with its last descriptor.
    OpenFile,
    /// The process: the lock ends when the process closes any descriptor of the file.
    Process,
}

/// Takes both locks without waiting. EAGAIN while another owner holds one of them.
pub fn lock_exclusive(file: &File) -> io::Result<Owner> {
    let owner = take_record_lock(file)?;
    match flock(file, libc::LOCK_EX | libc::LOCK_NB) {
        Err(error) if !is_unsupported(&error) => {
            let _ = set(file, owner, libc::F_UNLCK);
            Err(error)
        }
        _ => Ok(owner),
    }
}

/// Releases both locks, also for every process that has inherited the descriptor.
pub fn unlock(file: &File, owner: Owner) {
    let _ = set(file, owner, libc::F_UNLCK);
    let _ = flock(file, libc::LOCK_UN);
}

/// True if this process has a lock on the file that would end with any of its descriptors (an fcntl lock such
/// as LevelDB's).
pub fn is_locked_by_this_process(file: &File) -> bool {
    let mut lock = whole_file(libc::F_WRLCK);
    // SAFETY: F_OFD_GETLK reads and writes a struct flock, which `lock` is, for the length of the call.
    match retry(|| check(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_GETLK, &mut lock) })) {
        // The holder of an open-file-description lock is reported as -1.
        Ok(()) => {
            lock.l_type != libc::F_UNLCK as libc::c_short
                && u32::try_from(lock.l_pid) == Ok(std::process::id())
        }
        // F_GETLK does not report a process's own locks.
        Err(_) => match (Status::of(file), std::fs::read_to_string("/proc/locks")) {
            (Ok(status), Ok(locks)) => is_listed(&locks, std::process::id(), status.identity().1),
            _ => false,
        },
    }
}

/// True if the text of /proc/locks has a lock of that process on that inode. Devices are not compared: on
/// some file systems the numbers there differ from those of stat.
///
/// `1: POSIX  ADVISORY  WRITE 4242 08:01:131 0 EOF`
fn is_listed(locks: &str, process: u32, inode: u64) -> bool {
    locks.lines().any(|line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let &[_, "POSIX", _, _, holder, file, ..] = fields.as_slice() else { return false };
        holder.parse() == Ok(process) && file.rsplit(':').next().and_then(|n| n.parse().ok()) == Some(inode)
    })
}

fn take_record_lock(file: &File) -> io::Result<Owner> {
    match set(file, Owner::OpenFile, libc::F_WRLCK) {
        Ok(()) => Ok(Owner::OpenFile),
        Err(error) if is_unsupported(&error) => {
            // Check first: F_SETLK would succeed if another library of this process holds the lock.
            if is_locked_by_this_process(file) {
                return Err(io::Error::from_raw_os_error(libc::EAGAIN));
            }
            set(file, Owner::Process, libc::F_WRLCK).map(|()| Owner::Process)
        }
        Err(error) => Err(error),
    }
}

/// True for the errors by which kernels, sandboxes and file systems say that they do not have this kind of
/// lock.
fn is_unsupported(error: &io::Error) -> bool {
    const WORDS: [i32; 5] = [libc::EINVAL, libc::ENOSYS, libc::EOPNOTSUPP, libc::ENOLCK, libc::EPERM];
    error.raw_os_error().is_some_and(|errno| WORDS.contains(&errno))
}

fn whole_file(kind: libc::c_int) -> libc::flock {
    // SAFETY: struct flock is plain integers, for which zero is a value. l_pid must be 0 for this kind of
    // lock.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = kind as libc::c_short;
    lock.l_whence = libc::SEEK_SET as libc::c_short;
    lock
}

fn set(file: &File, owner: Owner, kind: libc::c_int) -> io::Result<()> {
    let command = match owner {
        Owner::OpenFile => libc::F_OFD_SETLK,
        Owner::Process => libc::F_SETLK,
    };
    let lock = whole_file(kind);
    // SAFETY: both commands read a struct flock, which `lock` is, for the length of the call.
    retry(|| check(unsafe { libc::fcntl(file.as_raw_fd(), command, &lock) })).map_err(|error| {
        match error.raw_os_error() {
            Some(libc::EACCES) => io::Error::from_raw_os_error(libc::EAGAIN),
            _ => error,
        }
    })
}

fn flock(file: &File, operation: libc::c_int) -> io::Result<()> {
    // SAFETY: the descriptor is open; flock touches no memory.
    retry(|| check(unsafe { libc::flock(file.as_raw_fd(), operation) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locks_of_a_process_are_found_in_the_list_of_the_system() {
        let list = "1: POSIX  ADVISORY  WRITE 4242 08:01:131 0 EOF\n\
                    2: FLOCK  ADVISORY  WRITE 77 00:2f:500 0 EOF\n\
                    3: OFDLCK ADVISORY  WRITE -1 00:2f:501 0 EOF\n\
                    3: -> POSIX  ADVISORY  WRITE 88 00:2f:502 0 EOF\n\nPOSIX\n";
        assert!(is_listed(list, 4242, 131));
        for (process, inode) in [(4242, 13), (4242, 1131), (424, 131), (77, 500), (88, 502), (0, 0)] {
            assert!(!is_listed(list, process, inode), "{process} {inode}");
        }
        assert!(!is_listed("", 4242, 131));
    }
}
