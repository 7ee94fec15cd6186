//! gevent's `signal`: signals of the process, handled in green threads.
//!
//! # Protocol
//!
//! 1. When the kernel delivers a signal, what `signal-hook` runs in its handler sets the signal's flag and writes a byte into
//!    a pipe: all that may be done there.
//! 2. One green thread reads the pipe, takes the flags, and spawns a green thread for each handler of each signal.
//! 3. Each signal that has handlers has a write end of the pipe. When the last one loses its handlers the pipe has no
//!    writer: the green thread that reads it finds its end, and ends. `hub::quiet` knows it.
//! 4. Nothing of the program runs under the lock: neither destructors of handlers nor, when that green thread starts,
//!    spawn callbacks.
//!
//! # Not here
//!
//! Children: the kernel tells of their ends by descriptors (`process`), so `SIGCHLD` is free.

use std::collections::BTreeMap;
use std::ffi::c_int;
use std::fmt;
use std::fs;
use std::io::{self, PipeReader, PipeWriter};
use std::num::NonZeroU64;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;
use rustix::io::retry_on_intr;
use signal_hook::SigId;
use signal_hook::consts::FORBIDDEN;
use signal_hook::{flag, low_level};

use crate::engine::make_room;
use crate::event::Event;
use crate::greenlet::{Builder, Greenlet, spawn};
use crate::hub::quiet;
use crate::io::Io;
use crate::time::sleep;
use crate::timeout::deferring_interrupts;

pub use signal_hook::consts::signal::*;

/// Has `handler` called, in a green thread of its own, when the process gets the signal `signum`; gevent's
/// `signal_handler`.
///
/// Being in a green thread the handler may do anything, and wait. A signal may have any number of handlers; they start in the
/// order in which they were set. Signals of one number that come in quick succession may be handled as one, as the kernel
/// does itself. Neither a handler nor what it started keeps the process alive; that there is one does not count for
/// [`wait_idle`](crate::wait_idle()).
///
/// The signal does not do any more what it does by default, until its last handler is cancelled: then it does again. One that
/// the process ignored before its first handler was set is ignored again; so is a real-time signal. Handlers that were set by
/// other means, before, are called as well.
///
/// Call it from anywhere; before the hubs have started, too: they start.
///
/// # Errors
///
/// `InvalidInput`: there is no such signal, or it is one that cannot be handled (`SIGKILL`, `SIGSTOP`) or means that the
/// process is broken (`SIGSEGV`, `SIGILL`, `SIGFPE`). The limits of the system on open files.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use green_core::event::Event;
/// use green_core::signal::{SIGHUP, signal_handler};
///
/// let reload = Arc::new(Event::new());
/// let theirs = Arc::clone(&reload);
/// let handler = signal_handler(SIGHUP, move || {
///     green_core::sleep(std::time::Duration::from_millis(1)); // it may wait
///     theirs.set();
/// })?;
/// # rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::HUP).unwrap();
/// reload.wait(); // `kill -HUP` from a shell
/// handler.cancel();
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn signal_handler(
    signum: c_int,
    handler: impl Fn() + Send + Sync + 'static,
) -> io::Result<SignalHandler> {
    if FORBIDDEN.contains(&signum) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "this signal cannot be handled",
        ));
    }
    make_room();
    // Kept beside the lock: if this fails, the last one to drop the handler must not hold it.
    let handler = Arc::new(handler);
    let (handler, dispatcher) = SIGNALS.lock().add(signum, handler.clone())?;
    if let Some(dispatcher) = dispatcher {
        dispatcher.start();
    }
    Ok(handler)
}

/// Waits for the next of the signals `signums`; returns which it was.
///
/// The signals are handled from the call until it returns; after that, they do again what they did. So of a program that ends
/// in order when this returns, a second signal makes short work.
///
/// # Blocking
///
/// Parks the caller only; a cancellation point.
///
/// # Errors
///
/// As [`signal_handler`]; `InvalidInput` if there is no signal to wait for.
///
/// # Examples
///
/// ```no_run
/// use green_core::signal::{self, SIGINT, SIGTERM};
///
/// let which = signal::wait([SIGINT, SIGTERM])?;
/// println!("ending, because of signal {which}");
/// # Ok::<(), std::io::Error>(())
/// ```
#[expect(
    clippy::missing_panics_doc,
    reason = "the number is there when the event is set"
)]
pub fn wait(signums: impl IntoIterator<Item = c_int>) -> io::Result<c_int> {
    let came = Arc::new((Event::new(), OnceLock::new()));
    let handlers = signums
        .into_iter()
        .map(|signum| {
            let came = Arc::clone(&came);
            signal_handler(signum, move || {
                // Only the first counts.
                _ = came.1.set(signum);
                came.0.set();
            })
        })
        .collect::<io::Result<Vec<_>>>()?;
    if handlers.is_empty() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    came.0.wait();
    Ok(*came.1.get().expect("it is set before the event"))
}

/// Waits for Ctrl-C (`SIGINT`); see [`wait()`].
///
/// # Errors
///
/// As [`signal_handler`].
pub fn ctrl_c() -> io::Result<()> {
    wait([SIGINT]).map(|_| ())
}

/// A handler that was set by [`signal_handler`]. Dropping it cancels the handler.
#[derive(Debug)]
#[must_use = "dropping it cancels the handler"]
pub struct SignalHandler {
    signum: c_int,
    /// Its number among all handlers; `None` once nobody is to cancel it.
    number: Option<u64>,
}

impl SignalHandler {
    /// The signal.
    pub fn signum(&self) -> c_int {
        self.signum
    }

    /// Has the handler called no more; green threads in which it runs already run on.
    pub fn cancel(self) {
        drop(self);
    }

    /// Leaves the handler in place for good.
    pub fn forget(mut self) {
        self.number = None;
    }
}

impl Drop for SignalHandler {
    fn drop(&mut self) {
        let Some(number) = self.number else { return };
        make_room();
        let removed = SIGNALS.lock().remove(self.signum, number);
        drop(removed);
    }
}

type Handler = Arc<dyn Fn() + Send + Sync>;

/// All signals that are handled.
static SIGNALS: Mutex<Signals> = Mutex::new(Signals {
    handled: BTreeMap::new(),
    unhandled: BTreeMap::new(),
    last_number: 0,
});

/// See the module documentation.
struct Signals {
    /// Those that have handlers.
    handled: BTreeMap<c_int, Handled>,
    /// Of each signal that ever had a handler, whether it has none now: then `signal-hook` does what the signal does by
    /// default. Read where the kernel delivers the signal.
    unhandled: BTreeMap<c_int, Arc<AtomicBool>>,
    last_number: u64,
}

/// A signal that has handlers.
struct Handled {
    /// By their numbers, oldest first.
    handlers: Vec<(u64, Handler)>,
    /// Whether it has come since its handlers were last spawned.
    came: Arc<AtomicBool>,
    /// Sets `came`, and writes into the pipe.
    actions: Actions,
    /// Another write end of the pipe, for the signals to come.
    writer: PipeWriter,
}

impl Signals {
    /// Adds a handler; what comes back beside it is to be started without the lock.
    fn add(
        &mut self,
        signum: c_int,
        handler: Handler,
    ) -> io::Result<(SignalHandler, Option<Dispatcher>)> {
        self.last_number += 1;
        let entry = (self.last_number, handler);
        let mut dispatcher = None;
        match self.handled.get_mut(&signum) {
            Some(handled) => handled.handlers.push(entry),
            None => {
                let handled = self.handle(signum, entry, &mut dispatcher)?;
                self.handled.insert(signum, handled);
            }
        }
        let handler = SignalHandler {
            signum,
            number: Some(self.last_number),
        };
        Ok((handler, dispatcher))
    }

    /// Has the process handle a signal that it does not handle yet.
    fn handle(
        &mut self,
        signum: c_int,
        first: (u64, Handler),
        dispatcher: &mut Option<Dispatcher>,
    ) -> io::Result<Handled> {
        let writer = match self.handled.values().next() {
            Some(other) => other.writer.try_clone()?,
            None => {
                let (made, writer) = dispatcher_and_pipe()?;
                *dispatcher = Some(made);
                writer
            }
        };
        let was_ignored = !self.unhandled.contains_key(&signum) && is_ignored(signum);
        let came = Arc::new(AtomicBool::new(false));
        let mut actions = Actions(Vec::with_capacity(2));
        let pipe: OwnedFd = writer.try_clone()?.into();
        actions.0.push(flag::register(signum, Arc::clone(&came))?);
        actions.0.push(low_level::pipe::register(signum, pipe)?);
        let unhandled = self.unhandled.entry(signum).or_insert_with(|| {
            let unhandled = Arc::new(AtomicBool::new(false));
            // Real-time signals are unknown to it: they do nothing.
            if !was_ignored {
                flag::register_conditional_default(signum, Arc::clone(&unhandled)).ok();
            }
            unhandled
        });
        unhandled.store(false, Ordering::SeqCst);
        Ok(Handled {
            handlers: vec![first],
            came,
            actions,
            writer,
        })
    }

    /// Takes a handler away; what comes back is to be dropped without the lock.
    fn remove(&mut self, signum: c_int, number: u64) -> Option<(Handler, Option<Handled>)> {
        let handled = self.handled.get_mut(&signum)?;
        let index = handled
            .handlers
            .iter()
            .position(|(other, _)| *other == number)?;
        let (_, handler) = handled.handlers.remove(index);
        if !handled.handlers.is_empty() {
            return Some((handler, None));
        }
        let handled = self.handled.remove(&signum)?;
        handled.actions.end();
        if let Some(unhandled) = self.unhandled.get(&signum) {
            unhandled.store(true, Ordering::SeqCst);
        }
        Some((handler, Some(handled)))
    }

    /// The handlers of the signals that have come since this was last asked.
    fn due(&self) -> Vec<Handler> {
        self.handled
            .values()
            .filter(|handled| handled.came.swap(false, Ordering::SeqCst))
            .flat_map(|handled| &handled.handlers)
            .map(|(_, handler)| Arc::clone(handler))
            .collect()
    }
}

/// What is done where the kernel delivers a signal, as long as this lives.
struct Actions(Vec<SigId>);

impl Actions {
    /// No more.
    fn end(&self) {
        for &action in &self.0 {
            low_level::unregister(action);
        }
    }
}

impl Drop for Actions {
    fn drop(&mut self) {
        // Again, which does nothing; or after only one of them could be registered.
        self.end();
    }
}

impl fmt::Debug for Signals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.handled.keys()).finish()
    }
}

/// The green thread that spawns what is due whenever something was written into the pipe.
type Dispatcher = Greenlet<()>;

/// Makes a pipe, and the green thread that will read it, once it has been started.
fn dispatcher_and_pipe() -> io::Result<(Dispatcher, PipeWriter)> {
    let (reader, writer) = io::pipe()?;
    rustix::io::ioctl_fionbio(&reader, true)?;
    Ok((dispatcher(Arc::new(Io::new(reader)), None)?, writer))
}

/// Makes a green thread that will read the pipe. Whoever kills every green thread that it finds does not mean this one: once
/// it runs it cannot be killed, and if it is before, there is another one in its place.
///
/// `killed` is the one in whose place this one is.
fn dispatcher(reader: Arc<Io<PipeReader>>, killed: Option<NonZeroU64>) -> io::Result<Dispatcher> {
    let theirs = Arc::clone(&reader);
    let dispatch = move || deferring_interrupts(|| dispatch(&theirs));
    let made = Builder::new().name("green-signals").unstarted(dispatch)?;
    match killed {
        Some(killed) => quiet::replace_aside(killed, made.id()),
        None => quiet::set_aside(made.id()),
    }
    made.rawlink(move |ended| {
        if let Some(Ok(())) = ended.try_get() {
            return;
        }
        match dispatcher(reader, Some(ended.id())) {
            Ok(next) => next.start(),
            Err(error) => log::error!("green: signals are not handled any more: {error}"),
        }
    });
    Ok(made)
}

/// Spawns what is due whenever something was written into the pipe, until that has no writer.
fn dispatch(reader: &Io<PipeReader>) {
    let mut bytes = [0; 64];
    let mut read = || {
        reader.read_with(
            || None,
            |fd| Ok(retry_on_intr(|| rustix::io::read(fd, &mut bytes))?),
        )
    };
    loop {
        match read() {
            Ok(0) => return,
            Ok(_) => {
                make_room();
                let due = SIGNALS.lock().due();
                for handler in due {
                    spawn(move || handler());
                }
            }
            Err(error) => {
                log::error!("green: signals are handled later: {error}");
                sleep(PATIENCE);
            }
        }
    }
}

/// Whether the process ignores a signal, by what the system tells of it.
fn is_ignored(signum: c_int) -> bool {
    let Ok(status) = fs::read_to_string("/proc/self/status") else {
        return signum == SIGPIPE; // as Rust has it
    };
    let ignored = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    let place = signum
        .checked_sub(1)
        .and_then(|place| u32::try_from(place).ok());
    let bit = place.and_then(|place| 1_u64.checked_shl(place));
    ignored.zip(bit).is_some_and(|(mask, bit)| mask & bit != 0)
}

/// How long to wait after an error, which is a limit of epoll.
const PATIENCE: Duration = Duration::from_millis(100);
