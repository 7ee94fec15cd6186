//! `Queue`.

use std::time::Duration;

use green_core::queue::{GetError, PutError, Queue};
use green_core::{Config, joinall, run, spawn, yield_now};

#[test]
fn first_in_first_out() {
    let queue = Queue::unbounded();
    (0..100).for_each(|n| queue.put(n).unwrap());
    assert_eq!(queue.len(), 100);
    queue.close();
    assert!(queue.iter().eq(0..100));
    assert_eq!(queue.get(), Err(GetError::Closed));
}

#[test]
fn a_full_queue_gives_the_item_back() {
    let queue = Queue::bounded(1);
    assert!(queue.is_empty() && !queue.is_full());
    queue.put("kept").unwrap();
    assert!(queue.is_full());
    assert_eq!(queue.try_put("back"), Err(PutError::Full("back")));
    assert_eq!(
        queue.put_timeout("back", Duration::from_millis(1)),
        Err(PutError::Full("back"))
    );
    assert_eq!(
        queue
            .put_timeout("back", Duration::ZERO)
            .unwrap_err()
            .into_inner(),
        "back"
    );
    queue.close();
    assert_eq!(queue.put("back"), Err(PutError::Closed("back")));
    assert_eq!(queue.get(), Ok("kept"));
    assert!(queue.is_closed());
}

#[test]
fn an_empty_queue_says_so() {
    let queue = Queue::<u32>::bounded(0);
    assert_eq!(queue.try_get(), Err(GetError::Empty));
    assert_eq!(
        queue.get_timeout(Duration::from_millis(1)),
        Err(GetError::Empty)
    );
    queue.try_put(1).unwrap();
    assert_eq!(
        queue.try_put(2),
        Err(PutError::Full(2)),
        "a capacity of zero counts as one"
    );
}

#[test]
fn close_wakes_everyone() {
    Config::new().hubs(1).apply().ok();
    run(|| {
        let (empty, full) = (Queue::<u32>::unbounded(), Queue::bounded(1));
        full.put(0_u32).unwrap();
        let waiters: Vec<_> = (0..40)
            .map(|n| {
                let (empty, full) = (empty.clone(), full.clone());
                spawn(move || match n % 2 {
                    0 => empty.get() == Err(GetError::Closed),
                    _ => full.put(n) == Err(PutError::Closed(n)),
                })
            })
            .collect();
        yield_now();
        empty.close();
        full.close();
        assert!(joinall(&waiters).iter().all(|g| g.get().unwrap()));
    });
}

#[test]
fn getters_and_putters_are_served_in_order() {
    Config::new().hubs(1).apply().ok();
    run(|| {
        let queue = Queue::bounded(1);
        let getters: Vec<_> = (0..10)
            .map(|_| {
                let queue = queue.clone();
                spawn(move || queue.get().unwrap())
            })
            .collect();
        yield_now();
        (0..10).for_each(|n| queue.put(n).unwrap());
        assert!(getters.iter().map(|g| g.get().unwrap()).eq(0..10));
        queue.put(100).unwrap();
        let putters: Vec<_> = (0..10)
            .map(|n| {
                let queue = queue.clone();
                spawn(move || queue.put(n).unwrap())
            })
            .collect();
        yield_now();
        assert_eq!(queue.get(), Ok(100));
        assert!((0..10).map(|_| queue.get().unwrap()).eq(0..10));
        joinall(&putters);
    });
}

#[test]
fn a_put_that_times_out_withdraws_its_item() {
    Config::new().hubs(1).apply().ok();
    run(|| {
        let queue = Queue::bounded(1);
        queue.put(1).unwrap();
        let theirs = queue.clone();
        let hasty = spawn(move || theirs.put_timeout(2, Duration::from_millis(1)));
        assert_eq!(hasty.get().unwrap(), Err(PutError::Full(2)));
        assert_eq!(queue.get(), Ok(1));
        assert_eq!(queue.try_get(), Err(GetError::Empty));
    });
}

#[test]
fn debug_does_not_show_the_items() {
    let queue = Queue::unbounded();
    queue.put(7).unwrap();
    assert_eq!(format!("{queue:?}"), "Queue { len: 1, closed: false, .. }");
    assert_eq!(format!("{:?}", PutError::Full(7)), "Full(..)");
}
