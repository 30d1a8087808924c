//! Mean and spread of samples.

/// The mean, 0 of nothing.
pub fn mean(samples: &[f64]) -> f64 {
    if samples.is_empty() { 0.0 } else { samples.iter().sum::<f64>() / samples.len() as f64 }
}

/// The standard deviation of what the samples were drawn from, as llama-bench gives it; 0 of fewer than two.
pub fn deviation(samples: &[f64]) -> f64 {
    if samples.len() < 2 {
        return 0.0;
    }
    let mean = mean(samples);
    let squares: f64 = samples.iter().map(|sample| (sample - mean).powi(2)).sum();
    (squares / (samples.len() - 1) as f64).sqrt()
}

/// The value that this share of the samples lies below, between the nearest two; `None` of nothing.
pub fn percentile(samples: &[f64], share: f64) -> Option<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = share.clamp(0.0, 1.0) * sorted.len().checked_sub(1)? as f64;
    let (low, high) = (*sorted.get(place.floor() as usize)?, *sorted.get(place.ceil() as usize)?);
    Some(low + (high - low) * place.fract())
}

/// The mean of the faster half of timings, infinite of none. What disturbs a machine only ever makes it slower, so the slower
/// half tells more of that than of what was timed; and the fastest alone may be luck.
pub fn faster_half(seconds: &[f64]) -> f64 {
    let mut sorted = seconds.to_vec();
    sorted.sort_by(f64::total_cmp);
    let half = &sorted[..sorted.len().div_ceil(2)];
    if half.is_empty() { f64::INFINITY } else { mean(half) }
}

/// Student's t for a two-sided interval of 95 %, by degrees of freedom from 1 on.
const T: [f64; 30] = [
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120,
    2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
];
/// The same of the normal distribution, for more.
const Z: f64 = 1.960;

/// A mean and the bounds between which that of all samples there could be lies with a probability of 95 %.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    pub middle: f64,
    /// The standard error of the mean, and its degrees of freedom; `None` of fewer than two samples.
    error: Option<(f64, usize)>,
    /// The values are exponents.
    is_exp: bool,
}

impl Interval {
    pub fn of(samples: &[f64]) -> Self {
        let count = samples.len();
        let error = (count > 1).then(|| (deviation(samples) / (count as f64).sqrt(), count - 1));
        Self { middle: mean(samples), error, is_exp: false }
    }

    /// Around a value whose standard error is known from so many degrees of freedom, if it is.
    pub fn around(middle: f64, error: Option<(f64, usize)>) -> Self {
        Self { middle, error: error.filter(|(_, freedom)| *freedom > 0), is_exp: false }
    }

    /// As wide, around another value.
    pub fn moved_to(self, middle: f64) -> Self {
        Self { middle, ..self }
    }

    /// The mean of several means.
    pub fn mean_of(others: &[Self]) -> Self {
        let middles: Vec<f64> = others.iter().map(|other| other.middle).collect();
        let errors: Option<Vec<(f64, usize)>> = others.iter().map(|other| other.error).collect();
        let error = errors.filter(|errors| !errors.is_empty()).map(|errors| {
            let squares: f64 = errors.iter().map(|(error, _)| error.powi(2)).sum();
            (squares.sqrt() / others.len() as f64, errors.iter().map(|(_, freedom)| freedom).sum())
        });
        Self { middle: mean(&middles), error, is_exp: false }
    }

    /// Of what these values are the logarithms of: the mean becomes the geometric one.
    pub fn exp(self) -> Self {
        Self { middle: self.middle.exp(), is_exp: true, ..self }
    }

    /// `61.4 ± 1.2`: the middle, and how far it may be off with a probability of 95 % where that is known.
    pub fn told(&self, digits: usize) -> String {
        let Some(high) = self.high() else { return format!("{:.digits$}", self.middle) };
        format!("{:.digits$} ± {:.digits$}", self.middle, high - self.middle)
    }

    pub fn low(&self) -> Option<f64> {
        self.bound(-1.0)
    }

    pub fn high(&self) -> Option<f64> {
        self.bound(1.0)
    }

    fn bound(&self, side: f64) -> Option<f64> {
        let (error, freedom) = self.error?;
        let width = side * error * T.get(freedom - 1).copied().unwrap_or(Z);
        Some(if self.is_exp { self.middle * width.exp() } else { self.middle + width })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_lies_between_the_samples() {
        let samples = [4.0, 1.0, 3.0, 2.0, 5.0];
        assert_eq!([0.0, 0.5, 0.625, 1.0].map(|share| percentile(&samples, share).unwrap()), [1.0, 3.0, 3.5, 5.0]);
        assert_eq!(percentile(&[], 0.5), None);
    }

    #[test]
    fn the_faster_half_leaves_hiccups_out() {
        assert_eq!(faster_half(&[1.0, 1.3, 1.0, 1.1]), 1.0);
        assert_eq!((faster_half(&[2.0, 1.0, 9.0]), faster_half(&[])), (1.5, f64::INFINITY));
    }

    #[test]
    fn an_interval_is_that_of_students_t() {
        let close = |one: Option<f64>, other: f64| assert!((one.unwrap() - other).abs() < 1e-3, "{one:?}, not {other}");
        let interval = Interval::of(&[1.0, 2.0, 3.0]);
        close(interval.low(), 2.0 - 4.303 / 3.0_f64.sqrt());
        close(interval.high(), 2.0 + 4.303 / 3.0_f64.sqrt());
        let exponents = Interval::of(&[0.0, 0.2]).exp();
        close(exponents.high(), (0.1 + 0.1 * 12.706_f64).exp());
        assert_eq!((Interval::of(&[5.0]).low(), Interval::of(&[5.0]).middle), (None, 5.0));
        let both = Interval::mean_of(&[interval, interval]);
        close(both.high(), 2.0 + 2.776 / 6.0_f64.sqrt());
        assert_eq!(Interval::mean_of(&[interval, Interval::of(&[1.0])]).low(), None);
    }

    #[test]
    fn mean_and_deviation_are_those_by_hand() {
        let samples = [2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0];
        assert_eq!(mean(&samples), 5.0);
        assert!((deviation(&samples) - (32.0_f64 / 7.0).sqrt()).abs() < 1e-12);
        assert_eq!((mean(&[]), deviation(&[3.0])), (0.0, 0.0));
    }
}
