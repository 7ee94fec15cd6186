//! Which chain of calls led here: a number, for debug checks.

use std::ffi::{c_int, c_void};
use std::hash::{DefaultHasher, Hasher};

/// A number for the chain of return addresses up to the end of the stack that runs.
#[inline(never)]
pub(crate) fn call_site() -> u64 {
    let mut hasher = DefaultHasher::new();
    // SAFETY: the callback has the type that the unwinder asks for, and gets the hasher's address back, which is
    // valid for the call; the unwinder only reads the stack.
    unsafe { _Unwind_Backtrace(add_frame, (&raw mut hasher).cast()) };
    hasher.finish()
}

/// Adds one frame; 0 is the unwinder's word for "go on".
extern "C" fn add_frame(frame: *mut c_void, hasher: *mut c_void) -> c_int {
    // SAFETY: the frame is the unwinder's own, for the time of this call.
    let address = unsafe { _Unwind_GetIP(frame) };
    // SAFETY: the address of the hasher in `call_site`, which nobody else uses meanwhile.
    let hasher = unsafe { &mut *hasher.cast::<DefaultHasher>() };
    hasher.write_usize(address);
    0
}

// The unwinder that panics use: std links it into every program, but does not offer it.
unsafe extern "C" {
    fn _Unwind_Backtrace(
        callback: extern "C" fn(*mut c_void, *mut c_void) -> c_int,
        argument: *mut c_void,
    ) -> c_int;
    fn _Unwind_GetIP(frame: *mut c_void) -> usize;
}
