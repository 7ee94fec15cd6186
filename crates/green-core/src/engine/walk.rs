//! The frames of the stack that runs, as addresses: no names, no allocation, no lock of ours.
//!
//! The walk is that of the unwinder that panics use, which follows the tables of the loaded objects. It ends at a frame
//! without any, as those of the engine's switch are: so it sees one stack, and never more than that.
//!
//! # In a signal handler
//!
//! [`Frames::walk_interrupted`] is async-signal-safe where the unwinder is: it reads the stack and tables that are never
//! written to. libgcc finds the tables by `_dl_find_object`, which takes no lock (glibc 2.35, GCC 12); older ones by
//! `dl_iterate_phdr`, whose lock is recursive, and held by others for as long as they load a library. What it sets up at
//! its first use must be there before: [`prepare`].

use std::ffi::{c_int, c_void};
use std::hash::{DefaultHasher, Hasher};

/// How many frames are kept, from the innermost on.
const MOST: usize = 128;

/// What a walk needs of the stack that it walks, in bytes: twice what the first one was seen to take; later ones take half
/// of that.
pub(crate) const ROOM: usize = 6 * 1024;

/// The frames that a walk found, the innermost first.
#[derive(Clone, Copy)]
pub(crate) struct Frames {
    /// Invariant: the first `len` are an address each, inside the instruction that the frame is at.
    addresses: [usize; MOST],
    len: usize,
}

impl Frames {
    pub(crate) const fn new() -> Self {
        Self {
            addresses: [0; MOST],
            len: 0,
        }
    }

    /// Of the caller, and of who called it. Needs [`ROOM`].
    #[inline(never)]
    pub(crate) fn walk(&mut self) {
        self.len = 0;
        each_frame(&mut |frame| self.push(frame));
    }

    /// Of what a signal has interrupted whose handler the caller is; none where the tables do not lead there.
    pub(super) fn walk_interrupted(&mut self) {
        self.len = 0;
        let mut is_there = false;
        each_frame(&mut |frame| {
            is_there |= frame.is_exact;
            !is_there || self.push(frame)
        });
    }

    /// Whether there is room for more.
    fn push(&mut self, frame: Frame) -> bool {
        if let Some(place) = self.addresses.get_mut(self.len) {
            *place = frame.inside();
            self.len += 1;
        }
        self.len < MOST
    }

    pub(crate) fn addresses(&self) -> &[usize] {
        &self.addresses[..self.len]
    }
}

/// A number for the chain of return addresses up to the end of the stack that runs.
#[inline(never)]
pub(crate) fn call_site() -> u64 {
    let mut hasher = DefaultHasher::new();
    each_frame(&mut |frame| {
        hasher.write_usize(frame.address);
        true
    });
    hasher.finish()
}

/// Has the unwinder set up what it needs, so that a signal handler finds it there.
pub(super) fn prepare() {
    each_frame(&mut |_| true);
}

/// One frame of a walk.
#[derive(Clone, Copy)]
struct Frame {
    /// Where it goes on.
    address: usize,
    /// Whether it was interrupted there; else the instruction before is a call.
    is_exact: bool,
}

impl Frame {
    /// An address inside the instruction that it is at.
    fn inside(self) -> usize {
        if self.is_exact {
            self.address
        } else {
            self.address.wrapping_sub(1)
        }
    }
}

/// Calls `f` with each frame, the innermost first, for as long as it returns true.
fn each_frame(f: &mut dyn FnMut(Frame) -> bool) {
    let mut f = f;
    // SAFETY: the callback has the type that the unwinder asks for, and gets the address of `f` back, which is valid
    // for the call; the unwinder only reads the stack.
    unsafe { _Unwind_Backtrace(on_frame, (&raw mut f).cast()) };
}

/// Hands one frame on; 0 is the unwinder's word for "go on", and any other ends it.
extern "C" fn on_frame(frame: *mut c_void, f: *mut c_void) -> c_int {
    let mut is_exact = 0;
    // SAFETY: the frame is the unwinder's own, for the time of this call.
    let address = unsafe { _Unwind_GetIPInfo(frame, &raw mut is_exact) };
    // SAFETY: the address of the reference in `each_frame`, which nobody else uses meanwhile.
    let f = unsafe { &mut *f.cast::<&mut dyn FnMut(Frame) -> bool>() };
    let frame = Frame {
        address,
        is_exact: is_exact != 0,
    };
    c_int::from(!f(frame)) * END_OF_STACK
}

/// `_URC_END_OF_STACK`.
const END_OF_STACK: c_int = 5;

// The unwinder that panics use: std links it into every program, but does not offer it.
unsafe extern "C" {
    fn _Unwind_Backtrace(
        callback: extern "C" fn(*mut c_void, *mut c_void) -> c_int,
        argument: *mut c_void,
    ) -> c_int;
    fn _Unwind_GetIPInfo(frame: *mut c_void, is_exact: *mut c_int) -> usize;
}
