//! Producers and consumers around a bounded queue.
//!
//! Shows `queue::Queue`: `put` waits while the queue is full, `get` while it is empty, `close` lets the
//! consumers finish what is left. Waiting costs no OS thread.
//!
//!     cargo run -p green-examples --example producer_consumer

use std::time::Duration;

use green::queue::Queue;

fn main() {
    let queue = Queue::bounded(3);

    let producers: Vec<_> = (0..2)
        .map(|producer| {
            let queue = queue.clone();
            green::spawn(move || {
                for n in 0..5 {
                    let item = producer * 100 + n;
                    queue.put(item).expect("the queue is open");
                    println!("producer {producer} has put {item}");
                }
            })
        })
        .collect();

    let consumers: Vec<_> = (0..3)
        .map(|consumer| {
            let queue = queue.clone();
            green::spawn(move || {
                let mut sum = 0;
                for item in queue.iter() {
                    println!("    consumer {consumer} has got {item}");
                    green::sleep(Duration::from_millis(5));
                    sum += item;
                }
                sum
            })
        })
        .collect();

    green::joinall(&producers);
    queue.close();
    let sums = green::joinall(&consumers);
    let total: u32 = sums.iter().map(|consumer| consumer.get().unwrap()).sum();
    println!("total {total}");
    assert_eq!(total, 520);
}
