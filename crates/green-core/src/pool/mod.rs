//! gevent's `pool`: green threads that belong together, and a limit on how many there are at once.
//!
//! A [`Group`] keeps track of its members, of any result types, until they end. A [`Pool`] is a group with a limit: it
//! is what its methods wait for. [`IMap`] yields results while others are still computed.
//!
//! # Parts
//!
//! `slots` counts the places and has the only waits; `members` is the set, in the same critical section. A green thread
//! leaves its groups where its end is published, so that whoever has joined it finds its place free. `map` holds what
//! `map` and the threadpool share.

mod group;
mod imap;
mod map;
mod members;
mod slots;

use std::fmt;
use std::ops::Deref;

pub(crate) use group::killed;
pub use group::{Group, Refused};
pub use imap::IMap;
pub(crate) use imap::Order;
pub(crate) use map::{Start, Workers, inline};
pub use members::Member;
pub(crate) use slots::{NotTaken, Slots};

/// A [`Group`] with a limit on the number of its members. Clones are handles to the same one.
///
/// Everything that adds a member waits while the pool is full; who has waited longest comes first, but a caller that
/// is running may take a free place ahead of those who wait. A member that spawns into its own full pool waits for
/// itself, unless by [`Group::apply`].
///
/// # Examples
///
/// ```
/// use green_core::pool::Pool;
///
/// let pool = Pool::new(2);
/// let lengths = pool.map(["one", "two", "three"], |word| word.len())?;
/// assert_eq!(lengths, [3, 3, 5]);
/// assert_eq!(pool.free_count(), Some(2));
/// # Ok::<(), green_core::Failure>(())
/// ```
#[derive(Clone)]
pub struct Pool(Group);

impl Pool {
    /// A pool of at most `size` members; of any number with `None`. One of size zero never admits anybody.
    pub fn new(size: impl Into<Option<usize>>) -> Self {
        Self(Group::with_size(size.into()))
    }

    /// How many members there may be; `None` for any number.
    pub fn size(&self) -> Option<usize> {
        self.0.places().size()
    }

    /// How many members there is room for; `None` for any number. With several hubs that may have changed already.
    pub fn free_count(&self) -> Option<usize> {
        self.0.places().free()
    }
}

impl Deref for Pool {
    type Target = Group;

    fn deref(&self) -> &Group {
        &self.0
    }
}

/// Of any number of members.
impl Default for Pool {
    fn default() -> Self {
        Self::new(None)
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("len", &self.len())
            .field("size", &self.size())
            .finish_non_exhaustive()
    }
}
