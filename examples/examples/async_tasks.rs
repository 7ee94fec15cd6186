//! Two coroutines that print their OS thread and sleep, joined; asyncio's first example.
//!
//! Shows `aio::spawn`, `aio::sleep` and `aio::gather`. Each task is a green thread that waits for its future, so it stays on the
//! OS thread of its hub: before and after every `await` it is the same one. With one hub it is the same one for both.
//!
//!     cargo run -p green-examples --example async_tasks

use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use green::aio;

fn main() {
    green::Config::new()
        .hubs(1)
        .apply()
        .expect("nothing runs yet");
    let start = Instant::now();
    let threads = aio::run_until_complete(async {
        let tasks = [("first", 20), ("second", 10)]
            .map(|(name, millis)| aio::spawn(count_down(name, Duration::from_millis(millis))));
        aio::gather(tasks).await.expect("no task panics")
    });
    println!("both are done after {:.1?}", start.elapsed());
    assert_eq!(threads[0], threads[1], "one hub is one OS thread");
}

/// Sleeps three times; returns the OS thread on which it did.
async fn count_down(name: &str, pause: Duration) -> ThreadId {
    let thread = thread::current().id();
    for n in (1..=3).rev() {
        println!("{name}: {n}, on {thread:?}");
        aio::sleep(pause).await;
        assert_eq!(thread::current().id(), thread, "the task has not moved");
    }
    println!("{name}: done, on {thread:?}");
    thread
}
