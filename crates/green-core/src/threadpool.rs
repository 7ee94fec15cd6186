//! The pool of OS threads for work that would block a hub.
//!
//! It grows with demand up to `Config::blocking_threads`; an OS thread that has had nothing to do for
//! ten seconds ends. The queue is unbounded. What may wait for ever goes to OS threads beside it, which are not counted.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::config;
use crate::engine::make_room;
use crate::hub::leak;
use crate::interrupt::{self, OrRaise};
use crate::park::{Caller, no_park_violation};
use crate::sched::WaitFor;
use crate::sched::interrupts::Interrupts;
use crate::sched::word::Mode;
use crate::time::deadline::Deadline;
use crate::waitq::{Monitor, NotReady, Wait, WaitQueue, wake};

/// How long an OS thread of the pool waits for work.
const IDLE: Duration = Duration::from_secs(10);

/// How many OS threads live as long as the process, unless all of them are stuck.
const MOST_LASTING: usize = 4;

/// How long those may begin no job before there is one more of them.
const PATIENCE: Duration = Duration::from_millis(50);

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
/// If `f` panics: with its payload. Inside [`no_park`](crate::no_park()). If the pool has no OS thread and the system
/// refuses one; then `f` does not run ([`try_blocking`] returns an error instead).
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
    try_blocking(f).unwrap_or_else(|error| {
        panic!("green: cannot start an OS thread for blocking work: {error}")
    })
}

/// As [`blocking`], for who can do without.
///
/// # Errors
///
/// The pool has no OS thread and the system refuses one (`WouldBlock`, as from [`std::thread::Builder::spawn`]): `f`
/// was dropped, and has not run.
///
/// # Panics
///
/// If `f` panics: with its payload. Inside [`no_park`](crate::no_park()).
///
/// # Examples
///
/// ```
/// let answer = green_core::run(|| green_core::try_blocking(|| 42))?;
/// assert_eq!(answer, 42);
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn try_blocking<F, T>(f: F) -> io::Result<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    run_on(&POOL, Mode::Interruptible, f)
}

/// As [`try_blocking`], but no cancellation point: for what takes no time worth mentioning, and must not be abandoned.
pub(crate) fn try_blocking_masked<F, T>(f: F) -> io::Result<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    run_on(&POOL, Mode::Masked, f)
}

/// As [`try_blocking`], on an OS thread that is not one of the pool's: for what may wait for somebody else, and for how
/// long nobody knows. Enough of those would stop the pool, whose OS threads are counted.
pub(crate) fn try_blocking_apart<F, T>(f: F) -> io::Result<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    run_on(&APART, Mode::Interruptible, f)
}

/// Runs `f` to its end on one of a few OS threads that live as long as the process, and returns its value.
///
/// For what the kernel ties to the OS thread that asked for it, such as a child's "signal me when my parent dies". On a
/// plain OS thread `f` runs inline. There are more of those OS threads if all that there are have been stuck for a while.
///
/// # Blocking
///
/// Parks the caller; not a cancellation point, so nothing of what `f` did is lost.
///
/// # Errors
///
/// As [`try_blocking`].
///
/// # Panics
///
/// As [`try_blocking`].
pub(crate) fn try_blocking_for_good<F, T>(f: F) -> io::Result<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    if !is_for_pool() {
        return Ok(f());
    }
    let job = Job::start_on(&LASTING, f)?;
    loop {
        let begun = LASTING.state.lock().begun;
        let wait = Wait {
            mode: Mode::Masked,
            ..Wait::new(WaitFor::Blocking, Deadline::after(PATIENCE))
        };
        if let Some(value) = job.wait(wait).or_raise() {
            return Ok(value);
        }
        LASTING.grow_unless_begun_since(begun);
    }
}

fn run_on<F, T>(pool: &'static Pool, mode: Mode, f: F) -> io::Result<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    if !is_for_pool() {
        return Ok(f());
    }
    let wait = Wait {
        mode,
        ..Wait::new(WaitFor::Blocking, Deadline::Never)
    };
    Ok(Job::start_on(pool, f)?.wait(wait).unless_interrupted())
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
///
/// Once it is dropped nobody wants the result, which is then dropped on an OS thread of the pool: its destructor may
/// block, or panic.
pub(crate) struct Job<T: Send + 'static> {
    done: Arc<Monitor<Done<T>>>,
    /// Whose OS threads do it.
    pool: &'static Pool,
}

/// What the work came to.
struct Done<T> {
    /// Until somebody takes it.
    result: Option<thread::Result<T>>,
    /// Whether somebody may still wait for it.
    is_wanted: bool,
    /// Who waits for it.
    waiters: WaitQueue,
}

impl<T: Send + 'static> Job<T> {
    /// Has the pool run `f`.
    ///
    /// # Errors
    ///
    /// As [`try_blocking`].
    pub(crate) fn start(f: impl FnOnce() -> T + Send + 'static) -> io::Result<Self> {
        Self::start_on(&POOL, f)
    }

    /// As [`Job::start`], on an OS thread that is not one of the pool's; see [`try_blocking_apart`].
    pub(crate) fn start_apart(f: impl FnOnce() -> T + Send + 'static) -> io::Result<Self> {
        Self::start_on(&APART, f)
    }

    fn start_on(pool: &'static Pool, f: impl FnOnce() -> T + Send + 'static) -> io::Result<Self> {
        let done = Arc::new(Monitor::new(Done {
            result: None,
            is_wanted: true,
            waiters: WaitQueue::new(),
        }));
        let theirs = Arc::clone(&done);
        let work = move || {
            let result = catch_unwind(AssertUnwindSafe(f));
            let mut done = theirs.lock();
            if !done.is_wanted {
                drop(done);
                return drop(result);
            }
            done.result = Some(result);
            let next = done.waiters.notify_one();
            drop(done);
            wake(next);
        };
        match pool.run(Box::new(work)) {
            Ok(()) => Ok(Self { done, pool }),
            Err(Refused { error, .. }) => Err(error),
        }
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
            .wait(wait, |done| &mut done.waiters, |done| done.result.take())?;
        Ok(result.unwrap_or_else(|payload| interrupt::resume(payload)))
    }
}

impl<T: Send + 'static> Drop for Job<T> {
    fn drop(&mut self) {
        let mut done = self.done.lock();
        done.is_wanted = false;
        let result = done.result.take();
        drop(done);
        if let Some(result) = result
            && let Err(Refused { work, .. }) = self.pool.run(Box::new(move || drop(result)))
        {
            run_to_its_end(work);
        }
    }
}

impl<T: Send + 'static> fmt::Debug for Job<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job").finish_non_exhaustive()
    }
}

/// Runs `f` on a new OS thread, outside the pool; on one of the pool if the system refuses another, and here if there is
/// none.
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
        && let Err(Refused { work, .. }) = POOL.run(job)
    {
        work();
    }
}

/// Has `f`, which may wait for ever, run on an OS thread that is not one of the pool's. If the system refuses one, it is
/// dropped.
pub(crate) fn start_apart(f: impl FnOnce() + Send + 'static) {
    APART.run(Box::new(f)).ok();
}

/// How many OS threads the pool has.
pub(crate) fn threads() -> usize {
    POOL.state.lock().threads
}

type Work = Box<dyn FnOnce() + Send>;

/// Work that was not taken on, and why.
struct Refused {
    error: io::Error,
    work: Work,
}

/// Does `work`, which catches what its user's closure does: what comes here is from a destructor, of a value that nobody
/// is left to be told of.
fn run_to_its_end(work: Work) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(work)) {
        log::error!(
            "green: a destructor panicked in the blocking pool, of a value that nobody waited for"
        );
        leak(payload);
    }
}

/// See the module documentation.
struct Pool {
    /// The name of its OS threads.
    name: &'static str,
    /// How many OS threads it has, after which a job waits for its turn. `None`: a job may wait for ever, so none waits
    /// for another.
    most: Option<fn() -> usize>,
    /// How long an OS thread waits for work before it ends, if it ever does.
    idle: Option<Duration>,
    state: Mutex<State>,
    /// Where OS threads of the pool wait for work.
    work: Condvar,
}

struct State {
    /// Jobs that nobody has taken. Invariant: if there are some, there is an OS thread.
    jobs: VecDeque<Work>,
    /// OS threads of the pool.
    threads: usize,
    /// Those that wait for work.
    idle: usize,
    /// How many jobs were begun, and OS threads added for want of that.
    begun: u64,
}

/// The blocking pool.
static POOL: Pool = Pool::new(
    "green-blocking",
    Some(|| config::freeze().blocking_threads),
    Some(IDLE),
);

/// The OS threads that live as long as the process.
static LASTING: Pool = Pool::new("green-spawn", Some(|| MOST_LASTING), None);

/// OS threads for what may wait for ever: one for each job that is under way.
static APART: Pool = Pool::new("green-apart", None, Some(IDLE));

impl Pool {
    const fn new(name: &'static str, most: Option<fn() -> usize>, idle: Option<Duration>) -> Self {
        Self {
            name,
            most,
            idle,
            state: Mutex::new(State {
                jobs: VecDeque::new(),
                threads: 0,
                idle: 0,
                begun: 0,
            }),
            work: Condvar::new(),
        }
    }

    /// Takes work on.
    ///
    /// # Errors
    ///
    /// The system refuses the OS thread that it needs.
    fn run(&'static self, work: Work) -> Result<(), Refused> {
        make_room();
        let most = self.most.map(|most| most());
        let mut state = self.state.lock();
        let is_for_idle = state.idle > state.jobs.len();
        if !is_for_idle
            && most.is_none_or(|most| state.threads < most)
            && let Err(error) = self.grow(&mut state)
            // With others in the pool, the job only waits longer.
            && (most.is_none() || state.threads == 0)
        {
            return Err(Refused { error, work });
        }
        state.jobs.push_back(work);
        drop(state);
        if is_for_idle {
            self.work.notify_one();
        }
        Ok(())
    }

    /// Starts another OS thread: under the lock, so that nobody counts on one that the system then refuses.
    fn grow(&'static self, state: &mut State) -> io::Result<()> {
        thread::Builder::new()
            .name(self.name.into())
            .spawn(move || self.work())?;
        state.threads += 1;
        Ok(())
    }

    /// Starts another OS thread if there are jobs for it and none was begun since the count was `begun`.
    fn grow_unless_begun_since(&'static self, begun: u64) {
        make_room();
        let mut state = self.state.lock();
        if state.begun == begun && state.idle < state.jobs.len() {
            state.begun += 1;
            // Refused, the jobs wait longer.
            self.grow(&mut state).ok();
        }
    }

    fn work(&self) {
        let mut state = self.state.lock();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                state.begun += 1;
                drop(state);
                run_to_its_end(job);
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
