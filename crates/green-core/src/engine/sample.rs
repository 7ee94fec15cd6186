//! Has the OS thread of a hub walk its own stack, for another that asks: by a signal.
//!
//! A stack that runs can be walked by nobody else. A signal to its OS thread has it do that at once, whatever it is doing:
//! computing, or waiting in a system call.
//!
//! # Protocol
//!
//! 1. [`prepare`] puts the handler in, if the signal has none; [`Sample::of_this_thread`] makes an OS thread one that can
//!    be asked.
//! 2. [`Sample::ask`] sets `ASKED` and sends the signal. The handler takes that to `WALKING`, asks the [`Permit`], walks,
//!    and says `DONE`. A signal that nobody asked for finds no `ASKED` and does nothing.
//! 3. [`Sample::answer`] looks; who is tired of that calls [`Sample::withdraw`].
//!
//! # States
//!
//! | state | meaning | who leaves it |
//! |---|---|---|
//! | `IDLE` | nobody has asked | who asks, to `ASKED` |
//! | `ASKED` | the signal is on its way | the handler, to `WALKING`; who asked, to `IDLE` |
//! | `WALKING` | the handler writes `walked` | the handler, to `DONE` |
//! | `DONE` | `walked` may be read | who asked, to `IDLE` or `ASKED` |
//!
//! # What the handler may do
//!
//! It runs between any two instructions of the OS thread, on the alternate stack, which has room for the walk
//! ([`super::overflow::ensure_signal_stack`]), also where the stack that runs has none left.
//!
//! 1. It takes no lock and allocates nothing. The walk is as safe as [`super::walk`] says. It leaves `errno` as it was.
//! 2. What it looks at is atomic, or belongs to its OS thread and is whole between any two instructions: thread-locals
//!    that need no initialisation, cells of one word, a `RefCell`, whose flag it leaves as it found it.
//! 3. It walks only if the permit says that a green thread is in the midst of its own code. So it never starts at a
//!    switch, where the stack pointer is of one stack and everything else of the other. Would it all the same: the
//!    engine's switch has no tables, and the walk ends there.
//!
//! # What others notice
//!
//! The handler restarts what it interrupts (`SA_RESTART`). System calls that the kernel never restarts fail with "interrupted":
//! `poll`, `select`, `epoll_wait`, `nanosleep`, `sigtimedwait`, semaphores and sockets with a time limit. std's own
//! functions go on by themselves.
//!
//! Whoever puts in a handler of his own after [`prepare`] keeps it: then nothing is sent any more.

use std::cell::{Cell, UnsafeCell};
use std::fmt;
use std::io;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use super::overflow::handler;
use super::walk::{self, Frames};

/// Whether the stack that runs may be walked; if so, a number by which who asked knows what ran there. Async-signal-safe.
pub(crate) type Permit = fn() -> Option<u64>;

/// The signal, and the permit; once prepared.
static PREPARED: OnceLock<(Signal, Permit)> = OnceLock::new();

type Signal = libc::c_int;

thread_local! {
    /// That of the calling OS thread.
    static SAMPLE: Cell<Option<&'static Sample>> = const { Cell::new(None) };
}

/// Puts the handler in, for good, before any OS thread can be asked.
///
/// # Errors
///
/// The signal has a handler (`AlreadyExists`), or cannot have one.
pub(crate) fn prepare(signal: Signal, permit: Permit) -> io::Result<()> {
    let before = handler(signal).sa_sigaction;
    if before != libc::SIG_DFL && before != libc::SIG_IGN {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    walk::prepare();
    PREPARED.get_or_init(|| (signal, permit));
    // SAFETY: all-zero is a valid `sigaction` (no handler, empty mask, no flags).
    let mut ours: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
    ours.sa_sigaction = on_signal as *const () as libc::sighandler_t;
    ours.sa_flags = libc::SA_ONSTACK | libc::SA_RESTART;
    // SAFETY: `ours` is a complete action whose handler has the signature without `SA_SIGINFO` and is async-signal-safe
    // by the rules above.
    let status = unsafe { libc::sigaction(signal, &raw const ours, ptr::null_mut()) };
    if status == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// See the module documentation. One for each OS thread, for ever.
pub(crate) struct Sample {
    /// The OS thread, which never ends.
    thread: usize,
    /// One of the states.
    state: AtomicU32,
    /// Written in `WALKING` by the handler on that OS thread, read in `DONE` by who asked.
    walked: UnsafeCell<Walked>,
}

impl fmt::Debug for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sample").finish_non_exhaustive()
    }
}

/// What the handler found.
#[derive(Clone, Copy)]
struct Walked {
    /// What the permit said.
    number: Option<u64>,
    frames: Frames,
}

// SAFETY: `walked` is reached by one at a time: by the handler in `WALKING`, which it alone enters and leaves, and by who
// asked in `DONE`, who is one at a time (`Sample::ask`).
unsafe impl Sync for Sample {}

impl Sample {
    /// Lets the calling OS thread, which never ends, be asked.
    pub(crate) fn of_this_thread() -> &'static Self {
        // SAFETY: it has no preconditions.
        let thread = unsafe { libc::pthread_self() };
        let sample: &'static Self = Box::leak(Box::new(Self {
            thread: thread as usize,
            state: AtomicU32::new(IDLE),
            walked: UnsafeCell::new(Walked {
                number: None,
                frames: Frames::new(),
            }),
        }));
        SAMPLE.set(Some(sample));
        sample
    }

    /// Asks for the stack that runs there. False if it cannot be asked: it has not answered the last time yet, or the
    /// signal is in other hands. One at a time asks, until it has the answer or withdraws.
    pub(crate) fn ask(&self) -> bool {
        let Some(&(signal, _)) = PREPARED.get() else {
            return false;
        };
        if handler(signal).sa_sigaction != on_signal as *const () as libc::sighandler_t
            || self.state.load(Ordering::Acquire) == WALKING
        {
            return false;
        }
        self.state.store(ASKED, Ordering::Release);
        // SAFETY: an OS thread that never ends.
        let status = unsafe { libc::pthread_kill(self.thread as libc::pthread_t, signal) };
        if status != 0 {
            self.withdraw();
        }
        status == 0
    }

    /// The frames, and the number of the permit, once the handler has run; no frames if it was not permitted.
    pub(crate) fn answer(&self) -> Option<(u64, Frames)> {
        if self.state.load(Ordering::Acquire) != DONE {
            return None;
        }
        // SAFETY: `DONE`: the handler has left it, and does not come back before the caller asks again.
        let walked = unsafe { *self.walked.get() };
        Some((walked.number?, walked.frames))
    }

    /// Whether the handler has run.
    pub(crate) fn is_done(&self) -> bool {
        self.state.load(Ordering::Acquire) == DONE
    }

    /// The answer is not waited for any longer.
    pub(crate) fn withdraw(&self) {
        // If the handler is at it, it ends in `DONE`, which is as good.
        let _ = self
            .state
            .compare_exchange(ASKED, IDLE, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// In the handler, on this OS thread.
    fn walk(&self, permit: Permit) {
        if self
            .state
            .compare_exchange(ASKED, WALKING, Ordering::Acquire, Ordering::Relaxed)
            .is_err()
        {
            return;
        }
        // SAFETY: `WALKING`, entered here: nobody else reaches it.
        let walked = unsafe { &mut *self.walked.get() };
        walked.number = permit();
        if walked.number.is_some() {
            walked.frames.walk_interrupted();
        }
        self.state.store(DONE, Ordering::Release);
    }
}

const IDLE: u32 = 0;
const ASKED: u32 = 1;
const WALKING: u32 = 2;
const DONE: u32 = 3;

extern "C" fn on_signal(_: Signal) {
    if let (Some(sample), Some(&(_, permit))) = (SAMPLE.get(), PREPARED.get()) {
        // SAFETY: it has no preconditions.
        let errno = unsafe { libc::__errno_location() };
        // SAFETY: this OS thread's own, for as long as it lives; what runs here was interrupted.
        let errno = unsafe { &mut *errno };
        let before = *errno;
        sample.walk(permit);
        *errno = before;
    }
}
