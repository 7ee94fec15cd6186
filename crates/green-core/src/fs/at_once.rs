//! Reads of what is in memory already: done in the caller, without an OS thread of the pool.
//!
//! Used by the reads of [`File`](super::File) before they go to the pool, which costs more than ten times as much.
//!
//! # Protocol
//!
//! Asked with `RWF_NOWAIT`, the kernel copies what its page cache has and stops where it would have to wait, for a device
//! or for a lock. Whatever is missing then is read by the pool, which alone tells errors; so a caller sees the same bytes,
//! in reads of the same size, as if there were no other way.
//!
//! - A short answer that ends where the file ends is whole: it needs no OS thread to say so.
//! - A green thread whose budget is used up, or that is to be killed, is not served: it goes to the pool, where others
//!   run meanwhile and interrupts are delivered. So a loop over a cached file neither keeps its hub nor outlives a
//!   `Timeout`.
//!
//! # Invariants
//!
//! 1. Nothing is in flight when the call returns: the kernel has written to the caller's buffer, or will not. There is
//!    nothing to cancel, and no buffer that must outlive its caller.
//! 2. A read at the file's own offset is the only one that uses it. The kernel has each of them take a lock of the open
//!    file first, with which another one may wait for the device, and not even `RWF_NOWAIT` keeps it from that. The
//!    caller has the `File` exclusively, no job has a share of its handle, and it has no clones. Hence also what is read
//!    in two parts is one piece of the file. (Who shares the open file by other means can still delay the hub.)
//! 3. With `O_DIRECT` the kernel starts the read without waiting, and then waits for it. Such files are not asked; that
//!    is looked at once.
//!
//! What the kernel does besides on the hub's OS thread: it submits a read-ahead where nothing is in memory, and notes the
//! time of access, which may have to wait for the file system's journal; with `relatime`, once a day and after a write.
//!
//! # Not here
//!
//! Writes: ext4 refuses them in this mode, XFS and Btrfs mostly turn them down. See `docs/design/0008-io-uring.md`.

use std::fs;
use std::io::{self, IoSliceMut, Seek as _};

use parking_lot::Mutex;
use rustix::fs::{AtFlags, FileType, OFlags, StatxFlags, fcntl_getfl, statx};
use rustix::io::{Errno, ReadWriteFlags, preadv2};

use super::handle::MOST;
use crate::park::Green;

/// Whether a file answers.
#[derive(Debug, Default)]
pub(super) struct AtOnce(Mutex<Answers>);

/// What is known of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Answers {
    /// Nobody has asked it yet.
    #[default]
    Unknown,
    /// It has what was asked for, or says that it had to wait.
    Yes,
    /// Its file system cannot tell (tmpfs, overlayfs, FUSE, procfs), the kernel does not know the question, or the file
    /// would wait all the same.
    No,
}

/// Where to read.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    /// At the file's own offset. Invariant 2 is the caller's.
    OwnOffset,
    /// At this one.
    Offset(u64),
}

/// What was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Had {
    /// As much as one read gives: all that was asked for, or all up to the end of the file.
    All(usize),
    /// So many bytes, maybe none; for the rest the pool is to be asked.
    Part(usize),
}

impl AtOnce {
    /// Reads from `file` what is in memory.
    pub(super) fn read(&self, file: &fs::File, from: Place, buf: &mut [u8]) -> Had {
        let asked = buf.len().min(MOST);
        let offset = match from {
            Place::OwnOffset => THE_FILES_OWN,
            Place::Offset(offset) if i64::try_from(offset).is_ok() => offset,
            Place::Offset(_) => return Had::Part(0),
        };
        if asked == 0 || !self.answers(file) || !Green::current().is_some_and(Green::may_go_on) {
            return Had::Part(0);
        }
        let mut bufs = [IoSliceMut::new(&mut buf[..asked])];
        match preadv2(file, &mut bufs, offset, ReadWriteFlags::NOWAIT) {
            Ok(n) if n == asked || ends_here(file, from, n) => Had::All(n),
            Ok(n) => Had::Part(n),
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL | Errno::PERM) => {
                *self.0.lock() = Answers::No;
                Had::Part(0)
            }
            Err(_) => Had::Part(0),
        }
    }

    /// Whether there is any point in asking.
    fn answers(&self, file: &fs::File) -> bool {
        let known = *self.0.lock();
        if known != Answers::Unknown {
            return known == Answers::Yes;
        }
        let waits = fcntl_getfl(file).map_or(true, |flags| flags.contains(OFlags::DIRECT));
        let found = if waits { Answers::No } else { Answers::Yes };
        *self.0.lock() = found;
        found == Answers::Yes
    }
}

/// Whether a file ends after the `n` bytes that were read from there. The answer of the read itself does not tell: there
/// are kernels (Linux 5.9 and 5.10) that return 0 before the end.
fn ends_here(mut file: &fs::File, from: Place, n: usize) -> bool {
    let end = match from {
        Place::OwnOffset => file.stream_position().ok(),
        Place::Offset(offset) => offset.checked_add(n as u64),
    };
    let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
    let size = statx(file, "", flags, StatxFlags::TYPE | StatxFlags::SIZE)
        .ok()
        .filter(|stat| FileType::from_raw_mode(stat.stx_mode.into()) == FileType::RegularFile)
        .map(|stat| stat.stx_size);
    end.zip(size).is_some_and(|(end, size)| size <= end)
}

/// Adds to what was `had` what `read` gets for the rest of `buf`. An error after some bytes is the next read's.
pub(super) fn complete(
    had: Had,
    buf: &mut [u8],
    read: impl FnOnce(&mut [u8]) -> io::Result<usize>,
) -> io::Result<usize> {
    match had {
        Had::All(n) => Ok(n),
        Had::Part(0) => read(buf),
        Had::Part(n) => {
            let end = buf.len().min(MOST);
            Ok(n + read(&mut buf[n..end]).unwrap_or(0))
        }
    }
}

/// Stands for the file's own offset.
const THE_FILES_OWN: u64 = u64::MAX;
