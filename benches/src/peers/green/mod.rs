//! green: green threads on hubs.

mod primitives;
mod serve;
mod tasks;

use std::io;

use green_core::Config;

use super::Workers;

pub(super) struct Green;

impl Green {
    pub(super) fn start(workers: Workers) -> io::Result<Self> {
        Config::new()
            .hubs(workers.get())
            .apply()
            .map_err(io::Error::other)?;
        Ok(Self)
    }
}
