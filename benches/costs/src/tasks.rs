//! Operations on green threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use green_core::event::Event;
use green_core::greenlet::{Switch, switch};
use green_core::pool::Pool;
use green_core::sync::mpsc;
use green_core::{
    Greenlet, aio, block_on, blocking, joinall, sleep, spawn, spawn_local, thread, timeout,
    yield_now,
};

use crate::meter::{Meter, Operation};

pub(crate) const OPERATIONS: &[Operation] = &[
    Operation::new("yield", 4096, yields),
    Operation::new("spawn", 2000, spawns),
    Operation::new("spawn_join", 2000, spawn_join),
    Operation::new("spawn_local_join", 2000, spawn_local_join),
    Operation::new("joinall", 1000, join_all),
    Operation::new("switch", 1000, switches),
    Operation::new("spawn_kill", 500, spawn_kill),
    Operation::new("thread_spawn_join", 1000, thread_spawn_join),
    Operation::new("thread_scope", 1000, thread_scope),
    Operation::new("thread_park", 1000, thread_park),
    Operation::new("pool_spawn", 1000, pool_spawn),
    Operation::new("pool_map", 1000, pool_map),
    Operation::new("aio_spawn", 1000, aio_spawn),
    Operation::new("block_on", 1000, block_on_ready),
    Operation::new("timeout", 1000, timeout_alone),
    Operation::new("sleep", 25, sleeps),
    Operation::new("blocking", 200, blocking_nothing),
];

/// Those that need many stacks at once.
pub(crate) const CROWDS: &[Operation] = &[
    Operation::new("crowd", 300, crowd),
    Operation::new("sleep_crowd", 300, sleep_crowd),
];

/// Half of the yields are those of the other green thread.
fn yields(meter: &Meter) {
    let is_over = Arc::new(AtomicBool::new(false));
    let other = {
        let is_over = Arc::clone(&is_over);
        spawn(move || {
            while !is_over.load(Ordering::Relaxed) {
                yield_now();
            }
        })
    };
    meter.measure(|count| (0..count / 2).for_each(|_| yield_now()));
    is_over.store(true, Ordering::Relaxed);
    other.join();
}

/// In batches, each until all have ended; nobody joins them.
fn spawns(meter: &Meter) {
    let ended = Arc::new(AtomicU64::new(0));
    meter.measure(|count| {
        for _ in 0..count / BATCH {
            ended.store(0, Ordering::Relaxed);
            for _ in 0..BATCH {
                let ended = Arc::clone(&ended);
                spawn(move || ended.fetch_add(1, Ordering::Relaxed));
            }
            while ended.load(Ordering::Relaxed) < BATCH {
                yield_now();
            }
        }
    });
}

fn spawn_join(meter: &Meter) {
    meter.measure(|count| {
        for number in 0..count {
            assert_eq!(spawn(move || number).into_result().unwrap(), number);
        }
    });
}

fn spawn_local_join(meter: &Meter) {
    meter.measure(|count| {
        for number in 0..count {
            assert_eq!(spawn_local(move || number).into_result().unwrap(), number);
        }
    });
}

/// All at once.
fn join_all(meter: &Meter) {
    meter.measure(|count| {
        let crowd: Vec<_> = (0..count).map(|number| spawn(move || number)).collect();
        assert_eq!(joinall(&crowd).len(), crowd.len());
    });
}

/// Passes a value there and back.
fn switches(meter: &Meter) {
    let party = Switch::new(|mut number: u64| {
        loop {
            number = switch(number).unwrap();
        }
    });
    meter.measure(|count| {
        for number in 0..count {
            assert_eq!(party.switch(number).unwrap(), number);
        }
    });
}

/// It runs before it is killed.
fn spawn_kill(meter: &Meter) {
    meter.measure(|count| {
        for _ in 0..count {
            let sleeper = spawn(|| sleep(LONG));
            yield_now();
            sleeper.kill();
        }
    });
}

fn thread_spawn_join(meter: &Meter) {
    meter.measure(|count| {
        for number in 0..count {
            assert_eq!(thread::spawn(move || number).join().unwrap(), number);
        }
    });
}

/// One green thread a scope.
fn thread_scope(meter: &Meter) {
    meter.measure(|count| {
        for number in 0..count {
            let got = thread::scope(|scope| scope.spawn(|| number).join().unwrap());
            assert_eq!(got, number);
        }
    });
}

/// There and back.
fn thread_park(meter: &Meter) {
    let (sender, receiver) = mpsc::channel();
    let main = thread::current();
    let other = spawn(move || {
        sender.send(thread::current()).unwrap();
        loop {
            thread::park();
            main.unpark();
        }
    });
    let partner = receiver.recv().unwrap();
    meter.measure(|count| {
        for _ in 0..count {
            partner.unpark();
            thread::park();
        }
    });
    other.kill();
}

fn pool_spawn(meter: &Meter) {
    let pool = Pool::new(100);
    meter.measure(|count| {
        for number in 0..count {
            assert_eq!(pool.spawn(move || number).into_result().unwrap(), number);
        }
    });
}

/// An operation is an item of one `map` over all.
fn pool_map(meter: &Meter) {
    let pool = Pool::new(100);
    meter.measure(|count| {
        let sum: u64 = pool.map(0..count, |number| number).unwrap().iter().sum();
        assert_eq!(sum, count * (count - 1) / 2);
    });
}

/// A future in a green thread of its own.
fn aio_spawn(meter: &Meter) {
    meter.measure(|count| {
        for number in 0..count {
            assert_eq!(block_on(aio::spawn(async move { number })).unwrap(), number);
        }
    });
}

/// A future that is ready.
fn block_on_ready(meter: &Meter) {
    meter.measure(|count| {
        for number in 0..count {
            assert_eq!(block_on(async move { number }), number);
        }
    });
}

/// The scope of a timeout, around nothing.
fn timeout_alone(meter: &Meter) {
    meter.measure(|count| {
        for number in 0..count {
            assert_eq!(timeout(LONG, || number).unwrap(), number);
        }
    });
}

fn sleeps(meter: &Meter) {
    meter.measure(|count| (0..count).for_each(|_| sleep(SHORT)));
}

/// All wait at once, each on a stack of its own; an operation is one of them.
fn crowd(meter: &Meter) {
    let event = Arc::new(Event::new());
    meter.measure(|count| {
        event.clear();
        let waiting: Vec<_> = (0..count)
            .map(|_| {
                let event = Arc::clone(&event);
                spawn(move || event.wait())
            })
            .collect();
        yield_now();
        event.set();
        waiting.iter().for_each(Greenlet::join);
    });
}

/// All at once; an operation is a sleeper.
fn sleep_crowd(meter: &Meter) {
    meter.measure(|count| {
        let sleepers: Vec<_> = (0..count).map(|_| spawn(|| sleep(CROWDED))).collect();
        sleepers.iter().for_each(Greenlet::join);
    });
}

fn blocking_nothing(meter: &Meter) {
    meter.measure(|count| {
        for number in 0..count {
            assert_eq!(blocking(move || number), number);
        }
    });
}

/// How many are spawned at once.
const BATCH: u64 = 500;

const SHORT: Duration = Duration::from_millis(1);

/// Longer than it takes to start a crowd of sleepers.
const CROWDED: Duration = Duration::from_millis(100);

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(60);
