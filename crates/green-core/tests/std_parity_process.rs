//! std's own cases for `process` and the pipes, on std's types and on ours.
//!
//! Left out: cases of what only Windows has, `child_stdout_read_buf` (`Read::read_buf` is unstable), `test_setsid_*`
//! (`CommandExt::setsid` is unstable), and `test_program_kind` (of std's insides).
#![expect(clippy::unwrap_used, reason = "the bodies are functions beside tests")]
#![expect(unsafe_code, reason = "`pre_exec`, the environment, a signal mask")]

#[macro_use]
#[path = "support/parity_process.rs"]
mod parity_process;

use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::panic::{RefUnwindSafe, UnwindSafe};

/// `kill(-pid, SIGINT)`: there is such a process group.
fn interrupt_group(id: u32) {
    let pid = i32::try_from(id)
        .ok()
        .and_then(rustix::process::Pid::from_raw);
    rustix::process::kill_process_group(pid.unwrap(), rustix::process::Signal::INT).unwrap();
}

parity_process! {
    fn smoke() {
        let mut child = Command::new("/bin/sh").arg("-c").arg("true").spawn().unwrap();
        assert!(child.wait().unwrap().success());
    }

    fn smoke_failure() {
        assert!(Command::new("if-this-is-a-binary-then-the-world-has-ended").spawn().is_err());
    }

    fn exit_reported_right() {
        let mut child = Command::new("/bin/sh").arg("-c").arg("false").spawn().unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(1));
        assert!(child.wait().is_ok());
    }

    fn signal_reported_right() {
        let mut child =
            Command::new("/bin/sh").arg("-c").arg("read a").stdin(Stdio::piped()).spawn().unwrap();
        child.kill().unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(9));
    }

    fn stdout_works() {
        let mut child = Command::new("/bin/sh")
            .arg("-c")
            .arg("echo foobar")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        child.stdout.as_mut().unwrap().read_to_string(&mut said).unwrap();
        assert!(child.wait().unwrap().success());
        assert_eq!(said, "foobar\n");
    }

    fn set_current_dir_works() {
        let pwd = || {
            let mut command = Command::new("/bin/sh");
            command.arg("-c").arg("pwd").current_dir("/").stdout(Stdio::piped());
            command
        };
        let mut forked = pwd();
        // SAFETY: the closure does nothing.
        unsafe { forked.pre_exec(|| Ok(())) };
        for mut command in [pwd(), forked] {
            let mut child = command.spawn().unwrap();
            let mut said = String::new();
            child.stdout.as_mut().unwrap().read_to_string(&mut said).unwrap();
            assert!(child.wait().unwrap().success());
            assert_eq!(said, "/\n");
        }
    }

    fn stdin_works() {
        let mut child = Command::new("/bin/sh")
            .arg("-c")
            .arg("read line; echo $line")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        assert_eq!(child.stdin.as_mut().unwrap().write(b"foobar").unwrap(), 6);
        drop(child.stdin.take());
        let mut said = String::new();
        child.stdout.as_mut().unwrap().read_to_string(&mut said).unwrap();
        assert!(child.wait().unwrap().success());
        assert_eq!(said, "foobar\n");
    }

    fn test_process_status() {
        let status = Command::new("/bin/sh").arg("-c").arg("false").status().unwrap();
        assert_eq!(status.code(), Some(1));
        let status = Command::new("/bin/sh").arg("-c").arg("true").status().unwrap();
        assert!(status.success());
    }

    fn test_process_output_fail_to_start() {
        let error = Command::new("/no-binary-by-this-name-should-exist").output().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }

    fn test_process_output_output() {
        let output = Command::new("/bin/sh").arg("-c").arg("echo hello").output().unwrap();
        assert!(output.status.success());
        assert_eq!(output.stdout.trim_ascii(), b"hello");
        assert_eq!(output.stderr, Vec::new());
    }

    fn test_process_output_error() {
        let output = Command::new("mkdir").arg("./").output().unwrap();
        assert!(output.status.code().is_some_and(|code| code != 0));
        assert_eq!(output.stdout, Vec::new());
        assert!(!output.stderr.is_empty());
    }

    fn test_finish_once() {
        let mut child = Command::new("/bin/sh").arg("-c").arg("false").spawn().unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(1));
    }

    fn test_finish_twice() {
        let mut child = Command::new("/bin/sh").arg("-c").arg("false").spawn().unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(1));
        assert_eq!(child.wait().unwrap().code(), Some(1));
    }

    fn test_wait_with_output_once() {
        let child = Command::new("/bin/sh")
            .arg("-c")
            .arg("echo hello")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        assert_eq!(output.stdout.trim_ascii(), b"hello");
        assert_eq!(output.stderr, Vec::new());
    }

    fn test_override_env() {
        let mut command = Command::new("env");
        command.env_clear().env("RUN_TEST_NEW_ENV", "123");
        if let Some(path) = std::env::var_os("PATH") {
            command.env("PATH", path);
        }
        let said = String::from_utf8(command.output().unwrap().stdout).unwrap();
        assert!(said.contains("RUN_TEST_NEW_ENV=123"), "{said}");
        assert!(!said.contains("CARGO"), "{said}");
    }

    fn test_add_to_env() {
        let output = Command::new("env").env("RUN_TEST_NEW_ENV", "123").output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.contains("RUN_TEST_NEW_ENV=123"), "{said}");
    }

    fn test_capture_env_at_spawn() {
        let mut command = Command::new("env");
        command.env("RUN_TEST_NEW_ENV1", "123");
        // SAFETY: nobody else in this process reads the environment now but through std.
        unsafe { std::env::set_var("RUN_TEST_NEW_ENV2", "456") };
        let output = command.output().unwrap();
        // SAFETY: as above.
        unsafe { std::env::remove_var("RUN_TEST_NEW_ENV2") };
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.contains("RUN_TEST_NEW_ENV1=123"), "{said}");
        assert!(said.contains("RUN_TEST_NEW_ENV2=456"), "{said}");
    }

    fn test_interior_nul_in_progname_is_error() {
        let error = Command::new("has-some-\0\0s-inside").spawn().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }

    fn test_interior_nul_in_arg_is_error() {
        let error = Command::new("echo").arg("has-some-\0\0s-inside").spawn().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }

    fn test_interior_nul_in_args_is_error() {
        let error = Command::new("echo").args(["has-some-\0\0s-inside"]).spawn().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }

    fn test_interior_nul_in_current_dir_is_error() {
        let error = Command::new("echo").current_dir("has-some-\0\0s-inside").spawn().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }

    fn test_interior_nul_in_env_key_is_error() {
        let error = Command::new("env").env("has-some-\0\0s-inside", "value").spawn().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }

    fn test_interior_nul_in_env_value_is_error() {
        let error = Command::new("env").env("key", "has-some-\0\0s-inside").spawn().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }

    fn test_command_implements_send_sync() {
        fn take<T: Send + Sync>(_: T) {}
        take(Command::new(""));
    }

    fn debug_print() {
        let pretty = |fields: &str| format!("Command {{\n{fields}    create_pidfd: false,\n}}");
        let mut command = Command::new("some-boring-name");
        assert_eq!(format!("{command:?}"), r#""some-boring-name""#);
        let head = "    program: \"some-boring-name\",\n    args: [\n";
        assert_eq!(
            format!("{command:#?}"),
            pretty(&format!("{head}        \"some-boring-name\",\n    ],\n"))
        );

        command.args(["1", "2", "3"]);
        assert_eq!(format!("{command:?}"), r#""some-boring-name" "1" "2" "3""#);
        let numbers = "        \"1\",\n        \"2\",\n        \"3\",\n    ],\n";
        assert_eq!(
            format!("{command:#?}"),
            pretty(&format!("{head}        \"some-boring-name\",\n{numbers}"))
        );

        command.arg0("exciting-name");
        assert_eq!(
            format!("{command:?}"),
            r#"["some-boring-name"] "exciting-name" "1" "2" "3""#
        );
        assert_eq!(
            format!("{command:#?}"),
            pretty(&format!("{head}        \"exciting-name\",\n{numbers}"))
        );

        let head = "    program: \"boring-name\",\n    args: [\n        \"boring-name\",\n    ],\n";
        let env = |clear: bool, vars: &str| {
            format!(
                "    env: CommandEnv {{\n        clear: {clear},\n        vars: {{\n{vars}        }},\n    }},\n"
            )
        };
        let mut command = Command::new("boring-name");
        command.current_dir("/some/path").env("FOO", "bar");
        assert_eq!(format!("{command:?}"), r#"cd "/some/path" && FOO="bar" "boring-name""#);
        let vars = env(false, "            \"FOO\": Some(\n                \"bar\",\n            ),\n");
        assert_eq!(
            format!("{command:#?}"),
            pretty(&format!("{head}{vars}    cwd: Some(\n        \"/some/path\",\n    ),\n"))
        );

        let mut command = Command::new("boring-name");
        command.env_remove("FOO").env_remove("BAR");
        assert_eq!(format!("{command:?}"), r#"env -u BAR -u FOO "boring-name""#);
        let vars = env(false, "            \"BAR\": None,\n            \"FOO\": None,\n");
        assert_eq!(format!("{command:#?}"), pretty(&format!("{head}{vars}")));

        let mut command = Command::new("boring-name");
        command.env_clear().env("BAR", "val").env_remove("FOO");
        assert_eq!(format!("{command:?}"), r#"env -i BAR="val" "boring-name""#);
        let vars = env(true, "            \"BAR\": Some(\n                \"val\",\n            ),\n");
        assert_eq!(format!("{command:#?}"), pretty(&format!("{head}{vars}")));
    }

    fn terminate_exited_process() {
        let mut child = Command::new("echo").stdout(Stdio::null()).spawn().unwrap();
        child.wait().unwrap();
        assert!(child.kill().is_ok());
        assert!(child.kill().is_ok());
    }

    fn test_process_group_posix_spawn() {
        let mut command = Command::new("cat");
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut cat = command.spawn().unwrap();
        let _open = cat.stdin.take();
        interrupt_group(cat.id());
        assert_eq!(cat.wait().unwrap().signal(), Some(2));
    }

    fn test_process_group_no_posix_spawn() {
        let mut command = Command::new("cat");
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped());
        // SAFETY: the closure does nothing.
        unsafe { command.pre_exec(|| Ok(())) };
        let mut cat = command.spawn().unwrap();
        let _open = cat.stdin.take();
        interrupt_group(cat.id());
        assert_eq!(cat.wait().unwrap().signal(), Some(2));
    }

    fn unix_exit_statuses() {
        for code in 0..=0xff {
            let status = ExitStatus::from_raw(code << 8);
            assert_eq!(status.code(), Some(code));
            assert_eq!(status.success(), code == 0);
        }
    }

    fn exitstatus_display_tests() {
        let shows = |raw, text| assert_eq!(ExitStatus::from_raw(raw).to_string(), text);
        shows(0x0000f, "signal: 15 (SIGTERM)");
        shows(0x0008b, "signal: 11 (SIGSEGV) (core dumped)");
        shows(0x00000, "exit status: 0");
        shows(0x0ff00, "exit status: 255");
        shows(0x0137f, "stopped (not terminated) by signal: 19 (SIGSTOP)");
        shows(0x0ffff, "continued (WIFCONTINUED)");
        shows(0x000ff, "unrecognised wait status: 255 0xff");
    }

    fn test_command_fork_no_unwind() {
        let status = std::panic::catch_unwind(|| {
            let mut command = Command::new("echo");
            command.arg("hi").stderr(Stdio::null());
            // SAFETY: it aborts the child, whose panic message has nothing to format.
            unsafe { command.pre_exec(|| panic!("{}", "crash now!")) };
            command.status().unwrap()
        });
        let signal = status.expect("the panic stays in the child").signal().unwrap();
        assert!([4, 5, 6, 11].contains(&signal), "{signal}");
    }

    fn issue_15149() {
        // A program is found by the PATH that it is given, not by ours.
        let folder = std::env::temp_dir().join(format!("green-issue-15149-{}", id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::copy(std::env::current_exe().unwrap(), folder.join("mytest")).unwrap();
        let output = Command::new("mytest").env("PATH", &folder).arg("--list").output();
        std::fs::remove_dir_all(&folder).unwrap();
        let output = output.unwrap();
        assert!(output.status.success());
        assert!(String::from_utf8(output.stdout).unwrap().contains("issue_15149"));
    }

    fn pipe_subprocess() {
        let (reader, writer) = io::pipe().unwrap();
        let mut command = Command::new("echo");
        assert!(command.arg("Heloo,").stdout(writer).status().unwrap().success());
        drop(command);
        let mut said = String::new();
        (&reader).read_to_string(&mut said).unwrap();
        assert_eq!(said, "Heloo,\n");
    }

    fn pipe_creation_clone_and_rw() {
        let (reader, writer) = io::pipe().unwrap();
        writer.try_clone().unwrap().write_all(b"12345").unwrap();
        drop(writer);
        let mut other = reader.try_clone().unwrap();
        drop(reader);
        let mut said = String::new();
        other.read_to_string(&mut said).unwrap();
        assert_eq!(said, "12345");
    }

    fn debug_of_the_rest() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        assert_eq!(
            format!("{child:?}"),
            "Child { stdin: Some(ChildStdin { .. }), stdout: None, stderr: None, .. }"
        );
        child.wait().unwrap();
        let (reader, writer) = io::pipe().unwrap();
        let fds = [reader.as_raw_fd(), writer.as_raw_fd()];
        let shown = fds.map(|fd| format!("(FileDesc(OwnedFd {{ fd: {fd} }}))"));
        assert_eq!(format!("{reader:?}"), format!("PipeReader{}", shown[0]));
        assert_eq!(format!("{writer:?}"), format!("PipeWriter{}", shown[1]));
    }

    fn getters() {
        let mut command = Command::new("program");
        command.args(["a", "b"]).env("KEY", "value").env_remove("GONE").current_dir("/");
        assert_eq!(command.get_program(), "program");
        assert!(command.get_args().eq(["a", "b"]));
        let envs: Vec<_> = command.get_envs().collect();
        assert_eq!(envs, [("GONE".as_ref(), None), ("KEY".as_ref(), Some("value".as_ref()))]);
        assert_eq!(command.get_current_dir(), Some("/".as_ref()));
    }

    fn streams_can_be_handed_on() {
        let mut first = Command::new("echo").arg("hello").stdout(Stdio::piped()).spawn().unwrap();
        let second = Command::new("cat").stdin(first.stdout.take().unwrap()).output().unwrap();
        assert_eq!(second.stdout, b"hello\n");
        assert!(first.wait().unwrap().success());
    }

    fn auto_traits() {
        fn all<T: Send + Sync + Unpin + UnwindSafe + RefUnwindSafe>() {}
        all::<Child>();
        all::<ChildStdin>();
        all::<ChildStdout>();
        all::<ChildStderr>();
        all::<io::PipeReader>();
        all::<io::PipeWriter>();
        fn some<T: Send + Sync + Unpin>() {}
        some::<Command>();
    }
}

mod manners {
    use super::*;
    use green_core::process::{Command, CommandExt, Stdio};

    /// As std's `test_process_mask`: what the kernel keeps per OS thread, the child has from an OS thread that calls.
    /// A green thread's child has it from an OS thread of the runtime: documented.
    #[test]
    fn test_process_mask() {
        let plain = Command::new("cat");
        let mut forked = Command::new("cat");
        // SAFETY: the closure does nothing.
        unsafe { forked.pre_exec(|| Ok(())) };
        for mut command in [plain, forked] {
            command.stdin(Stdio::piped()).stdout(Stdio::piped());
            // SAFETY: all zeroes is an empty set of signals.
            let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
            let mut old = set;
            // SAFETY: a set, and a signal there is.
            unsafe { libc::sigaddset(&raw mut set, libc::SIGINT) };
            // SAFETY: two sets.
            unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const set, &raw mut old) };
            let mut cat = command.spawn().unwrap();
            // SAFETY: a set.
            unsafe {
                libc::pthread_sigmask(libc::SIG_SETMASK, &raw const old, std::ptr::null_mut())
            };
            let pid = i32::try_from(cat.id())
                .ok()
                .and_then(rustix::process::Pid::from_raw);
            rustix::process::kill_process(pid.unwrap(), rustix::process::Signal::INT).unwrap();
            cat.stdin.take().unwrap().write_all(b"Hello").unwrap();
            let mut said = [0; 5];
            cat.stdout.as_mut().unwrap().read_exact(&mut said).unwrap();
            assert_eq!(&said, b"Hello");
            assert!(cat.wait().unwrap().success());
        }
    }
}
