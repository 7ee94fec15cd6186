//! What the sockets share: waiting, modes, raw descriptors.
//!
//! A stream or a datagram socket is a [`Socket`], whose descriptor is in the mode that the user asked for. A
//! [`Listener`] has its descriptor in non-blocking mode, because the kernel has no flag for one accept. The
//! types with std's names are one of the two each, and give it their addresses and options.
//!
//! # Not here
//!
//! System calls: see `attempt`.

use std::io;
use std::mem::ManuallyDrop;
use std::net::{self as std_net, Shutdown};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::net as std_unix;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use green_core::io::Io;
use rustix::net as sys;
use rustix::net::sockopt::{self, Timeout};

use crate::attempt;
use crate::modes::{Modes, would_block_at_deadline};
use crate::os::unix::net::{UCred, UnixDatagram, UnixListener, UnixStream};
use crate::tcp::{TcpListener, TcpStream};
use crate::udp::UdpSocket;

/// A stream or a datagram socket.
pub(crate) struct Socket {
    /// The socket. In the mode that the user asked for: attempts do not block by themselves.
    io: Io<OwnedFd>,
    /// What was set, shared by the handles that `try_clone` makes; nothing while all is as it was.
    modes: OnceLock<Arc<Modes>>,
}

impl Socket {
    /// A socket of our own making: in blocking mode, or soon to be, and without timeouts.
    pub(crate) fn new(fd: OwnedFd) -> Self {
        Self {
            io: Io::new(fd),
            modes: OnceLock::new(),
        }
    }

    /// A socket with the mode and the timeouts that the descriptor has now.
    fn adopt(fd: OwnedFd) -> Self {
        let modes = Arc::new(Modes::of(fd.as_fd())).into();
        Self {
            io: Io::new(fd),
            modes,
        }
    }

    fn into_fd(self) -> OwnedFd {
        self.io.into_inner()
    }

    /// The socket under its waits, without modes.
    pub(crate) fn io(&self) -> &Io<OwnedFd> {
        &self.io
    }

    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        let fd = self.io.get_ref().try_clone()?;
        Ok(Self {
            io: Io::new(fd),
            modes: Arc::clone(self.modes()).into(),
        })
    }

    pub(crate) fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        let how = match how {
            Shutdown::Read => sys::Shutdown::Read,
            Shutdown::Write => sys::Shutdown::Write,
            Shutdown::Both => sys::Shutdown::Both,
        };
        Ok(sys::shutdown(self, how)?)
    }

    pub(crate) fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.modes().set_nonblocking(self.as_fd(), nonblocking)
    }

    pub(crate) fn set_timeout(&self, which: Timeout, timeout: Option<Duration>) -> io::Result<()> {
        self.modes().set_timeout(self.as_fd(), which, timeout)
    }

    /// A timeout, as the kernel rounded it.
    pub(crate) fn timeout(&self, which: Timeout) -> io::Result<Option<Duration>> {
        Ok(sockopt::socket_timeout(self, which)?)
    }

    /// Receives a message with attempts that do not block.
    #[inline]
    pub(crate) fn recv_by<R>(
        &self,
        mut attempt: impl FnMut(BorrowedFd<'_>) -> io::Result<R>,
    ) -> io::Result<R> {
        if self.is_nonblocking() {
            return attempt(self.as_fd());
        }
        let result = self
            .io
            .read_with(|| self.deadline(Timeout::Recv), |fd| attempt(fd.as_fd()));
        result.map_err(would_block_at_deadline)
    }

    /// Receives as [`Socket::recv_by`], until `deadline` and whatever the modes are.
    pub(crate) fn recv_before<R>(
        &self,
        deadline: Option<Instant>,
        mut attempt: impl FnMut(BorrowedFd<'_>) -> io::Result<R>,
    ) -> io::Result<R> {
        self.io.read_with(|| deadline, |fd| attempt(fd.as_fd()))
    }

    /// Sends a message with attempts that do not block.
    #[inline]
    pub(crate) fn send_by(
        &self,
        mut attempt: impl FnMut(BorrowedFd<'_>) -> io::Result<usize>,
    ) -> io::Result<usize> {
        if self.is_nonblocking() {
            return attempt(self.as_fd());
        }
        let result = self
            .io
            .write_with(|| self.deadline(Timeout::Send), |fd| attempt(fd.as_fd()));
        result.map_err(would_block_at_deadline)
    }

    /// Sends a message to whom no poll tells when it has room.
    pub(crate) fn send_repeatedly_by(
        &self,
        mut attempt: impl FnMut(BorrowedFd<'_>) -> io::Result<usize>,
    ) -> io::Result<usize> {
        if self.is_nonblocking() {
            return attempt(self.as_fd());
        }
        let result = self
            .io
            .repeat_with(|| self.deadline(Timeout::Send), |fd| attempt(fd.as_fd()));
        result.map_err(would_block_at_deadline)
    }

    /// Writes `asked` bytes of a stream at most, with attempts that do not block.
    #[inline]
    pub(crate) fn write_by(
        &self,
        asked: usize,
        mut attempt: impl FnMut(BorrowedFd<'_>) -> io::Result<usize>,
    ) -> io::Result<usize> {
        // Nothing to write needs no room, but may still find the connection closed.
        if asked == 0 || self.is_nonblocking() {
            return attempt(self.as_fd());
        }
        let result = self.io.write_stream_with(
            asked,
            || self.deadline(Timeout::Send),
            |fd| attempt(fd.as_fd()),
        );
        result.map_err(would_block_at_deadline)
    }

    /// Reads `asked` bytes of a TCP stream at most, with attempts that do not block.
    #[inline]
    pub(crate) fn read_tcp_by(
        &self,
        asked: usize,
        mut attempt: impl FnMut(BorrowedFd<'_>) -> io::Result<usize>,
    ) -> io::Result<usize> {
        if asked == 0 {
            return Ok(0);
        }
        if self.is_nonblocking() {
            return attempt(self.as_fd());
        }
        let result = self.io.read_stream_with(
            asked,
            || self.deadline(Timeout::Recv),
            |fd| attempt(fd.as_fd()),
        );
        result.map_err(would_block_at_deadline)
    }

    /// The modes, to be changed or shared.
    fn modes(&self) -> &Arc<Modes> {
        self.modes.get_or_init(Arc::default)
    }

    /// Whether the user asked for non-blocking mode.
    #[inline]
    fn is_nonblocking(&self) -> bool {
        self.modes.get().is_some_and(|modes| modes.is_nonblocking())
    }

    /// When an operation that begins to wait now has waited long enough.
    #[inline]
    fn deadline(&self, which: Timeout) -> Option<Instant> {
        self.modes.get()?.limit(which).deadline()
    }
}

impl AsFd for Socket {
    #[inline]
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.io.as_fd()
    }
}

// What a panic can leave behind is a wake-up too many.
impl UnwindSafe for Socket {}
impl RefUnwindSafe for Socket {}

/// A socket that listens.
pub(crate) struct Listener {
    /// The socket. Invariant: in non-blocking mode, unless `modes.released`.
    io: Io<OwnedFd>,
    /// Shared by the handles that `try_clone` makes.
    modes: Arc<ListenerModes>,
}

/// The modes of a listener.
#[derive(Debug, Default)]
struct ListenerModes {
    /// Whether the user asked for non-blocking mode.
    nonblocking: AtomicBool,
    /// Whether there may be other handles. From then on one of them may give its descriptor away, and with it the mode
    /// of this one, between any two steps of an accept; so each begins with a look.
    shared: AtomicBool,
    /// Whether a handle gave its descriptor away. From then on the descriptor has the mode that the user asked for.
    released: AtomicBool,
}

impl Listener {
    /// A listener of our own making, in non-blocking mode.
    pub(crate) fn new(fd: OwnedFd) -> Self {
        Self {
            io: Io::new(fd),
            modes: Arc::default(),
        }
    }

    /// Puts the descriptor into non-blocking mode, which every duplicate of it shares.
    fn adopt(fd: OwnedFd) -> Self {
        let nonblocking = attempt::is_nonblocking(fd.as_fd());
        let released = !nonblocking && attempt::set_nonblocking(fd.as_fd(), true).is_err();
        let modes = ListenerModes {
            nonblocking: nonblocking.into(),
            shared: released.into(),
            released: released.into(),
        };
        Self {
            io: Io::new(fd),
            modes: Arc::new(modes),
        }
    }

    /// Gives the descriptor away in the mode that the user asked for. Other handles to the listener look before they
    /// accept.
    fn into_fd(self) -> OwnedFd {
        self.modes.released.store(true, Ordering::Release);
        let fd = self.io.into_inner();
        let nonblocking = self.modes.nonblocking.load(Ordering::Relaxed);
        // Nothing can be done about an error; the kernel has none for an open socket.
        drop(attempt::set_nonblocking(fd.as_fd(), nonblocking));
        fd
    }

    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        let fd = self.io.get_ref().try_clone()?;
        self.modes.shared.store(true, Ordering::Release);
        Ok(Self {
            io: Io::new(fd),
            modes: Arc::clone(&self.modes),
        })
    }

    /// Accepts with attempts that do not block a descriptor in non-blocking mode.
    pub(crate) fn accept_by<R>(
        &self,
        attempt: impl Fn(BorrowedFd<'_>) -> io::Result<R>,
    ) -> io::Result<R> {
        if self.modes.nonblocking.load(Ordering::Relaxed) {
            return self.look_and(&attempt);
        }
        self.accept_before(None, attempt)
    }

    /// Accepts as [`Listener::accept_by`], until `deadline` and whatever the mode is.
    pub(crate) fn accept_before<R>(
        &self,
        deadline: Option<Instant>,
        attempt: impl Fn(BorrowedFd<'_>) -> io::Result<R>,
    ) -> io::Result<R> {
        self.io.read_with(|| deadline, |_| self.look_and(&attempt))
    }

    /// Accepts, for a future, whatever the mode is.
    #[cfg(feature = "async")]
    pub(crate) async fn accept_async<R>(
        &self,
        attempt: impl Fn(BorrowedFd<'_>) -> io::Result<R>,
    ) -> io::Result<R> {
        self.io.read_with_async(|_| self.look_and(&attempt)).await
    }

    /// Attempts to accept, after a look if the descriptor may be in blocking mode.
    fn look_and<R>(&self, attempt: impl Fn(BorrowedFd<'_>) -> io::Result<R>) -> io::Result<R> {
        if self.modes.shared.load(Ordering::Acquire) {
            attempt::look_for_input(self.as_fd())?;
        }
        attempt(self.as_fd())
    }

    pub(crate) fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.modes.nonblocking.store(nonblocking, Ordering::Relaxed);
        if self.modes.released.load(Ordering::Acquire) {
            attempt::set_nonblocking(self.as_fd(), nonblocking)?;
        }
        Ok(())
    }
}

impl AsFd for Listener {
    #[inline]
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.io.as_fd()
    }
}

// What a panic can leave behind is a wake-up too many.
impl UnwindSafe for Listener {}
impl RefUnwindSafe for Listener {}

/// What std's sockets implement to be made of descriptors and the other way round, and conversions to
/// std's type and back.
macro_rules! descriptor_traits {
    ($($socket:ty: $inner:ty, $std:ty;)+) => {$(
        impl AsFd for $socket {
            #[inline]
            fn as_fd(&self) -> BorrowedFd<'_> {
                self.0.as_fd()
            }
        }

        impl AsRawFd for $socket {
            fn as_raw_fd(&self) -> RawFd {
                self.as_fd().as_raw_fd()
            }
        }

        impl From<OwnedFd> for $socket {
            fn from(fd: OwnedFd) -> Self {
                Self(<$inner>::adopt(fd))
            }
        }

        impl From<$socket> for OwnedFd {
            fn from(socket: $socket) -> Self {
                socket.0.into_fd()
            }
        }

        impl FromRawFd for $socket {
            unsafe fn from_raw_fd(fd: RawFd) -> Self {
                // SAFETY: the caller owns `fd`, as this function requires too.
                Self::from(unsafe { OwnedFd::from_raw_fd(fd) })
            }
        }

        impl IntoRawFd for $socket {
            fn into_raw_fd(self) -> RawFd {
                OwnedFd::from(self).into_raw_fd()
            }
        }

        impl From<$std> for $socket {
            fn from(socket: $std) -> Self {
                OwnedFd::from(socket).into()
            }
        }

        impl From<$socket> for $std {
            fn from(socket: $socket) -> Self {
                OwnedFd::from(socket).into()
            }
        }
    )+};
}

descriptor_traits! {
    TcpStream: Socket, std_net::TcpStream;
    TcpListener: Listener, std_net::TcpListener;
    UdpSocket: Socket, std_net::UdpSocket;
    UnixStream: Socket, std_unix::UnixStream;
    UnixListener: Listener, std_unix::UnixListener;
    UnixDatagram: Socket, std_unix::UnixDatagram;
}

/// Lends a descriptor to a socket type of std, for what only std can do: making an address of any kind, and its
/// form of `Debug`.
pub(crate) fn as_std<T: FromRawFd, R>(fd: BorrowedFd<'_>, f: impl FnOnce(&T) -> R) -> R {
    // SAFETY: `fd` is open while it is borrowed, and a value that is not dropped does not close it.
    let socket = ManuallyDrop::new(unsafe { T::from_raw_fd(fd.as_raw_fd()) });
    f(&socket)
}

/// The credentials of who is at the other end. `rustix` would take a process that this one cannot see, which the
/// kernel calls 0, for one with a number.
pub(crate) fn peer_cred(fd: BorrowedFd<'_>) -> io::Result<UCred> {
    let mut cred = libc::ucred {
        pid: 0,
        uid: 0,
        gid: 0,
    };
    let mut len = LEN_OF_UCRED;
    let value = (&raw mut cred).cast();
    // SAFETY: `value` is valid for writes of `len` bytes, and any bytes are a `ucred`.
    let result = unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            value,
            &mut len,
        )
    };
    if result != 0 || len != LEN_OF_UCRED {
        return Err(io::Error::last_os_error());
    }
    Ok(UCred {
        uid: cred.uid,
        gid: cred.gid,
        pid: Some(cred.pid),
    })
}

#[expect(clippy::cast_possible_truncation, reason = "it is 12 bytes")]
const LEN_OF_UCRED: libc::socklen_t = size_of::<libc::ucred>() as libc::socklen_t;
