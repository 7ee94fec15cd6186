//! A chat room over WebSockets: what one says, all hear.
//!
//! # How a connection is shared
//!
//! A `tungstenite::WebSocket` is read and written through one `&mut`, but a member must be able to hear
//! while it waits for the member to speak. So each member has two green threads: the speaker owns the
//! WebSocket, over a [`Half`] that reads from the socket and puts what is to be written, which is an
//! answer to a ping or to a goodbye, into the member's queue; the writer sends what is in that queue. So
//! frames never mix, and a message to a thousand members is encoded once.
//!
//! A member whose queue is full is too slow for the room, and has to go.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use green::net::{Shutdown, TcpListener, TcpStream};
use green::queue::Queue;
use green::sync::Mutex;
use tungstenite::protocol::Role;
use tungstenite::protocol::frame::Frame;
use tungstenite::protocol::frame::coding::{Data, OpCode};
use tungstenite::{Error, HandshakeError, Message, WebSocket};

/// Who is in the room. Clones share it.
#[derive(Clone, Default)]
pub struct Room(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// By number.
    members: Mutex<HashMap<u64, Hearing>>,
    next: AtomicU64,
}

/// How a member is told.
struct Hearing {
    /// Frames for its writer.
    queue: Queue<Arc<[u8]>>,
    stream: Arc<TcpStream>,
}

impl Room {
    /// Lets members in for ever.
    pub fn serve(&self, listener: &TcpListener) {
        for stream in listener.incoming() {
            match stream {
                Ok(stream) => {
                    let room = self.clone();
                    green::spawn(move || room.welcome(Arc::new(stream)).ok());
                }
                Err(error) => {
                    log::warn!("cannot accept: {error}");
                    green::sleep(Duration::from_millis(100));
                }
            }
        }
    }

    /// How many are there.
    pub fn members(&self) -> usize {
        self.0.members.lock().expect("nothing panics here").len()
    }

    /// A member's whole stay.
    fn welcome(&self, stream: Arc<TcpStream>) -> Result<(), Error> {
        let too_late = |_| io::Error::from(io::ErrorKind::TimedOut);
        green::timeout(PATIENCE, || shake_hands(&stream)).map_err(too_late)??;
        stream.set_write_timeout(Some(PATIENCE))?;
        let member = Member::new(self, &stream);
        let half = Half {
            stream: &stream,
            queue: &member.queue,
        };
        let mut socket = WebSocket::from_raw_socket(half, Role::Server, None);
        loop {
            match socket.read() {
                Ok(Message::Text(text)) => self.tell_all(text.as_bytes(), OpCode::Data(Data::Text)),
                Ok(Message::Binary(data)) => self.tell_all(&data, OpCode::Data(Data::Binary)),
                Ok(_) => {}
                Err(Error::ConnectionClosed) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    fn tell_all(&self, data: &[u8], kind: OpCode) {
        let mut frame = Vec::with_capacity(data.len() + 10);
        Frame::message(data.to_vec(), kind, true)
            .format(&mut frame)
            .expect("memory does not fail");
        let frame = Arc::<[u8]>::from(frame);
        let mut members = self.0.members.lock().expect("nothing panics here");
        members.retain(|_, member| {
            let has_room = member.queue.try_put(Arc::clone(&frame)).is_ok();
            if !has_room {
                // Both of its green threads see that; an error means that it has left.
                member.stream.shutdown(Shutdown::Both).ok();
            }
            has_room
        });
    }
}

/// The handshake, which is spoken without a queue.
fn shake_hands(stream: &TcpStream) -> Result<(), Error> {
    match tungstenite::accept(stream) {
        Ok(_) => Ok(()),
        Err(HandshakeError::Failure(error)) => Err(error),
        Err(HandshakeError::Interrupted(_)) => Err(io::Error::from(io::ErrorKind::TimedOut).into()),
    }
}

/// A member's place, left on every way out.
struct Member<'a> {
    room: &'a Room,
    number: u64,
    queue: Queue<Arc<[u8]>>,
}

impl<'a> Member<'a> {
    fn new(room: &'a Room, stream: &Arc<TcpStream>) -> Self {
        let queue = Queue::<Arc<[u8]>>::bounded(QUEUE);
        let number = room.0.next.fetch_add(1, Ordering::Relaxed);
        let hearing = || Hearing {
            queue: queue.clone(),
            stream: Arc::clone(stream),
        };
        let writer = hearing();
        green::spawn(move || {
            for frame in writer.queue.iter() {
                if (&*writer.stream).write_all(&frame).is_err() {
                    break;
                }
            }
            // After a goodbye it is for the server to hang up, and after an error the speaker is to see it.
            writer.stream.shutdown(Shutdown::Both).ok();
        });
        let mut members = room.0.members.lock().expect("nothing panics here");
        members.insert(number, hearing());
        drop(members);
        Self {
            room,
            number,
            queue,
        }
    }
}

impl Drop for Member<'_> {
    fn drop(&mut self) {
        // The lock is a point at which a kill may strike, and then there would be a ghost in the room.
        green::mask_kill(|| {
            let mut members = self.room.0.members.lock().expect("nothing panics here");
            members.remove(&self.number);
            drop(members);
            // The writer ends when it has written what is left.
            self.queue.close();
        });
    }
}

/// What the speaker's WebSocket takes for its socket.
struct Half<'a> {
    stream: &'a TcpStream,
    queue: &'a Queue<Arc<[u8]>>,
}

impl Read for Half<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.read(buffer)
    }
}

impl Write for Half<'_> {
    /// Takes all, so what comes at once are whole frames.
    fn write(&mut self, frames: &[u8]) -> io::Result<usize> {
        self.queue
            .put(frames.into())
            .map_err(|_| io::ErrorKind::BrokenPipe)?;
        Ok(frames.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// How long a handshake may take, and how long a member may take nothing of what it is sent.
const PATIENCE: Duration = Duration::from_secs(30);

/// Messages that may wait for a member.
const QUEUE: usize = 100;
