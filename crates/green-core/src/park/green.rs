//! Parking a green thread: switch back to its hub until the hub resumes its slot.

use std::time::Instant;

use super::{Interrupt, Opened, Park, Wait, Wake, no_park_violation, watched};
use crate::sched::interrupts::Interrupts;
use crate::sched::slot::{SlotLocal, Waiting};
use crate::sched::waiter::Waiter;
use crate::sched::word::{Mode, Outcome};
use crate::sched::{self, Local, WaitFor, Work};
use crate::{engine, panics};

/// The green thread that runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Green {
    /// Where it runs.
    own: &'static SlotLocal,
}

impl Green {
    /// The green thread that runs; `None` elsewhere, and inside a panic hook.
    #[inline]
    pub(crate) fn current() -> Option<Self> {
        let own = sched::current()?;
        (!panics::in_hook()).then_some(Self { own })
    }

    /// Its hub.
    pub(crate) fn hub(self) -> &'static Local {
        self.own.hub
    }

    /// What can interrupt it.
    #[inline]
    pub(super) fn interrupts(self) -> &'static Interrupts {
        &self.own.interrupts
    }

    /// See `Caller::yield_now`.
    #[inline(always)] // See `Carrier::park`.
    pub(crate) fn yield_now(self) -> Result<(), Interrupt> {
        if self.own.interrupts.is_no_park() {
            no_park_violation();
        }
        if let Some(interrupt) = self.take_interrupt() {
            return Err(interrupt);
        }
        self.give_way();
        Ok(())
    }

    /// It did an I/O operation without parking. If its budget is used up, every other green thread of the hub
    /// that is ready runs first. Never interrupted: the operation has happened.
    #[inline]
    pub(crate) fn spend(self) {
        if self.own.hub.spend() {
            self.give_way();
        }
    }

    /// Whether it may do another operation without parking, which this counts. If not, it is to do one that parks: its
    /// budget is used up, or a kill waits for delivery.
    #[inline]
    pub(crate) fn may_go_on(self) -> bool {
        !self.own.hub.spend() && !self.own.slot().waiter.kill_pending()
    }

    /// What it did is to be followed by those who are ready, before it goes on. Never interrupted: it has
    /// happened. Does nothing inside `no_park`.
    pub(crate) fn let_others_run(self) {
        if !self.own.interrupts.is_no_park() {
            self.give_way();
        }
    }

    /// Lets everything that is ready run first, once; interrupts stay pending.
    #[inline(always)] // See `Carrier::park`.
    fn give_way(self) {
        engine::make_room();
        self.own.hub.push(Work::Resume(self.own.slot()));
        self.suspend(WaitFor::Yield, 0);
    }

    /// See `Caller::take_interrupt`. Expired scopes count only from the next wait on, as in gevent.
    #[inline]
    pub(super) fn take_interrupt(self) -> Option<Interrupt> {
        (self.own.slot().waiter.kill_pending()
            && self.effective_mode(Mode::Interruptible) == Mode::Interruptible)
            .then(|| self.deliver_kill())
    }

    /// See `Caller::is_unwinding`.
    #[inline]
    pub(super) fn is_unwinding(self) -> bool {
        std::thread::panicking()
            && (!self.own.hub.parked_unwinding.get() || self.own.interrupts.is_known_unwinding())
    }

    /// Whether interrupts may end a wait of this green thread now.
    #[inline]
    fn effective_mode(self, mode: Mode) -> Mode {
        let interrupts = &self.own.interrupts;
        if interrupts.is_no_park() {
            no_park_violation();
        }
        if interrupts.is_masked() || self.is_unwinding() {
            Mode::Masked
        } else {
            mode
        }
    }

    /// Takes the pending kill, unless a scope has expired: that goes first and the kill stays pending.
    #[cold]
    fn deliver_kill(self) -> Interrupt {
        if let Some(id) = self.own.interrupts.take_expired(Instant::now()) {
            return Interrupt::Timeout(id);
        }
        self.own.slot().waiter.take_kill();
        Interrupt::Kill
    }

    /// Parks with a deadline to watch.
    #[cold]
    fn park_until(self, at: Instant, scope: Option<Instant>, wait: &Wait) -> Wake {
        self.own
            .hub
            .timers(|timers| timers.set(self.own.slot(), at));
        self.suspend(wait.what, wait.detail);
        self.own.hub.timers(|timers| timers.clear(self.own.slot()));
        match self.outcome() {
            Outcome::TimedOut if scope == Some(at) => {
                let expired = self.own.interrupts.take_expired(Instant::now());
                expired.map_or(Wake::TimedOut, |id| {
                    Wake::Interrupted(Interrupt::Timeout(id))
                })
            }
            outcome => self.wake(outcome),
        }
    }

    /// How the wait ended in which it was parked.
    #[inline]
    fn outcome(self) -> Outcome {
        let word = &self.own.slot().waiter.word;
        let outcome = word
            .outcome()
            .expect("a green thread is resumed by whoever claimed its wait");
        word.end();
        outcome
    }

    #[inline]
    fn wake(self, outcome: Outcome) -> Wake {
        match outcome {
            Outcome::Notified => Wake::Notified,
            Outcome::TimedOut => Wake::TimedOut,
            Outcome::Interrupted => Wake::Interrupted(self.deliver_kill()),
        }
    }

    /// Switches to the hub; returns when the hub resumes the slot.
    #[inline(always)] // See `Carrier::park`.
    fn suspend(self, what: WaitFor, detail: u32) {
        let own = self.own;
        let slot = own.slot();
        slot.note_wait(Waiting {
            what,
            detail,
            since: own.hub.now_coarse(),
        });
        if self.is_unwinding() {
            own.interrupts.set_parked_unwinding(true);
        } else if !own.interrupts.is_idle() {
            // Whatever unwound before was caught.
            own.interrupts.set_known_unwinding(false);
        }
        if own.hub.is_watched.get() {
            watched::suspend(own, || {
                own.carrier.park();
                show_frames(own);
            });
        } else {
            own.carrier.park();
        }
        if own.interrupts.is_to_look_up() {
            look_up(own);
        }
        slot.note_running();
    }
}

/// A park is over, and there is something to see to.
#[cold]
#[inline(never)]
fn look_up(own: &'static SlotLocal) {
    show_frames(own);
    if own.interrupts.is_parked_unwinding() {
        own.interrupts.set_parked_unwinding(false);
        // While it was away, others may have found nobody unwinding: this one still is.
        own.interrupts.set_known_unwinding(true);
    }
}

/// For as long as the hub resumes the green thread only to see its frames: shows them, and parks again. To its wait
/// nothing has happened.
#[inline(never)]
fn show_frames(own: &'static SlotLocal) {
    while own.interrupts.take_shows_frames() {
        // Taken: should the walk overflow the stack, this green thread never comes back.
        if let Some(mut frames) = own.hub.frames.take() {
            frames.walk();
            own.hub.frames.set(Some(frames));
        }
        own.carrier.park();
    }
}

impl Park for Green {
    #[inline]
    fn begin(self, mode: Mode) -> Result<Opened, Interrupt> {
        let mode = self.effective_mode(mode);
        let waiter = &self.own.slot().waiter;
        let episode = waiter.word.begin(mode);
        // If the claim fails, a killer claimed first: its wake-up is under way and `park` takes it.
        if waiter.kill_pending()
            && mode == Mode::Interruptible
            && waiter.word.claim(episode, Outcome::Interrupted)
        {
            waiter.word.end();
            return Err(self.deliver_kill());
        }
        Ok(Opened { episode, mode })
    }

    #[inline(always)] // See `Carrier::park`.
    fn park(self, opened: Opened, wait: &Wait) -> Wake {
        let scope = match opened.mode {
            Mode::Interruptible => self.own.interrupts.earliest(),
            Mode::Masked => None,
        };
        match (wait.deadline.instant(), scope) {
            (None, None) => {}
            (Some(at), None) => return self.park_until(at, None, wait),
            (deadline, Some(scope)) => {
                let at = deadline.map_or(scope, |deadline| deadline.min(scope));
                return self.park_until(at, Some(scope), wait);
            }
        }
        self.suspend(wait.what, wait.detail);
        let outcome = self.outcome();
        self.wake(outcome)
    }

    #[inline]
    fn waiter(self) -> &'static Waiter {
        &self.own.slot().waiter
    }
}
