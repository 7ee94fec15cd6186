//! A hammer on the readers of a pipe that is opened as a file: kills and time limits race, from everywhere at once.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]
#![expect(clippy::disallowed_methods, reason = "OS threads take part")]
#![expect(unsafe_code, reason = "coroutines of `may` take part")]

#[path = "support/hammer.rs"]
mod hammer;
mod support;

use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use green_core::fs::File;
use green_core::{timeout, yield_now};
use hammer::Rng;

/// How often each byte was read.
struct Counts([AtomicUsize; 256]);

impl Counts {
    /// Reads once, into a buffer of a random size; `false` at the end.
    fn read(&self, file: &File, rng: &mut Rng) -> bool {
        let mut buf = [0; 8];
        let len = usize::try_from(rng.below(8)).unwrap() + 1;
        let mut file = file;
        let n = file.read(&mut buf[..len]).unwrap();
        for &byte in &buf[..n] {
            self.0[usize::from(byte)].fetch_add(1, Ordering::Relaxed);
        }
        n > 0
    }

    fn total(&self) -> usize {
        self.0.iter().map(|n| n.load(Ordering::Relaxed)).sum()
    }
}

#[test]
fn readers_of_clones() {
    const WORKERS: u64 = 8;
    const MESSAGES: usize = 3000;
    let before = hammer::start();
    let counts = Arc::new(Counts([const { AtomicUsize::new(0) }; 256]));
    let (reader, mut writer) = std::io::pipe().unwrap();
    let reader = File::from(OwnedFd::from(reader));
    // Reads until the end, often with a time limit.
    let reading = |seed: u64| {
        let (counts, file) = (Arc::clone(&counts), reader.try_clone().unwrap());
        move || {
            let mut rng = Rng::new(seed);
            loop {
                let limit = rng.limit();
                let more = if rng.below(2) == 0 {
                    timeout(limit, || counts.read(&file, &mut rng)).unwrap_or(true)
                } else {
                    counts.read(&file, &mut rng)
                };
                if !more {
                    break;
                }
                yield_now();
            }
        }
    };
    let workers = hammer::on_all_hubs(WORKERS, |seed| reading(seed + 1));
    let victims = hammer::on_all_hubs(WORKERS * 4, |seed| reading(seed + 100));
    let os_thread = {
        let (counts, file) = (Arc::clone(&counts), reader.try_clone().unwrap());
        thread::spawn(move || {
            let mut rng = Rng::new(200);
            while counts.read(&file, &mut rng) {}
        })
    };
    let coroutine = {
        let (counts, file) = (Arc::clone(&counts), reader.try_clone().unwrap());
        // SAFETY: the coroutine uses no thread-local of its own and little stack.
        unsafe {
            may::coroutine::spawn(move || {
                let mut rng = Rng::new(300);
                while counts.read(&file, &mut rng) {}
            })
        }
    };
    let sender = thread::spawn(move || {
        let mut rng = Rng::new(400);
        let mut sent = 0..;
        let mut count = 0;
        for _ in 0..MESSAGES {
            let len = usize::try_from(rng.below(12)).unwrap() + 1;
            let message: Vec<u8> = sent.by_ref().take(len).map(|n: usize| n as u8).collect();
            writer.write_all(&message).unwrap();
            count += len;
            if rng.below(4) == 0 {
                thread::sleep(rng.limit());
            }
        }
        count
    });
    let mut rng = Rng::new(500);
    while !sender.is_finished() {
        hammer::kill_in_random_order(&victims, &mut rng);
        yield_now();
    }
    let count = sender.join().unwrap();
    victims.iter().for_each(|victim| victim.kill_nowait());
    hammer::all_end("victims", &victims);
    hammer::all_end("workers", &workers);
    os_thread.join().unwrap();
    coroutine.join().unwrap();
    drop((victims, workers));
    assert_eq!(counts.total(), count);
    for (byte, n) in counts.0.iter().enumerate() {
        let times = count / 256 + usize::from(byte < count % 256);
        assert_eq!(n.load(Ordering::Relaxed), times, "byte {byte}");
    }
    drop(reader);
    hammer::settled(&before);
}
