//! The pool of OS threads for work that would block a hub.
//!
//! It grows with demand up to `Config::blocking_threads`; an OS thread that has had nothing to do for
//! ten seconds ends. The queue is unbounded.

use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::config;
use crate::engine::make_room;
use crate::interrupt::{self, OrRaise};
use crate::park::{Caller, no_park_violation};
use crate::sched::WaitFor;
use crate::sched::interrupts::Interrupts;
use crate::time::deadline::Deadline;
use crate::waitq::{Monitor, Wait, WaitQueue, wake};

/// How long an OS thread of the pool waits for work.
const IDLE: Duration = Duration::from_secs(10);

/// Runs `f` on an OS thread of the blocking pool and returns its value. gevent's `threadpool.apply`.
///
/// For calls that block in the kernel or in foreign code, and for long computations. On a plain OS
/// thread `f` runs inline: there is no hub to keep free.
///
/// # Blocking
///
/// Parks the caller; a cancellation point. If the caller is killed, `f` runs on and its value is
/// dropped on the pool's OS thread.
///
/// # Panics
///
/// If `f` panics: with its payload. Inside [`no_park`](crate::no_park()).
///
/// # Examples
///
/// ```
/// let answer = green_core::run(|| green_core::blocking(|| {
///     std::thread::sleep(std::time::Duration::from_millis(1)); // blocks no hub
///     42
/// }));
/// assert_eq!(answer, 42);
/// ```
pub fn blocking<F, T>(f: F) -> T
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    make_room();
    let caller = Caller::current();
    if caller.interrupts(Interrupts::is_no_park) == Some(true) {
        no_park_violation();
    }
    if matches!(caller, Caller::Os(_)) {
        return f();
    }
    let done = Arc::new(Monitor::new((None, WaitQueue::new())));
    let theirs = Arc::clone(&done);
    POOL.run(Box::new(move || {
        let result = catch_unwind(AssertUnwindSafe(f));
        let mut done = theirs.lock();
        done.0 = Some(result);
        let next = done.1.notify_one();
        drop(done);
        wake(next);
    }));
    let wait = Wait::new(WaitFor::Blocking, Deadline::Never);
    let result = done.wait(wait, |(_, queue)| queue, |(result, _)| result.take());
    match result
        .or_raise()
        .expect("a wait without a deadline does not time out")
    {
        Ok(value) => value,
        Err(payload) => interrupt::resume(payload),
    }
}

/// Runs `f` on a new OS thread, outside the pool; on one of the pool if the system refuses another.
pub(crate) fn start<R>(f: impl FnOnce() -> R + Send + 'static) {
    let job: Arc<Mutex<Option<Job>>> = Arc::new(Mutex::new(Some(Box::new(move || drop(f())))));
    let theirs = Arc::clone(&job);
    let run = move || {
        let job = theirs.lock().take();
        if let Some(job) = job {
            job();
        }
    };
    let started = thread::Builder::new().name("green-exit".into()).spawn(run);
    if started.is_err()
        && let Some(job) = job.lock().take()
    {
        POOL.run(job);
    }
}

/// How many OS threads the pool has.
pub(crate) fn threads() -> usize {
    POOL.state.lock().threads
}

type Job = Box<dyn FnOnce() + Send>;

/// See the module documentation.
struct Pool {
    state: Mutex<State>,
    /// Where OS threads of the pool wait for work.
    work: Condvar,
}

struct State {
    /// Jobs that nobody has taken.
    jobs: VecDeque<Job>,
    /// OS threads of the pool.
    threads: usize,
    /// Those that wait for work.
    idle: usize,
}

static POOL: Pool = Pool {
    state: Mutex::new(State {
        jobs: VecDeque::new(),
        threads: 0,
        idle: 0,
    }),
    work: Condvar::new(),
};

impl Pool {
    fn run(&'static self, job: Job) {
        let mut state = self.state.lock();
        state.jobs.push_back(job);
        if state.idle >= state.jobs.len() {
            drop(state);
            self.work.notify_one();
            return;
        }
        if state.threads >= config::freeze().blocking_threads {
            return;
        }
        state.threads += 1;
        let first = state.threads == 1;
        drop(state);
        let spawned = thread::Builder::new()
            .name("green-blocking".into())
            .spawn(move || self.work());
        if let Err(error) = spawned {
            self.state.lock().threads -= 1;
            // With other OS threads in the pool the job only waits longer.
            assert!(
                !first,
                "green: cannot start an OS thread for blocking work: {error}"
            );
        }
    }

    fn work(&self) {
        let mut state = self.state.lock();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                drop(state);
                job();
                state = self.state.lock();
                continue;
            }
            state.idle += 1;
            let waited = self.work.wait_for(&mut state, IDLE);
            state.idle -= 1;
            if waited.timed_out() && state.jobs.is_empty() {
                state.threads -= 1;
                return;
            }
        }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").finish_non_exhaustive()
    }
}
