//! The knobs. One process each: run by nextest.

use green_core::{AlreadyStarted, Builder, Config, spawn, stats};

/// Runs the test `name` of this file in a process with these variables.
fn with_environment(name: &str, variables: &[(&str, &str)]) {
    let status = std::process::Command::new(std::env::current_exe().expect("the test has a file"))
        .args([name, "--exact", "--ignored"])
        .envs(variables.iter().copied())
        .stdout(std::process::Stdio::null())
        .status()
        .expect("a test can run itself");
    assert!(status.success(), "{name} with {variables:?}");
}

#[test]
fn hubs_come_from_the_environment() {
    with_environment("child_has_three_hubs", &[("GREEN_HUBS", "3")]);
    with_environment("child_has_three_hubs", &[("GREEN_HUBS", " 3 ")]);
}

#[test]
fn nonsense_in_the_environment_is_ignored() {
    for nonsense in ["", "0", "-1", "many"] {
        with_environment(
            "child_runs",
            &[("GREEN_HUBS", nonsense), ("GREEN_STACK_SIZE", nonsense)],
        );
    }
}

#[test]
fn what_the_program_sets_goes_first() {
    with_environment("child_sets_two_hubs", &[("GREEN_HUBS", "3")]);
}

#[test]
fn it_is_frozen_by_the_first_spawn() {
    with_environment("child_is_frozen", &[]);
}

#[test]
#[ignore = "a child of other tests"]
fn child_has_three_hubs() {
    spawn(|| ()).join();
    assert_eq!(stats().hubs, 3);
}

#[test]
#[ignore = "a child of other tests"]
fn child_runs() {
    assert_eq!(spawn(|| 7).get().unwrap(), 7);
}

#[test]
#[ignore = "a child of other tests"]
fn child_sets_two_hubs() {
    assert_eq!(stats().hubs, 0);
    Config::new().hubs(5).stack_size(64 * 1024).apply().unwrap();
    Config::new().hubs(2).apply().unwrap();
    spawn(|| ()).join();
    assert_eq!(stats().hubs, 2);
    assert!(Builder::new().hub(2).spawn(|| ()).is_err());
}

#[test]
#[ignore = "a child of other tests"]
fn child_is_frozen() {
    Config::new().hubs(0).blocking_threads(0).apply().unwrap();
    spawn(|| ()).join();
    assert_eq!(stats().hubs, 1);
    assert_eq!(Config::new().hubs(2).apply(), Err(AlreadyStarted));
    assert_eq!(green_core::run(|| green_core::blocking(|| 7)), 7);
}
