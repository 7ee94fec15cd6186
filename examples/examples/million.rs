//! A million green threads, all parked at once in one process, woken and joined.
//!
//! ```text
//! cargo run --release -p green-examples --example million -- 1000000
//! ```
//!
//! Prints what each costs. Afterwards the runtime gives back what it no longer needs.

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use green::event::Event;
use green::{Greenlet, joinall, sleep, spawn, stats};

/// How many, unless the command line says: few enough for any machine.
const DEFAULT: usize = 10_000;

fn main() {
    let count = std::env::args()
        .nth(1)
        .map_or(DEFAULT, |count| count.parse().expect("a number"));
    green::run(move || {
        let before = resident();
        let begun = Instant::now();
        let go = Arc::new(Event::new());
        let all: Vec<Greenlet<()>> = (0..count)
            .map(|_| {
                let go = Arc::clone(&go);
                spawn(move || go.wait())
            })
            .collect();
        // Each runs until it waits.
        while stats().switches < count as u64 {
            green::yield_now();
        }
        let each = begun.elapsed() / u32::try_from(count).unwrap_or(u32::MAX);
        let bytes = resident().saturating_sub(before) / count;
        println!(
            "{count} green threads are parked, {bytes} B resident each, made in {each:?} each"
        );

        let begun = Instant::now();
        go.set();
        assert_eq!(joinall(&all).len(), count);
        println!("woken and joined in {:?}", begun.elapsed());

        drop(all);
        let begun = Instant::now();
        while stats().carriers > KEPT * stats().hubs as u64 && begun.elapsed() < LONGEST {
            sleep(Duration::from_millis(100));
        }
        let kept = resident().saturating_sub(before);
        println!(
            "after {:.1?} {kept} B of that are resident still",
            begun.elapsed()
        );
    });
}

/// Stacks that a hub keeps for the next green threads, and one that is in use.
const KEPT: u64 = 64 + 1;

/// How long the runtime may take to give back what a burst has used.
const LONGEST: Duration = Duration::from_secs(60);

/// Resident memory of this process, in bytes.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux has it");
    let pages: usize = statm
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse().ok())
        .expect("the second number is of pages");
    pages * 4096
}
