//! Parking a green thread: switch back to its hub until the hub resumes its slot.
#![cfg(not(green_loom))]

use std::time::Instant;

use super::{Interrupt, Opened, Target, Unparker, Wake, no_park_violation};
use crate::engine;
use crate::sched::slot::Slot;
use crate::sched::word::{Mode, Outcome};
use crate::sched::{Local, WaitFor, Work};
use crate::time::deadline::Deadline;

/// See `Caller::begin`.
#[inline]
pub(super) fn begin(
    local: &'static Local,
    slot: &'static Slot,
    mode: Mode,
) -> Result<Opened, Interrupt> {
    let mode = effective_mode(local, slot, mode);
    let episode = slot.word.begin(mode);
    let killed = mode == Mode::Interruptible
        && slot.with_control(|control| control.kill_pending()) == Some(true);
    // If the claim fails, a killer claimed first: its wake-up is under way and `park` takes it.
    if killed && slot.word.claim(episode, Outcome::Interrupted) {
        slot.word.end();
        return Err(deliver_kill(slot));
    }
    Ok(Opened {
        unparker: Unparker {
            target: Target::Green(slot),
            episode,
        },
        mode,
    })
}

/// See `Caller::park`.
#[inline]
pub(super) fn park(
    local: &'static Local,
    slot: &'static Slot,
    mode: Mode,
    deadline: Deadline,
    what: WaitFor,
    detail: u32,
) -> Wake {
    let own = slot.local.get();
    let scope = match mode {
        Mode::Interruptible => own.interrupts.earliest(),
        Mode::Masked => None,
    };
    let deadline = deadline.instant();
    let earliest = match (deadline, scope) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    };
    if let Some(at) = earliest {
        local.timers(|timers| timers.set(slot, at));
    }
    suspend(local, slot, what, detail);
    if earliest.is_some() {
        local.timers(|timers| timers.clear(slot));
    }
    let outcome = slot
        .word
        .outcome()
        .expect("a green thread is resumed by whoever claimed its wait");
    slot.word.end();
    match outcome {
        Outcome::Notified => Wake::Notified,
        Outcome::Interrupted => Wake::Interrupted(deliver_kill(slot)),
        Outcome::TimedOut => match scope {
            Some(scope) if deadline.is_none_or(|deadline| scope <= deadline) => {
                let expired = own.interrupts.take_expired(Instant::now());
                expired.map_or(Wake::TimedOut, |id| {
                    Wake::Interrupted(Interrupt::Timeout(id))
                })
            }
            _ => Wake::TimedOut,
        },
    }
}

/// See `Caller::yield_now`.
#[inline]
pub(super) fn yield_now(local: &'static Local, slot: &'static Slot) -> Result<(), Interrupt> {
    if slot.local.get().interrupts.is_no_park() {
        no_park_violation();
    }
    if let Some(interrupt) = take_interrupt(local, slot) {
        return Err(interrupt);
    }
    give_way(local, slot);
    Ok(())
}

/// Lets everything that is ready run first, once; interrupts stay pending.
pub(super) fn give_way(local: &'static Local, slot: &'static Slot) {
    local.push(Work::Resume(slot));
    suspend(local, slot, WaitFor::Yield, 0);
}

/// See `Caller::take_interrupt`. Expired scopes count only from the next wait on, as in gevent.
#[inline]
pub(super) fn take_interrupt(local: &'static Local, slot: &'static Slot) -> Option<Interrupt> {
    let killed = slot.with_control(|control| control.kill_pending()) == Some(true);
    (killed && effective_mode(local, slot, Mode::Interruptible) == Mode::Interruptible)
        .then(|| deliver_kill(slot))
}

/// See `Caller::is_unwinding`.
#[inline]
pub(super) fn is_unwinding(local: &'static Local, slot: &'static Slot) -> bool {
    std::thread::panicking()
        && (!local.parked_unwinding.get() || slot.local.get().interrupts.is_known_unwinding())
}

/// Whether interrupts may end a wait of this green thread now.
#[inline]
fn effective_mode(local: &'static Local, slot: &'static Slot, mode: Mode) -> Mode {
    let interrupts = &slot.local.get().interrupts;
    if interrupts.is_no_park() {
        no_park_violation();
    }
    if interrupts.is_masked() || is_unwinding(local, slot) {
        Mode::Masked
    } else {
        mode
    }
}

/// Takes the pending kill, unless a scope has expired: that goes first and the kill stays pending.
#[cold]
fn deliver_kill(slot: &'static Slot) -> Interrupt {
    if let Some(id) = slot.local.get().interrupts.take_expired(Instant::now()) {
        return Interrupt::Timeout(id);
    }
    slot.with_control(|control| control.take_kill());
    Interrupt::Kill
}

/// Switches to the hub; returns when the hub resumes the slot.
#[inline]
fn suspend(local: &'static Local, slot: &'static Slot, what: WaitFor, detail: u32) {
    let own = slot.local.get();
    slot.note_wait(what, detail, local.now.get());
    if is_unwinding(local, slot) {
        own.parked_unwinding.set(true);
    } else {
        // Whatever unwound before was caught.
        own.interrupts.set_known_unwinding(false);
    }
    engine::park();
    if own.parked_unwinding.take() {
        // While it was away, others may have found nobody unwinding: this one still is.
        own.interrupts.set_known_unwinding(true);
    }
    slot.note_running();
}
