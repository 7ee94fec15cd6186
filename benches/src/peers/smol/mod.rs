//! smol: async tasks on a local executor, which `block_on` drives on one OS thread.

mod primitives;
mod serve;
mod tasks;

use std::rc::Rc;

use smol::LocalExecutor;

pub(super) struct Smol {
    /// Shared with the tasks that spawn others.
    executor: Rc<LocalExecutor<'static>>,
}

impl Smol {
    pub(super) fn start() -> Self {
        Self {
            executor: Rc::new(LocalExecutor::new()),
        }
    }

    /// Runs `body` and what it spawns, until `body` is over.
    fn run<T: 'static>(&self, body: impl Future<Output = T> + 'static) -> T {
        // A task, not the main future: that one is polled between the tasks, on a schedule of its own.
        let main = self.executor.spawn(body);
        smol::block_on(self.executor.run(main))
    }
}
