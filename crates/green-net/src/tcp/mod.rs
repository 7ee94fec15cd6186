//! TCP: streams and listeners.

mod incoming;
mod listener;
mod stream;

pub use incoming::{Incoming, IntoIncoming};
pub use listener::{ListenOptions, TcpListener};
pub use stream::TcpStream;
