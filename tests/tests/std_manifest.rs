//! Every stable item of std's modules is there in `green`, with std's signature, but for what `docs/std-parity.md` says.
//!
//! The checks are Rust source that `build.rs` makes of `data/std-api.tsv`, so **a failure is a compile error of this
//! file**. Each check is a function named for its item under a comment with its full name, such as
//! `check_57_net_tcpstream_peer_addr` under `// net::TcpStream::peer_addr`; the compiler shows the line:
//!
//! | error | means |
//! |---|---|
//! | `cannot find …`, `no function or associated item named …` | the item is missing |
//! | `mismatched types` | it has another signature |
//! | `the trait bound … is not satisfied`, `… cannot be sent between threads safely` | an `impl` is missing, or asks for more |
//! | `type annotations needed` in a `Probe` | it has an auto trait that std's type has not |
//!
//! An error in `on_std` is a fault of the checks themselves: std must pass them all. One in `on_green` is ours: mend it,
//! or write it into the tables of the page, which are where the exceptions come from.

#![forbid(unsafe_code)]

use std::collections::BTreeSet;

use green_tests::manifest::{Manifest, Page, Row, Verdict};

const DATA: &str = include_str!("../data/std-api.tsv");
const PAGE: &str = include_str!("../../docs/std-parity.md");

#[test]
fn no_row_is_dropped() {
    let rows = Row::read(DATA);
    let covered = rows.iter().filter(|row| row.is_covered()).count();
    for page in [Page::default(), Page::read(PAGE)] {
        let Manifest {
            source,
            checked,
            missing,
            unstable,
            unobservable,
        } = Manifest::new(&rows, &page);
        let sum = checked.len() + missing.len() + unstable.len() + unobservable.len();
        assert_eq!(sum, covered);
        assert_eq!(
            source
                .lines()
                .filter(|line| line.starts_with("// "))
                .count(),
            checked.len()
        );
        // The data has not become empty by some accident.
        assert!(checked.len() > 800, "{} checks", checked.len());
        assert!(unstable.len() > 100, "{} unstable items", unstable.len());
    }
}

#[test]
fn only_what_the_page_calls_missing_is_left_out() {
    let set = |items: Vec<String>| items.into_iter().collect::<BTreeSet<String>>();
    let (rows, page) = (Row::read(DATA), Page::read(PAGE));
    let on_std = Manifest::new(&rows, &Page::default());
    let on_green = Manifest::new(&rows, &page);
    assert_eq!(on_std.missing, [""; 0]);
    let (stable, ours) = (set(on_std.checked), set(on_green.checked));
    let left_out: BTreeSet<String> = stable.difference(&ours).cloned().collect();
    assert_eq!(left_out, set(on_green.missing));
    // And what it calls extra is checked as if it were stable.
    for (item, verdict) in page.items().filter(|said| said.1 == Verdict::Extra) {
        assert!(ours.contains(item), "{item} is called {verdict:?}");
    }
}

#[test]
fn the_page_names_items_of_std() {
    let rows = Row::read(DATA);
    for (item, verdict) in Page::read(PAGE).items() {
        let row = rows.iter().find(|row| row.item() == item);
        let Some(row) = row else {
            panic!("docs/std-parity.md names {item}, which std has not");
        };
        let stable = verdict != Verdict::Extra;
        assert_eq!(row.is_stable(), stable, "{item} is called {verdict:?}");
        if matches!(verdict, Verdict::Same | Verdict::Own) {
            assert!(row.is_type(), "{item} is called {verdict:?}");
        }
    }
}

#[test]
fn the_page_names_each_item_once() {
    let mut seen = BTreeSet::new();
    for said in Page::read(PAGE).items() {
        assert!(seen.insert(said.0), "{} is there twice", said.0);
    }
}

#[test]
fn the_page_says_of_every_type_whose_it_is() {
    let (rows, page) = (Row::read(DATA), Page::read(PAGE));
    let verdicts = [Verdict::Same, Verdict::Own, Verdict::Missing];
    let said = |row: &Row<'_>| {
        verdicts
            .iter()
            .any(|verdict| page.says_exactly(row, *verdict))
    };
    let types = rows
        .iter()
        .filter(|row| row.is_covered() && row.is_stable() && row.is_type());
    let unsaid: Vec<String> = types.filter(|row| !said(row)).map(Row::item).collect();
    assert_eq!(unsaid, [""; 0]);
}

/// A made-up std: what each kind of row becomes, and that the check would name what is missing.
#[test]
fn a_check_names_its_item() {
    let checks = [
        (
            "fn\tthread\tfly\tpub fn fly<T: std::marker::Send>(to: &T) -> std::io::Result<()>\t1.0.0",
            "// thread::fly\nfn check_0_thread_fly<T: root::marker::Send>(_0: &T)  { \
             let _item: fn(&T) -> root::io::Result<()> = root::thread::fly::<T>; }\n",
        ),
        (
            "struct-method\tsync::Gate\tpass\tpub unsafe fn pass(&self, n: u8) -> std::sync::Pass<'_>\t1.0.0\t\t\
             impl<T> std::sync::Gate<T>",
            "// sync::Gate::pass\nfn check_0_sync_gate_pass<'this, T>(_0: &'this root::sync::Gate<T>, _1: u8)  { \
             let _item: unsafe fn(&'this root::sync::Gate<T>, u8) -> root::sync::Pass<'this> = \
             <root::sync::Gate<T>>::pass; }\n",
        ),
        (
            "struct-method\tsync::Gate\tnew\tpub const fn new() -> Self\t1.0.0 (const: 1.2.0)\t\timpl std::sync::Gate",
            "// sync::Gate::new\nfn check_0_sync_gate_new()  { \
             let _item: fn() -> root::sync::Gate = <root::sync::Gate>::new; }\n\
             const fn check_0_sync_gate_new_const() -> root::sync::Gate  { <root::sync::Gate>::new() }\n",
        ),
        (
            "struct-impl\tsync::Gate\timpl<T> std::iter::Iterator for std::sync::Gate<T>\ttype Item = T\t1.0.0",
            "// impl<T> iter::Iterator for sync::Gate<T>\n\
             fn check_0_impl_t_iter_iterator_for_sync_gate_t<T>(item: &root::sync::Gate<T>)  { \
             fn is<T, X: ?Sized + root::iter::Iterator<Item = T>>(_: &root::sync::Gate<T>)  {} \
             is::<T, root::sync::Gate<T>>(item); }\n",
        ),
        (
            "variant\tsync::Fate\tGood\tGood(u8)\t1.0.0\t\tenum Fate<T>",
            "// sync::Fate::Good\nfn check_0_sync_fate_good<T>() { \
             let _item: fn(u8) -> root::sync::Fate<T> = root::sync::Fate::<T>::Good; }\n",
        ),
    ];
    for (row, check) in checks {
        let manifest = Manifest::new(&Row::read(row), &Page::default());
        assert_eq!(manifest.source, check);
    }
}

#[test]
fn a_page_decides() {
    let data = "struct\tsync\tGate\tpub struct Gate { /* private fields */ }\t1.0.0\n\
                struct-impl\tsync::Gate\timpl std::ops::Drop for std::sync::Gate\t\t1.0.0\n\
                struct\tsync\tGates\tpub struct Gates { /* private fields */ }\t\tgates\n\
                auto\tthread::Door\timpl std::convert::From<std::sync::Gate> for std::thread::Door\t\t1.0.0\n";
    let rows = Row::read(data);
    let counts = |page: &str| {
        let manifest = Manifest::new(
            &rows,
            &Page::read(&format!("| item | is |\n|---|---|\n{page}")),
        );
        let Manifest {
            checked,
            missing,
            unstable,
            unobservable,
            ..
        } = &manifest;
        let counts = [checked, missing, unstable, unobservable].map(Vec::len);
        (
            counts,
            manifest
                .source
                .contains("(item: Box<::std::sync::Gate>) -> Box<root::sync::Gate>"),
        )
    };
    assert_eq!(counts(""), ([2, 0, 1, 1], false));
    assert_eq!(counts("| `sync::Gate` | own |"), ([2, 0, 1, 1], false));
    assert_eq!(counts("| `sync::Gate` | same |"), ([2, 0, 1, 1], true));
    assert_eq!(counts("| `sync::Gate` | missing |"), ([0, 2, 1, 1], false));
    assert_eq!(counts("| `sync::Gates` | extra |"), ([3, 0, 0, 1], false));
}

#[test]
#[should_panic(expected = "docs/std-parity.md says 'perhaps' of `sync::Gate`")]
fn a_page_knows_its_words() {
    Page::read("| item | is |\n|---|---|\n| `sync::Gate` | perhaps |\n");
}

/// Everything above is about the checks; this compiles them.
macro_rules! hold_against_std {
    ($name:ident, $root:ident, $file:literal) => {
        #[expect(dead_code, deprecated, reason = "that it compiles is the test")]
        #[expect(
            clippy::all,
            unused_imports,
            unused_qualifications,
            reason = "made by a program"
        )]
        mod $name {
            use $root as root;

            include!(concat!(env!("OUT_DIR"), $file));
        }
    };
}

hold_against_std!(on_std, std, "/std_manifest.rs");
hold_against_std!(on_green, green, "/green_manifest.rs");
