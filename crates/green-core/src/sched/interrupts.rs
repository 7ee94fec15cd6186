//! What can interrupt one caller: its `Timeout` scopes, and what defers or forbids interrupts.
//!
//! A kill is not here: it comes from other OS threads and lives in the green thread's control block.
//! Scopes are kept by value and told apart by number, so a scope whose guard was forgotten stays a
//! harmless entry until its green thread ends.

use std::cell::{Cell, RefCell};
use std::time::Instant;

/// The identity of a `Timeout` scope, unique within its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ScopeId(u64);

/// One active `Timeout` scope.
#[derive(Clone, Copy, Debug)]
struct Scope {
    /// Its identity.
    id: ScopeId,
    /// When it expires; `None` for never.
    deadline: Option<Instant>,
}

/// The interrupt state of a green thread or an OS thread; only that caller touches it.
#[derive(Debug, Default)]
pub(crate) struct Interrupts {
    /// How many `mask_kill` sections the caller is in.
    masked: Cell<u32>,
    /// How many `no_park` sections the caller is in.
    no_park: Cell<u32>,
    /// The active scopes, outermost first.
    scopes: RefCell<Vec<Scope>>,
    /// The earliest deadline of `scopes`.
    earliest: Cell<Option<Instant>>,
    /// The number of the next scope.
    next_id: Cell<u64>,
    /// Whether the caller is known to unwind: an interrupt was raised, or the hook saw its panic.
    /// Stays set after a catch until it is next found not to be unwinding.
    known_unwinding: Cell<bool>,
    /// Whether that unwinding is an interrupt's.
    interrupted: Cell<bool>,
}

impl Interrupts {
    /// Forgets everything: the next green thread begins afresh.
    pub(crate) fn reset(&self) {
        self.masked.set(0);
        self.no_park.set(0);
        if self.earliest.take().is_some() || self.next_id.take() != 0 {
            self.scopes.borrow_mut().clear();
        }
        self.known_unwinding.set(false);
        self.interrupted.set(false);
    }

    /// Whether interrupts are deferred by `mask_kill`.
    pub(crate) fn is_masked(&self) -> bool {
        self.masked.get() != 0
    }

    /// Enters a section in which interrupts are deferred.
    pub(crate) fn mask(&self) {
        self.masked.set(self.masked.get() + 1);
    }

    /// Leaves it; true if it was the outermost.
    pub(crate) fn unmask(&self) -> bool {
        self.masked.set(self.masked.get() - 1);
        self.masked.get() == 0
    }

    /// Whether a blocking call is forbidden.
    pub(crate) fn is_no_park(&self) -> bool {
        self.no_park.get() != 0
    }

    /// Enters a section in which blocking calls panic.
    pub(crate) fn forbid_park(&self) {
        self.no_park.set(self.no_park.get() + 1);
    }

    /// Leaves it.
    pub(crate) fn allow_park(&self) {
        self.no_park.set(self.no_park.get() - 1);
    }

    /// Opens a scope that expires at `deadline`.
    pub(crate) fn open_scope(&self, deadline: Option<Instant>) -> ScopeId {
        let id = ScopeId(self.next_id.get());
        self.next_id.set(id.0 + 1);
        self.scopes.borrow_mut().push(Scope { id, deadline });
        self.update_earliest();
        id
    }

    /// Closes a scope; its expiry, if it was not delivered, is discarded.
    pub(crate) fn close_scope(&self, id: ScopeId) {
        self.scopes.borrow_mut().retain(|scope| scope.id != id);
        self.update_earliest();
    }

    /// The earliest deadline of the active scopes.
    #[inline]
    pub(crate) fn earliest(&self) -> Option<Instant> {
        self.earliest.get()
    }

    /// Takes the outermost scope that has expired at `now`: its expiry is delivered once.
    pub(crate) fn take_expired(&self, now: Instant) -> Option<ScopeId> {
        if self.earliest.get().is_none_or(|earliest| earliest > now) {
            return None;
        }
        let mut scopes = self.scopes.borrow_mut();
        let expired = scopes
            .iter_mut()
            .find(|scope| scope.deadline.is_some_and(|at| at <= now))?;
        expired.deadline = None;
        let id = expired.id;
        drop(scopes);
        self.update_earliest();
        Some(id)
    }

    /// Whether the caller is known to unwind.
    pub(crate) fn is_known_unwinding(&self) -> bool {
        self.known_unwinding.get()
    }

    /// Notes whether the caller is known to unwind.
    pub(crate) fn set_known_unwinding(&self, known: bool) {
        self.known_unwinding.set(known);
        if !known {
            self.interrupted.set(false);
        }
    }

    /// Whether the caller unwinds by an interrupt.
    pub(crate) fn is_interrupted(&self) -> bool {
        self.interrupted.get()
    }

    /// Notes that the caller is about to unwind by an interrupt.
    pub(crate) fn set_interrupted(&self) {
        self.known_unwinding.set(true);
        self.interrupted.set(true);
    }

    /// Notes that the caller is about to unwind by a panic.
    pub(crate) fn set_panicked(&self) {
        self.known_unwinding.set(true);
    }

    /// The interrupt by which the caller unwound was caught.
    pub(crate) fn end_interrupted(&self) {
        self.interrupted.set(false);
    }

    fn update_earliest(&self) {
        self.earliest.set(
            self.scopes
                .borrow()
                .iter()
                .filter_map(|scope| scope.deadline)
                .min(),
        );
    }
}
