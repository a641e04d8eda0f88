//! Rules: which operations, and what becomes of them.
//!
//! Thread rule: a rule is met by any number of threads at once, and its handle used from any.

use crate::env::Env;
use crate::error::Error;
use crate::util::lock::{Condvar, Mutex};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a test waits for what never happens.
const PATIENCE: Duration = Duration::from_secs(60);

/// Kinds of operations.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum FaultKind {
    /// Opening a file for reading.
    Open,
    /// Reading from a file.
    Read,
    /// Creating a file or a log, or opening one for writing.
    Create,
    /// Appending bytes or a record.
    Append,
    /// Cutting off what a failed append may have left.
    TakeBack,
    /// Handing buffered bytes to the system.
    Flush,
    /// Making a file's contents durable.
    Sync,
    /// Closing a file (not dropping it).
    Close,
    /// Making a directory's names durable.
    SyncDir,
    /// Renaming.
    Rename,
    /// Removing a file.
    Remove,
    /// Listing a directory.
    Children,
    /// Creating a directory.
    CreateDir,
    /// Removing a directory.
    RemoveDir,
    /// Asking for a file's length.
    FileSize,
    /// Taking a lock file.
    Lock,
    /// Starting a thread.
    Spawn,
}

impl FaultKind {
    /// All kinds.
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

/// What goes wrong. Without further words: every operation of the given kinds fails with EIO.
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
    /// Operations of these kinds.
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

    /// All operations.
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

    /// Logs cannot be synced.
    pub fn log_sync_error() -> Self {
        Self::new([FaultKind::Sync]).path_suffix(".log")
    }

    /// Only of paths that end so.
    pub fn path_suffix(mut self, suffix: &str) -> Self {
        self.suffix = Some(suffix.to_owned());
        self
    }

    /// Only of paths that contain this.
    pub fn path_contains(mut self, part: &str) -> Self {
        self.part = Some(part.to_owned());
        self
    }

    /// Acts from the nth such operation on; the first is 1.
    pub fn nth(mut self, nth: u64) -> Self {
        self.nth = nth;
        self
    }

    /// Acts on the nth such operation alone.
    pub fn once(mut self) -> Self {
        self.once = true;
        self
    }

    /// Fails with this error number rather than EIO.
    pub fn errno(mut self, errno: i32) -> Self {
        self.errno = errno;
        self
    }

    /// A failing append leaves its first `bytes` bytes in the file.
    pub fn short_write(mut self, bytes: usize) -> Self {
        self.short = Some(bytes);
        self
    }

    /// A failing operation is carried out all the same: its outcome is not what it says.
    pub fn after(mut self) -> Self {
        self.after = true;
        self
    }

    /// Makes the operation late, by the environment's clock, instead of failing it.
    pub fn delay_micros(mut self, micros: u64) -> Self {
        self.action = Action::Delay { micros };
        self
    }

    /// Holds the operation until [`FaultHandle::release`], or until the handle is dropped, instead of failing it.
    pub fn hold(mut self) -> Self {
        self.action = Action::Hold;
        self
    }

    /// Counts only.
    pub fn count_only(mut self) -> Self {
        self.action = Action::Count;
        self
    }

    /// Calls `hook` with the kind and the path at every hit, before anything else happens: to note, or to change something
    /// underneath (a failed fsync on a `MemEnv`: `move |_, path| mem.forget_unsynced(path)`).
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
    /// How many bytes of an append are written.
    pub short: Option<usize>,
    /// Carry it out first.
    pub after: bool,
}

impl Failure {
    /// Of an append to a file that may take `room` bytes more (EFBIG).
    pub(super) fn too_large(room: u64) -> Self {
        Failure { errno: libc::EFBIG, short: Some(room as usize), after: false }
    }

    /// The error for an operation on `path`.
    pub fn error(&self, path: &Path) -> Error {
        Error::from_errno(path, self.errno)
    }
}

#[derive(Default)]
struct Progress {
    disabled: bool,
    removed: bool,
    /// Operations that are held pass from now on.
    released: bool,
    matches: u64,
    hits: u64,
    last_hit: Option<(FaultKind, PathBuf)>,
}

/// A rule at work.
pub struct RuleState {
    rule: FaultRule,
    progress: Mutex<Progress>,
    changed: Condvar,
}

impl RuleState {
    /// Has met nothing yet.
    pub fn new(rule: FaultRule) -> Self {
        RuleState { rule, progress: Mutex::default(), changed: Condvar::new() }
    }

    /// Was the handle dropped?
    pub fn is_removed(&self) -> bool {
        self.progress.lock().removed
    }

    /// Looks at an operation, acts on it if it is to, and says how it is to fail, if it is to.
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

/// A rule that was added; it is taken away when this is dropped.
#[must_use = "the rule is taken away when its handle is dropped"]
pub struct FaultHandle(Arc<RuleState>);

impl FaultHandle {
    /// The handle of a rule.
    pub(super) fn new(state: Arc<RuleState>) -> Self {
        FaultHandle(state)
    }

    /// Operations that were acted on so far.
    pub fn hits(&self) -> u64 {
        self.0.progress.lock().hits
    }

    /// Operations of the rule's kinds and paths so far, those that were let pass included.
    pub fn matches(&self) -> u64 {
        self.0.progress.lock().matches
    }

    /// The last operation that was acted on.
    pub fn last_hit(&self) -> Option<(FaultKind, PathBuf)> {
        self.0.progress.lock().last_hit.clone()
    }

    /// Switches the rule off, letting go what it holds, or on again. While it is off it does not count.
    pub fn set_enabled(&self, enabled: bool) {
        self.0.update(|progress| progress.disabled = !enabled);
    }

    /// Lets go the operations that are held, and those that come.
    pub fn release(&self) {
        self.0.update(|progress| progress.released = true);
    }

    /// Waits until `hits` operations were acted on (those held, too). False if that does not happen within a minute.
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
