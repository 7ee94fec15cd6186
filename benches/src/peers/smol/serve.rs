//! smol's sockets.

use std::io;
use std::rc::Rc;

use smol::io::{AsyncReadExt as _, AsyncWriteExt as _};
use smol::net::{TcpListener, TcpStream};

use super::Smol;
use crate::peers::{ANY_LOCAL_PORT, Announce, Serve};
use crate::server::{Service, stream_chunk};

impl Serve for Smol {
    fn serve(&self, service: Service, announce: &Announce) -> io::Result<()> {
        let listener = smol::block_on(TcpListener::bind(ANY_LOCAL_PORT))?;
        announce(listener.local_addr()?)?;
        let executor = Rc::clone(&self.executor);
        self.run(async move {
            loop {
                let Ok((socket, _)) = listener.accept().await else {
                    continue;
                };
                if socket.set_nodelay(true).is_err() {
                    continue;
                }
                // A connection's error is its end, and the load generator's to notice.
                match service.buffer_size() {
                    Some(size) => executor.spawn(echo(socket, size)).detach(),
                    None => executor.spawn(stream(socket)).detach(),
                }
            }
        })
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
