//! One SVG for each question and placement: a bar a peer, as long as its ratio to the reference.
//!
//! Of each table, the first metric is drawn, in a group of its own below those of the question's other
//! tables; nothing of a table whose first metric has no ratio. The axis is logarithmic and bars start at 1,
//! the reference, so that half and twice as much look equally far away. Spread is drawn over the bar: the
//! middle half of the rounds, and all of them.

use std::io;
use std::ops::Range;

use plotters::coord::Shift;
use plotters::coord::combinators::{BindKeyPoints as _, IntoLogRange as _};
use plotters::element::EmptyElement;
use plotters::prelude::{
    ChartBuilder, Color as _, DrawingArea, DrawingAreaErrorKind, IntoDrawingArea as _, PathElement,
    RGBColor, Rectangle, SVGBackend, Text,
};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{FontDesc, FontFamily, FontStyle, TextStyle};

use crate::machine::Placement;
use crate::peers::Peer;
use crate::report::{Better, Report, Row, Table, number};
use crate::summary::Summary;

/// A drawing.
pub(crate) struct Chart {
    /// Question and placement, fit for a file's name.
    pub(crate) name: String,
    /// For those who cannot see it.
    pub(crate) description: String,
    pub(crate) svg: String,
}

/// The charts of `report`, in the order of its tables.
pub(crate) fn of(report: &Report) -> io::Result<Vec<Chart>> {
    let tables: Vec<&Table> = report.tables.iter().filter(has_ratios).collect();
    tables
        .chunk_by(|one, next| kind(one) == kind(next))
        .map(|tables| {
            let (question, placement) = kind(tables[0]);
            let title = format!("{question} ({placement})");
            Ok(Chart {
                name: format!("{question}_{placement}"),
                description: format!("Bars: {title}, each peer's ratio to the reference"),
                svg: draw(&title, tables, &report.rounds_in_words()).map_err(io::Error::other)?,
            })
        })
        .collect()
}

/// Whether ratios of its first metric say something.
fn has_ratios(table: &&Table) -> bool {
    table.metrics[0].better != Better::Neither
}

/// What the tables of a chart have in common.
fn kind(table: &Table) -> (&str, Placement) {
    (&table.subject.question, table.subject.placement)
}

fn draw(title: &str, tables: &[&Table], rounds: &str) -> Result<String, Failure> {
    let rows: usize = tables.iter().map(|table| table.rows.len()).sum();
    let plot_height = rows * ROW + tables.len() * HEADING;
    let height = TITLE + plot_height + AXIS + FOOTER;
    let mut svg = String::new();
    let root = SVGBackend::with_string(&mut svg, (WIDTH as u32, height as u32)).into_drawing_area();
    // Painted, so that it is legible on a dark page as well.
    root.fill(&BACKGROUND)?;
    root.draw_text(title, &bold(TITLE_FONT, TEXT), (MARGIN as i32, 12))?;
    for (line, text) in footer(tables, rounds).iter().enumerate() {
        let y = height - FOOTER + 8 + line * 18;
        root.draw_text(text, &plain(NOTE_FONT, MUTED), (MARGIN as i32, y as i32))?;
    }
    let area = root.margin(TITLE as i32, FOOTER as i32, 0, 0);
    draw_groups(&area, tables, plot_height as f64)?;
    root.present()?;
    drop(area);
    drop(root);
    Ok(svg)
}

/// The axis, and on it group after group, from the top down.
fn draw_groups(area: &Area<'_>, tables: &[&Table], height: f64) -> Result<(), Failure> {
    let range = range(tables);
    let (left, right) = (range.start, range.end);
    let ticks = ticks(&range);
    let mut chart = ChartBuilder::on(area)
        .margin_left(MARGIN as i32)
        .margin_right((MARGIN + VALUES) as i32)
        .y_label_area_size(LABELS as i32)
        .x_label_area_size(AXIS as i32)
        .build_cartesian_2d(range.log_scale().with_key_points(ticks), height..0.0)?;
    chart
        .configure_mesh()
        .disable_y_mesh()
        .disable_y_axis()
        .y_labels(0)
        .bold_line_style(GRID)
        .axis_style(GRID)
        .x_label_style(plain(NOTE_FONT, MUTED))
        .x_label_formatter(&|tick| label(*tick))
        .draw()?;

    let mut y = 0.0;
    for table in tables {
        let heading = format!("{}: {}", table.subject.case, table.metrics[0].name);
        let style = bold(FONT, TEXT).pos(Pos::new(HPos::Left, VPos::Center));
        let position = (-(LABELS as i32), HEADING as i32 / 2 + 2);
        chart.draw_series([EmptyElement::at((left, y)) + Text::new(heading, position, style)])?;
        y += HEADING as f64;

        let rows_height = (table.rows.len() * ROW) as f64;
        chart.draw_series([PathElement::new([(1.0, y), (1.0, y + rows_height)], TEXT)])?;
        for (index, row) in table.rows.iter().enumerate() {
            let bar = Bar::of(row, index);
            let middle = y + ROW as f64 / 2.0;
            let style = (bar.style)(FONT, TEXT).pos(Pos::new(HPos::Right, VPos::Center));
            let name = Text::new(row.peer.clone(), (-8, 0), style);
            chart.draw_series([EmptyElement::at((left, middle)) + name])?;
            let style = (bar.style)(FONT, TEXT).pos(Pos::new(HPos::Left, VPos::Center));
            let value = Text::new(bar.value, (8, 0), style);
            chart.draw_series([EmptyElement::at((right, middle)) + value])?;
            if let Some(ratio) = bar.ratio {
                chart.draw_series([
                    rectangle(1.0..ratio.median, middle, 7.0, bar.color),
                    rectangle(
                        ratio.lower_quartile..ratio.upper_quartile,
                        middle,
                        2.0,
                        TEXT,
                    ),
                ])?;
                chart.draw_series([
                    PathElement::new([(ratio.min, middle), (ratio.max, middle)], TEXT),
                    PathElement::new([(ratio.min, middle - 4.0), (ratio.min, middle + 4.0)], TEXT),
                    PathElement::new([(ratio.max, middle - 4.0), (ratio.max, middle + 4.0)], TEXT),
                ])?;
            }
            y += ROW as f64;
        }
    }
    Ok(())
}

/// How a row is drawn.
struct Bar {
    /// `None` draws no bar: the reference, and what a logarithmic axis cannot show.
    ratio: Option<Summary>,
    /// What stands at the right.
    value: String,
    color: RGBColor,
    /// Of both texts.
    style: fn(f64, RGBColor) -> TextStyle<'static>,
}

impl Bar {
    fn of(row: &Row, index: usize) -> Self {
        let ratio = drawable(row).filter(|_| index > 0);
        let value = match ratio {
            Some(ratio) => number(ratio.median),
            None if index == 0 => "1, the reference".to_owned(),
            None => "no ratio".to_owned(),
        };
        if row.peer == Peer::Green.to_string() {
            return Self {
                ratio,
                value,
                color: OWN,
                style: bold,
            };
        }
        Self {
            ratio,
            value,
            color: OTHER,
            style: plain,
        }
    }
}

/// The ratio of the first metric, if a logarithm can be taken of it.
fn drawable(row: &Row) -> Option<Summary> {
    row.cells[0].ratio.filter(|ratio| ratio.min > 0.0)
}

/// From the smallest to the largest ratio, with 1 and a little space in any case.
fn range(tables: &[&Table]) -> Range<f64> {
    let (mut left, mut right) = (0.95_f64, 1.05_f64);
    let rows = tables.iter().flat_map(|table| &table.rows);
    for ratio in rows.filter_map(drawable) {
        left = left.min(ratio.min);
        right = right.max(ratio.max);
    }
    let space = (right / left).powf(0.03);
    left / space..right * space
}

/// Round numbers within `range`, few enough that their labels do not touch.
fn ticks(range: &Range<f64>) -> Vec<f64> {
    let width = range.end / range.start;
    if width < 3.0 {
        let tenths = (1..100).map(|tenths| f64::from(tenths) / 10.0);
        return tenths.filter(|tick| range.contains(tick)).collect();
    }
    let steps: &[f64] = if width < 30.0 {
        &[1.0, 1.5, 2.0, 3.0, 5.0, 7.0]
    } else if width < 3_000.0 {
        &[1.0, 2.0, 5.0]
    } else {
        &[1.0]
    };
    (-9..10)
        .flat_map(|exponent| steps.iter().map(move |step| step * 10_f64.powi(exponent)))
        .filter(|tick| range.contains(tick))
        .collect()
}

/// The number without the digits that arithmetic with powers of ten leaves behind.
fn label(tick: f64) -> String {
    ((tick * 1e9).round() / 1e9).to_string()
}

/// How to read the chart, in lines.
fn footer(tables: &[&Table], rounds: &str) -> [String; 2] {
    let better = match tables[0].metrics[0].better {
        Better::Lower => "; lower is better",
        Better::Higher => "; higher is better",
        Better::Neither => "",
    };
    [
        format!("Ratio to the first row of each group, logarithmic{better}."),
        format!(
            "Bar: median of {rounds}. Thick line: the middle half of them. Thin line: smallest to largest."
        ),
    ]
}

/// Around `middle`, `half` pixels up and down.
fn rectangle(x: Range<f64>, middle: f64, half: f64, color: RGBColor) -> Rectangle<(f64, f64)> {
    let (left, right) = (x.start.min(x.end), x.start.max(x.end));
    Rectangle::new(
        [(left, middle - half), (right, middle + half)],
        color.filled(),
    )
}

fn plain(size: f64, color: RGBColor) -> TextStyle<'static> {
    FontDesc::new(FontFamily::SansSerif, size, FontStyle::Normal).color(&color)
}

fn bold(size: f64, color: RGBColor) -> TextStyle<'static> {
    FontDesc::new(FontFamily::SansSerif, size, FontStyle::Bold).color(&color)
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Failure = DrawingAreaErrorKind<io::Error>;

// Sizes, in pixels.
const WIDTH: usize = 900;
const MARGIN: usize = 16;
/// The question, at the top.
const TITLE: usize = 40;
/// The line over a group.
const HEADING: usize = 32;
/// A peer.
const ROW: usize = 20;
/// The numbers of the axis.
const AXIS: usize = 28;
/// The peers' names, left of the plot.
const LABELS: usize = 110;
/// The ratios in digits, right of the plot.
const VALUES: usize = 120;
/// How to read the chart, at the bottom.
const FOOTER: usize = 52;

// Sizes of the fonts, as plotters counts: a quarter more than pixels.
const TITLE_FONT: f64 = 22.0;
const FONT: f64 = 17.0;
const NOTE_FONT: f64 = 16.0;

const BACKGROUND: RGBColor = RGBColor(255, 255, 255);
const TEXT: RGBColor = RGBColor(31, 35, 40);
const MUTED: RGBColor = RGBColor(89, 99, 110);
const GRID: RGBColor = RGBColor(222, 226, 230);
/// Of this project's bars.
const OWN: RGBColor = RGBColor(46, 160, 67);
/// Of its peers' bars.
const OTHER: RGBColor = RGBColor(164, 174, 184);

#[cfg(test)]
mod tests {
    use super::{label, of, ticks};
    use crate::machine::Placement;
    use crate::report::Better;
    use crate::report::tests::report;

    #[test]
    fn a_question_has_one_chart_with_all_its_tables() {
        let mut report = report();
        let again = self::report().tables;
        report.tables.extend(again);
        let charts = of(&report).unwrap();
        assert_eq!(charts.len(), 1);
        assert_eq!(charts[0].name, "echo_unpinned");
        let svg = &charts[0].svg;
        assert!(
            svg.starts_with("<svg ") && svg.ends_with("</svg>\n"),
            "{svg}"
        );
        assert_eq!(svg.matches("64 B: ns").count(), 2);
        assert_eq!(svg.matches("1, the reference").count(), 2);
    }

    #[test]
    fn each_placement_has_a_chart_of_its_own() {
        let mut report = report();
        let mut pinned = self::report().tables;
        pinned[0].subject.placement = Placement::Pinned;
        report.tables.extend(pinned);
        let charts = of(&report).unwrap();
        let names: Vec<&str> = charts.iter().map(|chart| chart.name.as_str()).collect();
        assert_eq!(names, ["echo_unpinned", "echo_pinned"]);
    }

    #[test]
    fn absolute_numbers_are_not_drawn() {
        let mut report = report();
        report.tables[0].metrics[0].better = Better::Neither;
        assert_eq!(of(&report).unwrap().len(), 0);
    }

    #[test]
    fn the_axis_has_the_numbers_that_fit() {
        assert_eq!(ticks(&(0.85..1.25)), [0.9, 1.0, 1.1, 1.2]);
        assert_eq!(ticks(&(0.9..8.0)), [1.0, 1.5, 2.0, 3.0, 5.0, 7.0]);
        assert_eq!(ticks(&(0.4..60.0)), [0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0]);
        assert_eq!(
            ticks(&(0.9..20_000.0)),
            [1.0, 10.0, 100.0, 1_000.0, 10_000.0]
        );
    }

    #[test]
    fn the_axis_has_no_more_digits_than_it_needs() {
        let labels: Vec<String> = ticks(&(0.004..0.9)).into_iter().map(label).collect();
        assert_eq!(
            labels,
            ["0.005", "0.01", "0.02", "0.05", "0.1", "0.2", "0.5"]
        );
        assert_eq!(label(20_000.0), "20000");
    }
}
