//! gevent's `os` and `fileobject`: OS-01, OS-02, FIL-01, FIL-02, FIL-04.

use std::fs::OpenOptions;
use std::io::{ErrorKind, PipeReader, PipeWriter, Read, Seek, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use green_core::fileobject::FileObject;
use green_core::os::{make_nonblocking, nb_read, nb_write, tp_read, tp_write};
use green_core::{Failure, run, sleep, spawn, stats, timeout};
use rustix::fs::{OFlags, fcntl_getfl};

/// Runs `body` in a green thread, and on the OS thread of the test.
fn everywhere(body: fn()) {
    run(body);
    body();
}

fn pipe() -> (PipeReader, PipeWriter) {
    std::io::pipe().expect("room for a pipe")
}

/// Does `f` while others wait.
fn soon(f: impl FnOnce() + Send + 'static) {
    spawn(move || {
        sleep(Duration::from_millis(10));
        f();
    });
}

#[test]
fn os01_make_nonblocking_tells_whether_it_was() {
    let (reader, _writer) = pipe();
    assert!(make_nonblocking(&reader).unwrap());
    assert!(!make_nonblocking(&reader).unwrap());
    assert!(fcntl_getfl(&reader).unwrap().contains(OFlags::NONBLOCK));
}

#[test]
fn os01_nb_read_waits_and_sees_the_end() {
    everywhere(|| {
        let (reader, mut writer) = pipe();
        make_nonblocking(&reader).unwrap();
        soon(move || writer.write_all(b"hello").unwrap());
        let mut buf = [0; 3];
        assert_eq!(nb_read(&reader, &mut buf).unwrap(), 3);
        assert_eq!(&buf, b"hel");
        assert_eq!(nb_read(&reader, &mut buf).unwrap(), 2);
        assert_eq!(nb_read(&reader, &mut buf).unwrap(), 0);
    });
}

#[test]
fn os01_nb_write_writes_what_there_is_room_for() {
    everywhere(|| {
        let (reader, writer) = pipe();
        let mut reader = FileObject::new(reader).unwrap();
        make_nonblocking(&writer).unwrap();
        let all = vec![7; 200_000];
        let first = nb_write(&writer, &all).unwrap();
        assert!(0 < first && first < all.len());
        let reads = spawn(move || {
            sleep(Duration::from_millis(10));
            let mut read = Vec::new();
            reader.read_to_end(&mut read).map(|_| read)
        });
        let mut written = first;
        while written < all.len() {
            written += nb_write(&writer, &all[written..]).unwrap();
        }
        drop(writer);
        assert_eq!(reads.into_result().unwrap().unwrap(), all);
    });
}

#[test]
fn os01_nb_read_can_be_killed_and_times_out() {
    let (reader, _writer) = pipe();
    make_nonblocking(&reader).unwrap();
    let reader = Arc::new(reader);
    let theirs = Arc::clone(&reader);
    let reads = spawn(move || nb_read(&*theirs, &mut [0]));
    while stats().sources == 0 {
        sleep(Duration::from_millis(1));
    }
    reads.kill();
    assert!(matches!(reads.into_result(), Err(Failure::Killed)));
    let elapsed =
        run(move || timeout(Duration::from_millis(5), || nb_read(&*reader, &mut [0])).is_err());
    assert!(elapsed);
    assert_eq!(stats().sources, 0);
}

#[test]
fn os01_errors_are_the_kernels() {
    let (reader, writer) = pipe();
    make_nonblocking(&reader).unwrap();
    assert_eq!(nb_write(&reader, b"x").unwrap_err().raw_os_error(), Some(9));
    drop(reader);
    let error = nb_write(&writer, b"x").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);
}

#[test]
fn os02_tp_read_and_tp_write_do_any_file_in_any_mode() {
    everywhere(|| {
        let (reader, writer) = pipe();
        soon(move || assert_eq!(tp_write(&writer, b"hello").unwrap(), 5));
        let mut buf = [0; 8];
        assert_eq!(tp_read(&reader, &mut buf).unwrap(), 5);
        assert_eq!(&buf[..5], b"hello");
        assert!(!fcntl_getfl(&reader).unwrap().contains(OFlags::NONBLOCK));
        let own = std::fs::File::open("/proc/self/exe").unwrap();
        assert_eq!(tp_read(&own, &mut buf).unwrap(), 8);
        assert_eq!(&buf[1..4], b"ELF");
        assert!(tp_write(&own, b"x").is_err());
    });
}

#[test]
fn os02_others_run_meanwhile() {
    green_core::Config::new().hubs(1).apply().unwrap();
    run(|| {
        let (reader, writer) = pipe();
        let reads = spawn(move || tp_read(&reader, &mut [0; 4]));
        // This one runs on the same hub, so the reader does not block it.
        sleep(Duration::from_millis(10));
        assert!(!reads.ready());
        tp_write(&writer, b"x").unwrap();
        assert_eq!(reads.into_result().unwrap().unwrap(), 1);
    });
}

#[test]
fn fil01_pipes_and_sockets_wait_in_the_poller() {
    everywhere(|| {
        let (reader, writer) = pipe();
        let (mut reader, mut writer) = (
            FileObject::new(reader).unwrap(),
            FileObject::new(writer).unwrap(),
        );
        soon(move || writer.write_all(b"hello").unwrap());
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "hello");

        let (a, b) = UnixStream::pair().unwrap();
        let (a, b) = (FileObject::new(a).unwrap(), FileObject::new(b).unwrap());
        soon(move || {
            let mut buf = [0; 4];
            (&b).read_exact(&mut buf).unwrap();
            (&b).write_all(&buf).unwrap();
        });
        (&a).write_all(b"ping").unwrap();
        let mut buf = [0; 4];
        (&a).read_exact(&mut buf).unwrap();
        assert_eq!(&buf, b"ping");
        assert_eq!(stats().blocking_threads, 0);
    });
}

#[test]
fn fil01_gives_the_descriptor_back_in_blocking_mode() {
    let (reader, _writer) = pipe();
    let object = FileObject::new(reader).unwrap();
    assert!(fcntl_getfl(&object).unwrap().contains(OFlags::NONBLOCK));
    let fd = OwnedFd::from(object);
    assert!(!fcntl_getfl(&fd).unwrap().contains(OFlags::NONBLOCK));
}

#[test]
fn fil02_regular_files_go_to_os_threads() {
    let path = std::env::temp_dir().join(format!("green-fileobject-{}", std::process::id()));
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .open(&path)
        .unwrap();
    std::fs::remove_file(path).unwrap();
    let text = run(move || {
        let mut again = file.try_clone().unwrap();
        let mut object = FileObject::new(file).unwrap();
        object.write_all(b"hello").unwrap();
        object.flush().unwrap();
        again.rewind().unwrap();
        let mut text = String::new();
        object.read_to_string(&mut text).unwrap();
        text
    });
    assert_eq!(text, "hello");
    assert!(stats().blocking_threads > 0);
}

#[test]
fn fil04_two_readers_wait_in_line() {
    let (reader, mut writer) = pipe();
    let reader = Arc::new(FileObject::new(reader).unwrap());
    let readers: Vec<_> = (0..2)
        .map(|_| {
            let reader = Arc::clone(&reader);
            spawn(move || (&*reader).read(&mut [0]))
        })
        .collect();
    sleep(Duration::from_millis(5));
    writer.write_all(b"xy").unwrap();
    for each in readers {
        assert_eq!(each.into_result().unwrap().unwrap(), 1);
    }
}
