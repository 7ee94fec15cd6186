//! One client of the console.

use std::fmt::{Display, Write as _};
use std::io::{self, BufReader, Write};
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::time::Duration;

use green_core::{Stats, blocking, debug, stats, timeout};

use super::Settings;
use super::command::{Command, HELP};
use super::lines::{self, Line, MOST};
use crate::tcp::TcpStream;

/// How long a hub may take to come to a green thread.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long it may take to find the names of a trace: the first time, the debug information is read.
const NAMES: Duration = Duration::from_secs(60);

/// One client.
pub(super) struct Session<'a> {
    stream: &'a TcpStream,
    peer: SocketAddr,
    settings: Settings,
}

/// Whether the client may go on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Line,
    End,
}

impl<'a> Session<'a> {
    pub(super) fn new(stream: &'a TcpStream, peer: SocketAddr, settings: Settings) -> Self {
        Self {
            stream,
            peer,
            settings,
        }
    }

    /// Serves the client until it has enough.
    ///
    /// # Errors
    ///
    /// It has gone.
    pub(super) fn serve(&self) -> io::Result<()> {
        self.reply(&self.settings.banner)?;
        let mut input = BufReader::new(self.stream);
        loop {
            let line = timeout(self.settings.idle, || lines::read(&mut input));
            let next = match line {
                Err(_) => {
                    self.fail("idle for too long")?;
                    Next::End
                }
                Ok(Err(error)) => return Err(error),
                Ok(Ok(Line::End)) => Next::End,
                Ok(Ok(Line::TooLong)) => {
                    // Whatever comes after it: it may be a request of HTTP, whose body is not to be obeyed.
                    self.fail(format_args!("a line of more than {MOST} bytes"))?;
                    Next::End
                }
                Ok(Ok(Line::Text(line))) => self.obey(&line)?,
            };
            if next == Next::End {
                return Ok(());
            }
        }
    }

    fn obey(&self, line: &str) -> io::Result<Next> {
        match Command::parse(line) {
            Err(why) => self.fail(why)?,
            Ok(Command::Empty) => {}
            Ok(Command::Help) => self.reply(HELP)?,
            Ok(Command::Ps) => {
                let mut dump = Vec::new();
                green_core::dump(&mut dump)?;
                self.reply(&String::from_utf8_lossy(&dump))?;
            }
            Ok(Command::Stats) => self.reply(&table(&stats()))?,
            Ok(Command::Trace(id)) => self.trace(id)?,
            Ok(Command::Kill(id)) => self.kill(id)?,
            Ok(Command::Http) => {
                self.fail("this is no HTTP server")?;
                return Ok(Next::End);
            }
            Ok(Command::Quit) => {
                self.reply("bye")?;
                return Ok(Next::End);
            }
        }
        Ok(Next::Line)
    }

    fn trace(&self, id: NonZeroU64) -> io::Result<()> {
        let trace = match debug::trace(id, PATIENCE) {
            Ok(trace) => trace,
            Err(why) => return self.fail(why),
        };
        // Not on the hub, which everybody needs meanwhile.
        match timeout(NAMES, || blocking(move || trace.to_string())) {
            Ok(text) => self.reply(&text),
            Err(_) => self.fail("the blocking pool is busy"),
        }
    }

    fn kill(&self, id: NonZeroU64) -> io::Result<()> {
        if !debug::kill(id) {
            return self.fail("no green thread has this id that could be killed");
        }
        log::warn!("green: {} has killed green thread #{id}", self.peer);
        self.reply(&format!("asked #{id} to die"))
    }

    fn fail(&self, why: impl Display) -> io::Result<()> {
        self.reply(&format!("error: {why}"))
    }

    fn reply(&self, text: &str) -> io::Result<()> {
        let reply = lines::reply(text);
        let written = timeout(self.settings.idle, || {
            let mut stream = self.stream;
            stream.write_all(reply.as_bytes())
        });
        written.map_err(|elapsed| io::Error::new(io::ErrorKind::TimedOut, elapsed))?
    }
}

/// The counts, one a line.
fn table(stats: &Stats) -> String {
    let counts = [
        ("hubs", stats.hubs as u64),
        ("live", stats.live as u64),
        ("finished", stats.finished),
        ("switches", stats.switches),
        ("polls", stats.polls),
        ("carriers", stats.carriers),
        ("idle_carriers", stats.idle_carriers),
        ("isolated", stats.isolated),
        ("queued", stats.queued),
        ("timers", stats.timers),
        ("sources", stats.sources as u64),
        ("blocking_threads", stats.blocking_threads as u64),
    ];
    let mut table = String::new();
    for (name, count) in counts {
        _ = writeln!(table, "{name} {count}");
    }
    table
}
