//! Going on after a stack overflow: the green thread is suspended for ever where it stands.
//!
//! The signal handler runs on the hub's alternate stack. It switches to the hub as any wait does, and is never
//! resumed; the frames of the green thread stay as they are, so what borrows from them stays valid. The kernel takes
//! the alternate stack as unused as soon as another stack runs.
//!
//! That is done only where a green thread can be left standing: the fault is in the program's own code, not in the C
//! library, whose locks everybody needs, and it is neither unwinding nor in the panic hook, which std counts by OS
//! thread.

use std::ops::Range;
use std::sync::OnceLock;

use super::carrier;
use crate::config::{self, Config, Overflow};
use crate::panics;

impl Config {
    /// What becomes of a green thread whose stack overflows; by default, the process aborts.
    ///
    /// # Safety
    ///
    /// With [`Overflow::Isolate`], a green thread can stop between any two instructions of the program, for ever.
    /// Nothing that it was changing may be seen by others in the state in between: data that is not behind a lock, in
    /// a `RefCell` or a thread-local say, and data that unsafe code was changing. Locks that it holds are never given
    /// back, those inside an allocator that is linked into the program included.
    ///
    /// # Examples
    ///
    /// ```
    /// use green_core::{Config, Overflow};
    ///
    /// // SAFETY: the green threads of this program share nothing but locks and queues.
    /// unsafe { Config::new().overflow(Overflow::Isolate) }.apply()?;
    /// # Ok::<(), green_core::AlreadyStarted>(())
    /// ```
    pub unsafe fn overflow(mut self, overflow: Overflow) -> Self {
        self.overflow = Some(overflow);
        self
    }
}

/// The program's own code, if overflows are to be isolated and it can be told from the C library's.
static OWN_CODE: OnceLock<Vec<Range<usize>>> = OnceLock::new();

/// Prepares for overflows, if they are to be isolated.
pub(super) fn prepare() {
    if config::freeze().overflow != Overflow::Isolate {
        return;
    }
    let own = own_code().filter(|own| !contains(own, libc::memcpy as *const () as usize));
    if own.is_none() {
        log::warn!(
            "green: overflows of stacks cannot be isolated: the C library's code is not apart from the program's"
        );
    }
    drop(OWN_CODE.set(own.unwrap_or_default()));
}

/// Whether the green thread that runs may be left where it stands.
///
/// Async-signal-safe: looks at memory only.
pub(super) fn is_possible(context: *const libc::c_void) -> bool {
    let Some(own) = OWN_CODE.get() else {
        return false;
    };
    // SAFETY: the kernel passes a valid context to a handler installed with `SA_SIGINFO`.
    let context = unsafe { &*context.cast::<libc::ucontext_t>() };
    program_counter(context).is_some_and(|counter| contains(own, counter))
        && !std::thread::panicking()
        && !panics::in_hook()
}

/// Leaves the green thread that runs where it stands. Returns only if that is impossible.
pub(super) fn leave(signal: libc::c_int) {
    let mut set = std::mem::MaybeUninit::<libc::sigset_t>::zeroed();
    // SAFETY: initialises the set.
    unsafe { libc::sigemptyset(set.as_mut_ptr()) };
    // SAFETY: as above; the signal is a valid one.
    unsafe { libc::sigaddset(set.as_mut_ptr(), signal) };
    // The handler does not return, which would do this.
    // SAFETY: the set is initialised.
    unsafe { libc::pthread_sigmask(libc::SIG_UNBLOCK, set.as_ptr(), std::ptr::null_mut()) };
    carrier::abandon_running();
}

fn contains(code: &[Range<usize>], address: usize) -> bool {
    code.iter().any(|range| range.contains(&address))
}

/// The executable mappings of the file that this code is in.
fn own_code() -> Option<Vec<Range<usize>>> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    let mut code = Vec::new();
    for line in maps.lines() {
        let mut fields = line.split_ascii_whitespace();
        let (start, end) = fields.next()?.split_once('-')?;
        let range = usize::from_str_radix(start, 16).ok()?..usize::from_str_radix(end, 16).ok()?;
        let is_code = fields.next()?.contains('x');
        if let (true, Some(file)) = (is_code, fields.nth(3)) {
            code.push((range, file));
        }
    }
    let here = own_code as *const () as usize;
    let own = code.iter().find(|(range, _)| range.contains(&here))?.1;
    let own = code.iter().filter(|(_, file)| *file == own);
    Some(own.map(|(range, _)| range.clone()).collect())
}

/// Where the signal interrupted.
fn program_counter(context: &libc::ucontext_t) -> Option<usize> {
    #[cfg(target_arch = "x86_64")]
    {
        usize::try_from(context.uc_mcontext.gregs[libc::REG_RIP as usize]).ok()
    }
    #[cfg(target_arch = "aarch64")]
    {
        usize::try_from(context.uc_mcontext.pc).ok()
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    {
        let _ = context;
        None
    }
}
