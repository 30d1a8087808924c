//! How important tokens are, when no question has said so: pure functions over what the cache holds.

use std::collections::HashMap;

use crate::engine::llama::{State, Token};

/// Of the layers, the last quarter: what a token has come to mean is in those.
const LATE_LAYERS: u32 = 4;
/// How much rarity counts beside values.
const RARITY_WEIGHT: f32 = 0.5;

/// How unlike the others each token in a cell is: its values, where they can be read, and how rare it is.
///
/// KeyDiff (arXiv 2504.15364) takes the keys of all layers. Of 60 facts hidden in ten texts of 1,500 to 3,500 tokens,
/// this keeps on Qwen2.5 0.5B 53 in a quarter of the cells and 44 in an eighth; on SmolLM2 135M 49 and 38 of 54. Of 48
/// on Qwen, values of all layers alone keep 41 and 31, the surprise of the model 36 and 25, keys with rarity 33 and 19,
/// keys alone 28 and 19.
pub fn peculiarity(tokens: &[Token], state: Option<&State<'_>>, kv_heads: usize) -> Vec<f32> {
    let rarity = standardized(&rarity(tokens));
    let difference = state.and_then(|state| value_difference(state, kv_heads));
    match difference.filter(|difference| difference.len() == tokens.len()) {
        Some(difference) => {
            let parts = standardized(&difference).into_iter().zip(rarity);
            parts.map(|(difference, rarity)| difference + RARITY_WEIGHT * rarity).collect()
        }
        None => rarity,
    }
}

/// Minus the cosine between each cell's value and the mean of all normalised values, summed over KV heads and the last
/// layers. `None` if the state cannot be read.
fn value_difference(state: &State<'_>, kv_heads: usize) -> Option<Vec<f32>> {
    let cells = state.positions().len();
    let mut scores = vec![0.0; cells];
    state.for_each_late_layer(LATE_LAYERS, |values| {
        let row = values.len() / cells.max(1);
        let heads = if kv_heads > 0 && row.is_multiple_of(kv_heads) { kv_heads } else { 1 };
        add_differences(values, row, row / heads, &mut scores);
    })?;
    Some(scores)
}

fn add_differences(values: &[f32], row: usize, head: usize, scores: &mut [f32]) {
    if head == 0 {
        return;
    }
    let norm = |value: &[f32]| value.iter().map(|number| number * number).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
    for first in (0..row).step_by(head) {
        let value = |cell: usize| &values[cell * row + first..cell * row + first + head];
        let mut mean = vec![0.0; head];
        for cell in 0..scores.len() {
            let factor = 1.0 / norm(value(cell));
            mean.iter_mut().zip(value(cell)).for_each(|(mean, number)| *mean += number * factor);
        }
        let mean_norm = norm(&mean);
        for (cell, score) in scores.iter_mut().enumerate() {
            let product: f32 = mean.iter().zip(value(cell)).map(|(mean, number)| mean * number).sum();
            *score -= product / (mean_norm * norm(value(cell)));
        }
    }
}

/// How rare each token is among these, in nats: `ln(all / times)`. What a text says once is what cannot be guessed.
fn rarity(tokens: &[Token]) -> Vec<f32> {
    let mut times: HashMap<Token, u32> = HashMap::new();
    for token in tokens {
        *times.entry(*token).or_default() += 1;
    }
    tokens.iter().map(|token| (tokens.len() as f32 / times[token] as f32).ln()).collect()
}

/// The same scores with mean 0 and standard deviation 1, so that different ones can be added.
fn standardized(scores: &[f32]) -> Vec<f32> {
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
    fn the_value_unlike_the_others_scores_highest() {
        let values = [1.0, 0.0, 1.0, 0.1, 0.0, 1.0, 1.0, 0.0];
        let mut scores = vec![0.0; 4];
        add_differences(&values, 2, 2, &mut scores);
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

    /// How unlike the others each value is, one head after the other, worked out the long way.
    fn expected(values: &[[f32; 4]], heads: usize) -> Vec<f32> {
        let length = 4 / heads;
        let normalised = |head: &[f32]| {
            let norm = head.iter().map(|number| number * number).sum::<f32>().sqrt();
            head.iter().map(|number| number / norm).collect::<Vec<f32>>()
        };
        let mut scores = vec![0.0; values.len()];
        for head in 0..heads {
            let part: Vec<Vec<f32>> =
                values.iter().map(|value| normalised(&value[head * length..(head + 1) * length])).collect();
            let sum: Vec<f32> = (0..length).map(|at| part.iter().map(|value| value[at]).sum()).collect();
            let mean = normalised(&sum);
            for (score, value) in scores.iter_mut().zip(&part) {
                *score -= value.iter().zip(&mean).map(|(one, other)| one * other).sum::<f32>();
            }
        }
        scores
    }

    /// A cache of two layers with these values in f32, as llama.cpp hands it out.
    fn state(values: &[[f32; 4]]) -> Vec<u8> {
        let mut bytes: Vec<u8> = [1, values.len() as u32].into_iter().flat_map(u32::to_le_bytes).collect();
        for position in 0..values.len() as u32 {
            bytes.extend([position, 1, 0].into_iter().flat_map(u32::to_le_bytes));
        }
        bytes.extend([0_u32, 2, 0, 0].into_iter().flat_map(u32::to_le_bytes));
        for layer in 0..4 {
            bytes.extend(0_u32.to_le_bytes());
            bytes.extend(16_u64.to_le_bytes());
            let numbers = values.iter().flatten().map(|number| if layer == 3 { *number } else { 1.0 });
            bytes.extend(numbers.flat_map(f32::to_le_bytes));
        }
        bytes
    }

    #[test]
    fn what_is_peculiar_is_unlike_the_others_by_head_and_half_as_much_rare() {
        let values = [[1.0, 0.5, 3.0, 0.1], [0.9, 0.6, 2.0, -0.4], [-1.0, 2.0, 1.0, 1.0], [0.2, 0.7, 5.0, 0.3]];
        let bytes = state(&values);
        let state = State::read(&bytes).unwrap();
        let tokens = [5, 5, 6, 5];
        let standard_rarity = standardized(&rarity(&tokens));
        for (kv_heads, heads) in [(2, 2), (1, 1), (0, 1), (3, 1)] {
            let found = peculiarity(&tokens, Some(&state), kv_heads);
            let expected = standardized(&expected(&values, heads)).into_iter().zip(&standard_rarity);
            for (found, (difference, rarity)) in found.into_iter().zip(expected) {
                assert!((found - (difference + rarity / 2.0)).abs() < 1e-4, "{kv_heads} heads: {found}");
            }
        }
        assert_eq!(peculiarity(&tokens, None, 2), standard_rarity);
        assert_eq!(peculiarity(&tokens[..3], Some(&state), 2), standardized(&rarity(&tokens[..3])), "of another cache");
    }
}
