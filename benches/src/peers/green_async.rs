//! green's sockets for futures: a task for each connection.

use std::io;

use green_core::aio;
use green_net::aio::{TcpListener, TcpStream};

use super::green::Green;
use super::{ANY_LOCAL_PORT, Announce, Primitives, Serve, Tasks, Workers, unsupported};
use crate::server::Service;

pub(super) struct GreenAsync;

impl GreenAsync {
    pub(super) fn start(workers: Workers) -> io::Result<Self> {
        Green::start(workers)?;
        Ok(Self)
    }
}

impl Serve for GreenAsync {
    fn serve(&self, service: Service, announce: &Announce) -> io::Result<()> {
        let Some(size) = service.buffer_size() else {
            return Err(unsupported());
        };
        let listener = green_core::block_on(TcpListener::bind(ANY_LOCAL_PORT))?;
        announce(listener.get_ref().local_addr()?)?;
        aio::run_until_complete(async move {
            loop {
                let Ok((socket, _)) = listener.accept().await else {
                    continue;
                };
                if socket.get_ref().set_nodelay(true).is_ok() {
                    // A connection's error is its end, and the load generator's to notice.
                    aio::spawn(echo(socket, size)).detach();
                }
            }
        })
    }
}

async fn echo(socket: TcpStream, buffer_size: usize) -> io::Result<()> {
    let mut buffer = vec![0; buffer_size];
    loop {
        let count = socket.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        socket.write_all(&buffer[..count]).await?;
    }
}

impl Tasks for GreenAsync {}

impl Primitives for GreenAsync {}
