//! Drawing at random from a seed. The same seed draws the same on every machine and in every version of the program,
//! or figures could not be compared: so the generator is here and fixed.

/// SplitMix64 (Steele, Lea and Flood 2014).
#[derive(Clone, Debug)]
pub struct Draw(u64);

impl Draw {
    /// The draws of one case of a seed; those of another case have nothing to do with them.
    pub fn new(seed: u64, case: u64) -> Self {
        let mut seeds = Self(seed);
        let start = seeds.next();
        let mut cases = Self(start ^ case);
        Self(cases.next())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, 0 if there is none.
    pub fn below(&mut self, end: usize) -> usize {
        // The highest bits of the product: the bias is below 2^-32 for the few thousand values that are asked for.
        let product = u128::from(self.next()) * end as u128;
        (product >> 64) as usize
    }

    /// One of these.
    pub fn one_of<'a, T, const N: usize>(&mut self, items: &'a [T; N]) -> &'a T {
        const { assert!(N > 0) };
        &items[self.below(N)]
    }

    /// Puts these into any order (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shuffling_keeps_all_and_every_order_comes() {
        let mut draw = Draw::new(1, 0);
        let mut orders = std::collections::BTreeSet::new();
        for _ in 0..200 {
            let mut items = [1, 2, 3];
            draw.shuffle(&mut items);
            orders.insert(items);
        }
        assert_eq!(orders.len(), 6);
    }

    #[test]
    fn the_generator_is_the_published_one() {
        // The first values from seed 1234567, as in Vigna's reference code.
        let mut draw = Draw(1_234_567);
        assert_eq!([draw.next(), draw.next()], [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]);
    }

    #[test]
    fn a_case_of_a_seed_always_draws_the_same_and_others_draw_otherwise() {
        let drawn = |seed, case| {
            let mut draw = Draw::new(seed, case);
            [(); 8].map(|()| draw.below(1000))
        };
        assert_eq!(drawn(1, 2), drawn(1, 2));
        assert_ne!(drawn(1, 2), drawn(1, 3));
        assert_ne!(drawn(1, 2), drawn(2, 2));
        assert_ne!(drawn(1, 2), drawn(2, 1));
    }

    #[test]
    fn draws_are_even_and_below_the_end() {
        let mut draw = Draw::new(1, 1);
        let mut counts = [0; 7];
        (0..7000).for_each(|_| counts[draw.below(7)] += 1);
        assert!(counts.iter().all(|count| (900..1100).contains(count)), "{counts:?}");
        assert_eq!(draw.below(0), 0);
    }
}
