//! What becomes of a read whose caller was interrupted while an OS thread read for it.

use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{OFlags, fcntl_setfl};

use crate::event::Event;
use crate::fs::File;
use crate::fs::handle::Way;
use crate::{run, sleep, timeout};

fn pipe() -> (File, io::PipeWriter) {
    let (reader, writer) = io::pipe().unwrap();
    (File::from(OwnedFd::from(reader)), writer)
}

/// A caller that has been interrupted, and whose job still reads.
struct Abandoned(Arc<Event>);

impl Abandoned {
    /// Has a caller with room for 100 bytes read by `op` and leave; there must be something to read.
    fn new(file: &File, op: fn(&std::fs::File, &mut [u8]) -> io::Result<usize>) -> Self {
        let (begun, gate) = (Arc::new(Event::new()), Arc::new(Event::new()));
        let (theirs, own) = (Arc::clone(&begun), Arc::clone(&gate));
        let handle = Arc::clone(&file.handle);
        let reader = crate::spawn(move || {
            let read = handle.read(Way::Poller, 100, move |file, buf| {
                theirs.set();
                own.wait();
                op(file, buf)
            });
            read.is_ok()
        });
        begun.wait();
        reader.kill();
        Self(gate)
    }

    /// Lets the job go on to its end.
    fn goes_on(self) {
        self.0.set();
    }
}

fn really(mut file: &std::fs::File, buf: &mut [u8]) -> io::Result<usize> {
    file.read(buf)
}

/// Reads into a buffer of `len` bytes.
fn read(file: &File, len: usize) -> Vec<u8> {
    let mut file = file;
    let mut buf = vec![0; len];
    let n = file.read(&mut buf).unwrap();
    buf.truncate(n);
    buf
}

fn has_timed_out(file: &File) -> bool {
    timeout(Duration::from_millis(5), || read(file, 1)).is_err()
}

fn is_kept(file: &File) {
    while !file.handle.has_kept() {
        sleep(Duration::from_millis(1));
    }
}

#[test]
fn the_next_readers_get_what_was_read_in_parts() {
    let check = || {
        let (file, mut writer) = pipe();
        writer.write_all(b"abcdefgh").unwrap();
        let job = Abandoned::new(&file, really);
        assert!(has_timed_out(&file), "the job has the turn");
        job.goes_on();
        assert_eq!(read(&file, 3), b"abc");
        assert_eq!(read(&file, 0), b"");
        let (mut one, mut two) = ([0; 1], [0; 2]);
        let mut bufs = [io::IoSliceMut::new(&mut one), io::IoSliceMut::new(&mut two)];
        assert_eq!((&file).read_vectored(&mut bufs).unwrap(), 3);
        assert_eq!((&one, &two), (b"d", b"ef"));
        writer.write_all(b"ij").unwrap();
        assert_eq!(read(&file, 9), b"gh", "as one read found it");
        drop(writer);
        let mut rest = String::new();
        (&file).read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "ij");
    };
    check();
    run(check);
}

#[test]
fn a_clone_gets_it_too_when_the_file_is_dropped_with_the_job_running() {
    run(|| {
        let (file, mut writer) = pipe();
        let clone = file.try_clone().unwrap();
        writer.write_all(b"x").unwrap();
        let job = Abandoned::new(&file, really);
        drop(file);
        assert!(has_timed_out(&clone), "the turn is shared");
        job.goes_on();
        assert_eq!(read(&clone, 9), b"x");
        assert!(has_timed_out(&clone));
    });
}

#[test]
fn a_dropped_file_is_closed_when_the_job_is_done() {
    run(|| {
        let (file, mut writer) = pipe();
        writer.write_all(b"x").unwrap();
        let job = Abandoned::new(&file, really);
        drop(file);
        writer.write_all(b"y").unwrap();
        job.goes_on();
        while writer.write(b"y").is_ok() {
            sleep(Duration::from_millis(1));
        }
    });
}

#[test]
fn a_descriptor_that_is_given_away_goes_without_what_is_kept() {
    run(|| {
        let (file, mut writer) = pipe();
        let clone = file.try_clone().unwrap();
        writer.write_all(b"x").unwrap();
        Abandoned::new(&file, really).goes_on();
        is_kept(&file);
        writer.write_all(b"y").unwrap();
        let mut other = std::fs::File::from(file);
        let mut buf = [0; 9];
        assert_eq!(other.read(&mut buf).unwrap(), 1);
        assert_eq!(buf[0], b'y');
        assert_eq!(read(&clone, 9), b"x", "a clone still has it");
    });
}

#[test]
fn an_end_and_an_error_are_kept_too() {
    run(|| {
        let (file, mut writer) = pipe();
        writer.write_all(b"x").unwrap();
        // A terminal tells of its end once, a socket of its error.
        Abandoned::new(&file, |_, _| Ok(0)).goes_on();
        assert_eq!(read(&file, 9), b"");
        let fail = |_: &std::fs::File, _: &mut [u8]| Err(io::ErrorKind::ConnectionReset.into());
        Abandoned::new(&file, fail).goes_on();
        let error = (&file).read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        assert_eq!(read(&file, 9), b"x");
    });
}

#[test]
fn a_reader_in_non_blocking_mode_gets_what_is_kept() {
    let check = || {
        let (file, mut writer) = pipe();
        writer.write_all(b"abcd").unwrap();
        let job = Abandoned::new(&file, really);
        fcntl_setfl(&file, OFlags::NONBLOCK).unwrap();
        job.goes_on();
        is_kept(&file);
        assert_eq!(read(&file, 0), b"");
        assert_eq!(read(&file, 3), b"abc");
        drop(writer);
        let mut rest = Vec::new();
        (&file).read_to_end(&mut rest).unwrap();
        assert_eq!(rest, b"d");
    };
    check();
    run(check);
}

#[test]
fn nothing_is_kept_of_a_file_with_an_offset() {
    run(|| {
        let path = std::env::temp_dir().join(format!("green-turn-{}", std::process::id()));
        let mut file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)
            .unwrap();
        std::fs::remove_file(path).unwrap();
        file.write_all(b"abc").unwrap();
        file.rewind().unwrap();
        Abandoned::new(&file, really).goes_on();
        while Arc::strong_count(&file.handle) > 1 {
            sleep(Duration::from_millis(1));
        }
        assert_eq!(file.stream_position().unwrap(), 3);
        file.rewind().unwrap();
        assert_eq!(read(&file, 9), b"abc");
        assert!(!file.handle.has_kept());
    });
}
