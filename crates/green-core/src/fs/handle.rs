//! An open file, as its `File` and the jobs that work on it share it: what kind it is, and how an operation on it may block.
//!
//! # Protocol
//!
//! An operation goes one of three ways, which [`Handle::way`] chooses:
//!
//! - *Inline*: on a plain OS thread, and where it cannot wait: the descriptor has `O_NONBLOCK`, or is not open for it.
//! - *Pool*: regular files, directories and block devices. The job has a share of the handle, so that the descriptor stays
//!   open, and buffers of its own. What is in memory already needs no job ([`at_once`](super::at_once)).
//! - *Poller*: everything else. The caller takes its turn among those who use this open file in this direction, waits until
//!   the poller says that the operation will not wait, and has it done by an OS thread outside the pool; for
//!   another process may be faster, and then it does wait. The job has the turn until it is done, so those of this
//!   process never take from each other what the poller has promised them. What it has read for a caller that was
//!   interrupted is kept for the next one ([`turn`](super::turn)).
//!
//! # Invariants
//!
//! 1. A job holds a share of the handle until it is done: the descriptor is not closed, and its number not taken by
//!    another file, under an operation.
//! 2. Nothing that a job writes to or reads from belongs to the caller's stack.

use std::fs;
use std::io::{self, Read as _};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{AtFlags, FileType, OFlags, StatxFlags, fcntl_getfl, statx, tell};
use rustix::io::retry_on_intr;

use super::at_once::{AtOnce, Had, Place};
use super::line;
use super::turn::{Filled, Turn, Turns};
use crate::engine::make_room;
use crate::io::Io;
use crate::threadpool::{is_for_pool, try_blocking, try_blocking_apart};

/// How many bytes one operation moves at most.
pub(super) const MOST: usize = 1 << 20;

/// How many bytes a write to a FIFO moves at most: what fits if anything does (`PIPE_BUF`).
const MOST_TO_FIFO: usize = 4096;

/// The largest buffer that a file keeps for its next operation, in bytes.
const KEPT: usize = 1 << 16;

/// See the module documentation.
#[derive(Debug)]
pub(super) struct Handle {
    /// Owns the descriptor. Declared before `identity`, so it is closed by the time those who wait for its lock are told.
    io: Io<fs::File>,
    /// What file it is, once that was asked.
    identity: Closing,
    /// Who may use what the poller has promised, and what is kept for the next reader.
    turns: Arc<Turns>,
    /// A buffer for the next job.
    buffer: Mutex<Vec<u8>>,
    /// Whether reads of what is in memory need no job.
    at_once: AtOnce,
}

/// What operation is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    /// One that waits for data.
    Read,
    /// One that waits for room.
    Write,
}

/// How an operation may block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// In the caller.
    Inline,
    /// On an OS thread of the pool.
    Pool,
    /// Never, after the poller has said so.
    Poller,
}

/// What kind of file it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// One with an offset, which never waits for somebody else.
    Stored,
    /// A pipe, named or not.
    Fifo,
    /// A terminal, another device, a socket, an eventfd or the like.
    Other,
}

/// Which file it is, whatever descriptor or path leads to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Inode {
    device: (u32, u32),
    number: u64,
}

#[derive(Clone, Copy, Debug)]
struct Identity {
    kind: Kind,
    inode: Inode,
}

impl Handle {
    pub(super) fn new(file: fs::File) -> Self {
        Self {
            io: Io::new(file),
            identity: Closing(OnceLock::new()),
            turns: Arc::new(Turns::new()),
            buffer: Mutex::default(),
            at_once: AtOnce::default(),
        }
    }

    /// A handle of `file`, a duplicate of this one's descriptor.
    pub(super) fn duplicate(&self, file: fs::File) -> Self {
        Self {
            identity: Closing(self.identity.0.clone()),
            turns: Arc::clone(&self.turns),
            ..Self::new(file)
        }
    }

    /// std's file, for a system call.
    pub(super) fn file(&self) -> &fs::File {
        self.io.get_ref()
    }

    /// The file, if no job works on it; else a duplicate.
    ///
    /// # Panics
    ///
    /// If there can be no duplicate.
    pub(super) fn into_file(self: Arc<Self>) -> fs::File {
        match Arc::try_unwrap(self) {
            Ok(handle) => handle.io.into_inner(),
            Err(shared) => shared
                .file()
                .try_clone()
                .expect("a call on the file was interrupted and is not done, and there is no descriptor left for a duplicate"),
        }
    }

    /// Which file it is.
    pub(super) fn inode(&self) -> io::Result<Inode> {
        Ok(self.identity()?.inode)
    }

    fn identity(&self) -> io::Result<Identity> {
        if let Some(&identity) = self.identity.0.get() {
            return Ok(identity);
        }
        let identity = identity(self.file())?;
        Ok(*self.identity.0.get_or_init(|| identity))
    }

    /// How an operation in this direction may block. One that asks for no bytes waits for nobody.
    pub(super) fn way(&self, direction: Direction, asked: usize) -> Way {
        if asked == 0 {
            return Self::way_of_stored();
        }
        match self.identity().map(|identity| identity.kind) {
            Ok(Kind::Fifo | Kind::Other) if self.never_waits(direction) => Way::Inline,
            Ok(Kind::Fifo | Kind::Other) => Way::Poller,
            Ok(Kind::Stored) | Err(_) => Self::way_of_stored(),
        }
    }

    /// How an operation may block that waits for nobody else, whatever the kind.
    pub(super) fn way_of_stored() -> Way {
        if is_for_pool() {
            Way::Pool
        } else {
            Way::Inline
        }
    }

    /// Whether the kernel answers at once: it was asked to, or the descriptor is not open in this direction.
    fn never_waits(&self, direction: Direction) -> bool {
        let Ok(flags) = fcntl_getfl(self.file()) else {
            return true;
        };
        let other = match direction {
            Direction::Read => OFlags::WRONLY,
            Direction::Write => OFlags::RDONLY,
        };
        flags.contains(OFlags::NONBLOCK) || flags.intersection(OFlags::ACCMODE) == other
    }

    /// How many of `asked` bytes one write moves at most.
    pub(super) fn most(&self, way: Way, asked: usize) -> usize {
        let is_fifo = self.identity().is_ok_and(|own| own.kind == Kind::Fifo);
        let most = match way {
            Way::Poller if is_fifo => MOST_TO_FIFO,
            _ => MOST,
        };
        asked.min(most)
    }

    /// Whether there is something that was read and that nobody was given yet.
    pub(super) fn has_kept(&self) -> bool {
        self.turns.has_kept()
    }

    /// Whether a read moves an offset, and a seek gets back what was read.
    pub(super) fn has_offset(&self) -> bool {
        // That of a device that ignores seeks stays zero.
        tell(self.file()).is_ok_and(|offset| offset > 0)
    }

    /// Reads what is in memory at `offset`, where `way` is the pool.
    pub(super) fn read_at_once(&self, way: Way, offset: u64, buf: &mut [u8]) -> Had {
        match way {
            Way::Pool => self.at_once.read(self.file(), Place::Offset(offset), buf),
            Way::Inline | Way::Poller => Had::Part(0),
        }
    }

    /// Reads what is in memory at the file's own offset, where `way` is the pool and nobody else uses the offset: the
    /// caller has the handle from a `&mut File`.
    pub(super) fn read_on_at_once(self: &Arc<Self>, way: Way, buf: &mut [u8]) -> Had {
        let is_alone = Arc::strong_count(self) == 1 && Arc::strong_count(&self.turns) == 1;
        match way {
            Way::Pool if is_alone => self.at_once.read(self.file(), Place::OwnOffset, buf),
            _ => Had::Part(0),
        }
    }

    /// Has `op` read `asked` bytes, or fewer; `None` if the caller is to do so itself, for it need not wait.
    ///
    /// # Errors
    ///
    /// The poller cannot watch the file, or the system refuses an OS thread.
    pub(super) fn read(
        self: &Arc<Self>,
        way: Way,
        asked: usize,
        op: impl FnOnce(&fs::File, &mut [u8]) -> io::Result<usize> + Send + 'static,
    ) -> io::Result<Option<Filled>> {
        let asked = asked.min(MOST);
        let filled = match way {
            Way::Inline if asked == 0 => None,
            Way::Inline => self.kept(),
            Way::Pool => {
                let (empty, buffer) = (Filled::without_turn(self), self.take_buffer(asked));
                Some(try_blocking(move || empty.fill(buffer, asked, op))?)
            }
            Way::Poller => {
                let turn = Turn::take(&self.turns, Direction::Read);
                let mut filled = Filled::in_turn(self, turn);
                if filled.is_empty() {
                    let flags = PollFlags::IN | PollFlags::RDHUP;
                    self.io.read_with(|| None, |file| ready(file, flags))?;
                    let buffer = self.take_buffer(asked);
                    filled = try_blocking_apart(move || filled.fill(buffer, asked, op))?;
                }
                Some(filled)
            }
        };
        Ok(filled)
    }

    /// What is kept, if there is any and nobody else is about to be given it.
    fn kept(self: &Arc<Self>) -> Option<Filled> {
        if !self.has_kept() {
            return None;
        }
        let turn = Turn::try_take(&self.turns, Direction::Read)?;
        Some(Filled::in_turn(self, turn)).filter(|filled| !filled.is_empty())
    }

    /// Has `op` write what `gather` puts into a buffer.
    ///
    /// # Errors
    ///
    /// The poller cannot watch the file, or the system refuses an OS thread.
    pub(super) fn write(
        self: &Arc<Self>,
        way: Way,
        gather: impl FnOnce(&mut Vec<u8>),
        op: impl FnOnce(&fs::File, &[u8]) -> io::Result<usize> + Send + 'static,
    ) -> io::Result<usize> {
        let mut buffer = self.take_buffer(0);
        buffer.clear();
        gather(&mut buffer);
        let own = Arc::clone(self);
        let write = move || {
            let result = op(own.file(), &buffer);
            (buffer, result)
        };
        let (buffer, result) = match way {
            Way::Inline => write(),
            Way::Pool => try_blocking(write)?,
            Way::Poller => {
                let turn = Turn::take(&self.turns, Direction::Write);
                let flags = PollFlags::OUT;
                self.io.write_with(|| None, |file| ready(file, flags))?;
                try_blocking_apart(move || {
                    let _turn = turn;
                    write()
                })?
            }
        };
        self.keep_buffer(buffer);
        result
    }

    /// A buffer of at least `len` bytes.
    fn take_buffer(&self, len: usize) -> Vec<u8> {
        make_room();
        let buffer = std::mem::take(&mut *self.buffer.lock());
        if buffer.len() < len {
            return vec![0; len];
        }
        buffer
    }

    /// Keeps a buffer for the next operation.
    pub(super) fn keep_buffer(&self, buffer: Vec<u8>) {
        if buffer.capacity() <= KEPT {
            make_room();
            let before = std::mem::replace(&mut *self.buffer.lock(), buffer);
            drop(before);
        }
    }

    /// Reads all that there is.
    pub(super) fn read_to_end(self: &Arc<Self>) -> io::Result<(Vec<u8>, io::Result<usize>)> {
        let own = Arc::clone(self);
        try_blocking(move || {
            let mut all = Vec::new();
            let result = own.file().read_to_end(&mut all);
            (all, result)
        })
    }

    /// Reads all that there is, which must be text.
    pub(super) fn read_to_string(self: &Arc<Self>) -> io::Result<(String, io::Result<usize>)> {
        let own = Arc::clone(self);
        try_blocking(move || {
            let mut all = String::new();
            let result = own.file().read_to_string(&mut all);
            (all, result)
        })
    }
}

/// Tells those who wait for the file's lock that a descriptor of it was closed.
#[derive(Debug)]
struct Closing(OnceLock<Identity>);

impl Drop for Closing {
    fn drop(&mut self) {
        if let Some(identity) = self.0.get() {
            line::released(identity.inode);
        }
    }
}

/// Asks the kernel what file it is, and no server: this does not block.
fn identity(file: &fs::File) -> io::Result<Identity> {
    let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
    let stat = statx(file, "", flags, StatxFlags::TYPE | StatxFlags::INO)?;
    let kind = match FileType::from_raw_mode(stat.stx_mode.into()) {
        FileType::RegularFile | FileType::Directory | FileType::BlockDevice | FileType::Symlink => {
            Kind::Stored
        }
        FileType::Fifo => Kind::Fifo,
        _ => Kind::Other,
    };
    let inode = Inode {
        device: (stat.stx_dev_major, stat.stx_dev_minor),
        number: stat.stx_ino,
    };
    Ok(Identity { kind, inode })
}

/// Asks the kernel whether there is any of `flags`, or an error or an end to tell; `WouldBlock` if not.
fn ready(file: &fs::File, flags: PollFlags) -> io::Result<()> {
    let now = Timespec::default();
    match retry_on_intr(|| poll(&mut [PollFd::new(file, flags)], Some(&now)))? {
        0 => Err(io::ErrorKind::WouldBlock.into()),
        _ => Ok(()),
    }
}
