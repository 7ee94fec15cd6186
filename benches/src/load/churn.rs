//! Connections that are opened, used once, and closed.

use std::io;
use std::mem;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Instant;

use rustix::event::epoll;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, socket_with};

use super::exchange::Exchange;
use super::{Connection, Generator};

impl Generator {
    /// Connect, one request, close, on `at_once` slots until the deadline has passed.
    pub(super) fn churn(&mut self, at_once: usize, deadline: Instant) -> io::Result<u64> {
        if !self.connections.is_empty() || at_once == 0 {
            return Err(io::Error::other(
                "churn needs a positive count and no open connections",
            ));
        }
        let mut opened = 0;
        let mut slots = Vec::with_capacity(at_once);
        for index in 0..at_once {
            slots.push(Some(self.open(index, opened)?));
            opened += 1;
        }
        let mut requests = 0;
        let mut outstanding = at_once;
        while outstanding > 0 {
            self.poll(outstanding)?;
            let more = Instant::now() < deadline;
            let events = mem::take(&mut self.events);
            for event in &events {
                let index = event.data.u64() as usize;
                let Some(slot) = &mut slots[index] else {
                    continue;
                };
                if !slot.sent {
                    let Connection { socket, exchange } = &mut slot.connection;
                    exchange.send(socket, &mut self.message)?;
                    slot.sent = true;
                    continue;
                }
                let Connection { socket, exchange } = &mut slot.connection;
                if !exchange.receive(socket, &mut self.message)? {
                    continue;
                }
                requests += 1;
                // Closed before the next one opens, so that there are never more than `at_once`.
                slots[index] = None;
                if more {
                    slots[index] = Some(self.open(index, opened)?);
                    opened += 1;
                } else {
                    outstanding -= 1;
                }
            }
            self.events = events;
        }
        Ok(requests)
    }

    /// Begins to connect one more socket for churn, from a source address of its own in turn: the closed
    /// ones are remembered by the kernel for a minute and would use up one address's ports.
    fn open(&self, index: usize, number: u64) -> io::Result<Slot> {
        let socket = socket_with(
            AddressFamily::INET,
            SocketType::STREAM,
            SocketFlags::NONBLOCK | SocketFlags::CLOEXEC,
            None,
        )?;
        let host = 1 + (number % SOURCE_ADDRESSES) as u8;
        bind(
            &socket,
            &SocketAddrV4::new(Ipv4Addr::new(127, 0, 1, host), 0),
        )?;
        match connect(&socket, &self.server) {
            Ok(()) | Err(Errno::INPROGRESS) => {}
            Err(error) => return Err(error.into()),
        }
        let flags = epoll::EventFlags::IN | epoll::EventFlags::OUT;
        self.watch(&socket, index, flags)?;
        Ok(Slot {
            connection: Connection {
                socket,
                exchange: Exchange::new(number),
            },
            sent: false,
        })
    }
}

/// A connection that is being opened, used and closed.
struct Slot {
    connection: Connection,
    /// Whether it has become writable and its request is on its way.
    sent: bool,
}

/// How many of 127.0.1.1 to 127.0.1.254 are used.
const SOURCE_ADDRESSES: u64 = 200;
