//! tokio's sockets.

use std::io;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task;

use super::Tokio;
use crate::peers::{ANY_LOCAL_PORT, Announce, Serve};
use crate::server::{Service, stream_chunk};

impl Serve for Tokio {
    fn serve(&self, service: Service, announce: &Announce) -> io::Result<()> {
        let listener = self.runtime.block_on(TcpListener::bind(ANY_LOCAL_PORT))?;
        announce(listener.local_addr()?)?;
        // A task, not the main future: that one runs outside the worker of the multi-thread runtime.
        let accepting = self.runtime.spawn(async move {
            loop {
                let Ok((socket, _)) = listener.accept().await else {
                    continue;
                };
                if socket.set_nodelay(true).is_err() {
                    continue;
                }
                // A connection's error is its end, and the load generator's to notice.
                match service.buffer_size() {
                    Some(size) => drop(task::spawn(echo(socket, size))),
                    None => drop(task::spawn(stream(socket))),
                }
            }
        });
        self.runtime.block_on(accepting).map_err(io::Error::other)
    }
}

async fn echo(mut socket: TcpStream, buffer_size: usize) -> io::Result<()> {
    let mut buffer = vec![0; buffer_size];
    loop {
        let count = socket.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        socket.write_all(&buffer[..count]).await?;
    }
}

async fn stream(mut socket: TcpStream) -> io::Result<()> {
    let chunk = stream_chunk();
    let mut count = [0; 8];
    loop {
        socket.read_exact(&mut count).await?;
        let mut left = u64::from_le_bytes(count) as usize;
        while left > 0 {
            let part = left.min(chunk.len());
            socket.write_all(&chunk[..part]).await?;
            left -= part;
        }
    }
}
