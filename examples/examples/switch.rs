//! A producer and a consumer that pass control to each other by name.
//!
//! Shows `greenlet::Switch`: no queue and no lock, one of the two runs at a time, and `switch` hands over a value with the
//! turn. The producer may wait all the same: other green threads run meanwhile.
//!
//!     cargo run -p green-examples --example switch

use std::time::Duration;

use green::greenlet::Switch;

/// What goes over: an item to the consumer, nothing to the producer.
type Item = Option<u32>;

#[green::main]
fn main() {
    let main = Switch::<Item>::current();

    // It runs at the first switch to it, and goes on at each further one.
    let consumer = Switch::new(move |mut item: Item| {
        let mut sum = 0;
        while let Some(n) = item {
            println!("    consumed {n}");
            sum += n;
            item = main.switch(None).expect("the producer waits for its turn");
        }
        // To the parent, which made it.
        Some(sum)
    });

    for n in 1..=5 {
        green::sleep(Duration::from_millis(5));
        println!("produced {n}");
        consumer.switch(Some(n)).expect("the consumer waits");
    }
    let sum = consumer.switch(None).expect("the consumer waits");
    println!("total {sum:?}");
    assert_eq!(sum, Some(15));
    assert!(consumer.dead());
}
