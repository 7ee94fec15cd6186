//! Where a green thread is in its code: addresses, and their names when they are printed.
//!
//! Names come late because they are dear: the debug information of the program is read for them.
//!
//! # What is left out
//!
//! As std does in a short backtrace, what says nothing of the program: at the outer end everything below the green
//! thread's closure, at the inner end, if it waits, the layers below the call that it made. What is the runtime's is known
//! by the folder of its source files, or by the path of its names: an inlined function may have one without the other.

use std::ffi::c_void;
use std::fmt;
use std::path::PathBuf;
use std::ptr;

use crate::engine::Frames;

/// Where a green thread is in its code; from [`debug::trace`](crate::debug::trace).
///
/// `{}` prints it as std prints a backtrace, the innermost call first, without the frames of the runtime around those of
/// the program; `{:#}` prints all of them. Without debug information there are names, but no lines; without symbols,
/// addresses. At most 128 calls are kept.
///
/// # Blocking
///
/// Taking one is cheap, and so is moving it around. To print it is not: the first time, the debug information of the
/// program is read and kept, which blocks the OS thread, may take a second, and needs tens of KiB of stack. In a server, print
/// in [`blocking`](crate::blocking).
#[derive(Clone)]
pub struct Trace {
    frames: Box<Frames>,
    end: InnerEnd,
}

/// What the innermost frames are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum InnerEnd {
    /// The runtime's, by which the program waits.
    Waits,
    /// Any code that was interrupted.
    Interrupted,
}

impl Trace {
    pub(crate) fn new(frames: Frames, end: InnerEnd) -> Self {
        Self {
            frames: Box::new(frames),
            end,
        }
    }

    /// The names of all frames; an inlined call has one of its own.
    fn calls(&self) -> Vec<Call> {
        let mut calls = Vec::new();
        for &address in self.frames.addresses() {
            let before = calls.len();
            // What is handed over is taken for a return address.
            let after = ptr::without_provenance_mut::<c_void>(address.wrapping_add(1));
            backtrace::resolve(after, |symbol| {
                calls.push(Call {
                    name: symbol.name().map(|name| format!("{name:#}")),
                    file: symbol.filename().map(PathBuf::from),
                    line: symbol.lineno(),
                    address,
                });
            });
            if calls.len() == before {
                calls.push(Call::nameless(address));
            }
        }
        calls
    }

    /// The part of `calls` that is the program's.
    fn trimmed<'a>(&self, calls: &'a [Call]) -> &'a [Call] {
        let outer = calls.iter().rposition(Call::is_of_record);
        let outer = outer.unwrap_or(calls.len());
        let is_program = |call: &Call| !call.is_runtime() && !call.is_glue();
        let end = calls[..outer].iter().rposition(is_program);
        let end = end.map_or(outer, |last| last + 1);
        let start = match self.end {
            InnerEnd::Waits => calls[..end].iter().position(|call| !call.is_inner()),
            InnerEnd::Interrupted => Some(0),
        };
        match &calls[start.unwrap_or(end)..end] {
            [] => calls,
            program => program,
        }
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let calls = self.calls();
        let shown = if f.alternate() {
            &calls[..]
        } else {
            self.trimmed(&calls)
        };
        for (number, call) in shown.iter().enumerate() {
            if number > 0 {
                writeln!(f)?;
            }
            write!(f, "{number:4}: {call}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.calls()).finish()
    }
}

/// One call of a trace.
#[derive(Debug)]
struct Call {
    /// Without the hash.
    name: Option<String>,
    file: Option<PathBuf>,
    line: Option<u32>,
    address: usize,
}

impl Call {
    fn nameless(address: usize) -> Self {
        Self {
            name: None,
            file: None,
            line: None,
            address,
        }
    }

    fn is_named(&self, prefixes: &[&str]) -> bool {
        let name = self.name.as_deref().unwrap_or_default();
        let name = name.trim_start_matches('<');
        prefixes.iter().any(|prefix| name.starts_with(prefix))
    }

    fn is_in(&self, folders: &[&str]) -> bool {
        let file = self.file.as_deref().map(|file| file.to_string_lossy());
        file.is_some_and(|file| folders.iter().any(|folder| file.contains(folder)))
    }

    /// Whether it is of this crate.
    fn is_runtime(&self) -> bool {
        self.is_in(&[SOURCES]) || self.is_named(&["green_core::"])
    }

    /// Whether it is of the layers below the calls that wait, or of the one that looks.
    fn is_inner(&self) -> bool {
        let layer = |layer: &&str| {
            self.is_in(&[&format!("{SOURCES}{layer}/")])
                || self.is_named(&[&format!("green_core::{layer}::")])
        };
        ["engine", "park", "waitq", "sched", "hub", "debug"]
            .iter()
            .any(layer)
            || self.is_named(&["generator::"])
            || self.is_in(&["/generator-"])
    }

    /// Whether it is of std, between the runtime and a closure.
    fn is_glue(&self) -> bool {
        self.is_named(&[
            "std::panic",
            "core::ops::function::",
            "core::panic::",
            "__rust_try",
        ]) || self.is_in(&[
            "/library/std/src/panic",
            "/library/core/src/ops/function.rs",
            "/library/core/src/panic",
        ])
    }

    /// Whether it is of the record of a green thread: the outermost such call runs its closure.
    fn is_of_record(&self) -> bool {
        self.is_named(&["green_core::sched::record::"])
            || self.is_in(&[&format!("{SOURCES}sched/record.rs")])
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => f.write_str(name)?,
            None => write!(f, "{:#x}", self.address)?,
        }
        if let (Some(file), Some(line)) = (&self.file, self.line) {
            write!(f, "\n             at {}:{line}", file.display())?;
        }
        Ok(())
    }
}

/// The folder of this crate's sources, as the compiler was given it.
const SOURCES: &str = {
    let file = file!();
    file.split_at(file.len() - "trace.rs".len()).0
};

#[cfg(test)]
mod tests {
    use super::*;

    fn call(name: &str, file: &str) -> Call {
        Call {
            name: (!name.is_empty()).then(|| name.to_owned()),
            file: (!file.is_empty()).then(|| PathBuf::from(file)),
            ..Call::nameless(1)
        }
    }

    fn names(end: InnerEnd, calls: &[Call]) -> Vec<&str> {
        let trace = Trace::new(Frames::new(), end);
        let names = trace.trimmed(calls).iter();
        names
            .map(|call| call.name.as_deref().unwrap_or_default())
            .collect()
    }

    #[test]
    fn the_program_is_what_stays() {
        let ours = |file: &str| format!("/x/{SOURCES}{file}");
        let calls = [
            call("walk", &ours("engine/walk.rs")),
            call(
                "<green_core::park::green::Green as green_core::park::Park>::park",
                "",
            ),
            call("green_core::event::Event::wait", ""),
            call("app::handle", "/y/src/main.rs"),
            call("core::ops::function::FnOnce::call_once", ""),
            call("app::main::{closure#0}", "/y/src/main.rs"),
            call(
                "call_once<app::main::{closure_env#0}, ()>",
                "/rustc/1/library/core/src/ops/function.rs",
            ),
            call("{closure#0}", &ours("greenlet/spawn.rs")),
            call(
                "<green_core::sched::record::Record<app::P, app::F>>::run",
                "",
            ),
            call("green_core::hub::run_green_thread", ""),
            call("generator::detail::gen::gen_init_impl", ""),
        ];
        assert_eq!(
            names(InnerEnd::Waits, &calls),
            [
                "green_core::event::Event::wait",
                "app::handle",
                "core::ops::function::FnOnce::call_once",
                "app::main::{closure#0}"
            ]
        );
        assert_eq!(names(InnerEnd::Interrupted, &calls).len(), 6);
        // With line tables alone, there are no paths.
        let short = [
            call("{closure#0}", &ours("park/green.rs")),
            call("get<u32>", &ours("queue/mod.rs")),
            call("handle", "/y/src/main.rs"),
            call(
                "call_once<fn(), ()>",
                "/rustc/1/library/core/src/ops/function.rs",
            ),
            call(
                "catch_unwind<(), fn()>",
                "/rustc/1/library/std/src/panic.rs",
            ),
            call("{closure#0}", &ours("greenlet/spawn.rs")),
            call("run<P, F>", &ours("sched/record.rs")),
            call("run", &ours("sched/record.rs")),
            call("run_green_thread", &ours("hub/mod.rs")),
        ];
        assert_eq!(names(InnerEnd::Waits, &short), ["get<u32>", "handle"]);
        // What is the runtime's alone stays as it is, and so does what has no names.
        assert_eq!(names(InnerEnd::Waits, &calls[8..]).len(), 3);
        assert_eq!(
            names(InnerEnd::Waits, &[call("", ""), call("", "")]).len(),
            2
        );
    }
}
