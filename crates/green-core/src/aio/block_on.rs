//! Waiting for a future where the caller stands.

use std::cell::RefCell;
use std::future::{Future, IntoFuture};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use crate::engine::make_room;
use crate::interrupt::{self, OrRaise};
use crate::park::Caller;
use crate::sched::WaitFor;
use crate::thread::token::Token;
use crate::time::deadline::Deadline;

/// Waits until `future` is done, and returns what it comes to. asyncio's `await`, for code that is not `async`.
///
/// The future is polled here and nowhere else, so it need not be `Send`. It may be one of any library; one that needs
/// its library's own runtime around it (tokio's sockets and timers do) does not find it here: see the crate `green-async`.
///
/// A future that is done already costs no allocation; neither does polling again.
///
/// # Blocking
///
/// Parks the caller while the future waits; a cancellation point then. A green thread that is killed drops the future as it unwinds.
/// A future that wakes itself as it is polled lets everything else that is ready run before it is polled again.
///
/// Inside another future's poll it waits all the same: what else that future does stands meanwhile, and on an
/// executor of others so does its OS thread.
///
/// # Panics
///
/// If the future does. Inside [`no_park`](crate::no_park()), if it would wait.
///
/// # Examples
///
/// ```
/// let g = green_core::spawn(|| green_core::block_on(async { 6 * 7 }));
/// assert_eq!(g.get().unwrap(), 42);
/// ```
pub fn block_on<F: IntoFuture>(future: F) -> F::Output {
    let signal = Signal::new();
    let waker = Waker::from(Arc::clone(&signal.0));
    // Dropped before the two above: it may hold wakers.
    let mut future = pin!(future.into_future());
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        signal.0.wait();
    }
}

/// [`block_on`], by the word that is used in a language where it is one.
///
/// # Examples
///
/// ```
/// assert_eq!(green_core::await_(std::future::ready(7)), 7);
/// ```
#[doc(alias = "await")]
pub fn await_<F: IntoFuture>(future: F) -> F::Output {
    block_on(future)
}

/// What wakers give, and who waits for it.
#[derive(Debug)]
struct Shared(Token);

impl Shared {
    /// Waits until a waker was called since the last time.
    fn wait(&self) {
        if self.0.try_take() {
            // By the future itself, most likely: it wants others to run.
            if let Err(interrupt) = Caller::current().yield_now() {
                interrupt::raise(interrupt);
            }
            return;
        }
        self.0
            .take_for(WaitFor::Future, Deadline::Never)
            .unless_interrupted();
    }
}

impl Wake for Shared {
    fn wake(self: Arc<Self>) {
        self.0.give();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.give();
    }
}

/// The [`Shared`] of one call. Kept for the next one, if no waker is left.
struct Signal(Arc<Shared>);

thread_local! {
    /// Those that nobody uses. Nobody waits while this is borrowed, and nothing of others is called.
    static SPARE: RefCell<Vec<Arc<Shared>>> = const { RefCell::new(Vec::new()) };
}

/// How many are kept for an OS thread.
const SPARES: usize = 64;

impl Signal {
    /// A coroutine of `may` comes here, too: the address of the thread-local must not live across a wait.
    #[inline(never)]
    fn new() -> Self {
        make_room();
        let spare = SPARE.try_with(|spare| spare.borrow_mut().pop());
        let shared = spare.ok().flatten();
        Self(shared.unwrap_or_else(|| Arc::new(Shared(Token::new()))))
    }
}

impl Drop for Signal {
    #[inline(never)]
    fn drop(&mut self) {
        // While another waker is left, this stays what it means.
        let Some(shared) = Arc::get_mut(&mut self.0) else {
            return;
        };
        shared.0 = Token::new();
        let keep = |spare: &RefCell<Vec<_>>| {
            let mut spare = spare.borrow_mut();
            if spare.len() < SPARES {
                spare.push(Arc::clone(&self.0));
            }
        };
        // It fails while the OS thread goes down.
        SPARE.try_with(keep).ok();
    }
}
