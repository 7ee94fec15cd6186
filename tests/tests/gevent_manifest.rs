//! What `docs/gevent-map.md` says is held to: every row of gevent's inventory is on the page, and has a test named after it, or
//! names a file of tests, or says that there is nothing to map ("none").

#![forbid(unsafe_code)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

const PAGE: &str = include_str!("../../docs/gevent-map.md");

/// The rows of the inventory: a prefix, and how many there are.
const INVENTORY: [(&str, u32); 30] = [
    ("TOP", 18),
    ("GRN", 24),
    ("TMO", 13),
    ("POOL", 22),
    ("EVT", 10),
    ("LCK", 12),
    ("Q", 13),
    ("LOC", 2),
    ("CTX", 1),
    ("HUB", 12),
    ("THP", 8),
    ("SOCK", 15),
    ("SSL", 1),
    ("SEL", 4),
    ("SUB", 3),
    ("OS", 5),
    ("SIG", 2),
    ("TIM", 1),
    ("THR", 2),
    ("BLT", 1),
    ("MON", 14),
    ("SRV", 14),
    ("WSG", 5),
    ("BKD", 1),
    ("FIL", 4),
    ("DNS", 5),
    ("UTL", 4),
    ("MNR", 3),
    ("EVS", 1),
    // Those that surprise.
    ("RULE", 60),
];

/// A row of the inventory, such as `("GRN", 6)`.
type Id = (&'static str, u32);

fn prefix(name: &str) -> Option<&'static str> {
    let known = |(prefix, _): &(&'static str, u32)| *prefix == name.to_uppercase();
    INVENTORY
        .iter()
        .find(|entry| known(entry))
        .map(|entry| entry.0)
}

fn inventory() -> BTreeSet<Id> {
    let numbers = |(prefix, count): (&'static str, u32)| (1..=count).map(move |n| (prefix, n));
    INVENTORY.into_iter().flat_map(numbers).collect()
}

/// The rows after which a test is named: `grn_06_…`, `grn_07_to_10_…`, `sig01_…`, `sock_03_rule_57_…`.
fn named_after(test: &str) -> Vec<Id> {
    let mut ids = Vec::new();
    let mut current = None;
    let mut through = None;
    for word in test.split('_') {
        let letters = word.trim_end_matches(|c: char| c.is_ascii_digit());
        let number = word[letters.len()..].parse::<u32>().ok();
        if let Some(prefix) = prefix(letters) {
            current = Some(prefix);
            ids.extend(number.map(|number| (prefix, number)));
            continue;
        }
        match (current, number) {
            (Some(prefix), Some(number)) if letters.is_empty() => {
                let first = through.take().map_or(number, |first| first + 1);
                ids.extend((first..=number).map(|number| (prefix, number)));
            }
            _ if word == "and" => {}
            _ if word == "to" => through = ids.last().map(|(_, number)| *number),
            _ => break,
        }
    }
    ids
}

/// The rows that the first column of a line of the page is about: `GRN-06`, `MON-02 to MON-11`, `POOL-12, 13`, `47`.
fn rows(column: &str) -> Vec<Id> {
    let words = column.replace([',', '-'], " ").replace("rule ", "RULE ");
    let mut ids: Vec<Id> = Vec::new();
    let mut current = if column.parse::<u32>().is_ok() {
        prefix("RULE")
    } else {
        None
    };
    let mut through = false;
    for word in words.split_whitespace() {
        match (word.parse::<u32>(), current) {
            (Ok(number), Some(prefix)) if through => {
                let first = ids.last().map_or(number, |(_, last)| last + 1);
                ids.extend((first..=number).map(|number| (prefix, number)));
                through = false;
            }
            (Ok(number), Some(prefix)) => ids.push((prefix, number)),
            _ if word == "to" => through = true,
            _ => current = prefix(word),
        }
    }
    ids
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every row after which a test is named.
fn tested() -> BTreeSet<Id> {
    let folders = [
        "tests/tests",
        "crates/green-core/tests",
        "crates/green-net/tests",
        "crates/green/tests",
    ];
    let mut ids = BTreeSet::new();
    for folder in folders {
        for entry in fs::read_dir(root().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "rs") {
                let source = fs::read_to_string(path).unwrap();
                let names = source
                    .split("fn ")
                    .skip(1)
                    .filter_map(|rest| rest.split('(').next());
                ids.extend(names.flat_map(named_after));
            }
        }
    }
    ids
}

/// Whether the text names a file of tests that is there.
fn names_a_file_of_tests(text: &str) -> bool {
    let quoted = text.split('`').skip(1).step_by(2);
    quoted
        .filter(|path| path.ends_with(".rs") && path.contains("tests/"))
        .any(|path| root().join(path).exists())
}

#[test]
fn every_row_is_on_the_page_and_has_a_test_or_a_reason() {
    let tested = tested();
    let mut missing = inventory();
    let mut unfounded = BTreeMap::new();
    for line in PAGE.lines().filter(|line| line.starts_with("| ")) {
        let columns: Vec<_> = line
            .split(" |")
            .map(|column| column.trim_start_matches('|'))
            .collect();
        let ids = rows(columns[0].trim());
        let said = columns[1..].join("|");
        let reason = said.contains("none: ") || said.contains("not yet");
        let founded =
            reason || names_a_file_of_tests(&said) || ids.iter().any(|id| tested.contains(id));
        for id in ids {
            missing.remove(&id);
            if !founded && !tested.contains(&id) {
                unfounded.insert(id, line);
            }
        }
    }
    assert!(missing.is_empty(), "not on the page: {missing:?}");
    assert!(
        unfounded.is_empty(),
        "neither a test nor a reason: {unfounded:#?}"
    );
}

#[test]
fn names_and_columns_are_read() {
    assert_eq!(named_after("grn_06_kill_before_start"), [("GRN", 6)]);
    assert_eq!(
        named_after("grn_07_to_09_ready"),
        [("GRN", 7), ("GRN", 8), ("GRN", 9)]
    );
    assert_eq!(
        named_after("sock_03_rule_57_two_readers"),
        [("SOCK", 3), ("RULE", 57)]
    );
    assert_eq!(named_after("rule48_a_child"), [("RULE", 48)]);
    assert_eq!(named_after("os_threads_of_20"), []);
    assert_eq!(
        rows("SOCK-01, SOCK-06 to SOCK-07"),
        [("SOCK", 1), ("SOCK", 6), ("SOCK", 7)]
    );
    assert_eq!(rows("POOL-12, 13"), [("POOL", 12), ("POOL", 13)]);
    assert_eq!(rows("OS-04, rule 47"), [("OS", 4), ("RULE", 47)]);
    assert_eq!(rows("7"), [("RULE", 7)]);
    assert_eq!(rows("id"), []);
}
