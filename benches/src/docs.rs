//! The page of the documentation that shows a run: what of it is generated, and its charts.
//!
//! `benchmarks.md` is written by hand, except for what stands between two pairs of markers, each on a line
//! of its own: `<!-- begin: charts -->` and `<!-- end: charts -->`, and the same of `tables`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::charts;
use crate::report::Report;

/// The page and where its charts are.
pub(crate) struct Docs {
    page: PathBuf,
    charts: PathBuf,
}

impl Docs {
    /// In the folder `docs`; an error if the page is not there or lacks a marker.
    pub(crate) fn open(docs: &Path) -> io::Result<Self> {
        let docs = Self {
            page: docs.join("benchmarks.md"),
            charts: docs.join(CHARTS),
        };
        docs.with_parts("", "")?;
        Ok(docs)
    }

    /// Writes tables and charts of `report`; returns the files written.
    pub(crate) fn write(&self, report: &Report) -> io::Result<Vec<PathBuf>> {
        let mut written = Vec::new();
        let mut images = Vec::new();
        fs::create_dir_all(&self.charts)?;
        for chart in charts::of(report)? {
            let name = format!("{}.svg", chart.name);
            images.push(format!("![{}]({CHARTS}/{name})\n", chart.description));
            let path = self.charts.join(name);
            fs::write(&path, chart.svg)?;
            written.push(path);
        }
        // Read anew: a run takes long enough to edit the page meanwhile.
        let page = self.with_parts(&images.join("\n"), &report.markdown())?;
        fs::write(&self.page, page)?;
        written.push(self.page.clone());
        Ok(written)
    }

    /// The page as it is now, with its generated parts replaced.
    fn with_parts(&self, charts: &str, tables: &str) -> io::Result<String> {
        let failed = |what: String| io::Error::other(format!("`{}` {what}", self.page.display()));
        let page = fs::read_to_string(&self.page)
            .map_err(|error| failed(format!("cannot be read: {error}")))?;
        replace(&page, "charts", charts)
            .and_then(|page| replace(&page, "tables", tables))
            .map_err(failed)
    }
}

/// Puts `content` between the markers of `part`, with an empty line on either side.
fn replace(page: &str, part: &str, content: &str) -> Result<String, String> {
    let begin = format!("<!-- begin: {part} -->\n");
    let end = format!("<!-- end: {part} -->\n");
    for marker in [&begin, &end] {
        let count = page.matches(marker).count();
        if count != 1 {
            return Err(format!(
                "has {count} lines `{}`, not one",
                marker.trim_end()
            ));
        }
    }
    page.split_once(&begin)
        .and_then(|(before, rest)| {
            let (_, after) = rest.split_once(&end)?;
            Some(format!("{before}{begin}\n{content}\n{end}{after}"))
        })
        .ok_or_else(|| format!("ends its part `{part}` before it begins"))
}

/// The folder of the charts, beside the page.
const CHARTS: &str = "benchmarks";

#[cfg(test)]
mod tests {
    use super::replace;

    const PAGE: &str = "prose\n\
        <!-- begin: charts -->\n<!-- end: charts -->\n\
        <!-- begin: tables -->\nold\n<!-- end: tables -->\n\
        more prose\n";

    #[test]
    fn only_what_stands_between_the_markers_changes() {
        let expected = PAGE.replace("old\n", "\nnew\n\n");
        assert_eq!(replace(PAGE, "tables", "new\n"), Ok(expected));
    }

    #[test]
    fn replacing_twice_is_replacing_once() {
        let once = replace(PAGE, "tables", "new\n").unwrap();
        assert_eq!(replace(&once, "tables", "new\n"), Ok(once));
    }

    #[test]
    fn a_missing_marker_is_named() {
        let page = PAGE.replace("<!-- end: tables -->\n", "");
        let error = replace(&page, "tables", "new\n").unwrap_err();
        assert_eq!(error, "has 0 lines `<!-- end: tables -->`, not one");
    }

    #[test]
    fn a_marker_too_many_is_an_error() {
        let error = replace(&PAGE.repeat(2), "charts", "").unwrap_err();
        assert_eq!(error, "has 2 lines `<!-- begin: charts -->`, not one");
    }

    #[test]
    fn markers_in_the_wrong_order_are_an_error() {
        let page = "<!-- end: charts -->\n<!-- begin: charts -->\n";
        let error = replace(page, "charts", "").unwrap_err();
        assert_eq!(error, "ends its part `charts` before it begins");
    }
}
