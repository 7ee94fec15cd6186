//! What the public API cannot reach: tickets, and claims that somebody else has won.

use super::*;
use crate::sched::waiter;
use crate::sched::word::Mode;

/// Nobody: these waiters are never woken.
struct Nobody;

impl waiter::Wake for Nobody {
    fn wake(&self) {}
}

/// Waiters with a wait that is open.
fn waiters<const N: usize>() -> [&'static Waiter; N] {
    std::array::from_fn(|_| {
        let waiter: &'static Waiter = Box::leak(Box::new(Waiter::new()));
        waiter.wakes_other(&Nobody);
        let _ = waiter.word.begin(Mode::Interruptible);
        waiter
    })
}

fn link(queue: &mut WaitQueue, waiters: &[&'static Waiter], order: &[usize]) {
    for &index in order {
        queue.enqueue(waiters[index], &mut Some(index as u64), Share::Alone);
    }
}

/// Whether the wait of this waiter has been claimed already.
fn is_claimed(waiter: &Waiter) -> bool {
    !waiter.claim_linked(Outcome::TimedOut)
}

#[test]
fn one_that_comes_back_stands_where_it_stood() {
    let waiters = waiters::<5>();
    let mut queue = WaitQueue::new();
    link(&mut queue, &waiters, &[1, 3, 0, 4, 2]);
    for next in waiters {
        assert!(queue.notify_one().is_some());
        assert!(is_claimed(next));
    }
    assert!(queue.is_empty() && queue.notify_one().is_none());
}

#[test]
fn new_ones_stand_behind_those_before() {
    let waiters = waiters::<3>();
    let mut queue = WaitQueue::new();
    for waiter in waiters {
        queue.enqueue(waiter, &mut None, Share::Alone);
    }
    for next in waiters {
        assert!(queue.notify_one().is_some() && is_claimed(next));
    }
}

#[test]
fn a_notification_skips_those_that_are_claimed() {
    let waiters = waiters::<3>();
    let mut queue = WaitQueue::new();
    link(&mut queue, &waiters, &[0, 1, 2]);
    assert!(waiters[0].claim_linked(Outcome::TimedOut));
    assert!(waiters[1].claim_linked(Outcome::Interrupted));
    assert!(queue.notify_one().is_some());
    assert!(is_claimed(waiters[2]) && queue.is_empty());
}

#[test]
fn a_waiter_can_leave_from_anywhere() {
    let waiters = waiters::<4>();
    let mut queue = WaitQueue::new();
    link(&mut queue, &waiters, &[0, 1, 2, 3]);
    for leaver in [1, 3, 0] {
        assert!(queue.leave(waiters[leaver]));
        assert!(!queue.leave(waiters[leaver]), "it is gone");
    }
    assert!(queue.notify_one().is_some() && is_claimed(waiters[2]) && queue.is_empty());
}

#[test]
fn a_bound_leaves_those_who_came_later() {
    let waiters = waiters::<3>();
    let mut queue = WaitQueue::new();
    link(&mut queue, &waiters, &[0, 1, 2]);
    assert!(queue.notify_below(2).is_some() && queue.notify_below(2).is_some());
    assert!(queue.notify_below(2).is_none() && !queue.is_empty());
}

#[test]
fn one_that_is_not_let_in_keeps_those_behind_it_out() {
    let waiters = waiters::<4>();
    let mut queue = WaitQueue::new();
    let shares = [
        Share::Together,
        Share::Together,
        Share::Alone,
        Share::Together,
    ];
    for (waiter, share) in waiters.into_iter().zip(shares) {
        queue.enqueue(waiter, &mut None, share);
    }
    assert!(waiters[1].claim_linked(Outcome::Interrupted));
    let together = |share| share == Share::Together;
    let first = queue.notify_one_if(together);
    assert!(matches!(first, Some((Share::Together, _))) && is_claimed(waiters[0]));
    assert!(queue.notify_one_if(together).is_none() && !is_claimed(waiters[3]));
    let next = queue.notify_one_if(|_| true);
    assert!(matches!(next, Some((Share::Alone, _))));
}
