//! Streams: each connection asks for [`REQUEST`] bytes and, when they have come, for as many again.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Instant;

use rustix::event::epoll;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};

use super::{EVENTS, STALL, wait};
use crate::server::stream_chunk;

/// Receives on `connections` connections until the deadline, and then what was asked for; how many bytes came.
pub(super) fn receive(
    server: SocketAddr,
    connections: usize,
    deadline: Instant,
) -> io::Result<u64> {
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let mut streams = Vec::with_capacity(connections);
    for index in 0..connections {
        let socket = TcpStream::connect(server)?;
        socket.set_nodelay(true)?;
        socket.set_nonblocking(true)?;
        let data = epoll::EventData::new_u64(index as u64);
        epoll::add(&epoll, &socket, data, epoll::EventFlags::IN)?;
        let mut stream = Stream {
            socket: socket.into(),
            chunk: stream_chunk(),
            received: 0,
        };
        stream.request()?;
        streams.push(stream);
    }
    let mut buffer = vec![0; stream_chunk().len()];
    let mut events = Vec::with_capacity(EVENTS);
    let mut total = 0;
    let mut outstanding = connections;
    while outstanding > 0 {
        if wait(&epoll, &mut events, STALL)? == 0 {
            return Err(io::Error::other(format!(
                "{outstanding} streams got nothing for {STALL} s"
            )));
        }
        let more = Instant::now() < deadline;
        for event in &events {
            let stream = &mut streams[event.data.u64() as usize];
            total += stream.receive(&mut buffer)?;
            if stream.received < REQUEST {
                continue;
            }
            if more {
                stream.request()?;
            } else {
                outstanding -= 1;
            }
        }
    }
    Ok(total)
}

/// One connection.
struct Stream {
    socket: OwnedFd,
    /// What must come, again and again.
    chunk: Arc<[u8]>,
    /// How much of what was asked for has come, in bytes.
    received: usize,
}

impl Stream {
    /// Asks for more.
    fn request(&mut self) -> io::Result<()> {
        self.received = 0;
        let request = (REQUEST as u64).to_le_bytes();
        if send(&self.socket, &request, SendFlags::NOSIGNAL)? != request.len() {
            return Err(io::Error::other("a request was not sent whole"));
        }
        Ok(())
    }

    /// Receives what is there and compares it; how much it was.
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<u64> {
        let from = self.received % self.chunk.len();
        let room = (self.chunk.len() - from).min(REQUEST - self.received);
        let count = match recv(&self.socket, &mut buffer[..room], RecvFlags::empty()) {
            Ok((0, _)) => return Err(io::Error::other("the server closed a stream")),
            Ok((count, _)) => count,
            Err(Errno::AGAIN | Errno::INTR) => return Ok(0),
            Err(error) => return Err(error.into()),
        };
        if buffer[..count] != self.chunk[from..from + count] {
            return Err(io::Error::other("a stream differs from what was to come"));
        }
        self.received += count;
        Ok(count as u64)
    }
}

/// How much a connection asks for at a time, in bytes.
const REQUEST: usize = 1024 * 1024;
