//! A chat over WebSockets with `tungstenite`, server and members in one process.
//!
//! Shows a protocol in which both sides speak when they like: hearing and speaking are two green threads,
//! with a queue between them. The room is `room.rs`.
//!
//!     cargo run -p green-examples --example chat

use std::net::SocketAddr;
use std::time::Duration;

use green::net::{TcpListener, TcpStream};
use tungstenite::{Message, WebSocket};

mod room;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let room = room::Room::default();
    let server = {
        let room = room.clone();
        green::spawn(move || room.serve(&listener))
    };

    let names = ["Ann", "Ben", "Cleo"];
    let mut members = Vec::new();
    for name in names {
        members.push((name, join(address)?));
    }
    while room.members() < names.len() {
        green::sleep(Duration::from_millis(1));
    }
    let stays: Vec<_> = members
        .into_iter()
        .map(|(name, mut socket)| {
            green::spawn(move || {
                socket.send(Message::text(format!("{name}: hello")))?;
                let mut heard = Vec::new();
                while heard.len() < names.len() {
                    heard.push(socket.read()?.into_text()?.to_string());
                }
                heard.sort();
                socket.close(None)?;
                Ok::<_, tungstenite::Error>(format!("{name} heard {heard:?}"))
            })
        })
        .collect();
    for stay in stays {
        println!("{}", stay.into_result()??);
    }

    server.kill();
    Ok(())
}

fn join(address: SocketAddr) -> Result<WebSocket<TcpStream>, Box<dyn std::error::Error>> {
    let stream = TcpStream::connect(address)?;
    let (socket, _) = tungstenite::client(format!("ws://{address}/"), stream)?;
    Ok(socket)
}
