//! gevent's `threadpool`: OS threads for work that would block a hub.
//!
//! [`blocking`] is for most work. Its pool grows with demand up to `Config::blocking_threads`; an OS thread that has had
//! nothing to do for ten seconds ends. The queue is unbounded. What may wait for ever goes to OS threads beside it, which
//! are not counted. A [`ThreadPool`] has OS threads of its own, and a limit on what waits for them.
//!
//! # Parts
//!
//! `os_threads` has the OS threads and their queue, `job` is a piece of work with its result, `thread_pool` the public type.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;

use crate::config;
use crate::engine::make_room;
use crate::interrupt::OrRaise;
use crate::park::{Caller, no_park_violation};
use crate::sched::WaitFor;
use crate::sched::interrupts::Interrupts;
use crate::sched::word::Mode;
use crate::time::deadline::Deadline;
use crate::waitq::Wait;
use os_threads::{Handle, Limit, OsThreads, Work};

mod job;
mod os_threads;
mod thread_pool;

pub(crate) use job::Job;
pub use thread_pool::ThreadPool;

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
    try_blocking(f).unwrap_or_else(|error| no_thread(&error))
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
    run_on(Handle::Static(&POOL), Mode::Interruptible, f)
}

/// As [`try_blocking`], but no cancellation point: for what takes no time worth mentioning, and must not be abandoned.
pub(crate) fn try_blocking_masked<F, T>(f: F) -> io::Result<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    run_on(Handle::Static(&POOL), Mode::Masked, f)
}

/// As [`try_blocking`], on an OS thread that is not one of the pool's: for what may wait for somebody else, and for how
/// long nobody knows. Enough of those would stop the pool, whose OS threads are counted.
pub(crate) fn try_blocking_apart<F, T>(f: F) -> io::Result<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    run_on(Handle::Static(&APART), Mode::Interruptible, f)
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
    let job = Job::start_on(Handle::Static(&LASTING), f)?;
    loop {
        let begun = LASTING.begun();
        let wait = Wait {
            mode: Mode::Masked,
            ..Wait::new(WaitFor::Blocking, Deadline::after(PATIENCE))
        };
        if let Some(value) = job.wait(wait).or_raise() {
            return Ok(value);
        }
        Handle::Static(&LASTING).grow_unless_begun_since(begun);
    }
}

fn run_on<F, T>(threads: Handle, mode: Mode, f: F) -> io::Result<T>
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
    Ok(Job::start_on(threads, f)?.wait(wait).unless_interrupted())
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
        && let Err(refused) = Handle::Static(&POOL).run(job)
    {
        refused.into_work()();
    }
}

/// Has `f`, which may wait for ever, run on an OS thread that is not one of the pool's. If the system refuses one, it is
/// dropped.
pub(crate) fn start_apart(f: impl FnOnce() + Send + 'static) {
    Handle::Static(&APART).run(Box::new(f)).ok();
}

/// How many OS threads the pool has.
pub(crate) fn threads() -> usize {
    POOL.threads()
}

/// Panics for want of an OS thread.
#[track_caller]
fn no_thread(error: &io::Error) -> ! {
    panic!("green: cannot start an OS thread for blocking work: {error}")
}

/// Has an OS thread that is not one of the pool's drop what nobody wants: a destructor may block, or panic. If the system
/// refuses one, it is done here.
fn drop_apart(unwanted: impl Send + 'static) {
    if let Err(refused) = Handle::Static(&APART).run(Box::new(move || drop(unwanted))) {
        os_threads::run_to_its_end(refused.into_work());
    }
}

/// The blocking pool.
static POOL: OsThreads = OsThreads::new(
    "green-blocking",
    Limit::Fixed(|| config::freeze().blocking_threads),
    Some(IDLE),
);

/// The OS threads that live as long as the process.
static LASTING: OsThreads = OsThreads::new("green-spawn", Limit::Fixed(|| MOST_LASTING), None);

/// OS threads for what may wait for ever: one for each job that is under way.
static APART: OsThreads = OsThreads::new("green-apart", Limit::None, Some(IDLE));
