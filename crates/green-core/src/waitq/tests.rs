//! What the public API cannot reach: tickets, and claims that somebody else has won.

use super::*;
use crate::park::Opened;

/// A wait that nobody ever parks in, on an OS thread of its own, to be linked with `ticket`.
fn waiter(ticket: u64) -> (Waiter, Opened) {
    let opened = std::thread::scope(|scope| {
        let begin = || Caller::current().begin(Mode::Interruptible);
        scope
            .spawn(begin)
            .join()
            .expect("nothing panics")
            .expect("nobody interrupts an OS thread")
    });
    (Waiter::new(opened.unparker.clone(), ticket), opened)
}

fn link(queue: &mut WaitQueue, waiters: &[(Waiter, Opened)], order: &[usize]) {
    for &index in order {
        // SAFETY: the waiter is not linked, and is used by the list while `waiters` lives only.
        unsafe { queue.list.insert(NonNull::from(&waiters[index].0)) };
    }
}

/// Whether the wait of this waiter has been claimed already.
fn is_claimed((_, opened): &(Waiter, Opened)) -> bool {
    !opened.unparker.claim(Outcome::TimedOut)
}

#[test]
fn one_that_comes_back_stands_where_it_stood() {
    let waiters: Vec<_> = (0..5).map(waiter).collect();
    let mut queue = WaitQueue::new();
    link(&mut queue, &waiters, &[1, 3, 0, 4, 2]);
    for next in &waiters {
        assert!(queue.notify_one().is_some());
        assert!(is_claimed(next));
    }
    assert!(queue.is_empty() && queue.notify_one().is_none());
}

#[test]
fn a_notification_skips_those_that_are_claimed() {
    let waiters: Vec<_> = (0..3).map(waiter).collect();
    let mut queue = WaitQueue::new();
    link(&mut queue, &waiters, &[0, 1, 2]);
    assert!(waiters[0].1.unparker.claim(Outcome::TimedOut));
    assert!(waiters[1].1.unparker.claim(Outcome::Interrupted));
    assert!(queue.notify_one().is_some());
    assert!(is_claimed(&waiters[2]) && queue.is_empty());
}

#[test]
fn a_waiter_can_leave_from_anywhere() {
    let waiters: Vec<_> = (0..4).map(waiter).collect();
    let mut queue = WaitQueue::new();
    link(&mut queue, &waiters, &[0, 1, 2, 3]);
    for leaver in [1, 3, 0] {
        let leaver = NonNull::from(&waiters[leaver].0);
        // SAFETY: the waiter is alive, and was linked in this list only.
        assert!(unsafe { queue.list.remove(leaver) });
        // SAFETY: as above.
        assert!(!unsafe { queue.list.remove(leaver) }, "it is gone");
    }
    assert!(queue.notify_one().is_some() && is_claimed(&waiters[2]) && queue.is_empty());
}

#[test]
fn a_bound_leaves_those_who_came_later() {
    let waiters: Vec<_> = (0..3).map(waiter).collect();
    let mut queue = WaitQueue::new();
    link(&mut queue, &waiters, &[0, 1, 2]);
    assert!(queue.notify_below(2).is_some() && queue.notify_below(2).is_some());
    assert!(queue.notify_below(2).is_none() && !queue.is_empty());
}
