//! Medians, spreads, and ratios of what was measured in the same round.

/// The middle and the ends of some samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// The middle one, or the mean of the two in the middle.
    pub median: f64,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
}

/// The summary of samples; none of no samples.
pub fn summary(samples: &[f64]) -> Option<Summary> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (min, max) = (*sorted.first()?, *sorted.last()?);
    let middle = sorted.len() / 2;
    let median = if sorted.len() % 2 == 1 {
        sorted[middle]
    } else {
        f64::midpoint(sorted[middle - 1], sorted[middle])
    };
    Some(Summary { median, min, max })
}

/// The summary of the ratios of samples to those of a reference, round by round: what slowed the whole machine down
/// in a round slowed both down. When one of them lacks rounds, the medians alone are compared.
pub fn ratio(samples: &[f64], reference: &[f64]) -> Option<Summary> {
    if samples.len() == reference.len() {
        let ratios: Vec<f64> = samples.iter().zip(reference).map(|(one, other)| one / other).collect();
        return summary(&ratios);
    }
    let median = summary(samples)?.median / summary(reference)?.median;
    Some(Summary { median, min: median, max: median })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_sample() {
        assert_eq!(summary(&[3.0, 1.0, 2.0]), Some(Summary { median: 2.0, min: 1.0, max: 3.0 }));
        assert_eq!(summary(&[4.0, 1.0, 2.0, 3.0]), Some(Summary { median: 2.5, min: 1.0, max: 4.0 }));
        assert_eq!(summary(&[7.0]), Some(Summary { median: 7.0, min: 7.0, max: 7.0 }));
        assert_eq!(summary(&[]), None);
    }

    #[test]
    fn a_round_that_was_slow_for_both_does_not_change_the_ratio() {
        let ratio = ratio(&[2.0, 20.0, 2.2], &[1.0, 10.0, 1.0]);
        assert_eq!(ratio, Some(Summary { median: 2.0, min: 2.0, max: 2.2 }));
    }

    #[test]
    fn without_the_same_rounds_the_medians_are_compared() {
        assert_eq!(ratio(&[2.0, 4.0, 6.0], &[2.0]), Some(Summary { median: 2.0, min: 2.0, max: 2.0 }));
        assert_eq!(ratio(&[2.0], &[]), None);
    }
}
