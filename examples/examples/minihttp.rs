//! An HTTP server that was written for `may`, in one process with green threads.
//!
//! Shows that what blocks here works inside `may`'s coroutines too: the handlers of `may_minihttp` ask a
//! green echo server through a green socket, count under a green lock, and sleep; the other side of
//! each is a pinned green thread.
//!
//!     cargo run -p green-examples --example minihttp

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use green::net::{TcpListener, TcpStream};
use green::sync::Mutex;
use may_minihttp::{HttpServer, HttpService, Request, Response};

fn main() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let echo = listener.local_addr()?;
    let echo_server = green::spawn(move || serve_echo(&listener));

    let requests = Arc::new(Mutex::new(0));
    let address = free_address()?;
    let service = Handler {
        echo,
        requests: Arc::clone(&requests),
    };
    let _server = HttpServer(service).start(address)?;
    println!("listening on {address}");

    let clients: Vec<_> = ["/echo/hello", "/echo/green", "/echo/world", "/other"]
        .map(|path| green::spawn(move || request(address, path)))
        .into();
    for client in clients {
        let answer = client.into_result().expect("a client does not panic")?;
        println!("{answer}");
    }

    println!("requests: {}", *requests.lock().expect("nobody panics"));
    echo_server.kill();
    // `may_minihttp` has no orderly end: its coroutines go with the process.
    Ok(())
}

/// What answers requests, in coroutines of `may`; each connection has a clone.
#[derive(Clone)]
struct Handler {
    echo: SocketAddr,
    requests: Arc<Mutex<usize>>,
}

impl HttpService for Handler {
    fn call(
        &mut self,
        request: Request<'_, '_, '_>,
        response: &mut Response<'_>,
    ) -> io::Result<()> {
        *self.requests.lock().expect("nobody panics") += 1;
        green::sleep(Duration::from_millis(10));
        match request.path().strip_prefix("/echo/") {
            Some(word) => {
                let mut stream = TcpStream::connect(self.echo)?;
                writeln!(stream, "{word}")?;
                let mut echoed = String::new();
                BufReader::new(&stream).read_line(&mut echoed)?;
                response.body_vec(format!("the echo of {echoed}").into_bytes());
            }
            None => {
                response.status_code(404, "Not Found");
                response.body("no such page\n");
            }
        }
        Ok(())
    }
}

/// A pinned green thread accepts, one for each connection echoes.
fn serve_echo(listener: &TcpListener) {
    for stream in listener.incoming() {
        match stream {
            Ok(stream) => drop(green::spawn(move || echo(&stream))),
            Err(error) => eprintln!("cannot accept: {error}"),
        }
    }
}

fn echo(mut stream: &TcpStream) -> io::Result<()> {
    let mut buffer = [0; 4096];
    loop {
        let read = stream.read(&mut buffer)?;
        if read == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..read])?;
    }
}

/// Makes one request; returns the first line and the body of the answer.
fn request(address: SocketAddr, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
    let mut reader = BufReader::new(&stream);
    let mut status = String::new();
    reader.read_line(&mut status)?;
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().map_err(io::Error::other)?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let body = String::from_utf8_lossy(&body);
    Ok(format!(
        "{path}: {}: {}",
        status.trim_end(),
        body.trim_end()
    ))
}

/// An address that was free a moment ago: `may_minihttp` does not tell which port it has got.
fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}
