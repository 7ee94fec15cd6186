//! Every public error type of the crate.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

/// The configuration is frozen: the runtime has started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlreadyStarted;

impl fmt::Display for AlreadyStarted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the runtime has started: its configuration is frozen")
    }
}

impl Error for AlreadyStarted {}

/// A time limit was reached before what was waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed {
    pub(crate) after: Duration,
}

impl Elapsed {
    /// The limit, as it was given.
    pub fn limit(&self) -> Duration {
        self.after
    }
}

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not done after {:?}", self.after)
    }
}

impl Error for Elapsed {}

/// Why a green thread has no value to give.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Failure {
    /// It panicked.
    Panicked(Panic),
    /// It was killed. gevent's `GreenletExit`: not counted as a failure by `joinall_raise`.
    Killed,
    /// The wait for it reached its time limit, and it may still be running; or it was ended by a
    /// [`Timeout`](crate::Timeout) that it did not catch.
    TimedOut(Elapsed),
    /// Its stack overflowed, and it was isolated: see [`Overflow::Isolate`](crate::Overflow::Isolate).
    StackOverflow,
    /// Its value has been moved out by `into_result`.
    Taken,
    /// An error that somebody put in its place, by [`AsyncResult::set_exception`](crate::event::AsyncResult::set_exception).
    Raised(Arc<dyn Error + Send + Sync>),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panicked(panic) => write!(f, "the green thread panicked: {}", panic.message()),
            Self::Killed => f.write_str("the green thread was killed"),
            Self::TimedOut(elapsed) => write!(f, "the green thread was {elapsed}"),
            Self::StackOverflow => f.write_str("the stack of the green thread overflowed"),
            Self::Taken => f.write_str("the value of the green thread was taken"),
            Self::Raised(error) => error.fmt(f),
        }
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Raised(error) => error.source(),
            _ => None,
        }
    }
}

/// Why [`debug::trace`](crate::debug::trace) cannot tell where a green thread waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TraceError {
    /// No green thread that lives has this id: it has ended, or there never was one.
    Ended,
    /// It has not started.
    NotStarted,
    /// It ran all the while, without a blocking call. If it goes on so, [`Config::watchdog`](crate::Config::watchdog) tells
    /// where.
    Running,
    /// It runs on `may`: only green threads that stay on their hub can be asked.
    Migrating,
    /// Another green thread kept the hub all the while.
    HubBusy,
    /// The rest of its stack is too small for a walk, or what waits is a coroutine that it runs itself.
    NoRoom,
}

impl fmt::Display for TraceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ended => "no live green thread has this id",
            Self::NotStarted => "the green thread has not started",
            Self::Running => "the green thread runs",
            Self::Migrating => "the green thread runs on may",
            Self::HubBusy => "the hub of the green thread is busy",
            Self::NoRoom => "the stack of the green thread has no room for a walk",
        })
    }
}

impl Error for TraceError {}

/// The payload of a panic, shared by everyone who asks for the result.
#[derive(Clone)]
pub struct Panic {
    message: Arc<str>,
    payload: Arc<Mutex<Option<Box<dyn Any + Send>>>>,
}

impl Panic {
    pub(crate) fn new(payload: Box<dyn Any + Send>) -> Self {
        let text = payload
            .downcast_ref::<&'static str>()
            .copied()
            .or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        let message = Arc::from(text.unwrap_or("Box<dyn Any>"));
        Self {
            message,
            payload: Arc::new(Mutex::new(Some(payload))),
        }
    }

    /// The message; `"Box<dyn Any>"`, as std prints, if the payload is not a string.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The payload, for whoever asks first.
    pub fn take_payload(&self) -> Option<Box<dyn Any + Send>> {
        self.payload.lock().take()
    }
}

impl fmt::Debug for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Panic").field(&self.message).finish()
    }
}
