//! A reused stackful coroutine of `may`'s engine crate, parked and resumed on its hub.
//!
//! # Protocol
//!
//! 1. [`Carrier::new`] maps a stack; nothing runs yet.
//! 2. [`Carrier::resume`], called on the hub's own stack, switches to the carrier and returns when
//!    the carrier parks.
//! 3. [`Carrier::park`], called anywhere below the carrier's body (also inside a generator that user code
//!    runs there), switches back to the hub.
//!
//! # Invariants
//!
//! 1. `RUNNING` is the carrier whose stack is executing on this OS thread, or null on the hub's own
//!    stack. `resume` sets and clears it; user code on the carrier cannot.
//! 2. A `Carrier` lives at a stable address for ever (it is part of a leaked slot), so a pointer
//!    taken from `RUNNING` is never dangling.
//! 3. A carrier parks in one of two ways. On its own stack, through the scope that the engine gave its body,
//!    which suspends the innermost generator: there, that is the carrier itself. Inside a generator that user
//!    code runs on top, through the generator's local data: the engine suspends the innermost generator that
//!    has some, and it is non-null exactly from the moment `park` is about to switch until it is back. So
//!    `may::coroutine::is_coroutine` never sees a coroutine in user code.
//! 4. The body never returns and never unwinds, so the generator is never "done", and the scope, a local of
//!    the frame around the body, is there for ever.

use std::cell::{Cell, UnsafeCell};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use generator::{Generator, Gn, Scope, co_yield_with, get_local_data};

use super::overflow;
use super::stack::StackRange;
use crate::config;

/// One reused coroutine and its stack.
#[repr(C)] // Half a cache line; whoever has a carrier may rely on that.
pub(crate) struct Carrier {
    /// Invariant: entered only by `resume` and `park`, on one OS thread.
    generator: UnsafeCell<Generator<'static, (), ()>>,
    /// What the engine gave the body to park with, near the top of the stack; null before the first run
    /// (invariant 4).
    scope: Cell<*mut Scope<'static, 'static, (), ()>>,
    /// The address of a local of the frame that parked last: where the live part of the stack ends.
    parked_at: Cell<usize>,
    /// The usable stack, in bytes, as asked for and rounded up to pages.
    stack_size: u32,
    /// Bytes from `scope` to the top of the stack; 0 where the layout could not be found out.
    to_top: Cell<u32>,
}

thread_local! {
    /// The carrier whose stack is executing, by invariant 1.
    static RUNNING: Cell<*const Carrier> = const { Cell::new(ptr::null()) };
}

impl Carrier {
    /// Makes a carrier with at least `stack_size` bytes of stack, which will run `body`.
    ///
    /// `body` must neither return nor unwind (invariant 4); the process aborts if it does.
    ///
    /// # Errors
    ///
    /// The system refused to map another stack: out of memory, or of mappings.
    pub(crate) fn new(stack_size: usize, body: fn()) -> io::Result<Self> {
        overflow::install_report();
        let stack_size = config::round_stack_size(stack_size);
        let words = stack_size / size_of::<usize>();
        // The engine has no fallible constructor: it panics when the mapping is refused.
        let made = crate::panics::quietly(|| {
            catch_unwind(AssertUnwindSafe(|| {
                // This constructor prepares for both ways to park; the body that it asks for never runs.
                Gn::<()>::new_opt(words, || ())
            }))
        });
        let mut generator: Generator<'static, (), ()> =
            made.map_err(|_| io::Error::from(io::ErrorKind::WouldBlock))?;
        generator.scoped_init(move |mut scope| {
            let _abort = AbortOnDrop;
            // SAFETY: `resume` has set it (invariants 1 and 2).
            let carrier = unsafe { &*RUNNING.get() };
            carrier.begin((&raw mut scope).cast());
            body();
        });
        Ok(Self {
            generator: UnsafeCell::new(generator),
            scope: Cell::new(ptr::null_mut()),
            parked_at: Cell::new(0),
            stack_size: u32::try_from(stack_size).unwrap_or(u32::MAX),
            to_top: Cell::new(0),
        })
    }

    /// The body begins, on the carrier's own stack, with `scope` to park with.
    fn begin(&self, scope: *mut Scope<'static, 'static, (), ()>) {
        self.scope.set(scope);
        let stack = StackRange::containing(scope.addr(), self.stack_size());
        let to_top = stack.and_then(|stack| u32::try_from(stack.top - scope.addr()).ok());
        self.to_top.set(to_top.unwrap_or(0));
    }

    /// Where the stack lies; `None` if that could not be found out, and before the first run.
    fn stack(&self) -> Option<StackRange> {
        let to_top = self.to_top.get() as usize;
        let top = self.scope.get().addr() + to_top;
        (to_top != 0).then(|| StackRange {
            bottom: top - self.stack_size(),
            top,
        })
    }

    /// Switches to the carrier; returns when it parks.
    ///
    /// # Panics
    ///
    /// If a carrier is running on this OS thread already.
    #[inline]
    pub(crate) fn resume(&'static self) {
        assert!(
            RUNNING.get().is_null(),
            "a carrier was resumed from inside a carrier"
        );
        RUNNING.set(self);
        let generator = self.generator.get();
        // SAFETY: this OS thread owns the carrier (it is reached through `Pinned` only) and no
        // carrier is running, so nobody is inside this generator (invariant 1). While it runs,
        // `park` reaches the same generator through the same cell; the engine itself keeps raw
        // pointers into it across the switch, which is an opaque call to the compiler.
        unsafe { (*generator).resume() };
        RUNNING.set(ptr::null());
    }

    /// The usable stack, in bytes.
    #[inline]
    pub(crate) fn stack_size(&self) -> usize {
        self.stack_size as usize
    }

    /// Suspends this carrier, which is running, until its hub resumes it.
    ///
    /// # Panics
    ///
    /// If it is not running.
    // A processor foretells a return wrongly after every switch: each frame between the switch and the program
    // costs some 20 cycles. So this is inlined, and so is what calls it.
    #[inline(always)]
    pub(crate) fn park(&self) {
        assert!(
            ptr::eq(RUNNING.get(), self),
            "a carrier was parked that does not run"
        );
        let here = 0_u8;
        let sp = ptr::from_ref(&here).addr();
        self.parked_at.set(sp);
        let scope = self.scope.get();
        // What runs on the carrier's own stack has its frames below the scope, less than a stack below.
        if scope.addr().wrapping_sub(sp) < self.stack_size() {
            // SAFETY: set by the body before anything could park, and there for ever (invariant 4); nobody else
            // uses it, and this is the carrier's own stack, so it suspends this carrier (invariant 3).
            unsafe { (*scope).yield_with(()) };
        } else {
            self.park_nested();
        }
    }

    /// Suspends this carrier from inside a generator of the program's.
    #[cold]
    #[inline(never)]
    fn park_nested(&self) {
        assert!(
            get_local_data().is_null(),
            "a coroutine of may cannot wait inside a green thread"
        );
        let generator = self.generator.get();
        // SAFETY: this code runs on top of the carrier, so `resume` is waiting inside the engine's switch and
        // touches nothing until the yield below (invariant 1).
        unsafe { (*generator).set_local_data(PARKED.as_ptr().cast_mut()) };
        co_yield_with(());
        // SAFETY: as above; the carrier runs again.
        unsafe { (*generator).set_local_data(ptr::null_mut()) };
    }

    /// Has the processor find the page on which this carrier will go on.
    #[inline]
    pub(crate) fn touch_stack(&self) {
        prefetch(ptr::without_provenance::<u8>(self.parked_at.get()));
    }

    /// Fetches the lines that a resume of this carrier will touch first: those around the parked frame, and those
    /// at the top, where the engine has its own record.
    #[inline]
    pub(crate) fn prefetch_stack(&self) {
        let sp = self.parked_at.get() & !63;
        let top = self.scope.get().addr() & !63;
        if sp != 0 {
            for line in 0..PREFETCH_FRAMES {
                prefetch(ptr::without_provenance::<u8>(sp + line * 64));
            }
            for line in 0..PREFETCH_TOP {
                prefetch(ptr::without_provenance::<u8>(top + line * 64));
            }
        }
    }
}

/// How many lines to fetch from the parked frame on, and from the scope on: measured with the echo benchmark.
const PREFETCH_FRAMES: usize = 8;
const PREFETCH_TOP: usize = 8;

/// The stack of the carrier that is running on this OS thread.
///
/// Async-signal-safe: reads a thread-local that needs no initialisation.
pub(super) fn running_stack() -> Option<StackRange> {
    let running = RUNNING.get();
    if running.is_null() {
        return None;
    }
    // SAFETY: non-null, so a live carrier (invariants 1 and 2).
    unsafe { (*running).stack() }
}

/// Asks the processor to fetch the cache line at `address`; any address is fine.
#[inline]
pub(crate) fn prefetch<T>(address: *const T) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch never faults and changes no memory, whatever the address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

/// Aborts the process when a carrier's body ends (invariant 4).
struct AbortOnDrop;

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        std::process::abort();
    }
}

/// What the local data of a generator points at while it is parked; only its being non-null counts.
static PARKED: [u8; 1] = [0];
