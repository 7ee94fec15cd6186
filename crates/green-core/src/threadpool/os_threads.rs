//! OS threads that do what is in a queue.
//!
//! They are started when there is work and nobody idle, up to a limit, and end after a time without work.
//!
//! # Invariants
//!
//! If there are jobs, there is an OS thread, unless there may be none: then they wait until the limit is raised. Once
//! closed, there are no jobs without an OS thread.

use std::cell::Cell;
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::mem;
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::drop_apart;
use crate::engine::make_room;
use crate::hub::leak;

/// What an OS thread does.
pub(super) type Work = Box<dyn FnOnce() + Send>;

/// Work that was not taken on, and why.
pub(super) enum Refused {
    /// The OS threads were closed.
    Closed(Work),
    /// The system refused the OS thread that it needs.
    NoThread(io::Error, Work),
}

impl Refused {
    pub(super) fn into_work(self) -> Work {
        match self {
            Self::Closed(work) | Self::NoThread(_, work) => work,
        }
    }
}

/// Does `work`, which catches what its user's closure does: what comes here is from a destructor, of a value that nobody
/// is left to be told of.
pub(super) fn run_to_its_end(work: Work) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(work)) {
        log::error!(
            "green: a destructor panicked in the blocking pool, of a value that nobody waited for"
        );
        leak(payload);
    }
}

/// See the module documentation.
pub(super) struct OsThreads {
    /// Their name.
    name: &'static str,
    /// How long one waits for work before it ends, if it ever does.
    idle: Option<Duration>,
    state: Mutex<State>,
    /// Where they wait for work.
    work: Condvar,
}

struct State {
    /// How many there are at most.
    most: Limit,
    /// Jobs that nobody has taken. See the invariants.
    jobs: VecDeque<Work>,
    /// How many OS threads there are.
    threads: usize,
    /// Those that wait for work.
    idle: usize,
    /// How many jobs were begun, and OS threads added for want of that.
    begun: u64,
    /// Whether there will be no more work.
    closed: bool,
}

/// How many OS threads there may be, after which a job waits for its turn.
pub(super) enum Limit {
    /// Any number: a job may wait for ever, so none waits for another.
    None,
    /// What this returns, always the same.
    Fixed(fn() -> usize),
    /// This many, until that is changed; then those that are too many end.
    Now(usize),
}

impl Limit {
    fn get(&self) -> usize {
        match self {
            Self::None => usize::MAX,
            Self::Fixed(most) => most(),
            Self::Now(most) => *most,
        }
    }
}

impl State {
    /// Whether the OS thread that asks is one too many. Once closed, none is: nobody can raise the limit for what is in
    /// the queue.
    fn is_one_too_many(&self) -> bool {
        matches!(self.most, Limit::Now(most) if self.threads > most && !self.closed)
    }
}

thread_local! {
    /// The address of the [`OsThreads`] that this OS thread is one of.
    static ONE_OF: Cell<usize> = const { Cell::new(0) };
}

impl OsThreads {
    pub(super) const fn new(name: &'static str, most: Limit, idle: Option<Duration>) -> Self {
        Self {
            name,
            idle,
            state: Mutex::new(State {
                most,
                jobs: VecDeque::new(),
                threads: 0,
                idle: 0,
                begun: 0,
                closed: false,
            }),
            work: Condvar::new(),
        }
    }

    /// How many there are.
    pub(super) fn threads(&self) -> usize {
        self.state.lock().threads
    }

    /// How many there may be.
    pub(super) fn most(&self) -> usize {
        self.state.lock().most.get()
    }

    /// How many jobs were begun, and OS threads added for want of that.
    pub(super) fn begun(&self) -> u64 {
        self.state.lock().begun
    }

    /// Whether the calling OS thread is one of them.
    pub(super) fn is_one(&self) -> bool {
        ONE_OF.get() == ptr::from_ref(self).addr()
    }

    /// Takes no more work. They end after what is in the queue, which is dropped if there are none.
    pub(super) fn close(&self) {
        make_room();
        let mut state = self.state.lock();
        state.closed = true;
        let is_left_alone = state.threads == 0;
        drop(state);
        self.work.notify_all();
        if is_left_alone {
            self.clear();
        }
    }

    /// Drops the work that none of them has begun, on another OS thread.
    pub(super) fn clear(&self) {
        make_room();
        let jobs = mem::take(&mut self.state.lock().jobs);
        if !jobs.is_empty() {
            drop_apart(jobs);
        }
    }

    fn work(&self) {
        ONE_OF.set(ptr::from_ref(self).addr());
        let mut state = self.state.lock();
        loop {
            if state.is_one_too_many() {
                break;
            }
            if let Some(job) = state.jobs.pop_front() {
                state.begun += 1;
                drop(state);
                run_to_its_end(job);
                state = self.state.lock();
                continue;
            }
            if state.closed {
                break;
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
                break;
            }
        }
        state.threads -= 1;
    }
}

impl fmt::Debug for OsThreads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OsThreads").finish_non_exhaustive()
    }
}

/// A handle to OS threads, which each of them has, too.
#[derive(Clone)]
pub(super) enum Handle {
    /// Those of the process.
    Static(&'static OsThreads),
    /// Those of a pool.
    Shared(Arc<OsThreads>),
}

impl Deref for Handle {
    type Target = OsThreads;

    fn deref(&self) -> &OsThreads {
        match self {
            Self::Static(threads) => threads,
            Self::Shared(threads) => threads,
        }
    }
}

impl Handle {
    /// Takes work on.
    ///
    /// # Errors
    ///
    /// They were closed, or the system refuses the OS thread that the work needs.
    pub(super) fn run(&self, work: Work) -> Result<(), Refused> {
        make_room();
        let mut state = self.state.lock();
        if state.closed {
            return Err(Refused::Closed(work));
        }
        let is_for_idle = state.idle > state.jobs.len();
        if !is_for_idle
            && state.threads < state.most.get()
            && let Err(error) = self.grow(&mut state)
            // With others there, the job only waits longer.
            && (matches!(state.most, Limit::None) || state.threads == 0)
        {
            return Err(Refused::NoThread(error, work));
        }
        state.jobs.push_back(work);
        drop(state);
        if is_for_idle {
            self.work.notify_one();
        }
        Ok(())
    }

    /// Starts another OS thread: under the lock, so that nobody counts on one that the system then refuses.
    fn grow(&self, state: &mut State) -> io::Result<()> {
        let theirs = self.clone();
        thread::Builder::new()
            .name(self.name.into())
            .spawn(move || theirs.work())?;
        state.threads += 1;
        Ok(())
    }

    /// Starts another OS thread if there are jobs for it and none was begun since the count was `begun`.
    pub(super) fn grow_unless_begun_since(&self, begun: u64) {
        make_room();
        let mut state = self.state.lock();
        if state.begun == begun && state.idle < state.jobs.len() {
            state.begun += 1;
            // Refused, the jobs wait longer.
            self.grow(&mut state).ok();
        }
    }

    /// Changes how many there may be; those that are too many end when they have done what they do.
    ///
    /// # Errors
    ///
    /// Jobs have waited for this, and the system refuses the first OS thread: they wait on, and the limit is what it was.
    pub(super) fn set_most(&self, most: usize) -> io::Result<()> {
        make_room();
        let mut state = self.state.lock();
        let before = mem::replace(&mut state.most, Limit::Now(most));
        for _ in state.idle..state.jobs.len() {
            if state.threads >= state.most.get() {
                break;
            }
            if let Err(error) = self.grow(&mut state) {
                if state.threads == 0 {
                    state.most = before;
                    return Err(error);
                }
                break;
            }
        }
        drop(state);
        self.work.notify_all();
        Ok(())
    }
}
