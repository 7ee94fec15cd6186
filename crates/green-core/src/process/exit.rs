//! The end of the process.

use std::convert::Infallible;
use std::thread;

use crate::{sched, threadpool};

/// Ends the process with `code`; [`std::process::exit`].
///
/// # Differences from std
///
/// std's function runs the destructors of the calling OS thread's thread-locals. On a hub, parked neighbours may hold
/// references into those. So there, an OS thread that is no hub ends the process, and the hub stops for good. Other
/// OS threads, hubs included, run until the process is gone, as with std's.
///
/// # Examples
///
/// ```no_run
/// green_core::spawn(|| green_core::process::exit(3)).join();
/// ```
#[expect(clippy::exit, reason = "it is what was asked for")]
pub fn exit(code: i32) -> ! {
    if sched::local().is_none() {
        std::process::exit(code);
    }
    threadpool::start(move || -> Infallible { std::process::exit(code) });
    loop {
        stop();
    }
}

/// Stops the calling hub.
#[expect(
    clippy::disallowed_methods,
    reason = "nothing is to run on this hub any more"
)]
fn stop() {
    thread::park();
}
