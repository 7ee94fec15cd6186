//! A stack overflow is reported and aborts; other faults die as they would anywhere.
#![expect(
    unsafe_code,
    reason = "one test writes to an address that is not mapped"
)]

#[path = "support/child.rs"]
mod child;
mod support;

use std::hint::black_box;
use std::os::unix::process::ExitStatusExt;
use std::ptr;
use std::time::Duration;

use child::{child, child_with, is_child};
use green_core::{Builder, spawn};

const SIGABRT: i32 = 6;
const SIGSEGV: i32 = 11;

/// Whether the kernel has guard regions, which are larger than a page.
fn has_guard_regions() -> bool {
    let size = 4096;
    let access = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a mapping of its own.
    let page = unsafe { libc::mmap(ptr::null_mut(), size, access, flags, -1, 0) };
    // SAFETY: `MADV_GUARD_INSTALL` in that mapping.
    unsafe { libc::madvise(page, size, 102) == 0 }
}

fn deep(depth: u64) -> u64 {
    let frame = black_box([depth; 32]);
    if black_box(depth) == u64::MAX {
        0
    } else {
        deep(depth + 1) + black_box(&frame)[7]
    }
}

#[test]
fn overflow_names_the_green_thread_and_aborts() {
    if is_child("overflow_names_the_green_thread_and_aborts") {
        let deep = Builder::new().name("deep").spawn(|| deep(0)).unwrap();
        deep.join();
        return;
    }
    for regions in ["0", "1"] {
        let output = child_with(
            "overflow_names_the_green_thread_and_aborts",
            &[("GREEN_GUARD_REGIONS", regions)],
        );
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.signal(), Some(SIGABRT), "{stderr}");
        assert!(
            stderr.contains("stack overflow in green thread 'deep'"),
            "{stderr}"
        );
        assert!(stderr.contains("engine_overflow.rs"), "{stderr}");
        assert!(stderr.contains("GREEN_STACK_SIZE"), "{stderr}");
    }
}

#[test]
fn overflow_beside_retired_stacks_is_reported() {
    if is_child("overflow_beside_retired_stacks_is_reported") {
        green_core::Config::new().hubs(1).apply().unwrap();
        let crowd = || {
            let all: Vec<_> = (0..400)
                .map(|_| spawn(|| green_core::sleep(Duration::from_millis(1))))
                .collect();
            green_core::joinall(&all);
        };
        crowd();
        support::eventually("some are retired", || green_core::stats().carriers <= 64);
        crowd();
        Builder::new()
            .name("third")
            .spawn(|| deep(0))
            .unwrap()
            .join();
        return;
    }
    let output = child("overflow_beside_retired_stacks_is_reported");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.signal(), Some(SIGABRT), "{stderr}");
    assert!(
        stderr.contains("stack overflow in green thread 'third'"),
        "{stderr}"
    );
}

#[test]
fn a_frame_that_skips_a_page_meets_the_guard() {
    if is_child("a_frame_that_skips_a_page_meets_the_guard") {
        let skip = || {
            let top = black_box(0_u8);
            let below = ptr::from_ref(&top).addr() - 256 * 1024 - 6 * 1024;
            // SAFETY: it is not: it does what a function of C with a large frame does at the end of the stack.
            unsafe { ptr::with_exposed_provenance_mut::<u8>(below).write_volatile(1) }
        };
        Builder::new().name("skips").spawn(skip).unwrap().join();
        return;
    }
    if !has_guard_regions() {
        return;
    }
    let output = child("a_frame_that_skips_a_page_meets_the_guard");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.signal(), Some(SIGABRT), "{stderr}");
    assert!(
        stderr.contains("stack overflow in green thread 'skips'"),
        "{stderr}"
    );
}

#[test]
fn overflow_of_a_reused_stack_is_reported() {
    if is_child("overflow_of_a_reused_stack_is_reported") {
        green_core::Config::new().hubs(1).apply().unwrap();
        spawn(|| ()).join();
        Builder::new()
            .name("second")
            .spawn(|| deep(0))
            .unwrap()
            .join();
        return;
    }
    let output = child("overflow_of_a_reused_stack_is_reported");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.signal(), Some(SIGABRT), "{stderr}");
    assert!(
        stderr.contains("stack overflow in green thread 'second'"),
        "{stderr}"
    );
}

#[test]
fn other_faults_are_not_overflows() {
    if is_child("other_faults_are_not_overflows") {
        // SAFETY: it is not: the process must die of it, which is what the parent looks at.
        spawn(|| unsafe { ptr::without_provenance_mut::<u8>(1).write_volatile(1) }).join();
        return;
    }
    let output = child("other_faults_are_not_overflows");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.signal(), Some(SIGSEGV), "{stderr}");
    assert!(!stderr.contains("overflow"), "{stderr}");
}

#[test]
fn an_overflow_of_an_os_thread_is_not_ours() {
    if is_child("an_overflow_of_an_os_thread_is_not_ours") {
        spawn(|| ()).join();
        black_box(deep(0));
        return;
    }
    let output = child("an_overflow_of_an_os_thread_is_not_ours");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.signal(), Some(SIGABRT), "{stderr}");
    assert!(!stderr.contains("green thread"), "{stderr}");
}
