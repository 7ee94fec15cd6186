//! A hammer on pipes, and one on children: data, time limits and kills race, from everywhere at once.
#![expect(clippy::disallowed_methods, reason = "OS threads take part")]
#![expect(unsafe_code, reason = "coroutines of `may` take part")]

#[path = "support/hammer.rs"]
mod hammer;
mod support;

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use green_core::io::{PipeReader, PipeWriter, pipe};
use green_core::process::{Child, Command, Stdio};
use green_core::{Config, sleep, timeout};
use hammer::Rng;
use rustix::process::{WaitOptions, waitpid};

const WORKERS: u64 = 20;
const ROUNDS: u64 = 60;

/// Writes single bytes, and counts them.
fn write(writer: &PipeWriter, written: &AtomicU64) {
    for _ in 0..ROUNDS * 10 {
        written.fetch_add(
            (&*writer).write(b"x").expect("it is open") as u64,
            Ordering::Relaxed,
        );
    }
}

/// Reads single bytes to the end, and counts them.
fn read(reader: &PipeReader, count: &AtomicU64) {
    while (&*reader).read(&mut [0]).expect("it is open") == 1 {
        count.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn pipes() {
    Config::new().hubs(2).apply().ok();
    let before = hammer::start();
    let (reader, writer) = pipe().expect("room for a pipe");
    let (reader, writer) = (Arc::new(reader), Arc::new(writer));
    let (count, written) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let writers = hammer::on_all_hubs(WORKERS, |_| {
        let (writer, written) = (Arc::clone(&writer), Arc::clone(&written));
        move || write(&writer, &written)
    });
    let victims = hammer::on_all_hubs(WORKERS, |_| {
        let (reader, count) = (Arc::clone(&reader), Arc::clone(&count));
        move || read(&reader, &count)
    });
    let impatient = hammer::on_all_hubs(WORKERS, |seed| {
        let (reader, count) = (Arc::clone(&reader), Arc::clone(&count));
        move || {
            let mut rng = Rng::new(seed);
            for _ in 0..ROUNDS {
                timeout(rng.limit(), || read(&reader, &count)).ok();
            }
        }
    });
    let os_thread = {
        let (reader, count) = (Arc::clone(&reader), Arc::clone(&count));
        thread::spawn(move || read(&reader, &count))
    };
    let coroutine = {
        let (reader, count) = (Arc::clone(&reader), Arc::clone(&count));
        // SAFETY: the coroutine uses no thread-local of its own and little stack.
        unsafe { may::coroutine::spawn(move || read(&reader, &count)) }
    };
    hammer::kill_in_random_order(&victims, &mut Rng::new(100));
    victims.iter().for_each(|victim| victim.kill_nowait());
    hammer::all_end("victims", &victims);
    hammer::all_end("writers", &writers);
    drop((writers, writer));
    os_thread.join().unwrap();
    coroutine.join().unwrap();
    hammer::all_end("impatient", &impatient);
    assert_eq!(written.load(Ordering::Relaxed), WORKERS * ROUNDS * 10);
    assert_eq!(count.load(Ordering::Relaxed), WORKERS * ROUNDS * 10);
    drop((victims, impatient, reader));
    hammer::settled(&before);
}

/// A child that is reaped, however its owner ends.
struct Owned(Child);

impl Owned {
    /// One that lives so many milliseconds, or until it is killed.
    fn new(millis: u64) -> Self {
        let mut command = Command::new("sleep");
        command.arg(format!("0.{millis:03}")).stdin(Stdio::piped());
        Self(command.spawn().expect("room for a process"))
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        self.0.kill().expect("it was not reaped by anybody else");
        self.0.wait().expect("it is ours");
    }
}

#[test]
fn children() {
    Config::new().hubs(2).apply().ok();
    let before = hammer::start();
    let victims = hammer::on_all_hubs(WORKERS, |seed| {
        move || {
            let mut rng = Rng::new(seed);
            for _ in 0..1_000 {
                let mut child = Owned::new(rng.below(20));
                child.0.wait().expect("it is ours");
            }
        }
    });
    let workers = hammer::on_all_hubs(WORKERS, |seed| {
        move || {
            let mut rng = Rng::new(seed + 100);
            for _ in 0..10 {
                let mut child = Owned::new(rng.below(20));
                let scoped = timeout(rng.limit(), || child.0.wait());
                let waited = child.0.wait_timeout(rng.limit()).expect("it is ours");
                if let (Ok(Ok(scoped)), Some(waited)) = (scoped, waited) {
                    assert_eq!(scoped, waited);
                }
                if rng.below(2) == 0 {
                    let status = child.0.wait().expect("it is ours");
                    assert!(status.success());
                }
            }
        }
    });
    sleep(Duration::from_millis(20));
    hammer::kill_in_random_order(&victims, &mut Rng::new(200));
    victims.iter().for_each(|victim| victim.kill_nowait());
    hammer::all_end("victims", &victims);
    hammer::all_end("workers", &workers);
    assert!(workers.iter().all(|worker| worker.get().is_ok()));
    assert!(
        waitpid(None, WaitOptions::NOHANG).is_err(),
        "no child is left"
    );
    hammer::settled(&before);
}
