//! `ureq`, a blocking HTTP client, with green sockets underneath: a hundred requests at once on one OS
//! thread.
//!
//! Shows how to bring a crate along that opens its own sockets: if it has a trait for its transport,
//! that is the place. The adapter is `transport.rs`; all else is `ureq` as everybody uses it.
//!
//!     cargo run -p green-examples --example ureq_client

use std::io::{self, BufRead, BufReader, Write};
use std::time::{Duration, Instant};

use green::net::{TcpListener, TcpStream};

mod transport;

const REQUESTS: usize = 100;

#[green::main(hubs = 1)]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}", listener.local_addr()?);
    let server = green::spawn(move || {
        for stream in listener.incoming().flatten() {
            green::spawn(move || serve(&stream));
        }
    });

    let config = ureq::config::Config::builder()
        .timeout_global(Some(Duration::from_secs(10)))
        .build();
    let agent = transport::agent(config);
    let start = Instant::now();
    let requests: Vec<_> = (0..REQUESTS)
        .map(|number| {
            let (agent, url) = (agent.clone(), format!("{url}/{number}"));
            green::spawn(move || agent.get(url).call()?.body_mut().read_to_string())
        })
        .collect();
    let mut bytes = 0;
    for request in requests {
        bytes += request.into_result()??.len();
    }
    println!(
        "{REQUESTS} answers of {PAUSE:?} each, {bytes} bytes, in {:.1?}",
        start.elapsed()
    );

    server.kill();
    Ok(())
}

/// Answers each request after a while.
fn serve(mut stream: &TcpStream) -> io::Result<()> {
    let mut lines = BufReader::new(stream).lines();
    while let Some(request) = lines.next().transpose()? {
        while lines
            .next()
            .transpose()?
            .is_some_and(|line| !line.is_empty())
        {}
        green::sleep(PAUSE);
        let body = format!("the answer to {request}\n");
        write!(
            stream,
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )?;
    }
    Ok(())
}

/// How long the server thinks.
const PAUSE: Duration = Duration::from_millis(100);
