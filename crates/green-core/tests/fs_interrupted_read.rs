//! Readers of FIFOs, terminals and sockets that are interrupted lose nothing of what is there to read.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]
#![expect(clippy::disallowed_methods, reason = "OS threads take part")]

#[path = "support/dir.rs"]
mod dir;

use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

use dir::Dir;
use green_core::fs::File;
use green_core::{run, timeout};
use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat};
use rustix::pty::{OpenptFlags, openpt, ptsname, unlockpt};

/// What is read, byte by byte.
fn letters(count: usize) -> Vec<u8> {
    (b'a'..=b'z').cycle().take(count).collect()
}

/// Reads to the end of what `writer` is sent, one byte about every 0.4 ms, under a time limit that is often too short.
fn reads_all_under_a_time_limit(reader: File, writer: std::fs::File) {
    const COUNT: usize = 1000;
    let sender = thread::spawn(move || {
        let mut writer = writer;
        for byte in letters(COUNT) {
            writer.write_all(&[byte]).unwrap();
            thread::sleep(Duration::from_micros(400));
        }
        writer
    });
    let all = run(move || {
        let mut all = Vec::new();
        while all.len() < COUNT {
            let mut buf = [0; 100];
            let read = timeout(Duration::from_micros(350), || (&reader).read(&mut buf));
            match read {
                Ok(n) => all.extend_from_slice(&buf[..n.unwrap()]),
                // A lost byte must not be a hang.
                Err(_) if sender.is_finished() => {
                    match timeout(Duration::from_secs(2), || (&reader).read(&mut buf)) {
                        Ok(n) => all.extend_from_slice(&buf[..n.unwrap()]),
                        Err(_) => break,
                    }
                }
                Err(_) => {}
            }
        }
        drop(sender.join().unwrap());
        all
    });
    assert_eq!(all.len(), COUNT);
    assert_eq!(all, letters(COUNT));
}

#[test]
fn a_fifo_under_a_time_limit() {
    let dir = Dir::new();
    let path = dir.join("fifo");
    mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let theirs = path.clone();
    let writer = thread::spawn(move || std::fs::File::options().write(true).open(theirs).unwrap());
    let reader = File::open(path).unwrap();
    reads_all_under_a_time_limit(reader, writer.join().unwrap());
}

#[test]
fn a_socket_under_a_time_limit() {
    let (a, b) = UnixStream::pair().unwrap();
    reads_all_under_a_time_limit(
        File::from(OwnedFd::from(a)),
        std::fs::File::from(OwnedFd::from(b)),
    );
}

#[test]
fn a_terminal_under_a_time_limit() {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    unlockpt(&master).unwrap();
    let path = ptsname(&master, Vec::new()).unwrap();
    let terminal = rustix::fs::open(
        path.as_c_str(),
        OFlags::RDWR | OFlags::NOCTTY,
        Mode::empty(),
    );
    reads_all_under_a_time_limit(File::from(master), std::fs::File::from(terminal.unwrap()));
}
