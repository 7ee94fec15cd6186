//! What can interrupt one caller: its `Timeout` scopes, and what defers or forbids interrupts.
//!
//! A kill is not here: it comes from other OS threads and lives in the green thread's control block.
//! Scopes are kept by value and told apart by number, so a scope whose guard was forgotten stays a
//! harmless entry until its green thread ends.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

/// The identity of a `Timeout` scope, unique within its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ScopeId(u64);

/// One active `Timeout` scope.
#[derive(Clone, Copy, Debug)]
struct Scope {
    /// Its identity.
    id: ScopeId,
    /// When it expires; `None` for never, and once that has been delivered.
    deadline: Option<Instant>,
    /// Whether its expiry has been delivered.
    is_delivered: bool,
    /// The span it was opened with, for who reports it.
    limit: Duration,
}

/// The interrupt state of a green thread or an OS thread; only that caller touches it, and its hub while it is parked.
#[derive(Debug, Default)]
#[repr(C)] // What every wait looks at is one byte, and comes first.
pub(crate) struct Interrupts {
    /// What is in force, in bits.
    bits: Cell<u8>,
    /// How many `mask_kill` sections the caller is in.
    masked: Cell<u32>,
    /// How many `no_park` sections the caller is in.
    no_park: Cell<u32>,
    /// The active scopes, outermost first.
    scopes: RefCell<Vec<Scope>>,
    /// The earliest deadline of `scopes`; for `SCOPES`.
    earliest: Cell<Option<Instant>>,
    /// The number of the next scope. Never again a lower one: a guard of the green thread before may still name its scope.
    next_id: Cell<u64>,
}

/// In a `mask_kill` section.
const MASKED: u8 = 1;
/// In a `no_park` section.
const NO_PARK: u8 = 1 << 1;
/// A scope has a deadline.
const SCOPES: u8 = 1 << 2;
/// The caller is known to unwind: an interrupt was raised, or the hook saw its panic. Stays set after a catch until it
/// is next found not to be unwinding.
const KNOWN_UNWINDING: u8 = 1 << 3;
/// That unwinding is an interrupt's.
const INTERRUPTED: u8 = 1 << 4;
/// The caller parked while it unwound.
const PARKED_UNWINDING: u8 = 1 << 5;
/// There are scopes, or have been.
const USED: u8 = 1 << 6;
/// The caller was resumed to show its frames only.
const SHOWS_FRAMES: u8 = 1 << 7;

impl Interrupts {
    /// Forgets everything: the next green thread begins afresh.
    #[inline]
    pub(crate) fn reset(&self) {
        if self.bits.get() != 0 {
            self.reset_all();
        }
    }

    #[cold]
    fn reset_all(&self) {
        self.bits.set(0);
        self.masked.set(0);
        self.no_park.set(0);
        self.scopes.borrow_mut().clear();
        self.earliest.set(None);
    }

    #[inline]
    fn is(&self, bit: u8) -> bool {
        self.bits.get() & bit != 0
    }

    #[inline]
    fn set(&self, bit: u8, to: bool) {
        let others = self.bits.get() & !bit;
        self.bits.set(if to { others | bit } else { others });
    }

    /// Whether nothing of all this is in force: the ordinary case, in one look.
    #[inline]
    pub(crate) fn is_idle(&self) -> bool {
        self.bits.get() == 0
    }

    /// Whether interrupts are deferred by `mask_kill`.
    pub(crate) fn is_masked(&self) -> bool {
        self.is(MASKED)
    }

    /// Enters a section in which interrupts are deferred.
    pub(crate) fn mask(&self) {
        self.masked.set(self.masked.get() + 1);
        self.set(MASKED, true);
    }

    /// Leaves it; true if it was the outermost.
    pub(crate) fn unmask(&self) -> bool {
        self.masked.set(self.masked.get() - 1);
        self.set(MASKED, self.masked.get() != 0);
        !self.is_masked()
    }

    /// Whether a blocking call is forbidden.
    pub(crate) fn is_no_park(&self) -> bool {
        self.is(NO_PARK)
    }

    /// Enters a section in which blocking calls panic.
    pub(crate) fn forbid_park(&self) {
        self.no_park.set(self.no_park.get() + 1);
        self.set(NO_PARK, true);
    }

    /// Leaves it.
    pub(crate) fn allow_park(&self) {
        self.no_park.set(self.no_park.get() - 1);
        self.set(NO_PARK, self.no_park.get() != 0);
    }

    /// Opens a scope that expires `limit` from now.
    pub(crate) fn open_scope(&self, limit: Duration) -> ScopeId {
        self.set(USED, true);
        let id = ScopeId(self.next_id.get());
        self.next_id.set(id.0 + 1);
        self.scopes.borrow_mut().push(Scope {
            id,
            deadline: Instant::now().checked_add(limit),
            is_delivered: false,
            limit,
        });
        self.update_earliest();
        id
    }

    /// Closes a scope; its expiry, if it was not delivered, is discarded.
    pub(crate) fn close_scope(&self, id: ScopeId) {
        self.scopes.borrow_mut().retain(|scope| scope.id != id);
        self.update_earliest();
    }

    /// Whether a scope is open, and its expiry has not been delivered.
    pub(crate) fn is_pending(&self, id: ScopeId) -> bool {
        let scopes = self.scopes.borrow();
        scopes
            .iter()
            .any(|scope| scope.id == id && !scope.is_delivered)
    }

    /// The span that an open scope was opened with.
    pub(crate) fn limit(&self, id: ScopeId) -> Option<Duration> {
        let scopes = self.scopes.borrow();
        let scope = scopes.iter().find(|scope| scope.id == id)?;
        Some(scope.limit)
    }

    /// The earliest deadline of the active scopes.
    #[inline]
    pub(crate) fn earliest(&self) -> Option<Instant> {
        if self.is(SCOPES) {
            self.earliest.get()
        } else {
            None
        }
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
        expired.is_delivered = true;
        let id = expired.id;
        drop(scopes);
        self.update_earliest();
        Some(id)
    }

    /// The expiry that was taken is to be delivered again, if the scope is active still.
    pub(crate) fn put_back_expired(&self, id: ScopeId, now: Instant) {
        for scope in &mut *self.scopes.borrow_mut() {
            if scope.id == id {
                scope.deadline = Some(now);
                scope.is_delivered = false;
            }
        }
        self.update_earliest();
    }

    /// Whether the caller is known to unwind.
    #[inline]
    pub(crate) fn is_known_unwinding(&self) -> bool {
        self.is(KNOWN_UNWINDING)
    }

    /// Notes whether the caller is known to unwind.
    #[inline]
    pub(crate) fn set_known_unwinding(&self, known: bool) {
        self.set(KNOWN_UNWINDING, known);
        if !known {
            self.set(INTERRUPTED, false);
        }
    }

    /// Whether the caller unwinds by an interrupt.
    pub(crate) fn is_interrupted(&self) -> bool {
        self.is(INTERRUPTED)
    }

    /// Notes that the caller is about to unwind by an interrupt.
    pub(crate) fn set_interrupted(&self) {
        self.set(KNOWN_UNWINDING | INTERRUPTED, true);
    }

    /// Notes that the caller is about to unwind by a panic.
    pub(crate) fn set_panicked(&self) {
        self.set(KNOWN_UNWINDING, true);
    }

    /// The interrupt by which the caller unwound was caught.
    pub(crate) fn end_interrupted(&self) {
        self.set(INTERRUPTED, false);
    }

    /// Notes whether the caller is parked while it unwinds.
    #[inline]
    pub(crate) fn set_parked_unwinding(&self, parked: bool) {
        self.set(PARKED_UNWINDING, parked);
    }

    /// Whether the caller parked while it unwound.
    #[inline]
    pub(crate) fn is_parked_unwinding(&self) -> bool {
        self.is(PARKED_UNWINDING)
    }

    /// Whether there is something to see to after a park: the caller parked while it unwound, or it is to show its frames.
    #[inline]
    pub(crate) fn is_to_look_up(&self) -> bool {
        self.is(PARKED_UNWINDING | SHOWS_FRAMES)
    }

    /// Notes that the caller will be resumed to show its frames only.
    pub(crate) fn set_shows_frames(&self) {
        self.set(SHOWS_FRAMES, true);
    }

    /// Whether the caller was resumed for that; once.
    pub(crate) fn take_shows_frames(&self) -> bool {
        let shows = self.is(SHOWS_FRAMES);
        self.set(SHOWS_FRAMES, false);
        shows
    }

    fn update_earliest(&self) {
        let earliest = self
            .scopes
            .borrow()
            .iter()
            .filter_map(|scope| scope.deadline)
            .min();
        self.earliest.set(earliest);
        self.set(SCOPES, earliest.is_some());
    }
}
