//! A `redis-server` to talk to, if there is one on this machine.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use green::net::{TcpListener, TcpStream};

/// A server on a free port, with nothing in it; killed when dropped.
pub struct RedisServer {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
}

impl RedisServer {
    /// Starts it; `None` if it is not installed.
    pub fn start() -> io::Result<Option<Self>> {
        loop {
            let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
            let child = Command::new("redis-server")
                .args(["--port", &address.port().to_string()])
                .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn();
            let child = match child {
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
                child => child?,
            };
            let mut server = Self { child, address };
            if server.is_up()? {
                return Ok(Some(server));
            }
            // Somebody else was quicker at the port.
        }
    }

    /// Waits until it listens; false if it has ended instead.
    fn is_up(&mut self) -> io::Result<bool> {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(20) {
            if self.child.try_wait()?.is_some() {
                return Ok(false);
            }
            if TcpStream::connect(self.address).is_ok() {
                return Ok(true);
            }
            green::sleep(Duration::from_millis(5));
        }
        Err(ErrorKind::TimedOut.into())
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        // It may have ended already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
