//! What stacks are made of, how far they are used, and when their memory is given back.

#![forbid(unsafe_code)]

mod support;

use std::hint::black_box;
use std::sync::Arc;

use green_core::event::Event;
use green_core::{Builder, Config, Greenlet, joinall, spawn, stack_usage, stats};
use support::eventually;

/// Uses about `kib` KiB of stack.
fn deep(kib: usize) {
    /// Goes on until a frame lies at or below this address.
    fn down_to(end: usize) -> u8 {
        let frame = black_box([1_u8; 512]);
        if std::ptr::from_ref(&frame).addr() <= end {
            return frame[3];
        }
        down_to(end) ^ black_box(&frame)[7]
    }
    let here = 0_u8;
    black_box(down_to(std::ptr::from_ref(&here).addr() - kib * 1024));
}

/// Resident memory of this process, in bytes.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux has it");
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok());
    4096 * pages.unwrap_or(0_usize)
}

/// `n` green threads that run `body` and then wait for one another.
fn crowd(n: usize, body: impl Fn() + Copy + Send + 'static) {
    let release = Arc::new(Event::new());
    let all: Vec<Greenlet<()>> = (0..n)
        .map(|_| {
            let release = Arc::clone(&release);
            spawn(move || {
                body();
                release.wait();
            })
        })
        .collect();
    eventually("all of them run", || {
        stats().carriers - stats().idle_carriers >= n as u64
    });
    release.set();
    assert_eq!(joinall(&all).len(), n);
}

#[test]
fn idle_carriers_give_back_what_they_used_deeply() {
    Config::new().hubs(1).apply().expect("nothing runs yet");
    crowd(1, || ());
    let before = resident();
    crowd(50, || deep(190));
    let used = resident() - before;
    assert!(used > 50 * 150 * 1024, "{used}");
    eventually("all but 32 KiB of each is given back", || {
        resident() < before + 50 * 45 * 1024
    });
    // They are as good as ever.
    crowd(50, || deep(190));
}

#[test]
fn surplus_carriers_are_retired_and_made_again() {
    Config::new().hubs(1).apply().expect("nothing runs yet");
    for _ in 0..2 {
        crowd(400, || deep(10));
        assert!(stats().carriers >= 400);
        eventually("64 are kept", || stats().carriers == 64);
        assert_eq!(stats().idle_carriers, 64);
    }
    // Those that were retired lie beside live ones: nothing of these was given back.
    crowd(64, || deep(100));
    crowd(400, || deep(100));
}

#[test]
fn surplus_is_kept_by_size() {
    Config::new().hubs(1).apply().expect("nothing runs yet");
    let release = Arc::new(Event::new());
    let all: Vec<_> = (0..300)
        .map(|n| {
            let release = Arc::clone(&release);
            let builder = Builder::new().stack_size((1 + n % 3) * 64 * 1024);
            builder
                .spawn(move || release.wait())
                .expect("there is room")
        })
        .collect();
    eventually("all of them run", || stats().carriers == 300);
    release.set();
    joinall(&all);
    eventually("64 of each size are kept", || stats().carriers == 3 * 64);
}

#[test]
fn without_guard_regions_it_is_the_same() {
    Config::new()
        .hubs(1)
        .guard_regions(false)
        .apply()
        .expect("nothing runs yet");
    for _ in 0..2 {
        crowd(300, || deep(190));
        eventually("64 are kept", || stats().carriers == 64);
    }
}

#[test]
fn use_is_measured_by_spawn_site() {
    Config::new()
        .hubs(1)
        .measure_stacks(true)
        .apply()
        .expect("nothing runs yet");
    // On one hub each is measured before the next one starts.
    for kib in [60, 150, 20] {
        spawn(move || deep(kib)).join();
    }
    spawn(|| deep(100)).join();
    spawn(|| ()).join();
    let all = stack_usage();
    let peaks: Vec<_> = all
        .iter()
        .filter(|usage| usage.site.file() == file!())
        .map(|usage| (usage.ended, usage.peak / 1024))
        .collect();
    let [(3, 150..170), (1, 100..120), ..] = peaks[..] else {
        panic!("{peaks:?}");
    };
    assert!(all.iter().all(|usage| usage.stack_size == 256 * 1024));
    assert!(all.is_sorted_by_key(|usage| std::cmp::Reverse(usage.peak)));
}
