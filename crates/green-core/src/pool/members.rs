//! Who is in a group.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};
use std::num::NonZeroU64;
use std::time::Duration;

use crate::error::Failure;
use crate::greenlet::{Greenlet, LinkId};
use crate::sched::control::{Control, State};
use crate::time::deadline::Deadline;
use crate::waitq::Monitor;

/// A green thread of a group, whatever its result is.
#[derive(Clone)]
pub struct Member(Box<dyn Handle>);

impl Member {
    fn new<T: Send + 'static>(greenlet: &Greenlet<T>) -> Self {
        Self(Box::new(greenlet.clone()))
    }

    /// Its number, unique in the process.
    pub fn id(&self) -> NonZeroU64 {
        self.0.control().id()
    }

    /// Its name, if the builder gave one.
    pub fn name(&self) -> Option<&str> {
        self.0.control().name()
    }

    /// Whether it has ended.
    pub fn ready(&self) -> bool {
        self.0.control().is_finished()
    }

    /// Its failure, if it has ended with one; being killed is not one.
    pub fn exception(&self) -> Option<Failure> {
        self.0.exception()
    }

    /// Waits until it has ended, however it ends.
    ///
    /// # Blocking
    ///
    /// Parks the caller; a cancellation point.
    pub fn join(&self) {
        self.wait_until(Deadline::Never);
    }

    /// Waits at most `timeout`; true if it has ended.
    pub fn join_timeout(&self, timeout: Duration) -> bool {
        self.wait_until(Deadline::after(timeout))
    }

    /// Asks it to die, without waiting. Once it has ended this does nothing.
    ///
    /// # Panics
    ///
    /// Under `panic = "abort"`, if it has started.
    pub fn kill_nowait(&self) {
        self.0.kill_nowait();
    }

    pub(super) fn wait_until(&self, deadline: Deadline) -> bool {
        self.0.wait_until(deadline)
    }

    /// Unwinds the caller, which this is; or only asks, if that is deferred.
    pub(super) fn kill_self(&self) {
        self.0.kill_self();
    }

    /// Whether its closure has run.
    pub(super) fn is_started(&self) -> bool {
        self.0.control().state() != State::New
    }
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Member")
            .field("id", &self.id())
            .field("name", &self.name())
            .field("ready", &self.ready())
            .finish_non_exhaustive()
    }
}

/// A handle whose result type is not known.
trait Handle: Send + Sync {
    fn control(&self) -> &Control;
    fn exception(&self) -> Option<Failure>;
    fn wait_until(&self, deadline: Deadline) -> bool;
    fn kill_nowait(&self);
    fn kill_self(&self);
    fn unlink(&self, link: LinkId);
    fn boxed(&self) -> Box<dyn Handle>;
}

impl<T: Send + 'static> Handle for Greenlet<T> {
    fn control(&self) -> &Control {
        self.control()
    }

    fn exception(&self) -> Option<Failure> {
        self.exception()
    }

    fn wait_until(&self, deadline: Deadline) -> bool {
        self.wait_until(deadline)
    }

    fn kill_nowait(&self) {
        self.kill_nowait();
    }

    fn kill_self(&self) {
        self.kill();
    }

    fn unlink(&self, link: LinkId) {
        self.unlink(link);
    }

    fn boxed(&self) -> Box<dyn Handle> {
        Box::new(self.clone())
    }
}

impl Clone for Box<dyn Handle> {
    fn clone(&self) -> Self {
        (**self).boxed()
    }
}

/// See the module documentation.
pub(super) struct Members {
    inner: Monitor<Inner>,
}

struct Inner {
    members: HashMap<NonZeroU64, Entry, BuildHasherDefault<IdHasher>>,
    /// Whether nobody may come any more.
    closed: bool,
}

struct Entry {
    member: Member,
    /// What takes it out when it ends.
    link: LinkId,
    /// Whether the group has asked it to die.
    dying: bool,
}

impl Members {
    pub(super) fn new() -> Self {
        Self {
            inner: Monitor::new(Inner {
                members: HashMap::default(),
                closed: false,
            }),
        }
    }

    /// Adds `greenlet`, which is taken out by `link`.
    ///
    /// # Errors
    ///
    /// It is a member already, or nobody may come any more.
    pub(super) fn insert<T: Send + 'static>(
        &self,
        greenlet: &Greenlet<T>,
        link: LinkId,
    ) -> Result<(), NotInserted> {
        let entry = Entry {
            member: Member::new(greenlet),
            link,
            dying: false,
        };
        let mut inner = self.inner.lock();
        if inner.closed {
            return Err(NotInserted::Closed);
        }
        if inner.members.contains_key(&greenlet.id()) {
            return Err(NotInserted::Present);
        }
        inner.members.insert(greenlet.id(), entry);
        Ok(())
    }

    pub(super) fn contains(&self, id: NonZeroU64) -> bool {
        self.inner.lock().members.contains_key(&id)
    }

    /// Takes one out; true if it was there.
    pub(super) fn remove(&self, id: NonZeroU64) -> bool {
        let entry = self.inner.lock().members.remove(&id);
        entry.is_some()
    }

    /// Takes one out that may not have ended; true if it was there.
    pub(super) fn discard(&self, id: NonZeroU64) -> bool {
        let entry = self.inner.lock().members.remove(&id);
        let Some(entry) = entry else {
            return false;
        };
        entry.member.0.unlink(entry.link);
        true
    }

    /// From now on nobody may come.
    pub(super) fn close(&self) {
        self.inner.lock().closed = true;
    }

    /// Marks one as asked to die; `None` if it is not here, or has been asked.
    pub(super) fn ask(&self, id: NonZeroU64) -> Option<Member> {
        let mut inner = self.inner.lock();
        let entry = inner.members.get_mut(&id)?;
        (!std::mem::replace(&mut entry.dying, true)).then(|| entry.member.clone())
    }

    /// Marks all as asked to die; returns those that have not been asked before.
    pub(super) fn ask_all(&self) -> Vec<Member> {
        let mut inner = self.inner.lock();
        let asked = inner.members.values_mut().filter_map(|entry| {
            (!std::mem::replace(&mut entry.dying, true)).then(|| entry.member.clone())
        });
        sorted(asked.collect())
    }

    /// All of them, in the order in which they were made.
    pub(super) fn all(&self) -> Vec<Member> {
        let inner = self.inner.lock();
        sorted(
            inner
                .members
                .values()
                .map(|entry| entry.member.clone())
                .collect(),
        )
    }
}

fn sorted(mut members: Vec<Member>) -> Vec<Member> {
    members.sort_unstable_by_key(Member::id);
    members
}

impl fmt::Debug for Members {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Members").finish_non_exhaustive()
    }
}

/// Why a green thread was not added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotInserted {
    /// It is a member already.
    Present,
    /// Nobody may come any more.
    Closed,
}

/// Puts green threads that were made one after the other side by side, so that a crowd that comes and goes in order walks
/// through the table: most of the cost of a member is a miss of the cache.
#[derive(Default)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(self.0 ^ u64::from(byte));
        }
    }

    fn write_u64(&mut self, id: u64) {
        // The table takes the place from the low bits and a tag from the high ones. Numbers that are multiples of a large
        // power of two would share a place but for the fold; 2^64 divided by the golden ratio spreads the tags.
        let place = id.wrapping_add(id >> FOLD) & (u64::MAX >> TAG_BITS);
        let tag = id.wrapping_mul(0x9E37_79B9_7F4A_7C15) & !(u64::MAX >> TAG_BITS);
        self.0 = place | tag;
    }
}

/// How many high bits the table takes for its tag.
const TAG_BITS: u32 = 7;

/// Of numbers whose lowest so many bits are the same, the others decide.
const FOLD: u32 = 12;
