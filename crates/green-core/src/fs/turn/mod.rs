//! Whose turn it is to use what the poller has promised of an open file, and what was read for somebody who left.
//!
//! # Protocol
//!
//! 1. Who wants to read takes the turn and asks for what is kept. If that is nothing, it waits for the poller, and a job
//!    reads; the turn goes with the job, and comes back with the result ([`Filled`]).
//! 2. Whoever drops a [`Filled`] keeps what nobody was given of it, and then gives back the turn. If the caller was
//!    interrupted, that is the job's OS thread, or the caller on its way out; else the caller, whose buffer was too short
//!    for what another one's had room for.
//!
//! # Invariants
//!
//! 1. Only who has the turn to read touches what is kept; so bytes are handed out in the order in which they were read.
//! 2. Nothing is kept of a file that has an offset.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use parking_lot::Mutex;

use super::handle::{Direction, Handle};
use crate::engine::make_room;
use crate::lock::Semaphore;

/// One turn for each direction, shared by all handles of an open file.
#[derive(Debug)]
pub(super) struct Turns {
    read: Semaphore,
    write: Semaphore,
    /// What a read came to that nobody was given yet.
    kept: Mutex<Option<Rest>>,
}

/// What a read came to, or what is left of that.
type Rest = io::Result<Bytes>;

#[derive(Debug)]
struct Bytes {
    buffer: Vec<u8>,
    /// Where in the buffer they are.
    unread: Range<usize>,
}

impl Turns {
    pub(super) fn new() -> Self {
        Self {
            read: Semaphore::new(1),
            write: Semaphore::new(1),
            kept: Mutex::new(None),
        }
    }

    fn of(&self, direction: Direction) -> &Semaphore {
        match direction {
            Direction::Read => &self.read,
            Direction::Write => &self.write,
        }
    }

    /// Whether there is something that was read and that nobody was given yet; a hint for who has not the turn.
    pub(super) fn has_kept(&self) -> bool {
        make_room();
        self.kept.lock().is_some()
    }
}

/// The turn of one caller, or of its job.
pub(super) struct Turn {
    turns: Arc<Turns>,
    direction: Direction,
}

impl Turn {
    /// Waits for it.
    pub(super) fn take(turns: &Arc<Turns>, direction: Direction) -> Self {
        turns.of(direction).acquire().forget();
        Self {
            turns: Arc::clone(turns),
            direction,
        }
    }

    /// Takes it if nobody has it.
    pub(super) fn try_take(turns: &Arc<Turns>, direction: Direction) -> Option<Self> {
        turns.of(direction).try_acquire()?.forget();
        Some(Self {
            turns: Arc::clone(turns),
            direction,
        })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.turns.of(self.direction).release();
    }
}

/// A buffer that a read has filled, or is to fill.
pub(super) struct Filled {
    /// What nobody was given yet.
    rest: Option<Rest>,
    /// Whether that is for the next reader: not if the file has an offset, which a seek puts right.
    keeps: bool,
    handle: Arc<Handle>,
    /// The turn, of a file that has turns. Declared last: given back after all else.
    turn: Option<Turn>,
}

impl Filled {
    /// For a file that has no turns.
    pub(super) fn without_turn(handle: &Arc<Handle>) -> Self {
        Self {
            rest: None,
            keeps: false,
            handle: Arc::clone(handle),
            turn: None,
        }
    }

    /// With what is kept.
    pub(super) fn in_turn(handle: &Arc<Handle>, turn: Turn) -> Self {
        make_room();
        let rest = turn.turns.kept.lock().take();
        Self {
            rest,
            keeps: true,
            handle: Arc::clone(handle),
            turn: Some(turn),
        }
    }

    /// Whether a read is still to fill it.
    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_none()
    }

    /// Has `op` fill the first `asked` bytes of `buffer`, or fewer.
    pub(super) fn fill(
        mut self,
        mut buffer: Vec<u8>,
        asked: usize,
        op: impl FnOnce(&std::fs::File, &mut [u8]) -> io::Result<usize>,
    ) -> Self {
        let read = op(self.handle.file(), &mut buffer[..asked]);
        self.rest = Some(read.map(|n| Bytes {
            buffer,
            unread: 0..n,
        }));
        self.keeps = self.keeps && !self.handle.has_offset();
        self
    }

    /// Gives the caller what was read, as much as it takes.
    pub(super) fn give(
        mut self,
        take: impl FnOnce(&mut &[u8]) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let rest = self.rest.take().expect("given once a read has filled it");
        let mut bytes = rest?;
        let n = take(&mut &bytes.buffer[bytes.unread.clone()])?;
        bytes.unread.start += n;
        if bytes.unread.is_empty() {
            self.handle.keep_buffer(bytes.buffer);
        } else {
            self.rest = Some(Ok(bytes));
        }
        Ok(n)
    }
}

impl Drop for Filled {
    fn drop(&mut self) {
        if let (Some(rest), Some(turn)) = (self.rest.take(), &self.turn)
            && self.keeps
        {
            make_room();
            *turn.turns.kept.lock() = Some(rest);
        }
    }
}

#[cfg(test)]
mod tests;
