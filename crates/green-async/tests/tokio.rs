//! tokio beside the hubs: its traits on our sockets, its runtime in the background, and our things awaited on it.
#![expect(
    clippy::unwrap_used,
    reason = "the bodies of tests, which clippy does not take for tests"
)]

use std::panic::catch_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use green_async::Stream;
use green_core::event::Event;
use green_core::lock::Semaphore;
use green_core::queue::Queue;
use green_core::{Config, Failure, aio, block_on, joinall, run, spawn};
use green_net::aio::{StreamReader, StreamWriter, UnixStream, start_server};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};

fn two_hubs() {
    Config::new().hubs(2).apply().ok();
}

#[test]
fn tokios_traits_and_helpers_work_over_our_streams() {
    two_hubs();
    run(|| {
        block_on(async {
            let (one, other) = UnixStream::pair().unwrap();
            let (mut one, other) = (Stream::new(one), Stream::new(other));
            let reader = aio::spawn(async move {
                let mut lines = BufReader::new(other).lines();
                let first = lines.next_line().await.unwrap();
                let mut rest = Vec::new();
                lines.into_inner().read_to_end(&mut rest).await.unwrap();
                (first.unwrap(), rest)
            });
            one.write_all(b"a line\nthe rest").await.unwrap();
            one.shutdown().await.unwrap();
            let (line, rest) = reader.await.unwrap();
            assert_eq!((&*line, &*rest), ("a line", &b"the rest"[..]));
        });
    });
}

#[test]
fn a_thousand_green_threads_await_a_tokio_sleep() {
    two_hubs();
    let limit = Duration::from_millis(20);
    let begun = Instant::now();
    let sleepers: Vec<_> = (0..1_000)
        .map(|_| {
            spawn(move || green_async::tokio::run(async move { tokio::time::sleep(limit).await }))
        })
        .collect();
    joinall(&sleepers);
    assert!(sleepers.iter().all(|sleeper| sleeper.get().is_ok()));
    assert!(begun.elapsed() >= limit);
}

#[test]
fn a_panic_comes_out_and_a_kill_cancels() {
    two_hubs();
    let payload = catch_unwind(|| green_async::tokio::run(async { panic!("over there") }));
    assert_eq!(
        *payload.unwrap_err().downcast::<&str>().unwrap(),
        "over there"
    );

    struct Flag(Arc<AtomicBool>);
    impl Drop for Flag {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Release);
        }
    }
    let dropped = Arc::new(AtomicBool::new(false));
    let (flag, started) = (Flag(Arc::clone(&dropped)), Arc::new(Event::new()));
    let theirs = Arc::clone(&started);
    let g = spawn(move || {
        green_async::tokio::run(async move {
            let _flag = flag;
            theirs.set();
            std::future::pending::<()>().await;
        });
    });
    started.wait();
    g.kill();
    assert!(matches!(g.get(), Err(Failure::Killed)));
    let end = Instant::now() + Duration::from_secs(10);
    while !dropped.load(Ordering::Acquire) {
        assert!(Instant::now() < end, "it was not cancelled");
        green_core::sleep(Duration::from_millis(1));
    }
}

#[test]
fn green_things_are_awaited_on_tokio() {
    two_hubs();
    let (event, semaphore) = (Arc::new(Event::new()), Arc::new(Semaphore::new(0)));
    let queue = Queue::bounded(1);
    let theirs = (Arc::clone(&event), Arc::clone(&semaphore), queue.clone());
    let awaits = green_async::tokio::spawn(async move {
        let (event, semaphore, queue) = theirs;
        event.wait_async().await;
        let _permit = semaphore.acquire_async().await;
        let item = queue.get_async().await.unwrap();
        queue.put_async(item + 1).await.unwrap();
        aio::sleep(Duration::from_millis(1)).await;
        let limited = aio::timeout(Duration::from_millis(1), std::future::pending::<()>());
        assert!(limited.await.is_err());
        aio::blocking(|| ()).await;
        spawn(|| 7).await.unwrap() + aio::spawn(async { 8 }).await.unwrap()
    });
    for step in 0..3 {
        green_core::sleep(Duration::from_millis(1));
        match step {
            0 => event.set(),
            1 => semaphore.release(),
            _ => queue.put(1).unwrap(),
        }
    }
    assert_eq!(block_on(awaits).unwrap(), 15);
    assert_eq!(queue.get(), Ok(2));
}

#[test]
fn our_sockets_work_on_tokio() {
    two_hubs();
    green_async::tokio::run(async {
        let server = start_server("127.0.0.1:0", |reader, writer| async move {
            echo(reader, writer).await
        });
        let server = server.await.unwrap();
        let stream = green_net::aio::TcpStream::connect(server.local_addr());
        let mut stream = Stream::new(stream.await.unwrap());
        stream.write_all(b"hello\n").await.unwrap();
        let mut buf = [0; 6];
        stream.read_exact(&mut buf).await.unwrap();
        assert_eq!(&buf, b"hello\n");
    });
}

async fn echo(mut reader: StreamReader, mut writer: StreamWriter) -> std::io::Result<()> {
    loop {
        let line = reader.read_line().await?;
        if line.is_empty() {
            return Ok(());
        }
        writer.write(line.as_bytes());
        writer.drain().await?;
    }
}

/// hyper-util's client insists on tokio's sockets and timers; as `reqwest` does, which is built on it.
#[test]
fn a_client_that_insists_on_tokio_talks_to_a_green_server() {
    two_hubs();
    let server = green_net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = server.local_addr().unwrap();
    let served = spawn(move || {
        use std::io::{Read as _, Write as _};
        let (mut stream, _) = server.accept()?;
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte)?;
            request.extend_from_slice(&byte);
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
    });
    let asks = spawn(move || {
        green_async::tokio::run(async move {
            let client: Client<_, Empty<Bytes>> =
                Client::builder(TokioExecutor::new()).build_http();
            let uri = format!("http://{addr}/").parse().unwrap();
            let response = client.get(uri).await.unwrap();
            response.into_body().collect().await.unwrap().to_bytes()
        })
    });
    assert_eq!(asks.get().unwrap(), &b"hello"[..]);
    served.into_result().unwrap().unwrap();
}

#[test]
fn to_wait_for_the_background_runtime_on_itself_is_refused() {
    two_hubs();
    let waits = || green_async::tokio::run(async { green_async::tokio::run(async { 7 }) });
    let panic = catch_unwind(waits).unwrap_err();
    let message = panic.downcast_ref::<String>().map(String::as_str);
    let message = message.or_else(|| panic.downcast_ref::<&str>().copied());
    assert!(
        message
            .unwrap()
            .contains("on the runtime that it waits for")
    );
    assert_eq!(green_async::tokio::run(async { 7 }), 7);
}
