//! What happens at a switch only if it is asked for: hooks, stopwatches, and the check of `GREEN_CHECK_LIFO`.
//!
//! # The check
//!
//! Safe code is sound on a hub if none of it relies on last-in-first-out nesting of the OS thread's frames across a
//! blocking call (`docs/blocking-model.md`). The check looks for code that does: at the first wait of each call
//! site it walks the stack, and if a lazy initialiser of a thread-local is on it, or a function that is known to
//! keep a pointer to its frame in a thread-local, it says so and aborts. It sees what the debug information shows:
//! in a program without, it finds nothing.

use std::backtrace::Backtrace;
use std::collections::HashSet;

use crate::config::{self, Settings};
use crate::engine;
use crate::primitive::Mutex;
use crate::sched::control::label;
use crate::sched::slot::SlotLocal;

/// Suspends the running green thread by `park`, with what was asked for around it.
#[cold]
#[inline(never)]
pub(super) fn suspend(own: &'static SlotLocal, park: impl FnOnce()) {
    own.hub.stopwatches.pause(own);
    let settings = config::freeze();
    if settings.check_lifo {
        check_lifo(own);
    }
    let kept = take(settings);
    park();
    give_back(settings, &kept);
    own.hub.stopwatches.resume(own);
}

/// Asks every hook for what it keeps.
fn take(settings: &Settings) -> Vec<usize> {
    let abort = AbortOnUnwind;
    let kept = settings
        .switch_hooks
        .iter()
        .map(|hook| hook.park())
        .collect();
    abort.did_not_happen();
    kept
}

/// Gives every hook back what it kept, the last one first.
fn give_back(settings: &Settings, kept: &[usize]) {
    let abort = AbortOnUnwind;
    for (hook, kept) in settings.switch_hooks.iter().zip(kept).rev() {
        hook.resume(*kept);
    }
    abort.did_not_happen();
}

/// Aborts if code that relies on nested frames is on the stack.
fn check_lifo(own: &'static SlotLocal) {
    /// The call sites that have been looked at.
    static SEEN: Mutex<Option<HashSet<u64>>> = Mutex::new(None);

    let site = engine::call_site();
    if !SEEN.lock().get_or_insert_default().insert(site) {
        return;
    }
    let trace = Backtrace::force_capture().to_string();
    if let Some(violator) = violator(&trace) {
        report(own, violator, &trace);
        std::process::abort();
    }
}

/// Code that relies on nested frames, and how it shows in a backtrace.
struct Violator {
    what: &'static str,
    /// Part of the function's name.
    function: &'static str,
    /// Part of the name of its file; empty for any.
    file: &'static str,
}

/// Those that are known. A name without a path is how an inlined function shows.
const VIOLATORS: &[Violator] = &[
    Violator {
        what: "the initialiser of a thread_local!",
        function: "__rust_std_internal_init_fn",
        file: "",
    },
    Violator {
        what: "the initialiser of a thread_local!",
        function: "get_or_init_slow",
        file: "sys/thread_local/",
    },
    Violator {
        what: "scoped_tls::ScopedKey::set",
        function: "scoped_tls::ScopedKey",
        file: "",
    },
    Violator {
        what: "scoped_tls::ScopedKey::set",
        function: "set",
        file: "/scoped-tls-",
    },
    Violator {
        what: "slog_scope::scope",
        function: "slog_scope::scope",
        file: "",
    },
    Violator {
        what: "slog_scope::scope",
        function: "scope",
        file: "/slog-scope-",
    },
];

/// The first known violator in a backtrace as std prints it: a line with the function, then one with the file.
fn violator(trace: &str) -> Option<&'static str> {
    let mut lines = trace.lines().peekable();
    while let Some(line) = lines.next() {
        let Some((_, function)) = line.split_once(": ") else {
            continue;
        };
        let file = lines
            .peek()
            .and_then(|next| next.trim_start().strip_prefix("at "))
            .unwrap_or("");
        let known = VIOLATORS
            .iter()
            .find(|known| function.contains(known.function) && file.contains(known.file));
        if let Some(known) = known {
            return Some(known.what);
        }
    }
    None
}

#[expect(
    clippy::print_stderr,
    reason = "the last words before the process ends, as a panic's"
)]
fn report(own: &SlotLocal, violator: &str, trace: &str) {
    let who = own.running(|running| label(running.control()).to_string());
    let who = who.unwrap_or_else(|| "a green thread".to_owned());
    eprintln!(
        "\ngreen: {who} waits inside {violator}, which relies on nobody else running on its OS thread \
         meanwhile (GREEN_CHECK_LIFO)\n{trace}"
    );
}

/// Aborts the process if a hook unwinds: what belongs to one green thread would be left to another.
struct AbortOnUnwind;

impl AbortOnUnwind {
    #[expect(clippy::mem_forget, reason = "it has nothing to free")]
    fn did_not_happen(self) {
        std::mem::forget(self);
    }
}

impl Drop for AbortOnUnwind {
    fn drop(&mut self) {
        std::process::abort();
    }
}

#[cfg(test)]
mod tests {
    use super::violator;

    #[test]
    fn violators_are_found_by_name_and_by_file() {
        let named = "   3: a::b\n             at /x/a.rs:1:2\n   4: std::sys::thread_local::native::lazy::\
                     Storage<T,D>::get_or_init_slow\n             at /rustc/0/library/std/src/sys/thread_local/\
                     native/lazy.rs:84:5\n";
        assert_eq!(violator(named), Some("the initialiser of a thread_local!"));
        let inlined = "   1: set<u32, main::{closure_env#2}, ()>\n             at /y/scoped-tls-1.0.1/src/lib.rs:9:1\n";
        assert_eq!(violator(inlined), Some("scoped_tls::ScopedKey::set"));
        let harmless =
            "   1: set<u32>\n             at /y/src/lib.rs:9:1\n   2: once::get_or_init_slow\n";
        assert_eq!(violator(harmless), None);
        assert_eq!(violator(""), None);
    }
}
