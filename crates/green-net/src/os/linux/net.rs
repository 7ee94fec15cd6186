//! What only Linux has; `std::os::linux::net`.

use std::io;

pub use std::os::linux::net::SocketAddrExt;

use rustix::net::sockopt;

use crate::TcpStream;

/// Options of TCP streams that only Linux has; [`std::os::linux::net::TcpStreamExt`].
///
/// # Differences from std
///
/// A trait of its own, because std's is sealed.
///
/// # Examples
///
/// ```
/// use green_net::os::linux::net::TcpStreamExt;
/// use green_net::{TcpListener, TcpStream};
///
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// let stream = TcpStream::connect(listener.local_addr()?)?;
/// stream.set_quickack(false)?;
/// assert!(!stream.quickack()?);
/// # Ok::<(), std::io::Error>(())
/// ```
pub trait TcpStreamExt {
    /// Sends acknowledgements at once, or lets the kernel delay them;
    /// [`std::os::linux::net::TcpStreamExt::set_quickack`].
    ///
    /// # Errors
    ///
    /// What the kernel says.
    fn set_quickack(&self, quickack: bool) -> io::Result<()>;

    /// Whether acknowledgements are sent at once; [`std::os::linux::net::TcpStreamExt::quickack`].
    ///
    /// # Errors
    ///
    /// What the kernel says.
    fn quickack(&self) -> io::Result<bool>;
}

impl TcpStreamExt for TcpStream {
    fn set_quickack(&self, quickack: bool) -> io::Result<()> {
        Ok(sockopt::set_tcp_quickack(self, quickack)?)
    }

    fn quickack(&self) -> io::Result<bool> {
        Ok(sockopt::tcp_quickack(self)?)
    }
}
