//! The location of a file (a name below a held directory, or any path), and the only code that opens files.
//!
//! A held directory stays the same directory when it is renamed, when another directory takes its name, and
//! when the process changes its current directory. Errors show the path as the caller gave it.
//!
//! Every descriptor opened here is close-on-exec and none of the three standard ones: if those are closed,
//! the program's output must not end up in a database file. Only regular files are opened: a FIFO would
//! block, a device may never end. One exception: a program may name a character device by a path of its own
//! (`/dev/null` for a log), that is by one outside of a held directory; all files of a database are inside of
//! one.
//!
//! Thread rule: any thread.

#![allow(unsafe_code)]

use super::descriptors;
use super::sys::{check, retry};
use crate::error::{Error, Result};
use std::ffi::{CStr, CString, OsStr, OsString};
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

/// Lower descriptors are the standard ones.
const LOWEST_DESCRIPTOR: RawFd = 3;

/// The permissions of new files, as LevelDB's: readable by all, writable by their owner.
const FILE_MODE: libc::mode_t = 0o644;
const DIRECTORY_MODE: libc::mode_t = 0o755;

/// The device and the inode number.
pub type Identity = (u64, u64);

/// What the system reports about a file.
pub struct Status(libc::stat);

impl Status {
    /// The status of an open file.
    pub fn of(file: &File) -> io::Result<Status> {
        // SAFETY: the descriptor is open, and the buffer as large as the struct that is written.
        Self::fill(|buffer| unsafe { libc::fstat(file.as_raw_fd(), buffer) })
    }

    fn fill(mut call: impl FnMut(*mut libc::stat) -> libc::c_int) -> io::Result<Status> {
        let mut buffer = MaybeUninit::<libc::stat>::uninit();
        retry(|| check(call(buffer.as_mut_ptr())))?;
        // SAFETY: the call has succeeded, and so filled the struct.
        Ok(Status(unsafe { buffer.assume_init() }))
    }

    fn kind(&self) -> libc::mode_t {
        self.0.st_mode & libc::S_IFMT
    }

    pub fn is_directory(&self) -> bool {
        self.kind() == libc::S_IFDIR
    }

    pub fn len(&self) -> u64 {
        u64::try_from(self.0.st_size).unwrap_or(0)
    }

    #[allow(clippy::unnecessary_cast)] // the types differ between machines
    pub fn identity(&self) -> Identity {
        (self.0.st_dev as u64, self.0.st_ino as u64)
    }

    /// An error that says what the file is, unless it is a regular file.
    fn require_file(&self, path: &Path) -> Result<()> {
        let what = match self.kind() {
            libc::S_IFREG => return Ok(()),
            libc::S_IFDIR => return Err(Error::from_errno(path, libc::EISDIR)),
            libc::S_IFIFO => "a FIFO",
            libc::S_IFSOCK => "a socket",
            libc::S_IFCHR => "a character device",
            libc::S_IFBLK => "a block device",
            _ => "of an unknown kind",
        };
        Err(Error::io_in(path, format_args!("is {what}, not a regular file")))
    }
}

/// A directory that is held open.
pub struct HeldDirectory {
    directory: File,
    path: PathBuf,
}

impl HeldDirectory {
    /// Holds the directory that has this name now. Needs no permission to read it.
    pub fn open(path: &Path) -> Result<HeldDirectory> {
        let directory = Place::of(path).open(libc::O_PATH | libc::O_DIRECTORY);
        let directory = directory.map_err(|error| Error::from_os(path, &error))?;
        Ok(HeldDirectory { directory, path: path.to_path_buf() })
    }

    /// The location of `path`: below this directory if `path` begins with its path and has only plain names
    /// after that.
    pub fn place<'a>(&'a self, path: &'a Path) -> Place<'a> {
        match path.strip_prefix(&self.path) {
            Ok(name) if name.components().all(|part| matches!(part, Component::Normal(_))) => {
                let name = if name.as_os_str().is_empty() { Path::new(".") } else { name };
                Place { directory: Some(&self.directory), name, path }
            }
            _ => Place::of(path),
        }
    }

    /// True if the path still leads to this directory.
    pub fn has_name(&self, path: &Path) -> bool {
        let (held, named) = (Status::of(&self.directory), Place::of(path).status());
        matches!((held, named), (Ok(held), Ok(named)) if held.identity() == named.identity())
    }
}

/// The location of a file that exists or will exist.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// The directory that `name` is relative to; `None`: `name` is a path.
    directory: Option<&'a File>,
    name: &'a Path,
    /// The path that errors show.
    path: &'a Path,
}

impl<'a> Place<'a> {
    /// The location of any path.
    pub fn of(path: &'a Path) -> Place<'a> {
        Place { directory: None, name: path, path }
    }

    /// The path as the caller gave it.
    pub fn path(&self) -> &'a Path {
        self.path
    }

    fn descriptor(&self) -> RawFd {
        self.directory.map_or(libc::AT_FDCWD, AsRawFd::as_raw_fd)
    }

    fn name(&self) -> io::Result<CString> {
        CString::new(self.name.as_os_str().as_bytes())
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "a path holds a zero byte"))
    }

    /// Adds the path to the error of a call.
    pub fn named<T>(&self, outcome: io::Result<T>) -> Result<T> {
        outcome.map_err(|error| Error::from_os(self.path, &error))
    }

    /// The status of what is there. Symbolic links are followed.
    pub fn status(&self) -> io::Result<Status> {
        let name = self.name()?;
        // SAFETY: the descriptor is open or AT_FDCWD, the name ends with a zero byte, and the buffer is large
        // enough.
        Status::fill(|buffer| unsafe { libc::fstatat(self.descriptor(), name.as_ptr(), buffer, 0) })
    }

    /// EEXIST if anything has this name, even a dangling symbolic link.
    pub fn must_be_free(&self) -> io::Result<()> {
        let (name, flags) = (self.name()?, libc::AT_SYMLINK_NOFOLLOW);
        // SAFETY: as in `status`.
        match Status::fill(|buffer| unsafe { libc::fstatat(self.descriptor(), name.as_ptr(), buffer, flags) })
        {
            Ok(_) => Err(io::Error::from_raw_os_error(libc::EEXIST)),
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// An error that says why this process may not create names in this directory; Ok if it may.
    pub fn is_writable_directory(&self) -> io::Result<()> {
        let (name, mode) = (self.name()?, libc::W_OK | libc::X_OK);
        // SAFETY: as in `status`.
        retry(|| check(unsafe { libc::faccessat(self.descriptor(), name.as_ptr(), mode, libc::AT_EACCESS) }))
    }

    /// Opens a regular file. Never blocks on a FIFO.
    pub fn open_file(&self, flags: libc::c_int) -> Result<File> {
        self.open_checked(flags, Status::require_file)
    }

    /// As `open_file`; a location outside of a held directory may also be a character device.
    pub fn open_file_or_device(&self, flags: libc::c_int) -> Result<File> {
        if self.directory.is_some() {
            return self.open_file(flags);
        }
        self.open_checked(flags, |status, path| match status.kind() {
            libc::S_IFCHR => Ok(()),
            _ => status.require_file(path),
        })
    }

    fn open_checked(&self, flags: libc::c_int, check: fn(&Status, &Path) -> Result<()>) -> Result<File> {
        // Check before opening as well: opening some devices has side effects.
        if flags & libc::O_EXCL == 0
            && let Ok(status) = self.status()
        {
            check(&status, self.path)?;
        }
        let file = self.named(self.open(flags | libc::O_NONBLOCK))?;
        check(&self.named(Status::of(&file))?, self.path)?;
        Ok(file)
    }

    /// Opens a directory for listing or syncing.
    pub fn open_directory(&self) -> io::Result<File> {
        self.open(libc::O_RDONLY | libc::O_DIRECTORY)
    }

    /// All files of databases are opened here, so that a lack of descriptors is handled in one place.
    fn open(&self, flags: libc::c_int) -> io::Result<File> {
        descriptors::with_room(|| self.try_open(flags))
    }

    fn try_open(&self, flags: libc::c_int) -> io::Result<File> {
        let (name, flags) = (self.name()?, flags | libc::O_CLOEXEC | libc::O_NOCTTY);
        // The standard descriptors are plugged so that the file never is one of them, even for a moment in
        // which another thread might print.
        let plugs = StandardDescriptors::plug();
        let file = open_at(self.descriptor(), &name, flags)?;
        drop(plugs);
        let file = above_the_standard_ones(file);
        if file.is_err() && flags & libc::O_EXCL != 0 {
            let _ = self.unlink(0); // created just now; the caller gets an error
        }
        file
    }

    /// Unlinks the name.
    pub fn remove_file(&self) -> io::Result<()> {
        self.unlink(0)
    }

    /// Removes an empty directory.
    pub fn remove_directory(&self) -> io::Result<()> {
        self.unlink(libc::AT_REMOVEDIR)
    }

    fn unlink(&self, flags: libc::c_int) -> io::Result<()> {
        let name = self.name()?;
        // SAFETY: as in `status`.
        retry(|| check(unsafe { libc::unlinkat(self.descriptor(), name.as_ptr(), flags) }))
    }

    pub fn create_directory(&self) -> io::Result<()> {
        let name = self.name()?;
        // SAFETY: as in `status`.
        retry(|| check(unsafe { libc::mkdirat(self.descriptor(), name.as_ptr(), DIRECTORY_MODE) }))
    }

    /// Renames what is here to the location `to`.
    pub fn rename_to(&self, to: &Place<'_>) -> io::Result<()> {
        let (from_name, to_name) = (self.name()?, to.name()?);
        retry(|| {
            // SAFETY: as in `status`, twice.
            check(unsafe {
                libc::renameat(self.descriptor(), from_name.as_ptr(), to.descriptor(), to_name.as_ptr())
            })
        })
    }

    /// The names in a directory, without `.` and `..`.
    pub fn children(&self) -> io::Result<Vec<OsString>> {
        Listing::of(self.open_directory()?)?.read()
    }
}

fn open_at(directory: RawFd, name: &CStr, flags: libc::c_int) -> io::Result<File> {
    retry(|| {
        // SAFETY: the descriptor is open or AT_FDCWD, and the name ends with a zero byte.
        let opened = unsafe { libc::openat(directory, name.as_ptr(), flags, FILE_MODE) };
        check(opened)?;
        // SAFETY: opened just now, and owned by nobody else.
        Ok(unsafe { File::from_raw_fd(opened) })
    })
}

/// The same open file under a descriptor that is not a standard one.
fn above_the_standard_ones(file: File) -> io::Result<File> {
    if file.as_raw_fd() >= LOWEST_DESCRIPTOR {
        return Ok(file);
    }
    // SAFETY: the descriptor is open.
    let other = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_DUPFD_CLOEXEC, LOWEST_DESCRIPTOR) };
    match check(other).map_err(|error| error.raw_os_error()) {
        // SAFETY: made just now, and owned by nobody else.
        Ok(()) => Ok(unsafe { File::from_raw_fd(other) }),
        // The limit does not allow that many descriptors at all.
        Err(Some(libc::EINVAL)) => Err(io::Error::from_raw_os_error(libc::EMFILE)),
        Err(errno) => Err(io::Error::from_raw_os_error(errno.unwrap_or(libc::EMFILE))),
    }
}

/// Occupies the numbers of closed standard descriptors while it exists. The plugs can neither be read nor
/// written.
struct StandardDescriptors {
    _plugs: [Option<OwnedFd>; LOWEST_DESCRIPTOR as usize],
}

impl StandardDescriptors {
    fn plug() -> StandardDescriptors {
        let plug = |descriptor: usize| {
            // SAFETY: fcntl may be asked about any number.
            let is_open = unsafe { libc::fcntl(descriptor as RawFd, libc::F_GETFD) } != -1;
            let flags = libc::O_PATH | libc::O_DIRECTORY | libc::O_CLOEXEC;
            // If the plug cannot be opened, the file is moved afterwards.
            if is_open { None } else { open_at(libc::AT_FDCWD, c"/", flags).ok().map(OwnedFd::from) }
        };
        StandardDescriptors { _plugs: std::array::from_fn(plug) }
    }
}

/// A directory stream.
struct Listing(*mut libc::DIR);

impl Listing {
    fn of(directory: File) -> io::Result<Listing> {
        // SAFETY: the descriptor is open; on success the stream owns it.
        let stream = unsafe { libc::fdopendir(directory.as_raw_fd()) };
        if stream.is_null() {
            return Err(io::Error::last_os_error());
        }
        let _ = directory.into_raw_fd();
        Ok(Listing(stream))
    }

    fn read(&mut self) -> io::Result<Vec<OsString>> {
        let mut names = Vec::new();
        loop {
            // SAFETY: errno is this thread's; the stream is open and used only here; the name of an entry
            // ends with a zero byte and is valid until the next call.
            let name = unsafe {
                *libc::__errno_location() = 0;
                let entry = libc::readdir(self.0);
                if entry.is_null() {
                    let error = io::Error::last_os_error();
                    return if error.raw_os_error() == Some(0) { Ok(names) } else { Err(error) };
                }
                OsStr::from_bytes(CStr::from_ptr((*entry).d_name.as_ptr()).to_bytes())
            };
            if name != "." && name != ".." {
                names.push(OsString::from_vec(name.as_bytes().to_vec()));
            }
        }
    }
}

impl Drop for Listing {
    fn drop(&mut self) {
        // SAFETY: the stream is open, and its only owner is being dropped.
        unsafe { libc::closedir(self.0) };
    }
}
