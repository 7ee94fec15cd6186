//! Reading into what hyper lends: the one `unsafe` call that hyper asks of every stream.

use std::io;
use std::task::{Poll, ready};

use ::hyper::rt::ReadBufCursor;

/// Has `read` fill the beginning of what is free, and says how much that was.
///
/// # Panics
///
/// If `read` claims to have read more than it was lent.
pub(crate) fn read_into(
    mut cursor: ReadBufCursor<'_>,
    read: impl FnOnce(&mut [u8]) -> Poll<io::Result<usize>>,
) -> Poll<io::Result<()>> {
    let free = cursor.initialize_unfilled();
    let room = free.len();
    let n = ready!(read(free))?;
    assert!(n <= room, "a stream read more than it was asked");
    // SAFETY: the first `n` bytes of what is free are initialised: `initialize_unfilled` did all of them, and there are at
    // least `n`.
    unsafe { cursor.advance(n) };
    Poll::Ready(Ok(()))
}
