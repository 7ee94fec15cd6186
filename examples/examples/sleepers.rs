//! Two green threads that sleep at the same time, and `joinall`.
//!
//! Shows `spawn`, `sleep` and `joinall`: both sleep for 200 ms, and together they take 200 ms, on one OS
//! thread or many. `joinall` returns them in the order in which they ended.
//!
//!     cargo run -p green-examples --example sleepers

use std::time::{Duration, Instant};

fn main() {
    let start = Instant::now();
    let sleepers = [("slow", 200), ("quick", 100)].map(|(name, millis)| {
        green::spawn(move || {
            println!("{name}: sleeping for {millis} ms");
            green::sleep(Duration::from_millis(millis));
            println!("{name}: awake");
            name
        })
    });
    let order: Vec<_> = green::joinall(&sleepers)
        .iter()
        .map(|sleeper| sleeper.get().unwrap())
        .collect();
    println!("they ended as {order:?}, after {:.1?}", start.elapsed());
    assert_eq!(order, ["quick", "slow"]);
}
