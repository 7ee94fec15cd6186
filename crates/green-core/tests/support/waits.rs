//! Waiting for others to wait.

use std::num::NonZeroU64;

use super::support::eventually;

/// Waits until the green thread of this number waits for `what`.
pub(crate) fn wait_begins(id: NonZeroU64, what: &str) {
    let (name, waits) = (format!("#{id} "), format!(" waits for {what} "));
    eventually("it waits", || {
        let mut dump = Vec::new();
        green_core::dump(&mut dump).expect("a vector takes everything");
        let dump = String::from_utf8_lossy(&dump);
        dump.lines()
            .any(|line| line.starts_with(&name) && line.contains(&waits))
    });
}
