//! Parking a `may` coroutine: with `may`'s own park token, on `may`'s own workers.
//!
//! Every coroutine that waits here has one [`MayParker`] in its coroutine-local storage: a wake word,
//! as every caller has, and `may`'s handle to the coroutine, whose `unpark` makes it runnable.
//!
//! # Protocol
//!
//! 1. [`begin`] opens an episode of the word.
//! 2. [`park`] looks at the word, and suspends by `may::coroutine::park` while nobody has claimed.
//! 3. A claimer calls [`MayParker::unpark`]: the token, or the coroutine's being resumed.
//!
//! `may`'s park is a flag, "unparked", and a place for the suspended coroutine. A return from it says only that
//! the flag was set some time: by this wait's claimer, by one of an earlier wait that was late, or by the
//! program, which may use the token for its own ends. So the word decides, and the token is left set at
//! the end of every wait: the program's own `unpark` is never lost, at the price of a return of its
//! `park` that it does not expect, which every user of such a token must be ready for.
//!
//! # What of `may` must be worked around
//!
//! 1. A timeout of its park can fire between the start of the timer and the storing of the coroutine, and is
//!    then lost, with the coroutine. A hub times the wait instead.
//! 2. An `unpark` that comes while the coroutine is being stored makes the storing code run the coroutine,
//!    below its own frame, and its park record may not go away before that frame is left. Were the coroutine
//!    to end there, the worker would wait for itself for ever. So a coroutine that has waited goes once
//!    through its worker's queue before it goes on.
//! 3. A blocker of the wait's own (`may::sync::Blocker`) would not do: the code that stores the coroutine
//!    still touches the coroutine's records after another OS thread may have resumed it, and only the drop of
//!    the park that they belong to waits for that. The coroutine's own park belongs to them.
//! 4. It changes OS threads at every call here, so all of them are behind calls that are never inlined: no
//!    address of a thread-local lives across a switch.
//!
//! # Memory ordering
//!
//! `may` takes the token with a plain load and a plain store. The fence in [`park`] puts that store before the
//! look at the word: a claimer whose `unpark` still finds the old token set, and therefore does nothing,
//! has claimed before that store, so the look finds its claim. The claim against the look at the kill flag
//! is the word's own argument (`sched::word`).

use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use may::coroutine::{self, Coroutine};
use may::coroutine_local;

use super::{Interrupt, Opened, Target, Unparker, Wake};
use crate::hub;
use crate::sched::control::{Control, InterruptFn};
use crate::sched::word::{Episode, Mode, Outcome, Word};
use crate::sched::{self, Call, HubShared, Message};
use crate::time::deadline::Deadline;

/// What others need of a `may` coroutine to end its waits.
#[derive(Debug)]
pub(crate) struct MayParker {
    /// Who ends the current wait.
    pub(super) word: Word,
    /// `may`'s handle to it.
    coroutine: Coroutine,
    /// The green thread that it is, if it is one of ours.
    control: OnceLock<Arc<Control>>,
}

coroutine_local! {
    // The parker of this coroutine, made when it first waits.
    static PARKER: Arc<MayParker> = Arc::new(MayParker {
        word: Word::new(),
        coroutine: coroutine::current(),
        control: OnceLock::new(),
    })
}

impl MayParker {
    /// Wakes the coroutine whose wait was claimed.
    #[inline(never)]
    pub(super) fn unpark(&self) {
        self.coroutine.unpark();
    }

    /// Whether a kill waits for delivery.
    fn kill_pending(&self) -> bool {
        self.control
            .get()
            .is_some_and(|control| control.kill_pending())
    }

    /// Takes the pending kill; false if there is none.
    fn take_kill(&self) -> bool {
        self.control
            .get()
            .is_some_and(|control| control.take_kill())
    }

    /// Ends the current wait by the kill that was asked for, if it waits and may be interrupted; the
    /// caller must then unpark it. For the order of the looks see `Slot::claim_kill`.
    fn claim_kill(&self) -> bool {
        self.word.interruptible().is_some_and(|episode| {
            self.kill_pending() && self.word.claim(episode, Outcome::Interrupted)
        })
    }
}

/// Makes the calling coroutine the green thread `control`; returns what ends its waits by a kill.
pub(crate) fn register_migrating(control: &Arc<Control>) -> InterruptFn {
    let parker = current().expect("a migrating green thread is a coroutine of may");
    let registered = parker.control.set(Arc::clone(control));
    debug_assert!(registered.is_ok(), "a coroutine is one green thread");
    // Weak: the control block, which the parker holds, is to hold what is returned here.
    let parker = Arc::downgrade(&parker);
    Box::new(move || {
        if let Some(parker) = parker.upgrade()
            && parker.claim_kill()
        {
            parker.unpark();
        }
    })
}

/// The calling `may` coroutine, if the caller is one.
#[inline(never)]
pub(super) fn current() -> Option<Arc<MayParker>> {
    coroutine::is_coroutine().then(|| PARKER.with(Arc::clone))
}

/// See `Caller::begin`.
pub(super) fn begin(parker: &Arc<MayParker>, mode: Mode) -> Result<Opened, Interrupt> {
    // std's panic count belongs to whatever OS thread this is: unwinding only defers interrupts.
    let mode = if std::thread::panicking() {
        Mode::Masked
    } else {
        mode
    };
    let episode = parker.word.begin(mode);
    // If the claim fails, a killer claimed first: its wake-up is under way and `park` takes it.
    if mode == Mode::Interruptible
        && parker.kill_pending()
        && parker.word.claim(episode, Outcome::Interrupted)
    {
        parker.word.end();
        parker.take_kill();
        return Err(Interrupt::Kill);
    }
    let unparker = Unparker {
        target: Target::May(Arc::clone(parker)),
        episode,
    };
    Ok(Opened { unparker, mode })
}

/// See `Caller::park`.
pub(super) fn park(parker: &Arc<MayParker>, episode: Episode, deadline: Deadline) -> Wake {
    let timer = deadline.instant().map(|at| Timer::set(parker, episode, at));
    let outcome = loop {
        fence(Ordering::SeqCst);
        if let Some(outcome) = parker.word.outcome() {
            break outcome;
        }
        suspend();
    };
    leave_nested();
    drop(timer);
    parker.word.end();
    parker.unpark();
    match outcome {
        Outcome::TimedOut => Wake::TimedOut,
        Outcome::Notified => Wake::Notified,
        Outcome::Interrupted => {
            parker.take_kill();
            Wake::Interrupted(Interrupt::Kill)
        }
    }
}

/// Lets other coroutines run; a pending kill is delivered first.
pub(super) fn yield_now(parker: &MayParker) -> Result<(), Interrupt> {
    if let Some(interrupt) = take_interrupt(parker) {
        return Err(interrupt);
    }
    leave_nested();
    Ok(())
}

/// See `Caller::take_interrupt`.
pub(super) fn take_interrupt(parker: &MayParker) -> Option<Interrupt> {
    (!std::thread::panicking() && parker.take_kill()).then_some(Interrupt::Kill)
}

/// Suspends the calling coroutine until it has its token, and takes that.
#[inline(never)]
fn suspend() {
    coroutine::park();
}

/// Sends the calling coroutine through its worker's queue.
#[inline(never)]
fn leave_nested() {
    coroutine::yield_now();
}

/// A hub's promise to end a wait at its deadline; taken back when it is dropped.
struct Timer {
    hub: &'static HubShared,
    at: Instant,
    number: u64,
}

impl Timer {
    /// Asks a hub; the hubs start if they have not.
    fn set(parker: &Arc<MayParker>, episode: Episode, at: Instant) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        hub::start();
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let hubs = sched::hubs();
        let hub = hubs[usize::try_from(number).unwrap_or(0) % hubs.len()];
        let unparker = Unparker {
            target: Target::May(Arc::clone(parker)),
            episode,
        };
        let expire = move || {
            if unparker.claim(Outcome::TimedOut) {
                unparker.unpark();
            }
        };
        hub.send(Message::CallAt(at, number, Call(Box::new(expire))));
        Self { hub, at, number }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.hub.send(Message::CancelCall(self.at, self.number));
    }
}
