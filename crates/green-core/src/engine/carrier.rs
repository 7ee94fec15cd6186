//! A reused stackful coroutine of `may`'s engine crate, parked and resumed on its hub.
//!
//! # Protocol
//!
//! 1. [`Carrier::new`] maps a stack; nothing runs yet. At its first run it gets its guard ([`guard`]).
//! 2. [`Carrier::resume`], called on the hub's own stack, switches to the carrier and returns when
//!    the carrier parks.
//! 3. [`Carrier::park`], called anywhere below the carrier's body (also inside a generator that user code
//!    runs there), switches back to the hub.
//! 4. [`Carrier::retire`] lets the body of an idle carrier return and unmaps the stack; [`Carrier::renew`] maps
//!    another.
//!
//! # Invariants
//!
//! 1. `RUNNING` is the carrier whose stack is executing on this OS thread, or null on the hub's own
//!    stack. `resume` sets and clears it; user code on the carrier cannot.
//! 2. A `Carrier` lives at a stable address for ever (it is part of a leaked slot), so a pointer
//!    taken from `RUNNING` is never dangling. Its generator is replaced only while it does not run.
//! 3. A carrier parks in one of two ways. On its own stack, through the scope that the engine gave its body,
//!    which suspends the innermost generator: there, that is the carrier itself. Inside a generator that user
//!    code runs on top, through the generator's local data: the engine suspends the innermost generator that
//!    has some, and it is non-null exactly from the moment `park` is about to switch until it is back. So
//!    `may::coroutine::is_coroutine` never sees a coroutine in user code.
//! 4. The body returns only to be retired, and never unwinds. Until then the generator is never "done", and the
//!    scope, a local of the frame around the body, is there.

use std::cell::{Cell, UnsafeCell};
use std::io;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use generator::{Generator, Gn, Scope, co_yield_with, get_local_data};

use super::stack::StackRange;
use super::{guard, overflow};
use crate::config;

/// One reused coroutine and its stack.
#[repr(C)] // Half a cache line; whoever has a carrier may rely on that.
pub(crate) struct Carrier {
    /// Invariant: entered only by `resume` and `park`, on one OS thread. None once it is retired.
    generator: UnsafeCell<Option<Generator<'static, (), ()>>>,
    /// What the engine gave the body to park with, near the top of the stack; null before the first run
    /// (invariant 4).
    scope: Cell<*mut Scope<'static, 'static, (), ()>>,
    /// The address of a local of the frame that parked last: where the live part of the stack ends.
    parked_at: Cell<usize>,
    /// The usable stack, in bytes, as asked for and rounded up to pages.
    stack_size: u32,
    /// Bytes from `scope` to the top of the stack; 0 where the layout could not be found out.
    to_top: Cell<u16>,
    /// [`HAS_REGION`] and the other marks.
    marks: Cell<u8>,
}

/// Its guard is a region.
const HAS_REGION: u8 = 1;
/// Its body is to return.
const RETIRES: u8 = 1 << 1;
/// What ran on it stands for ever.
const IS_ABANDONED: u8 = 1 << 3;
/// What runs on it must come to an end: see [`NotAbandoned`].
const MUST_END: u8 = 1 << 4;
/// Nothing has run on it since it gave back what an idle carrier need not keep.
const IS_TRIM: u8 = 1 << 2;

thread_local! {
    /// The carrier whose stack is executing, by invariant 1.
    static RUNNING: Cell<*const Carrier> = const { Cell::new(ptr::null()) };
}

impl Carrier {
    /// Makes a carrier with at least `stack_size` bytes of stack, which will run `body`.
    ///
    /// `body` may return only once [`Carrier::is_retiring`], and must not unwind (invariant 4); the process aborts
    /// if it does.
    ///
    /// # Errors
    ///
    /// `WouldBlock`: the system has no room for another stack.
    pub(crate) fn new(stack_size: usize, body: fn()) -> io::Result<Self> {
        let stack_size = config::round_stack_size(stack_size);
        let generator = make(stack_size, body)?;
        Ok(Self {
            generator: UnsafeCell::new(Some(generator)),
            scope: Cell::new(ptr::null_mut()),
            parked_at: Cell::new(0),
            stack_size: u32::try_from(stack_size).unwrap_or(u32::MAX),
            to_top: Cell::new(0),
            marks: Cell::new(0),
        })
    }

    /// Gives a retired carrier a stack again.
    ///
    /// # Errors
    ///
    /// As [`Carrier::new`].
    pub(crate) fn renew(&self, body: fn()) -> io::Result<()> {
        let generator = make(self.stack_size(), body)?;
        // SAFETY: `Pinned`: this OS thread's. It is retired, so nobody is inside (invariant 2).
        let place = unsafe { &mut *self.generator.get() };
        assert!(place.is_none(), "a carrier was renewed before it retired");
        *place = Some(generator);
        Ok(())
    }

    /// Has the body of an idle carrier return, and gives back its stack.
    ///
    /// # Panics
    ///
    /// If a carrier is running on this OS thread.
    pub(crate) fn retire(&'static self) {
        self.mark(RETIRES);
        self.resume();
        match self.stack() {
            // SAFETY: the same bottom as in `begin`, where the region came to be; the body has returned.
            Some(stack) => unsafe {
                guard::uninstall(stack.bottom - guard::extra(), self.is_marked(HAS_REGION));
            },
            None => guard::release(),
        }
        // SAFETY: its body has returned, so nobody is inside (invariant 1), nor comes back (invariant 2).
        let generator = unsafe { (*self.generator.get()).take() };
        drop(generator);
        self.marks.set(0);
        self.scope.set(ptr::null_mut());
        self.parked_at.set(0);
        self.to_top.set(0);
    }

    /// Whether the body is to return, now that its last green thread has ended.
    #[inline]
    pub(crate) fn is_retiring(&self) -> bool {
        self.is_marked(RETIRES)
    }

    /// The body begins, on the carrier's own stack, with `scope` to park with.
    fn begin(&self, scope: *mut Scope<'static, 'static, (), ()>) {
        self.scope.set(scope);
        let mapped = self.stack_size() + guard::extra();
        let Some(stack) = StackRange::containing(scope.addr(), mapped) else {
            return;
        };
        self.to_top
            .set(u16::try_from(stack.top - scope.addr()).unwrap_or(0));
        // SAFETY: the stack runs for the first time, and is only used near its top so far; what the region takes
        // was mapped in addition to what may be used.
        if unsafe { guard::install(stack.bottom) } {
            self.mark(HAS_REGION);
        }
    }

    /// Where the usable stack lies; `None` if that could not be found out, and before the first run.
    fn stack(&self) -> Option<StackRange> {
        let to_top = usize::from(self.to_top.get());
        let top = self.scope.get().addr() + to_top;
        (to_top != 0).then(|| StackRange {
            bottom: top - self.stack_size(),
            top,
        })
    }

    /// Where an overflow faults: the bytes below the usable stack.
    fn guard(&self) -> Option<Range<usize>> {
        let bottom = self.stack()?.bottom;
        Some(if self.is_marked(HAS_REGION) {
            bottom - guard::size()..bottom
        } else {
            let end = bottom - guard::extra();
            end - config::page_size()..end
        })
    }

    /// Whether what ran on it stands for ever, so that it must not be resumed.
    #[inline]
    pub(crate) fn is_abandoned(&self) -> bool {
        self.is_marked(IS_ABANDONED)
    }

    /// Gives back what the stack has used in the past, below what is in use now. On its own stack.
    #[inline(never)]
    pub(crate) fn start_measuring(&self) {
        let here = 0_u8;
        let end = ptr::from_ref(&here).addr() - MARGIN;
        let end = end & !(config::page_size() - 1);
        if let Some(stack) = self.stack()
            && stack.bottom < end
        {
            // SAFETY: whole pages of this stack, a margin below the frames that are in use.
            unsafe { guard::give_back(stack.bottom, end) };
        }
    }

    /// How much of the stack has been used since [`Carrier::start_measuring`], in bytes; what was in use then counts
    /// with up to two pages more.
    pub(crate) fn measure(&self) -> usize {
        let Some(stack) = self.stack() else { return 0 };
        // SAFETY: the pages of this stack; those that are resident may be read by the OS thread that runs on it.
        let lowest = unsafe { guard::lowest_used(stack.bottom, stack.top) };
        stack.top - lowest
    }

    /// An address that orders idle carriers as their stacks lie in memory.
    pub(crate) fn position(&self) -> usize {
        self.scope.get().addr()
    }

    /// How far the stacks of neighbours are apart that were mapped one after the other.
    pub(crate) fn span(&self) -> usize {
        self.stack_size() + guard::extra() + config::page_size()
    }

    /// Something has run on it.
    #[inline]
    pub(crate) fn note_use(&self) {
        self.marks.set(self.marks.get() & !IS_TRIM);
    }

    /// Whether it has given back what an idle carrier need not keep.
    pub(crate) fn is_trim(&self) -> bool {
        self.is_marked(IS_TRIM)
    }

    /// Gives back what the stack of an idle carrier has used deeper than [`KEPT`] bytes.
    pub(crate) fn trim(&self) {
        self.mark(IS_TRIM);
        let Some(stack) = self.stack() else { return };
        let to = stack.top - KEPT.next_multiple_of(config::page_size());
        if stack.bottom < to && to < self.parked_at.get().saturating_sub(MARGIN) {
            // SAFETY: whole pages of this stack, all below the frames that wait on it: an idle carrier has parked
            // on its own stack, within a margin of where it noted.
            unsafe { guard::give_back(stack.bottom, to) };
        }
    }

    fn mark(&self, mark: u8) {
        self.marks.set(self.marks.get() | mark);
    }

    #[inline]
    fn is_marked(&self, mark: u8) -> bool {
        self.marks.get() & mark != 0
    }

    /// Switches to the carrier; returns when it parks.
    ///
    /// # Panics
    ///
    /// If a carrier is running on this OS thread already.
    #[inline(always)] // See `park`.
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
        let generator = unsafe { (*generator).as_mut() };
        generator.expect("a carrier that runs has a stack").resume();
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
        self.leave_nested();
    }

    /// Suspends this carrier from whatever stack is running on top of it.
    fn leave_nested(&self) {
        let generator = self.generator.get();
        // SAFETY: this code runs on top of the carrier, so `resume` is waiting inside the engine's switch and
        // touches nothing until the yield below (invariant 1).
        if let Some(generator) = unsafe { &mut *generator } {
            generator.set_local_data(PARKED.as_ptr().cast_mut());
        }
        co_yield_with(());
        // SAFETY: as above; the carrier runs again.
        if let Some(generator) = unsafe { &mut *generator } {
            generator.set_local_data(ptr::null_mut());
        }
    }

    /// How much of the stack is left below where it parked, in bytes; `None` if it parked on another stack, a
    /// generator's of the program, or nobody knows.
    pub(crate) fn room_when_parked(&self) -> Option<usize> {
        self.room_below(self.parked_at.get())
    }

    /// As [`Carrier::room_when_parked`], of this carrier, which is running.
    #[inline(never)]
    pub(crate) fn room(&self) -> Option<usize> {
        let here = 0_u8;
        self.room_below(ptr::from_ref(&here).addr())
    }

    fn room_below(&self, sp: usize) -> Option<usize> {
        let stack = self.stack()?;
        let is_here = (stack.bottom..stack.top).contains(&sp);
        is_here.then(|| sp - stack.bottom)
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

/// Makes a coroutine of the engine's with `stack_size` bytes of stack, which will run `body`.
fn make(stack_size: usize, body: fn()) -> io::Result<Generator<'static, (), ()>> {
    overflow::install_report();
    if !guard::reserve(stack_size) {
        return Err(io::ErrorKind::WouldBlock.into());
    }
    let words = (stack_size + guard::extra()) / size_of::<usize>();
    // The engine has no fallible constructor: it panics when the mapping is refused.
    let made = crate::panics::quietly(|| {
        catch_unwind(AssertUnwindSafe(|| {
            // This constructor prepares for both ways to park; the body that it asks for never runs.
            Gn::<()>::new_opt(words, || ())
        }))
    });
    let mut generator = made.map_err(|_| {
        guard::release();
        io::Error::from(io::ErrorKind::WouldBlock)
    })?;
    generator.scoped_init(move |mut scope| {
        // SAFETY: `resume` has set it (invariants 1 and 2).
        let carrier: &'static Carrier = unsafe { &*RUNNING.get() };
        let _abort = AbortInUse(carrier);
        carrier.begin((&raw mut scope).cast());
        body();
    });
    Ok(generator)
}

/// What an idle carrier keeps of its stack, in bytes.
const KEPT: usize = 32 * 1024;

/// What may lie below the address that a carrier notes when it parks, in bytes: the frames of the switch.
const MARGIN: usize = 4 * 1024;

/// How many lines to fetch from the parked frame on, and from the scope on: measured with the echo benchmark.
const PREFETCH_FRAMES: usize = 8;
const PREFETCH_TOP: usize = 8;

/// The size of the stack that is running on this OS thread, if `address` lies in the guard below it.
///
/// Async-signal-safe: reads a thread-local that needs no initialisation.
pub(super) fn overflowed_stack(address: usize) -> Option<usize> {
    let running = RUNNING.get();
    if running.is_null() {
        return None;
    }
    // SAFETY: non-null, so a live carrier (invariants 1 and 2).
    let carrier = unsafe { &*running };
    let guard = carrier.guard()?;
    guard.contains(&address).then(|| carrier.stack_size())
}

/// Whether the carrier that is running on this OS thread can be abandoned: it has a guard region, by which whoever is
/// about to take a lock has made room ([`make_room`]), runs no coroutine of `may`, and nobody counts on its end.
pub(super) fn can_abandon() -> bool {
    let running = RUNNING.get();
    if running.is_null() || !get_local_data().is_null() {
        return false;
    }
    // SAFETY: non-null, so a live carrier (invariants 1 and 2).
    let carrier = unsafe { &*running };
    carrier.is_marked(HAS_REGION) && !carrier.is_marked(MUST_END)
}

/// While it lives, what runs on the carrier that made it is not left standing after an overflow, because somebody counts
/// on its end: the process aborts instead. Made and dropped by the same green thread; elsewhere it means nothing.
pub(crate) struct NotAbandoned {
    /// The carrier, unless another one of these will unmark it.
    marked: Option<&'static Carrier>,
}

impl NotAbandoned {
    pub(crate) fn enter() -> Self {
        let running = RUNNING.get();
        // SAFETY: null, or a live carrier (invariants 1 and 2).
        let carrier = unsafe { running.as_ref() };
        let marked = carrier.filter(|carrier| !carrier.is_marked(MUST_END));
        if let Some(carrier) = marked {
            carrier.mark(MUST_END);
        }
        Self { marked }
    }
}

impl Drop for NotAbandoned {
    fn drop(&mut self) {
        if let Some(carrier) = self.marked {
            carrier.marks.set(carrier.marks.get() & !MUST_END);
        }
    }
}

/// Has an overflow come now, if the stack that is running has less room than a guard region.
#[cold]
#[inline(never)]
pub(super) fn make_room() {
    let running = RUNNING.get();
    if running.is_null() {
        return;
    }
    // SAFETY: non-null, so a live carrier (invariants 1 and 2).
    let carrier = unsafe { &*running };
    let here = 0_u8;
    let sp = ptr::from_ref(&here).addr();
    if let Some(stack) = carrier.stack()
        && carrier.is_marked(HAS_REGION)
        && (stack.bottom..stack.top).contains(&sp)
    {
        // SAFETY: of this stack, or in the guard region below it, where the read faults; that is the point.
        unsafe { guard::touch(sp - guard::size()) };
    }
}

/// Suspends the carrier that is running on this OS thread for ever, if it [can be](can_abandon).
///
/// For the signal handler, on a stack of its own.
pub(super) fn abandon_running() {
    let running = RUNNING.get();
    if !can_abandon() {
        return;
    }
    // SAFETY: non-null, so a live carrier (invariants 1 and 2).
    let carrier = unsafe { &*running };
    carrier.mark(IS_ABANDONED);
    carrier.leave_nested();
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

/// Aborts the process when the body of a carrier ends that is not to be retired (invariant 4).
struct AbortInUse(&'static Carrier);

impl Drop for AbortInUse {
    fn drop(&mut self) {
        if !self.0.is_retiring() {
            std::process::abort();
        }
    }
}

/// What the local data of a generator points at while it is parked; only its being non-null counts.
static PARKED: [u8; 1] = [0];
