//! Weighted straight lines.

/// A weighted least-squares line `y = intercept + slope * x` and the errors of its two numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    pub(super) intercept: f64,
    pub(super) slope: f64,
    pub(super) intercept_sd: f64,
    pub(super) slope_sd: f64,
    /// Standard deviation of a residual of weight 1.
    pub(super) residual_sd: f64,
}

/// The line through points of (x, y, weight), of which there are at least three.
pub(super) fn line(points: &[(f64, f64, f64)]) -> Option<Line> {
    if points.len() < 3 {
        return None;
    }
    let total: f64 = points.iter().map(|(_, _, w)| w).sum();
    let mean_x = points.iter().map(|(x, _, w)| w * x).sum::<f64>() / total;
    let mean_y = points.iter().map(|(_, y, w)| w * y).sum::<f64>() / total;
    let xx: f64 = points.iter().map(|(x, _, w)| w * (x - mean_x) * (x - mean_x)).sum();
    let xy: f64 = points.iter().map(|(x, y, w)| w * (x - mean_x) * (y - mean_y)).sum();
    if xx <= 0.0 {
        return None;
    }
    let slope = xy / xx;
    let intercept = mean_y - slope * mean_x;
    let residual = |x: f64, y: f64| y - intercept - slope * x;
    let squares: f64 = points.iter().map(|(x, y, w)| w * residual(*x, *y) * residual(*x, *y)).sum();
    let variance = squares / (points.len() - 2) as f64;
    Some(Line {
        intercept,
        slope,
        intercept_sd: (variance * (1.0 / total + mean_x * mean_x / xx)).sqrt(),
        slope_sd: (variance / xx).sqrt(),
        residual_sd: variance.sqrt(),
    })
}

/// Runs of residuals of one sign.
pub(super) fn sign_runs(points: &[(f64, f64, f64)], line: &Line) -> usize {
    let above = |p: &(f64, f64, f64)| p.1 > line.intercept + line.slope * p.0;
    1 + points.windows(2).filter(|pair| above(&pair[0]) != above(&pair[1])).count()
}

/// Fewer runs than this among `n` residuals of random sign are had by chance in one case of
/// twenty: runs less one are binomial.
pub(super) fn fewest_runs(n: usize) -> usize {
    let changes = n.saturating_sub(1) as f64;
    let fewest = 1.0 + changes / 2.0 - 1.645 * (changes / 4.0).sqrt();
    fewest.max(0.0).ceil() as usize
}

/// Two-sided 95 % quantile of Student's t.
pub(super) fn student_95(freedom: usize) -> f64 {
    const FEW: [f64; 10] = [12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23];
    match freedom {
        0 => FEW[0],
        f if f <= FEW.len() => FEW[f - 1],
        f => 1.96 + 2.5 / f as f64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_found_and_its_runs_counted() {
        let points: Vec<_> = (0..10)
            .map(|i| (f64::from(i), 3.0 + 2.0 * f64::from(i) + 0.1 * f64::from(i % 2), 1.0))
            .collect();
        let fit = line(&points).unwrap();
        assert!((fit.slope - 2.0).abs() < 0.02 && (fit.intercept - 3.05).abs() < 0.1);
        assert_eq!(sign_runs(&points, &fit), 10);
        assert!(line(&points[..2]).is_none());
    }

    #[test]
    fn few_runs_are_suspicious() {
        assert_eq!(fewest_runs(64), 26);
        assert!(fewest_runs(6) <= 2);
    }
}
