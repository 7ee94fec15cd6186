//! The types of `fs` have the auto traits, the traits and the signatures of std's.

use std::fmt::Debug;
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, DirEntryExt, FileExt, OpenOptionsExt};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use green_core::fs;

/// What every type has.
fn common<T: Send + Sync + Unpin + UnwindSafe + RefUnwindSafe + Debug>() {}

fn file<T>()
where
    T: AsFd + AsRawFd + FromRawFd + IntoRawFd + From<OwnedFd> + FileExt + Read + Write + Seek,
    OwnedFd: From<T>,
    Stdio: From<T>,
    for<'a> &'a T: Read + Write + Seek,
{
}

#[test]
fn files() {
    common::<fs::File>();
    common::<std::fs::File>();
    file::<fs::File>();
    file::<std::fs::File>();
    let _: fn(std::fs::File) -> fs::File = From::from;
    let _: fn(fs::File) -> std::fs::File = From::from;
}

#[test]
fn options_and_directories() {
    fn options<T: Clone + OpenOptionsExt>() {}
    fn entry<T: DirEntryExt>() {}
    fn entries<T: Iterator<Item = io::Result<E>>, E>() {}
    fn builder<T: DirBuilderExt>() {}
    common::<fs::OpenOptions>();
    common::<std::fs::OpenOptions>();
    options::<fs::OpenOptions>();
    common::<fs::ReadDir>();
    common::<std::fs::ReadDir>();
    entries::<fs::ReadDir, fs::DirEntry>();
    common::<fs::DirEntry>();
    common::<std::fs::DirEntry>();
    entry::<fs::DirEntry>();
    common::<fs::DirBuilder>();
    common::<std::fs::DirBuilder>();
    builder::<fs::DirBuilder>();
}

/// Each is named with std's generic parameters.
#[test]
fn functions() {
    macro_rules! same {
        ($($name:ident ::<$($generic:ty),*>: $signature:ty;)*) => {
            $(
                let _: $signature = fs::$name::<$($generic),*>;
                let _: $signature = std::fs::$name::<$($generic),*>;
            )*
        };
    }
    same! {
        read::<&str>: fn(&'static str) -> io::Result<Vec<u8>>;
        read_to_string::<&str>: fn(&'static str) -> io::Result<String>;
        write::<&str, &[u8]>: fn(&'static str, &'static [u8]) -> io::Result<()>;
        copy::<&str, &Path>: fn(&'static str, &'static Path) -> io::Result<u64>;
        rename::<&str, &Path>: fn(&'static str, &'static Path) -> io::Result<()>;
        remove_file::<&str>: fn(&'static str) -> io::Result<()>;
        remove_dir::<&str>: fn(&'static str) -> io::Result<()>;
        remove_dir_all::<&str>: fn(&'static str) -> io::Result<()>;
        create_dir::<&str>: fn(&'static str) -> io::Result<()>;
        create_dir_all::<&str>: fn(&'static str) -> io::Result<()>;
        metadata::<&str>: fn(&'static str) -> io::Result<std::fs::Metadata>;
        symlink_metadata::<&str>: fn(&'static str) -> io::Result<std::fs::Metadata>;
        canonicalize::<&str>: fn(&'static str) -> io::Result<PathBuf>;
        hard_link::<&str, &Path>: fn(&'static str, &'static Path) -> io::Result<()>;
        read_link::<&str>: fn(&'static str) -> io::Result<PathBuf>;
        set_permissions::<&str>: fn(&'static str, std::fs::Permissions) -> io::Result<()>;
        exists::<&str>: fn(&'static str) -> io::Result<bool>;
    }
    let _: fn(&'static str) -> io::Result<fs::ReadDir> = fs::read_dir::<&str>;
}

#[test]
fn functions_of_unix() {
    macro_rules! same {
        ($($name:ident ::<$($generic:ty),*>: $signature:ty;)*) => {
            $(
                let _: $signature = fs::unix::$name::<$($generic),*>;
                let _: $signature = std::os::unix::fs::$name::<$($generic),*>;
            )*
        };
    }
    same! {
        symlink::<&str, &Path>: fn(&'static str, &'static Path) -> io::Result<()>;
        chown::<&str>: fn(&'static str, Option<u32>, Option<u32>) -> io::Result<()>;
        fchown::<OwnedFd>: fn(OwnedFd, Option<u32>, Option<u32>) -> io::Result<()>;
        lchown::<&str>: fn(&'static str, Option<u32>, Option<u32>) -> io::Result<()>;
        chroot::<&str>: fn(&'static str) -> io::Result<()>;
    }
}

/// The texts of `{:?}` are std's.
#[test]
fn debug() {
    let dir = std::env::temp_dir();
    let text = |value: &dyn Debug| format!("{value:?}");
    let mut ours = fs::OpenOptions::new();
    let mut stds = std::fs::OpenOptions::new();
    assert_eq!(text(&ours), text(&stds));
    assert_eq!(
        text(ours.append(true).create(true).mode(0o600)),
        text(stds.append(true).create(true).mode(0o600))
    );
    let mut ours = fs::DirBuilder::new();
    let mut stds = std::fs::DirBuilder::new();
    assert_eq!(text(&ours), text(&stds));
    assert_eq!(
        text(ours.recursive(true).mode(0o700)),
        text(stds.recursive(true).mode(0o700))
    );
    let file = std::fs::File::open(&dir).expect("there is one");
    let expected = text(&file);
    assert_eq!(text(&fs::File::from(file)), expected);
    assert_eq!(
        text(&fs::read_dir(&dir).expect("there is one")),
        text(&std::fs::read_dir(&dir).expect("there is one"))
    );
}
