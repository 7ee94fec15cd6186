//! How an interrupt unwinds its green thread.
//!
//! The payload is a private type, so that a catch can tell it from a panic of the program, and it is
//! raised without the panic hook: an interrupt is not a failure.

use std::any::Any;
use std::panic;
use std::time::Duration;

use crate::error::{Elapsed, Panic};
use crate::park::{Caller, Interrupt};
use crate::sched::interrupts::Interrupts;
use crate::waitq::NotReady;

/// What an interrupt carries through the frames it unwinds.
#[derive(Debug)]
struct Payload {
    interrupt: Interrupt,
    /// The span of the `Timeout` scope that expired.
    limit: Duration,
}

impl Drop for Payload {
    /// Caught: its receiver unwinds by it no more.
    fn drop(&mut self) {
        Caller::current().end_interrupted();
    }
}

/// Unwinds the caller.
///
/// # Panics
///
/// Under `panic = "abort"`, with a sentence that says what is needed.
#[cold]
pub(crate) fn raise(interrupt: Interrupt) -> ! {
    if cfg!(panic = "abort") {
        panic!("green: kill and Timeout need panic = \"unwind\"");
    }
    let caller = Caller::current();
    caller.begin_interrupted();
    let limit = match interrupt {
        Interrupt::Kill => None,
        Interrupt::Timeout(id) => caller
            .interrupts(|interrupts| interrupts.limit(id))
            .flatten(),
    };
    panic::resume_unwind(Box::new(Payload {
        interrupt,
        limit: limit.unwrap_or_default(),
    }))
}

/// Goes on with a panic that was caught.
pub(crate) fn resume(payload: Box<dyn Any + Send>) -> ! {
    let caller = Caller::current();
    match of(&*payload) {
        Some(_) => caller.begin_interrupted(),
        None => _ = caller.interrupts(Interrupts::set_panicked),
    }
    panic::resume_unwind(payload)
}

impl Panic {
    /// Panics in the caller with the payload, or with the message if the payload was taken.
    pub fn resume(self) -> ! {
        let payload = self
            .take_payload()
            .unwrap_or_else(|| Box::new(self.message().to_owned()));
        resume(payload)
    }
}

/// The interrupt that unwound to here, if it was one.
pub(crate) fn of(payload: &(dyn Any + Send)) -> Option<Interrupt> {
    let payload = payload.downcast_ref::<Payload>()?;
    Some(payload.interrupt)
}

/// The time limit that unwound to here, if it was one.
pub(crate) fn elapsed(payload: &(dyn Any + Send)) -> Option<Elapsed> {
    let payload = payload.downcast_ref::<Payload>()?;
    match payload.interrupt {
        Interrupt::Kill => None,
        Interrupt::Timeout(_) => Some(Elapsed {
            after: payload.limit,
        }),
    }
}

/// The result of a wait whose interrupt unwinds: true if it timed out.
pub(crate) trait OrRaise<R> {
    /// The value, or `None` if the deadline passed; unwinds if the caller was interrupted.
    fn or_raise(self) -> Option<R>;

    /// The value of a wait without a deadline; unwinds if the caller was interrupted.
    fn unless_interrupted(self) -> R;
}

impl<R> OrRaise<R> for Result<R, NotReady> {
    #[inline]
    fn or_raise(self) -> Option<R> {
        match self {
            Ok(value) => Some(value),
            Err(NotReady::TimedOut) => None,
            Err(NotReady::Interrupted(interrupt)) => raise(interrupt),
        }
    }

    #[inline]
    fn unless_interrupted(self) -> R {
        self.or_raise()
            .expect("a wait without a deadline does not time out")
    }
}
