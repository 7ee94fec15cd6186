//! `redis` over green sockets: its own commands, pipelines and parser, on a connection of ours.

use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

use green::net::TcpStream;
use green_examples::pool::ManageConnection;
use redis::{ConnectionLike, Parser, RedisError, RedisResult, Value};

/// A connection that all of `redis` works with: `cmd`, `pipe`, `Commands`.
pub struct Connection {
    stream: TcpStream,
    /// Holds what came after the last answer.
    parser: Parser,
    /// Nothing has failed, and no answer is under way that nobody waits for.
    in_step: bool,
}

impl Connection {
    /// Connects; `AUTH` and `SELECT` are commands like others. `limit` is for each read and write.
    pub fn connect(address: SocketAddr, limit: Option<Duration>) -> RedisResult<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(limit)?;
        stream.set_write_timeout(limit)?;
        Ok(Self {
            stream,
            parser: Parser::new(),
            in_step: true,
        })
    }

    /// Sends commands and gets the answers to them. Whatever ends this early, an error, a timeout or a
    /// kill, leaves a connection on which later answers would go to the wrong questions.
    fn ask(&mut self, packed: &[u8], answers: usize) -> RedisResult<Vec<Value>> {
        if !self.in_step {
            return Err(RedisError::from(std::io::Error::from(
                std::io::ErrorKind::BrokenPipe,
            )));
        }
        self.in_step = false;
        self.stream.write_all(packed)?;
        let mut values = Vec::with_capacity(answers);
        while values.len() < answers {
            match self.parser.parse_value(&self.stream)? {
                // News of the server's own, in the third version of the protocol.
                Value::Push { .. } => {}
                value => values.push(value),
            }
        }
        self.in_step = true;
        Ok(values)
    }
}

impl ConnectionLike for Connection {
    fn req_packed_command(&mut self, cmd: &[u8]) -> RedisResult<Value> {
        let mut values = self.ask(cmd, 1)?;
        Ok(values.pop().unwrap_or(Value::Nil))
    }

    fn req_packed_commands(
        &mut self,
        cmd: &[u8],
        offset: usize,
        count: usize,
    ) -> RedisResult<Vec<Value>> {
        let mut values = self.ask(cmd, offset + count)?;
        let wanted = values.split_off(offset);
        // What a transaction says to its parts: an error there means that it did not happen.
        for value in values {
            value.extract_error()?;
        }
        Ok(wanted)
    }

    fn get_db(&self) -> i64 {
        0
    }

    fn check_connection(&mut self) -> bool {
        redis::cmd("PING").exec(self).is_ok()
    }

    fn is_open(&self) -> bool {
        self.in_step
    }
}

/// Makes connections for a pool.
pub struct Manager {
    /// Where the server is.
    pub address: SocketAddr,
    /// How long a read or a write may take.
    pub limit: Option<Duration>,
}

impl ManageConnection for Manager {
    type Connection = Connection;
    type Error = RedisError;

    fn connect(&self) -> RedisResult<Connection> {
        Connection::connect(self.address, self.limit)
    }

    fn is_valid(&self, connection: &mut Connection) -> RedisResult<()> {
        redis::cmd("PING").exec(connection)
    }

    fn has_broken(&self, connection: &mut Connection) -> bool {
        !connection.is_open()
    }
}
