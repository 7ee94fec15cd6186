//! Several measurements of one thing in five numbers.

use serde::{Deserialize, Serialize};

/// The smallest value, the quartiles and the largest value.
///
/// Quartiles lie between two values where the count asks for it, in proportion.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
pub(crate) struct Summary {
    pub(crate) min: f64,
    /// A quarter of the values is smaller.
    pub(crate) lower_quartile: f64,
    pub(crate) median: f64,
    /// A quarter of the values is larger.
    pub(crate) upper_quartile: f64,
    pub(crate) max: f64,
}

impl Summary {
    /// Of `values`; `None` without any, or when one is not finite.
    pub(crate) fn of(values: &[f64]) -> Option<Self> {
        if values.is_empty() || !values.iter().all(|value| value.is_finite()) {
            return None;
        }
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        Some(Self {
            min: quantile(&sorted, 0.0),
            lower_quartile: quantile(&sorted, 0.25),
            median: quantile(&sorted, 0.5),
            upper_quartile: quantile(&sorted, 0.75),
            max: quantile(&sorted, 1.0),
        })
    }
}

/// The value below which the share `share` of the sorted values lies.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let position = share * (sorted.len() - 1) as f64;
    let (below, above) = (position.floor(), position.ceil());
    let (lower, upper) = (sorted[below as usize], sorted[above as usize]);
    lower + (upper - lower) * (position - below)
}

#[cfg(test)]
mod tests {
    use super::Summary;

    #[test]
    fn of_five_values_in_any_order() {
        let summary = Summary::of(&[5.0, 1.0, 4.0, 2.0, 3.0]);
        let expected = Summary {
            min: 1.0,
            lower_quartile: 2.0,
            median: 3.0,
            upper_quartile: 4.0,
            max: 5.0,
        };
        assert_eq!(summary, Some(expected));
    }

    #[test]
    fn quartiles_lie_between_values() {
        let summary = Summary::of(&[4.0, 1.0, 2.0, 3.0]).unwrap();
        assert_eq!(summary.lower_quartile, 1.75);
        assert_eq!(summary.median, 2.5);
        assert_eq!(summary.upper_quartile, 3.25);
    }

    #[test]
    fn of_one_value_is_that_value() {
        let summary = Summary::of(&[7.0]).unwrap();
        assert_eq!((summary.min, summary.median, summary.max), (7.0, 7.0, 7.0));
        assert_eq!((summary.lower_quartile, summary.upper_quartile), (7.0, 7.0));
    }

    #[test]
    fn of_nothing_and_of_no_number_is_none() {
        assert_eq!(Summary::of(&[]), None);
        assert_eq!(Summary::of(&[1.0, f64::NAN]), None);
        assert_eq!(Summary::of(&[1.0, f64::INFINITY]), None);
    }
}
