//! Who waits for the lock of a file, in this process.
//!
//! `flock` has no poller, and a blocking `flock` takes an OS thread for as long as somebody else holds the lock. So here only
//! attempts are made, by one caller at a time for each file.
//!
//! # Protocol
//!
//! 1. Try. Whoever gets the lock at once passes those who wait, as everywhere in this crate.
//! 2. Join the line of the file's inode, and wait until nobody else is its head.
//! 3. The head tries, and pauses after a vain attempt: until the lock is given back by this process, and at most for
//!    a time that doubles from 1 ms to 50 ms, in case another process gives it back.
//! 4. Whoever leaves, with the lock or by an interrupt, lets the next one be the head.
//!
//! An attempt is not a cancellation point: an interrupt never leaves a lock behind that nobody knows of.
//!
//! # Invariants
//!
//! 1. A line is in the table exactly while it has members.
//! 2. `released` is cleared before an attempt, so a lock given back during a vain attempt ends the pause after it.
//!
//! # Memory ordering
//!
//! `MEMBERS` is a hint that spares those who give a lock back the table: a member is counted before its attempt, and an
//! attempt that is vain comes before the lock is given back, by the kernel's own lock. A hint missed costs one pause.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::TryLockError;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::handle::Inode;
use crate::engine::make_room;
use crate::interrupt::{self, OrRaise};
use crate::sched::WaitFor;
use crate::time::deadline::Deadline;
use crate::waitq::{Monitor, NotReady, Wait, WaitQueue, wake};

/// The first pause of a head.
const SHORTEST: Duration = Duration::from_millis(1);

/// The longest pause of a head: how late it may notice that another process has given the lock back.
const LONGEST: Duration = Duration::from_millis(50);

/// Who waits for the lock of one inode.
#[derive(Debug, Default)]
struct Line {
    /// Whether one of the members is the head.
    has_head: bool,
    /// Whether this process has given the lock back since the head's last attempt began.
    released: bool,
    /// Those behind the head.
    behind: WaitQueue,
    /// The head, between two attempts.
    head: WaitQueue,
}

/// The lines, with the number of their members.
type Lines = BTreeMap<Inode, (usize, Arc<Monitor<Line>>)>;

static LINES: Mutex<Lines> = Mutex::new(BTreeMap::new());

/// How many members all lines have: a hint.
static MEMBERS: AtomicUsize = AtomicUsize::new(0);

/// Waits until `attempt`, which tries to lock the file with this inode, does anything but fail with `WouldBlock`.
pub(super) fn wait(inode: Inode, attempt: impl Fn() -> Result<(), TryLockError>) -> io::Result<()> {
    if let Some(result) = done(attempt()) {
        return result;
    }
    let member = Member::join(inode);
    let head = member.become_head();
    let mut pause = SHORTEST;
    loop {
        head.member.line.lock().released = false;
        if let Some(result) = done(attempt()) {
            return result;
        }
        head.pause(pause);
        pause = (pause * 2).min(LONGEST);
    }
}

/// The lock of this inode may have been given back.
pub(super) fn released(inode: Inode) {
    if MEMBERS.load(Ordering::Relaxed) == 0 {
        return;
    }
    make_room();
    let line = LINES.lock().get(&inode).map(|(_, line)| Arc::clone(line));
    if let Some(line) = line {
        let mut line = line.lock();
        line.released = true;
        let head = line.head.notify_one();
        drop(line);
        wake(head);
    }
}

/// What came of an attempt, unless somebody else holds the lock.
fn done(attempt: Result<(), TryLockError>) -> Option<io::Result<()>> {
    match attempt {
        Ok(()) => Some(Ok(())),
        Err(TryLockError::WouldBlock) => None,
        Err(TryLockError::Error(error)) => Some(Err(error)),
    }
}

/// A place in a line.
struct Member {
    inode: Inode,
    line: Arc<Monitor<Line>>,
}

impl Member {
    fn join(inode: Inode) -> Self {
        make_room();
        MEMBERS.fetch_add(1, Ordering::Relaxed);
        let mut lines = LINES.lock();
        let (members, line) = lines
            .entry(inode)
            .or_insert_with(|| (0, Arc::new(Monitor::new(Line::default()))));
        *members += 1;
        let line = Arc::clone(line);
        Self { inode, line }
    }

    /// Waits until nobody else is the head.
    fn become_head(&self) -> Head<'_> {
        let wait = Wait::new(WaitFor::FileLock, Deadline::Never);
        let free = |line: &mut Line| (!line.has_head).then(|| line.has_head = true);
        let waited = self.line.wait(wait, |line| &mut line.behind, free);
        waited
            .or_raise()
            .expect("a wait without a deadline does not time out");
        Head { member: self }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        make_room();
        let mut lines = LINES.lock();
        if let Entry::Occupied(mut line) = lines.entry(self.inode) {
            line.get_mut().0 -= 1;
            if line.get().0 == 0 {
                line.remove();
            }
        }
        MEMBERS.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The member that makes the attempts.
struct Head<'a> {
    member: &'a Member,
}

impl Head<'_> {
    /// Waits until the lock has been given back by this process, or for `pause`.
    fn pause(&self, pause: Duration) {
        let wait = Wait::new(WaitFor::FileLock, Deadline::after(pause));
        let released = |line: &mut Line| line.released.then_some(());
        let waited = self.member.line.wait(wait, |line| &mut line.head, released);
        if let Err(NotReady::Interrupted(interrupt)) = waited {
            interrupt::raise(interrupt);
        }
    }
}

impl Drop for Head<'_> {
    fn drop(&mut self) {
        let mut line = self.member.line.lock();
        line.has_head = false;
        let next = line.behind.notify_one();
        drop(line);
        wake(next);
    }
}
