//! A chat room in which one client does not read, and is shown out.
//!
//! Shows two green threads for each connection, one that reads and one that writes, with a `Queue` in between; a broadcast
//! that waits for nobody; and `timeout` around a write: who takes nothing for a while loses the connection, and nobody else
//! notices.
//!
//!     cargo run -p green-examples --example chat_server

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use green::net::TcpStream;
use green::queue::Queue;
use green::server::StreamServer;
use green::sync::Mutex;
use rustix::net::sockopt::set_socket_send_buffer_size;

/// How long a member may take for one line.
const PATIENCE: Duration = Duration::from_secs(1);
/// How many lines may wait for one member.
const LINES: usize = 256;
/// How many are said.
const ROUNDS: usize = 200;

fn main() -> io::Result<()> {
    let room = Arc::new(Room::default());
    let theirs = Arc::clone(&room);
    let server = StreamServer::new("127.0.0.1:0", move |stream, peer| {
        theirs.serve(stream, peer)
    })?;
    server.start()?;
    let address = server.address();

    // It joins, and never reads a line.
    let mut deaf = TcpStream::connect(address)?;
    writeln!(deaf, "deaf")?;
    let listeners: Vec<_> = ["ann", "bob", "eve"]
        .map(|name| green::spawn(move || listen(address, name)))
        .into();
    while room.len() < 4 {
        green::sleep(Duration::from_millis(1));
    }

    let mut speaker = TcpStream::connect(address)?;
    writeln!(speaker, "speaker")?;
    let padding = "x".repeat(8_000);
    for round in 0..ROUNDS {
        writeln!(speaker, "line {round} {padding}")?;
    }
    writeln!(speaker, "bye")?;
    for listener in listeners {
        let (name, lines) = listener.into_result().expect("a listener does not panic")?;
        println!("{name} has read {lines} lines");
        assert_eq!(lines, ROUNDS + 1);
    }
    while room.kicked() == 0 {
        green::sleep(Duration::from_millis(1));
    }
    println!("{} was shown out", room.kicked());
    assert_eq!(room.kicked(), 1);
    drop((speaker, deaf));
    let report = server.stop();
    assert_eq!((report.killed, report.left), (0, 0));
    Ok(())
}

/// Who is there.
#[derive(Default)]
struct Room {
    members: Mutex<HashMap<SocketAddr, Queue<Arc<str>>>>,
    kicked: Mutex<usize>,
}

impl Room {
    fn len(&self) -> usize {
        self.members.lock().unwrap().len()
    }

    fn kicked(&self) -> usize {
        *self.kicked.lock().unwrap()
    }

    /// Reads what a member says, until it goes.
    fn serve(self: &Arc<Self>, stream: TcpStream, peer: SocketAddr) -> io::Result<()> {
        let mut lines = BufReader::new(&stream).lines();
        let Some(name) = lines.next().transpose()? else {
            return Ok(());
        };
        // So that the kernel does not hide for long that nobody reads.
        set_socket_send_buffer_size(&stream, 4_096)?;
        let queue = Queue::bounded(LINES);
        self.members.lock().unwrap().insert(peer, queue.clone());
        let (room, theirs, output) = (Arc::clone(self), queue.clone(), stream.try_clone()?);
        let writer = green::spawn(move || room.write(&theirs, output));
        for line in lines {
            let Ok(line) = line else { break };
            self.say(peer, &format!("{name}: {line}\n"));
        }
        self.members.lock().unwrap().remove(&peer);
        queue.close();
        writer.join();
        Ok(())
    }

    /// Gives a line to everybody but one, without waiting for anybody.
    fn say(&self, speaker: SocketAddr, line: &str) {
        let line: Arc<str> = line.into();
        let members = self.members.lock().unwrap();
        for (_, queue) in members.iter().filter(|(peer, _)| **peer != speaker) {
            // Who has no room misses it. Its writer is stuck, and will be shown out.
            drop(queue.try_put(Arc::clone(&line)));
        }
    }

    /// Writes what a member is to hear. One that takes nothing for too long is shown out.
    fn write(&self, queue: &Queue<Arc<str>>, mut output: TcpStream) {
        for line in queue.iter() {
            match green::timeout(PATIENCE, || output.write_all(line.as_bytes())) {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return,
                Err(_) => {
                    *self.kicked.lock().unwrap() += 1;
                    // Its reader finds out, too.
                    drop(output.shutdown(green::net::Shutdown::Both));
                    return;
                }
            }
        }
    }
}

/// Joins, and counts the lines up to the last one.
fn listen(address: SocketAddr, name: &'static str) -> io::Result<(&'static str, usize)> {
    let mut stream = TcpStream::connect(address)?;
    writeln!(stream, "{name}")?;
    let mut count = 0;
    for line in BufReader::new(stream).lines() {
        count += 1;
        if line?.ends_with(": bye") {
            break;
        }
    }
    Ok((name, count))
}
