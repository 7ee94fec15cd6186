//! The headers of three web pages, line by line as they arrive, in three ways: asyncio's streams, async sockets, and blocking code.
//!
//! Shows that the three are the same program. [`streams`] is the example of asyncio's documentation, by `open_connection`;
//! [`sockets`] has `async` and `await` around a plain socket and a buffer; [`blocking`] has neither, and parks only its green thread.
//! The three servers are here, too: each sends its lines with pauses in between, so the answers mix.
//!
//!     cargo run -p green-examples --example async_wget

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::time::Duration;

use green::aio;
use green::aio::net::{TcpStream, open_connection, start_server};

const HOSTS: [&str; 3] = ["www.one.example", "www.two.example", "www.three.example"];

fn main() -> io::Result<()> {
    let servers = HOSTS.map(|host| green::block_on(start_server("127.0.0.1:0", serve(host))));
    let servers: Vec<_> = servers.into_iter().collect::<io::Result<_>>()?;
    let sites: Vec<(&str, SocketAddr)> = HOSTS
        .into_iter()
        .zip(servers.iter().map(|server| server.local_addr()))
        .collect();

    println!("-- asyncio's streams");
    let tasks = sites
        .iter()
        .map(|&(host, addr)| aio::spawn(streams(host, addr)));
    let first = all(green::block_on(aio::gather(tasks)))?;

    println!("-- async and await around sockets");
    let tasks = sites
        .iter()
        .map(|&(host, addr)| aio::spawn(sockets(host, addr)));
    let second = all(green::block_on(aio::gather(tasks)))?;

    println!("-- blocking code in green threads");
    let greens: Vec<_> = sites
        .iter()
        .map(|&(host, addr)| green::spawn(move || blocking(host, addr)))
        .collect();
    let third = all(greens
        .into_iter()
        .map(green::Greenlet::into_result)
        .collect())?;

    assert_eq!(first, [3; 3]);
    assert!(first == second && second == third);
    Ok(())
}

/// How many header lines each site has.
fn all(counts: Result<Vec<io::Result<usize>>, green::Failure>) -> io::Result<Vec<usize>> {
    counts.map_err(io::Error::other)?.into_iter().collect()
}

/// asyncio's streams.
async fn streams(host: &'static str, addr: SocketAddr) -> io::Result<usize> {
    let (mut reader, mut writer) = open_connection(addr).await?;
    writer.write(format!("GET / HTTP/1.0\r\nHost: {host}\r\n\r\n").as_bytes());
    writer.drain().await?;
    let mut lines = 0;
    loop {
        let line = reader.read_line().await?;
        if line.trim_end().is_empty() {
            return Ok(lines);
        }
        println!("{host} header > {}", line.trim_end());
        lines += 1;
    }
}

/// `async` and `await` around a socket.
async fn sockets(host: &'static str, addr: SocketAddr) -> io::Result<usize> {
    let stream = TcpStream::connect(addr).await?;
    stream
        .write_all(format!("GET / HTTP/1.0\r\nHost: {host}\r\n\r\n").as_bytes())
        .await?;
    let (mut buf, mut lines, mut text) = ([0; 512], 0, String::new());
    loop {
        let n = stream.read(&mut buf).await?;
        text.push_str(&String::from_utf8_lossy(&buf[..n]));
        while let Some((line, rest)) = text.split_once("\r\n") {
            if line.is_empty() {
                return Ok(lines);
            }
            println!("{host} header > {line}");
            lines += 1;
            text = rest.to_owned();
        }
        if n == 0 {
            return Ok(lines);
        }
    }
}

/// Blocking code.
fn blocking(host: &'static str, addr: SocketAddr) -> io::Result<usize> {
    let mut stream = green::net::TcpStream::connect(addr)?;
    write!(stream, "GET / HTTP/1.0\r\nHost: {host}\r\n\r\n")?;
    let mut lines = 0;
    for line in BufReader::new(stream).lines() {
        let line = line?;
        if line.is_empty() {
            break;
        }
        println!("{host} header > {line}");
        lines += 1;
    }
    Ok(lines)
}

/// A web server that takes its time.
fn serve(
    host: &'static str,
) -> impl Fn(aio::net::StreamReader, aio::net::StreamWriter) -> BoxedResult {
    move |mut reader, mut writer| {
        Box::pin(async move {
            reader.read_until(b"\r\n\r\n").await?;
            for line in [
                "HTTP/1.0 200 OK",
                "Content-Type: text/plain",
                &format!("X-Host: {host}"),
                "",
                "hello",
            ] {
                writer.write(format!("{line}\r\n").as_bytes());
                writer.drain().await?;
                aio::sleep(Duration::from_millis(3)).await;
            }
            writer.close();
            writer.wait_closed().await
        })
    }
}

type BoxedResult = std::pin::Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;
