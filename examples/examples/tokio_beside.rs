//! A thousand green threads that wait for a library which insists on tokio.
//!
//! Shows `green_async::tokio::run`: the future runs on a tokio runtime in the background, and only the green thread that
//! asked waits for it. tokio's own sleep stands for the library.
//!
//!     cargo run -p green-examples --example tokio_beside

use std::time::{Duration, Instant};

fn main() {
    let start = Instant::now();
    let sleepers = (0..1_000).map(|n: u64| {
        green::spawn(move || {
            green_async::tokio::run(async move {
                tokio::time::sleep(Duration::from_millis(100)).await;
                n
            })
        })
    });
    let ended = green::joinall(sleepers);
    let sum: u64 = ended.iter().map(|sleeper| sleeper.get().unwrap()).sum();
    println!(
        "{} green threads slept for 100 ms within {:.1?}",
        ended.len(),
        start.elapsed()
    );
    assert_eq!(sum, 999 * 1_000 / 2);
}
