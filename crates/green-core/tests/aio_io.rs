//! Operations on any descriptor for futures: in line with green threads, and nobody is forgotten behind one that does not come.
#![expect(
    clippy::unwrap_used,
    reason = "the bodies of tests, which clippy does not take for tests"
)]

#[macro_use]
#[path = "support/hubs.rs"]
mod hubs;
mod support;

use std::future::{Future, poll_fn};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use green_core::io::{Io, IoWait};
use green_core::{aio, block_on, spawn, stats, yield_now};
use support::eventually;

on_hubs! { on_one_hub, 1, [
    a_future_and_a_green_thread_are_served_in_turn,
    a_dropped_read_passes_its_turn_on,
    one_who_polls_and_does_not_come_stops_nobody,
    a_leaked_read_is_not_in_the_line_of_the_next_descriptor,
] }

on_hubs! { on_two_hubs, 2, [
    a_read_waits_for_data_and_sees_the_end,
    a_write_waits_for_room,
    one_wait_goes_from_one_direction_to_the_other,
] }

fn pair() -> (Arc<Io<UnixStream>>, UnixStream) {
    let (a, b) = UnixStream::pair().unwrap();
    a.set_nonblocking(true).unwrap();
    (Arc::new(Io::new(a)), b)
}

async fn read(io: &Io<UnixStream>) -> u8 {
    let mut buf = [0];
    assert_eq!(
        io.read_with_async(|mut io| io.read(&mut buf))
            .await
            .unwrap(),
        1
    );
    buf[0]
}

fn read_blocking(io: &Io<UnixStream>) -> u8 {
    let mut buf = [0];
    let n = io.read_with(|| None, |mut io| io.read(&mut buf)).unwrap();
    assert_eq!(n, 1);
    buf[0]
}

fn poll_once<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

fn a_future_and_a_green_thread_are_served_in_turn() {
    let (io, mut other) = pair();
    let theirs = Arc::clone(&io);
    let first = aio::spawn(async move { read(&theirs).await });
    let theirs = Arc::clone(&io);
    let second = spawn(move || read_blocking(&theirs));
    yield_now();
    yield_now();
    other.write_all(b"12").unwrap();
    assert_eq!(block_on(first).unwrap(), b'1');
    assert_eq!(second.get().unwrap(), b'2');
}

fn a_dropped_read_passes_its_turn_on() {
    let (io, mut other) = pair();
    let mut first = Box::pin(read(&io));
    assert!(poll_once(first.as_mut()).is_pending());
    let theirs = Arc::clone(&io);
    let second = spawn(move || read_blocking(&theirs));
    yield_now();
    other.write_all(b"1").unwrap();
    assert!(!second.join_timeout(Duration::from_millis(3)));
    drop(first);
    assert_eq!(second.get().unwrap(), b'1');
}

fn one_who_polls_and_does_not_come_stops_nobody() {
    let (io, mut other) = pair();
    let mut wait = IoWait::new();
    let mut context = Context::from_waker(Waker::noop());
    let read = io.poll_read_with(&mut wait, &mut context, |mut io| io.read(&mut [0]));
    assert!(read.is_pending());
    let theirs = Arc::clone(&io);
    let green = spawn(move || read_blocking(&theirs));
    yield_now();
    other.write_all(b"1").unwrap();
    assert_eq!(green.get().unwrap(), b'1');
    let read = io.poll_read_with(&mut wait, &mut context, |mut io| io.read(&mut [0]));
    assert!(read.is_pending(), "it was woken, and there is nothing left");
    drop(io);
    drop(wait);
}

#[expect(clippy::mem_forget, reason = "what is tested")]
fn a_leaked_read_is_not_in_the_line_of_the_next_descriptor() {
    let sources = stats().sources;
    let (io, _other) = pair();
    let mut leaked = Box::pin({
        let io = Arc::clone(&io);
        async move { poll_fn(|context| pin!(read(&io)).poll(context)).await }
    });
    assert!(poll_once(leaked.as_mut()).is_pending());
    drop(leaked);
    let mut wait = IoWait::new();
    let mut context = Context::from_waker(Waker::noop());
    let read = io.poll_read_with(&mut wait, &mut context, |mut io| io.read(&mut [0]));
    assert!(read.is_pending());
    std::mem::forget(wait);
    drop(io);
    assert_eq!(stats().sources, sources);
    // It has the source of the one before.
    let (io, mut other) = pair();
    let theirs = Arc::clone(&io);
    let next = spawn(move || read_blocking(&theirs));
    yield_now();
    other.write_all(b"1").unwrap();
    assert_eq!(next.get().unwrap(), b'1');
}

fn a_read_waits_for_data_and_sees_the_end() {
    let (io, mut other) = pair();
    let writer = spawn(move || {
        green_core::sleep(Duration::from_millis(1));
        other.write_all(b"1").unwrap();
        green_core::sleep(Duration::from_millis(1));
    });
    block_on(async {
        assert_eq!(read(&io).await, b'1');
        let end = io.read_with_async(|mut io| io.read(&mut [0])).await;
        assert_eq!(end.unwrap(), 0);
    });
    writer.join();
}

fn a_write_waits_for_room() {
    let (io, mut other) = pair();
    let chunk = vec![7; 64 << 10];
    while (&mut io.get_ref()).write(&chunk).is_ok() {}
    let mut write = pin!(io.write_with_async(|mut io| io.write(&chunk)));
    assert!(poll_once(write.as_mut()).is_pending());
    let reader = spawn(move || {
        green_core::sleep(Duration::from_millis(1));
        let mut buf = vec![0; 1 << 20];
        let mut sum = 0;
        other.set_nonblocking(true).unwrap();
        while let Ok(n @ 1..) = other.read(&mut buf) {
            sum += n;
        }
        (sum, other)
    });
    assert!(block_on(write).unwrap() > 0);
    let (sum, _other) = reader.into_result().unwrap();
    assert!(sum > 0);
}

fn one_wait_goes_from_one_direction_to_the_other() {
    let (io, mut other) = pair();
    let mut wait = IoWait::new();
    let mut context = Context::from_waker(Waker::noop());
    let read = io.poll_read_with(&mut wait, &mut context, |mut io| io.read(&mut [0]));
    assert!(read.is_pending());
    let wrote = block_on(poll_fn(|context| {
        io.poll_write_with(&mut wait, context, |mut io| io.write(b"1"))
    }));
    assert_eq!(wrote.unwrap(), 1);
    other.read_exact(&mut [0]).unwrap();
    other.write_all(b"2").unwrap();
    eventually("it is there", || {
        let read = io.poll_read_with(&mut wait, &mut context, |mut io| io.read(&mut [0]));
        read.is_ready()
    });
}
