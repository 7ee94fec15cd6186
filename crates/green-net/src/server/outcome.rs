//! What a handler returns.

use std::fmt::Display;

/// What a handler of a server may return: nothing, or a `Result` whose error is logged.
pub trait Outcome {
    /// Why the handler failed, if it did.
    fn failure(self) -> Option<String>;
}

impl Outcome for () {
    fn failure(self) -> Option<String> {
        None
    }
}

impl<E: Display> Outcome for Result<(), E> {
    fn failure(self) -> Option<String> {
        self.err().map(|error| error.to_string())
    }
}

/// Logs what went wrong, if anything did.
pub(super) fn log(outcome: impl Outcome) {
    if let Some(failure) = outcome.failure() {
        log::warn!("a handler failed: {failure}");
    }
}
