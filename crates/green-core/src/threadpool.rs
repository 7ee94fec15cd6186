//! The pool of OS threads for work that would block a hub.
//!
//! It grows with demand up to `Config::blocking_threads`; an OS thread that has had nothing to do for
//! ten seconds ends. The queue is unbounded. What may wait for ever goes to OS threads beside it, which are not counted.

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
use crate::sched::word::Mode;
use crate::time::deadline::Deadline;
use crate::waitq::{Monitor, NotReady, Wait, WaitQueue, wake};

/// How long an OS thread of the pool waits for work.
const IDLE: Duration = Duration::from_secs(10);

/// How many OS threads live as long as the process, at most.
const MOST_LASTING: usize = 4;

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
    run_on(&POOL, Mode::Interruptible, f)
}

/// As [`blocking`], but no cancellation point: for what takes no time worth mentioning, and must not be abandoned.
pub(crate) fn blocking_masked<F, T>(f: F) -> T
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    run_on(&POOL, Mode::Masked, f)
}

/// As [`blocking`], on an OS thread that is not one of the pool's: for what may wait for somebody else, and for how long
/// nobody knows. Enough of those would stop the pool, whose OS threads are counted.
pub(crate) fn blocking_apart<F, T>(f: F) -> T
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    run_on(&APART, Mode::Interruptible, f)
}

/// Runs `f` to its end on one of a few OS threads that live as long as the process, and returns its value.
///
/// For what the kernel ties to the OS thread that asked for it, such as a child's "signal me when my parent dies". On a
/// plain OS thread `f` runs inline.
///
/// # Blocking
///
/// Parks the caller; not a cancellation point, so nothing of what `f` did is lost.
///
/// # Panics
///
/// As [`blocking`].
pub(crate) fn blocking_for_good<F, T>(f: F) -> T
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    run_on(&LASTING, Mode::Masked, f)
}

fn run_on<F, T>(pool: &'static Pool, mode: Mode, f: F) -> T
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    if !is_for_pool() {
        return f();
    }
    let wait = Wait {
        mode,
        ..Wait::new(WaitFor::Blocking, Deadline::Never)
    };
    let result = Job::start_on(pool, f).wait(wait).or_raise();
    result.expect("a wait without a deadline does not time out")
}

/// Whether blocking work of the caller is for the pool: it is unless the caller is a plain OS thread.
///
/// # Panics
///
/// Inside [`no_park`](crate::no_park()).
pub(crate) fn is_for_pool() -> bool {
    make_room();
    let caller = Caller::current();
    if caller.interrupts(Interrupts::is_no_park) == Some(true) {
        no_park_violation();
    }
    !matches!(caller, Caller::Os(_))
}

/// Work that the pool does, and its result: whoever waits for it may give up and come back.
pub(crate) struct Job<T> {
    done: Arc<Monitor<Done<T>>>,
}

/// What the work came to, until somebody takes it, and who waits for that.
type Done<T> = (Option<thread::Result<T>>, WaitQueue);

impl<T: Send + 'static> Job<T> {
    /// Has the pool run `f`.
    pub(crate) fn start(f: impl FnOnce() -> T + Send + 'static) -> Self {
        Self::start_on(&POOL, f)
    }

    fn start_on(pool: &'static Pool, f: impl FnOnce() -> T + Send + 'static) -> Self {
        make_room();
        let done = Arc::new(Monitor::new((None, WaitQueue::new())));
        let theirs = Arc::clone(&done);
        pool.run(Box::new(move || {
            let result = catch_unwind(AssertUnwindSafe(f));
            let mut done = theirs.lock();
            done.0 = Some(result);
            let next = done.1.notify_one();
            drop(done);
            wake(next);
        }));
        Self { done }
    }

    /// Waits for the value and takes it. Nobody may wait for it again.
    ///
    /// # Errors
    ///
    /// The deadline passed, or the caller was interrupted; the work goes on.
    ///
    /// # Panics
    ///
    /// If the work panicked: with its payload.
    pub(crate) fn wait(&self, wait: Wait) -> Result<T, NotReady> {
        let result = self
            .done
            .wait(wait, |(_, queue)| queue, |(result, _)| result.take())?;
        Ok(result.unwrap_or_else(|payload| interrupt::resume(payload)))
    }
}

impl<T> fmt::Debug for Job<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job").finish_non_exhaustive()
    }
}

/// Runs `f` on a new OS thread, outside the pool; on one of the pool if the system refuses another.
pub(crate) fn start<R>(f: impl FnOnce() -> R + Send + 'static) {
    let job: Arc<Mutex<Option<Work>>> = Arc::new(Mutex::new(Some(Box::new(move || drop(f())))));
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

type Work = Box<dyn FnOnce() + Send>;

/// See the module documentation.
struct Pool {
    /// The name of its OS threads.
    name: &'static str,
    /// How many OS threads it has at most.
    most: fn() -> usize,
    /// How long an OS thread waits for work before it ends, if it ever does.
    idle: Option<Duration>,
    state: Mutex<State>,
    /// Where OS threads of the pool wait for work.
    work: Condvar,
}

struct State {
    /// Jobs that nobody has taken.
    jobs: VecDeque<Work>,
    /// OS threads of the pool.
    threads: usize,
    /// Those that wait for work.
    idle: usize,
}

/// The blocking pool.
static POOL: Pool = Pool::new(
    "green-blocking",
    || config::freeze().blocking_threads,
    Some(IDLE),
);

/// The OS threads that live as long as the process.
static LASTING: Pool = Pool::new("green-spawn", || MOST_LASTING, None);

/// OS threads for what may wait for ever: one for each job that is under way.
static APART: Pool = Pool::new("green-apart", || usize::MAX, Some(IDLE));

impl Pool {
    const fn new(name: &'static str, most: fn() -> usize, idle: Option<Duration>) -> Self {
        Self {
            name,
            most,
            idle,
            state: Mutex::new(State {
                jobs: VecDeque::new(),
                threads: 0,
                idle: 0,
            }),
            work: Condvar::new(),
        }
    }

    fn run(&'static self, job: Work) {
        let mut state = self.state.lock();
        state.jobs.push_back(job);
        if state.idle >= state.jobs.len() {
            drop(state);
            self.work.notify_one();
            return;
        }
        if state.threads >= (self.most)() {
            return;
        }
        state.threads += 1;
        let first = state.threads == 1;
        drop(state);
        let spawned = thread::Builder::new()
            .name(self.name.into())
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
            let timed_out = match self.idle {
                Some(idle) => self.work.wait_for(&mut state, idle).timed_out(),
                None => {
                    self.work.wait(&mut state);
                    false
                }
            };
            state.idle -= 1;
            if timed_out && state.jobs.is_empty() {
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
