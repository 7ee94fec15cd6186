//! tokio: async tasks on its current-thread runtime, or on its multi-thread runtime.

mod primitives;
mod serve;
mod tasks;

use std::io;

use tokio::runtime::{self, Builder};

use super::Workers;

pub(super) struct Tokio {
    runtime: runtime::Runtime,
}

impl Tokio {
    pub(super) fn current_thread() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        Ok(Self { runtime })
    }

    pub(super) fn multi_thread(workers: Workers) -> io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(workers.get())
            .enable_all()
            .build()?;
        Ok(Self { runtime })
    }
}
