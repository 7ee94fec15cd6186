//! Copying: std's own cases for `copy`, and descriptors of every kind for `copy_fd`.

mod support;

use std::collections::VecDeque;
use std::fs::File;
use std::io::{
    self, BufReader, BufWriter, Cursor, ErrorKind, Read, Seek, SeekFrom, Write, repeat, sink,
};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use green_core::io::{copy, copy_fd, pipe};
use green_core::{Config, Failure, run, spawn, stats, timeout, yield_now};
use rustix::fs::{OFlags, fcntl_getfl};

/// What std takes as a size of buffers.
const BUFFER: usize = 8 * 1024;

/// Gives so many bytes at a time, and remembers the largest buffer that it was given.
struct ShortReader {
    left: usize,
    at_once: usize,
    largest: usize,
}

impl Read for ShortReader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.left.min(self.at_once).min(buf.len());
        self.left -= read;
        self.largest = self.largest.max(buf.len());
        Ok(read)
    }
}

/// Takes everything, and remembers the largest buffer.
#[derive(Default)]
struct WriteObserver {
    largest: usize,
}

impl Write for WriteObserver {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.largest = self.largest.max(buf.len());
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn copy_copies() {
    run(|| {
        let mut few = repeat(0).take(4);
        assert_eq!(copy(&mut few, &mut sink()).unwrap(), 4);
        let mut many = repeat(0).take(1 << 17);
        let (many, nowhere): (&mut dyn Read, &mut dyn Write) = (&mut many, &mut sink());
        assert_eq!(copy(many, nowhere).unwrap(), 1 << 17);
    });
}

#[test]
fn copy_specializes_bufwriter() {
    run(|| {
        let (all, capacity) = (117 * 1024, 16 * 1024);
        let mut reader = ShortReader {
            left: all,
            at_once: 1337,
            largest: 0,
        };
        let mut writer = BufWriter::with_capacity(capacity, WriteObserver::default());
        assert_eq!(copy(&mut reader, &mut writer).unwrap(), all as u64);
        assert_eq!(reader.largest, capacity);
        assert!(writer.get_ref().largest > BUFFER);
    });
}

#[test]
fn copy_specializes_bufreader() {
    run(|| {
        let mut source = vec![0; 768 * 1024];
        source[1] = 42;
        let mut reader = BufReader::with_capacity(256 * 1024, Cursor::new(&source));
        let mut all = Vec::new();
        assert_eq!(copy(&mut reader, &mut all).unwrap(), source.len() as u64);
        assert_eq!(all, source);

        let capacity = 71 * 1024;
        let mut reader = BufReader::with_capacity(capacity, Cursor::new(&source));
        let mut writer = WriteObserver::default();
        assert_eq!(copy(&mut reader, &mut writer).unwrap(), source.len() as u64);
        assert_eq!(writer.largest, capacity);
    });
}

#[test]
fn copy_specializes_to_vec() {
    run(|| {
        let all = BUFFER * 10;
        let mut reader = ShortReader {
            left: all,
            at_once: BUFFER,
            largest: 0,
        };
        let mut vector = Vec::new();
        assert_eq!(copy(&mut reader, &mut vector).unwrap(), all as u64);
        assert_eq!(vector.len(), all);
        assert!(reader.largest > BUFFER);
    });
}

#[test]
fn copy_specializes_from_vecdeque() {
    run(|| {
        let half = 20 * 1024;
        let mut source = VecDeque::with_capacity(4 * half);
        (0..half).for_each(|_| source.push_front(0));
        (0..half).for_each(|_| source.push_back(0));
        let mut writer = WriteObserver::default();
        assert_eq!(copy(&mut source, &mut writer).unwrap(), 2 * half as u64);
        assert_eq!(writer.largest, half);
    });
}

#[test]
fn copy_specializes_from_slice() {
    run(|| {
        let source = vec![1; 60 * 1024];
        let mut writer = WriteObserver::default();
        assert_eq!(copy(&mut &source[..], &mut writer).unwrap(), 60 * 1024);
        assert_eq!(writer.largest, 60 * 1024);
    });
}

#[test]
fn copy_of_green_ends_parks_the_caller_only() {
    Config::new().hubs(1).apply().ok();
    run(|| {
        let (mut reader, mut writer) = pipe().unwrap();
        let (mut out, mut into) = pipe().unwrap();
        let copies = spawn(move || copy(&mut reader, &mut into).unwrap());
        let drains = spawn(move || io::read_to_string(&mut out).unwrap().len());
        writer.write_all(&vec![b'x'; 500_000]).unwrap();
        yield_now();
        drop(writer);
        assert_eq!(copies.get().unwrap(), 500_000);
        assert_eq!(drains.get().unwrap(), 500_000);
    });
}

/// A file without a name that holds `content`.
fn file(content: &[u8]) -> File {
    use std::sync::atomic::{AtomicU32, Ordering};

    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("green-copy-{}-{number}", std::process::id()));
    let mut options = File::options();
    let mut file = options
        .read(true)
        .write(true)
        .create_new(true)
        .open(&path)
        .expect("room for a file");
    std::fs::remove_file(&path).expect("it is there");
    file.write_all(content).expect("room");
    file.rewind().expect("a file has a start");
    file
}

/// More than any buffer holds, and not all the same.
fn text() -> Vec<u8> {
    (0..1_000_003_u32)
        .map(|n| u8::try_from(n % 251).expect("it is small"))
        .collect()
}

/// Runs `check` in a green thread, in a `may` coroutine and on an OS thread.
fn everywhere(check: fn()) {
    run(check);
    // SAFETY: nothing in the closure depends on the OS thread.
    #[expect(unsafe_code, reason = "may's spawn is unsafe")]
    let may = unsafe { green_core::may::spawn(check) };
    may.into_result().expect("it does not fail");
    check();
    support::eventually("no poller watches them", || stats().sources == 0);
}

#[test]
fn from_file_to_file() {
    everywhere(|| {
        let mut from = file(&text());
        from.seek(SeekFrom::Start(3)).unwrap();
        let mut to = file(b"ab");
        to.seek(SeekFrom::End(0)).unwrap();
        assert_eq!(copy_fd(&from, &to).unwrap(), text().len() as u64 - 3);
        assert_eq!(copy_fd(&from, &to).unwrap(), 0);
        to.rewind().unwrap();
        let mut copied = Vec::new();
        to.read_to_end(&mut copied).unwrap();
        assert_eq!(copied, [b"ab", &text()[3..]].concat());
    });
}

#[test]
fn from_file_to_socket_and_back() {
    everywhere(|| {
        let (a, b) = UnixStream::pair().unwrap();
        let from = file(&text());
        let sends = spawn(move || copy_fd(&from, &a).unwrap());
        let to = file(b"");
        assert_eq!(copy_fd(&b, &to).unwrap(), text().len() as u64);
        assert_eq!(sends.get().unwrap(), text().len() as u64);
        assert!(!fcntl_getfl(&b).unwrap().contains(OFlags::NONBLOCK));
        let mut to = to;
        to.rewind().unwrap();
        let mut copied = Vec::new();
        to.read_to_end(&mut copied).unwrap();
        assert_eq!(copied, text());
    });
}

#[test]
fn a_proxy_between_sockets_and_pipes() {
    Config::new().hubs(1).apply().ok();
    everywhere(|| {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        let (out, into) = pipe().unwrap();
        let (mut end, start) = pipe().unwrap();
        // Far more than the buffers hold: each has to wait for the next.
        let one = spawn(move || copy_fd(file(&text()), &client).unwrap());
        let two = spawn(move || copy_fd(&server, &into).unwrap());
        let three = spawn(move || copy_fd(&out, &start).unwrap());
        let mut copied = Vec::new();
        end.read_to_end(&mut copied).unwrap();
        assert_eq!(copied, text());
        for copies in [one, two, three] {
            assert_eq!(copies.get().unwrap(), text().len() as u64);
        }
    });
}

#[test]
fn a_socket_is_an_end_of_two_copies() {
    Config::new().hubs(1).apply().ok();
    run(|| {
        let (a, client) = UnixStream::pair().unwrap();
        let (b, server) = UnixStream::pair().unwrap();
        let (a, b) = (Arc::new(a), Arc::new(b));
        let proxy = |from: &Arc<UnixStream>, to: &Arc<UnixStream>| {
            let (from, to) = (Arc::clone(from), Arc::clone(to));
            spawn(move || copy_fd(&*from, &*to).unwrap())
        };
        let (there, back) = (proxy(&a, &b), proxy(&b, &a));
        yield_now();
        let blocking = |fd: &UnixStream| !fcntl_getfl(fd).unwrap().contains(OFlags::NONBLOCK);
        client.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(there.get().unwrap(), 0);
        assert!(!blocking(&a) && !blocking(&b), "one copy goes on");
        // More than the buffers hold: it waits, and nobody else does.
        const LENGTH: usize = 1 << 20;
        let answers = spawn(|| {
            green_core::blocking(move || (&server).write_all(&vec![b'x'; LENGTH]).unwrap());
        });
        green_core::blocking(move || (&client).read_exact(&mut vec![0; LENGTH]).unwrap());
        answers.into_result().unwrap();
        assert_eq!(back.get().unwrap(), LENGTH as u64);
        assert!(blocking(&a) && blocking(&b), "as they were");
    });
}

#[test]
fn kills_and_limits_end_a_copy() {
    Config::new().hubs(1).apply().ok();
    run(|| {
        let (a, b) = UnixStream::pair().unwrap();
        let (a, b) = (Arc::new(a), Arc::new(b));
        let limit = Duration::from_millis(5);
        assert!(timeout(limit, || copy_fd(&*a, &*a)).is_err());
        let theirs = (Arc::clone(&a), Arc::clone(&b));
        let victim = spawn(move || copy_fd(&*theirs.0, &*theirs.1).is_ok());
        yield_now();
        victim.kill();
        assert!(matches!(victim.get(), Err(Failure::Killed)));
        for fd in [a.as_fd(), b.as_fd()] {
            assert!(!fcntl_getfl(fd).unwrap().contains(OFlags::NONBLOCK));
        }
    });
    assert_eq!(stats().sources, 0);
}

#[test]
fn errors() {
    everywhere(|| {
        let null = File::open("/dev/null").unwrap();
        let (reader, writer) = pipe().unwrap();
        let kind = |copied: io::Result<u64>| copied.unwrap_err().kind();
        assert_eq!(kind(copy_fd(&null, &writer)), ErrorKind::Unsupported);
        assert_eq!(kind(copy_fd(file(b"x"), &null)), ErrorKind::Unsupported);
        drop(reader);
        assert_eq!(kind(copy_fd(file(b"x"), &writer)), ErrorKind::BrokenPipe);
        // The wrong end.
        assert!(copy_fd(&writer, file(b"")).is_err());
    });
}

#[test]
fn what_is_changed_of_a_file_meanwhile_stays() {
    Config::new().hubs(1).apply().ok();
    run(|| {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (_out, into) = pipe().unwrap();
        let ours = Arc::new(ours);
        let from = Arc::clone(&ours);
        let copies = spawn(move || copy_fd(&*from, &into).unwrap());
        yield_now();
        let meanwhile = fcntl_getfl(&*ours).unwrap();
        assert!(meanwhile.contains(OFlags::NONBLOCK));
        rustix::fs::fcntl_setfl(&*ours, meanwhile | OFlags::APPEND).unwrap();
        drop(theirs);
        assert_eq!(copies.get().unwrap(), 0);
        let after = fcntl_getfl(&*ours).unwrap();
        assert_eq!(
            after,
            meanwhile.difference(OFlags::NONBLOCK) | OFlags::APPEND
        );
    });
}
