//! What a caller waits for, in one byte: what dumps show.

/// What a parked green thread waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum WaitFor {
    /// It does not wait.
    Nothing,
    /// A time.
    Sleep,
    /// Its next turn.
    Yield,
    /// The end of a green thread.
    Join,
    /// A mutex.
    Mutex,
    /// A condition variable.
    Condvar,
    /// A semaphore.
    Semaphore,
    /// An event.
    Event,
    /// An item in a queue.
    QueueGet,
    /// Room in a queue.
    QueuePut,
    /// A file descriptor to become readable.
    Read,
    /// A file descriptor to become writable.
    Write,
    /// A job in the blocking pool.
    Blocking,
}

impl WaitFor {
    const ALL: [Self; 13] = [
        Self::Nothing,
        Self::Sleep,
        Self::Yield,
        Self::Join,
        Self::Mutex,
        Self::Condvar,
        Self::Semaphore,
        Self::Event,
        Self::QueueGet,
        Self::QueuePut,
        Self::Read,
        Self::Write,
        Self::Blocking,
    ];

    /// The inverse of `as u8`.
    pub(crate) fn from_bits(bits: u8) -> Self {
        Self::ALL
            .get(usize::from(bits))
            .copied()
            .unwrap_or(Self::Nothing)
    }
}

impl std::fmt::Display for WaitFor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Nothing => "nothing",
            Self::Sleep => "sleep",
            Self::Yield => "its turn",
            Self::Join => "join",
            Self::Mutex => "mutex",
            Self::Condvar => "condvar",
            Self::Semaphore => "semaphore",
            Self::Event => "event",
            Self::QueueGet => "queue get",
            Self::QueuePut => "queue put",
            Self::Read => "read",
            Self::Write => "write",
            Self::Blocking => "blocking job",
        })
    }
}
