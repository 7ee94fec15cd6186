//! Medians, ratios and tables.
//!
//! A ratio is computed within each round, from two values measured next to each other, and only then
//! summarised: drift of the machine between rounds cancels out.

use serde::Serialize;

use crate::machine::Description;
use crate::peers::Peer;

/// Everything that one run of the command found out.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    machine: Description,
    /// How often each peer was measured per table.
    rounds: usize,
    pub(crate) tables: Vec<Table>,
}

impl Report {
    pub(crate) fn new(machine: Description, rounds: usize) -> Self {
        Self {
            machine,
            rounds,
            tables: Vec::new(),
        }
    }

    /// Where and how the numbers came about.
    pub(crate) fn head(&self) -> String {
        let mut lines = self.machine.lines();
        lines.push(format!(
            "median of {} rounds (smallest to largest)",
            self.rounds
        ));
        lines.join("\n")
    }

    /// The whole report as Markdown.
    pub(crate) fn markdown(&self) -> String {
        let mut text = format!("{}\n", self.head().replace('\n', "  \n"));
        for table in &self.tables {
            text.push_str(&format!("\n## {}\n\n{}", table.title, table.markdown()));
        }
        text
    }
}

/// One thing a case measures.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Metric {
    /// With its unit.
    pub(crate) name: &'static str,
    pub(crate) better: Better,
}

/// How to read a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Better {
    Lower,
    Higher,
    /// Explains another metric; too coarse for a ratio.
    Neither,
}

/// The results of one case.
#[derive(Debug, Serialize)]
pub(crate) struct Table {
    title: String,
    metrics: Vec<Metric>,
    /// The first row is what ratios refer to.
    rows: Vec<Row>,
}

/// One peer's results.
#[derive(Debug, Serialize)]
struct Row {
    peer: String,
    /// One for each metric.
    cells: Vec<Cell>,
}

/// One peer's result for one metric.
#[derive(Debug, Serialize)]
struct Cell {
    value: Summary,
    /// To the first row, round by round.
    ratio: Summary,
    /// One value a round.
    samples: Vec<f64>,
}

/// Several values in three.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct Summary {
    median: f64,
    min: f64,
    max: f64,
}

impl Summary {
    /// Of at least one value.
    fn of(values: &[f64]) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (lower, upper) = (sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2]);
        Self {
            median: f64::midpoint(lower, upper),
            min: sorted[0],
            max: sorted[sorted.len() - 1],
        }
    }
}

impl Table {
    /// From `samples[peer][round][metric]`.
    pub(crate) fn new(
        title: String,
        metrics: &[Metric],
        peers: &[Peer],
        samples: &[Vec<Vec<f64>>],
    ) -> Self {
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
            Cell {
                value: Summary::of(&own),
                ratio: Summary::of(&ratios),
                samples: own,
            }
        };
        let rows = peers
            .iter()
            .enumerate()
            .map(|(peer, name)| Row {
                peer: name.to_string(),
                cells: (0..metrics.len())
                    .map(|metric| cell(peer, metric))
                    .collect(),
            })
            .collect();
        Self {
            title,
            metrics: metrics.to_vec(),
            rows,
        }
    }

    /// For a terminal.
    pub(crate) fn text(&self) -> String {
        let lines = self.lines();
        let columns = lines.first().map_or(0, Vec::len);
        let widths: Vec<usize> = (0..columns)
            .map(|column| {
                let width = |line: &Vec<String>| line[column].chars().count();
                lines.iter().map(width).max().unwrap_or(0)
            })
            .collect();
        let mut text = format!("\n{}\n", self.title);
        for line in lines {
            for (column, (cell, width)) in line.iter().zip(&widths).enumerate() {
                text.push_str(&match column {
                    0 => format!("  {cell:<width$}"),
                    _ => format!("  {cell:>width$}"),
                });
            }
            text.push('\n');
        }
        text
    }

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
            head.push(metric.name.to_owned());
            if metric.better != Better::Neither {
                head.push("ratio".to_owned());
            }
        }
        let mut lines = vec![head];
        for row in &self.rows {
            let mut line = vec![row.peer.clone()];
            for (metric, Cell { value, ratio, .. }) in self.metrics.iter().zip(&row.cells) {
                line.push(number(value.median));
                if metric.better != Better::Neither {
                    line.push(format!(
                        "{:.2} ({:.2} to {:.2})",
                        ratio.median, ratio.min, ratio.max
                    ));
                }
            }
            lines.push(line);
        }
        lines
    }
}

/// Three significant digits or all before the point, with thousands separated: `0.25`, `17.3`, `189,012`.
fn number(value: f64) -> String {
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
mod tests {
    use super::{Better, Metric, Summary, Table, number};
    use crate::peers::Peer;

    #[test]
    fn median_of_odd_and_even_counts() {
        let odd = Summary::of(&[3.0, 1.0, 2.0]);
        assert_eq!((odd.median, odd.min, odd.max), (2.0, 1.0, 3.0));
        assert_eq!(Summary::of(&[4.0, 1.0, 2.0, 3.0]).median, 2.5);
    }

    #[test]
    fn ratios_are_paired_within_a_round() {
        let metric = Metric {
            name: "ns",
            better: Better::Lower,
        };
        let reference = vec![vec![100.0], vec![200.0], vec![400.0]];
        let twice = vec![vec![200.0], vec![400.0], vec![800.0]];
        let peers = [Peer::Epoll, Peer::May];
        let table = Table::new("t".to_owned(), &[metric], &peers, &[reference, twice]);
        let ratio = table.rows[1].cells[0].ratio;
        assert_eq!((ratio.min, ratio.median, ratio.max), (2.0, 2.0, 2.0));
    }

    #[test]
    fn numbers_keep_three_digits() {
        assert_eq!(number(0.25), "0.25");
        assert_eq!(number(17.34), "17.3");
        assert_eq!(number(999.6), "1,000");
        assert_eq!(number(1_234_567.0), "1,234,567");
    }
}
