//! `ureq` over green sockets, through its own traits: how it connects, transmits, and resolves names.
//!
//! Proxies and TLS are left out. Timeouts are `green::timeout` scopes, which work in green threads and on
//! OS threads, but not in coroutines of `may`.
//!
//! # What to mind
//!
//! `ureq` keeps its idle connections under a lock of std's and calls [`Transport::is_open`] under it, so
//! that must not wait: a neighbour that wants the lock would stop the hub. It does not wait here, and
//! [`green::no_park`] turns a later mistake into a panic.

use std::io::{ErrorKind, Read, Write};
use std::sync::Arc;

use green::net::{Shutdown, TcpStream, ToSocketAddrs};
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, ShutdownHandle, Transport,
};
use ureq::{Agent, Error};

/// An agent that is used like any other.
pub fn agent(config: Config) -> Agent {
    Agent::with_parts(config, GreenConnector, GreenResolver)
}

/// Resolves names on the blocking pool.
#[derive(Debug)]
pub struct GreenResolver;

impl Resolver for GreenResolver {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        let name = uri
            .scheme()
            .zip(uri.authority())
            .and_then(|(scheme, authority)| DefaultResolver::host_and_port(scheme, authority))
            .ok_or_else(|| Error::BadUri(uri.to_string()))?;
        let found = within(timeout, || name.to_socket_addrs())??;
        let mut addrs = self.empty();
        for addr in config.ip_family().keep_wanted(found).take(MAX_ADDRS) {
            addrs.push(addr);
        }
        if addrs.is_empty() {
            return Err(Error::HostNotFound);
        }
        Ok(addrs)
    }
}

/// Connects plain TCP. Put a TLS connector of `ureq`'s behind it with [`Connector::chain`].
#[derive(Debug)]
pub struct GreenConnector;

impl Connector for GreenConnector {
    type Out = GreenTransport;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        _chained: Option<()>,
    ) -> Result<Option<GreenTransport>, Error> {
        let (config, addrs) = (details.config, &*details.addrs);
        let stream = within(details.timeout, || TcpStream::connect(addrs))??;
        stream.set_nodelay(config.no_delay())?;
        let transport = GreenTransport {
            stream: Arc::new(Socket(stream)),
            buffers: LazyBuffers::new(config.input_buffer_size(), config.output_buffer_size()),
        };
        // So that the agent's `shutdown` wakes who waits here.
        let socket: Arc<dyn ShutdownHandle> = transport.stream.clone();
        (details.register_shutdown)(Arc::downgrade(&socket))?;
        Ok(Some(transport))
    }
}

/// A connection.
#[derive(Debug)]
pub struct GreenTransport {
    stream: Arc<Socket>,
    buffers: LazyBuffers,
}

impl Transport for GreenTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        let output = &self.buffers.output()[..amount];
        within(timeout.for_write(), || (&self.stream.0).write_all(output))??;
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let input = self.buffers.input_append_buf();
        let read = within(timeout.for_read(), || {
            loop {
                match (&self.stream.0).read(input) {
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    read => return read,
                }
            }
        })??;
        self.buffers.input_appended(read);
        Ok(read > 0)
    }

    fn is_open(&mut self) -> bool {
        // Under a lock of `ureq`: see the top.
        green::no_park(|| self.stream.is_quiet())
    }
}

/// The socket, which `ureq` may shut down while it is in use.
#[derive(Debug)]
struct Socket(TcpStream);

impl Socket {
    /// True if there is neither an end nor an answer that nobody asked for.
    fn is_quiet(&self) -> bool {
        if self.0.set_nonblocking(true).is_err() {
            return false;
        }
        let nothing = self.0.peek(&mut [0]);
        nothing.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
            && self.0.set_nonblocking(false).is_ok()
    }
}

impl ShutdownHandle for Socket {
    fn shutdown(&self) {
        // An error means that it is closed already.
        self.0.shutdown(Shutdown::Both).ok();
    }
}

/// Runs `f` within what is left of `ureq`'s time.
fn within<T>(timeout: NextTimeout, f: impl FnOnce() -> T) -> Result<T, Error> {
    if timeout.after.is_not_happening() {
        return Ok(f());
    }
    green::timeout(*timeout.after, f).map_err(|_| Error::Timeout(timeout.reason))
}

/// The most addresses that `ureq` takes.
const MAX_ADDRS: usize = 16;
