//! An environment for unit tests of code that writes records: files in memory, a list of the operations in
//! their order, and operations that fail on request.
//!
//! Thread rule: any thread.

use crate::env::{
    CreateMode, Env, FileLock, LogFileOptions, RandomAccessFile, ReadMode, SequentialFile, WritableFile,
};
use crate::error::{Error, Result};
use crate::util::lock::Mutex;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::IoSlice;
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[derive(Default)]
struct State {
    files: BTreeMap<PathBuf, Vec<u8>>,
    operations: Vec<String>,
    failure: Option<Failure>,
}

/// Makes the next operation fail whose line begins with `prefix`, after an operation whose line begins with
/// `after`.
struct Failure {
    after: Option<String>,
    prefix: String,
    errno: i32,
}

impl State {
    /// Records an operation. Fails if a failure was requested for it.
    fn operate(&mut self, operation: &str, path: &Path) -> Result<()> {
        let line = format!("{operation} {}", path.file_name().unwrap_or_default().to_string_lossy());
        self.operations.push(line.clone());
        let Some(failure) = &mut self.failure else { return Ok(()) };
        if failure.after.is_some() {
            failure.after.take_if(|prefix| line.starts_with(prefix.as_str()));
        } else if line.starts_with(failure.prefix.as_str()) {
            let errno = failure.errno;
            self.failure = None;
            return Err(Error::from_errno(path, errno));
        }
        Ok(())
    }
}

/// Files in memory. Clones share the files.
#[derive(Clone, Default)]
pub(crate) struct FakeEnv(Arc<Mutex<State>>);

impl FakeEnv {
    /// This environment as the engine's trait object.
    pub(crate) fn shared(&self) -> Arc<dyn Env> {
        Arc::new(self.clone())
    }

    /// The bytes of a file, which must exist.
    pub(crate) fn contents(&self, path: &str) -> Vec<u8> {
        self.0.lock().files[Path::new(path)].clone()
    }

    /// Creates or replaces a file.
    pub(crate) fn write(&self, path: &str, contents: &[u8]) {
        self.0.lock().files.insert(path.into(), contents.to_vec());
    }

    /// Makes the next operation fail with `errno` whose line (such as `sync 000003.log`) begins with
    /// `prefix`.
    pub(crate) fn fail_once(&self, prefix: &str, errno: i32) {
        self.0.lock().failure = Some(Failure { after: None, prefix: prefix.to_string(), errno });
    }

    /// As `fail_once`, but only after an operation whose line begins with `after`.
    pub(crate) fn fail_once_after(&self, after: &str, prefix: &str, errno: i32) {
        let after = Some(after.to_string());
        self.0.lock().failure = Some(Failure { after, prefix: prefix.to_string(), errno });
    }

    /// The operations since the last call.
    pub(crate) fn take_operations(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().operations)
    }

    fn create(&self, path: &Path, mode: CreateMode) -> Result<Box<dyn WritableFile>> {
        const EEXIST: i32 = 17;
        let mut state = self.0.lock();
        state.operate("create", path)?;
        let exists = state.files.contains_key(path);
        match mode {
            CreateMode::New if exists => return Err(Error::from_errno(path, EEXIST)),
            CreateMode::Append if exists => {}
            _ => drop(state.files.insert(path.to_path_buf(), Vec::new())),
        }
        Ok(Box::new(FakeFile { env: self.clone(), path: path.to_path_buf() }))
    }
}

struct FakeFile {
    env: FakeEnv,
    path: PathBuf,
}

impl WritableFile for FakeFile {
    fn append(&mut self, data: &[u8]) -> Result<()> {
        let mut state = self.env.0.lock();
        state.operate("append", &self.path)?;
        if let Some(file) = state.files.get_mut(&self.path) {
            file.extend_from_slice(data);
        }
        Ok(())
    }
    fn append_record(&mut self, header: &[u8; 7], payload: &[u8]) -> Result<()> {
        self.append(&[header, payload].concat())
    }
    fn append_record_in_pieces(&mut self, header: &[u8; 7], pieces: &mut [IoSlice<'_>]) -> Result<()> {
        let payload: Vec<u8> = pieces.iter().flat_map(|piece| piece.iter().copied()).collect();
        self.append_record(header, &payload)
    }
    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
    fn sync(&mut self) -> Result<()> {
        self.env.0.lock().operate("sync", &self.path)
    }
    fn close(&mut self) -> Result<()> {
        self.env.0.lock().operate("close", &self.path)
    }
}

struct FakeReader {
    contents: Vec<u8>,
    position: usize,
}

impl SequentialFile for FakeReader {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let rest = &self.contents[self.position..];
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        self.position += length;
        Ok(length)
    }
    fn skip(&mut self, bytes: u64) -> Result<()> {
        self.position = self.contents.len().min(self.position.saturating_add(bytes as usize));
        Ok(())
    }
}

/// A file with these contents.
pub(crate) fn sequential_file(contents: &[u8]) -> Box<dyn SequentialFile> {
    Box::new(FakeReader { contents: contents.to_vec(), position: 0 })
}

const ENOENT: i32 = 2;
const ENOSYS: i32 = 38;

impl Env for FakeEnv {
    fn open_sequential(&self, path: &Path) -> Result<Box<dyn SequentialFile>> {
        let state = self.0.lock();
        let contents = state.files.get(path).ok_or_else(|| Error::from_errno(path, ENOENT))?;
        Ok(sequential_file(contents))
    }
    fn open_random_access(&self, path: &Path, _mode: ReadMode) -> Result<Arc<dyn RandomAccessFile>> {
        Err(Error::from_errno(path, ENOSYS))
    }
    fn create_writable(&self, path: &Path, mode: CreateMode) -> Result<Box<dyn WritableFile>> {
        self.create(path, mode)
    }
    fn create_log(&self, path: &Path, _options: LogFileOptions) -> Result<Box<dyn WritableFile>> {
        self.create(path, CreateMode::New)
    }
    fn exists(&self, path: &Path) -> bool {
        self.0.lock().files.contains_key(path)
    }
    fn children(&self, dir: &Path) -> Result<Vec<OsString>> {
        let state = self.0.lock();
        let names = state.files.keys().filter(|path| path.parent() == Some(dir));
        Ok(names.filter_map(|path| path.file_name()).map(OsString::from).collect())
    }
    fn remove_file(&self, path: &Path) -> Result<()> {
        let mut state = self.0.lock();
        state.operate("remove", path)?;
        state.files.remove(path).map(drop).ok_or_else(|| Error::from_errno(path, ENOENT))
    }
    fn create_dir(&self, _path: &Path) -> Result<()> {
        Ok(())
    }
    fn remove_dir(&self, _path: &Path) -> Result<()> {
        Ok(())
    }
    fn file_size(&self, path: &Path) -> Result<u64> {
        let state = self.0.lock();
        let contents = state.files.get(path).ok_or_else(|| Error::from_errno(path, ENOENT))?;
        Ok(contents.len() as u64)
    }
    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        let mut state = self.0.lock();
        state.operate("rename", to)?;
        let contents = state.files.remove(from).ok_or_else(|| Error::from_errno(from, ENOENT))?;
        state.files.insert(to.to_path_buf(), contents);
        Ok(())
    }
    fn sync_dir(&self, dir: &Path) -> Result<()> {
        self.0.lock().operate("sync directory", dir)
    }
    fn lock_file(&self, path: &Path) -> Result<Box<dyn FileLock>> {
        Err(Error::from_errno(path, ENOSYS))
    }
    fn now_micros(&self) -> u64 {
        0
    }
    fn sleep_micros(&self, _micros: u64) {}
    fn spawn(&self, name: &str, _body: Box<dyn FnOnce() + Send>) -> Result<std::thread::JoinHandle<()>> {
        Err(Error::not_supported(name))
    }
}
