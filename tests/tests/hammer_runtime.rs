//! The runtime itself under load: bursts of green threads, many sleepers, a hub that computes, and
//! everything given back at the end.

#![forbid(unsafe_code)]

use std::io::{Read, Write};
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use green_core::event::Event;
use green_core::sync::Mutex;
use green_core::{Builder, joinall, killall, sleep, spawn, spawn_later, stats, yield_now};
use green_net::{TcpListener, TcpStream};
use green_tests::{Held, Random, alone, eventually, hubs};

#[test]
fn a_burst_of_spawns() {
    const BURST: usize = 100_000;
    let _alone = alone();
    let held = Held::now();
    let ran = Arc::new(AtomicUsize::new(0));
    for _ in 0..BURST {
        let ran = Arc::clone(&ran);
        spawn(move || ran.fetch_add(1, Ordering::Relaxed));
    }
    eventually("all have run", || ran.load(Ordering::Relaxed) == BURST);
    held.check();
    assert_eq!(ran.load(Ordering::Relaxed), BURST, "each once");
}

#[test]
fn a_burst_of_spawns_from_a_green_thread() {
    const BURST: usize = 20_000;
    let _alone = alone();
    let held = Held::now();
    let ran = green_core::run(|| {
        let burst: Vec<_> = (0..BURST)
            .map(|n| {
                spawn(move || {
                    if n % 16 == 0 {
                        yield_now();
                    }
                    1
                })
            })
            .collect();
        burst
            .into_iter()
            .map(|g| g.into_result().unwrap())
            .sum::<usize>()
    });
    assert_eq!(ran, BURST);
    held.check();
}

#[test]
fn sleepers_wake_and_never_early() {
    let _alone = alone();
    let held = Held::now();
    let mut random = Random::new(7);
    let sleepers: Vec<_> = (0..2_000)
        .map(|_| {
            let time = Duration::from_micros(random.below(500_000));
            spawn(move || {
                let start = Instant::now();
                sleep(time);
                start.elapsed() >= time
            })
        })
        .collect();
    for sleeper in sleepers {
        assert!(sleeper.into_result().unwrap(), "a sleep was too short");
    }
    held.check();
}

#[test]
fn a_busy_hub_delays_nobody_on_another() {
    const HOG: Duration = Duration::from_millis(500);
    let _alone = alone();
    if hubs() == 1 {
        return;
    }
    let busy = Arc::new(AtomicBool::new(false));
    let done = Arc::new(AtomicBool::new(false));
    let ticker = {
        let (busy, done) = (Arc::clone(&busy), Arc::clone(&done));
        let ticker = move || {
            let mut ticks = 0;
            while !done.load(Ordering::Acquire) {
                sleep(Duration::from_millis(5));
                // Those before and after do not count.
                if busy.load(Ordering::Acquire) {
                    ticks += 1;
                }
            }
            ticks
        };
        Builder::new().hub(1).spawn(ticker).unwrap()
    };
    let hog = Builder::new().hub(0).spawn(move || {
        busy.store(true, Ordering::Release);
        let start = Instant::now();
        while start.elapsed() < HOG {
            std::hint::spin_loop();
        }
        busy.store(false, Ordering::Release);
        done.store(true, Ordering::Release);
    });
    hog.unwrap().into_result().unwrap();
    let ticks = ticker.into_result().unwrap();
    // 100 on a machine that has nothing else to do; without a hub of its own, at most one.
    assert!(ticks >= 10, "{ticks} ticks in {HOG:?}");
}

#[test]
fn everything_is_given_back() {
    let _alone = alone();
    // What is made once and kept, such as pools, is made before the count.
    use_everything();
    let held = Held::now();
    for _ in 0..5 {
        use_everything();
    }
    held.check();
    assert_eq!(stats().queued, 0);
}

/// Connections that end, that are killed while they wait, sleepers that are killed, timeouts.
fn use_everything() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let handlers = Arc::new(Mutex::new(Vec::new()));
    let started = Arc::clone(&handlers);
    let server = spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let handler = spawn(move || {
                let mut buffer = [0; 64];
                while let Ok(read @ 1..) = stream.read(&mut buffer) {
                    if stream.write_all(&buffer[..read]).is_err() {
                        break;
                    }
                }
            });
            started.lock().unwrap().push(handler);
        }
    });
    let clients: Vec<_> = (0..100)
        .map(|_| {
            spawn(move || {
                let mut stream = TcpStream::connect(address).unwrap();
                stream
                    .set_read_timeout(Some(Duration::from_secs(20)))
                    .unwrap();
                stream.write_all(b"hello").unwrap();
                stream.read_exact(&mut [0; 5]).unwrap();
                stream
            })
        })
        .collect();
    let streams: Vec<_> = clients
        .into_iter()
        .map(|client| client.into_result().unwrap())
        .collect();
    let never = Arc::new(Event::new());
    let mut waiting: Vec<_> = streams
        .into_iter()
        .map(|mut stream| spawn(move || drop(stream.read(&mut [0]))))
        .collect();
    waiting.extend((0..100).map(|_| spawn(|| sleep(Duration::from_secs(600)))));
    waiting.extend((0..100).map(|_| spawn_later(Duration::from_secs(600), || ())));
    waiting.extend((0..100).map(|_| {
        let never = Arc::clone(&never);
        spawn(move || assert!(!never.wait_timeout(Duration::from_secs(600))))
    }));
    let timed_out = spawn(|| {
        let limit = Duration::from_millis(2);
        green_core::timeout(limit, || sleep(Duration::from_secs(600))).is_err()
    });
    assert!(timed_out.into_result().unwrap());
    killall(&waiting);
    server.kill();
    let handlers = mem::take(&mut *handlers.lock().unwrap());
    assert_eq!(joinall(handlers).len(), 100);
}
