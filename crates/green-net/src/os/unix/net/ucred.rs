//! Who is at the other end.

/// The credentials of a process; `std::os::unix::net::UCred`.
///
/// Made by [`UnixStream::peer_cred`](super::UnixStream::peer_cred).
///
/// # Differences from std
///
/// Unstable there.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct UCred {
    /// The effective user.
    pub uid: u32,
    /// The effective group.
    pub gid: u32,
    /// The process; always told on Linux.
    pub pid: Option<i32>,
}
