//! std's `process`, green: whoever starts a child, waits for it, or talks to it, blocks nobody else.
//!
//! [`Command`] wraps std's and starts children as that does; [`Child`] waits for them by a pidfd in a hub's poller;
//! [`ChildStdin`], [`ChildStdout`] and [`ChildStderr`] are green pipes. What does not wait is std's own.
//!
//! ```
//! use green_core::process::Command;
//!
//! let words = ["hello", "world"].map(|word| {
//!     green_core::spawn(move || Command::new("echo").arg(word).output())
//! });
//! for (word, said) in ["hello\n", "world\n"].iter().zip(words) {
//!     assert_eq!(said.into_result().unwrap()?.stdout, word.as_bytes());
//! }
//! # Ok::<(), std::io::Error>(())
//! ```

mod child;
mod command;
mod exit;
mod pipes;
#[expect(unsafe_code, reason = "std's `pre_exec` is unsafe")]
mod unix;

pub use child::Child;
pub use command::Command;
pub use exit::exit;
pub use pipes::{ChildStderr, ChildStdin, ChildStdout};
pub use std::os::unix::process::{ExitStatusExt, parent_id};
pub use std::process::{
    CommandArgs, CommandEnvs, ExitCode, ExitStatus, Output, Stdio, Termination, abort, id,
};
pub use unix::CommandExt;
