//! An intrusive list: the only place that links one caller's record to another's.
//!
//! The wait queue (`waitq`) is built on it. Nodes have static lifetime (the records of callers are
//! leaked and reused), so a link never dangles; what must be kept is that two lists never have the same
//! node.
//!
//! # Invariants
//!
//! 1. A node is linked in at most one list at a time: whoever inserts it promises that it is in none.
//! 2. The place of a linked node is touched only through its list, exclusively: the methods take `&mut
//!    List`, which only the lock around the list gives out. The place of a node that is linked nowhere is
//!    touched only by whoever may insert it.
//! 3. Nodes stand in the order of their tickets.

use std::cell::UnsafeCell;
use std::fmt;
use std::ptr;

/// Something that can stand in a [`List`].
pub(crate) trait Node: Sized + 'static {
    /// Its place.
    fn place(&self) -> &Place<Self>;
}

/// The place of a node in a list, if it is in one.
pub(crate) struct Place<T: 'static>(UnsafeCell<Links<T>>);

// SAFETY: the links are reached by one holder of a list at a time (invariant 2); they are references to
// `T`, which travel between OS threads if `T` may be shared.
unsafe impl<T: Sync> Sync for Place<T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Send for Place<T> {}

/// The neighbours of a node, in a ring: before the first stands the last.
struct Links<T: 'static> {
    /// Its rank: lower tickets come first.
    ticket: u64,
    /// Both are there if the node is in a list, itself if it is alone; else neither.
    previous: Option<&'static T>,
    next: Option<&'static T>,
}

impl<T> Place<T> {
    /// In no list.
    pub(crate) const fn new() -> Self {
        Self(UnsafeCell::new(Links {
            ticket: 0,
            previous: None,
            next: None,
        }))
    }
}

impl<T> fmt::Debug for Place<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place").finish_non_exhaustive()
    }
}

/// Nodes in the order of their tickets.
pub(crate) struct List<T: 'static> {
    /// The first one; the ring leads to the others.
    head: Option<&'static T>,
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> List<T> {
    pub(crate) const fn new() -> Self {
        Self { head: None }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.head.is_none()
    }
}

impl<T: Node> List<T> {
    /// Links `node` behind all those with a lower ticket.
    ///
    /// # Safety
    ///
    /// `node` is in no list, and nobody else inserts it meanwhile (invariants 1 and 2).
    #[inline]
    pub(crate) unsafe fn insert(&mut self, node: &'static T, ticket: u64) {
        let Some(head) = self.head else {
            self.head = Some(node);
            link(ticket, node, node, node);
            return;
        };
        // A new node has the highest ticket; one that comes back belongs near the head.
        let mut next = head;
        let mut previous = neighbour(links(head).previous);
        while links(previous).ticket > ticket {
            next = previous;
            if ptr::eq(next, head) {
                self.head = Some(node);
                break;
            }
            previous = neighbour(links(next).previous);
        }
        link(ticket, neighbour(links(next).previous), node, next);
    }

    /// Unlinks `node` if it is linked; true if it was.
    ///
    /// # Safety
    ///
    /// `node` is in this list, if it is in any.
    pub(crate) unsafe fn remove(&mut self, node: &'static T) -> bool {
        let linked = links(node).next.is_some();
        if linked {
            self.unlink(node);
        }
        linked
    }

    /// Unlinks the first node, if its ticket is below `bound`.
    #[inline]
    pub(crate) fn pop(&mut self, bound: u64) -> Option<&'static T> {
        let head = self.head?;
        if links(head).ticket >= bound {
            return None;
        }
        self.unlink(head);
        Some(head)
    }

    /// The ticket of the first node.
    pub(crate) fn first_ticket(&mut self) -> Option<u64> {
        self.head.map(|head| links(head).ticket)
    }

    /// How many nodes there are, by walking past them.
    pub(crate) fn count(&mut self) -> usize {
        let Some(head) = self.head else {
            return 0;
        };
        let mut count = 1;
        let mut node = neighbour(links(head).next);
        while !ptr::eq(node, head) {
            count += 1;
            node = neighbour(links(node).next);
        }
        count
    }

    #[inline]
    fn unlink(&mut self, node: &'static T) {
        let next = neighbour(links(node).next.take());
        let previous = neighbour(links(node).previous.take());
        if ptr::eq(next, node) {
            self.head = None;
            return;
        }
        links(previous).next = Some(next);
        links(next).previous = Some(previous);
        if self.head.is_some_and(|head| ptr::eq(head, node)) {
            self.head = Some(next);
        }
    }
}

/// Puts `node` between two neighbours; both are itself if it is alone.
#[inline]
fn link<T: Node>(ticket: u64, previous: &'static T, node: &'static T, next: &'static T) {
    *links(node) = Links {
        ticket,
        previous: Some(previous),
        next: Some(next),
    };
    links(previous).next = Some(node);
    links(next).previous = Some(node);
}

/// The neighbour of a node that is in a list.
#[inline]
fn neighbour<T>(neighbour: Option<&'static T>) -> &'static T {
    neighbour.expect("a node in a list has neighbours")
}

impl<T> fmt::Debug for List<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("List").finish_non_exhaustive()
    }
}

/// The links of a node that is linked, or about to be, in the list that the caller has exclusively.
#[expect(
    clippy::mut_from_ref,
    reason = "exclusive by the list, not by the reference: invariant 2"
)]
#[inline]
fn links<T: Node>(node: &T) -> &mut Links<T> {
    // SAFETY: only the holder of the list reaches the links (invariant 2), and no two results of this
    // function are used at once.
    unsafe { &mut *node.place().0.get() }
}
