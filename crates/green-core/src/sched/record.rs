//! A green thread's record: who it is, what it is to run, and what it leaves behind, in one allocation.
//!
//! ```text
//! ┌ Header ──────────────────────┬ payload: P ────────────┬ body: F ───────────────┐
//! │ counts, table, Control       │ the result, who waits  │ the closure, until run │
//! └──────────────────────────────┴────────────────────────┴────────────────────────┘
//!   ControlRef: any OS thread      Owner<P>: handles        Runner: the queues, then the carrier
//! ```
//!
//! The control block may be reached and released by anybody (registry, killers, dumps), the payload only by
//! those who may have it: a result that is not `Send` must not be dropped on another OS thread because a
//! dump happened to look at its green thread last. Hence two counts, as in std's `Arc`: the owners keep the
//! payload, the control references (all owners together count as one) keep the memory with the control block.
//!
//! # Invariants
//!
//! 1. The memory is freed when `references` goes to 0; `owners` greater than 0 counts as one reference.
//! 2. The payload is dropped, once, by whoever takes `owners` to 0. Who has an `Owner` or a `Runner` is counted
//!    in `owners`.
//! 3. The body is moved out or dropped, once, by the one `Runner`. After that nobody touches it.
//! 4. `Header` is the first field of [`Inner`], and `Inner` of [`Record`], both `repr(C)`: a pointer to a record is
//!    one to its header. It is made from the whole allocation, so it may be used for all of it.
//! 5. A `Runner` that may be handed to another OS thread was made by [`new`] with a body and a payload that allow
//!    it, which the header's `sendable` remembers.
//!
//! # Memory ordering
//!
//! As in std's `Arc`: a decrement releases, and whoever takes a count to 0 acquires before it drops or frees, so
//! all uses come before.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::cell::UnsafeCell;
use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering, fence};

use super::control::Control;

/// What a green thread runs: a closure that is given its own records.
pub(crate) trait Body<P>: FnOnce(&Control, &P) + 'static {}

impl<P, F: FnOnce(&Control, &P) + 'static> Body<P> for F {}

/// The start of every record.
#[repr(C)]
struct Header {
    /// Those who keep the payload.
    owners: AtomicUsize,
    /// Those who keep the memory.
    references: AtomicUsize,
    /// What depends on the types of payload and body.
    table: &'static Table,
    /// Who it is.
    control: Control,
    /// Whether the runner may go to another OS thread (invariant 5).
    sendable: bool,
}

/// A record without its body.
#[repr(C)]
struct Inner<P> {
    header: Header,
    payload: ManuallyDrop<P>,
}

/// See the module documentation.
#[repr(C)]
struct Record<P, F> {
    inner: Inner<P>,
    body: UnsafeCell<ManuallyDrop<F>>,
}

/// The operations that know the types.
struct Table {
    /// Runs the body.
    run: unsafe fn(NonNull<Header>),
    /// Drops the body.
    drop_body: unsafe fn(NonNull<Header>),
    /// Drops the payload.
    drop_payload: unsafe fn(NonNull<Header>),
    /// Of the whole record.
    layout: Layout,
}

impl<P: 'static, F: Body<P>> Record<P, F> {
    const TABLE: Table = Table {
        run: Self::run,
        drop_body: Self::drop_body,
        drop_payload: Self::drop_payload,
        layout: Layout::new::<Self>(),
    };

    /// # Safety
    ///
    /// `header` is that of a record of this type whose body is there and is the caller's (invariant 3), and the
    /// caller is counted in `owners`.
    unsafe fn run(header: NonNull<Header>) {
        // SAFETY: a record of this type, by the caller; alive, because the caller is counted.
        let record = unsafe { header.cast::<Self>().as_ref() };
        // SAFETY: the body is there and the caller's; it is taken here, and never touched again.
        let body = unsafe { ManuallyDrop::take(&mut *record.body.get()) };
        body(&record.inner.header.control, &record.inner.payload);
    }

    /// # Safety
    ///
    /// As `run`.
    unsafe fn drop_body(header: NonNull<Header>) {
        // SAFETY: as in `run`.
        let record = unsafe { header.cast::<Self>().as_ref() };
        // SAFETY: as in `run`.
        unsafe { ManuallyDrop::drop(&mut *record.body.get()) };
    }

    /// # Safety
    ///
    /// `header` is that of a record of this type; the caller has taken `owners` to 0 and is counted in
    /// `references`.
    unsafe fn drop_payload(header: NonNull<Header>) {
        let inner = header.cast::<Inner<P>>().as_ptr();
        // SAFETY: the memory is there, and nobody else reaches the payload any more (invariant 2).
        unsafe { ManuallyDrop::drop(&mut (*inner).payload) };
    }
}

/// Makes a record whose runner stays on this OS thread; `registered` is for the registry.
pub(crate) fn new_local<P: 'static, F: Body<P>>(
    control: Control,
    payload: P,
    body: F,
) -> (Owner<P>, Runner, ControlRef) {
    allocate(control, payload, body, false)
}

/// Makes a record whose runner may go to another OS thread.
pub(crate) fn new<P: Send + Sync + 'static, F: Body<P> + Send>(
    control: Control,
    payload: P,
    body: F,
) -> (Owner<P>, Runner, ControlRef) {
    allocate(control, payload, body, true)
}

fn allocate<P: 'static, F: Body<P>>(
    control: Control,
    payload: P,
    body: F,
    sendable: bool,
) -> (Owner<P>, Runner, ControlRef) {
    let layout = Layout::new::<Record<P, F>>();
    // SAFETY: the layout is not empty: there is a header.
    let memory = unsafe { alloc(layout) };
    let Some(record) = NonNull::new(memory.cast::<Record<P, F>>()) else {
        handle_alloc_error(layout)
    };
    let value = Record {
        inner: Inner {
            header: Header {
                // The handle and the runner.
                owners: AtomicUsize::new(2),
                // Those together, the runner's own, and the registry's.
                references: AtomicUsize::new(3),
                table: &Record::<P, F>::TABLE,
                control,
                sendable,
            },
            payload: ManuallyDrop::new(payload),
        },
        body: UnsafeCell::new(ManuallyDrop::new(body)),
    };
    // SAFETY: fresh memory of the right layout.
    unsafe { record.write(value) };
    let header = record.cast();
    let owner = Owner {
        inner: record.cast(),
        owns: PhantomData,
    };
    (owner, Runner(header), ControlRef(header))
}

/// Takes one owner away.
///
/// # Safety
///
/// The caller is counted in `owners`, and is not any more after this.
#[inline]
unsafe fn release_owner(header: NonNull<Header>) {
    // SAFETY: the caller is counted, so the memory is there.
    let this = unsafe { header.as_ref() };
    if this.owners.fetch_sub(1, Ordering::Release) == 1 {
        fence(Ordering::Acquire);
        // The reference of all owners together: given back also if the payload's destructor panics.
        let _reference = ControlRef(header);
        // SAFETY: the table belongs to the record; the caller took `owners` to 0, and `_reference` is counted.
        unsafe { (this.table.drop_payload)(header) };
    }
}

/// Keeps the payload. As `Arc<P>`.
pub(crate) struct Owner<P> {
    /// Counted in `owners`.
    inner: NonNull<Inner<P>>,
    /// It may drop the payload.
    owns: PhantomData<Inner<P>>,
}

// SAFETY: as for `Arc`: it shares the payload, and may drop it on the OS thread it is on. The control block is
// `Send` and `Sync`, and the body is the runner's.
unsafe impl<P: Send + Sync> Send for Owner<P> {}
// SAFETY: as above.
unsafe impl<P: Send + Sync> Sync for Owner<P> {}

impl<P> Owner<P> {
    /// Who it is.
    #[inline]
    pub(crate) fn control(&self) -> &Control {
        &self.record().header.control
    }

    #[inline]
    fn record(&self) -> &Inner<P> {
        // SAFETY: counted in `owners`: memory and payload are there.
        unsafe { self.inner.as_ref() }
    }
}

impl<P> Deref for Owner<P> {
    type Target = P;

    #[inline]
    fn deref(&self) -> &P {
        &self.record().payload
    }
}

impl<P> Clone for Owner<P> {
    #[inline]
    fn clone(&self) -> Self {
        let before = self.record().header.owners.fetch_add(1, Ordering::Relaxed);
        abort_on_overflow(before);
        Self {
            inner: self.inner,
            owns: PhantomData,
        }
    }
}

impl<P> Drop for Owner<P> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: this one is counted, and goes.
        unsafe { release_owner(self.inner.cast()) };
    }
}

/// The right to run the body, once. Keeps the payload.
///
/// Dropped instead, it drops the body where it is: by the types, an OS thread that may.
pub(crate) struct Runner(NonNull<Header>);

impl Runner {
    /// Who it is.
    pub(crate) fn control(&self) -> &Control {
        // SAFETY: counted in `owners`, so the memory is there.
        unsafe { &self.0.as_ref().control }
    }

    /// Takes the right and a reference to the control block apart.
    #[inline]
    pub(crate) fn split(self) -> (ControlRef, Running) {
        let header = ManuallyDrop::new(self).0;
        (ControlRef(header), Running(header))
    }

    /// Makes it ready to go to another OS thread, if it may.
    pub(crate) fn into_sendable(self) -> Result<SendRunner, Self> {
        // SAFETY: counted in `owners`, so the memory is there.
        if unsafe { self.0.as_ref().sendable } {
            Ok(SendRunner(self))
        } else {
            Err(self)
        }
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        let header = self.0;
        // Given back also if the body's destructor panics.
        let (_control, _owner) = (ControlRef(header), Release(header));
        // SAFETY: the body is there, and the runner's; `_owner` is counted.
        unsafe { (header.as_ref().table.drop_body)(header) };
    }
}

impl fmt::Debug for Runner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Runner").field(self.control()).finish()
    }
}

/// A runner whose control reference has been taken from it.
pub(crate) struct Running(NonNull<Header>);

impl Running {
    /// Runs the body.
    #[inline]
    pub(crate) fn run(self) {
        let header = ManuallyDrop::new(self).0;
        // Given back also if the body panics.
        let _owner = Release(header);
        // SAFETY: the body is there, and the runner's; `_owner` is counted.
        unsafe { (header.as_ref().table.run)(header) };
    }
}

impl Drop for Running {
    /// Not run: the body is dropped here.
    fn drop(&mut self) {
        let header = self.0;
        let _owner = Release(header);
        // SAFETY: as in `run`.
        unsafe { (header.as_ref().table.drop_body)(header) };
    }
}

/// One that is counted in `owners`, to be given back.
struct Release(NonNull<Header>);

impl Drop for Release {
    fn drop(&mut self) {
        // SAFETY: it is counted, and goes.
        unsafe { release_owner(self.0) };
    }
}

/// A runner that may go to another OS thread.
#[derive(Debug)]
pub(crate) struct SendRunner(Runner);

// SAFETY: made from a sendable runner only, whose body and payload may go (invariant 5).
unsafe impl Send for SendRunner {}

impl SendRunner {
    /// Who it is.
    pub(crate) fn control(&self) -> &Control {
        self.0.control()
    }

    /// On the OS thread where it is to run.
    pub(crate) fn into_runner(self) -> Runner {
        self.0
    }
}

/// Keeps the control block, and nothing else of the record.
pub(crate) struct ControlRef(NonNull<Header>);

// SAFETY: it reaches the control block only, which is `Send` and `Sync`; whoever frees the memory drops the
// control block, and nothing whose type is not known.
unsafe impl Send for ControlRef {}
// SAFETY: as above.
unsafe impl Sync for ControlRef {}

impl Deref for ControlRef {
    type Target = Control;

    #[inline]
    fn deref(&self) -> &Control {
        // SAFETY: counted in `references`, so the memory is there, and the control block with it.
        unsafe { &self.0.as_ref().control }
    }
}

impl Clone for ControlRef {
    fn clone(&self) -> Self {
        // SAFETY: counted in `references`, so the memory is there.
        let this = unsafe { self.0.as_ref() };
        abort_on_overflow(this.references.fetch_add(1, Ordering::Relaxed));
        Self(self.0)
    }
}

impl Drop for ControlRef {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: counted in `references`, so the memory is there.
        let this = unsafe { self.0.as_ref() };
        if this.references.fetch_sub(1, Ordering::Release) == 1 {
            fence(Ordering::Acquire);
            let layout = this.table.layout;
            // SAFETY: nobody else is left (invariant 1); payload and body are gone (invariants 2 and 3).
            unsafe { self.0.drop_in_place() };
            // SAFETY: allocated with this layout, and not used any more.
            unsafe { dealloc(self.0.as_ptr().cast(), layout) };
        }
    }
}

impl fmt::Debug for ControlRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// A count that was forgotten two billion times must not wrap.
#[inline]
fn abort_on_overflow(before: usize) {
    if before > isize::MAX as usize {
        std::process::abort();
    }
}
