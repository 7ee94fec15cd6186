//! When the poller of the two is quiet.

use std::io::{self, PipeReader, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::ioctl_fionbio;

use super::{Stream, read_what_there_is};
use crate::reactor::Poller;

/// Watches two streams.
fn watched(from: [OwnedFd; 2]) -> (Poller, [Stream; 2]) {
    let poller = Poller::new().unwrap();
    let mut streams = from.map(|fd| {
        ioctl_fionbio(&fd, true).unwrap();
        Stream::new(Some(fd))
    });
    for stream in &mut streams {
        stream.watch(&poller).unwrap();
    }
    (poller, streams)
}

/// Whether there is anything to read.
fn is_ready(poller: &Poller) -> bool {
    let fd = poller.as_fd();
    poll(
        &mut [PollFd::from_borrowed_fd(fd, PollFlags::IN)],
        Some(&Timespec::default()),
    )
    .unwrap()
        == 1
}

fn reads(poller: &Poller, streams: &mut [Stream; 2]) -> bool {
    match read_what_there_is(poller, streams) {
        Ok(()) => true,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => false,
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn an_end_is_reported_no_more_though_a_duplicate_is_open() {
    let ((a, writer), (b, _open)) = (io::pipe().unwrap(), io::pipe().unwrap());
    let _duplicate: PipeReader = a.try_clone().unwrap();
    let (poller, mut streams) = watched([a.into(), b.into()]);
    drop(writer);
    assert!(is_ready(&poller));
    assert!(reads(&poller, &mut streams));
    assert!(streams[0].fd.is_none() && streams[1].fd.is_some());
    assert!(!is_ready(&poller));
}

#[test]
fn room_in_a_socket_is_no_news() {
    let (a, mut theirs) = UnixStream::pair().unwrap();
    let (b, _open) = io::pipe().unwrap();
    let (poller, mut streams) = watched([a.into(), b.into()]);
    assert!(!is_ready(&poller));
    theirs.write_all(b"said").unwrap();
    assert!(is_ready(&poller));
    assert!(reads(&poller, &mut streams));
    assert!(!is_ready(&poller));
    assert!(!reads(&poller, &mut streams));
    assert_eq!(streams[0].content, b"said");
}
