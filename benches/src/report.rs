//! What a run found out: samples, medians and ratios, as JSON and as tables.
//!
//! A ratio is computed within each round, from two values measured next to each other, and only then
//! summarised: drift of the machine between rounds cancels out.
//!
//! The JSON holds everything, so that tables and charts can be made from it later.

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::machine::{Description, Placement};
use crate::peers::Peer;
use crate::summary::Summary;

/// Everything that one run of the command found out.
#[derive(Debug, PartialEq, Deserialize, Serialize)]
pub(crate) struct Report {
    machine: Description,
    /// How often each peer was measured per table.
    rounds: usize,
    pub(crate) tables: Vec<Table>,
    /// What kept tables and rows from being here.
    pub(crate) failures: Vec<String>,
}

impl Report {
    pub(crate) fn new(machine: Description, rounds: usize) -> Self {
        Self {
            machine,
            rounds,
            tables: Vec::new(),
            failures: Vec::new(),
        }
    }

    /// Of an earlier run, from its JSON.
    pub(crate) fn read(path: &Path) -> io::Result<Self> {
        let report = fs::read_to_string(path).and_then(|json| Ok(serde_json::from_str(&json)?));
        report
            .map_err(|error| io::Error::other(format!("cannot read `{}`: {error}", path.display())))
    }

    /// Everything, for [`Report::read`] and for other programs.
    pub(crate) fn json(&self) -> io::Result<String> {
        let mut json = serde_json::to_string_pretty(self)?;
        json.push('\n');
        Ok(json)
    }

    /// How many rounds, with the noun.
    pub(crate) fn rounds_in_words(&self) -> String {
        match self.rounds {
            1 => "1 round".to_owned(),
            rounds => format!("{rounds} rounds"),
        }
    }

    /// Where and how the numbers came about.
    pub(crate) fn head(&self) -> String {
        let mut lines = self.machine.lines();
        lines.push(format!(
            "median of {} (smallest to largest)",
            self.rounds_in_words()
        ));
        lines.join("\n")
    }

    /// The whole report as part of a page.
    pub(crate) fn markdown(&self) -> String {
        let mut text = format!("{}\n", self.head().replace('\n', "  \n"));
        for table in &self.tables {
            text.push_str(&format!("\n### {}\n\n{}", table.subject, table.markdown()));
        }
        if !self.failures.is_empty() {
            let failures = self.failures.join("\n- ");
            text.push_str(&format!("\n### Failures\n\n- {failures}\n"));
        }
        text
    }
}

/// One thing a case measures.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Metric {
    /// With its unit.
    pub(crate) name: &'static str,
    pub(crate) better: Better,
}

/// How to read a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Better {
    Lower,
    Higher,
    /// Explains another metric; too coarse for a ratio.
    Neither,
}

/// What was measured: one case, with its processes placed in one way.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub(crate) struct Subject {
    /// As `--only` takes it.
    pub(crate) question: String,
    /// The parameters, in words.
    pub(crate) case: String,
    pub(crate) placement: Placement,
}

impl fmt::Display for Subject {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            question,
            case,
            placement,
        } = self;
        write!(formatter, "{question}: {case} ({placement})")
    }
}

/// The results of one case.
#[derive(Debug, PartialEq, Deserialize, Serialize)]
pub(crate) struct Table {
    #[serde(flatten)]
    pub(crate) subject: Subject,
    pub(crate) metrics: Vec<Column>,
    /// The first row is what ratios refer to.
    pub(crate) rows: Vec<Row>,
}

/// A [`Metric`] that can be read back.
#[derive(Debug, PartialEq, Deserialize, Serialize)]
pub(crate) struct Column {
    /// With its unit.
    pub(crate) name: String,
    pub(crate) better: Better,
}

/// One peer's results.
#[derive(Debug, PartialEq, Deserialize, Serialize)]
pub(crate) struct Row {
    pub(crate) peer: String,
    /// One for each metric.
    pub(crate) cells: Vec<Cell>,
}

/// One peer's result for one metric.
#[derive(Debug, PartialEq, Deserialize, Serialize)]
pub(crate) struct Cell {
    pub(crate) value: Summary,
    /// To the first row, round by round; `None` if the first row has a zero, as coarse values can.
    pub(crate) ratio: Option<Summary>,
    /// One value a round.
    samples: Vec<f64>,
}

impl Table {
    /// From `samples[peer][round][metric]`; an error if one is not a finite number or there is none.
    pub(crate) fn new(
        subject: Subject,
        metrics: &[Metric],
        peers: &[Peer],
        samples: &[Vec<Vec<f64>>],
    ) -> io::Result<Self> {
        let of_metric = |peer: usize, metric: usize| -> Vec<f64> {
            samples[peer].iter().map(|round| round[metric]).collect()
        };
        let cell = |peer: usize, metric: usize| {
            let own = of_metric(peer, metric);
            let ratios: Vec<f64> = own
                .iter()
                .zip(of_metric(0, metric))
                .map(|(own, reference)| own / reference)
                .collect();
            let value = Summary::of(&own)
                .ok_or_else(|| io::Error::other(format!("{} measured {own:?}", peers[peer])))?;
            Ok(Cell {
                value,
                ratio: Summary::of(&ratios),
                samples: own,
            })
        };
        let rows = peers
            .iter()
            .enumerate()
            .map(|(peer, name)| {
                let cells: io::Result<_> = (0..metrics.len())
                    .map(|metric| cell(peer, metric))
                    .collect();
                Ok(Row {
                    peer: name.to_string(),
                    cells: cells?,
                })
            })
            .collect::<io::Result<_>>()?;
        let columns = metrics.iter().map(|metric| Column {
            name: metric.name.to_owned(),
            better: metric.better,
        });
        Ok(Self {
            subject,
            metrics: columns.collect(),
            rows,
        })
    }

    /// The peer that ratios refer to.
    fn reference(&self) -> &str {
        self.rows.first().map_or("", |row| row.peer.as_str())
    }

    /// For a terminal, after an empty line.
    pub(crate) fn text(&self) -> String {
        let lines = self.lines();
        let columns = lines.first().map_or(0, Vec::len);
        let widths: Vec<usize> = (0..columns)
            .map(|column| {
                let width = |line: &Vec<String>| line[column].chars().count();
                lines.iter().map(width).max().unwrap_or(0)
            })
            .collect();
        let mut text = format!("\n{}", self.subject);
        for line in lines {
            text.push('\n');
            for (column, (cell, width)) in line.iter().zip(&widths).enumerate() {
                text.push_str(&match column {
                    0 => format!("  {cell:<width$}"),
                    _ => format!("  {cell:>width$}"),
                });
            }
        }
        text
    }

    /// For a page.
    fn markdown(&self) -> String {
        let mut lines = self.lines();
        let rule = lines[0]
            .iter()
            .enumerate()
            .map(|(column, _)| if column == 0 { "---" } else { "---:" }.to_owned())
            .collect();
        lines.insert(1, rule);
        lines
            .iter()
            .map(|line| format!("| {} |\n", line.join(" | ")))
            .collect()
    }

    /// The head and one line a peer, in cells.
    fn lines(&self) -> Vec<Vec<String>> {
        let mut head = vec!["peer".to_owned()];
        for metric in &self.metrics {
            head.push(metric.name.clone());
            if metric.better != Better::Neither {
                head.push(format!("ratio to {}", self.reference()));
            }
        }
        let mut lines = vec![head];
        for (index, row) in self.rows.iter().enumerate() {
            let mut line = vec![row.peer.clone()];
            for (metric, Cell { value, ratio, .. }) in self.metrics.iter().zip(&row.cells) {
                line.push(number(value.median));
                if metric.better != Better::Neither {
                    line.push(match ratio {
                        _ if index == 0 => "1".to_owned(),
                        Some(ratio) => format!(
                            "{} ({} to {})",
                            number(ratio.median),
                            number(ratio.min),
                            number(ratio.max)
                        ),
                        None => "none".to_owned(),
                    });
                }
            }
            lines.push(line);
        }
        lines
    }
}

/// Two significant digits below 0.1, else three or all before the point, with thousands separated: `0.0042`, `0.25`,
/// `17.3`, `189,012`.
pub(crate) fn number(value: f64) -> String {
    if (1e-9..0.1).contains(&value) {
        let zeros = (-value.log10()).ceil() as usize;
        return format!("{value:.*}", zeros + 1);
    }
    if value < 10.0 {
        return format!("{value:.2}");
    }
    if value < 100.0 {
        return format!("{value:.1}");
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
pub(crate) mod tests {
    use super::{Better, Metric, Report, Subject, Table, number};
    use crate::machine::{Description, Placement};
    use crate::peers::Peer;

    /// A report with one table of two peers: the second one takes twice as long, and its other metric,
    /// like the first one's, can be zero.
    pub(crate) fn report() -> Report {
        let subject = Subject {
            question: "echo".to_owned(),
            case: "64 B".to_owned(),
            placement: Placement::Unpinned,
        };
        let metrics = [
            Metric {
                name: "ns",
                better: Better::Lower,
            },
            Metric {
                name: "of it user mode",
                better: Better::Neither,
            },
        ];
        let reference = vec![vec![100.0, 0.0], vec![200.0, 0.0], vec![400.0, 10.0]];
        let twice = vec![vec![200.0, 0.0], vec![400.0, 7.0], vec![800.0, 9.0]];
        let peers = [Peer::Epoll, Peer::Green];
        let mut report = Report::new(Description::of_this_machine().unwrap(), 3);
        let table = Table::new(subject, &metrics, &peers, &[reference, twice]);
        report.tables.push(table.unwrap());
        report
    }

    #[test]
    fn ratios_are_paired_within_a_round() {
        let ratio = report().tables[0].rows[1].cells[0].ratio.unwrap();
        assert_eq!((ratio.min, ratio.median, ratio.max), (2.0, 2.0, 2.0));
    }

    #[test]
    fn a_zero_in_the_reference_makes_no_ratio() {
        assert_eq!(report().tables[0].rows[1].cells[1].ratio, None);
    }

    #[test]
    fn json_can_be_read_back() {
        let report = report();
        let read: Report = serde_json::from_str(&report.json().unwrap()).unwrap();
        assert_eq!(read, report);
    }

    #[test]
    fn a_table_names_subject_and_reference() {
        let expected = "\
            | peer | ns | ratio to epoll | of it user mode |\n\
            | --- | ---: | ---: | ---: |\n\
            | epoll | 200 | 1 | 0.00 |\n\
            | green | 400 | 2.00 (2.00 to 2.00) | 7.00 |\n";
        let markdown = report().markdown();
        assert!(
            markdown.contains("\n### echo: 64 B (unpinned)\n\n"),
            "{markdown}"
        );
        assert!(markdown.ends_with(expected), "{markdown}");
    }

    #[test]
    fn numbers_keep_two_or_three_digits() {
        assert_eq!(number(0.0), "0.00");
        assert_eq!(number(0.004_21), "0.0042");
        assert_eq!(number(0.010), "0.010");
        assert_eq!(number(0.0961), "0.096");
        assert_eq!(number(0.25), "0.25");
        assert_eq!(number(17.34), "17.3");
        assert_eq!(number(999.6), "1,000");
        assert_eq!(number(1_234_567.0), "1,234,567");
    }
}
