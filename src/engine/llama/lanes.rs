//! Arithmetic on many numbers at once, in loops that the compiler turns into the processor's vector instructions. Pure.

/// Vectors that are computed with together: a vector register of some processors, or several of others.
pub const LANES: usize = 16;

/// Vectors of one length, so that the same number of all of them lies together.
pub struct Columns {
    row: Vec<f32>,
    numbers: Vec<[f32; LANES]>,
}

impl Columns {
    pub fn new(length: usize) -> Self {
        Self { row: vec![0.0; length], numbers: vec![[0.0; LANES]; length] }
    }

    /// Puts a vector, which `read` writes, into a lane.
    pub fn put(&mut self, lane: usize, read: impl FnOnce(&mut [f32])) {
        read(&mut self.row);
        self.numbers.iter_mut().zip(&self.row).for_each(|(lanes, number)| lanes[lane] = *number);
    }

    /// The products of a vector with all of them.
    pub fn products(&self, query: &[f32]) -> [f32; LANES] {
        // Two sums for each, so that one addition need not wait for the other.
        let mut sums = [[0.0_f32; LANES]; 2];
        let pairs = query.as_chunks::<2>().0.iter().zip(self.numbers.as_chunks::<2>().0);
        for (factors, numbers) in pairs {
            for (sum, (factor, lanes)) in sums.iter_mut().zip(factors.iter().zip(numbers)) {
                sum.iter_mut().zip(lanes).for_each(|(sum, number)| *sum += factor * number);
            }
        }
        let [mut sum, other] = sums;
        sum.iter_mut().zip(other).for_each(|(sum, other)| *sum += other);
        if query.len() % 2 == 1
            && let (Some(factor), Some(lanes)) = (query.last(), self.numbers.last())
        {
            sum.iter_mut().zip(lanes).for_each(|(sum, number)| *sum += factor * number);
        }
        sum
    }
}

/// The greatest number of whole lanes.
pub fn most(row: &[f32]) -> f32 {
    let mut most = [f32::NEG_INFINITY; LANES];
    for lanes in row.as_chunks::<LANES>().0 {
        most.iter_mut().zip(lanes).for_each(|(most, number)| *most = if *number > *most { *number } else { *most });
    }
    most.into_iter().fold(f32::NEG_INFINITY, f32::max)
}

/// The sum of whole lanes.
pub fn total(row: &[f32]) -> f32 {
    let mut sums = [0.0_f32; LANES];
    for lanes in row.as_chunks::<LANES>().0 {
        sums.iter_mut().zip(lanes).for_each(|(sum, number)| *sum += number);
    }
    sums.into_iter().sum()
}

/// The exponential of a number that is not positive, within a ten-thousandth of it, and without a branch.
pub fn exp(number: f32) -> f32 {
    // Smaller ones than 2^-126 count as that.
    let power = (number * std::f32::consts::LOG2_E).max(-126.0);
    let whole = power.floor();
    let part = power - whole;
    // 2^part between 0 and 1, by its Taylor series: ln(2)^n / n!.
    let behind = 0.240_226_5 + part * (0.055_504_1 + part * (0.009_618_1 + part * 0.001_333_4));
    let series = 1.0 + part * (std::f32::consts::LN_2 + part * behind);
    f32::from_bits(((whole + 127.0) as u32) << 23) * series
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponential_is_nearly_exact() {
        for step in 0..100_000 {
            let number = step as f32 * -0.001;
            let (ours, exact) = (exp(number), number.exp());
            assert!((ours - exact).abs() <= 1e-4 * exact + f32::MIN_POSITIVE, "{number}: {ours} {exact}");
        }
        assert!(exp(f32::NEG_INFINITY) < 1e-30);
    }

    #[test]
    fn products_are_those_of_each_vector() {
        for length in [1, 2, 7, 64, 80] {
            let number = |lane: usize| (0..length).map(move |index| (lane * 31 + index * 7) as f32 % 5.0 - 2.0);
            let query: Vec<f32> = (0..length).map(|index| (index as f32 * 0.3).sin()).collect();
            let mut columns = Columns::new(length);
            for lane in 0..LANES {
                columns.put(lane, |row| row.iter_mut().zip(number(lane)).for_each(|(row, number)| *row = number));
            }
            for (lane, product) in columns.products(&query).into_iter().enumerate() {
                let plain: f32 = number(lane).zip(&query).map(|(one, other)| one * other).sum();
                assert!((product - plain).abs() < 1e-4, "{product} {plain}");
            }
        }
    }
}
