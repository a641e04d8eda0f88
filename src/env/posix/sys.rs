//! System calls that std does not offer, as safe functions: advice, preallocation, vectored positioned
//! writes, a close that reports errors, limits, local time.
//!
//! Every call except close is repeated when a signal interrupts it. Errors are plain `io::Error`s; callers
//! add the path.
//!
//! Thread rule: any thread.

#![allow(unsafe_code)]

use crate::util::fork::ProcessGeneration;
use std::fs::File;
use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, IntoRawFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::OnceLock;

/// Repeats `call` while a signal interrupts it.
pub fn retry<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            outcome => return outcome,
        }
    }
}

/// The `Result` of a system call that returns -1 and sets errno on failure.
pub fn check(returned: libc::c_int) -> io::Result<()> {
    if returned == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Closes a file and reports errors of the file system. Never repeated: on Linux the descriptor is closed
/// even if a signal interrupted the call, and its number may already be another file's.
pub fn close(file: File) -> io::Result<()> {
    // SAFETY: into_raw_fd gives up ownership, so this is the one close of a descriptor that is open.
    match check(unsafe { libc::close(file.into_raw_fd()) }) {
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
        outcome => outcome,
    }
}

/// The size of a memory page in bytes, a power of two.
pub fn page_size() -> u64 {
    static PAGE_SIZE: OnceLock<u64> = OnceLock::new();
    *PAGE_SIZE.get_or_init(|| {
        // SAFETY: sysconf has no preconditions.
        let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
        u64::try_from(size).ok().filter(|size| size.is_power_of_two()).unwrap_or(4096)
    })
}

/// The number of descriptors that the process may have; `None` if the system does not tell.
pub fn descriptor_limit() -> Option<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a struct rlimit, which the call fills.
    check(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) }).ok()?;
    Some(limit.rlim_cur)
}

/// The bytes of address space that the process may have; `None` if there is no limit.
pub fn address_space_limit() -> Option<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: as in `descriptor_limit`.
    check(unsafe { libc::getrlimit(libc::RLIMIT_AS, &mut limit) }).ok()?;
    (limit.rlim_cur != libc::RLIM_INFINITY).then_some(limit.rlim_cur)
}

/// Allocates disk blocks that read as zeros for `[offset, offset + length)` of the file, and extends the file
/// to that length.
pub fn allocate(file: &File, offset: u64, length: u64) -> io::Result<()> {
    let offset = libc::off_t::try_from(offset).map_err(|_| io::Error::from_raw_os_error(libc::EFBIG))?;
    let length = libc::off_t::try_from(length).map_err(|_| io::Error::from_raw_os_error(libc::EFBIG))?;
    // SAFETY: the descriptor is open for the whole call; fallocate touches no memory of ours.
    retry(|| check(unsafe { libc::fallocate(file.as_raw_fd(), 0, offset, length) }))
}

/// Makes the first bytes of the file at `source` the first bytes of the empty `file`, by reference, if the
/// file system can. Returns how many, at most `length`: whole blocks. Whatever else happens is 0, and the
/// file stays empty.
pub fn share_beginning(file: &File, source: &Path, length: u64) -> u64 {
    #[cfg(target_os = "linux")]
    {
        let share = || {
            let source = File::open(source)?;
            let shared = length - length % source.metadata()?.blksize().max(1);
            let range = libc::file_clone_range {
                src_fd: i64::from(source.as_raw_fd()),
                src_offset: 0,
                src_length: shared, // 0 would be the whole file
                dest_offset: 0,
            };
            if shared == 0 {
                return Ok(0);
            }
            // SAFETY: both descriptors are open for the whole call, which reads `range` and no other memory.
            retry(|| check(unsafe { libc::ioctl(file.as_raw_fd(), libc::FICLONERANGE as _, &range) }))?;
            io::Result::Ok(shared)
        };
        share().unwrap_or(0)
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (file, source, length);
        0
    }
}

/// Advises the system that the file will be read from its beginning to its end.
pub fn advise_sequential(file: &File) {
    // SAFETY: the descriptor is open for the whole call. A failure of a hint does not matter.
    unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_SEQUENTIAL) };
}

/// Advises the system that `[offset, offset + length)` of the file will be read soon.
pub fn advise_will_need(file: &File, offset: u64, length: u64) {
    let (Ok(offset), Ok(length)) = (libc::off_t::try_from(offset), libc::off_t::try_from(length)) else {
        return;
    };
    // SAFETY: as in `advise_sequential`.
    unsafe { libc::posix_fadvise(file.as_raw_fd(), offset, length, libc::POSIX_FADV_WILLNEED) };
}

/// Has the system begin to write the file's dirty pages to the device, without waiting. Makes nothing
/// durable; the next sync reports write errors. Files that do not support this are no error.
pub fn begin_write_back(file: &File) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        // SAFETY: the descriptor is open for the whole call; sync_file_range touches no memory of ours.
        let call =
            || check(unsafe { libc::sync_file_range(file.as_raw_fd(), 0, 0, libc::SYNC_FILE_RANGE_WRITE) });
        match retry(call) {
            Err(error)
                if !matches!(
                    error.raw_os_error(),
                    Some(libc::EINVAL | libc::ESPIPE | libc::ENOSYS | libc::EPERM)
                ) =>
            {
                return Err(error);
            }
            _ => {}
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = file;
    Ok(())
}

/// The largest size in bytes of a file that this process writes (RLIMIT_FSIZE); `u64::MAX` if there is no
/// limit.
pub fn file_size_limit() -> u64 {
    // SAFETY: two integers, for which zero is a value.
    let mut limit: libc::rlimit = unsafe { std::mem::zeroed() };
    // SAFETY: getrlimit writes the struct that it is given.
    match unsafe { libc::getrlimit(libc::RLIMIT_FSIZE, &mut limit) } {
        0 if limit.rlim_cur != libc::RLIM_INFINITY => limit.rlim_cur,
        _ => u64::MAX,
    }
}

/// True if stores through a mapping into allocated blocks of the empty `file` never fail: on tmpfs, and on
/// ext4 unless it journals data. False for unknown file systems.
pub fn takes_mapped_writes(file: &File) -> bool {
    const EXT4: u64 = 0xef53;
    const TMPFS: u64 = 0x0102_1994;
    match file_system_type(file) {
        Ok(TMPFS) => true,
        Ok(EXT4) => !journals_data(file).unwrap_or(true),
        _ => false,
    }
}

/// True if ext4 writes the data of this file through its journal, because of a mount option, a default of the
/// file system or a flag of the file. `None` if this cannot be determined.
fn journals_data(file: &File) -> Option<bool> {
    match takes_direct_reads(file) {
        Some(takes) => Some(!takes),
        None => mount_journals_data(file).map(|journals| journals || is_flagged_to_journal(file)),
    }
}

/// True if the file system can read and write this file without the page cache (direct I/O). ext4 can (it
/// says so from Linux 6.1 on), except for files whose data it journals or keeps in the inode. `None` if the
/// system does not tell.
fn takes_direct_reads(file: &File) -> Option<bool> {
    const STATX_DIOALIGN: u32 = 0x2000;
    /// The size of the kernel's struct statx, in bytes. Its first field is the mask of the fields that were
    /// filled in.
    const SIZE: usize = 256;
    /// The offset of the field `stx_dio_mem_align`: the alignment of memory for direct I/O, 0 if there is no
    /// direct I/O.
    const DIO_MEM_ALIGN: usize = 0x98;
    let mut answer = [0u32; SIZE / 4];
    // SAFETY: an empty path with AT_EMPTY_PATH means the descriptor, which is open; the kernel fills in a
    // struct of 256 bytes.
    let returned = unsafe {
        libc::syscall(
            libc::SYS_statx,
            file.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            STATX_DIOALIGN,
            answer.as_mut_ptr(),
        )
    };
    (returned == 0 && answer[0] & STATX_DIOALIGN != 0).then_some(answer[DIO_MEM_ALIGN / 4] != 0)
}

/// True if the ext4 that holds the file is mounted so that it journals all data. The options under /proc are
/// those in force; the list of mounts omits the defaults of the file system.
fn mount_journals_data(file: &File) -> Option<bool> {
    let device = file.metadata().ok()?.dev();
    let (major, minor) = (libc::major(device), libc::minor(device));
    let link = std::fs::read_link(format!("/sys/dev/block/{major}:{minor}")).ok()?;
    let name = link.file_name()?.to_str()?;
    let options = std::fs::read_to_string(format!("/proc/fs/ext4/{name}/options")).ok()?;
    journals_data_by_options(&options)
}

/// As `mount_journals_data`, from the text of the options, which names the journalling mode whenever there is
/// a journal.
fn journals_data_by_options(options: &str) -> Option<bool> {
    options.lines().find_map(|line| line.trim().strip_prefix("data=")).map(|mode| mode == "journal")
}

/// True if the file has the flag of `chattr +j`, which a file inherits from its directory.
fn is_flagged_to_journal(file: &File) -> bool {
    const FS_JOURNAL_DATA_FL: libc::c_long = 0x4000;
    let mut flags: libc::c_long = 0;
    // SAFETY: FS_IOC_GETFLAGS writes an integer no longer than this one.
    let asked = unsafe { libc::ioctl(file.as_raw_fd(), libc::FS_IOC_GETFLAGS, &mut flags) };
    asked != 0 || flags & FS_JOURNAL_DATA_FL != 0
}

/// The magic number of the file system that holds `file` (statfs's `f_type`).
fn file_system_type(file: &File) -> io::Result<u64> {
    let mut stat = std::mem::MaybeUninit::<libc::statfs>::uninit();
    // SAFETY: `stat` is writable and as large as the kernel's struct statfs.
    retry(|| check(unsafe { libc::fstatfs(file.as_raw_fd(), stat.as_mut_ptr()) }))?;
    // SAFETY: fstatfs succeeded, so it has filled the struct (plain integers).
    let stat = unsafe { stat.assume_init() };
    Ok(stat.f_type as u64)
}

/// Writes the pieces one after another at `offset`. Returns the number of bytes written.
pub fn write_vectored_at(file: &File, pieces: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
    let offset = libc::off_t::try_from(offset).map_err(|_| io::Error::from_raw_os_error(libc::EFBIG))?;
    let count =
        libc::c_int::try_from(pieces.len()).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
    // SAFETY: IoSlice is documented to have the layout of struct iovec; each of the `count` slices describes
    // readable bytes that outlive the call.
    let written = unsafe { libc::pwritev(file.as_raw_fd(), pieces.as_ptr().cast(), count, offset) };
    usize::try_from(written).map_err(|_| io::Error::last_os_error())
}

/// Writes all pieces one after another at `offset`, as many per call as the system takes. The slices are
/// consumed.
pub fn write_all_vectored_at(file: &File, mut pieces: &mut [IoSlice<'_>], mut offset: u64) -> io::Result<()> {
    const MAX_PIECES: usize = 1024; // IOV_MAX
    IoSlice::advance_slices(&mut pieces, 0); // drops empty ones
    while !pieces.is_empty() {
        let count = pieces.len().min(MAX_PIECES);
        let written = retry(|| write_vectored_at(file, &pieces[..count], offset))?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        offset += written as u64;
        IoSlice::advance_slices(&mut pieces, written);
    }
    Ok(())
}

/// A point in time as a wall clock shows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LocalTime {
    /// The year, such as 2026.
    pub year: i64,
    /// 1..=12.
    pub month: u32,
    /// 1..=31.
    pub day: u32,
    /// 0..=23.
    pub hour: u32,
    /// 0..=59.
    pub minute: u32,
    /// 0..=60.
    pub second: u32,
}

/// The local time at `seconds` after the Unix epoch; the epoch itself if the system cannot tell. UTC in a
/// child of `fork`, where the C library's lock of the time zone may be permanently held.
pub fn local_time(seconds: u64) -> LocalTime {
    if ProcessGeneration::current().is_child() {
        return universal_time(seconds);
    }
    let seconds = libc::time_t::try_from(seconds).unwrap_or(0);
    let mut fields = std::mem::MaybeUninit::<libc::tm>::uninit();
    // SAFETY: both pointers are to live objects of the right types; localtime_r is the thread-safe variant.
    let filled = unsafe { libc::localtime_r(&seconds, fields.as_mut_ptr()) };
    if filled.is_null() {
        return LocalTime { year: 1970, month: 1, day: 1, hour: 0, minute: 0, second: 0 };
    }
    // SAFETY: a non-null result means that the struct was filled.
    let fields = unsafe { fields.assume_init() };
    LocalTime {
        year: i64::from(fields.tm_year) + 1900,
        month: fields.tm_mon as u32 + 1,
        day: fields.tm_mday as u32,
        hour: fields.tm_hour as u32,
        minute: fields.tm_min as u32,
        second: fields.tm_sec as u32,
    }
}

/// The UTC time at `seconds` after the Unix epoch.
fn universal_time(seconds: u64) -> LocalTime {
    const SECONDS_A_DAY: u64 = 86_400;
    const DAYS_IN_400_YEARS: u64 = 146_097;
    // Days since the first of March of the year 0, so that a leap day is the last day of a year; years are
    // counted in cycles of 400.
    let days = seconds / SECONDS_A_DAY + 719_468;
    let (era, day_of_era) = (days / DAYS_IN_400_YEARS, days % DAYS_IN_400_YEARS);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // Months since March; every five of them have 153 days.
    let month_of_year = (5 * day_of_year + 2) / 153;
    let month = if month_of_year < 10 { month_of_year + 3 } else { month_of_year - 9 };
    let second = seconds % SECONDS_A_DAY;
    LocalTime {
        year: (year_of_era + era * 400) as i64 + i64::from(month <= 2),
        month: month as u32,
        day: (day_of_year - (153 * month_of_year + 2) / 5 + 1) as u32,
        hour: (second / 3600) as u32,
        minute: (second / 60 % 60) as u32,
        second: (second % 60) as u32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn universal_time_knows_leap_years() {
        let shown = |seconds| {
            let LocalTime { year, month, day, hour, minute, second } = universal_time(seconds);
            format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
        };
        assert_eq!(shown(0), "1970-01-01 00:00:00");
        assert_eq!(shown(951_782_399), "2000-02-28 23:59:59");
        assert_eq!(shown(951_782_400), "2000-02-29 00:00:00");
        assert_eq!(shown(1_709_251_199), "2024-02-29 23:59:59");
        assert_eq!(shown(1_735_689_599), "2024-12-31 23:59:59");
        assert_eq!(shown(4_107_542_400), "2100-03-01 00:00:00");
    }
}
