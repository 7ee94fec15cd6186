//! The services over sockets that look blocking, for the runtimes whose users write them so.

use std::io::{self, Read, Write};

use crate::server::{Service, stream_chunk};

/// Serves one connection until its end or the first error.
pub(super) fn serve(service: Service, socket: impl Read + Write) {
    // A connection's error is its end, and the load generator's to notice.
    drop(match service.buffer_size() {
        Some(size) => echo(socket, size),
        None => stream(socket),
    });
}

fn echo(mut socket: impl Read + Write, buffer_size: usize) -> io::Result<()> {
    let mut buffer = vec![0; buffer_size];
    loop {
        let count = socket.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        socket.write_all(&buffer[..count])?;
    }
}

fn stream(mut socket: impl Read + Write) -> io::Result<()> {
    let chunk = stream_chunk();
    let mut count = [0; 8];
    loop {
        socket.read_exact(&mut count)?;
        let mut left = u64::from_le_bytes(count) as usize;
        while left > 0 {
            let part = left.min(chunk.len());
            socket.write_all(&chunk[..part])?;
            left -= part;
        }
    }
}
