//! As many green threads as the system has room for, and one more; and what becomes of it all when they have ended.

#![forbid(unsafe_code)]

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use green_core::event::Event;
use green_core::{Builder, Config, joinall, spawn, stats};
use green_tests::{Process, alone, eventually, role};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// More than this are not tried: more than the default limit on mappings has room for.
const MOST: usize = 40_000;

/// How many are added at a time until some wait for a stack.
const MORE: usize = 100;

/// What this process is to run out of.
#[test]
#[expect(
    clippy::print_stdout,
    reason = "the test that started this process reads it"
)]
fn process() {
    let Some(limit) = role() else { return };
    if limit == ["memory"] {
        // Room for several hundred stacks, after what the allocator reserves.
        let limit = Rlimit {
            current: Some(resident("VmSize:") + 300 * 1024 * 1024),
            ..getrlimit(Resource::As)
        };
        setrlimit(Resource::As, limit).unwrap();
        Config::new().hubs(1).apply().unwrap();
    } else {
        Config::new().stack_size(16 * 1024).apply().unwrap();
    }
    let release = Arc::new(Event::new());
    let ended = Arc::new(AtomicUsize::new(0));
    let body = || {
        let (release, ended) = (Arc::clone(&release), Arc::clone(&ended));
        move || {
            release.wait();
            ended.fetch_add(1, Ordering::Relaxed);
        }
    };
    let mut started = 0;
    let refused = loop {
        if started == MOST {
            println!("no limit");
            std::process::exit(0);
        }
        match Builder::new().spawn(body()) {
            Ok(_) => started += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(refused.kind(), ErrorKind::WouldBlock);
    let least = if limit == ["memory"] { 300 } else { 1_000 };
    assert!(started > least, "refused after {started}");

    // The refusal reckons with green threads that have not started; there may be room for some more.
    let mut more = 0;
    eventually("the others wait for a stack", || {
        for _ in 0..MORE {
            spawn(body());
        }
        more += MORE;
        stats().queued > 0
    });
    assert_eq!(ended.load(Ordering::Relaxed), 0);
    assert_eq!(stats().live, started + more);

    release.set();
    eventually("all have ended", || {
        ended.load(Ordering::Relaxed) == started + more && stats().live == 0
    });
    // There is room again.
    Builder::new().spawn(|| ()).unwrap().into_result().unwrap();
    println!("reached the limit");
    std::process::exit(0);
}

#[test]
fn spawning_waits_at_the_limit_on_mappings() {
    runs_out_of("mappings", &[("GREEN_GUARD_REGIONS", "0")]);
}

#[test]
fn spawning_waits_at_the_limit_on_memory() {
    runs_out_of("memory", &[]);
}

fn runs_out_of(what: &str, environment: &[(&str, &str)]) {
    let _alone = alone();
    let mut process = Process::start_with("process", &[what], environment);
    let status = process.wait(Duration::from_secs(24));
    assert!(status.success(), "{status}; {}", process.errors());
    let line = process.line_with("limit");
    assert!(
        what == "mappings" || line.ends_with("reached the limit"),
        "{line}"
    );
    let errors = process.errors();
    assert!(!errors.contains("panicked"), "{errors}");
}

/// A crowd that is larger than the limit on mappings. Its stacks are given back, and another one comes.
#[test]
#[expect(
    clippy::print_stdout,
    reason = "the test that started this process reads it"
)]
fn crowd() {
    if role().is_none() {
        return;
    }
    Config::new().hubs(2).apply().unwrap();
    spawn(|| ()).join();
    let before = resident("VmRSS:");
    for round in 0..2 {
        let release = Arc::new(Event::new());
        let all: Vec<_> = (0..MOST)
            .map(|_| {
                let release = Arc::clone(&release);
                spawn(move || release.wait())
            })
            .collect();
        eventually("all have a stack", || {
            let stats = stats();
            stats.queued != 0 || stats.carriers - stats.idle_carriers == MOST as u64
        });
        if stats().queued != 0 {
            println!("this kernel has no guard regions");
            std::process::exit(0);
        }
        let crowded = resident("VmRSS:");
        release.set();
        assert_eq!(joinall(&all).len(), MOST, "round {round}");
        drop(all);
        if round != 0 {
            break;
        }
        eventually("surplus stacks are given back", || {
            stats().carriers <= 2 * 64
        });
        assert_eq!(stats().idle_carriers, stats().carriers);
        let after = resident("VmRSS:");
        assert!(
            after - before < (crowded - before) / 4,
            "{before} {crowded} {after}"
        );
    }
    println!("the crowds have left");
    std::process::exit(0);
}

#[test]
fn a_crowd_beyond_the_limit_on_mappings_returns_its_memory() {
    let _alone = alone();
    let mut process = Process::start("crowd", &[]);
    let status = process.wait(Duration::from_secs(50));
    assert!(status.success(), "{status}; {}", process.errors());
}

/// One field of what Linux says of this process, in bytes.
fn resident(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    kib.unwrap().parse::<u64>().unwrap() * 1024
}
