//! Waiting until a hub has nothing else to do.

use std::sync::OnceLock;

use crate::interrupt::OrRaise;
use crate::sched::{Local, WaitFor};
use crate::time::deadline::Deadline;
use crate::waitq::{Monitor, Wait, WaitQueue};

/// Those who wait, by hub.
static QUEUES: OnceLock<Box<[Monitor<WaitQueue>]>> = OnceLock::new();

/// Makes room for so many hubs.
pub(super) fn start(hubs: usize) {
    QUEUES.get_or_init(|| (0..hubs).map(|_| Monitor::new(WaitQueue::new())).collect());
}

/// Waits, in a green thread of this hub.
pub(crate) fn wait(hub: &'static Local) {
    /// Not counted any more, on every way out.
    struct Counted(&'static Local);

    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.idlers.set(self.0.idlers.get() - 1);
        }
    }

    hub.idlers.set(hub.idlers.get() + 1);
    let _counted = Counted(hub);
    let wait = Wait::new(WaitFor::Idle, Deadline::Never);
    queue(hub.shared.id)
        .wait_once_then(wait, |queue| queue, |_| None::<()>, || ())
        .unless_interrupted();
}

/// Wakes those who wait for this hub.
pub(super) fn wake(hub: usize) {
    queue(hub).notify_all(|queue| queue, |_| ());
}

fn queue(hub: usize) -> &'static Monitor<WaitQueue> {
    let queues = QUEUES.get().expect("the hubs run");
    &queues[hub]
}
