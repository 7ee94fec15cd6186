//! Writes the parity manifest that `tests/std_manifest.rs` includes.

#![forbid(unsafe_code)]

#[path = "src/manifest/mod.rs"]
mod manifest;

use std::path::Path;
use std::{env, fs};

use manifest::{Manifest, Page, Row};

fn main() {
    let (data, page) = ("data/std-api.tsv", "../docs/std-parity.md");
    for file in ["build.rs", "src/manifest", data, page] {
        println!("cargo::rerun-if-changed={file}");
    }
    let data = fs::read_to_string(data).unwrap();
    let rows = Row::read(&data);
    let page = Page::read(&fs::read_to_string(page).unwrap());
    let folder = env::var_os("OUT_DIR").unwrap();
    let write = |name: &str, page: &Page| {
        let manifest = Manifest::new(&rows, page);
        fs::write(Path::new(&folder).join(name), manifest.source).unwrap();
    };
    write("std_manifest.rs", &Page::default());
    write("green_manifest.rs", &page);
}
