//! A storm on `wait` for semaphores and queues: a few permits and items go round among those who take them where they
//! stand in line, those who only look, and those who wait for whichever is ready first.

#[expect(dead_code, reason = "this one kills in its own way")]
#[path = "support/hammer.rs"]
mod hammer;
#[expect(dead_code, reason = "here everyone ends in the same way")]
#[path = "support/storm.rs"]
mod storm;
mod support;

use std::sync::Arc;

use green_core::lock::{BoundedSemaphore, Permit, Semaphore};
use green_core::queue::{LifoQueue, PriorityQueue, Queue};
use green_core::{Waitable, iwait, wait_count, wait_timeout, yield_now};
use hammer::Rng;
use storm::Storm;

/// How many permits, and how many items, of each kind.
const EACH: usize = 2;

struct Things {
    semaphore: Semaphore,
    bounded: BoundedSemaphore,
    queue: Queue<usize>,
    lifo: LifoQueue<usize>,
    priority: PriorityQueue<usize>,
}

/// Something that was taken; it goes back when it is dropped.
enum Taken<'a> {
    Permit { _permit: Permit<'a> },
    Item(Box<dyn Fn() + 'a>),
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        if let Self::Item(put_back) = self {
            put_back();
        }
    }
}

/// How to take.
#[derive(Clone, Copy)]
enum How {
    /// Waiting in line.
    Wait,
    /// If it is there.
    Try,
}

impl Things {
    fn all(&self) -> [&dyn Waitable; 5] {
        let Self {
            semaphore,
            bounded,
            queue,
            lifo,
            priority,
        } = self;
        [semaphore, bounded, queue, lifo, priority]
    }

    fn take(&self, place: usize, how: How) -> Option<Taken<'_>> {
        macro_rules! item {
            ($queue:ident) => {{
                let item = match how {
                    How::Wait => self.$queue.get(),
                    How::Try => self.$queue.try_get(),
                };
                let item = item.ok()?;
                let put_back = move || self.$queue.try_put(item).expect("there is always room");
                Some(Taken::Item(Box::new(put_back)))
            }};
        }
        let permit = match (place, how) {
            (0, How::Wait) => self.semaphore.acquire(),
            (0, How::Try) => self.semaphore.try_acquire()?,
            (1, How::Wait) => self.bounded.acquire(),
            (1, How::Try) => self.bounded.try_acquire()?,
            (2, _) => return item!(queue),
            (3, _) => return item!(lifo),
            _ => return item!(priority),
        };
        Some(Taken::Permit { _permit: permit })
    }

    /// Only looks, in line with the others.
    fn look(&self, place: usize) {
        match place {
            0 => _ = self.semaphore.wait(),
            1 => _ = self.bounded.wait(),
            2 => drop(self.queue.peek()),
            3 => drop(self.lifo.peek()),
            _ => drop(self.priority.peek()),
        }
    }
}

#[test]
fn wait_for_what_goes_round() {
    let before = hammer::start();
    let things = Arc::new(Things {
        semaphore: Semaphore::new(EACH),
        bounded: BoundedSemaphore::new(EACH),
        queue: (0..EACH).collect(),
        lifo: (0..EACH).collect(),
        priority: (0..EACH).collect(),
    });
    let theirs = Arc::clone(&things);
    let storm = Storm::blow(move |_, rng: &mut Rng| {
        let all = theirs.all();
        let place = usize::try_from(rng.below(5)).expect("a small number");
        let taken = match rng.below(8) {
            0 => theirs.take(place, How::Wait),
            1 => {
                theirs.look(place);
                None
            }
            2 => {
                wait_timeout(&all[place..=place], rng.limit());
                None
            }
            3 => {
                let first = iwait(&all).next().expect("it waits for one");
                theirs.take(first, How::Try)
            }
            4 => {
                // All of them, at different times.
                assert_eq!(iwait(&all).count(), all.len());
                None
            }
            _ => {
                assert_eq!(wait_count(&all[place..=place], 1), [0]);
                theirs.take(place, How::Try)
            }
        };
        if rng.below(2) == 0 {
            yield_now();
        }
        drop(taken);
    });
    storm.end_all("everyone");
    let available = [things.semaphore.available(), things.bounded.available()];
    let items = [things.queue.len(), things.lifo.len(), things.priority.len()];
    assert_eq!((available, items), ([EACH; 2], [EACH; 3]));
    hammer::settled(&before);
}
