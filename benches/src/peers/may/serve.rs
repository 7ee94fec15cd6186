//! `may`'s sockets.

use std::io;

use may::net::TcpListener;

use super::{May, join, spawn};
use crate::peers::{ANY_LOCAL_PORT, Announce, Serve, blocking};
use crate::server::Service;

impl Serve for May {
    fn serve(&self, service: Service, announce: &Announce) -> io::Result<()> {
        let listener = TcpListener::bind(ANY_LOCAL_PORT)?;
        announce(listener.local_addr()?)?;
        join(spawn(move || {
            loop {
                let Ok((socket, _)) = listener.accept() else {
                    continue;
                };
                drop(spawn(move || {
                    if socket.set_nodelay(true).is_ok() {
                        blocking::serve(service, socket);
                    }
                }));
            }
        }))
    }
}
