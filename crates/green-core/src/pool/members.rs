//! Who is in a group.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};
use std::num::NonZeroU64;
use std::time::Duration;

use crate::error::Failure;
use crate::sched::control::{Control, State};
use crate::sched::record::AnyOwner;
use crate::time::deadline::Deadline;

/// A green thread of a group, whatever its result is.
#[derive(Clone)]
pub struct Member(AnyOwner);

impl Member {
    pub(super) fn new(greenlet: AnyOwner) -> Self {
        Self(greenlet)
    }

    /// Its number, unique in the process.
    pub fn id(&self) -> NonZeroU64 {
        self.control().id()
    }

    /// Its name, if the builder gave one.
    pub fn name(&self) -> Option<&str> {
        self.control().name()
    }

    /// Whether it has ended.
    pub fn ready(&self) -> bool {
        self.control().is_finished() || self.0.payload().has_ended()
    }

    /// Its failure, if it has ended with one; being killed is not one.
    pub fn exception(&self) -> Option<Failure> {
        let failure = self.0.payload().failure()?;
        (!matches!(failure, Failure::Killed)).then_some(failure)
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
        self.0.kill();
    }

    pub(super) fn wait_until(&self, deadline: Deadline) -> bool {
        self.0.payload().join(deadline)
    }

    /// Whether its closure has run.
    pub(super) fn is_started(&self) -> bool {
        !matches!(self.control().state(), State::Unstarted | State::New)
    }

    fn control(&self) -> &Control {
        self.0.control()
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

/// See the module documentation. Part of the state of the group's places.
#[derive(Default)]
pub(super) struct Members {
    all: HashMap<NonZeroU64, Entry, BuildHasherDefault<IdHasher>>,
    /// How often all of them were asked to die.
    times_asked: u64,
}

struct Entry {
    member: Member,
    /// Whether the group has asked it to die.
    dying: bool,
}

impl Members {
    pub(super) fn times_asked(&self) -> u64 {
        self.times_asked
    }

    pub(super) fn contains(&self, id: NonZeroU64) -> bool {
        self.all.contains_key(&id)
    }

    /// Adds a member that has been on its way since all were asked to die for the last of `times_asked` times. Returned is
    /// whether it missed to be asked.
    ///
    /// # Errors
    ///
    /// It is a member already.
    pub(super) fn insert(&mut self, member: Member, times_asked: u64) -> Result<bool, Member> {
        if self.contains(member.id()) {
            return Err(member);
        }
        let dying = times_asked != self.times_asked;
        self.all.insert(member.id(), Entry { member, dying });
        Ok(dying)
    }

    /// Takes one out.
    pub(super) fn remove(&mut self, id: NonZeroU64) -> Option<Member> {
        self.all.remove(&id).map(|entry| entry.member)
    }

    /// Marks one as asked to die; `None` if it is not here, or has been asked.
    pub(super) fn ask(&mut self, id: NonZeroU64) -> Option<Member> {
        self.all.get_mut(&id)?.ask()
    }

    /// Marks all as asked to die, also those that are on their way; returns those that have not been asked before.
    pub(super) fn ask_all(&mut self) -> Vec<Member> {
        self.times_asked += 1;
        sorted(self.all.values_mut().filter_map(Entry::ask).collect())
    }

    /// All of them, in the order of their numbers.
    pub(super) fn all(&self) -> Vec<Member> {
        let members = self.all.values().map(|entry| entry.member.clone());
        sorted(members.collect())
    }
}

impl Entry {
    fn ask(&mut self) -> Option<Member> {
        (!std::mem::replace(&mut self.dying, true)).then(|| self.member.clone())
    }
}

fn sorted(mut members: Vec<Member>) -> Vec<Member> {
    members.sort_unstable_by_key(Member::id);
    members
}

impl fmt::Debug for Members {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Members")
            .field("count", &self.all.len())
            .finish_non_exhaustive()
    }
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
