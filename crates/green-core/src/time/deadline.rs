//! When a wait gives up.

use std::time::{Duration, Instant};

/// When a wait gives up: at an instant, or never.
///
/// A span beyond what the clock can express means never.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deadline {
    /// It waits for ever.
    Never,
    /// It gives up at this instant, not before.
    At(Instant),
}

impl Deadline {
    /// `timeout` from now.
    pub(crate) fn after(timeout: Duration) -> Self {
        Instant::now()
            .checked_add(timeout)
            .map_or(Self::Never, Self::At)
    }

    /// The instant.
    pub(crate) fn instant(self) -> Option<Instant> {
        match self {
            Self::Never => None,
            Self::At(at) => Some(at),
        }
    }

    /// Whether it has passed.
    pub(crate) fn is_past(self) -> bool {
        self.instant().is_some_and(|at| at <= Instant::now())
    }
}

impl From<Option<Instant>> for Deadline {
    fn from(at: Option<Instant>) -> Self {
        at.map_or(Self::Never, Self::At)
    }
}
