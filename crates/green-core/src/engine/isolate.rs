//! Going on after a stack overflow: the green thread is suspended for ever where it stands.
//!
//! The signal handler runs on the hub's alternate stack. It switches to the hub as any wait does, and is never
//! resumed; the frames of the green thread stay as they are, so what borrows from them stays valid. The kernel takes
//! the alternate stack as unused as soon as another stack runs.
//!
//! That is done only where a green thread can be left standing: the fault is in the program's own code, not in the C
//! library, whose locks everybody needs, and it is neither unwinding nor in the panic hook, which std counts by OS
//! thread.
//!
//! The runtime's own locks are the program's code, too. Whatever takes one calls [`make_room`] first, so that an overflow
//! that would come under the lock comes before it; a guard region's size is room enough for every such section.

use std::cell::Cell;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

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
    /// a `RefCell` or a thread-local say, and data that unsafe code was changing. What it holds is never given back:
    /// locks, those of std's output streams, of lazy initialisers and of an allocator or other C code that is linked
    /// into the program included. OS threads and hubs that wait for such a lock wait for ever.
    ///
    /// Its frames stay as they are, so what borrows from them stays valid: the green threads of a
    /// [`thread::scope`](crate::thread::scope) that it has opened go on. One that belongs to such a scope is never stopped
    /// (the process aborts), because the scope's end would let go of what it may have lent on.
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
    let settings = config::freeze();
    if settings.overflow != Overflow::Isolate {
        return;
    }
    if settings.is_watched() || !super::guard::are_regions() {
        log::warn!(
            "green: overflows of stacks are not isolated: that needs guard regions (Linux 6.13), and neither switch \
             hooks nor GREEN_CHECK_LIFO"
        );
        return;
    }
    let own = own_code().filter(|own| !contains(own, libc::memcpy as *const () as usize));
    if own.is_none() {
        log::warn!(
            "green: overflows of stacks cannot be isolated: the C library's code is not apart from the program's"
        );
    }
    IS_ON.store(own.is_some(), Ordering::Relaxed);
    drop(OWN_CODE.set(own.unwrap_or_default()));
}

/// Whether overflows are isolated.
static IS_ON: AtomicBool = AtomicBool::new(false);

/// Has an overflow come now, if the stack may not be enough for a section of the runtime that must not stop half way.
#[inline]
pub fn make_room() {
    if IS_ON.load(Ordering::Relaxed) {
        carrier::make_room();
    }
}

thread_local! {
    /// The signals that are blocked on a hub's OS thread.
    static HUB_MASK: Cell<Option<libc::sigset_t>> = const { Cell::new(None) };
}

/// Remembers which signals the calling OS thread, a hub's, has blocked.
pub(crate) fn remember_mask() {
    let mut mask = MaybeUninit::<libc::sigset_t>::zeroed();
    // SAFETY: a null new mask only reads the old one, into memory of the right type.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, ptr::null(), mask.as_mut_ptr()) };
    // SAFETY: zeroed is a valid mask, and the call filled it in.
    HUB_MASK.set(Some(unsafe { mask.assume_init() }));
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
        && HUB_MASK.get().is_some()
        && carrier::can_abandon()
}

/// Leaves the green thread that runs where it stands, after [`is_possible`].
pub(super) fn leave() {
    // What the handlers that do not return would do.
    if let Some(mask) = HUB_MASK.get() {
        // SAFETY: the mask came from the same call.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const mask, ptr::null_mut()) };
    }
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
