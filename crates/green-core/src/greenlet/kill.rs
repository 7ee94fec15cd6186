//! Killing green threads.
//!
//! A kill asks; the green thread unwinds at its current or next blocking call. One that has not started
//! never runs: it is finished at once, and its closure is dropped where it would have run.

use std::borrow::Borrow;
use std::time::Duration;

use super::Greenlet;
use super::packet::Packet;
use crate::engine::make_room;
use crate::error::Failure;
use crate::interrupt;
use crate::park::Caller;
use crate::sched::control::{Control, State};
use crate::sched::record::Owner;
use crate::sched::word::Mode;
use crate::sched::{self, Message};
use crate::time::deadline::Deadline;

impl<T> Greenlet<T> {
    /// Asks it to die, without waiting. Once it has ended this does nothing.
    ///
    /// # Panics
    ///
    /// Under `panic = "abort"`, if it has started.
    pub fn kill_nowait(&self) {
        kill(&self.record);
    }

    /// Asks it to die and waits until it has ended, however long its destructors take.
    ///
    /// A green thread that kills itself unwinds here.
    ///
    /// # Blocking
    ///
    /// Parks the caller; a cancellation point.
    pub fn kill(&self) {
        self.kill_and_wait(Deadline::Never);
    }

    /// As [`Greenlet::kill`], waiting at most `timeout`; true if it has ended.
    pub fn kill_timeout(&self, timeout: Duration) -> bool {
        self.kill_and_wait(Deadline::after(timeout))
    }

    fn kill_and_wait(&self, deadline: Deadline) -> bool {
        self.kill_nowait();
        let own = sched::current().and_then(|own| own.running(|running| running.control().id()));
        if own == Some(self.id()) {
            die_if_asked();
            // Deferred: it cannot wait for itself.
            return false;
        }
        self.record.wait(deadline, Mode::Interruptible)
    }
}

/// Asks the green thread whose record this is to die.
pub(super) fn kill<T>(record: &Owner<Packet<T>>) {
    make_room();
    // Of one that nobody has started: dropped at the end.
    let unstarted = record.start();
    let control = record.control();
    if control.kill_new() {
        drop(Packet::publish(record, Err(Failure::Killed)));
        if unstarted.is_none() {
            cancel_start(control);
        }
    } else {
        interrupt(control);
    }
}

/// Unwinds the caller if it was asked to die and may now.
pub(crate) fn die_if_asked() {
    if let Some(interrupt) = Caller::current().take_interrupt() {
        interrupt::raise(interrupt);
    }
}

/// Kills all of them and waits until they have ended. None that has not started will start.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// let sleepers: Vec<_> =
///     (0..3).map(|_| green_core::spawn(|| green_core::sleep(Duration::from_secs(600)))).collect();
/// green_core::killall(&sleepers);
/// assert!(sleepers.iter().all(|g| g.ready()));
/// ```
pub fn killall<T, G: Borrow<Greenlet<T>>>(greenlets: impl IntoIterator<Item = G>) {
    kill_every(greenlets, Deadline::Never);
}

/// As [`killall`], waiting at most `timeout`; true if all have ended.
pub fn killall_timeout<T, G: Borrow<Greenlet<T>>>(
    greenlets: impl IntoIterator<Item = G>,
    timeout: Duration,
) -> bool {
    kill_every(greenlets, Deadline::after(timeout))
}

/// As [`killall`], without waiting.
pub fn killall_nowait<T, G: Borrow<Greenlet<T>>>(greenlets: impl IntoIterator<Item = G>) {
    ask_every(greenlets);
}

fn kill_every<T, G: Borrow<Greenlet<T>>>(
    greenlets: impl IntoIterator<Item = G>,
    deadline: Deadline,
) -> bool {
    ask_every(greenlets)
        .iter()
        .all(|greenlet| greenlet.borrow().record.wait(deadline, Mode::Interruptible))
}

fn ask_every<T, G: Borrow<Greenlet<T>>>(greenlets: impl IntoIterator<Item = G>) -> Vec<G> {
    let greenlets: Vec<G> = greenlets.into_iter().collect();
    let is_started = |greenlet: &&G| {
        let greenlet: &Greenlet<T> = (*greenlet).borrow();
        !matches!(greenlet.control().state(), State::Unstarted | State::New)
    };
    // First those that have not started, so that one that dies cannot let another start. Each of them once.
    let (started, unstarted): (Vec<_>, Vec<_>) = greenlets.iter().partition(is_started);
    for greenlet in unstarted.into_iter().chain(started) {
        greenlet.borrow().kill_nowait();
    }
    greenlets
}

/// Has the closure of one that was killed before it ran dropped where it would have run. It may stand in its hub's timers:
/// it need not wait until then.
pub(super) fn cancel_start(control: &Control) {
    if let Some(hub) = sched::hubs().get(control.hub()) {
        hub.send(Message::CancelStart(control.id().get()));
    }
}

/// Asks a green thread that has started to die.
///
/// # Panics
///
/// Under `panic = "abort"`.
pub(super) fn interrupt(control: &Control) {
    if control.is_finished() {
        return;
    }
    if cfg!(panic = "abort") {
        panic!("green: kill and Timeout need panic = \"unwind\"");
    }
    // It has started, so it has a waiter.
    if let Some(waiter) = control.waiter()
        && waiter.request_kill(control.id().get())
    {
        waiter.wake();
    }
}
