//! Tests that run themselves again in a process that is to die, or not.

use std::process::{Command, Output, Stdio};

use crate::support;

/// Which child this process is, if it is one.
const CHILD: &str = "GREEN_TEST_CHILD";

/// Runs the test `name` of this file again, as a child.
pub(crate) fn child(name: &str) -> Output {
    child_with(name, &[])
}

/// The same, with more environment variables.
pub(crate) fn child_with(name: &str, environment: &[(&str, &str)]) -> Output {
    let mut child = Command::new(std::env::current_exe().expect("the test has a file"))
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .env(CHILD, name)
        .envs(environment.iter().copied())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a test can run itself");
    let mut waited = 0;
    support::eventually("the child ends", || {
        waited += 1;
        if waited > 9_000 {
            child.kill().ok();
        }
        child.try_wait().expect("it is our child").is_some()
    });
    child.wait_with_output().expect("it has ended")
}

/// Whether this process is the child that runs the test `name`.
pub(crate) fn is_child(name: &str) -> bool {
    std::env::var(CHILD).is_ok_and(|child| child == name)
}
