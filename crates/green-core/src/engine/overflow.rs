//! What happens when a carrier's stack overflows.
//!
//! An access to the guard below a stack is a fault; the handler here prints which green thread
//! overflowed and aborts, as std does for OS threads and Go for goroutines. Unwinding or freeing a
//! stack that overflowed would leave references into its frames dangling, so nothing else is sound, but to leave the
//! frames for ever as they are, which the program can ask for ([`isolate`]).
//!
//! # Order of the signal handlers
//!
//! The engine installs a handler of its own that abandons the overflowed frames. We let it install
//! first, note what was there before it, and put ours in its place: faults in our guard pages are
//! ours, every other fault goes to whoever was there before the engine (std's handler, as a rule). If
//! something used the engine before us we cannot know who that was, so a fault that is not ours then
//! gets the default action.

use std::fmt::{self, Write as _};
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::OnceLock;

use generator::Gn;

use super::{carrier, isolate};
use crate::config::{self, MIN_STACK_SIZE};

/// Sets how the report names the running green thread: called inside the signal handler, so `f` must
/// not allocate and must not lock.
pub(crate) fn set_label(f: fn(&mut dyn fmt::Write)) {
    let _ = LABEL.set(f);
}

/// How the report names the running green thread.
static LABEL: OnceLock<fn(&mut dyn fmt::Write)> = OnceLock::new();

/// What handled `SIGSEGV` and `SIGBUS` before the engine did; `None` if that cannot be known.
static BEFORE: OnceLock<Option<[libc::sigaction; 2]>> = OnceLock::new();

/// The signals a guard page raises.
const SIGNALS: [libc::c_int; 2] = [libc::SIGSEGV, libc::SIGBUS];

/// Installs the report, once for the process.
pub(super) fn install_report() {
    BEFORE.get_or_init(|| {
        isolate::prepare();
        let before = SIGNALS.map(handler);
        // The engine installs its handler when it makes its first coroutine.
        drop(Gn::<()>::new_opt(
            MIN_STACK_SIZE / size_of::<usize>(),
            || (),
        ));
        let engine_was_first = SIGNALS.map(handler)[0].sa_sigaction == before[0].sa_sigaction;
        // SAFETY: all-zero is a valid `sigaction` (no handler, empty mask, no flags).
        let mut ours: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
        ours.sa_sigaction = on_fault as *const () as libc::sighandler_t;
        ours.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        for signal in SIGNALS {
            // SAFETY: `ours` is a complete action whose handler has the three-argument signature
            // that `SA_SIGINFO` asks for and is async-signal-safe.
            unsafe { libc::sigaction(signal, &raw const ours, ptr::null_mut()) };
        }
        (!engine_was_first).then_some(before)
    });
}

/// The current action for `signal`.
pub(super) fn handler(signal: libc::c_int) -> libc::sigaction {
    let mut action = MaybeUninit::zeroed();
    // SAFETY: a null new action only reads the old one, into memory of the right type.
    unsafe { libc::sigaction(signal, ptr::null(), action.as_mut_ptr()) };
    // SAFETY: zeroed is a valid `sigaction`, and the call filled it in.
    unsafe { action.assume_init() }
}

/// Gives the calling OS thread, which never ends, an alternate signal stack, if it has none that is as large: the report
/// cannot run on the stack that overflowed, and a walk ([`sample`](super::sample)) needs more than the least that std gives.
pub(crate) fn ensure_signal_stack() {
    isolate::remember_mask();
    let mut current = MaybeUninit::<libc::stack_t>::zeroed();
    // SAFETY: a null new stack only reads the old one, into memory of the right type.
    unsafe { libc::sigaltstack(ptr::null(), current.as_mut_ptr()) };
    // SAFETY: zeroed is a valid `stack_t`, and the call filled it in.
    let current = unsafe { current.assume_init() };
    let has_one = current.ss_flags & libc::SS_DISABLE == 0;
    if has_one && current.ss_size >= SIGNAL_STACK_SIZE {
        return;
    }
    let Some(bottom) = map_signal_stack() else {
        return;
    };
    let ours = libc::stack_t {
        ss_sp: bottom,
        ss_flags: 0,
        ss_size: SIGNAL_STACK_SIZE,
    };
    // SAFETY: the memory stays mapped, so it outlives every signal on this OS thread. Nobody runs on the one before; who
    // made it gives it back when this OS thread ends, which is never.
    unsafe { libc::sigaltstack(&raw const ours, ptr::null_mut()) };
}

/// Size of a signal stack of ours, in bytes.
const SIGNAL_STACK_SIZE: usize = 64 * 1024;

/// Memory for a signal stack, above a page that nobody may touch; for ever.
fn map_signal_stack() -> Option<*mut libc::c_void> {
    let guard = config::page_size();
    let size = guard + SIGNAL_STACK_SIZE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a mapping of its own, wherever there is room.
    let start = unsafe { libc::mmap(ptr::null_mut(), size, libc::PROT_NONE, flags, -1, 0) };
    if start == libc::MAP_FAILED {
        return None;
    }
    let bottom = start.wrapping_byte_add(guard);
    let access = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: the part of that mapping above its first page.
    let status = unsafe { libc::mprotect(bottom, SIGNAL_STACK_SIZE, access) };
    (status == 0).then_some(bottom)
}

/// Reports an overflow and aborts, or passes the fault on.
extern "C" fn on_fault(
    signal: libc::c_int,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    // SAFETY: the kernel passes a valid `siginfo_t` to a handler installed with `SA_SIGINFO`.
    let info = unsafe { &*info };
    // SAFETY: this is a memory fault, for which the field is the faulting address.
    let address = unsafe { info.si_addr() }.addr();
    if let Some(stack_size) = carrier::overflowed_stack(address) {
        let is_isolated = isolate::is_possible(context);
        report(stack_size, is_isolated);
        if is_isolated {
            isolate::leave();
        }
        std::process::abort();
    }
    pass_on(signal);
}

/// Writes the report to standard error.
fn report(stack_size: usize, is_isolated: bool) {
    let mut message = Fixed {
        bytes: [0; 512],
        len: 0,
    };
    let _ = message.write_str("\ngreen: stack overflow in ");
    match LABEL.get() {
        Some(label) => label(&mut message),
        None => _ = message.write_str("a green thread"),
    }
    let _ = writeln!(
        message,
        "\ngreen: its stack is {stack_size} bytes: give it more with Builder::stack_size, or all of them with GREEN_STACK_SIZE"
    );
    if is_isolated {
        let _ = message.write_str("green: it is suspended for ever, everybody else goes on\n");
    }
    // SAFETY: the bytes are initialised, and `write` is async-signal-safe.
    unsafe {
        libc::write(
            libc::STDERR_FILENO,
            message.bytes.as_ptr().cast(),
            message.len,
        )
    };
}

/// Restores what handled the fault before us and returns, so that it is raised again.
fn pass_on(signal: libc::c_int) {
    let index = usize::from(signal == libc::SIGBUS);
    // SAFETY: all-zero is a valid `sigaction`: the default action.
    let default: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
    let before = match BEFORE.get() {
        Some(Some(before)) => &before[index],
        _ => &default,
    };
    // SAFETY: the action came from `sigaction` itself, or is the default one.
    unsafe { libc::sigaction(signal, before, ptr::null_mut()) };
}

/// A buffer to format into without allocating; what does not fit is cut.
struct Fixed {
    /// Invariant: the first `len` bytes are written.
    bytes: [u8; 512],
    /// Bytes written.
    len: usize,
}

impl fmt::Write for Fixed {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        let room = self.bytes.len() - self.len;
        let take = s.len().min(room);
        self.bytes[self.len..self.len + take].copy_from_slice(&s.as_bytes()[..take]);
        self.len += take;
        Ok(())
    }
}
