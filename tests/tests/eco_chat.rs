//! WebSockets by `tungstenite` over green sockets: the chat room of the example `chat`.

#![forbid(unsafe_code)]

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use green_core::Greenlet;
use green_core::event::Event;
use green_core::lock::Semaphore;
use green_net::{ListenOptions, TcpListener, TcpStream};
use green_tests::{Held, alone, eventually, sockets};
use tungstenite::error::ProtocolError;
use tungstenite::{Bytes, Error, Message, WebSocket};

#[path = "../../examples/examples/chat/room.rs"]
mod room;

use room::Room;

#[test]
fn a_thousand_members_hear_what_each_speaker_says() {
    const SPEAKERS: usize = 10;
    let _alone = alone();
    let members = sockets(2_000) / 2;
    let held = Held::now();
    let chat = Chat::start();
    let address = chat.address;
    let connecting = Arc::new(Semaphore::new(64));
    let connected = Arc::new(Semaphore::new(0));
    let go = Arc::new(Event::new());
    let handles: Vec<_> = (0..members)
        .map(|number| {
            let connecting = Arc::clone(&connecting);
            let connected = Arc::clone(&connected);
            let go = Arc::clone(&go);
            green_core::spawn(move || {
                let permit = connecting.acquire();
                let mut socket = join(address);
                drop(permit);
                connected.release();
                go.wait();
                if number < SPEAKERS {
                    let message = Message::text(format!("{number} speaks"));
                    socket.send(message).unwrap();
                }
                let mut heard: Vec<_> = (0..SPEAKERS)
                    .map(|_| socket.read().unwrap().into_text().unwrap().to_string())
                    .collect();
                heard.sort();
                let expected: Vec<_> = (0..SPEAKERS).map(|n| format!("{n} speaks")).collect();
                assert_eq!(heard, expected);
                say_goodbye(socket);
            })
        })
        .collect();
    for _ in 0..members {
        let one_more = connected.acquire_timeout(PATIENCE);
        one_more.expect("all clients connect").forget();
    }
    eventually("all are there", || chat.room.members() == members);
    go.set();
    for handle in handles {
        handle.into_result().unwrap();
    }
    eventually("all have gone", || chat.room.members() == 0);
    drop(chat);
    held.check();
}

#[test]
fn a_ping_is_answered_and_bytes_stay_bytes() {
    let chat = Chat::start();
    let mut socket = join(chat.address);
    let data = Bytes::from_static(b"\0\xff");
    socket.send(Message::Ping(data.clone())).unwrap();
    assert_eq!(socket.read().unwrap(), Message::Pong(data.clone()));
    socket.send(Message::Binary(data.clone())).unwrap();
    assert_eq!(socket.read().unwrap(), Message::Binary(data));
    say_goodbye(socket);
}

#[test]
fn a_large_message_and_one_in_parts() {
    let chat = Chat::start();
    let mut socket = join(chat.address);
    let large = Message::text("x".repeat(1 << 20));
    socket.send(large.clone()).unwrap();
    assert!(socket.read().unwrap() == large);
    // "ab" in two frames, masked with zeros.
    let parts = b"\x01\x81\0\0\0\0a\x80\x81\0\0\0\0b";
    socket.get_mut().write_all(parts).unwrap();
    assert_eq!(socket.read().unwrap(), Message::text("ab"));
}

#[test]
fn a_member_that_breaks_the_rules_has_to_go() {
    let chat = Chat::start();
    let mut socket = join(chat.address);
    eventually("it is there", || chat.room.members() == 1);
    // A reserved opcode.
    socket.get_mut().write_all(b"\x83\x80\0\0\0\0").unwrap();
    let end = socket.read().unwrap_err();
    let is_end = matches!(
        end,
        Error::Io(_) | Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)
    );
    assert!(is_end, "{end}");
    eventually("it is gone", || chat.room.members() == 0);
}

#[test]
fn what_is_no_handshake_is_refused() {
    let chat = Chat::start();
    let mut stream = connect(chat.address);
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let mut rest = Vec::new();
    // A reset is as good as an end.
    stream.read_to_end(&mut rest).ok();
    assert!(!rest.starts_with(b"HTTP/1.1 101"));
    assert_eq!(chat.room.members(), 0);
}

#[test]
fn a_member_that_does_not_listen_does_not_stop_the_others() {
    let chat = Chat::start();
    let deaf = join(chat.address);
    let mut socket = join(chat.address);
    eventually("both are there", || chat.room.members() == 2);
    // Far more than the sockets and the queue of the deaf one hold.
    let message = Message::text("x".repeat(256 * 1024));
    let mut sent = 0;
    while chat.room.members() == 2 {
        assert!(sent < 1_000, "the deaf member has to go");
        socket.send(message.clone()).unwrap();
        assert!(socket.read().unwrap() == message);
        sent += 1;
    }
    say_goodbye(socket);
    drop(deaf);
}

#[test]
fn a_member_that_says_nothing_meets_the_read_timeout() {
    let chat = Chat::start();
    let mut socket = join(chat.address);
    let limit = Some(Duration::from_millis(50));
    socket.get_mut().set_read_timeout(limit).unwrap();
    let error = socket.read().unwrap_err();
    assert!(
        matches!(&error, Error::Io(error) if error.kind() == std::io::ErrorKind::WouldBlock),
        "{error}"
    );
    // It may go on.
    socket.send(Message::text("still here")).unwrap();
    socket.get_mut().set_read_timeout(None).unwrap();
    assert_eq!(socket.read().unwrap(), Message::text("still here"));
}

/// The room, with its door open.
struct Chat {
    room: Room,
    address: SocketAddr,
    acceptor: Greenlet<()>,
}

impl Chat {
    fn start() -> Self {
        let how = ListenOptions::default().backlog(4096);
        let listener = TcpListener::bind_with("127.0.0.1:0", how).unwrap();
        let address = listener.local_addr().unwrap();
        let room = Room::default();
        let acceptor = {
            let room = room.clone();
            green_core::spawn(move || room.serve(&listener))
        };
        Self {
            room,
            address,
            acceptor,
        }
    }
}

impl Drop for Chat {
    fn drop(&mut self) {
        self.acceptor.kill();
    }
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn join(address: SocketAddr) -> WebSocket<TcpStream> {
    let (socket, response) =
        tungstenite::client(format!("ws://{address}/"), connect(address)).unwrap();
    assert_eq!(response.status(), 101);
    socket
}

/// Closes as the protocol wants it: both say so, and then the server hangs up.
fn say_goodbye(mut socket: WebSocket<TcpStream>) {
    socket.close(None).unwrap();
    loop {
        match socket.read() {
            Ok(_) => {}
            Err(Error::ConnectionClosed) => return,
            Err(error) => panic!("no goodbye: {error}"),
        }
    }
}

/// How long a crowd may take on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(60);
