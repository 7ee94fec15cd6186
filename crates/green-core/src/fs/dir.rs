//! Directories: reading and making them.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::os::unix::fs::{DirBuilderExt, DirEntryExt};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{FileType, Metadata, on};
use crate::interrupt;
use crate::sched::WaitFor;
use crate::threadpool::{Job, is_for_pool, try_blocking};
use crate::time::deadline::Deadline;
use crate::waitq::{NotReady, Wait};

/// How many entries one job reads.
const BATCH: usize = 128;

/// The entries of a directory; [`std::fs::read_dir`].
///
/// # Blocking
///
/// Parks the caller; a cancellation point.
///
/// # Errors
///
/// As std's.
pub fn read_dir<P: AsRef<Path>>(path: P) -> io::Result<ReadDir> {
    let root = path.as_ref().to_owned();
    let batch = on(&root, |path| Ok(Batch::read(std::fs::read_dir(path)?)))?;
    Ok(ReadDir {
        root,
        entries: batch.entries,
        rest: batch.rest,
    })
}

/// An iterator over the entries of a directory; [`std::fs::ReadDir`].
///
/// # Blocking
///
/// `next` parks the caller once for every 128 entries; a cancellation point then. A caller that was interrupted in it and
/// comes back misses no entry.
///
/// # Differences from std
///
/// Entries are read ahead.
///
/// # Examples
///
/// ```
/// let entries = green_core::run(|| green_core::fs::read_dir("/")).unwrap();
/// assert!(entries.map(|entry| entry.unwrap().file_name()).any(|name| name == "tmp"));
/// ```
pub struct ReadDir {
    /// The path that was asked for.
    root: PathBuf,
    /// What was read and not asked for yet.
    entries: VecDeque<io::Result<DirEntry>>,
    /// What comes after `entries`.
    rest: Rest,
}

/// What was not read yet of a directory.
enum Rest {
    /// There may be more.
    Open(std::fs::ReadDir),
    /// A job reads it.
    Reading(Job<Batch>),
    /// There is none.
    End,
}

/// What one job read.
struct Batch {
    entries: VecDeque<io::Result<DirEntry>>,
    rest: Rest,
}

impl UnwindSafe for ReadDir {}
impl RefUnwindSafe for ReadDir {}

impl Batch {
    fn read(mut dir: std::fs::ReadDir) -> Self {
        let entries: VecDeque<_> = dir
            .by_ref()
            .take(BATCH)
            .map(|entry| entry.map(DirEntry::new))
            .collect();
        let rest = if entries.len() < BATCH {
            Rest::End
        } else {
            Rest::Open(dir)
        };
        Self { entries, rest }
    }
}

impl Iterator for ReadDir {
    type Item = io::Result<DirEntry>;

    fn next(&mut self) -> Option<io::Result<DirEntry>> {
        while self.entries.is_empty() {
            let batch = match std::mem::replace(&mut self.rest, Rest::End) {
                Rest::End => return None,
                Rest::Open(dir) if is_for_pool() => {
                    match Job::start(move || Batch::read(dir)) {
                        Ok(job) => self.rest = Rest::Reading(job),
                        Err(error) => return Some(Err(error)),
                    }
                    continue;
                }
                Rest::Open(dir) => Batch::read(dir),
                Rest::Reading(job) => {
                    match job.wait(Wait::new(WaitFor::Blocking, Deadline::Never)) {
                        Ok(batch) => batch,
                        Err(not_ready) => {
                            self.rest = Rest::Reading(job);
                            if let NotReady::Interrupted(interrupt) = not_ready {
                                interrupt::raise(interrupt);
                            }
                            continue;
                        }
                    }
                }
            };
            self.entries = batch.entries;
            self.rest = batch.rest;
        }
        self.entries.pop_front()
    }
}

impl fmt::Debug for ReadDir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ReadDir").field(&self.root).finish()
    }
}

/// An entry of a directory; [`std::fs::DirEntry`].
///
/// # Differences from std
///
/// None.
pub struct DirEntry {
    std: Arc<std::fs::DirEntry>,
    /// What it was when it was read, if the directory knew.
    file_type: Option<FileType>,
}

impl DirEntry {
    fn new(std: std::fs::DirEntry) -> Self {
        Self {
            file_type: std.file_type().ok(),
            std: Arc::new(std),
        }
    }

    /// The path: that of the directory, and the name; [`std::fs::DirEntry::path`].
    pub fn path(&self) -> PathBuf {
        self.std.path()
    }

    /// What the file system says of it, of a symbolic link itself; [`std::fs::DirEntry::metadata`].
    ///
    /// # Blocking
    ///
    /// Parks the caller; a cancellation point.
    ///
    /// # Errors
    ///
    /// As std's.
    pub fn metadata(&self) -> io::Result<Metadata> {
        let std = Arc::clone(&self.std);
        try_blocking(move || std.metadata())?
    }

    /// What it is; [`std::fs::DirEntry::file_type`].
    ///
    /// # Blocking
    ///
    /// Returns at once if the directory knew.
    ///
    /// # Errors
    ///
    /// As std's.
    pub fn file_type(&self) -> io::Result<FileType> {
        if let Some(file_type) = self.file_type {
            return Ok(file_type);
        }
        let std = Arc::clone(&self.std);
        try_blocking(move || std.file_type())?
    }

    /// The name; [`std::fs::DirEntry::file_name`].
    pub fn file_name(&self) -> OsString {
        self.std.file_name()
    }
}

impl DirEntryExt for DirEntry {
    fn ino(&self) -> u64 {
        self.std.ino()
    }
}

impl fmt::Debug for DirEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.std.fmt(f)
    }
}

/// How a directory is to be made; [`std::fs::DirBuilder`].
///
/// # Differences from std
///
/// None.
///
/// # Examples
///
/// ```
/// let dir = std::env::temp_dir().join(format!("green-dir-{}", std::process::id()));
/// green_core::fs::DirBuilder::new().recursive(true).create(dir.join("a/b"))?;
/// green_core::fs::remove_dir_all(dir)?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct DirBuilder {
    /// Whether those above are made too.
    recursive: bool,
    /// The mode, if it is not std's.
    mode: Option<u32>,
}

impl DirBuilder {
    /// One directory with std's mode; [`std::fs::DirBuilder::new`].
    #[expect(clippy::new_without_default, reason = "std's has no `Default`")]
    #[must_use]
    pub fn new() -> Self {
        Self {
            recursive: false,
            mode: None,
        }
    }

    /// Makes those above it that are missing, too; [`std::fs::DirBuilder::recursive`].
    pub fn recursive(&mut self, recursive: bool) -> &mut Self {
        self.recursive = recursive;
        self
    }

    /// Makes the directory; [`std::fs::DirBuilder::create`].
    ///
    /// # Blocking
    ///
    /// Parks the caller; a cancellation point.
    ///
    /// # Errors
    ///
    /// As std's.
    pub fn create<P: AsRef<Path>>(&self, path: P) -> io::Result<()> {
        let std = self.std();
        on(path.as_ref(), move |path| std.create(path))
    }

    /// std's, which is not `Clone`.
    fn std(&self) -> std::fs::DirBuilder {
        let mut std = std::fs::DirBuilder::new();
        std.recursive(self.recursive);
        if let Some(mode) = self.mode {
            std.mode(mode);
        }
        std
    }
}

impl DirBuilderExt for DirBuilder {
    fn mode(&mut self, mode: u32) -> &mut Self {
        self.mode = Some(mode);
        self
    }
}

impl fmt::Debug for DirBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.std().fmt(f)
    }
}
