//! An intrusive list of waiters: the only place that links one caller's memory to another's.
//!
//! # Invariants
//!
//! 1. A list, the `state` of its waiters, and their links are touched only by whoever holds the lock of
//!    the [`Monitor`](super::Monitor) that the list lies in: the methods take `&mut List`, which only
//!    that lock gives out. A waiter's own record of being linked is changed in the same places.
//! 2. A linked waiter is alive: its owner unlinks it, under the lock, before the waiter goes away. The
//!    owner's frame does that in a drop guard; a frame that may vanish without unwinding (a `may`
//!    coroutine's) keeps its waiter on the heap, where it then stays for ever.
//! 3. Waiters stand in the order of their tickets.

use std::cell::UnsafeCell;
use std::ptr::NonNull;

use crate::park::Unparker;

/// One caller in one list.
#[derive(Debug)]
pub(super) struct Waiter {
    /// What a notifier uses to wake it.
    unparker: Unparker,
    /// Its place: lower tickets are served first.
    ticket: u64,
    /// Its neighbours while it is linked; by invariant 1.
    links: UnsafeCell<Links>,
}

/// The neighbours of a waiter.
#[derive(Debug, Default)]
struct Links {
    /// Whether it is in a list.
    linked: bool,
    previous: Option<NonNull<Waiter>>,
    next: Option<NonNull<Waiter>>,
}

impl Waiter {
    pub(super) fn new(unparker: Unparker, ticket: u64) -> Self {
        Self {
            unparker,
            ticket,
            links: UnsafeCell::default(),
        }
    }
}

/// The waiters of one condition, the oldest first.
#[derive(Debug, Default)]
pub(super) struct List {
    head: Option<NonNull<Waiter>>,
    tail: Option<NonNull<Waiter>>,
}

// SAFETY: the pointers lead to waiters that any OS thread may read and unlink while it has the list
// exclusively (invariant 1); `Unparker` itself is `Send` and `Sync`.
unsafe impl Send for List {}

impl List {
    pub(super) const fn new() -> Self {
        Self {
            head: None,
            tail: None,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.head.is_none()
    }

    /// Links `waiter` behind all those with a lower ticket.
    ///
    /// # Safety
    ///
    /// `waiter` is not linked, and stays alive and in place until it has been unlinked
    /// (by [`List::pop`], or by the caller through [`List::remove`]).
    pub(super) unsafe fn insert(&mut self, waiter: NonNull<Waiter>) {
        let ticket = ticket(waiter);
        // A new waiter has the highest ticket; one that comes back belongs near the head.
        if self.tail.is_none_or(|tail| self::ticket(tail) < ticket) {
            self.link(waiter, self.tail, None);
            return;
        }
        let mut next = self.head;
        while let Some(at) = next
            && self::ticket(at) < ticket
        {
            next = links(at).next;
        }
        let previous = match next {
            Some(next) => links(next).previous,
            None => self.tail,
        };
        self.link(waiter, previous, next);
    }

    /// Unlinks `waiter` if it is linked; true if it was.
    ///
    /// # Safety
    ///
    /// `waiter` is alive, and linked in this list if it is linked at all.
    pub(super) unsafe fn remove(&mut self, waiter: NonNull<Waiter>) -> bool {
        if !links(waiter).linked {
            return false;
        }
        self.unlink(waiter);
        true
    }

    /// Unlinks the oldest waiter, if its ticket is below `bound`, and returns what wakes it.
    pub(super) fn pop(&mut self, bound: u64) -> Option<Unparker> {
        let head = self.head?;
        if ticket(head) >= bound {
            return None;
        }
        self.unlink(head);
        // SAFETY: it was linked, so it is alive (invariant 2), and cannot go before we release the lock.
        let waiter = unsafe { head.as_ref() };
        Some(waiter.unparker.clone())
    }

    fn link(
        &mut self,
        waiter: NonNull<Waiter>,
        previous: Option<NonNull<Waiter>>,
        next: Option<NonNull<Waiter>>,
    ) {
        *links(waiter) = Links {
            linked: true,
            previous,
            next,
        };
        match previous {
            Some(previous) => links(previous).next = Some(waiter),
            None => self.head = Some(waiter),
        }
        match next {
            Some(next) => links(next).previous = Some(waiter),
            None => self.tail = Some(waiter),
        }
    }

    fn unlink(&mut self, waiter: NonNull<Waiter>) {
        let Links { previous, next, .. } = std::mem::take(links(waiter));
        match previous {
            Some(previous) => links(previous).next = next,
            None => self.head = next,
        }
        match next {
            Some(next) => links(next).previous = previous,
            None => self.tail = previous,
        }
    }
}

/// Frees a waiter that was leaked from a box and is not linked any more.
pub(super) fn free(waiter: NonNull<Waiter>) {
    // SAFETY: the caller owns the waiter, made it by leaking a box, and gives it up here.
    drop(unsafe { Box::from_raw(waiter.as_ptr()) });
}

/// The links of a waiter that is linked, or about to be, in the list whose lock the caller holds.
fn links<'a>(waiter: NonNull<Waiter>) -> &'a mut Links {
    // SAFETY: the waiter is alive (invariant 2).
    let links = unsafe { waiter.as_ref() }.links.get();
    // SAFETY: only the holder of the lock reaches the links (invariant 1), and no two results of this
    // function are used at once.
    unsafe { &mut *links }
}

fn ticket(waiter: NonNull<Waiter>) -> u64 {
    // SAFETY: the waiter is alive (invariant 2), and its ticket never changes.
    unsafe { waiter.as_ref().ticket }
}
