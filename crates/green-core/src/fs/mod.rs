//! std's `fs`, green: the same names, signatures and errors, and a call that blocks stops its caller only.
//!
//! Linux has no way to wait for a regular file: a read of it either blocks its OS thread or has the data. So every call runs
//! std's function of the same name on an OS thread of the blocking pool while its caller is parked; from a plain OS thread
//! it runs inline. A `read` and a `read_at` of what the kernel has in memory already need no OS thread, and park nobody,
//! where the file system can tell (see [`File`]).
//!
//! ```
//! use std::io::{Read, Write};
//! use green_core::fs::{self, File};
//!
//! let path = std::env::temp_dir().join(format!("green-fs-{}", std::process::id()));
//! let theirs = path.clone();
//! let writer = green_core::spawn(move || File::create(theirs)?.write_all(b"hello"));
//! writer.into_result().unwrap()?;
//! assert_eq!(fs::read_to_string(&path)?, "hello");
//! fs::remove_file(path)?;
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # Parity
//!
//! | std | here | differences |
//! |---|---|---|
//! | the functions | the same | a caller that is interrupted leaves at once; what it asked for is done all the same |
//! | `fs::File` | [`File`] | what was read for an interrupted caller from a file without an offset is kept for the next `read`; one `read` or `write` moves at most 1 MiB; no `Read`, `Write` and `Seek` for `Arc<File>`, which only std can have; `is_terminal` is inherent |
//! | `fs::OpenOptions` | [`OpenOptions`] | none |
//! | `fs::DirBuilder` | [`DirBuilder`] | none |
//! | `fs::{ReadDir, DirEntry}` | [`ReadDir`], [`DirEntry`] | entries are read 128 at a time |
//! | `fs::{FileTimes, FileType, Metadata, Permissions, TryLockError}` | std's | none |
//! | `os::unix::fs::{FileExt, OpenOptionsExt, DirBuilderExt, DirEntryExt}` | std's, implemented by these types | none |
//! | `os::unix::fs::{MetadataExt, PermissionsExt, FileTypeExt}` | std's | none |
//! | the functions of `os::unix::fs` | [`unix`] | as the functions above |
//!
//! The methods of `std::path::Path` that ask the file system (`exists`, `metadata`, `read_dir`, …) are std's and block the
//! hub; the functions here do not.
//!
//! # Interrupts
//!
//! A caller that is killed or timed out abandons its call; the call itself goes on and its result is dropped. So
//! afterwards it is open whether a file was renamed, a write was done, or a read has moved the file's offset: seek before
//! going on with the same file. Every job owns what it works on: the descriptor stays open, and no buffer of the caller is
//! touched, until it is done.
//!
//! What has no offset cannot be sought: a FIFO, a terminal, a socket. There the result of a `read` is kept, and the next
//! `read` of the same [`File`], or of a clone, waits for it and gets it, in parts if its buffer is shorter; an end and an
//! error are results, too. `read_exact`, `read_to_end` and the like are several reads: what those before the interrupted
//! one had read is in the caller's buffer, and with `read_to_string` it is gone.
//!
//! # What may wait for somebody else
//!
//! FIFOs, terminals, sockets and other devices that are opened as files are waited for by the poller, without
//! `O_NONBLOCK`, which others who share the open file would see. *Opening* a FIFO waits for its other end, for nobody knows
//! how long; the pool's OS threads are counted, so such an open takes an OS thread of its own, as it does with std. If its
//! caller is interrupted, that OS thread goes on to wait. [`File::lock`] has a queue in this process and takes
//! no OS thread at all.
//!
//! # Not here
//!
//! The pool: `threadpool`. The poller: [`io`](crate::io).

mod at_once;
mod dir;
mod file;
mod handle;
mod line;
mod open_options;
#[expect(unsafe_code, reason = "`FromRawFd` has an unsafe function")]
mod raw;
mod transfer;
mod turn;
pub mod unix;

pub use std::fs::{FileTimes, FileType, Metadata, Permissions, TryLockError};

pub use dir::{DirBuilder, DirEntry, ReadDir, read_dir};
pub use file::File;
pub use open_options::OpenOptions;

use std::io::{self, Write as _};
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use crate::threadpool::{is_for_pool, try_blocking, try_blocking_apart};
use handle::MOST;

/// Reads a whole file; [`std::fs::read`].
///
/// # Blocking
///
/// Parks the caller; a cancellation point. This is said once for all functions of this module.
///
/// # Errors
///
/// As std's; for all functions of this module also, on a hub, `WouldBlock` if the system refuses the OS thread that is to
/// do it.
pub fn read<P: AsRef<Path>>(path: P) -> io::Result<Vec<u8>> {
    let path = path.as_ref().to_owned();
    opening([path.clone()], move || std::fs::read(path))
}

/// Reads a whole file as text; [`std::fs::read_to_string`].
///
/// # Errors
///
/// As std's.
pub fn read_to_string<P: AsRef<Path>>(path: P) -> io::Result<String> {
    let path = path.as_ref().to_owned();
    opening([path.clone()], move || std::fs::read_to_string(path))
}

/// Makes `contents` the whole content of a file; [`std::fs::write`].
///
/// # Errors
///
/// As std's.
pub fn write<P: AsRef<Path>, C: AsRef<[u8]>>(path: P, contents: C) -> io::Result<()> {
    let (path, contents) = (path.as_ref(), contents.as_ref());
    if !is_for_pool() {
        return std::fs::write(path, contents);
    }
    if contents.len() > MOST {
        return File::create(path)?.write_all(contents);
    }
    let (path, contents) = (path.to_owned(), contents.to_owned());
    opening([path.clone()], move || std::fs::write(path, contents))
}

/// Copies the content and the permissions of a file; [`std::fs::copy`].
///
/// # Errors
///
/// As std's.
pub fn copy<P: AsRef<Path>, Q: AsRef<Path>>(from: P, to: Q) -> io::Result<u64> {
    let (from, to) = (from.as_ref().to_owned(), to.as_ref().to_owned());
    opening([from.clone(), to.clone()], move || std::fs::copy(from, to))
}

/// Renames a file or a directory; [`std::fs::rename`].
///
/// # Errors
///
/// As std's.
pub fn rename<P: AsRef<Path>, Q: AsRef<Path>>(from: P, to: Q) -> io::Result<()> {
    on_two(from.as_ref(), to.as_ref(), std::fs::rename)
}

/// Removes a file; [`std::fs::remove_file`].
///
/// # Errors
///
/// As std's.
pub fn remove_file<P: AsRef<Path>>(path: P) -> io::Result<()> {
    on(path.as_ref(), std::fs::remove_file)
}

/// Removes an empty directory; [`std::fs::remove_dir`].
///
/// # Errors
///
/// As std's.
pub fn remove_dir<P: AsRef<Path>>(path: P) -> io::Result<()> {
    on(path.as_ref(), std::fs::remove_dir)
}

/// Removes a directory with all that is in it; [`std::fs::remove_dir_all`].
///
/// # Errors
///
/// As std's.
pub fn remove_dir_all<P: AsRef<Path>>(path: P) -> io::Result<()> {
    on(path.as_ref(), std::fs::remove_dir_all)
}

/// Makes a directory; [`std::fs::create_dir`].
///
/// # Errors
///
/// As std's.
pub fn create_dir<P: AsRef<Path>>(path: P) -> io::Result<()> {
    on(path.as_ref(), std::fs::create_dir)
}

/// Makes a directory and those above it that are missing; [`std::fs::create_dir_all`].
///
/// # Errors
///
/// As std's.
pub fn create_dir_all<P: AsRef<Path>>(path: P) -> io::Result<()> {
    on(path.as_ref(), std::fs::create_dir_all)
}

/// What the file system says of a file, of the one behind a symbolic link; [`std::fs::metadata`].
///
/// # Errors
///
/// As std's.
pub fn metadata<P: AsRef<Path>>(path: P) -> io::Result<Metadata> {
    on(path.as_ref(), std::fs::metadata)
}

/// What the file system says of a file, of a symbolic link itself; [`std::fs::symlink_metadata`].
///
/// # Errors
///
/// As std's.
pub fn symlink_metadata<P: AsRef<Path>>(path: P) -> io::Result<Metadata> {
    on(path.as_ref(), std::fs::symlink_metadata)
}

/// The absolute path without symbolic links; [`std::fs::canonicalize`].
///
/// # Errors
///
/// As std's.
pub fn canonicalize<P: AsRef<Path>>(path: P) -> io::Result<PathBuf> {
    on(path.as_ref(), std::fs::canonicalize)
}

/// Makes a hard link; [`std::fs::hard_link`].
///
/// # Errors
///
/// As std's.
pub fn hard_link<P: AsRef<Path>, Q: AsRef<Path>>(original: P, link: Q) -> io::Result<()> {
    on_two(original.as_ref(), link.as_ref(), std::fs::hard_link)
}

/// Makes a symbolic link; [`std::fs::soft_link`].
///
/// # Errors
///
/// As std's.
#[deprecated(since = "1.1.0", note = "replaced with `fs::unix::symlink`")]
pub fn soft_link<P: AsRef<Path>, Q: AsRef<Path>>(original: P, link: Q) -> io::Result<()> {
    unix::symlink(original, link)
}

/// Where a symbolic link leads; [`std::fs::read_link`].
///
/// # Errors
///
/// As std's.
pub fn read_link<P: AsRef<Path>>(path: P) -> io::Result<PathBuf> {
    on(path.as_ref(), std::fs::read_link)
}

/// Changes who may do what with a file; [`std::fs::set_permissions`].
///
/// # Errors
///
/// As std's.
pub fn set_permissions<P: AsRef<Path>>(path: P, perm: Permissions) -> io::Result<()> {
    on(path.as_ref(), move |path| {
        std::fs::set_permissions(path, perm)
    })
}

/// Whether there is something at a path; [`std::fs::exists`].
///
/// # Errors
///
/// As std's.
pub fn exists<P: AsRef<Path>>(path: P) -> io::Result<bool> {
    on(path.as_ref(), std::fs::exists)
}

/// Runs `op` with a path, in the pool.
fn on<T: Send + 'static>(
    path: &Path,
    op: impl FnOnce(PathBuf) -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let path = path.to_owned();
    try_blocking(move || op(path))?
}

/// Runs `op` with two paths, in the pool.
fn on_two<T: Send + 'static>(
    a: &Path,
    b: &Path,
    op: impl FnOnce(PathBuf, PathBuf) -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let (a, b) = (a.to_owned(), b.to_owned());
    try_blocking(move || op(a, b))?
}

/// Runs `op`, which opens the files at `paths`: in the pool, unless one of them may have it wait for somebody else.
fn opening<const N: usize, T: Send + 'static>(
    paths: [PathBuf; N],
    op: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    if !is_for_pool() {
        return op();
    }
    let tried = try_blocking(move || {
        if paths.iter().any(|path| may_wait(path)) {
            Err(op)
        } else {
            Ok(op())
        }
    })?;
    match tried {
        Ok(result) => result,
        Err(op) => try_blocking_apart(op)?,
    }
}

/// Whether opening, reading or writing what is at `path` may wait for somebody else.
fn may_wait(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| {
        let kind = metadata.file_type();
        kind.is_fifo() || kind.is_char_device()
    })
}
