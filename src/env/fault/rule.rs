//! Rules: which operations they match, and what they do to them.
//!
//! Thread rule: any number of threads may meet a rule at the same time and use its handle.

use crate::env::Env;
use crate::error::Error;
use crate::util::lock::{Condvar, Mutex};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a test waits for hits that never come.
const PATIENCE: Duration = Duration::from_secs(60);

/// The kinds of operations.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum FaultKind {
    /// `Env::open_sequential` and `Env::open_random_access`.
    Open,
    /// Reads of sequential and random-access files.
    Read,
    /// `Env::create_writable` and `Env::create_log`.
    Create,
    /// Appends of bytes and of records.
    Append,
    /// `WritableFile::take_back`.
    TakeBack,
    /// `WritableFile::flush`.
    Flush,
    /// `WritableFile::sync`.
    Sync,
    /// `WritableFile::close` and `close_unneeded`; not a drop.
    Close,
    /// `Env::sync_dir`.
    SyncDir,
    /// `Env::rename`.
    Rename,
    /// `Env::remove_file`.
    Remove,
    /// `Env::children`.
    Children,
    /// `Env::create_dir`.
    CreateDir,
    /// `Env::remove_dir`.
    RemoveDir,
    /// `Env::file_size`.
    FileSize,
    /// `Env::lock_file`.
    Lock,
    /// `Env::spawn`.
    Spawn,
}

impl FaultKind {
    /// All kinds, in the order of their declaration.
    pub const ALL: [FaultKind; 17] = [
        FaultKind::Open,
        FaultKind::Read,
        FaultKind::Create,
        FaultKind::Append,
        FaultKind::TakeBack,
        FaultKind::Flush,
        FaultKind::Sync,
        FaultKind::Close,
        FaultKind::SyncDir,
        FaultKind::Rename,
        FaultKind::Remove,
        FaultKind::Children,
        FaultKind::CreateDir,
        FaultKind::RemoveDir,
        FaultKind::FileSize,
        FaultKind::Lock,
        FaultKind::Spawn,
    ];
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Action {
    Fail,
    Delay { micros: u64 },
    Hold,
    Count,
}

type Hook = Arc<dyn Fn(FaultKind, &Path) + Send + Sync>;

/// What a rule matches and does. By default every operation of the given kinds fails with EIO.
#[derive(Clone)]
pub struct FaultRule {
    kinds: Vec<FaultKind>,
    suffix: Option<String>,
    part: Option<String>,
    nth: u64,
    once: bool,
    action: Action,
    errno: i32,
    short: Option<usize>,
    after: bool,
    hook: Option<Hook>,
}

impl FaultRule {
    /// A rule for operations of these kinds.
    pub fn new(kinds: impl IntoIterator<Item = FaultKind>) -> Self {
        FaultRule {
            kinds: kinds.into_iter().collect(),
            suffix: None,
            part: None,
            nth: 1,
            once: false,
            action: Action::Fail,
            errno: libc::EIO,
            short: None,
            after: false,
            hook: None,
        }
    }

    /// A rule for all operations.
    pub fn any() -> Self {
        Self::new(FaultKind::ALL)
    }

    /// No file can be created (EROFS).
    pub fn non_writable() -> Self {
        Self::new([FaultKind::Create, FaultKind::CreateDir]).errno(libc::EROFS)
    }

    /// No bytes can be written (ENOSPC).
    pub fn no_space() -> Self {
        Self::new([FaultKind::Append, FaultKind::Flush, FaultKind::Sync]).errno(libc::ENOSPC)
    }

    /// MANIFESTs cannot be synced.
    pub fn manifest_sync_error() -> Self {
        Self::new([FaultKind::Sync]).path_contains("MANIFEST")
    }

    /// MANIFESTs cannot be written.
    pub fn manifest_write_error() -> Self {
        Self::new([FaultKind::Append, FaultKind::Flush]).path_contains("MANIFEST")
    }

    /// WALs cannot be synced.
    pub fn log_sync_error() -> Self {
        Self::new([FaultKind::Sync]).path_suffix(".log")
    }

    /// Restricts the rule to paths that end with `suffix`.
    pub fn path_suffix(mut self, suffix: &str) -> Self {
        self.suffix = Some(suffix.to_owned());
        self
    }

    /// Restricts the rule to paths that contain `part`.
    pub fn path_contains(mut self, part: &str) -> Self {
        self.part = Some(part.to_owned());
        self
    }

    /// Acts from the nth matching operation on; the first is 1.
    pub fn nth(mut self, nth: u64) -> Self {
        self.nth = nth;
        self
    }

    /// Acts on the nth matching operation only.
    pub fn once(mut self) -> Self {
        self.once = true;
        self
    }

    /// Fails with this error number instead of EIO.
    pub fn errno(mut self, errno: i32) -> Self {
        self.errno = errno;
        self
    }

    /// A failing append writes its first `bytes` bytes.
    pub fn short_write(mut self, bytes: usize) -> Self {
        self.short = Some(bytes);
        self
    }

    /// A failing operation is carried out before it fails.
    pub fn after(mut self) -> Self {
        self.after = true;
        self
    }

    /// Delays the operation, by the environment's clock, instead of failing it.
    pub fn delay_micros(mut self, micros: u64) -> Self {
        self.action = Action::Delay { micros };
        self
    }

    /// Holds the operation until [`FaultHandle::release`] is called or the handle is dropped, instead of
    /// failing it.
    pub fn hold(mut self) -> Self {
        self.action = Action::Hold;
        self
    }

    /// Counts the operation and changes nothing.
    pub fn count_only(mut self) -> Self {
        self.action = Action::Count;
        self
    }

    /// Calls `hook` with the kind and the path at every hit, before anything else happens: to record the hit,
    /// or to change the wrapped environment (a failed fsync on a `MemEnv`: `move |_, path|
    /// mem.forget_unsynced(path)`).
    pub fn on_hit(mut self, hook: impl Fn(FaultKind, &Path) + Send + Sync + 'static) -> Self {
        self.hook = Some(Arc::new(hook));
        self
    }

    fn matches(&self, kind: FaultKind, path: &Path) -> bool {
        let path = path.to_string_lossy();
        self.kinds.contains(&kind)
            && self.suffix.as_deref().is_none_or(|suffix| path.ends_with(suffix))
            && self.part.as_deref().is_none_or(|part| path.contains(part))
    }
}

/// How an operation fails.
pub struct Failure {
    errno: i32,
    /// For an append: the number of bytes that are written nevertheless.
    pub short: Option<usize>,
    /// Carry out the operation before it fails.
    pub after: bool,
}

impl Failure {
    /// The failure (EFBIG) of an append to a file that has room for `room` bytes.
    pub(super) fn too_large(room: u64) -> Self {
        Failure { errno: libc::EFBIG, short: Some(room as usize), after: false }
    }

    /// The error of an operation on `path`.
    pub fn error(&self, path: &Path) -> Error {
        Error::from_errno(path, self.errno)
    }
}

#[derive(Default)]
struct Progress {
    disabled: bool,
    removed: bool,
    /// Held operations, and those to come, pass.
    released: bool,
    matches: u64,
    hits: u64,
    last_hit: Option<(FaultKind, PathBuf)>,
}

/// A rule and its progress.
pub struct RuleState {
    rule: FaultRule,
    progress: Mutex<Progress>,
    changed: Condvar,
}

impl RuleState {
    /// A rule that no operation has met.
    pub fn new(rule: FaultRule) -> Self {
        RuleState { rule, progress: Mutex::default(), changed: Condvar::new() }
    }

    /// True once the handle was dropped.
    pub fn is_removed(&self) -> bool {
        self.progress.lock().removed
    }

    /// Checks an operation against the rule, acts on it, and returns how the operation is to fail, if it is.
    pub fn meet(&self, env: &dyn Env, kind: FaultKind, path: &Path, other: Option<&Path>) -> Option<Failure> {
        if !self.rule.matches(kind, path) && !other.is_some_and(|other| self.rule.matches(kind, other)) {
            return None;
        }
        {
            let mut progress = self.progress.lock();
            if progress.disabled || progress.removed {
                return None;
            }
            progress.matches += 1;
            if progress.matches < self.rule.nth || (self.rule.once && progress.matches > self.rule.nth) {
                return None;
            }
            progress.hits += 1;
            progress.last_hit = Some((kind, path.to_path_buf()));
            self.changed.notify_all();
        }
        if let Some(hook) = &self.rule.hook {
            hook(kind, path);
        }
        match self.rule.action {
            Action::Fail => {
                Some(Failure { errno: self.rule.errno, short: self.rule.short, after: self.rule.after })
            }
            Action::Delay { micros } => {
                env.sleep_micros(micros);
                None
            }
            Action::Hold => {
                let mut progress = self.progress.lock();
                while !progress.released && !progress.removed && !progress.disabled {
                    self.changed.wait(&mut progress);
                }
                None
            }
            Action::Count => None,
        }
    }

    fn update(&self, change: impl FnOnce(&mut Progress)) {
        change(&mut self.progress.lock());
        self.changed.notify_all();
    }
}

/// The handle of an added rule. Dropping it removes the rule.
#[must_use = "the rule is taken away when its handle is dropped"]
pub struct FaultHandle(Arc<RuleState>);

impl FaultHandle {
    pub(super) fn new(state: Arc<RuleState>) -> Self {
        FaultHandle(state)
    }

    /// The number of operations that the rule acted on.
    pub fn hits(&self) -> u64 {
        self.0.progress.lock().hits
    }

    /// The number of operations that matched kinds and paths, including those that were let pass.
    pub fn matches(&self) -> u64 {
        self.0.progress.lock().matches
    }

    /// The last operation that the rule acted on.
    pub fn last_hit(&self) -> Option<(FaultKind, PathBuf)> {
        self.0.progress.lock().last_hit.clone()
    }

    /// Disables or enables the rule. Disabling it releases held operations. A disabled rule does not count.
    pub fn set_enabled(&self, enabled: bool) {
        self.0.update(|progress| progress.disabled = !enabled);
    }

    /// Releases held operations; operations to come pass.
    pub fn release(&self) {
        self.0.update(|progress| progress.released = true);
    }

    /// Waits until the rule has acted on `hits` operations (held ones count). False after a minute without
    /// that.
    #[must_use]
    pub fn wait_for_hits(&self, hits: u64) -> bool {
        let deadline = Instant::now() + PATIENCE;
        let mut progress = self.0.progress.lock();
        while progress.hits < hits {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            self.0.changed.wait_for(&mut progress, left);
        }
        true
    }
}

impl Drop for FaultHandle {
    fn drop(&mut self) {
        self.0.update(|progress| progress.removed = true);
    }
}
