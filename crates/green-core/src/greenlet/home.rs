//! What a green thread is a member of, until it ends.
//!
//! # Protocol
//!
//! 1. A member leaves its homes in the critical section that publishes its end: whoever knows of the end finds it gone,
//!    and whoever finds it gone, because it ended, knows of the end.
//! 2. Whom a home chose to be woken then is woken after that.
//! 3. A home that has let a member go before may still be told that it leaves.
//! 4. A member does not keep its homes: a home keeps its members, and nobody can wait for one that has no handle left.

use std::fmt;
use std::num::NonZeroU64;
use std::sync::{Arc, Weak};

use crate::waitq::Chosen;

/// Something that green threads are members of.
pub(crate) trait Home: Send + Sync {
    /// The green thread of this number ends. Called under its lock: neither waits nor wakes anybody.
    fn leave(&self, id: NonZeroU64) -> Left;

    /// Wakes whom `leave` chose.
    fn wake(&self, left: Left);
}

/// Who is to be woken because a member left.
#[derive(Debug, Default)]
#[must_use = "somebody sleeps until they are woken"]
pub(crate) struct Left {
    /// Who has its place next.
    pub(crate) next: Chosen,
    /// Whether somebody waits for there to be no member.
    pub(crate) joined: bool,
}

/// The homes of a green thread.
#[derive(Default)]
pub(super) enum Homes {
    #[default]
    None,
    One(Weak<dyn Home>),
    Several(Vec<Weak<dyn Home>>),
}

impl Homes {
    /// Adds `home`, unless it is there from an earlier stay.
    pub(super) fn add(&mut self, home: Weak<dyn Home>) {
        *self = match std::mem::take(self) {
            Self::None => Self::One(home),
            Self::One(first) if first.ptr_eq(&home) => Self::One(first),
            Self::One(first) => Self::Several(vec![first, home]),
            Self::Several(mut homes) => {
                homes.retain(|other| other.strong_count() > 0 && !other.ptr_eq(&home));
                homes.push(home);
                Self::Several(homes)
            }
        };
    }

    /// The member `id` leaves them all.
    #[inline]
    pub(super) fn leave(self, id: NonZeroU64) -> Gone {
        let leave = |home: &Weak<dyn Home>| {
            let home = home.upgrade()?;
            let left = home.leave(id);
            Some((home, left))
        };
        match self {
            Self::None => Gone::Nowhere,
            Self::One(home) => leave(&home).map_or(Gone::Nowhere, Gone::From),
            Self::Several(homes) => Gone::FromAll(homes.iter().filter_map(leave).collect()),
        }
    }
}

/// The homes that a green thread has left, and who is to be woken for it.
pub(super) enum Gone {
    Nowhere,
    From((Arc<dyn Home>, Left)),
    FromAll(Vec<(Arc<dyn Home>, Left)>),
}

impl Gone {
    #[inline]
    pub(super) fn wake(self) {
        match self {
            Self::Nowhere => {}
            Self::From((home, left)) => home.wake(left),
            Self::FromAll(all) => {
                for (home, left) in all {
                    home.wake(left);
                }
            }
        }
    }
}

impl fmt::Debug for Homes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Homes").finish_non_exhaustive()
    }
}
