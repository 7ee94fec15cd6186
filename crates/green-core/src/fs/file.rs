//! An open file.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::SystemTime;

use super::handle::Handle;
use super::{FileTimes, Metadata, OpenOptions, Permissions, TryLockError, line};
use crate::threadpool::{is_for_pool, try_blocking, try_blocking_masked};

/// An open file; [`std::fs::File`].
///
/// # Blocking
///
/// Every operation parks its caller while an OS thread of the pool does it, and is a cancellation point; except that a
/// `read` of a `&mut File` without clones, and a `read_at`, of what is in memory already are done at once in a green thread.
/// Those count as I/O that never waits: after 128 of them in a row, or 1 ms, one parks; and none is done at once for who is
/// to be killed. See [the module](super) for what is left of an operation whose caller was interrupted, and for FIFOs and
/// terminals.
/// `try_clone`, `Debug` and closing, in the destructor, happen in the caller: on a local file system the kernel does not
/// wait in them.
///
/// # Differences from std
///
/// One `read` or `write` moves at most 1 MiB; one `write` to a FIFO at most 4 KiB, and not all of it waits for room. There
/// is no `Read`, `Write` and `Seek` for `Arc<File>`, which only std can have; for `&File` there is.
///
/// What was read from a FIFO, a terminal or a socket for a caller that was interrupted is kept for the next `read` of this
/// `File` or a `try_clone` of it. Nobody finds it in the descriptor: it is gone with the last of them, also if that gives
/// its descriptor away.
///
/// # Platform-specific behavior
///
/// What is in memory is known on ext4, XFS, Btrfs and block devices, from Linux 4.14 on; not on tmpfs, overlayfs and FUSE, and
/// not with `O_DIRECT`. There the pool does all reads.
///
/// # Panics
///
/// The descriptor is given away (`into_raw_fd`, `From`) by its number, unless an operation whose caller was interrupted is
/// still under way; then what is given away is a duplicate, and that panics if the process has no descriptor left.
///
/// # Examples
///
/// ```
/// use std::io::{Read, Seek, Write};
/// use green_core::fs::{self, File};
///
/// let path = std::env::temp_dir().join(format!("green-file-{}", std::process::id()));
/// let mut file = File::options().read(true).write(true).create_new(true).open(&path)?;
/// let text = green_core::run(move || {
///     let mut text = String::new();
///     file.write_all(b"hello")?;
///     file.rewind()?;
///     file.read_to_string(&mut text)?;
///     Ok::<_, std::io::Error>(text)
/// });
/// assert_eq!(text?, "hello");
/// fs::remove_file(path)?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct File {
    /// Shared with jobs that are under way.
    pub(super) handle: Arc<Handle>,
}

impl UnwindSafe for File {}
impl RefUnwindSafe for File {}

impl File {
    /// Opens a file for reading; [`std::fs::File::open`].
    ///
    /// # Blocking
    ///
    /// As [`OpenOptions::open`].
    ///
    /// # Errors
    ///
    /// As std's.
    pub fn open<P: AsRef<Path>>(path: P) -> io::Result<Self> {
        OpenOptions::new().read(true).open(path)
    }

    /// Opens a file for writing, made or emptied; [`std::fs::File::create`].
    ///
    /// # Errors
    ///
    /// As std's.
    pub fn create<P: AsRef<Path>>(path: P) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).open(path)
    }

    /// Makes a new file, for reading and writing; [`std::fs::File::create_new`].
    ///
    /// # Errors
    ///
    /// As std's.
    pub fn create_new<P: AsRef<Path>>(path: P) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true).open(path)
    }

    /// Options of an open; [`std::fs::File::options`].
    #[must_use]
    pub fn options() -> OpenOptions {
        OpenOptions::new()
    }

    /// Has content and metadata written to the disk; [`std::fs::File::sync_all`].
    ///
    /// # Errors
    ///
    /// As std's.
    pub fn sync_all(&self) -> io::Result<()> {
        self.on_pool(std::fs::File::sync_all)
    }

    /// Has the content written to the disk; [`std::fs::File::sync_data`].
    ///
    /// # Errors
    ///
    /// As std's.
    pub fn sync_data(&self) -> io::Result<()> {
        self.on_pool(std::fs::File::sync_data)
    }

    /// Takes the exclusive lock; [`std::fs::File::lock`].
    ///
    /// The lock belongs to the open file, as std's: those who share it through `try_clone` all have it.
    ///
    /// # Blocking
    ///
    /// Parks the caller; a cancellation point, unless an attempt to take the lock is under way. Green threads and `may`
    /// coroutines of this process are served first in, first out, and one of them at a time tries; a caller that comes when
    /// the lock is free takes it at once. When this process gives the lock back, that is noticed at once; when another does,
    /// within 50 ms. OS threads wait in the kernel, which wakes them before our own have a look.
    ///
    /// # Errors
    ///
    /// As std's.
    pub fn lock(&self) -> io::Result<()> {
        self.wait_for_lock(std::fs::File::lock, std::fs::File::try_lock)
    }

    /// Takes a shared lock; [`std::fs::File::lock_shared`].
    ///
    /// # Blocking
    ///
    /// As [`File::lock`]. Who waits for the exclusive lock holds up those who come after it for a shared one.
    ///
    /// # Errors
    ///
    /// As std's.
    pub fn lock_shared(&self) -> io::Result<()> {
        self.wait_for_lock(std::fs::File::lock_shared, std::fs::File::try_lock_shared)
    }

    /// Takes the exclusive lock if it is free; [`std::fs::File::try_lock`].
    ///
    /// # Blocking
    ///
    /// Parks the caller; not a cancellation point.
    ///
    /// # Errors
    ///
    /// As std's.
    pub fn try_lock(&self) -> Result<(), TryLockError> {
        self.attempt(std::fs::File::try_lock)
    }

    /// Takes a shared lock if one is to be had; [`std::fs::File::try_lock_shared`].
    ///
    /// # Blocking
    ///
    /// As [`File::try_lock`].
    ///
    /// # Errors
    ///
    /// As std's.
    pub fn try_lock_shared(&self) -> Result<(), TryLockError> {
        self.attempt(std::fs::File::try_lock_shared)
    }

    /// Gives the lock back; [`std::fs::File::unlock`].
    ///
    /// # Errors
    ///
    /// As std's.
    pub fn unlock(&self) -> io::Result<()> {
        let inode = self.handle.inode()?;
        self.on_pool(move |file| {
            let result = file.unlock();
            line::released(inode);
            result
        })
    }

    /// Changes the length; [`std::fs::File::set_len`].
    ///
    /// # Errors
    ///
    /// As std's.
    pub fn set_len(&self, size: u64) -> io::Result<()> {
        self.on_pool(move |file| file.set_len(size))
    }

    /// What the file system says of it; [`std::fs::File::metadata`].
    ///
    /// # Errors
    ///
    /// As std's.
    pub fn metadata(&self) -> io::Result<Metadata> {
        self.on_pool(std::fs::File::metadata)
    }

    /// Another handle of the same open file; [`std::fs::File::try_clone`].
    ///
    /// # Errors
    ///
    /// As std's.
    pub fn try_clone(&self) -> io::Result<Self> {
        let file = self.handle.file().try_clone()?;
        Ok(Self {
            handle: Arc::new(self.handle.duplicate(file)),
        })
    }

    /// Changes who may do what with it; [`std::fs::File::set_permissions`].
    ///
    /// # Errors
    ///
    /// As std's.
    pub fn set_permissions(&self, perm: Permissions) -> io::Result<()> {
        self.on_pool(move |file| file.set_permissions(perm))
    }

    /// Changes its times; [`std::fs::File::set_times`].
    ///
    /// # Errors
    ///
    /// As std's.
    pub fn set_times(&self, times: FileTimes) -> io::Result<()> {
        self.on_pool(move |file| file.set_times(times))
    }

    /// Changes when it was modified; [`std::fs::File::set_modified`].
    ///
    /// # Errors
    ///
    /// As std's.
    #[inline]
    pub fn set_modified(&self, time: SystemTime) -> io::Result<()> {
        self.set_times(FileTimes::new().set_modified(time))
    }

    /// Whether it is a terminal; std's [`IsTerminal`](std::io::IsTerminal), which only std's types can have.
    pub fn is_terminal(&self) -> bool {
        io::IsTerminal::is_terminal(self.handle.file())
    }

    /// Runs `op`, which waits for nobody else.
    pub(super) fn on_pool<T: Send + 'static>(
        &self,
        op: impl FnOnce(&std::fs::File) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        if !is_for_pool() {
            return op(self.handle.file());
        }
        let handle = Arc::clone(&self.handle);
        try_blocking(move || op(handle.file()))?
    }

    /// One attempt to take a lock.
    fn attempt(
        &self,
        try_lock: fn(&std::fs::File) -> Result<(), TryLockError>,
    ) -> Result<(), TryLockError> {
        // Its destructor will want to know which file it was.
        self.handle.inode().map_err(TryLockError::Error)?;
        let handle = Arc::clone(&self.handle);
        try_blocking_masked(move || try_lock(handle.file())).map_err(TryLockError::Error)?
    }

    fn wait_for_lock(
        &self,
        lock: fn(&std::fs::File) -> io::Result<()>,
        try_lock: fn(&std::fs::File) -> Result<(), TryLockError>,
    ) -> io::Result<()> {
        let inode = self.handle.inode()?;
        if !is_for_pool() {
            return lock(self.handle.file());
        }
        line::wait(inode, || self.attempt(try_lock))
    }
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.handle.file().fmt(f)
    }
}

impl AsFd for File {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.handle.file().as_fd()
    }
}

impl AsRawFd for File {
    fn as_raw_fd(&self) -> RawFd {
        self.handle.file().as_raw_fd()
    }
}

impl IntoRawFd for File {
    fn into_raw_fd(self) -> RawFd {
        self.handle.into_file().into_raw_fd()
    }
}

impl From<std::fs::File> for File {
    fn from(file: std::fs::File) -> Self {
        Self {
            handle: Arc::new(Handle::new(file)),
        }
    }
}

impl From<File> for std::fs::File {
    fn from(file: File) -> Self {
        file.handle.into_file()
    }
}

impl From<OwnedFd> for File {
    fn from(fd: OwnedFd) -> Self {
        Self::from(std::fs::File::from(fd))
    }
}

impl From<File> for OwnedFd {
    fn from(file: File) -> Self {
        file.handle.into_file().into()
    }
}

impl From<File> for Stdio {
    fn from(file: File) -> Self {
        file.handle.into_file().into()
    }
}
