//! Every knob: its default, its unit, its environment variable.
//!
//! | knob | default | unit | variable |
//! |---|---|---|---|
//! | [`Config::hubs`] | the number of cores | OS threads | `GREEN_HUBS` |
//! | [`Config::stack_size`] | 262,144 | bytes, rounded up to pages, 16,384 to 1 GiB | `GREEN_STACK_SIZE` |
//! | [`Config::blocking_threads`] | 64 | OS threads | `GREEN_BLOCKING_THREADS` |
//! | [`Config::guard_regions`] | on, where the kernel has them | | `GREEN_GUARD_REGIONS` (0: off) |
//! | [`Config::overflow`] | [`Overflow::Abort`] | | |
//! | [`Config::measure_stacks`] | off | | `GREEN_MEASURE_STACKS` (1: on) |
//! | [`Config::detect_deadlock`] | off | | |
//! | [`Config::check_lifo`] | off | | `GREEN_CHECK_LIFO` (1: on) |
//! | [`Config::watchdog`] | off | milliseconds in the variable | `GREEN_WATCHDOG` |
//! | [`Config::watchdog_signal`] | `SIGURG` with glibc | signal number | |
//! | [`Config::switch_hook`] | none | | |
//!
//! What the program sets goes before the environment, which goes before the default. The
//! configuration is read once, when the first green thread is spawned, and frozen from then on. A
//! variable that is not a positive number is ignored, with a warning in the log.

use std::str::FromStr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;
use rustix::process::{Resource, getrlimit};

use crate::error::AlreadyStarted;
use crate::switch_hook::SwitchHook;

/// The configuration of the runtime, to be applied before its first use.
///
/// # Examples
///
/// ```
/// green_core::Config::new().hubs(1).stack_size(128 * 1024).apply()?;
/// assert_eq!(green_core::run(|| 6 * 7), 42);
/// // From now on it is frozen.
/// assert!(green_core::Config::new().hubs(2).apply().is_err());
/// # Ok::<(), green_core::AlreadyStarted>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "a configuration does nothing until `apply`"]
pub struct Config {
    hubs: Option<usize>,
    stack_size: Option<usize>,
    blocking_threads: Option<usize>,
    guard_regions: Option<bool>,
    pub(crate) overflow: Option<Overflow>,
    measure_stacks: Option<bool>,
    check_lifo: Option<bool>,
    watchdog: Option<Duration>,
    watchdog_signal: Option<Option<i32>>,
    detect_deadlock: Option<bool>,
    switch_hooks: Vec<Arc<dyn SwitchHook>>,
}

/// What becomes of a green thread whose stack overflows: see [`Config::overflow`]. Its name, its spawn site and the size
/// of its stack are written to standard error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Overflow {
    /// The process aborts.
    #[default]
    Abort,
    /// It is suspended for ever where it stands; who asks for its result gets
    /// [`Failure::StackOverflow`](crate::Failure::StackOverflow), and everybody else goes on. Its stack, and what it
    /// holds, are never given back.
    ///
    /// The process aborts all the same if the fault is in the C library, if the green thread is unwinding, or a
    /// neighbour on its hub is parked while it does, in a panic hook, if the green thread belongs to a
    /// [`thread::scope`](crate::thread::scope), if the C library is linked statically, without guard regions, and with
    /// switch hooks or `check_lifo`.
    Isolate,
}

/// The configuration that is in force.
#[derive(Debug)]
pub(crate) struct Settings {
    /// How many hubs.
    pub(crate) hubs: usize,
    /// The default stack, in bytes, rounded.
    pub(crate) stack_size: usize,
    /// How many OS threads the blocking pool may have.
    pub(crate) blocking_threads: usize,
    /// Whether waits look for code on the stack that relies on nested frames.
    pub(crate) check_lifo: bool,
    /// How long a green thread may keep its hub from switching before that is logged.
    pub(crate) watchdog: Option<Duration>,
    /// By which signal the watchdog asks where a green thread is, if it does.
    pub(crate) watchdog_signal: Option<i32>,
    /// Whether `run` panics when nothing can happen any more.
    pub(crate) detect_deadlock: bool,
    /// What the program does at switches, in the order in which it asked.
    pub(crate) switch_hooks: Vec<Arc<dyn SwitchHook>>,
    /// Whether stacks are to have guard regions, if the kernel has them.
    pub(crate) guard_regions: bool,
    /// What becomes of overflows.
    pub(crate) overflow: Overflow,
    /// Whether each green thread's use of its stack is measured.
    pub(crate) measure_stacks: bool,
    /// For how many stacks with a guard of their own the system's limit on memory mappings has room.
    pub(crate) max_mapped_guards: usize,
    /// Whether the system may refuse memory to this process.
    pub(crate) is_memory_limited: bool,
}

impl Settings {
    /// Whether the program has asked for anything at the switches.
    pub(crate) fn is_watched(&self) -> bool {
        self.check_lifo || !self.switch_hooks.is_empty()
    }
}

impl Config {
    /// A configuration in which nothing is set.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many hubs (OS threads that run green threads) there are; zero counts as one.
    ///
    /// One hub gives gevent's order: first in, first out, after those whose time has come; and code between two blocking calls is atomic
    /// with respect to other green threads.
    pub fn hubs(mut self, hubs: usize) -> Self {
        self.hubs = Some(hubs.max(1));
        self
    }

    /// The stack of a green thread, in bytes of address space; rounded up to whole pages, at least
    /// 16 KiB and at most 1 GiB. Only what a green thread touches becomes resident.
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.stack_size = Some(bytes);
        self
    }

    /// How many OS threads the pool for blocking work may have; zero counts as one.
    pub fn blocking_threads(mut self, threads: usize) -> Self {
        self.blocking_threads = Some(threads.max(1));
        self
    }

    /// Whether the guards below stacks are entries of the page table (Linux 6.13 and later) where the kernel offers
    /// that. Without, each stack is two memory mappings, of which Linux allows a process 65,530 by default.
    pub fn guard_regions(mut self, regions: bool) -> Self {
        self.guard_regions = Some(regions);
        self
    }

    /// Whether [`run`](crate::run) and `#[green::main]` panic when nothing can happen any more: no green thread can run, no
    /// timer is set, nobody waits for I/O or a blocking job. gevent's `LoopExit`. The message lists every green thread.
    ///
    /// To ask for it is to promise that nothing outside the hubs wakes green threads: neither OS threads nor `may`
    /// coroutines nor handlers of signals, but for those of [`signal`](crate::signal): as long as there is one, this does not
    /// panic.
    ///
    /// # Examples
    ///
    /// ```
    /// green_core::Config::new().detect_deadlock(true).apply()?;
    /// let stuck = std::panic::catch_unwind(|| green_core::run(|| green_core::event::Event::new().wait()));
    /// let message = *stuck.unwrap_err().downcast::<String>().unwrap();
    /// assert!(message.contains("LoopExit") && message.contains("waits for event"));
    /// # Ok::<(), green_core::AlreadyStarted>(())
    /// ```
    pub fn detect_deadlock(mut self, detect: bool) -> Self {
        self.detect_deadlock = Some(detect);
        self
    }

    /// Whether [`stack_usage`](crate::stack_usage) measures how far each green thread uses its stack. Costs two system
    /// calls and some page faults for each.
    pub fn measure_stacks(mut self, measure: bool) -> Self {
        self.measure_stacks = Some(measure);
        self
    }

    /// Whether waits look for code on the stack that relies on nobody else running on its OS thread: the
    /// initialiser of a `thread_local!`, `scoped_tls::ScopedKey::set`, `slog_scope::scope`. If there is some, the
    /// process says where and aborts.
    ///
    /// For debugging: each call site is looked at once, which takes milliseconds. It needs debug information.
    pub fn check_lifo(mut self, check: bool) -> Self {
        self.check_lifo = Some(check);
        self
    }

    /// Has an OS thread log, at level `warn`, each green thread that keeps its hub from switching for `limit` or longer:
    /// who it is, where it was spawned, and where in its code it is.
    ///
    /// Such a green thread computes without a blocking call, waits for a lock of std's, or calls what blocks the OS thread.
    /// It is told once, while it does it. Zero is as good as four milliseconds. Until there is something to tell, the watchdog
    /// costs the hubs nothing; for the backtrace it sends the hub's OS thread a [signal](Config::watchdog_signal).
    pub fn watchdog(mut self, limit: Duration) -> Self {
        self.watchdog = Some(limit);
        self
    }

    /// By which signal the watchdog finds out where a green thread is, `SIGURG` by default; with `None` it tells no
    /// backtraces, and sends nothing. That is the default where the C library is not glibc: other unwinders take a lock, which
    /// the green thread may hold.
    ///
    /// The runtime puts in a handler for it when it starts with a watchdog, if the signal has none. Then and later, a handler
    /// of the program's own goes before: the watchdog tells no backtraces as long as it is there. On the OS thread of a hub that
    /// does not switch, once for each time that is told of, the handler interrupts what runs and has it go on: system calls
    /// are restarted (`SA_RESTART`) but for those that Linux never restarts, which fail with `EINTR`: `poll`, `select`, `epoll_wait`,
    /// `nanosleep`, `semop`, sockets with `SO_RCVTIMEO` or `SO_SNDTIMEO`; see signal(7). std's `sleep` and `read_exact` are among what goes on by
    /// itself, C's `sleep` is not. A signal that nobody expects is ignored, as `SIGURG` is by default.
    ///
    /// There is no backtrace, either, if the signal is blocked on that OS thread, or if it does not answer within a second: it waits where
    /// no signal reaches it, or the machine has no processor for it.
    pub fn watchdog_signal(mut self, signal: impl Into<Option<i32>>) -> Self {
        self.watchdog_signal = Some(signal.into());
        self
    }

    /// Has `hook` called at every switch of a green thread, after those that were added before.
    pub fn switch_hook(mut self, hook: impl SwitchHook) -> Self {
        self.switch_hooks.push(Arc::new(hook));
        self
    }

    /// Puts the configuration in force. What it leaves unset stays as an earlier `apply` has set it.
    ///
    /// # Errors
    ///
    /// The runtime has started: its configuration is frozen.
    pub fn apply(self) -> Result<(), AlreadyStarted> {
        let mut pending = PENDING.lock();
        if FROZEN.get().is_some() {
            return Err(AlreadyStarted);
        }
        pending.hubs = self.hubs.or(pending.hubs);
        pending.stack_size = self.stack_size.or(pending.stack_size);
        pending.blocking_threads = self.blocking_threads.or(pending.blocking_threads);
        pending.guard_regions = self.guard_regions.or(pending.guard_regions);
        pending.overflow = self.overflow.or(pending.overflow);
        pending.measure_stacks = self.measure_stacks.or(pending.measure_stacks);
        pending.check_lifo = self.check_lifo.or(pending.check_lifo);
        pending.watchdog = self.watchdog.or(pending.watchdog);
        pending.watchdog_signal = self.watchdog_signal.or(pending.watchdog_signal);
        pending.detect_deadlock = self.detect_deadlock.or(pending.detect_deadlock);
        pending.switch_hooks.extend(self.switch_hooks);
        Ok(())
    }
}

/// See [`Config::watchdog_signal`].
const WATCHDOG_SIGNAL: Option<i32> = if cfg!(target_env = "gnu") {
    Some(libc::SIGURG)
} else {
    None
};

/// What `apply` has set so far. Held while the configuration is frozen, too.
static PENDING: Mutex<Config> = Mutex::new(Config {
    hubs: None,
    stack_size: None,
    blocking_threads: None,
    guard_regions: None,
    overflow: None,
    measure_stacks: None,
    check_lifo: None,
    watchdog: None,
    watchdog_signal: None,
    detect_deadlock: None,
    switch_hooks: Vec::new(),
});

/// The configuration, once it is frozen.
static FROZEN: OnceLock<Settings> = OnceLock::new();

/// The configuration in force; freezes it.
pub(crate) fn freeze() -> &'static Settings {
    if let Some(settings) = FROZEN.get() {
        return settings;
    }
    let pending = PENDING.lock();
    FROZEN.get_or_init(|| Settings {
        hubs: pending
            .hubs
            .or_else(|| number("GREEN_HUBS"))
            .unwrap_or_else(cores),
        stack_size: round_stack_size(
            pending
                .stack_size
                .or_else(|| number("GREEN_STACK_SIZE"))
                .unwrap_or(DEFAULT_STACK_SIZE),
        ),
        blocking_threads: pending
            .blocking_threads
            .or_else(|| number("GREEN_BLOCKING_THREADS"))
            .unwrap_or(DEFAULT_BLOCKING_THREADS),
        check_lifo: pending
            .check_lifo
            .unwrap_or_else(|| is("GREEN_CHECK_LIFO", "1")),
        watchdog: pending.watchdog.or_else(|| {
            let millis = number("GREEN_WATCHDOG")?;
            Some(Duration::from_millis(
                u64::try_from(millis).unwrap_or(u64::MAX),
            ))
        }),
        watchdog_signal: pending.watchdog_signal.unwrap_or(WATCHDOG_SIGNAL),
        detect_deadlock: pending.detect_deadlock.unwrap_or(false),
        switch_hooks: pending.switch_hooks.clone(),
        guard_regions: pending
            .guard_regions
            .unwrap_or_else(|| !is("GREEN_GUARD_REGIONS", "0")),
        overflow: pending.overflow.unwrap_or_default(),
        measure_stacks: pending
            .measure_stacks
            .unwrap_or_else(|| is("GREEN_MEASURE_STACKS", "1")),
        max_mapped_guards: max_mappings().map_or(usize::MAX, |most| (most / 2).max(1)),
        is_memory_limited: is_memory_limited(),
    })
}

/// `bytes` of stack, rounded up to whole pages, within what is sensible.
pub(crate) fn round_stack_size(bytes: usize) -> usize {
    bytes
        .clamp(MIN_STACK_SIZE, MAX_STACK_SIZE)
        .next_multiple_of(page_size())
}

/// The size of a page, in bytes.
pub(crate) fn page_size() -> usize {
    rustix::param::page_size()
}

/// The smallest stack, in bytes.
pub(crate) const MIN_STACK_SIZE: usize = 16 * 1024;

/// The largest stack, in bytes.
pub(crate) const MAX_STACK_SIZE: usize = 1 << 30;

/// Default stack of a green thread, in bytes.
const DEFAULT_STACK_SIZE: usize = 256 * 1024;

/// Default size of the blocking pool, in OS threads.
const DEFAULT_BLOCKING_THREADS: usize = 64;

/// Memory mappings that are left to everything but stacks.
const RESERVED_MAPPINGS: usize = 2_048;

/// Whether a variable has this value.
fn is(variable: &str, value: &str) -> bool {
    std::env::var(variable).is_ok_and(|set| set == value)
}

/// A positive number from the environment.
fn number(variable: &str) -> Option<usize> {
    let value = std::env::var(variable).ok()?;
    let number = value
        .trim()
        .parse()
        .ok()
        .filter(|&number: &usize| number > 0);
    if number.is_none() {
        log::warn!("green: {variable}={value:?} is not a positive number; ignored");
    }
    number
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// How many memory mappings the system allows stacks; past its limit nothing could be mapped at all.
pub(crate) fn max_mappings() -> Option<usize> {
    let limit: usize = system("vm/max_map_count")?;
    Some(limit.saturating_sub(RESERVED_MAPPINGS))
}

/// Whether memory can be refused: by a limit on the process, or because the system keeps to what it has.
fn is_memory_limited() -> bool {
    let limits = [Resource::As, Resource::Data];
    limits
        .iter()
        .any(|&limit| getrlimit(limit).current.is_some())
        || system("vm/overcommit_memory") == Some(2_u8)
}

/// A number that the system is configured with.
fn system<T: FromStr>(name: &str) -> Option<T> {
    let value = std::fs::read_to_string(format!("/proc/sys/{name}")).ok()?;
    value.trim().parse().ok()
}
