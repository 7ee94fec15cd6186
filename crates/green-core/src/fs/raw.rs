//! Files of raw descriptors.

use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use super::File;

impl FromRawFd for File {
    unsafe fn from_raw_fd(fd: RawFd) -> Self {
        // SAFETY: the caller owns `fd`, as this function requires too.
        Self::from(unsafe { OwnedFd::from_raw_fd(fd) })
    }
}
