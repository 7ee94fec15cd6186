//! Reading, writing and seeking an open file.

use std::io::{self, IoSlice, IoSliceMut, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;

use super::File;
use super::at_once::{Had, complete};
use super::handle::{Direction, Handle, Way};
use super::turn::Filled;

impl Read for &File {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let way = self.handle.way(Direction::Read, buf.len());
        self.read_by(way, buf)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let asked = total(bufs);
        let way = self.handle.way(Direction::Read, asked);
        match self.filled(way, asked)? {
            None => self.handle.file().read_vectored(bufs),
            Some(filled) => filled.give(|bytes| bytes.read_vectored(bufs)),
        }
    }

    /// Reads all that there is, a regular file in one go; if the caller is interrupted, nothing of that is in `buf`.
    fn read_to_end(&mut self, buf: &mut Vec<u8>) -> io::Result<usize> {
        match self.handle.way(Direction::Read, usize::MAX) {
            Way::Inline if !self.handle.has_kept() => self.handle.file().read_to_end(buf),
            Way::Inline | Way::Poller => Piecewise(self).read_to_end(buf),
            Way::Pool => {
                let (all, result) = self.handle.read_to_end()?;
                if buf.is_empty() {
                    *buf = all;
                } else {
                    buf.extend_from_slice(&all);
                }
                result
            }
        }
    }

    /// As `read_to_end`.
    fn read_to_string(&mut self, buf: &mut String) -> io::Result<usize> {
        match self.handle.way(Direction::Read, usize::MAX) {
            Way::Inline if !self.handle.has_kept() => self.handle.file().read_to_string(buf),
            Way::Inline | Way::Poller => Piecewise(self).read_to_string(buf),
            Way::Pool => {
                let (all, result) = self.handle.read_to_string()?;
                if buf.is_empty() {
                    *buf = all;
                } else {
                    buf.push_str(&all);
                }
                result
            }
        }
    }
}

impl Write for &File {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let way = self.handle.way(Direction::Write, buf.len());
        if way == Way::Inline {
            return self.handle.file().write(buf);
        }
        let some = &buf[..self.handle.most(way, buf.len())];
        let gather = |all: &mut Vec<u8>| all.extend_from_slice(some);
        self.handle
            .write(way, gather, |mut file, all| file.write(all))
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        let way = self.handle.way(Direction::Write, total(bufs));
        if way == Way::Inline {
            return self.handle.file().write_vectored(bufs);
        }
        let most = self.handle.most(way, usize::MAX);
        let gather = |all: &mut Vec<u8>| {
            for buf in bufs {
                let room = most - all.len();
                all.extend_from_slice(&buf[..buf.len().min(room)]);
            }
        };
        self.handle
            .write(way, gather, |mut file, all| file.write(all))
    }

    /// There is nothing to flush.
    #[inline]
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for &File {
    fn seek(&mut self, pos: SeekFrom) -> io::Result<u64> {
        self.on_pool(move |mut file| file.seek(pos))
    }
}

impl Read for File {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let way = self.handle.way(Direction::Read, buf.len());
        let had = self.handle.read_on_at_once(way, buf);
        complete(had, buf, |rest| self.read_by(way, rest))
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        (&*self).read_vectored(bufs)
    }

    fn read_to_end(&mut self, buf: &mut Vec<u8>) -> io::Result<usize> {
        (&*self).read_to_end(buf)
    }

    fn read_to_string(&mut self, buf: &mut String) -> io::Result<usize> {
        (&*self).read_to_string(buf)
    }
}

impl Write for File {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        (&*self).write(buf)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        (&*self).write_vectored(bufs)
    }

    #[inline]
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for File {
    fn seek(&mut self, pos: SeekFrom) -> io::Result<u64> {
        (&*self).seek(pos)
    }
}

impl FileExt for File {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let way = Handle::way_of_stored();
        if way == Way::Inline {
            return self.handle.file().read_at(buf, offset);
        }
        let had = self.handle.read_at_once(way, offset, buf);
        let (Had::All(n) | Had::Part(n)) = had;
        complete(had, buf, |rest| {
            let next = offset.wrapping_add(n as u64);
            let read = move |file: &std::fs::File, buf: &mut [u8]| file.read_at(buf, next);
            match self.handle.read(way, rest.len(), read)? {
                None => Ok(0),
                Some(filled) => filled.give(|bytes| bytes.read(rest)),
            }
        })
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
        let way = Handle::way_of_stored();
        if way == Way::Inline {
            return self.handle.file().write_at(buf, offset);
        }
        let some = &buf[..self.handle.most(way, buf.len())];
        let gather = |all: &mut Vec<u8>| all.extend_from_slice(some);
        let write = move |file: &std::fs::File, all: &[u8]| file.write_at(all, offset);
        self.handle.write(way, gather, write)
    }
}

impl File {
    /// Reads into `buf` as `way` says.
    fn read_by(&self, way: Way, buf: &mut [u8]) -> io::Result<usize> {
        match self.filled(way, buf.len())? {
            None => self.handle.file().read(buf),
            Some(filled) => filled.give(|bytes| bytes.read(buf)),
        }
    }

    /// Reads `asked` bytes, or fewer; `None` if the caller is to do so itself, for it need not wait.
    fn filled(&self, way: Way, asked: usize) -> io::Result<Option<Filled>> {
        self.handle.read(way, asked, |mut file, buf| file.read(buf))
    }
}

/// How many bytes there are in all buffers.
fn total<B: std::ops::Deref<Target = [u8]>>(bufs: &[B]) -> usize {
    bufs.iter()
        .fold(0, |sum, buf| sum.saturating_add(buf.len()))
}

/// Reads with `read` alone, so that std's own methods do the rest.
struct Piecewise<'a>(&'a File);

impl Read for Piecewise<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }
}
