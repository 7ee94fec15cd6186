//! The process's panic hook, wrapped once.
//!
//! Inside the hook every call of ours behaves as on a plain OS thread: a green thread that parked
//! there would leave std's "in the hook" mark set for its neighbours, whose next panic would abort.
//! The wrapper also adds a line that names the green thread, and keeps silent while the engine
//! probes whether a stack can be mapped.

use std::cell::Cell;
use std::fmt;
use std::panic;
use std::sync::{Once, OnceLock};

thread_local! {
    /// How many panic hooks are running on this OS thread.
    static IN_HOOK: Cell<u32> = const { Cell::new(0) };
    /// Whether panics of this OS thread are expected and not to be reported.
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// What the runtime wants to know of a panic, and to add to its report.
pub(crate) struct Observer {
    /// Called before the hook that was there: the running green thread is about to unwind.
    pub(crate) before: fn(),
    /// Names the running green thread; writes nothing outside one.
    pub(crate) describe: fn(&mut dyn fmt::Write) -> bool,
}

/// Who is told of panics.
static OBSERVER: OnceLock<Observer> = OnceLock::new();

/// Wraps the hook, once for the process.
pub(crate) fn install(observer: Observer) {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let _ = OBSERVER.set(observer);
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if QUIET.get() {
                return;
            }
            if let Some(observer) = OBSERVER.get() {
                (observer.before)();
            }
            let _inside = Inside::enter();
            previous(info);
            report();
        }));
    });
}

/// Whether the caller runs inside the panic hook.
#[inline]
pub(crate) fn in_hook() -> bool {
    IN_HOOK.get() != 0
}

/// Runs `f`, which catches its own panics, without any report of them.
pub(crate) fn quietly<R>(f: impl FnOnce() -> R) -> R {
    let before = QUIET.replace(true);
    let result = f();
    QUIET.set(before);
    result
}

/// Says which green thread panicked, below the message of the hook that was there before.
#[expect(
    clippy::print_stderr,
    reason = "a panic is reported on standard error, as std does"
)]
fn report() {
    let mut text = String::new();
    if OBSERVER
        .get()
        .is_some_and(|observer| (observer.describe)(&mut text))
    {
        eprintln!("note: panicked in {text}");
    }
}

/// Marks the OS thread as being inside the hook.
struct Inside;

impl Inside {
    fn enter() -> Self {
        IN_HOOK.set(IN_HOOK.get() + 1);
        Self
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        IN_HOOK.set(IN_HOOK.get() - 1);
    }
}
