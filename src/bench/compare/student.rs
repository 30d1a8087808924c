//! Student's t distribution for degrees of freedom that need not be whole, as Welch's test has them.
//!
//! With t = √f · tan φ the part of the distribution between −t and t is the integral of cosᶠ⁻¹ from 0 to φ as a part of
//! that to π/2, which Simpson's rule finds to more digits than anybody prints.

use std::f64::consts::FRAC_PI_2;

/// Steps of the rule; even.
const STEPS: usize = 4000;
/// More degrees of freedom change nothing that is seen.
const MOST_FREEDOM: f64 = 1e5;
/// Halvings of the range in which a bound is looked for.
const HALVINGS: usize = 60;

/// How probable it is that a value lies farther from 0 than `t`, to either side.
pub fn outside(t: f64, freedom: f64) -> f64 {
    let freedom = freedom.clamp(1.0, MOST_FREEDOM);
    let angle = (t.abs() / freedom.sqrt()).atan();
    (area(angle, FRAC_PI_2, freedom) / area(0.0, FRAC_PI_2, freedom)).clamp(0.0, 1.0)
}

/// The bound that a value lies beyond, to either side, with this probability.
pub fn bound(probability: f64, freedom: f64) -> f64 {
    let freedom = freedom.clamp(1.0, MOST_FREEDOM);
    let (mut low, mut high) = (0.0, FRAC_PI_2);
    for _ in 0..HALVINGS {
        let middle = (low + high) / 2.0;
        let t = freedom.sqrt() * f64::tan(middle);
        if outside(t, freedom) > probability { low = middle } else { high = middle }
    }
    freedom.sqrt() * f64::tan((low + high) / 2.0)
}

/// The integral of cosᶠ⁻¹ between two angles.
fn area(from: f64, to: f64, freedom: f64) -> f64 {
    // Beyond this the function is smaller than the digits of its integral; many steps would lie where it is nothing.
    let to = to.min(12.0 / freedom.sqrt()).max(from);
    let step = (to - from) / STEPS as f64;
    let at = |place: usize| (from + step * place as f64).cos().max(0.0).powf(freedom - 1.0);
    let weight = |place: usize| match place {
        0 | STEPS => 1.0,
        odd if odd % 2 == 1 => 4.0,
        _ => 2.0,
    };
    (0..=STEPS).map(|place| weight(place) * at(place)).sum::<f64>() * step / 3.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distribution_is_that_of_the_tables() {
        // Two-sided 5 % bounds.
        for (freedom, t) in [(1.0, 12.706), (2.0, 4.303), (4.0, 2.776), (8.0, 2.306), (30.0, 2.042), (1e6, 1.960)] {
            assert!((bound(0.05, freedom) - t).abs() < 6e-4, "{freedom}: {}", bound(0.05, freedom));
            assert!((outside(t, freedom) - 0.05).abs() < 1e-4, "{freedom}: {}", outside(t, freedom));
        }
        // 1 % and 0.1 %.
        assert!((bound(0.01, 5.0) - 4.032).abs() < 6e-4 && (bound(0.001, 8.0) - 5.041).abs() < 6e-4);
    }

    #[test]
    fn degrees_between_two_whole_ones_lie_between_them() {
        let (low, middle, high) = (bound(0.05, 4.0), bound(0.05, 4.5), bound(0.05, 5.0));
        assert!(low > middle && middle > high);
    }

    #[test]
    fn nothing_is_certain_and_everything_is_somewhere() {
        assert_eq!(outside(0.0, 3.0), 1.0);
        assert!(outside(1e9, 3.0) < 1e-9 && outside(1e9, 3.0) >= 0.0);
        assert_eq!(outside(f64::INFINITY, 7.0), 0.0);
    }
}
