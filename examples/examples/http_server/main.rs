//! An HTTP/1.1 server over `httparse`, which parses heads and does no I/O.
//!
//! Shows a server that a stranger may talk to: keep-alive and pipelining, and for everything that a
//! client can make large or slow a limit, most of them a `green::timeout` around plain blocking code. The
//! server itself is `server.rs`; here it serves two pages and is asked for them.
//!
//!     cargo run -p green-examples --example http_server

use std::io::{self, Read, Write};
use std::net::Shutdown;

use green::net::{TcpListener, TcpStream};

mod server;

use server::{Limits, Request, Response, serve};

fn main() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    println!("listening on {address}");
    let server = green::spawn(move || serve(&listener, Limits::default(), answer));

    let ask = |requests: &str| {
        let mut stream = TcpStream::connect(address)?;
        stream.write_all(requests.as_bytes())?;
        stream.shutdown(Shutdown::Write)?;
        let mut answers = String::new();
        stream.read_to_string(&mut answers)?;
        io::Result::Ok(answers)
    };
    let pipelined = "GET / HTTP/1.1\r\nHost: here\r\n\r\n\
                     POST /echo HTTP/1.1\r\nHost: here\r\nContent-Length: 5\r\n\r\nhello\
                     GET /nothing HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n";
    println!("three at once:\n{}", ask(pipelined)?);
    println!("nonsense:\n{}", ask("How?\r\n\r\n")?);

    server.kill();
    Ok(())
}

fn answer(request: &Request) -> Response {
    match (request.method.as_str(), request.target.as_str()) {
        ("GET" | "HEAD", "/") => {
            let host = request.header("host").unwrap_or_default();
            Response::ok([b"you are at ", host, b"\n"].concat())
        }
        ("POST", "/echo") => Response::ok(request.body.clone()),
        _ => Response::error("404 Not Found"),
    }
}
