//! The parity manifest: makes Rust source that uses every stable item of std's modules under another root.
//!
//! `build.rs` runs this and `tests/std_manifest.rs` includes what comes out, so it needs nothing but std. What std has is
//! in `data/std-api.tsv`, with full paths; what we do otherwise on purpose is in the tables of `docs/std-parity.md`.
//! Each row of the data becomes one small function that compiles only if the item is there with std's signature:
//!
//! | row | check |
//! |---|---|
//! | function, method | coerced to a pointer with exactly the declared types, for all of the declared generic parameters |
//! | `const fn` | also called in a `const fn` |
//! | `impl`, auto trait | the bound holds, associated types included; for `!Send` and the like, does not hold |
//! | type, variant, constant | named, and constructed where std allows it |
//! | trait | used as a bound, each of its items through it |
//! | type that is std's own | one is converted to the other by doing nothing |
//!
//! Not here: behaviour. For that there are the parity tests of the single types.

mod checks;
mod declaration;

use std::fmt::Write;

use checks::check;

/// What is held against std by now.
pub const COVERED: &[&str] = &[
    "fs",
    "io",
    "net",
    "os::fd",
    "os::linux::fs",
    "os::linux::net",
    "os::unix::fs",
    "os::unix::io",
    "os::unix::net",
    "os::unix::prelude",
    "os::unix::process",
    "os::unix::thread",
    "process",
    "sync",
    "sync::mpsc",
    "thread",
    "time",
];

/// Rows that nobody could check, and why.
const UNOBSERVABLE: &[(&str, &str)] = &[
    (
        "std::ops::Drop for ",
        "no program can ask for it: a wrapper of a type with a destructor has none",
    ),
    (" for !", "stable Rust cannot name the type"),
    ("std::alloc::Allocator", "stable Rust cannot name the bound"),
    ("std::io::RawOsError", "stable Rust cannot name the alias"),
    (
        "impl std::ops::Sub for std::time::Instant",
        "a bound would have to repeat the default of its parameter",
    ),
    ("auto std::io::BufWriter", "rustdoc leaves out a bound"),
    ("auto std::io::LineWriter", "rustdoc leaves out a bound"),
];

/// One line of the data: one item of std.
#[derive(Clone, Copy, Debug)]
pub struct Row<'t> {
    kind: &'t str,
    /// The module or type that has it, without `std::`.
    owner: &'t str,
    name: &'t str,
    declaration: &'t str,
    since: &'t str,
    feature: &'t str,
    /// The head of the `impl` or of the type that it stands in.
    inside: &'t str,
}

impl<'t> Row<'t> {
    /// Reads the data.
    pub fn read(text: &'t str) -> Vec<Self> {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines.map(Self::parse).collect()
    }

    fn parse(line: &'t str) -> Self {
        let mut fields = line.split('\t');
        let mut next = || fields.next().unwrap_or("");
        Self {
            kind: next(),
            owner: next(),
            name: next(),
            declaration: next(),
            since: next(),
            feature: next(),
            inside: next(),
        }
    }

    /// What `docs/std-parity.md` calls it: `net::TcpStream::peek`, `impl fmt::Debug for net::TcpStream`.
    pub fn item(&self) -> String {
        match self.kind {
            _ if self.is_impl() => self.name.replace("std::", ""),
            "macro" => format!("{}!", self.name),
            _ => format!("{}::{}", self.owner, self.name),
        }
    }

    /// Whether it is a type, trait or alias.
    pub fn is_type(&self) -> bool {
        matches!(self.kind, "struct" | "enum" | "trait" | "type")
    }

    /// Whether std promises it.
    pub fn is_stable(&self) -> bool {
        self.feature.is_empty() && !self.since.is_empty()
    }

    /// Whether its module is among [`COVERED`].
    pub fn is_covered(&self) -> bool {
        let end = self.owner.find(char::is_uppercase);
        COVERED.contains(&end.map_or(self.owner, |end| &self.owner[..end - 2]))
    }

    /// Whether nobody could check it.
    fn is_unobservable(&self) -> bool {
        let text = format!(
            "{} std::{} {} {}",
            self.kind, self.owner, self.name, self.declaration
        );
        UNOBSERVABLE.iter().any(|(part, _)| text.contains(part))
    }

    fn is_impl(&self) -> bool {
        self.kind.ends_with("-impl") || self.kind == "auto"
    }

    /// Whether it is `item`, or one of the things that `item` has, or an `impl` of or for it.
    fn belongs_to(&self, item: &str) -> bool {
        let named = || {
            let path = format!("std::{item}");
            let ends = |rest: &str| !rest.starts_with(|next: char| next.is_alphanumeric());
            let mut found = self.name.split(&path).skip(1);
            found.any(ends)
        };
        self.item() == item || self.owner == item || (self.is_impl() && named())
    }
}

/// What the second column of a table of `docs/std-parity.md` says of the items in the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// std's own type under our path.
    Same,
    /// A type of ours with std's name and signatures.
    Own,
    /// std has it and we do not.
    Missing,
    /// We have it on stable, std not yet.
    Extra,
    /// Another behaviour.
    Differs,
}

/// The tables of `docs/std-parity.md`: items and what is said of them.
#[derive(Debug, Default)]
pub struct Page {
    said: Vec<(String, Verdict)>,
}

impl Page {
    /// Reads each table whose first columns are `item` and `is`.
    ///
    /// # Panics
    ///
    /// If a table says a word that is no [`Verdict`].
    pub fn read(text: &str) -> Self {
        let mut said = Vec::new();
        let mut inside = false;
        for line in text.lines() {
            let mut cells = line.split('|').map(str::trim).skip(1);
            let (items, verdict) = (cells.next().unwrap_or(""), cells.next().unwrap_or(""));
            if !line.starts_with('|') || (items, verdict) == ("item", "is") {
                inside = line.starts_with('|');
            } else if inside && !items.starts_with('-') {
                let verdict = match verdict {
                    "same" => Verdict::Same,
                    "own" => Verdict::Own,
                    "missing" => Verdict::Missing,
                    "extra" => Verdict::Extra,
                    "differs" => Verdict::Differs,
                    _ => panic!("docs/std-parity.md says '{verdict}' of {items}"),
                };
                let names = items.split('`').skip(1).step_by(2);
                said.extend(names.map(|name| (name.to_owned(), verdict)));
            }
        }
        Self { said }
    }

    /// Every item that the tables name.
    pub fn items(&self) -> impl Iterator<Item = (&str, Verdict)> {
        self.said.iter().map(|(item, verdict)| (&**item, *verdict))
    }

    fn says(&self, row: &Row<'_>, wanted: Verdict) -> bool {
        self.items()
            .any(|(item, verdict)| verdict == wanted && row.belongs_to(item))
    }

    /// Whether the tables say this of exactly the item of the row.
    pub fn says_exactly(&self, row: &Row<'_>, wanted: Verdict) -> bool {
        let item = row.item();
        self.items().any(|said| said == (&*item, wanted))
    }
}

/// What has become of the rows of the covered modules, each in exactly one of these.
#[derive(Clone, Debug, Default)]
pub struct Manifest {
    /// The checks: Rust source that takes std's place from `root`.
    pub source: String,
    /// The items that are checked.
    pub checked: Vec<String>,
    /// The items that the page calls missing.
    pub missing: Vec<String>,
    /// The items that std does not promise.
    pub unstable: Vec<String>,
    /// The items that nobody could check.
    pub unobservable: Vec<String>,
}

impl Manifest {
    /// Makes the checks. With an empty page, std itself must pass them.
    pub fn new(rows: &[Row<'_>], page: &Page) -> Self {
        let mut manifest = Self::default();
        for row in rows.iter().filter(|row| row.is_covered()) {
            let (item, promised) = (row.item(), row.is_stable());
            if row.is_unobservable() {
                manifest.unobservable.push(item);
            } else if promised && page.says(row, Verdict::Missing) {
                manifest.missing.push(item);
            } else if promised || page.says(row, Verdict::Extra) {
                let number = manifest.checked.len();
                let same = page.says_exactly(row, Verdict::Same);
                writeln!(manifest.source, "{}", check(row, number, same)).unwrap();
                manifest.checked.push(item);
            } else {
                manifest.unstable.push(item);
            }
        }
        manifest
    }
}
