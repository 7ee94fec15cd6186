//! The functions of std's `os::unix::fs`, green.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs as std_unix;
use std::path::Path;

use super::{on, on_two};
use crate::threadpool::{is_for_pool, try_blocking};

/// Makes a symbolic link; [`std::os::unix::fs::symlink`].
///
/// # Errors
///
/// As std's.
pub fn symlink<P: AsRef<Path>, Q: AsRef<Path>>(original: P, link: Q) -> io::Result<()> {
    on_two(original.as_ref(), link.as_ref(), std_unix::symlink)
}

/// Changes the owner and the group of a file; [`std::os::unix::fs::chown`].
///
/// # Errors
///
/// As std's.
pub fn chown<P: AsRef<Path>>(dir: P, uid: Option<u32>, gid: Option<u32>) -> io::Result<()> {
    on(dir.as_ref(), move |dir| std_unix::chown(dir, uid, gid))
}

/// Changes the owner and the group of an open file; [`std::os::unix::fs::fchown`].
///
/// # Errors
///
/// As std's; on a hub also if no duplicate of the descriptor, which the pool works on, can be made.
pub fn fchown<F: AsFd>(fd: F, uid: Option<u32>, gid: Option<u32>) -> io::Result<()> {
    if !is_for_pool() {
        return std_unix::fchown(fd, uid, gid);
    }
    let fd = fd.as_fd().try_clone_to_owned()?;
    try_blocking(move || std_unix::fchown(fd, uid, gid))?
}

/// Changes the owner and the group of a file, of a symbolic link itself; [`std::os::unix::fs::lchown`].
///
/// # Errors
///
/// As std's.
pub fn lchown<P: AsRef<Path>>(dir: P, uid: Option<u32>, gid: Option<u32>) -> io::Result<()> {
    on(dir.as_ref(), move |dir| std_unix::lchown(dir, uid, gid))
}

/// Changes the root directory of the process; [`std::os::unix::fs::chroot`].
///
/// # Errors
///
/// As std's.
pub fn chroot<P: AsRef<Path>>(dir: P) -> io::Result<()> {
    on(dir.as_ref(), std_unix::chroot)
}
