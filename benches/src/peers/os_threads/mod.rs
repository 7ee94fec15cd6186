//! std alone: one OS thread per task, std's channels and locks. What blocking code costs without a runtime.

mod primitives;
mod tasks;

use super::Serve;

pub(super) struct OsThreads;

impl Serve for OsThreads {}
