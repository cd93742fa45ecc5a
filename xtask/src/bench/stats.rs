//! Order statistics.

/// The value that `percent` of the values do not exceed (nearest rank); `None` of nothing.
pub(super) fn percentile(values: &[f64], percent: usize) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.max(1) - 1).copied()
}

/// The middle value; `None` of nothing.
pub(super) fn median(values: &[f64]) -> Option<f64> {
    percentile(values, 50)
}

/// The median of each value over its reference, measured at about the same time.
pub(super) fn median_ratio(values: &[f64], references: &[f64]) -> Option<f64> {
    let ratios: Vec<f64> =
        values.iter().zip(references).map(|(value, reference)| value / reference).collect();
    median(&ratios)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let values: Vec<f64> = (1..=40).rev().map(f64::from).collect();
        assert_eq!(percentile(&values, 50), Some(20.0));
        assert_eq!(percentile(&values, 95), Some(38.0));
        assert_eq!(percentile(&values, 100), Some(40.0));
        assert_eq!(percentile(&[3.0], 0), Some(3.0));
        assert_eq!(percentile(&[], 50), None);
    }

    #[test]
    fn a_disturbance_of_both_falls_out_of_the_ratio() {
        assert_eq!(median_ratio(&[2.0, 20.0, 2.0], &[1.0, 10.0, 1.0]), Some(2.0));
    }
}
