//! How fast this machine reads its memory: what bounds the speed of answers, for which every weight is read once a token.

use std::hint::black_box;
use std::thread;
use std::time::Instant;

/// Bytes that all threads together read in a round: more than the caches of processors that people chat on.
const BYTES: usize = 256 << 20;
const ROUNDS: usize = 5;
const WORD: usize = size_of::<u64>();

/// Bytes per second that so many threads read from memory, the best of five rounds. Takes a quarter of a GiB and a second
/// or less; `None` where the system has no room or no threads for that.
pub fn measure(threads: usize) -> Option<f64> {
    let mut words: Vec<u64> = Vec::new();
    words.try_reserve_exact(BYTES / WORD).ok()?;
    // Other than zeros, which the system would share among all pages.
    words.extend((0..(BYTES / WORD) as u64).map(|word| word | 1));
    let share = words.len().div_ceil(threads.max(1));
    let rounds = (0..ROUNDS).map(|_| {
        let started = Instant::now();
        thread::scope(|scope| {
            let parts: Vec<_> = words.chunks(share).map(|part| scope.spawn(move || sum(part))).collect();
            parts.into_iter().for_each(|part| drop(black_box(part.join())));
        });
        BYTES as f64 / started.elapsed().as_secs_f64()
    });
    rounds.max_by(f64::total_cmp)
}

fn sum(words: &[u64]) -> u64 {
    words.iter().fold(0, |sum, word| sum.wrapping_add(*word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_at_a_speed_that_memories_have() {
        let speed = measure(2).unwrap();
        assert!((1e8..1e13).contains(&speed), "{speed}");
    }
}
