//! Pipes.
#![expect(
    clippy::disallowed_methods,
    reason = "OS threads are one kind of caller"
)]

mod support;

use std::io::{ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use green_core::io::{PipeReader, PipeWriter, pipe};
use green_core::{Config, Failure, run, spawn, stats, timeout, yield_now};
use rustix::fs::{OFlags, fcntl_getfl};
use rustix::io::{FdFlags, fcntl_getfd};

fn is_nonblocking(fd: impl AsFd) -> bool {
    fcntl_getfl(fd)
        .expect("it is open")
        .contains(OFlags::NONBLOCK)
}

#[test]
fn a_reader_waits_and_others_go_on() {
    Config::new().hubs(1).apply().ok();
    run(|| {
        let (mut reader, mut writer) = pipe().unwrap();
        let waits = spawn(move || {
            let mut text = String::new();
            reader.read_to_string(&mut text).map(|_| text)
        });
        for part in ["a", "b", "c"] {
            yield_now();
            assert!(!waits.ready());
            writer.write_all(part.as_bytes()).unwrap();
        }
        drop(writer);
        assert_eq!(waits.into_result().unwrap().unwrap(), "abc");
    });
    assert_eq!(stats().sources, 0);
}

#[test]
fn much_goes_through_between_all_kinds_of_callers() {
    const LENGTH: usize = 300_000;
    let pump = |mut writer: PipeWriter| move || writer.write_all(&vec![1; LENGTH]).unwrap();
    let drain = |mut reader: PipeReader| {
        move || {
            let mut all = Vec::new();
            reader.read_to_end(&mut all).unwrap();
            assert_eq!(all.len(), LENGTH);
        }
    };
    let pipes = || pipe().expect("room for a pipe");

    let (reader, writer) = pipes();
    let (a, b) = (spawn(pump(writer)), spawn(drain(reader)));
    a.into_result().unwrap();
    b.into_result().unwrap();

    let (reader, writer) = pipes();
    let a = std::thread::spawn(pump(writer));
    spawn(drain(reader)).into_result().unwrap();
    a.join().unwrap();

    let (reader, writer) = pipes();
    // SAFETY: nothing in the closure depends on the OS thread.
    #[expect(unsafe_code, reason = "may's spawn is unsafe")]
    let a = unsafe { green_core::may::spawn(pump(writer)) };
    drain(reader)();
    a.into_result().unwrap();
    support::eventually("no poller watches them", || stats().sources == 0);
}

#[test]
fn vectors() {
    let (reader, writer) = pipe().unwrap();
    let parts = [IoSlice::new(b"ab"), IoSlice::new(b""), IoSlice::new(b"cde")];
    assert_eq!((&writer).write_vectored(&parts).unwrap(), 5);
    let many = vec![IoSlice::new(b"f"); 2_000];
    assert_eq!((&writer).write_vectored(&many).unwrap(), 1_024);
    let (mut a, mut b) = ([0; 1], [0; 4]);
    let mut into = [IoSliceMut::new(&mut a), IoSliceMut::new(&mut b)];
    assert_eq!((&reader).read_vectored(&mut into).unwrap(), 5);
    assert_eq!((&a, &b), (b"a", b"bcde"));
    assert_eq!((&reader).read(&mut []).unwrap(), 0);
    (&writer).flush().unwrap();
}

#[test]
fn nobody_reads_any_more() {
    let check = || {
        let (reader, mut writer) = pipe().unwrap();
        drop(reader);
        let error = writer.write(b"x").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    };
    check();
    run(check);
}

#[test]
fn the_end_of_the_reader_wakes_a_writer() {
    Config::new().hubs(1).apply().ok();
    run(|| {
        let (reader, mut writer) = pipe().unwrap();
        let waits = spawn(move || writer.write_all(&vec![0; 1 << 20]).unwrap_err().kind());
        yield_now();
        assert!(!waits.ready());
        drop(reader);
        assert_eq!(waits.get().unwrap(), ErrorKind::BrokenPipe);
    });
}

#[test]
fn kills_and_limits_end_a_wait_and_consume_nothing() {
    Config::new().hubs(1).apply().ok();
    run(|| {
        let (reader, mut writer) = pipe().unwrap();
        let reader = Arc::new(reader);
        let theirs = Arc::clone(&reader);
        let victim = spawn(move || (&*theirs).read(&mut [0; 8]).is_ok());
        yield_now();
        writer.write_all(b"kept").unwrap();
        victim.kill();
        assert!(matches!(victim.get(), Err(Failure::Killed)));
        let mut text = [0; 8];
        assert_eq!((&*reader).read(&mut text).unwrap(), 4);
        let limit = Duration::from_millis(5);
        assert!(timeout(limit, || (&*reader).read(&mut text)).is_err());
    });
}

#[test]
fn handles_share_an_end() {
    Config::new().hubs(1).apply().ok();
    run(|| {
        let (reader, mut writer) = pipe().unwrap();
        let readers = [reader.try_clone().unwrap(), reader];
        let readers = readers.map(|mut reader| spawn(move || reader.read(&mut [0]).unwrap()));
        yield_now();
        writer.write_all(b"xy").unwrap();
        assert_eq!(readers.map(|reader| reader.get().unwrap()), [1, 1]);
    });
}

#[test]
fn descriptors_are_closed_on_exec_and_come_out_in_blocking_mode() {
    let (reader, writer) = pipe().unwrap();
    for fd in [reader.as_fd(), writer.as_fd()] {
        assert!(is_nonblocking(fd));
        assert!(fcntl_getfd(fd).unwrap().contains(FdFlags::CLOEXEC));
    }
    let (reader, writer) = (OwnedFd::from(reader), OwnedFd::from(writer));
    assert!(!is_nonblocking(&reader) && !is_nonblocking(&writer));
    let (mut reader, writer) = (PipeReader::from(reader), PipeWriter::from(writer));
    assert!(is_nonblocking(&reader) && is_nonblocking(&writer));
    let number = writer.as_raw_fd();
    let raw = writer.into_raw_fd();
    assert_eq!(raw, number);
    // SAFETY: it was given up in the line above.
    #[expect(unsafe_code, reason = "std's trait")]
    let mut writer = unsafe { PipeWriter::from_raw_fd(raw) };
    writer.write_all(b"x").unwrap();
    assert_eq!(reader.read(&mut [0; 8]).unwrap(), 1);
    let mut reader = std::io::PipeReader::from(reader);
    drop(writer);
    assert_eq!(reader.read(&mut [0; 8]).unwrap(), 0);
}

#[test]
fn a_handle_that_is_taken_out_leaves_the_others_as_they_are() {
    let (mut reader, writer) = pipe().unwrap();
    let mut other = writer.try_clone().unwrap();
    let out = OwnedFd::from(writer);
    assert!(!is_nonblocking(&out));
    assert!(is_nonblocking(&other));
    assert!(fcntl_getfd(&out).unwrap().contains(FdFlags::CLOEXEC));
    other.write_all(b"a").unwrap();
    std::io::PipeWriter::from(out).write_all(b"b").unwrap();
    drop(other);
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert_eq!(text, "ab");

    let (reader, mut writer) = pipe().unwrap();
    let mut other = reader.try_clone().unwrap();
    let out = OwnedFd::from(reader);
    assert!(!is_nonblocking(&out) && is_nonblocking(&other));
    drop(out);
    writer.write_all(b"c").unwrap();
    assert_eq!(other.read(&mut [0]).unwrap(), 1);
}

#[test]
fn what_asks_for_nothing_does_not_wait() {
    let check = || {
        let (reader, writer) = pipe().unwrap();
        let limit = Duration::from_secs(10);
        let reads = timeout(Duration::from_millis(1), || {
            (&reader).read(&mut [0]).unwrap()
        });
        assert!(reads.is_err());
        let nothing = timeout(limit, || {
            let mut none = [0; 0];
            let mut into = [IoSliceMut::new(&mut none)];
            let read = (&reader).read(&mut []).unwrap();
            read + (&reader).read_vectored(&mut into).unwrap()
                + (&reader).read_vectored(&mut []).unwrap()
        });
        assert_eq!(nothing.unwrap(), 0);
        let fills = timeout(Duration::from_millis(1), || {
            (&writer).write_all(&vec![0; 1 << 20]).unwrap();
        });
        assert!(fills.is_err());
        let nothing = timeout(limit, || {
            let written = (&writer).write(&[]).unwrap();
            written + (&writer).write_vectored(&[IoSlice::new(&[])]).unwrap()
        });
        assert_eq!(nothing.unwrap(), 0);
    };
    check();
    run(check);
}

#[test]
fn a_file_that_other_handles_use_stays_as_it_is_if_it_cannot_be_opened_anew() {
    let (ours, _theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    let reader = PipeReader::from(OwnedFd::from(ours));
    let other = reader.try_clone().unwrap();
    let out = OwnedFd::from(reader);
    assert!(is_nonblocking(&out) && is_nonblocking(&other));
    assert!(!is_nonblocking(OwnedFd::from(other)));
}
