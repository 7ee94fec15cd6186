//! Waiting for time to pass, in a future.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::error::Elapsed;
use crate::hub;
use crate::park::Polled;
use crate::sched::call_timer::CallTimer;
use crate::sched::waiter::Unparker;
use crate::sched::word::{Episode, Outcome};
use crate::time::deadline::Deadline;

/// A future that is done when `duration` has passed since the call. A hub keeps the time, whoever polls.
///
/// Zero lets others run first, once. A span beyond what the clock can express is for ever. As [`sleep`](crate::sleep()), it ends half
/// a millisecond late on average.
///
/// # Examples
///
/// ```
/// use std::time::{Duration, Instant};
/// use green_core::aio;
///
/// let begun = Instant::now();
/// green_core::block_on(aio::sleep(Duration::from_millis(5)));
/// assert!(begun.elapsed() >= Duration::from_millis(5));
/// ```
pub fn sleep(duration: Duration) -> Sleep {
    Sleep::new(Deadline::after(duration))
}

/// As [`sleep`], until `deadline`.
pub fn sleep_until(deadline: Instant) -> Sleep {
    Sleep::new(Deadline::At(deadline))
}

/// What [`sleep`] returns. Asks for no timer before it is polled; one that is dropped takes it back.
#[must_use = "a future does nothing until it is polled"]
pub struct Sleep {
    until: Deadline,
    state: State,
}

enum State {
    /// It has not been polled.
    New,
    /// A hub will end the wait.
    Waiting(Waiting),
    /// It is done at the next poll.
    Done,
}

impl Sleep {
    fn new(until: Deadline) -> Self {
        Self {
            until,
            state: State::New,
        }
    }

    fn begin(&self, context: &Context<'_>) -> State {
        if self.until.is_past() {
            // Others run first.
            context.waker().wake_by_ref();
            return State::Done;
        }
        match self.until {
            Deadline::Never => State::New,
            Deadline::At(at) => State::Waiting(Waiting::new(at, context)),
        }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        match &self.state {
            State::New => {
                self.state = self.begin(context);
                Poll::Pending
            }
            State::Waiting(waiting) => {
                std::task::ready!(waiting.poll(context));
                self.state = State::Done;
                Poll::Ready(())
            }
            State::Done => Poll::Ready(()),
        }
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep")
            .field("until", &self.until)
            .finish_non_exhaustive()
    }
}

/// A wait that nothing but its timer ends.
struct Waiting {
    /// Goes first when this is dropped.
    _timer: CallTimer,
    polled: Polled,
    episode: Episode,
}

impl Waiting {
    fn new(at: Instant, context: &Context<'_>) -> Self {
        hub::start();
        let polled = Polled::new();
        polled.note(context.waker());
        let episode = polled.begin();
        let waiter = polled.waiter();
        Self {
            _timer: CallTimer::set(Unparker { waiter, episode }, at),
            polled,
            episode,
        }
    }

    fn poll(&self, context: &Context<'_>) -> Poll<()> {
        self.polled.note(context.waker());
        match self.polled.outcome() {
            Some(_) => Poll::Ready(()),
            None => Poll::Pending,
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // If the timer was faster, all it may still do is call a waker.
        let word = &self.polled.waiter().word;
        let _: bool = word.claim(self.episode, Outcome::TimedOut);
        self.polled.end();
    }
}

/// Waits for `future` at most for `limit`; drops it then. asyncio's `wait_for`.
///
/// # Errors
///
/// It was not done in time.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use green_core::aio;
///
/// let never = std::future::pending::<()>();
/// assert!(green_core::block_on(aio::timeout(Duration::from_millis(5), never)).is_err());
/// ```
#[doc(alias = "wait_for")]
pub async fn timeout<F: IntoFuture>(limit: Duration, future: F) -> Result<F::Output, Elapsed> {
    let mut future = pin!(future.into_future());
    let mut limited = sleep(limit);
    poll_fn(|context| {
        if let Poll::Ready(output) = future.as_mut().poll(context) {
            return Poll::Ready(Ok(output));
        }
        let over = Pin::new(&mut limited).poll(context);
        over.map(|()| Err(Elapsed { after: limit }))
    })
    .await
}
