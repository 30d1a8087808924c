//! How important tokens are, when no question has said so: pure functions over what the cache holds.

use std::collections::HashMap;

use crate::engine::llama::{State, Token};

/// How unlike the others each cell's keys are: minus the cosine between a key and the mean of all normalised keys, in
/// the mean over KV heads and layers (KeyDiff, arXiv 2504.15364). `None` if the state cannot be read.
pub fn key_difference(state: &State<'_>, kv_heads: usize) -> Option<Vec<f32>> {
    let cells = state.positions().len();
    let mut scores = vec![0.0; cells];
    let mut layers = 0;
    state.for_each_layer(|keys| {
        let row = keys.len() / cells.max(1);
        let heads = if kv_heads > 0 && row.is_multiple_of(kv_heads) { kv_heads } else { 1 };
        add_differences(keys, row, row / heads, &mut scores);
        layers += heads;
    })?;
    scores.iter_mut().for_each(|score| *score /= layers.max(1) as f32);
    Some(scores)
}

fn add_differences(keys: &[f32], row: usize, head: usize, scores: &mut [f32]) {
    if head == 0 {
        return;
    }
    let norm = |key: &[f32]| key.iter().map(|number| number * number).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
    for first in (0..row).step_by(head) {
        let key = |cell: usize| &keys[cell * row + first..cell * row + first + head];
        let mut mean = vec![0.0; head];
        for cell in 0..scores.len() {
            let factor = 1.0 / norm(key(cell));
            mean.iter_mut().zip(key(cell)).for_each(|(mean, number)| *mean += number * factor);
        }
        let mean_norm = norm(&mean);
        for (cell, score) in scores.iter_mut().enumerate() {
            let product: f32 = mean.iter().zip(key(cell)).map(|(mean, number)| mean * number).sum();
            *score -= product / (mean_norm * norm(key(cell)));
        }
    }
}

/// How rare each token is among these, in nats: `ln(all / times)`. What a text says once is what cannot be guessed.
pub fn rarity(tokens: &[Token]) -> Vec<f32> {
    let mut times: HashMap<Token, u32> = HashMap::new();
    for token in tokens {
        *times.entry(*token).or_default() += 1;
    }
    tokens.iter().map(|token| (tokens.len() as f32 / times[token] as f32).ln()).collect()
}

/// The same scores with mean 0 and standard deviation 1, so that different ones can be added.
pub fn standardized(scores: &[f32]) -> Vec<f32> {
    let count = scores.len().max(1) as f32;
    let mean = scores.iter().sum::<f32>() / count;
    let variance = scores.iter().map(|score| (score - mean).powi(2)).sum::<f32>() / count;
    let deviation = variance.sqrt().max(f32::MIN_POSITIVE);
    scores.iter().map(|score| (score - mean) / deviation).collect()
}

/// Which part of all scores is lower, 0 to 1, so that different ones can be compared.
pub fn ranks(scores: &[f32]) -> Vec<f32> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|one, other| scores[*one].total_cmp(&scores[*other]));
    let mut ranks = vec![0.0; scores.len()];
    let most = scores.len().saturating_sub(1).max(1) as f32;
    for (rank, index) in order.into_iter().enumerate() {
        ranks[index] = rank as f32 / most;
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_unlike_the_others_scores_highest() {
        let keys = [1.0, 0.0, 1.0, 0.1, 0.0, 1.0, 1.0, 0.0];
        let mut scores = vec![0.0; 4];
        add_differences(&keys, 2, 2, &mut scores);
        let best = (0..4).max_by(|one, other| scores[*one].total_cmp(&scores[*other]));
        assert_eq!(best, Some(2));
        assert!(scores.iter().all(|score| (-1.0..=1.0).contains(score)));
    }

    #[test]
    fn what_is_said_once_is_rare() {
        let rarity = rarity(&[1, 1, 1, 2]);
        assert!((rarity[3] - 4.0_f32.ln()).abs() < 1e-6 && rarity[0] < rarity[3]);
    }

    #[test]
    fn scores_of_different_scales_become_comparable() {
        let standard = standardized(&[10.0, 20.0, 30.0]);
        assert!((standard[2] - 1.224_745).abs() < 1e-5 && standard[1].abs() < 1e-6);
        assert_eq!(standardized(&[5.0, 5.0]), [0.0, 0.0]);
        assert_eq!(ranks(&[0.3, 100.0, -4.0]), [0.5, 1.0, 0.0]);
        assert_eq!(ranks(&[7.0]), [0.0]);
    }
}
