//! gevent's echo server and its clients in one process.
//!
//! Shows sockets: the code is what one writes with a thread for each connection, but `accept`, `read`
//! and `write_all` suspend only the green thread that calls them. At the end the server, which would
//! accept for ever, is killed: it unwinds out of `accept` and closes its listener.
//!
//!     cargo run -p green-examples --example echo_and_client

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Shutdown, SocketAddr};

use green::net::{TcpListener, TcpStream};

fn main() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    println!("listening on {address}");
    let server = green::spawn(move || serve(&listener));

    let clients: Vec<_> = (0..5)
        .map(|number| green::spawn(move || client(address, number)))
        .collect();
    for client in clients {
        let answer = client.into_result().expect("a client does not panic")?;
        println!("a client got: {answer}");
    }

    server.kill();
    assert!(TcpStream::connect(address).is_err(), "nobody listens now");
    Ok(())
}

fn serve(listener: &TcpListener) {
    for stream in listener.incoming() {
        match stream {
            Ok(stream) => drop(green::spawn(move || echo(&stream))),
            Err(error) => eprintln!("cannot accept: {error}"),
        }
    }
}

/// Sends back line after line until the client hangs up.
fn echo(mut stream: &TcpStream) -> io::Result<()> {
    let mut line = String::new();
    let mut reader = BufReader::new(stream);
    while reader.read_line(&mut line)? != 0 {
        stream.write_all(line.as_bytes())?;
        line.clear();
    }
    Ok(())
}

fn client(address: SocketAddr, number: u32) -> io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    let line = format!("hello from client {number}");
    writeln!(stream, "{line}")?;
    stream.shutdown(Shutdown::Write)?;
    let answer = io::read_to_string(&stream)?;
    assert_eq!(answer.trim_end(), line);
    Ok(line)
}
