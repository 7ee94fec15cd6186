//! The green thread of a server that accepts.
//!
//! # Protocol
//!
//! 1. Wait until there seems to be a connection. 2. Wait for room for its handler, so that a server that is
//!    full leaves connections with the kernel. 3. Accept and spawn, without waiting and with kills deferred.
//! 4. From the start.
//!
//! To pause or to stop it is to kill it: by 3, a connection that was accepted has a handler. Should it end in another way (a
//! spawner panics when asked for room, a stranger kills it, maybe before it has run), its link stops the server.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use green_core::{Greenlet, mask_kill, sleep, yield_now};
use rustix::io::Errno;

use super::{Handler, Settings, Shared, Source, Spawner};

/// See the module documentation.
pub(super) struct Acceptor<S: Source> {
    /// Has the socket, too. One who is killed before it runs lives on for a moment, so it has none of its own.
    pub(super) shared: Arc<Shared<S>>,
    pub(super) handle: Arc<Handle<S>>,
    pub(super) spawner: Arc<dyn Spawner>,
    pub(super) settings: Settings,
}

/// What handles a piece of work.
pub(super) type Handle<S> = dyn Fn(<S as super::source::sealed::Take>::Item) + Send + Sync;

impl<S: Source> Acceptor<S> {
    /// Accepts until it is killed, or the socket is of no use any more.
    pub(super) fn run(self) {
        let Some(source) = self.shared.source() else {
            return;
        };
        let mut buf = vec![0; self.settings.max_datagram];
        let mut delay = self.settings.min_delay;
        let mut in_a_row = 0;
        let mut in_vain = 0;
        loop {
            match self.accept(&source, &mut buf) {
                Ok(true) => {
                    delay = self.settings.min_delay;
                    in_vain = 0;
                    in_a_row += 1;
                    if in_a_row >= self.settings.max_accept {
                        in_a_row = 0;
                        yield_now();
                    }
                }
                Ok(false) => {
                    in_vain += 1;
                    if in_vain >= PATIENCE {
                        sleep(self.settings.min_delay);
                    }
                }
                Err(error) if is_fatal(&error) => {
                    log::error!("a server stops: it cannot accept: {error}");
                    self.shared.fail(error);
                    return;
                }
                Err(error) => {
                    log::warn!("a server pauses for {delay:?}: it cannot accept: {error}");
                    sleep(delay);
                    delay = (delay * 2).min(self.settings.max_delay);
                }
            }
        }
    }

    /// Accepts once; false if there was nothing after all.
    fn accept(&self, source: &Arc<S>, buf: &mut [u8]) -> io::Result<bool> {
        source.wait()?;
        let slot = self.spawner.reserve();
        mask_kill(|| {
            let Some(item) = source.take(buf)? else {
                return Ok(false);
            };
            let entry = self.shared.handlers.enter();
            let number = entry.number();
            let handle = Arc::clone(&self.handle);
            let greenlet = self.spawn(Box::new(move || {
                // Dropped from the bottom: what is handled, the slot, the entry.
                let _entry = entry;
                let _slot = slot;
                handle(item);
            }))?;
            self.shared.handlers.spawned(number, greenlet);
            Ok(true)
        })
    }

    /// Starts a handler, with kills deferred: so what unwinds here is a panic of the spawner's.
    fn spawn(&self, handler: Handler) -> io::Result<Greenlet<()>> {
        match catch_unwind(AssertUnwindSafe(|| self.spawner.spawn(handler))) {
            // Not one of the socket's, whatever number it has.
            Ok(spawned) => spawned.map_err(|error| io::Error::new(error.kind(), error)),
            Err(_) => Err(io::Error::other("the spawner panicked")),
        }
    }
}

/// Whether the socket will not accept any more, as in gevent.
fn is_fatal(error: &io::Error) -> bool {
    [Errno::BADF, Errno::INVAL, Errno::NOTSOCK]
        .iter()
        .any(|errno| Some(errno.raw_os_error()) == error.raw_os_error())
}

/// How many times in a row there may be nothing where there seemed to be something, before it is better to wait.
const PATIENCE: u32 = 16;
