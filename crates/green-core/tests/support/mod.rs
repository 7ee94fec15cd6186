//! Helpers of the tests.

use std::time::{Duration, Instant};

/// Waits until `condition` holds; fails after ten seconds.
#[track_caller]
pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(Instant::now() < end, "not within ten seconds: {what}");
        green_core::sleep(Duration::from_millis(1));
    }
}
