//! `std::fs`'s own tests, on std's `fs` and on ours.

#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "std's types and OS threads are two of the ways to run, in functions that tests call"
)]

#[path = "support/dir.rs"]
mod dir;
#[expect(unused_macros, reason = "that one is for `sync`")]
#[path = "support/parity.rs"]
mod parity;
#[macro_use]
#[path = "support/parity_fs.rs"]
mod parity_fs;

use std::io::{ErrorKind, IoSlice, IoSliceMut, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::Path;
use std::str;
use std::time::{Duration, SystemTime};

use dir::Dir;

/// The text of an error.
#[track_caller]
fn refused<T>(result: std::io::Result<T>, text: &str) {
    let error = result.err().expect("it should be refused").to_string();
    assert!(error.contains(text), "{error:?} does not contain {text:?}");
}

/// Makes so many files, named by numbers.
fn fill(dir: &Dir, count: usize) {
    for n in 0..count {
        std::fs::File::create(dir.join(n.to_string())).expect("there is room");
    }
}

/// Bytes without a pattern.
fn noise() -> [u8; 1024] {
    let mut state = 0x2545_F491_4F6C_DD1D_u64 ^ u64::from(std::process::id());
    std::array::from_fn(|_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    })
}

const MISSING: &str = "No such file or directory";
const INVALID: &str = "creating or truncating a file requires write or append access";

parity_fs! {
    fn file_test_io_smoke_test() {
        let dir = Dir::new();
        let (path, message) = (dir.join("smoke.txt"), "it's alright. have a good time");
        let written = fs::File::create(&path).unwrap().write(message.as_bytes()).unwrap();
        assert_eq!(written, message.len());
        let mut buf = [0; 1028];
        let n = fs::File::open(&path).unwrap().read(&mut buf).unwrap();
        assert_eq!(str::from_utf8(&buf[..n]), Ok(message));
        fs::remove_file(&path).unwrap();
    }

    fn invalid_path_raises() {
        let dir = Dir::new();
        refused(fs::File::open(dir.join("not there")), MISSING);
    }

    fn file_test_iounlinking_invalid_path_should_raise_condition() {
        let dir = Dir::new();
        refused(fs::remove_file(dir.join("not there either")), MISSING);
    }

    fn file_test_io_non_positional_read() {
        let dir = Dir::new();
        let path = dir.join("ten");
        fs::File::create(&path).unwrap().write_all(b"ten-four").unwrap();
        let mut buf = [0; 8];
        let mut file = fs::File::open(&path).unwrap();
        assert_eq!(file.read(&mut buf[..4]).unwrap(), 4);
        assert_eq!(file.read(&mut buf[4..]).unwrap(), 4);
        drop(file);
        fs::remove_file(&path).unwrap();
        assert_eq!(&buf, b"ten-four");
    }

    fn file_test_io_seek_and_tell_smoke_test() {
        let dir = Dir::new();
        let path = dir.join("seeking");
        fs::File::create(&path).unwrap().write_all(b"ten-four").unwrap();
        let mut buf = [0; 4];
        let mut file = fs::File::open(&path).unwrap();
        file.seek(SeekFrom::Start(4)).unwrap();
        assert_eq!(file.stream_position().unwrap(), 4);
        file.read_exact(&mut buf).unwrap();
        assert_eq!(file.stream_position().unwrap(), 8);
        fs::remove_file(&path).unwrap();
        assert_eq!(&buf, b"four");
    }

    fn file_test_io_seek_and_write() {
        let dir = Dir::new();
        let path = dir.join("overwritten");
        let mut file = fs::File::create(&path).unwrap();
        file.write_all(b"food-is-yummy").unwrap();
        file.seek(SeekFrom::Start(3)).unwrap();
        file.write_all(b"-the-bar!!").unwrap();
        drop(file);
        let mut buf = [0; 13];
        fs::File::open(&path).unwrap().read_exact(&mut buf).unwrap();
        fs::remove_file(&path).unwrap();
        assert_eq!(&buf, b"foo-the-bar!!");
    }

    fn file_lock_multiple_shared() {
        let dir = Dir::new();
        let path = dir.join("shared");
        let a = fs::File::create(&path).unwrap();
        let b = fs::OpenOptions::new().write(true).open(&path).unwrap();
        a.lock_shared().unwrap();
        b.lock_shared().unwrap();
        a.unlock().unwrap();
        b.unlock().unwrap();
        a.try_lock_shared().unwrap();
        b.try_lock_shared().unwrap();
    }

    fn file_lock_blocking() {
        let dir = Dir::new();
        let path = dir.join("exclusive");
        let a = fs::File::create(&path).unwrap();
        let b = fs::OpenOptions::new().write(true).open(&path).unwrap();
        a.lock_shared().unwrap();
        assert!(matches!(b.try_lock(), Err(fs::TryLockError::WouldBlock)));
        a.unlock().unwrap();
        a.lock().unwrap();
        assert!(matches!(b.try_lock_shared(), Err(fs::TryLockError::WouldBlock)));
    }

    fn file_lock_drop() {
        let dir = Dir::new();
        let path = dir.join("dropped");
        let a = fs::File::create(&path).unwrap();
        let b = fs::OpenOptions::new().write(true).open(&path).unwrap();
        a.lock_shared().unwrap();
        assert!(matches!(b.try_lock(), Err(fs::TryLockError::WouldBlock)));
        drop(a);
        b.try_lock().unwrap();
    }

    fn file_lock_dup() {
        let dir = Dir::new();
        let path = dir.join("duplicated");
        let a = fs::File::create(&path).unwrap();
        let b = fs::OpenOptions::new().write(true).open(&path).unwrap();
        a.lock_shared().unwrap();
        assert!(matches!(b.try_lock(), Err(fs::TryLockError::WouldBlock)));
        let same = a.try_clone().unwrap();
        drop(a);
        assert!(matches!(b.try_lock(), Err(fs::TryLockError::WouldBlock)));
        drop(same);
    }

    fn file_test_io_seek_shakedown() {
        let dir = Dir::new();
        let path = dir.join("shaken");
        fs::File::create(&path).unwrap().write_all(b"qwer-asdf-zxcv").unwrap();
        let mut file = fs::File::open(&path).unwrap();
        let mut four = |from| {
            let mut buf = [0; 4];
            file.seek(from).unwrap();
            file.read_exact(&mut buf).unwrap();
            buf
        };
        assert_eq!(&four(SeekFrom::End(-4)), b"zxcv");
        assert_eq!(&four(SeekFrom::Current(-9)), b"asdf");
        assert_eq!(&four(SeekFrom::Start(0)), b"qwer");
        fs::remove_file(&path).unwrap();
    }

    fn file_test_io_eof() {
        let dir = Dir::new();
        let path = dir.join("eof");
        let options = fs::OpenOptions::new().create_new(true).write(true).read(true).clone();
        let mut file = options.open(&path).unwrap();
        let mut buf = [0; 256];
        assert_eq!(file.read(&mut buf).unwrap(), 0);
        assert_eq!(file.read(&mut buf).unwrap(), 0);
        drop(file);
        fs::remove_file(&path).unwrap();
    }

    fn file_test_io_read_write_at() {
        let dir = Dir::new();
        let path = dir.join("at");
        let mut buf = [0; 256];
        let whole = b"qwer-asdf-zxcv";
        let options = fs::OpenOptions::new().create_new(true).write(true).read(true).clone();
        let mut file = options.open(&path).unwrap();
        assert_eq!(file.write_at(b"asdf", 5).unwrap(), 4);
        assert_eq!(file.stream_position().unwrap(), 0);
        assert_eq!(file.read_at(&mut buf, 5).unwrap(), 4);
        assert_eq!(&buf[..4], b"asdf");
        assert_eq!(file.stream_position().unwrap(), 0);
        assert_eq!(file.write(b"qwer-").unwrap(), 5);
        assert_eq!(file.stream_position().unwrap(), 5);
        assert_eq!(file.read(&mut buf).unwrap(), 4);
        assert_eq!(&buf[..4], b"asdf");
        assert_eq!(file.stream_position().unwrap(), 9);
        assert_eq!(file.read_at(&mut buf[..5], 0).unwrap(), 5);
        assert_eq!(&buf[..5], b"qwer-");
        assert_eq!(file.stream_position().unwrap(), 9);
        assert_eq!(file.write_at(b"-zxcv", 9).unwrap(), 5);
        assert_eq!(file.stream_position().unwrap(), 9);
        drop(file);

        let mut file = fs::File::open(&path).unwrap();
        for (from, at) in [(SeekFrom::Start(0), 0), (SeekFrom::End(-5), 9)] {
            assert_eq!(file.seek(from).unwrap(), at);
            assert_eq!(file.read_at(&mut buf, 0).unwrap(), whole.len());
            assert_eq!(&buf[..whole.len()], whole);
            assert_eq!(file.stream_position().unwrap(), at);
        }
        assert_eq!(file.read(&mut buf).unwrap(), 5);
        assert_eq!(&buf[..5], b"-zxcv");
        assert_eq!(file.stream_position().unwrap(), 14);
        assert_eq!(file.read_at(&mut buf, 0).unwrap(), whole.len());
        assert_eq!(&buf[..whole.len()], whole);
        assert_eq!(file.read_at(&mut buf, 14).unwrap(), 0);
        assert_eq!(file.read_at(&mut buf, 15).unwrap(), 0);
        assert_eq!(file.stream_position().unwrap(), 14);
        fs::remove_file(&path).unwrap();
    }

    fn set_get_unix_permissions() {
        let dir = Dir::new();
        let path = dir.join("permissions");
        fs::create_dir(&path).unwrap();
        for mode in [0, 0o1777] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let now = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(now & 0o7777, mode);
        }
    }

    fn file_test_stat_is_correct_on_is_file() {
        let dir = Dir::new();
        let path = dir.join("a file");
        let mut options = fs::OpenOptions::new();
        let mut file = options.read(true).write(true).create(true).open(&path).unwrap();
        file.write_all(b"hw").unwrap();
        assert!(file.metadata().unwrap().is_file());
        assert!(fs::metadata(&path).unwrap().is_file());
        assert!(path.metadata().unwrap().is_file());
        fs::remove_file(&path).unwrap();
    }

    fn file_test_stat_is_correct_on_is_dir() {
        let dir = Dir::new();
        let path = dir.join("a directory");
        fs::create_dir(&path).unwrap();
        assert!(fs::metadata(&path).unwrap().is_dir());
        assert!(path.metadata().unwrap().is_dir());
        fs::remove_dir(&path).unwrap();
    }

    fn file_test_fileinfo_false_when_checking_is_file_on_a_directory() {
        let dir = Dir::new();
        let path = dir.join("no file");
        fs::create_dir(&path).unwrap();
        assert!(!path.is_file());
        assert!(!fs::metadata(&path).unwrap().is_file());
        fs::remove_dir(&path).unwrap();
    }

    fn file_test_fileinfo_check_exists_before_and_after_file_creation() {
        let dir = Dir::new();
        let path = dir.join("for a while");
        assert!(!fs::exists(&path).unwrap());
        fs::File::create(&path).unwrap().write_all(b"foo").unwrap();
        assert!(path.exists());
        assert!(fs::exists(&path).unwrap());
        fs::remove_file(&path).unwrap();
        assert!(!path.exists());
        assert!(!fs::exists(&path).unwrap());
    }

    fn file_test_directoryinfo_check_exists_before_and_after_mkdir() {
        let dir = Dir::new();
        let path = dir.join("for a while");
        assert!(!path.exists());
        fs::create_dir(&path).unwrap();
        assert!(path.exists());
        assert!(path.is_dir());
        assert!(fs::exists(&path).unwrap());
        fs::remove_dir(&path).unwrap();
        assert!(!path.exists());
        assert!(!fs::exists(&path).unwrap());
    }

    fn file_test_directoryinfo_readdir() {
        let dir = Dir::new();
        let inner = dir.join("read");
        fs::create_dir(&inner).unwrap();
        for n in 0..3 {
            let mut file = fs::File::create(inner.join(format!("{n}.txt"))).unwrap();
            file.write_all(format!("foo{n}").as_bytes()).unwrap();
        }
        for entry in fs::read_dir(&inner).unwrap() {
            let path = entry.unwrap().path();
            let mut buf = [0; 4];
            fs::File::open(&path).unwrap().read_exact(&mut buf).unwrap();
            let stem = path.file_stem().unwrap().to_str().unwrap();
            assert_eq!(str::from_utf8(&buf), Ok(&*format!("foo{stem}")));
            fs::remove_file(&path).unwrap();
        }
        fs::remove_dir(&inner).unwrap();
    }

    fn file_create_new_already_exists_error() {
        let dir = Dir::new();
        let path = dir.join("taken");
        fs::File::create(&path).unwrap();
        let error = fs::OpenOptions::new().write(true).create_new(true).open(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        assert_eq!(fs::File::create_new(&path).unwrap_err().kind(), ErrorKind::AlreadyExists);
    }

    fn mkdir_path_already_exists_error() {
        let dir = Dir::new();
        let path = dir.join("taken");
        fs::create_dir(&path).unwrap();
        assert_eq!(fs::create_dir(&path).unwrap_err().kind(), ErrorKind::AlreadyExists);
    }

    fn recursive_mkdir() {
        let dir = Dir::new();
        let path = dir.join("d1/d2");
        fs::create_dir_all(&path).unwrap();
        assert!(path.is_dir());
    }

    fn recursive_mkdir_failure() {
        let dir = Dir::new();
        let path = dir.join("d1");
        let file = path.join("f1");
        fs::create_dir_all(&path).unwrap();
        fs::File::create(&file).unwrap();
        assert!(fs::create_dir_all(&file).is_err());
    }

    fn concurrent_recursive_mkdir() {
        for _ in 0..20 {
            let dir = Dir::new();
            let deep = (0..41).fold(dir.to_path_buf(), |path, _| path.join("a"));
            let makers: Vec<_> = (0..8)
                .map(|_| {
                    let deep = deep.clone();
                    thread::spawn(move || fs::create_dir_all(deep).unwrap())
                })
                .collect();
            for maker in makers {
                maker.join().unwrap();
            }
            assert!(deep.is_dir());
        }
    }

    fn recursive_mkdir_slash() {
        fs::create_dir_all(Path::new("/")).unwrap();
    }

    fn recursive_mkdir_dot() {
        fs::create_dir_all(Path::new(".")).unwrap();
    }

    fn recursive_mkdir_empty() {
        fs::create_dir_all(Path::new("")).unwrap();
    }

    fn recursive_rmdir() {
        let dir = Dir::new();
        let (d1, d2) = (dir.join("d1"), dir.join("d2"));
        let deep = d1.join("t/t");
        let canary = d2.join("stays");
        fs::create_dir_all(&deep).unwrap();
        fs::create_dir_all(&d2).unwrap();
        fs::File::create(&canary).unwrap().write_all(b"foo").unwrap();
        unix::symlink(&d2, d1.join("t/d2")).unwrap();
        unix::symlink(&canary, d1.join("canary")).unwrap();
        fs::remove_dir_all(&d1).unwrap();
        assert!(!d1.is_dir());
        assert!(canary.exists());
    }

    fn recursive_rmdir_of_symlink() {
        let dir = Dir::new();
        let (link, target) = (dir.join("d1"), dir.join("d2"));
        let canary = target.join("stays");
        fs::create_dir_all(&target).unwrap();
        fs::File::create(&canary).unwrap().write_all(b"foo").unwrap();
        unix::symlink(&target, &link).unwrap();
        fs::remove_dir_all(&link).unwrap();
        assert!(!link.is_dir());
        assert!(canary.exists());
    }

    fn recursive_rmdir_of_file_fails() {
        let dir = Dir::new();
        let canary = dir.join("stays");
        fs::File::create(&canary).unwrap().write_all(b"foo").unwrap();
        refused(fs::remove_dir_all(&canary), "Not a directory");
        assert!(canary.exists());
    }

    fn unicode_path_is_dir() {
        assert!(fs::metadata(".").unwrap().is_dir());
        assert!(fs::metadata("test/stdtest/fs.rs").is_err());
        let dir = Dir::new();
        let mut path = dir.join("test-가一ー你好");
        fs::create_dir(&path).unwrap();
        assert!(path.is_dir());
        assert!(fs::metadata(&path).unwrap().is_dir());
        path.push("unicode-file-\u{ac00}\u{4e00}\u{30fc}\u{4f60}\u{597d}.rs");
        fs::File::create(&path).unwrap();
        assert!(!path.is_dir());
        assert!(path.exists());
    }

    fn unicode_path_exists() {
        assert!(fs::exists(".").unwrap());
        assert!(!fs::exists("test/nonexistent-bogus-path").unwrap());
        let dir = Dir::new();
        let path = dir.join("test-각丁ー再见");
        fs::create_dir(&path).unwrap();
        assert!(path.exists());
        assert!(fs::exists(&path).unwrap());
        assert!(!fs::exists("test/unicode-bogus-path-각丁ー再见").unwrap());
    }

    fn copy_file_does_not_exist() {
        let (from, to) = (Path::new("test/no-such-path"), Path::new("test/nor-this-one"));
        assert!(fs::copy(from, to).is_err());
        assert!(!from.exists());
        assert!(!to.exists());
    }

    fn copy_src_does_not_exist() {
        let dir = Dir::new();
        let (from, to) = (Path::new("test/no-such-path"), dir.join("out.txt"));
        fs::File::create(&to).unwrap().write_all(b"hello").unwrap();
        assert!(fs::copy(from, &to).is_err());
        assert!(!from.exists());
        let mut content = Vec::new();
        fs::File::open(&to).unwrap().read_to_end(&mut content).unwrap();
        assert_eq!(content, b"hello");
    }

    fn copy_file_ok() {
        let dir = Dir::new();
        let (from, to) = (dir.join("in.txt"), dir.join("out.txt"));
        fs::File::create(&from).unwrap().write_all(b"hello").unwrap();
        fs::copy(&from, &to).unwrap();
        let mut content = Vec::new();
        fs::File::open(&to).unwrap().read_to_end(&mut content).unwrap();
        assert_eq!(content, b"hello");
        let permissions = |path| fs::metadata(path).unwrap().permissions();
        assert_eq!(permissions(&from), permissions(&to));
    }

    fn copy_file_dst_dir() {
        let dir = Dir::new();
        let from = dir.join("out");
        fs::File::create(&from).unwrap();
        assert!(fs::copy(&from, &*dir).is_err());
    }

    fn copy_file_dst_exists() {
        let dir = Dir::new();
        let (from, to) = (dir.join("in"), dir.join("out"));
        fs::File::create(&from).unwrap().write_all(b"foo").unwrap();
        fs::File::create(&to).unwrap().write_all(b"bar").unwrap();
        fs::copy(&from, &to).unwrap();
        let mut content = Vec::new();
        fs::File::open(&to).unwrap().read_to_end(&mut content).unwrap();
        assert_eq!(content, b"foo");
    }

    fn copy_file_src_dir() {
        let dir = Dir::new();
        let to = dir.join("out");
        assert!(fs::copy(&*dir, &to).is_err());
        assert!(!to.exists());
    }

    fn copy_file_preserves_perm_bits() {
        let dir = Dir::new();
        let (from, to) = (dir.join("in.txt"), dir.join("out.txt"));
        let before = fs::File::create(&from).unwrap().metadata().unwrap().permissions();
        let mut readonly = before.clone();
        readonly.set_readonly(true);
        fs::set_permissions(&from, readonly).unwrap();
        fs::copy(&from, &to).unwrap();
        assert!(fs::metadata(&to).unwrap().permissions().readonly());
        fs::set_permissions(&from, before.clone()).unwrap();
        fs::set_permissions(&to, before).unwrap();
    }

    fn copy_file_returns_metadata_len() {
        let dir = Dir::new();
        let (from, to) = (dir.join("in.txt"), dir.join("out.txt"));
        fs::File::create(&from).unwrap().write_all(b"lettuce").unwrap();
        let copied = fs::copy(&from, &to).unwrap();
        assert_eq!(fs::metadata(&to).unwrap().len(), copied);
    }

    fn copy_file_follows_dst_symlink() {
        let dir = Dir::new();
        let (from, to, link) = (dir.join("in.txt"), dir.join("out.txt"), dir.join("link.txt"));
        fs::write(&from, "foo").unwrap();
        fs::write(&to, "bar").unwrap();
        unix::symlink(&to, &link).unwrap();
        fs::copy(&from, &link).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().file_type().is_symlink());
        assert_eq!(fs::read(&link).unwrap(), b"foo");
        assert_eq!(fs::read(&to).unwrap(), b"foo");
    }

    fn symlinks_work() {
        let dir = Dir::new();
        let (from, link) = (dir.join("in.txt"), dir.join("out.txt"));
        fs::File::create(&from).unwrap().write_all(b"foobar").unwrap();
        unix::symlink(&from, &link).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().file_type().is_symlink());
        assert_eq!(fs::metadata(&link).unwrap().len(), fs::metadata(&from).unwrap().len());
        let mut content = Vec::new();
        fs::File::open(&link).unwrap().read_to_end(&mut content).unwrap();
        assert_eq!(content, b"foobar");
    }

    fn symlink_noexist() {
        let dir = Dir::new();
        unix::symlink("foo", dir.join("bar")).unwrap();
        assert_eq!(fs::read_link(dir.join("bar")).unwrap(), Path::new("foo"));
    }

    fn read_link() {
        let dir = Dir::new();
        let link = dir.join("link");
        unix::symlink("foo", &link).unwrap();
        assert_eq!(fs::read_link(&link).unwrap().to_str(), Some("foo"));
    }

    fn readlink_not_symlink() {
        let dir = Dir::new();
        assert!(fs::read_link(&*dir).is_err());
    }

    fn links_work() {
        let dir = Dir::new();
        let (from, link) = (dir.join("in.txt"), dir.join("out.txt"));
        fs::File::create(&from).unwrap().write_all(b"foobar").unwrap();
        fs::hard_link(&from, &link).unwrap();
        assert_eq!(fs::metadata(&link).unwrap().len(), fs::metadata(&from).unwrap().len());
        assert_eq!(fs::metadata(&link).unwrap().len(), from.metadata().unwrap().len());
        let mut content = Vec::new();
        fs::File::open(&link).unwrap().read_to_end(&mut content).unwrap();
        assert_eq!(content, b"foobar");
        assert!(fs::hard_link(&from, &from).is_err(), "a link to itself");
        assert!(fs::hard_link(dir.join("foo"), dir.join("bar")).is_err(), "a link to nothing");
    }

    fn chmod_works() {
        let dir = Dir::new();
        let path = dir.join("in.txt");
        fs::File::create(&path).unwrap();
        let mut permissions = fs::metadata(&path).unwrap().permissions();
        assert!(!permissions.readonly());
        permissions.set_readonly(true);
        fs::set_permissions(&path, permissions.clone()).unwrap();
        assert!(fs::metadata(&path).unwrap().permissions().readonly());
        assert!(fs::set_permissions(dir.join("foo"), permissions.clone()).is_err());
        permissions.set_mode(0o644);
        fs::set_permissions(&path, permissions).unwrap();
    }

    fn fchmod_works() {
        let dir = Dir::new();
        let path = dir.join("in.txt");
        let file = fs::File::create(&path).unwrap();
        let mut permissions = fs::metadata(&path).unwrap().permissions();
        assert!(!permissions.readonly());
        permissions.set_readonly(true);
        file.set_permissions(permissions.clone()).unwrap();
        assert!(fs::metadata(&path).unwrap().permissions().readonly());
        permissions.set_mode(0o644);
        file.set_permissions(permissions).unwrap();
    }

    fn sync_doesnt_kill_anything() {
        let dir = Dir::new();
        let mut file = fs::File::create(dir.join("in.txt")).unwrap();
        file.sync_all().unwrap();
        file.sync_data().unwrap();
        file.write_all(b"foo").unwrap();
        file.sync_all().unwrap();
        file.sync_data().unwrap();
    }

    fn truncate_works() {
        let dir = Dir::new();
        let path = dir.join("in.txt");
        let mut file = fs::File::create(&path).unwrap();
        let content = || {
            let mut content = Vec::new();
            fs::File::open(&path).unwrap().read_to_end(&mut content).unwrap();
            content
        };
        file.write_all(b"foo").unwrap();
        file.sync_all().unwrap();
        assert_eq!(file.metadata().unwrap().len(), 3);
        file.set_len(10).unwrap();
        assert_eq!(file.metadata().unwrap().len(), 10);
        file.write_all(b"bar").unwrap();
        file.sync_all().unwrap();
        assert_eq!(file.metadata().unwrap().len(), 10);
        assert_eq!(content(), b"foobar\0\0\0\0");
        // Shorter than where the file stands: what is written next leaves a gap.
        file.set_len(2).unwrap();
        assert_eq!(file.metadata().unwrap().len(), 2);
        file.write_all(b"wut").unwrap();
        file.sync_all().unwrap();
        assert_eq!(file.metadata().unwrap().len(), 9);
        assert_eq!(content(), b"fo\0\0\0\0wut");
    }

    fn open_flavors() {
        type Set = fn(&mut fs::OpenOptions) -> &mut fs::OpenOptions;
        let dir = Dir::new();
        let open = |sets: &[Set], name: &str| {
            let mut options = fs::OpenOptions::new();
            for set in sets {
                set(&mut options);
            }
            options.open(dir.join(name))
        };
        let r: Set = |o| o.read(true);
        let w: Set = |o| o.write(true);
        let a: Set = |o| o.append(true);
        let create: Set = |o| o.create(true);
        let truncate: Set = |o| o.truncate(true);
        let new: Set = |o| o.create_new(true);

        for (access, name) in [(&[w][..], "a"), (&[r, w], "c")] {
            for how in [&[new][..], &[create, truncate], &[truncate], &[create], &[]] {
                open(&[access, how].concat(), name).unwrap();
            }
        }
        for how in [&[new][..], &[create, truncate], &[truncate], &[create]] {
            refused(open(&[&[r], how].concat(), "b"), INVALID);
        }
        open(&[r], "a").unwrap();
        for (access, name) in [(&[a][..], "d"), (&[r, a], "e")] {
            open(&[access, &[new]].concat(), name).unwrap();
            refused(open(&[access, &[create, truncate]].concat(), name), INVALID);
            refused(open(&[access, &[truncate]].concat(), name), INVALID);
            open(&[access, &[create]].concat(), name).unwrap();
            open(access, name).unwrap();
        }
        refused(open(&[create], "f"), INVALID);

        let len = || fs::metadata(dir.join("h")).unwrap().len();
        fs::File::create(dir.join("h")).unwrap().write_all(b"foobar").unwrap();
        open(&[r], "h").unwrap().write(b"wut").unwrap_err();
        open(&[w], "h").unwrap().write_all(b"baz").unwrap();
        let mut content = [0; 6];
        open(&[r], "h").unwrap().read_exact(&mut content).unwrap();
        assert_eq!(&content, b"bazbar");
        open(&[w, truncate], "h").unwrap().write_all(b"foo").unwrap();
        assert_eq!(len(), 3);
        open(&[a], "h").unwrap().write_all(b"bar").unwrap();
        assert_eq!(len(), 6);
        open(&[w, a], "h").unwrap().write_all(b"baz").unwrap();
        assert_eq!(len(), 9);
    }

    fn _assert_send_sync() {
        fn is_send_and_sync<T: Send + Sync>() {}
        is_send_and_sync::<fs::OpenOptions>();
    }

    fn binary_file() {
        let dir = Dir::new();
        let (path, bytes) = (dir.join("test"), noise());
        assert_eq!(fs::File::create(&path).unwrap().write(&bytes).unwrap(), bytes.len());
        let mut content = Vec::new();
        fs::File::open(&path).unwrap().read_to_end(&mut content).unwrap();
        assert_eq!(content, bytes);
    }

    fn write_then_read() {
        let dir = Dir::new();
        let bytes = noise();
        fs::write(dir.join("test"), &bytes[..]).unwrap();
        assert_eq!(fs::read(dir.join("test")).unwrap(), bytes);
        fs::write(dir.join("not-utf8"), [0xFF]).unwrap();
        let text = fs::read_to_string(dir.join("not-utf8"));
        refused(text, "stream did not contain valid UTF-8");
        let text = "𐁁𐀓𐀠𐀴𐀍";
        fs::write(dir.join("utf8"), text.as_bytes()).unwrap();
        assert_eq!(fs::read_to_string(dir.join("utf8")).unwrap(), text);
    }

    fn file_try_clone() {
        let dir = Dir::new();
        let mut options = fs::OpenOptions::new();
        options.read(true).write(true).create(true);
        let mut a = options.open(dir.join("test")).unwrap();
        let mut b = a.try_clone().unwrap();
        a.write_all(b"hello world").unwrap();
        a.seek(SeekFrom::Start(2)).unwrap();
        let mut rest = Vec::new();
        b.read_to_end(&mut rest).unwrap();
        assert_eq!(rest, b"llo world");
        drop(b);
        a.write_all(b"!").unwrap();
    }

    fn unlink_readonly() {
        let dir = Dir::new();
        let path = dir.join("file");
        fs::File::create(&path).unwrap();
        let mut permissions = fs::metadata(&path).unwrap().permissions();
        permissions.set_readonly(true);
        fs::set_permissions(&path, permissions).unwrap();
        fs::remove_file(&path).unwrap();
    }

    fn mkdir_trailing_slash() {
        let dir = Dir::new();
        fs::create_dir_all(dir.join("file").join("a/")).unwrap();
    }

    fn canonicalize_works_simple() {
        let dir = Dir::new();
        let file = fs::canonicalize(&*dir).unwrap().join("test");
        fs::File::create(&file).unwrap();
        assert_eq!(fs::canonicalize(&file).unwrap(), file);
    }

    fn realpath_works() {
        let dir = Dir::new();
        let root = fs::canonicalize(&*dir).unwrap();
        let (file, inner, link_to_dir) = (root.join("test"), root.join("test2"), root.join("test3"));
        let link = inner.join("link");
        fs::File::create(&file).unwrap();
        fs::create_dir(&inner).unwrap();
        unix::symlink(&file, &link).unwrap();
        unix::symlink(&inner, &link_to_dir).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().file_type().is_symlink());
        assert_eq!(fs::canonicalize(&root).unwrap(), root);
        assert_eq!(fs::canonicalize(&file).unwrap(), file);
        assert_eq!(fs::canonicalize(&link).unwrap(), file);
        assert_eq!(fs::canonicalize(&link_to_dir).unwrap(), inner);
        assert_eq!(fs::canonicalize(link_to_dir.join("link")).unwrap(), file);
    }

    fn realpath_works_tricky() {
        let dir = Dir::new();
        let a = fs::canonicalize(&*dir).unwrap().join("a");
        let (b, d, f) = (a.join("b"), a.join("d"), a.join("f"));
        let (c, e) = (b.join("c"), d.join("e"));
        fs::create_dir_all(&b).unwrap();
        fs::create_dir_all(&d).unwrap();
        fs::File::create(&f).unwrap();
        unix::symlink("../d/e", &c).unwrap();
        unix::symlink("../f", &e).unwrap();
        assert_eq!(fs::canonicalize(&c).unwrap(), f);
        assert_eq!(fs::canonicalize(&e).unwrap(), f);
    }

    fn dir_entry_methods() {
        let dir = Dir::new();
        fs::create_dir_all(dir.join("a")).unwrap();
        fs::File::create(dir.join("b")).unwrap();
        for entry in fs::read_dir(&*dir).unwrap().map(Result::unwrap) {
            let (kind, metadata) = (entry.file_type().unwrap(), entry.metadata().unwrap());
            match entry.file_name().to_str() {
                Some("a") => assert!(kind.is_dir() && metadata.is_dir()),
                Some("b") => assert!(kind.is_file() && metadata.is_file()),
                name => panic!("nobody made {name:?}"),
            }
        }
    }

    fn dir_entry_debug() {
        let dir = Dir::new();
        fs::File::create(dir.join("b")).unwrap();
        let entry = fs::read_dir(&*dir).unwrap().next().unwrap().unwrap();
        assert_eq!(format!("{entry:?}"), format!("DirEntry({:?})", entry.path()));
    }

    fn read_dir_not_found() {
        let error = fs::read_dir("/path/that/does/not/exist").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }

    fn file_open_not_found() {
        let error = fs::File::open("/path/that/does/not/exist").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }

    fn create_dir_all_with_junctions() {
        let dir = Dir::new();
        let target = dir.join("target");
        fs::create_dir(&target).unwrap();
        for (link, below) in [("junction", "a/b"), ("link", "c/d")] {
            let link = dir.join(link);
            unix::symlink(&target, &link).unwrap();
            fs::create_dir_all(link.join(below)).unwrap();
            assert!(link.is_dir());
            assert!(link.join(below).exists());
            assert!(target.join(below).exists());
        }
    }

    fn metadata_access_times() {
        let dir = Dir::new();
        fs::File::create(dir.join("b")).unwrap();
        let a = fs::metadata(&*dir).unwrap();
        let b = fs::metadata(dir.join("b")).unwrap();
        assert_eq!(a.accessed().unwrap(), a.accessed().unwrap());
        assert_eq!(a.modified().unwrap(), a.modified().unwrap());
        assert_eq!(b.accessed().unwrap(), b.modified().unwrap());
        // Not every file system knows.
        match (a.created(), b.created()) {
            (Ok(first), Ok(second)) => assert!(first <= second),
            (Err(first), Err(second)) => assert_eq!(first.kind(), second.kind()),
            (first, second) => panic!("one of them only: {first:?}, {second:?}"),
        }
    }

    fn symlink_hard_link() {
        let dir = Dir::new();
        let (file, renamed) = (dir.join("file"), dir.join("file.renamed"));
        let links = [dir.join("symlink"), dir.join("hard_link")];
        fs::File::create(&file).unwrap();
        unix::symlink("file", &links[0]).unwrap();
        fs::hard_link(&links[0], &links[1]).unwrap();
        assert!(fs::symlink_metadata(&links[1]).unwrap().file_type().is_symlink());
        let opens = |path: &Path| fs::File::open(path).is_ok();
        assert!(opens(&file) && opens(&links[0]) && opens(&links[1]) && !opens(&renamed));
        fs::rename(&file, &renamed).unwrap();
        assert!(!opens(&file) && !opens(&links[0]) && !opens(&links[1]) && opens(&renamed));
        assert!(fs::read_link(&file).is_err());
        assert!(fs::read_link(&renamed).is_err());
        for link in &links {
            assert_eq!(fs::read_link(link).unwrap(), Path::new("file"));
        }
        fs::remove_file(&renamed).unwrap();
        assert!(!opens(&file) && !opens(&links[0]) && !opens(&links[1]) && !opens(&renamed));
        assert!(fs::symlink_metadata(&links[1]).unwrap().file_type().is_symlink());
    }

    fn read_large_dir() {
        let dir = Dir::new();
        let count = 4 * 1024;
        fill(&dir, count);
        let mut names: Vec<usize> = fs::read_dir(&*dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_str().unwrap().parse().unwrap())
            .collect();
        names.sort_unstable();
        assert!(names.into_iter().eq(0..count));
    }

    fn test_eq_direntry_metadata() {
        let dir = Dir::new();
        fs::File::create(dir.join("file")).unwrap();
        for entry in fs::read_dir(&*dir).unwrap() {
            let entry = entry.unwrap();
            let kind = entry.path().metadata().unwrap().file_type();
            assert_eq!(entry.file_type().unwrap(), kind);
        }
    }

    fn test_read_dir_infinite_loop() {
        // A child that nobody has waited for: its directory opens, and cannot be read.
        let child = std::process::Command::new("true").spawn();
        let Ok(mut child) = child else { return };
        if child.kill().is_ok()
            && let Ok(entries) = fs::read_dir(format!("/proc/{}/net", child.id()))
        {
            assert!(entries.filter(Result::is_err).take(2).count() < 2);
        }
        child.wait().unwrap();
    }

    fn rename_directory() {
        let dir = Dir::new();
        let (old, new) = (dir.join("foo/bar/baz"), dir.join("quux/blat"));
        fs::create_dir_all(&old).unwrap();
        fs::File::create(old.join("temp.txt")).unwrap();
        fs::create_dir_all(&new).unwrap();
        fs::rename(&old, new.join("newdir")).unwrap();
        assert!(new.join("newdir").is_dir());
        assert!(new.join("newdir/temp.txt").exists());
    }

    fn test_file_times() {
        let dir = Dir::new();
        let file = fs::File::create(dir.join("foo")).unwrap();
        let accessed = SystemTime::UNIX_EPOCH + Duration::from_secs(12_345);
        let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(54_321);
        let times = fs::FileTimes::new().set_accessed(accessed).set_modified(modified);
        file.set_times(times).unwrap();
        let metadata = file.metadata().unwrap();
        assert_eq!(metadata.accessed().unwrap(), accessed);
        assert_eq!(metadata.modified().unwrap(), modified);
        file.set_modified(accessed).unwrap();
        assert_eq!(file.metadata().unwrap().modified().unwrap(), accessed);
    }

    fn test_rename_symlink() {
        let dir = Dir::new();
        let (from, to) = (dir.join("original"), dir.join("dest"));
        unix::symlink("does not exist", &from).unwrap();
        fs::rename(&from, &to).unwrap();
        assert_eq!(fs::read_link(&to).unwrap(), Path::new("does not exist"));
    }

    fn test_open_options_invalid_combinations() {
        let refused_with = |options: &fs::OpenOptions, text: &str| {
            let error = options.open("nonexistent.txt").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert_eq!(error.to_string(), text);
        };
        refused_with(fs::OpenOptions::new().create(true).read(true), INVALID);
        refused_with(fs::OpenOptions::new().create_new(true).read(true), INVALID);
        refused_with(fs::OpenOptions::new().truncate(true).read(true), INVALID);
        refused_with(fs::OpenOptions::new().truncate(true).append(true), INVALID);
        let none = "must specify at least one of read, write, or append access";
        refused_with(&fs::OpenOptions::new(), none);
    }

    // Not in std's suite: the functions that it does not call.
    fn vectored_and_by_reference() {
        let dir = Dir::new();
        let path = dir.join("parts");
        let file = fs::File::create_new(&path).unwrap();
        let parts = [IoSlice::new(b"one "), IoSlice::new(b""), IoSlice::new(b"two")];
        assert_eq!((&file).write_vectored(&parts).unwrap(), 7);
        (&file).flush().unwrap();
        (&file).rewind().unwrap();
        let (mut a, mut b, mut c) = ([0; 2], [0; 3], [0; 9]);
        let mut parts = [IoSliceMut::new(&mut a), IoSliceMut::new(&mut b), IoSliceMut::new(&mut c)];
        assert_eq!((&file).read_vectored(&mut parts).unwrap(), 7);
        assert_eq!((&a, &b, &c[..2]), (b"on", b"e t", &b"wo"[..]));
        assert_eq!((&file).read(&mut []).unwrap(), 0);
        assert_eq!((&file).write(&[]).unwrap(), 0);
        (&file).seek(SeekFrom::Start(4)).unwrap();
        let mut text = String::from("and ");
        assert_eq!((&file).read_to_string(&mut text).unwrap(), 3);
        assert_eq!(text, "and two");
        (&file).rewind().unwrap();
        let mut bytes = b"and ".to_vec();
        assert_eq!((&file).read_to_end(&mut bytes).unwrap(), 7);
        assert_eq!(bytes, b"and one two");
        assert_eq!((&file).seek(SeekFrom::Current(-8)).unwrap_err().kind(), ErrorKind::InvalidInput);
        let mut directory = fs::File::open(&*dir).unwrap();
        assert_eq!(directory.read(&mut [0]).unwrap_err().kind(), ErrorKind::IsADirectory);
    }

    fn owners_and_modes() {
        use std::os::unix::fs::{DirBuilderExt as _, DirEntryExt as _, MetadataExt as _, OpenOptionsExt as _};
        let dir = Dir::new();
        let path = dir.join("mine");
        let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).unwrap();
        let metadata = file.metadata().unwrap();
        assert_eq!(metadata.mode() & 0o777, 0o600);
        let (user, group) = (Some(metadata.uid()), Some(metadata.gid()));
        unix::chown(&path, user, group).unwrap();
        unix::lchown(&path, None, group).unwrap();
        unix::fchown(&file, user, None).unwrap();
        assert_eq!(unix::chown(dir.join("not there"), None, None).unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(unix::chroot(dir.join("not there")).unwrap_err().kind(), ErrorKind::NotFound);
        let entry = fs::read_dir(&*dir).unwrap().next().unwrap().unwrap();
        assert_eq!(entry.ino(), metadata.ino());
        let inner = dir.join("a/b");
        fs::DirBuilder::new().create(&inner).unwrap_err();
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&inner).unwrap();
        assert_eq!(fs::metadata(&inner).unwrap().mode() & 0o777, 0o700);
    }
}
