//! Operations on what green threads wait for. Where two of them take turns, an operation is there and back.

use std::io::{PipeReader, Write as _};
use std::sync::Arc;
use std::time::Duration;

use green_core::event::{AsyncResult, Event};
use green_core::lock::{RLock, Semaphore};
use green_core::queue::{Channel, Queue};
use green_core::select::select;
use green_core::sync::mpsc;
use green_core::sync::{Condvar, Mutex, RwLock};
use green_core::{Greenlet, spawn, wait_count, yield_now};

use crate::meter::{Meter, Operation};

pub(crate) const OPERATIONS: &[Operation] = &[
    Operation::new("queue", 2000, queue),
    Operation::new("queue_bounded", 2000, queue_bounded),
    Operation::new("queue_timeout", 1000, queue_timeout),
    Operation::new("channel", 1000, channel),
    Operation::new("mpsc", 2000, mpsc_unbounded),
    Operation::new("mpsc_bounded", 1000, mpsc_bounded),
    Operation::new("mpsc_rendezvous", 1000, mpsc_rendezvous),
    Operation::new("mutex", 2000, mutex),
    Operation::new("mutex_contended", 1000, mutex_contended),
    Operation::new("rwlock", 1000, rwlock),
    Operation::new("rlock", 1000, rlock),
    Operation::new("semaphore", 1000, semaphore),
    Operation::new("semaphore_contended", 1000, semaphore_contended),
    Operation::new("condvar", 1000, condvar),
    Operation::new("event", 1000, event),
    Operation::new("event_timeout", 1000, event_timeout),
    Operation::new("async_result", 1000, async_result),
    Operation::new("wait", 1000, wait_for_one_of_two),
    Operation::new("select", 500, select_ready),
];

fn queue(meter: &Meter) {
    let (there, back) = (Arc::new(Queue::unbounded()), Arc::new(Queue::unbounded()));
    let other = {
        let (there, back) = (Arc::clone(&there), Arc::clone(&back));
        spawn(move || there.iter().for_each(|item| back.put(item).unwrap()))
    };
    meter.measure(|count| {
        for item in 0..count {
            there.put(item).unwrap();
            assert_eq!(back.get().unwrap(), item);
        }
    });
    there.close();
    other.join();
}

/// One way, through a queue with room for one; an operation is an item.
fn queue_bounded(meter: &Meter) {
    let queue = Arc::new(Queue::bounded(1));
    let other = {
        let queue = Arc::clone(&queue);
        spawn(move || queue.iter().count())
    };
    meter.measure(|count| (0..count).for_each(|item| queue.put(item).unwrap()));
    queue.close();
    other.join();
}

fn queue_timeout(meter: &Meter) {
    let (there, back) = (Arc::new(Queue::unbounded()), Arc::new(Queue::unbounded()));
    let other = {
        let (there, back) = (Arc::clone(&there), Arc::clone(&back));
        spawn(move || there.iter().for_each(|item| back.put(item).unwrap()))
    };
    meter.measure(|count| {
        for item in 0..count {
            there.put(item).unwrap();
            assert_eq!(back.get_timeout(LONG).unwrap(), item);
        }
    });
    there.close();
    other.join();
}

/// One way; an operation is an item.
fn channel(meter: &Meter) {
    let channel = Arc::new(Channel::new());
    let other = {
        let channel = Arc::clone(&channel);
        spawn(move || channel.iter().count())
    };
    meter.measure(|count| (0..count).for_each(|item| channel.put(item).unwrap()));
    channel.close();
    other.join();
}

fn mpsc_unbounded(meter: &Meter) {
    let (there, from) = mpsc::channel();
    let (to, back) = mpsc::channel();
    let other = spawn(move || from.iter().for_each(|item: u64| to.send(item).unwrap()));
    meter.measure(|count| {
        for item in 0..count {
            there.send(item).unwrap();
            assert_eq!(back.recv().unwrap(), item);
        }
    });
    drop(there);
    other.join();
}

fn mpsc_bounded(meter: &Meter) {
    one_way(meter, 1);
}

fn mpsc_rendezvous(meter: &Meter) {
    one_way(meter, 0);
}

/// An operation is an item.
fn one_way(meter: &Meter, room: usize) {
    let (sender, receiver) = mpsc::sync_channel(room);
    let other = spawn(move || receiver.iter().count());
    meter.measure(|count| (0..count).for_each(|item| sender.send(item).unwrap()));
    drop(sender);
    other.join();
}

/// Nobody else wants it.
fn mutex(meter: &Meter) {
    let mutex = Mutex::new(0);
    meter.measure(|count| (0..count).for_each(|_| *mutex.lock().unwrap() += 1));
}

/// Two hold it in turn, and the other one waits each time.
fn mutex_contended(meter: &Meter) {
    let mutex = Arc::new(Mutex::new(0_u64));
    let hold = |mutex: &Mutex<u64>| {
        let mut guard = mutex.lock().unwrap();
        *guard += 1;
        yield_now();
    };
    let other = {
        let mutex = Arc::clone(&mutex);
        spawn(move || {
            loop {
                hold(&mutex);
                yield_now();
            }
        })
    };
    meter.measure(|count| {
        for _ in 0..count {
            hold(&mutex);
            yield_now();
        }
    });
    other.kill();
}

/// Reads, then writes; nobody else wants it.
fn rwlock(meter: &Meter) {
    let lock = RwLock::new(0);
    meter.measure(|count| {
        for _ in 0..count {
            let value = *lock.read().unwrap();
            *lock.write().unwrap() = value + 1;
        }
    });
}

/// Nobody else wants it.
fn rlock(meter: &Meter) {
    let lock = RLock::new();
    meter.measure(|count| (0..count).for_each(|_| drop(lock.acquire())));
}

/// Nobody else wants it.
fn semaphore(meter: &Meter) {
    let semaphore = Semaphore::new(1);
    meter.measure(|count| (0..count).for_each(|_| drop(semaphore.acquire())));
}

fn semaphore_contended(meter: &Meter) {
    let [there, back] = [0, 0].map(|permits| Arc::new(Semaphore::new(permits)));
    let other = {
        let (there, back) = (Arc::clone(&there), Arc::clone(&back));
        spawn(move || {
            loop {
                there.acquire().forget();
                back.release();
            }
        })
    };
    meter.measure(|count| {
        for _ in 0..count {
            there.release();
            back.acquire().forget();
        }
    });
    other.kill();
}

fn condvar(meter: &Meter) {
    let shared = Arc::new((Mutex::new(false), Condvar::new()));
    let turn = |shared: &(Mutex<bool>, Condvar), mine: bool| {
        let (is_other, changed) = shared;
        let guard = is_other.lock().unwrap();
        let mut guard = changed
            .wait_while(guard, |is_other| *is_other != mine)
            .unwrap();
        *guard = !mine;
        drop(guard);
        changed.notify_one();
    };
    let other: Greenlet<()> = {
        let shared = Arc::clone(&shared);
        spawn(move || {
            loop {
                turn(&shared, true);
            }
        })
    };
    meter.measure(|count| (0..count).for_each(|_| turn(&shared, false)));
    other.kill();
}

fn event(meter: &Meter) {
    let [there, back] = [(), ()].map(|()| Arc::new(Event::new()));
    let other = answer(&there, &back);
    meter.measure(|count| {
        for _ in 0..count {
            there.set();
            back.wait();
            back.clear();
        }
    });
    other.kill();
}

/// Each wait of the counted one has a timeout.
fn event_timeout(meter: &Meter) {
    let [there, back] = [(), ()].map(|()| Arc::new(Event::new()));
    let other = answer(&there, &back);
    meter.measure(|count| {
        for _ in 0..count {
            there.set();
            assert!(back.wait_timeout(LONG));
            back.clear();
        }
    });
    other.kill();
}

/// One way, and a new one each time.
fn async_result(meter: &Meter) {
    let queue = Arc::new(Queue::<Arc<AsyncResult<u64>>>::unbounded());
    let other = {
        let queue = Arc::clone(&queue);
        spawn(move || queue.iter().for_each(|result| result.set(7).unwrap()))
    };
    meter.measure(|count| {
        for _ in 0..count {
            let result = Arc::new(AsyncResult::new());
            queue.put(Arc::clone(&result)).unwrap();
            assert_eq!(result.get().unwrap(), 7);
        }
    });
    queue.close();
    other.join();
}

/// For one of two events, which the other green thread sets.
fn wait_for_one_of_two(meter: &Meter) {
    let [there, back, never] = [(), (), ()].map(|()| Arc::new(Event::new()));
    let other = answer(&there, &back);
    meter.measure(|count| {
        for _ in 0..count {
            there.set();
            assert_eq!(wait_count(&[&*never, &*back], 1), [1]);
            back.clear();
        }
    });
    other.kill();
}

/// For one pipe of two, which has data.
fn select_ready(meter: &Meter) {
    let none: [&PipeReader; 0] = [];
    let (quiet, _keep) = std::io::pipe().unwrap();
    let (reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(b"!").unwrap();
    meter.measure(|count| {
        for _ in 0..count {
            let ready = select(&[&quiet, &reader], &none, &none, Some(LONG)).unwrap();
            assert_eq!(ready.read, [1]);
        }
    });
}

/// Starts a green thread that sets `back` whenever `there` is set.
fn answer(there: &Arc<Event>, back: &Arc<Event>) -> Greenlet<()> {
    let (there, back) = (Arc::clone(there), Arc::clone(back));
    spawn(move || {
        loop {
            there.wait();
            there.clear();
            back.set();
        }
    })
}

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(60);
