//! How a file is to be opened.

use std::fmt;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::{File, opening};

/// Options of an open; [`std::fs::OpenOptions`].
///
/// # Differences from std
///
/// None.
///
/// # Examples
///
/// ```
/// use green_core::fs::OpenOptions;
///
/// let missing = OpenOptions::new().read(true).open("no such file");
/// assert_eq!(missing.unwrap_err().kind(), std::io::ErrorKind::NotFound);
/// ```
#[derive(Clone)]
pub struct OpenOptions {
    std: std::fs::OpenOptions,
}

impl OpenOptions {
    /// No options; [`std::fs::OpenOptions::new`].
    #[expect(clippy::new_without_default, reason = "std's has no `Default`")]
    #[must_use]
    pub fn new() -> Self {
        Self {
            std: std::fs::OpenOptions::new(),
        }
    }

    /// For reading; [`std::fs::OpenOptions::read`].
    pub fn read(&mut self, read: bool) -> &mut Self {
        self.std.read(read);
        self
    }

    /// For writing; [`std::fs::OpenOptions::write`].
    pub fn write(&mut self, write: bool) -> &mut Self {
        self.std.write(write);
        self
    }

    /// For writing at the end; [`std::fs::OpenOptions::append`].
    pub fn append(&mut self, append: bool) -> &mut Self {
        self.std.append(append);
        self
    }

    /// Makes the file empty; [`std::fs::OpenOptions::truncate`].
    pub fn truncate(&mut self, truncate: bool) -> &mut Self {
        self.std.truncate(truncate);
        self
    }

    /// Makes the file if it is missing; [`std::fs::OpenOptions::create`].
    pub fn create(&mut self, create: bool) -> &mut Self {
        self.std.create(create);
        self
    }

    /// Makes the file, which must be missing; [`std::fs::OpenOptions::create_new`].
    pub fn create_new(&mut self, create_new: bool) -> &mut Self {
        self.std.create_new(create_new);
        self
    }

    /// Opens a file; [`std::fs::OpenOptions::open`].
    ///
    /// # Blocking
    ///
    /// Parks the caller; a cancellation point. The open of a FIFO, which waits for its other end, has an OS thread of its
    /// own; that one waits on if the caller is interrupted.
    ///
    /// # Errors
    ///
    /// As std's.
    pub fn open<P: AsRef<Path>>(&self, path: P) -> io::Result<File> {
        let (options, path) = (self.std.clone(), path.as_ref().to_owned());
        opening([path.clone()], move || options.open(path)).map(File::from)
    }
}

impl OpenOptionsExt for OpenOptions {
    fn mode(&mut self, mode: u32) -> &mut Self {
        self.std.mode(mode);
        self
    }

    fn custom_flags(&mut self, flags: i32) -> &mut Self {
        self.std.custom_flags(flags);
        self
    }
}

impl fmt::Debug for OpenOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.std.fmt(f)
    }
}
