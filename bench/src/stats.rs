//! Medians and spreads of a few numbers.

/// The median, and the quartiles around it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    /// Half of the values are not above it.
    pub(crate) median: f64,
    /// The lower quartile.
    pub(crate) low: f64,
    /// The upper quartile.
    pub(crate) high: f64,
}

impl Spread {
    /// `None` without values.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        Some(Self { median: at(&values, 0.5)?, low: at(&values, 0.25)?, high: at(&values, 0.75)? })
    }
}

/// Linear interpolation between the two nearest ranks.
fn at(sorted: &[f64], share: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let position = last as f64 * share;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and `last`")]
    let below = position.floor() as usize;
    let (low, high) = (sorted[below], sorted[(below + 1).min(last)]);
    Some(low + (high - low) * (position - below as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_sets() {
        let cases: [(&[f64], f64, f64, f64); 4] = [
            (&[3.0], 3.0, 3.0, 3.0),
            (&[2.0, 1.0], 1.25, 1.5, 1.75),
            (&[5.0, 1.0, 3.0], 2.0, 3.0, 4.0),
            (&[4.0, 2.0, 3.0, 1.0, 5.0], 2.0, 3.0, 4.0),
        ];
        for (values, low, median, high) in cases {
            assert_eq!(Spread::of(values.iter().copied()), Some(Spread { median, low, high }), "{values:?}");
        }
        assert_eq!(Spread::of([]), None);
    }
}
