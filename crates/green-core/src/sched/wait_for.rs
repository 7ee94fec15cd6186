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
    /// To read what a read-write lock protects.
    RwLockRead,
    /// To write what a read-write lock protects.
    RwLockWrite,
    /// The others at a barrier.
    Barrier,
    /// A value that is made once.
    Once,
    /// A message in a channel.
    Receive,
    /// Room in a channel.
    Send,
    /// `Thread::unpark`.
    Park,
    /// The green threads of a scope.
    Scope,
    /// The lock of a file.
    FileLock,
    /// Any of several things.
    Several,
    /// That its hub has nothing else to do.
    Idle,
    /// A result that somebody sets.
    AsyncResult,
    /// A lock that its owner may take again.
    RLock,
    /// The tasks of a queue to be done.
    QueueJoin,
    /// A switch from another green thread.
    Switch,
    /// A future to be polled again.
    Future,
}

impl WaitFor {
    const ALL: [Self; 29] = [
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
        Self::RwLockRead,
        Self::RwLockWrite,
        Self::Barrier,
        Self::Once,
        Self::Receive,
        Self::Send,
        Self::Park,
        Self::Scope,
        Self::FileLock,
        Self::Several,
        Self::Idle,
        Self::AsyncResult,
        Self::RLock,
        Self::QueueJoin,
        Self::Switch,
        Self::Future,
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
            Self::RwLockRead => "rwlock read",
            Self::RwLockWrite => "rwlock write",
            Self::Barrier => "barrier",
            Self::Once => "once",
            Self::Receive => "receive",
            Self::Send => "send",
            Self::Park => "unpark",
            Self::Scope => "scope",
            Self::FileLock => "file lock",
            Self::Several => "any of several",
            Self::Idle => "idle hub",
            Self::AsyncResult => "async result",
            Self::RLock => "rlock",
            Self::QueueJoin => "queue join",
            Self::Switch => "switch",
            Self::Future => "a future",
        })
    }
}
