//! A green thread's record: who it is, what it is to run, and what it leaves behind, in one allocation.
//!
//! ```text
//! ┌ Header ──────────────────────┬ payload: P ────────────┬ body: F ───────────────┐
//! │ counts, table, Control       │ the result, who waits  │ the closure, until run │
//! └──────────────────────────────┴────────────────────────┴────────────────────────┘
//!   ControlRef: any OS thread      Owner<P>: handles        Runner: the queues, then the carrier
//!                                  AnyOwner: handles whose P is not known
//! ```
//!
//! The control block may be reached and released by anybody (registry, killers, dumps), the payload only by
//! those who may have it: a result that is not `Send` must not be dropped on another OS thread because a
//! dump happened to look at its green thread last. Hence two counts, as in std's `Arc`: the owners keep the
//! payload, the control references (all owners together count as one) keep the memory with the control block.
//!
//! # Invariants
//!
//! 1. The memory is freed by whoever takes the references to 0; all owners together count as one reference.
//! 2. The payload is dropped, once, by whoever takes the owners to 0. Who has an `Owner`, an `AnyOwner`, a `Runner` or a
//!    `Running` is counted as an owner; the latter two also as a reference, a `Running` as one more for each that it has
//!    taken over.
//! 3. The body is moved out or dropped, once, by the one `Runner`. After that nobody touches it. A record that was made
//!    unstarted has no runner at first: whoever takes its control block out of that state, once, has the body, to make
//!    the runner or, as the last owner, to drop it.
//! 4. `Header` is the first field of [`Inner`], and `Inner` of [`Record`], both `repr(C)`: a pointer to a record is
//!    one to its header. It is made from the whole allocation, so it may be used for all of it.
//! 5. A `Runner` that may be handed to another OS thread was made by [`new`] or [`new_unstarted`] with a body and a
//!    payload that allow it, which the record's table remembers.
//! 6. An `AnyOwner` is made from an `Owner` that may be shared with, and sent to, any OS thread.
//!
//! # Memory ordering
//!
//! As in std's `Arc`: a decrement releases, and whoever takes a count to 0 acquires before it drops or frees, so
//! all uses come before. Both counts are in one word, so that a runner gives up both at once.

use std::alloc::Layout;
use std::cell::{Cell, UnsafeCell};
use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering, fence};

use super::control::{Control, State};
use super::memory;
use super::registry::Registry;
use crate::error::Failure;
use crate::time::deadline::Deadline;

/// What a green thread runs: a closure that is given its own record. It returns the registry's reference to that, if it has
/// taken the record off its list, so that the runner gives up all that it has at once.
pub(crate) trait Body<P>: FnOnce(&Owner<P>) -> Option<ControlRef> + 'static {}

impl<P, F: FnOnce(&Owner<P>) -> Option<ControlRef> + 'static> Body<P> for F {}

/// What a green thread leaves behind.
pub(crate) trait Payload: 'static {
    /// The green thread whose record this is does not come to an end by itself: `failure` says why.
    fn failed(record: &Owner<Self>, failure: Failure)
    where
        Self: Sized;

    /// Asks the green thread whose record this is to die.
    fn kill(record: &Owner<Self>)
    where
        Self: Sized;

    /// Waits until it has ended; false if the deadline passed first.
    fn join(&self, deadline: Deadline) -> bool;

    /// Whether it has ended.
    fn has_ended(&self) -> bool;

    /// Its failure, if it ended with one.
    fn failure(&self) -> Option<Failure>;
}

/// The start of every record.
#[repr(C)]
struct Header {
    /// How many keep the memory, in units of [`REFERENCE`], and the payload, in units of [`OWNER`].
    counts: AtomicU64,
    /// What depends on the types of payload and body.
    table: &'static Table,
    /// Who it is.
    control: Control,
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
    /// Runs the body; returns what it returns.
    run: unsafe fn(NonNull<Header>) -> Option<ControlRef>,
    /// Drops the body.
    drop_body: unsafe fn(NonNull<Header>),
    /// Tells the payload that there is no end to come.
    failed: unsafe fn(NonNull<Header>, Failure),
    /// Asks the green thread to die.
    kill: unsafe fn(NonNull<Header>),
    /// Where the payload is.
    payload: unsafe fn(NonNull<Header>) -> NonNull<dyn Payload>,
    /// Drops the payload.
    drop_payload: unsafe fn(NonNull<Header>),
    /// Of the whole record.
    layout: Layout,
    /// Whether the runner may go to another OS thread (invariant 5).
    sendable: bool,
}

impl<P: Payload, F: Body<P>> Record<P, F> {
    /// Of records whose runner stays.
    const LOCAL: Table = Table {
        run: Self::run,
        drop_body: Self::drop_body,
        failed: Self::failed,
        kill: Self::kill,
        payload: Self::payload,
        drop_payload: Self::drop_payload,
        layout: Layout::new::<Self>(),
        sendable: false,
    };

    /// Of records whose runner may go.
    const SENDABLE: Table = Table {
        sendable: true,
        ..Self::LOCAL
    };

    /// # Safety
    ///
    /// `header` is that of a record of this type whose body is there and is the caller's (invariant 3), and the
    /// caller is counted as an owner.
    unsafe fn run(header: NonNull<Header>) -> Option<ControlRef> {
        // SAFETY: a record of this type, by the caller; alive, because the caller is counted.
        let record = unsafe { header.cast::<Self>().as_ref() };
        // SAFETY: the body is the caller's (invariant 3): nobody else reaches into the cell.
        let body = unsafe { &mut *record.body.get() };
        // SAFETY: it is there; it is taken here, and never touched again.
        let body = unsafe { ManuallyDrop::take(body) };
        // SAFETY: by the caller, and the caller stays counted until the body is done.
        let owner = unsafe { Self::borrow(header) };
        body(&owner)
    }

    /// The owner as which the caller is counted.
    ///
    /// # Safety
    ///
    /// `header` is that of a record of this type, and the caller is counted as an owner for as long as it uses this.
    unsafe fn borrow(header: NonNull<Header>) -> ManuallyDrop<Owner<P>> {
        ManuallyDrop::new(Owner {
            inner: header.cast(),
            owns: PhantomData,
        })
    }

    /// # Safety
    ///
    /// `header` is that of a record of this type whose body is there and is the caller's (invariant 3), and the
    /// caller is counted as a reference.
    unsafe fn drop_body(header: NonNull<Header>) {
        // SAFETY: as in `run`.
        let record = unsafe { header.cast::<Self>().as_ref() };
        // SAFETY: as in `run`.
        let body = unsafe { &mut *record.body.get() };
        // SAFETY: as in `run`.
        unsafe { ManuallyDrop::drop(body) };
    }

    /// # Safety
    ///
    /// `header` is that of a record of this type, and the caller is counted as an owner.
    unsafe fn failed(header: NonNull<Header>, failure: Failure) {
        // SAFETY: by the caller.
        let owner = unsafe { Self::borrow(header) };
        P::failed(&owner, failure);
    }

    /// # Safety
    ///
    /// As [`Record::failed`].
    unsafe fn kill(header: NonNull<Header>) {
        // SAFETY: by the caller.
        let owner = unsafe { Self::borrow(header) };
        P::kill(&owner);
    }

    /// # Safety
    ///
    /// As [`Record::failed`]; the payload may be used for as long as the caller is counted.
    unsafe fn payload(header: NonNull<Header>) -> NonNull<dyn Payload> {
        // SAFETY: a record of this type, by the caller; alive, because the caller is counted.
        let inner = unsafe { header.cast::<Inner<P>>().as_ref() };
        NonNull::from_ref(&*inner.payload)
    }

    /// # Safety
    ///
    /// `header` is that of a record of this type; the caller has taken the owners to 0 and is counted as a
    /// reference.
    unsafe fn drop_payload(header: NonNull<Header>) {
        let inner = header.cast::<Inner<P>>().as_ptr();
        // SAFETY: the memory is there, and nobody else reaches the payload any more (invariant 2).
        let payload = unsafe { &mut (*inner).payload };
        // SAFETY: it is dropped here, and never touched again.
        unsafe { ManuallyDrop::drop(payload) };
    }
}

/// Makes a record whose runner stays on this OS thread; `registered` is for the registry.
pub(crate) fn new_local<P: Payload, F: Body<P>>(
    control: Control,
    payload: P,
    body: F,
) -> (Owner<P>, Runner, ControlRef) {
    let table = &Record::<P, F>::LOCAL;
    with_runner(allocate(control, payload, body, table, WITH_RUNNER))
}

/// Makes a record whose runner may go to another OS thread.
pub(crate) fn new<P: Payload + Send + Sync, F: Body<P> + Send>(
    control: Control,
    payload: P,
    body: F,
) -> (Owner<P>, Runner, ControlRef) {
    let table = &Record::<P, F>::SENDABLE;
    with_runner(allocate(control, payload, body, table, WITH_RUNNER))
}

/// Makes a record whose runner [`Owner::start`] makes.
pub(crate) fn new_unstarted<P: Payload + Send + Sync, F: Body<P> + Send>(
    control: Control,
    payload: P,
    body: F,
) -> (Owner<P>, ControlRef) {
    control.set_unstarted();
    let table = &Record::<P, F>::SENDABLE;
    let (owner, header) = allocate(control, payload, body, table, OWNER + 2 * REFERENCE);
    (owner, ControlRef(header))
}

/// The counts of a new record: the handle and the runner; these together, the runner, and the registry.
const WITH_RUNNER: u64 = 2 * OWNER + 3 * REFERENCE;

#[inline]
fn with_runner<P>((owner, header): (Owner<P>, NonNull<Header>)) -> (Owner<P>, Runner, ControlRef) {
    (owner, Runner(header), ControlRef(header))
}

fn allocate<P: Payload, F: Body<P>>(
    control: Control,
    payload: P,
    body: F,
    table: &'static Table,
    counts: u64,
) -> (Owner<P>, NonNull<Header>) {
    let kept = super::local().map(|local| &local.memory);
    let memory = memory::allocate(kept, Layout::new::<Record<P, F>>());
    let record = memory.cast::<Record<P, F>>();
    let value = Record {
        inner: Inner {
            header: Header {
                counts: AtomicU64::new(counts),
                table,
                control,
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
    (owner, header)
}

/// One that keeps the memory.
const REFERENCE: u64 = 1;
/// One that keeps the payload.
const OWNER: u64 = 1 << 32;

/// Gives up what the caller is counted for: an owner, a reference, or one of each.
///
/// # Safety
///
/// The caller is counted so, and is not any more after this.
#[inline]
unsafe fn release(header: NonNull<Header>, counted: u64) {
    // SAFETY: the caller is counted, so the memory is there.
    let counts = unsafe { &header.as_ref().counts };
    if counted >= OWNER && counts.load(Ordering::Acquire) == counted + REFERENCE {
        // Nobody else is counted, nor ever will be: who is counted was made from another one. No exchange is needed.
        counts.store(REFERENCE, Ordering::Relaxed);
        // SAFETY: that was the last owner.
        return unsafe { drop_payload(header) };
    }
    let left = counts.fetch_sub(counted, Ordering::Release) - counted;
    if left < OWNER && counted >= OWNER {
        // SAFETY: that was the last owner.
        unsafe { drop_payload(header) };
    } else if left == 0 {
        // SAFETY: that was the last reference.
        unsafe { free(header) };
    }
}

/// After the last owner: drops the payload, and the body if nobody has started it, and gives up the reference that all owners together are.
///
/// # Safety
///
/// The caller took the owners to 0.
#[inline]
unsafe fn drop_payload(header: NonNull<Header>) {
    /// Gives the reference up also if the payload's destructor panics.
    struct Owners(NonNull<Header>);

    impl Drop for Owners {
        #[inline]
        fn drop(&mut self) {
            // SAFETY: the owners' reference is counted until the end of this function.
            let counts = unsafe { &self.0.as_ref().counts };
            // A reference that is alone stays alone: it is made from an owner or from another one.
            if counts.load(Ordering::Acquire) == REFERENCE
                || counts.fetch_sub(REFERENCE, Ordering::Release) == REFERENCE
            {
                // SAFETY: that was the last reference.
                unsafe { free(self.0) };
            }
        }
    }

    fence(Ordering::Acquire);
    let _owners = Owners(header);
    // SAFETY: the owners' reference keeps the memory.
    let Header { table, control, .. } = unsafe { header.as_ref() };
    if control.leave_unstarted() {
        drop(Registry::remove(control));
        // SAFETY: the table belongs to the record; the body is there, and the caller's (invariant 3).
        unsafe { (table.drop_body)(header) };
    }
    // SAFETY: the table belongs to the record; nobody else has the payload (invariant 2).
    unsafe { (table.drop_payload)(header) };
}

/// Frees a record whose payload and body are gone.
///
/// # Safety
///
/// Nobody is counted any more.
#[inline]
unsafe fn free(header: NonNull<Header>) {
    fence(Ordering::Acquire);
    // SAFETY: the memory is there until it is given back below.
    let layout = unsafe { header.as_ref().table.layout };
    // SAFETY: nobody else reaches it (invariant 1); payload and body are gone (invariants 2 and 3).
    unsafe { header.drop_in_place() };
    let kept = super::local().map(|local| &local.memory);
    // SAFETY: allocated with this layout, and not used any more.
    unsafe { memory::release(kept, header.cast(), layout) };
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

    /// A reference to the control block alone.
    pub(crate) fn control_ref(&self) -> ControlRef {
        count(&self.record().header.counts, REFERENCE);
        ControlRef(self.inner.cast())
    }

    /// The runner of a record that was made unstarted, once.
    pub(crate) fn start(&self) -> Option<SendRunner> {
        if !self.control().leave_unstarted() {
            return None;
        }
        // The body is ours (invariant 3), and may travel (invariant 5).
        count(&self.record().header.counts, OWNER + REFERENCE);
        Some(SendRunner(Runner(self.inner.cast())))
    }

    #[inline]
    fn record(&self) -> &Inner<P> {
        // SAFETY: counted as an owner: memory and payload are there.
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
        count(&self.record().header.counts, OWNER);
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
        unsafe { release(self.inner.cast(), OWNER) };
    }
}

impl<P: Send + Sync> Owner<P> {
    /// One more owner, which forgets the payload's type.
    pub(crate) fn erase(&self) -> AnyOwner {
        AnyOwner(ManuallyDrop::new(self.clone()).inner.cast())
    }
}

/// An [`Owner`] of a payload whose type is not known.
pub(crate) struct AnyOwner(NonNull<Header>);

// SAFETY: made from an `Owner` that is (invariant 6).
unsafe impl Send for AnyOwner {}
// SAFETY: as above.
unsafe impl Sync for AnyOwner {}

impl AnyOwner {
    /// Who it is.
    #[inline]
    pub(crate) fn control(&self) -> &Control {
        // SAFETY: counted, so the memory is there.
        unsafe { &self.0.as_ref().control }
    }

    /// What the green thread leaves behind.
    pub(crate) fn payload(&self) -> &dyn Payload {
        // SAFETY: the table belongs to the record; this one is counted as an owner.
        let payload = unsafe { (self.table().payload)(self.0) };
        // SAFETY: the payload is there for as long as this one is counted, so for as long as it is borrowed.
        unsafe { payload.as_ref() }
    }

    /// Asks the green thread to die.
    pub(crate) fn kill(&self) {
        // SAFETY: the table belongs to the record; this one is counted as an owner.
        unsafe { (self.table().kill)(self.0) };
    }

    fn table(&self) -> &'static Table {
        // SAFETY: counted, so the memory is there.
        unsafe { self.0.as_ref().table }
    }
}

impl Clone for AnyOwner {
    fn clone(&self) -> Self {
        // SAFETY: counted, so the memory is there.
        count(unsafe { &self.0.as_ref().counts }, OWNER);
        Self(self.0)
    }
}

impl Drop for AnyOwner {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: this one is counted, and goes.
        unsafe { release(self.0, OWNER) };
    }
}

impl fmt::Debug for AnyOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AnyOwner").field(self.control()).finish()
    }
}

/// The right to run the body, once. Keeps the payload.
///
/// Dropped instead, it drops the body where it is: by the types, an OS thread that may.
pub(crate) struct Runner(NonNull<Header>);

impl Runner {
    /// Who it is.
    #[inline]
    pub(crate) fn control(&self) -> &Control {
        // SAFETY: counted, so the memory is there.
        unsafe { &self.0.as_ref().control }
    }

    /// On the OS thread where it is to run.
    #[inline]
    pub(crate) fn begin(self) -> Running {
        let header = ManuallyDrop::new(self).0;
        Running::new(header)
    }

    /// Makes it ready to go to another OS thread, if it may.
    pub(crate) fn into_sendable(self) -> Result<SendRunner, Self> {
        // SAFETY: counted, so the memory is there.
        if unsafe { self.0.as_ref().table.sendable } {
            Ok(SendRunner(self))
        } else {
            Err(self)
        }
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        drop(Running::new(self.0));
    }
}

impl fmt::Debug for Runner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Runner").field(self.control()).finish()
    }
}

/// A runner on the OS thread where it runs: the record of the green thread that runs here.
pub(crate) struct Running {
    header: NonNull<Header>,
    /// Whether the body is there still.
    has_body: Cell<bool>,
    /// As how many references it is counted, in units of [`REFERENCE`]: its own, and those it has taken over.
    references: Cell<u64>,
}

impl Running {
    #[inline]
    fn new(header: NonNull<Header>) -> Self {
        Self {
            header,
            has_body: Cell::new(true),
            references: Cell::new(REFERENCE),
        }
    }

    /// Who it is.
    #[inline]
    pub(crate) fn control(&self) -> &Control {
        // SAFETY: counted, so the memory is there.
        unsafe { &self.header.as_ref().control }
    }

    /// A reference to the control block alone.
    pub(crate) fn control_ref(&self) -> ControlRef {
        // SAFETY: counted, so the memory is there.
        count(unsafe { &self.header.as_ref().counts }, REFERENCE);
        ControlRef(self.header)
    }

    /// Runs the body, the first time.
    #[inline]
    pub(crate) fn run(&self) {
        if self.has_body.replace(false) {
            // SAFETY: the table belongs to the record; the body is there, and the runner's, which is counted.
            let listed = unsafe { (self.table().run)(self.header) };
            if let Some(listed) = listed {
                self.take_over(listed);
            }
        }
    }

    /// Gives `other` up together with itself, in one step.
    #[inline]
    fn take_over(&self, other: ControlRef) {
        if other.0 == self.header {
            let _counted = ManuallyDrop::new(other);
            self.references.set(self.references.get() + REFERENCE);
        }
    }

    /// It does not come to an end by itself: whoever waits for its end is told.
    #[cold]
    pub(crate) fn fail(&self, failure: Failure) {
        // SAFETY: the table belongs to the record; a runner is counted as an owner.
        unsafe { (self.table().failed)(self.header, failure) };
    }

    #[inline]
    fn table(&self) -> &'static Table {
        // SAFETY: counted, so the memory is there.
        unsafe { self.header.as_ref().table }
    }

    /// It was killed before it ran: drops the body, and publishes the end if nobody else does.
    #[cold]
    pub(crate) fn end_unrun(&self) {
        if self.control().state() == State::KilledAside {
            self.fail(Failure::Killed);
        }
        self.drop_body();
    }

    /// Drops the body, if it was not run.
    #[cold]
    pub(crate) fn drop_body(&self) {
        if self.has_body.replace(false) {
            // SAFETY: as in `run`.
            unsafe { (self.table().drop_body)(self.header) };
        }
    }
}

impl Drop for Running {
    #[inline]
    fn drop(&mut self) {
        /// Given up also if the body's destructor panics.
        struct Counted(NonNull<Header>, u64);

        impl Drop for Counted {
            #[inline]
            fn drop(&mut self) {
                // SAFETY: a runner is counted as an owner, and as so many references.
                unsafe { release(self.0, OWNER + self.1) };
            }
        }

        let _counted = Counted(self.header, self.references.get());
        if self.has_body.get() {
            self.drop_body();
        }
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Running").field(self.control()).finish()
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

#[cfg(test)]
impl ControlRef {
    /// How many references there are, all owners together being one.
    pub(super) fn references(&self) -> u64 {
        // SAFETY: counted as a reference, so the memory is there.
        let counts = unsafe { &self.0.as_ref().counts };
        counts.load(Ordering::Relaxed) % OWNER
    }
}

impl Deref for ControlRef {
    type Target = Control;

    #[inline]
    fn deref(&self) -> &Control {
        // SAFETY: counted as a reference, so the memory is there, and the control block with it.
        unsafe { &self.0.as_ref().control }
    }
}

impl Clone for ControlRef {
    fn clone(&self) -> Self {
        // SAFETY: counted as a reference, so the memory is there.
        count(unsafe { &self.0.as_ref().counts }, REFERENCE);
        Self(self.0)
    }
}

impl Drop for ControlRef {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: this one is counted, and goes.
        unsafe { release(self.0, REFERENCE) };
    }
}

impl fmt::Debug for ControlRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// Counts one more owner or reference.
#[inline]
fn count(counts: &AtomicU64, one: u64) {
    let before = counts.fetch_add(one, Ordering::Relaxed);
    // Handles that are leaked by the billion must not wrap a count.
    if (before | before << 32) >> 63 != 0 {
        std::process::abort();
    }
}
