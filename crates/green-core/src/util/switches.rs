//! Assertions that code lets others run.

use std::panic::Location;
use std::time::Duration;

use crate::engine::make_room;
use crate::sched::control::label;
use crate::sched::slot::SlotLocal;
use crate::sched::stopwatch::Times;
use crate::sched::{self, stopwatch};

/// Runs `f`, and panics unless it let others run at least once; gevent's `assert_switches`.
///
/// On an OS thread and in a `may` coroutine, which keep no hub, it only runs `f`.
///
/// # Panics
///
/// If the green thread that runs `f` was neither parked nor yielded. If `f` unwinds, that goes on, and nothing is asserted.
///
/// # Examples
///
/// ```
/// use green_core::util::assert_switches;
///
/// let works = green_core::spawn(|| assert_switches(|| (0..1_000_u64).sum::<u64>()));
/// assert!(works.get().is_err());
/// let yields = green_core::spawn(|| assert_switches(green_core::yield_now));
/// assert!(yields.get().is_ok());
/// ```
#[track_caller]
pub fn assert_switches<T>(f: impl FnOnce() -> T) -> T {
    assert_that(None, f, Location::caller())
}

/// As [`assert_switches`]; panics also if it ran for longer than `max` between two switches, or before the first or after
/// the last one.
///
/// Time that the system gives to other OS threads counts, too. While a block like this runs, all switches on its hub are
/// slower: they look at the clock.
///
/// # Panics
///
/// As said.
///
/// # Examples
///
/// ```
/// use std::time::{Duration, Instant};
/// use green_core::util::assert_switches_within;
///
/// let works = green_core::spawn(|| {
///     assert_switches_within(Duration::from_millis(1), || {
///         green_core::yield_now();
///         let end = Instant::now() + Duration::from_millis(5);
///         while Instant::now() < end {}
///     })
/// });
/// assert!(works.get().unwrap_err().to_string().contains("without a switch"));
/// ```
#[track_caller]
pub fn assert_switches_within<T>(max: Duration, f: impl FnOnce() -> T) -> T {
    assert_that(Some(max), f, Location::caller())
}

fn assert_that<T>(
    max: Option<Duration>,
    f: impl FnOnce() -> T,
    site: &'static Location<'static>,
) -> T {
    let Some(own) = sched::current() else {
        return f();
    };
    make_room();
    let watch = stopwatch::start(own);
    let value = f();
    let Times { switches, longest } = watch.stop();
    if switches == 0 {
        fail(own, site, "did not switch");
    }
    if max.is_some_and(|max| longest > max) {
        fail(own, site, &format!("ran for {longest:?} without a switch"));
    }
    value
}

#[cold]
fn fail(own: &SlotLocal, site: &Location<'_>, what: &str) -> ! {
    let who = own.running(|running| label(running.control()).to_string());
    let who = who.unwrap_or_else(|| "a green thread".to_owned());
    panic!("the block at {site} {what}: {who}");
}
