//! Pipes of raw descriptors, which std makes an unsafe thing to do.

use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use super::pipe::{PipeReader, PipeWriter};

impl FromRawFd for PipeReader {
    unsafe fn from_raw_fd(fd: RawFd) -> Self {
        // SAFETY: the caller gives up an open descriptor, as the trait asks.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        fd.into()
    }
}

impl FromRawFd for PipeWriter {
    unsafe fn from_raw_fd(fd: RawFd) -> Self {
        // SAFETY: the caller gives up an open descriptor, as the trait asks.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        fd.into()
    }
}
