//! Derives write paths such as `::std::fmt` into this crate, which lead through green.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use serde::{Deserialize, Serialize};
use thiserror::Error;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Settings {
    listen_on: std::net::SocketAddr,
    #[serde(default)]
    limits: BTreeMap<String, std::time::Duration>,
    mode: Mode,
}

#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    ValueEnum,
)]
enum Mode {
    #[default]
    Quiet,
    Loud,
}

/// A command line.
#[derive(Debug, Parser)]
struct Arguments {
    /// Where the settings are.
    #[arg(long, default_value = "settings.json")]
    settings: PathBuf,
    /// How loud.
    #[arg(value_enum, long)]
    mode: Option<Mode>,
    words: Vec<String>,
}

#[derive(Debug, Error)]
enum Failure {
    #[error("cannot read {path}")]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error(transparent)]
    Address(#[from] std::net::AddrParseError),
}

#[test]
fn serde() {
    let text = r#"{"listen-on":"127.0.0.1:80","limits":{"a":{"secs":1,"nanos":0}},"mode":"Loud"}"#;
    let settings: Settings = serde_json::from_str(text).unwrap();
    assert_eq!(settings.limits["a"], std::time::Duration::from_secs(1));
    assert_eq!(serde_json::to_string(&settings).unwrap(), text);
    assert!(serde_json::from_str::<Settings>("{}").is_err());
}

#[test]
fn clap() {
    let arguments = Arguments::parse_from(["program", "--mode", "loud", "a", "b"]);
    assert_eq!(arguments.mode, Some(Mode::Loud));
    assert_eq!(arguments.settings, PathBuf::from("settings.json"));
    assert_eq!(arguments.words, ["a", "b"]);
    assert!(Arguments::try_parse_from(["program", "--mode", "shrill"]).is_err());
}

#[test]
fn thiserror() {
    fn parse(text: &str) -> Result<std::net::SocketAddr, Failure> {
        Ok(text.parse()?)
    }
    let failure = parse("nowhere").unwrap_err();
    assert_eq!(failure.to_string(), "invalid socket address syntax");
    let failure = Failure::Read {
        path: "x".into(),
        source: std::io::ErrorKind::NotFound.into(),
    };
    assert_eq!(failure.to_string(), "cannot read x");
    assert!(failure.source().is_some());
}
