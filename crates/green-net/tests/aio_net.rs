//! Sockets for futures, and asyncio's streams.
#![expect(
    clippy::unwrap_used,
    reason = "the bodies of tests, which clippy does not take for tests"
)]

use std::future::poll_fn;
use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::num::NonZeroU64;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Context;
use std::thread;
use std::time::Duration;

use futures_io::{AsyncRead, AsyncWrite};
use green_core::{Config, aio, block_on, getcurrent, run, sleep, spawn, stats, yield_now};
use green_net::aio::{
    StreamReader, StreamWriter, TcpListener, TcpStream, UdpSocket, UnixDatagram, UnixListener,
    UnixStream, blocking, open_connection, open_unix_connection, start_server,
};

/// Runs `future` in a green thread of one of two hubs.
fn on_hubs<F>(future: F)
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    Config::new().hubs(2).apply().ok();
    run(move || block_on(future)).unwrap();
}

async fn tcp_pair() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let client = TcpStream::connect(listener.get_ref().local_addr()?).await?;
    let (server, _) = listener.accept().await?;
    Ok((client, server))
}

async fn read_all(stream: &TcpStream) -> io::Result<Vec<u8>> {
    let (mut all, mut buf) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut buf).await? {
            0 => return Ok(all),
            n => all.extend_from_slice(&buf[..n]),
        }
    }
}

#[test]
fn much_data_goes_both_ways_at_once() {
    on_hubs(async {
        let (client, server) = tcp_pair().await?;
        let echo = aio::spawn(async move {
            let mut buf = [0; 4096];
            loop {
                match server.read(&mut buf).await? {
                    0 => return server.shutdown(Shutdown::Write),
                    n => server.write_all(&buf[..n]).await?,
                }
            }
        });
        let client = Arc::new(client);
        let theirs = Arc::clone(&client);
        let sent: Vec<u8> = (0..1_000_000_u32).map(|n| n.to_le_bytes()[0]).collect();
        let expected = sent.clone();
        let writer = aio::spawn(async move {
            theirs.write_all(&sent).await?;
            theirs.shutdown(Shutdown::Write)
        });
        assert!(read_all(&client).await? == expected);
        writer.await.unwrap()?;
        echo.await.unwrap()
    });
}

#[test]
fn a_task_stays_on_its_os_thread_while_it_waits_for_io() {
    on_hubs(async {
        let (client, server) = tcp_pair().await?;
        let tasks = [client, server].map(|stream| {
            aio::spawn(async move {
                let own = thread::current().id();
                for _ in 0..20 {
                    stream.write_all(b"x").await?;
                    assert_eq!(thread::current().id(), own);
                    assert_eq!(stream.read(&mut [0]).await?, 1);
                    assert_eq!(thread::current().id(), own);
                }
                Ok::<_, io::Error>(())
            })
        });
        aio::gather(tasks).await.unwrap().into_iter().collect()
    });
}

#[test]
fn sockets_become_blocking_ones_and_back_and_stay_registered() {
    on_hubs(async {
        let (client, server) = tcp_pair().await?;
        let waits = aio::timeout(Duration::from_millis(2), client.read(&mut [0])).await;
        assert!(waits.is_err());
        let sources = stats().sources;
        let mut client = green_net::TcpStream::from(client);
        assert_eq!(stats().sources, sources);
        server.write_all(b"12").await?;
        let mut one = [0];
        client.read_exact(&mut one)?;
        let client = TcpStream::from(client);
        assert_eq!(stats().sources, sources);
        assert_eq!(client.read(&mut one).await?, 1);
        assert_eq!(one, *b"2");
        let listener = TcpListener::bind("localhost:0").await?;
        let listener = green_net::TcpListener::from(listener);
        drop(TcpListener::from(listener));
        Ok(())
    });
}

#[test]
fn a_read_that_is_dropped_leaves_what_comes_to_the_next() {
    on_hubs(async {
        let (client, server) = tcp_pair().await?;
        let mut buf = [0; 8];
        for round in 0..50_u64 {
            let limit = Duration::from_micros(round * 20);
            let dropped = aio::timeout(limit, client.read(&mut buf)).await;
            assert!(dropped.is_err());
            server.write_all(b"x").await?;
            assert_eq!(client.read(&mut buf).await?, 1);
        }
        Ok(())
    });
}

#[test]
fn the_traits_read_and_write_and_close() {
    on_hubs(async {
        let (mut client, server) = tcp_pair().await?;
        let writer = aio::spawn(async move {
            let mut server = server;
            let n = poll_fn(|cx| Pin::new(&mut server).poll_write(cx, b"hello")).await?;
            assert_eq!(n, 5);
            poll_fn(|cx| Pin::new(&mut server).poll_close(cx)).await?;
            Ok::<_, io::Error>(server)
        });
        let mut buf = [0; 8];
        let n = poll_fn(|cx| Pin::new(&mut client).poll_read(cx, &mut buf)).await?;
        assert_eq!(&buf[..n], b"hello");
        let n = poll_fn(|cx| Pin::new(&mut &client).poll_read(cx, &mut buf)).await?;
        assert_eq!(n, 0);
        drop(writer.await.unwrap()?);
        Ok(())
    });
}

#[test]
fn a_refused_port_an_unknown_name_and_no_address_are_errors() {
    on_hubs(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let addr = listener.get_ref().local_addr()?;
        drop(listener);
        let refused = TcpStream::connect(addr).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        assert!(TcpStream::connect("no.such.host.invalid:80").await.is_err());
        let none = TcpStream::connect(&[][..]).await.unwrap_err();
        assert_eq!(none.kind(), ErrorKind::InvalidInput);
        let wrong = TcpStream::connect("no port").await.unwrap_err();
        assert_eq!(wrong.kind(), ErrorKind::InvalidInput);
        Ok(())
    });
}

#[test]
fn datagrams() {
    on_hubs(async {
        let one = UdpSocket::bind("127.0.0.1:0").await?;
        let other = UdpSocket::bind("127.0.0.1:0").await?;
        one.connect(other.get_ref().local_addr()?).await?;
        let mut buf = [0; 16];
        let receives = aio::timeout(Duration::from_millis(2), other.recv(&mut buf)).await;
        assert!(receives.is_err());
        one.send(b"hello").await?;
        let (n, from) = other.recv_from(&mut buf).await?;
        assert_eq!(&buf[..n], b"hello");
        other.send_to(b"back", from).await?;
        assert_eq!(one.recv(&mut buf).await?, 4);
        let (one, other) = UnixDatagram::pair()?;
        let sender = aio::spawn(async move { one.send(b"hello").await });
        assert_eq!(other.recv(&mut buf).await?, 5);
        assert_eq!(sender.await.unwrap()?, 5);
        Ok(())
    });
}

#[test]
fn unix_streams() {
    let path = std::env::temp_dir().join(format!("green-aio-{}", std::process::id()));
    let theirs = path.clone();
    on_hubs(async move {
        let listener = UnixListener::bind(&theirs)?;
        let server = aio::spawn(async move {
            let (stream, _) = listener.accept().await?;
            stream.write_all(b"hello\n").await?;
            Ok::<_, io::Error>(stream)
        });
        let (mut reader, _writer) = open_unix_connection(&theirs).await?;
        assert_eq!(reader.read_line().await?, "hello\n");
        drop(server.await.unwrap()?);
        assert_eq!(reader.read_line().await?, "");
        let (one, other) = UnixStream::pair()?;
        one.write_all(b"x").await?;
        assert_eq!(other.peek(&mut [0; 2]).await?, 1);
        assert_eq!(other.read(&mut [0; 2]).await?, 1);
        Ok(())
    });
    std::fs::remove_file(path).unwrap();
}

/// A connection of asyncio's streams with a plain socket at the other end.
async fn streams() -> io::Result<(StreamReader, StreamWriter, green_net::TcpStream)> {
    let (client, server) = tcp_pair().await?;
    let (reader, writer) = client.into();
    Ok((reader, writer, server.into()))
}

#[test]
fn a_reader_reads_lines_parts_and_the_rest() {
    on_hubs(async {
        let (mut reader, _writer, mut peer) = streams().await?;
        peer.write_all(b"one\ntwo\r\n\r\n12345rest")?;
        peer.shutdown(Shutdown::Write)?;
        assert_eq!(reader.read_line().await?, "one\n");
        assert_eq!(reader.read_until(b"\r\n\r\n").await?, b"two\r\n\r\n");
        let mut five = [0; 5];
        reader.read_exact(&mut five).await?;
        assert_eq!(&five, b"12345");
        let end = reader.read_exact(&mut five).await.unwrap_err();
        assert_eq!(end.kind(), ErrorKind::UnexpectedEof);
        let mut rest = Vec::new();
        assert_eq!(reader.read_to_end(&mut rest).await?, 4);
        assert_eq!(rest, b"rest");
        assert!(reader.at_eof());
        assert_eq!(reader.read(&mut five).await?, 0);
        Ok(())
    });
}

#[test]
fn a_separator_beyond_the_limit_is_an_error_and_loses_nothing() {
    on_hubs(async {
        let (mut reader, _writer, mut peer) = streams().await?;
        reader.set_limit(8);
        peer.write_all(b"0123456789\n")?;
        let error = reader.read_line().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        reader.set_limit(64);
        assert_eq!(reader.read_line().await?, "0123456789\n");
        Ok(())
    });
}

#[test]
fn a_read_line_that_is_dropped_has_lost_nothing() {
    on_hubs(async {
        let (mut reader, _writer, mut peer) = streams().await?;
        peer.write_all(b"half of ")?;
        let limited = aio::timeout(Duration::from_millis(3), reader.read_line()).await;
        assert!(limited.is_err());
        peer.write_all(b"a line\n")?;
        assert_eq!(reader.read_line().await?, "half of a line\n");
        Ok(())
    });
}

#[test]
fn drain_waits_above_the_high_water_mark_and_all_goes_out() {
    const SIZE: usize = 8 << 20;
    on_hubs(async {
        let (_reader, mut writer, mut peer) = streams().await?;
        writer.write(&vec![7; SIZE]);
        assert!(writer.buffered() > 64 << 10);
        let drained = aio::timeout(Duration::from_millis(5), writer.drain()).await;
        assert!(drained.is_err(), "nobody reads");
        let reader = spawn(move || {
            let mut all = Vec::new();
            peer.read_to_end(&mut all).map(|_| all.len())
        });
        writer.drain().await?;
        assert!(writer.buffered() <= 16 << 10);
        writer.write(b"the end");
        writer.close();
        writer.write(b"is ignored");
        writer.wait_closed().await?;
        assert_eq!(reader.await.unwrap()?, SIZE + 7);
        Ok(())
    });
}

#[test]
fn a_dropped_writer_sends_what_it_has() {
    const SIZE: usize = 4 << 20;
    on_hubs(async {
        let (reader, mut writer, mut peer) = streams().await?;
        writer.write(&vec![7; SIZE]);
        drop((reader, writer));
        let mut all = Vec::new();
        assert_eq!(peer.read_to_end(&mut all)?, SIZE);
        Ok(())
    });
}

#[test]
fn an_error_of_a_write_is_told_by_drain() {
    on_hubs(async {
        let (_reader, mut writer, peer) = streams().await?;
        drop(peer);
        for _ in 0..1_000 {
            writer.write(&[7; 4096]);
            if writer.drain().await.is_err() {
                assert!(writer.wait_closed().await.is_err());
                return Ok(());
            }
            aio::sleep(Duration::from_millis(1)).await;
        }
        unreachable!("the other end is closed")
    });
}

#[test]
fn a_server_serves_closes_and_is_waited_for() {
    on_hubs(async {
        let server = start_server("127.0.0.1:0", |mut reader, mut writer| async move {
            while let Ok(line) = reader.read_line().await
                && !line.is_empty()
            {
                assert_ne!(line, "panic\n");
                writer.write(line.as_bytes());
                writer.drain().await?;
            }
            Ok::<_, io::Error>(())
        })
        .await?;
        let (mut bad, mut writer) = open_connection(server.local_addr()).await?;
        writer.write(b"panic\n");
        assert_eq!(bad.read_line().await?, "");
        let (mut reader, mut writer) = open_connection(server.local_addr()).await?;
        writer.write(b"hello\n");
        assert_eq!(reader.read_line().await?, "hello\n");
        server.close();
        let closed = aio::spawn(server.wait_closed());
        aio::sleep(Duration::from_millis(2)).await;
        assert!(!closed.is_finished(), "a connection is open");
        writer.close();
        closed.await.unwrap();
        Ok(())
    });
}

#[test]
fn the_blocking_pair_is_for_green_threads() {
    Config::new().hubs(2).apply().ok();
    run(|| {
        let server = blocking::start_server("127.0.0.1:0", |mut reader, mut writer| {
            let line = reader.read_line()?;
            sleep(Duration::from_millis(1));
            writer.write(line.as_bytes());
            writer.close();
            writer.wait_closed()
        })?;
        let (mut reader, mut writer) = blocking::open_connection(server.local_addr())?;
        writer.write(b"hello\n");
        writer.drain()?;
        let mut all = Vec::new();
        reader.read_to_end(&mut all)?;
        assert_eq!(all, b"hello\n");
        Ok::<_, io::Error>(())
    })
    .unwrap();
}

/// Alone on a hub, so that nobody else gets it out of a deadlock.
fn on_one_hub<F>(future: F)
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    Config::new().hubs(1).apply().ok();
    run(move || block_on(future)).unwrap();
}

#[test]
fn two_tasks_that_write_to_one_stream_do_not_switch_inside_a_poll() {
    const WRITES: usize = 2_000;
    on_one_hub(async {
        let (one, other) = tcp_pair().await?;
        let one = Arc::new(one);
        let write = |_| {
            let stream = Arc::clone(&one);
            aio::spawn(async move {
                for _ in 0..WRITES {
                    let write = |context: &mut Context<'_>| {
                        Pin::new(&mut &*stream).poll_write(context, b"0123456789abcdef")
                    };
                    assert_eq!(poll_fn(write).await.unwrap(), 16);
                }
            })
        };
        let writers: Vec<_> = (0..2).map(write).collect();
        let (mut buf, mut read) = (vec![0; 4096], 0);
        while read < 2 * WRITES * 16 {
            read += other.read(&mut buf).await?;
        }
        aio::gather(writers).await.unwrap();
        Ok(())
    });
}

#[test]
fn a_handler_that_panics_before_it_has_a_future_ends_its_connection_only() {
    static PANICS: AtomicBool = AtomicBool::new(true);
    on_hubs(async {
        let server = start_server("127.0.0.1:0", |mut reader, mut writer| {
            assert!(!PANICS.swap(false, Ordering::SeqCst), "on purpose");
            async move {
                let line = reader.read_line().await.unwrap();
                writer.write(line.as_bytes());
                writer.close();
            }
        })
        .await?;
        let (mut bad, _writer) = open_connection(server.local_addr()).await?;
        assert!(bad.read_line().await.unwrap_or_default().is_empty());
        let (mut reader, mut writer) = open_connection(server.local_addr()).await?;
        writer.write(b"hello\n");
        assert_eq!(reader.read_line().await?, "hello\n");
        Ok(())
    });
}

#[test]
fn a_flush_that_is_killed_is_an_error_of_the_writer() {
    a_flush_is_killed(true);
}

#[test]
fn a_flush_that_is_killed_before_it_runs_is_an_error_too() {
    a_flush_is_killed(false);
}

fn a_flush_is_killed(has_run: bool) {
    on_one_hub(async move {
        let (_reader, mut writer, _peer) = streams().await?;
        writer.write(&vec![7; 16 << 20]);
        if has_run {
            yield_now();
        }
        let own = getcurrent().unwrap().id().get();
        (1..own + 64)
            .filter(|&id| id != own)
            .filter_map(NonZeroU64::new)
            .for_each(|id| _ = green_core::debug::kill(id));
        let drained = aio::timeout(Duration::from_secs(10), writer.drain()).await;
        let error = drained.expect("it is told").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        Ok(())
    });
}
