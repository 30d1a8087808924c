//! How many answers are computed side by side: as many as pay on this machine, by how long a step of so many tokens takes
//! against one. Where that is not known, it is timed.

use crate::engine::llama::Token;
use crate::engine::protocol::{CancelFlag, EngineError, Expected};
use crate::engine::session::{Go, Session};

/// Numbers that are compared. What lies between is no better on any machine that was seen: kernels take four rows at once.
const CANDIDATES: [usize; 5] = [2, 4, 8, 16, 32];
/// How often each is timed.
const TIMED: usize = 3;
/// Where steps cannot be timed.
const UNTIMED: usize = 8;
/// More answers at once take more cells and come later, so they have to bring more than this part.
const LEAST_GAIN: f64 = 1.05;
/// A text of so many tokens is enough to time steps behind it.
const TIMED_BEHIND: usize = 64;

/// How many, and why.
pub struct Width {
    pub lanes: usize,
    pub reason: String,
}

impl Session<'_> {
    /// How many of so many items are answered at once, with a prompt like these. `None` if it was stopped.
    pub(super) fn width(
        &mut self,
        wanted: Option<u32>,
        items: usize,
        prompt: &[Token],
        cancel: &[&CancelFlag],
    ) -> Result<Option<Width>, EngineError> {
        let most = self.lanes_there_may_be().min(items).max(1);
        if let Some(wanted) = wanted {
            let lanes = (wanted as usize).clamp(1, most);
            let reason = if lanes == wanted as usize { "as asked" } else { "as asked, and as there are items" };
            return Ok(Some(Width { lanes, reason: reason.into() }));
        }
        let untimed = |reason: &str| Width { lanes: UNTIMED.min(most), reason: reason.into() };
        if most == 1 {
            return Ok(Some(untimed("there is one item")));
        }
        if !self.context.can_evict() {
            return Ok(Some(untimed("this model's memory cannot take tokens back, so it was not measured")));
        }
        let is_empty = self.ledger.tokens().is_empty();
        if is_empty && !prompt.is_empty() {
            let some = &prompt[..prompt.len().min(TIMED_BEHIND)];
            if self.extend(some, cancel)? != Go::On {
                self.keep(0);
                return Ok(None);
            }
        }
        let ratios = self.ratios(most, cancel);
        if is_empty {
            self.keep(0);
        }
        Ok(ratios.map(|ratios| match best(&ratios) {
            (1, _) => Width { lanes: 1, reason: "measured: more at once are no faster here".into() },
            (lanes, gain) => {
                Width { lanes, reason: format!("measured: {lanes} at once are {gain:.1} times as fast as one") }
            }
        }))
    }

    /// The sequences that are left of those of the context when beginnings have theirs.
    pub(super) fn lanes_there_may_be(&self) -> usize {
        let sequences = self.context.sequences();
        let of_beginnings = if self.context.can_evict() { Expected::BEGINNINGS } else { 0 };
        match sequences.saturating_sub(1) {
            beside if beside > of_beginnings => (beside - of_beginnings) as usize,
            beside => beside as usize,
        }
    }

    /// How much longer than one so many tokens take, for each number that may be the best. Of what is timed, the fastest
    /// counts: whatever else the machine does makes steps longer, and never shorter.
    fn ratios(&mut self, most: usize, cancel: &[&CancelFlag]) -> Option<Vec<(usize, f64)>> {
        let cells = self.ledger.cells();
        let most = most.min(self.room());
        let known = self.speculator.step_ratios(cells);
        let mut ratios = Vec::new();
        let mut plain = f64::INFINITY;
        let mut timed = Vec::new();
        for size in CANDIDATES.into_iter().filter(|size| *size <= most) {
            if let Some(known) = known.iter().find(|(known, _)| *known == size) {
                ratios.push(*known);
                continue;
            }
            let mut fastest = f64::INFINITY;
            for _ in 0..TIMED {
                let (one, step) = self.time_size(size, cancel)?;
                (plain, fastest) = (plain.min(one), fastest.min(step));
            }
            timed.push((size, fastest));
        }
        for (size, seconds) in timed {
            self.speculator.timed(size, cells, plain, seconds);
            ratios.push((size, seconds / plain.max(f64::MIN_POSITIVE)));
        }
        self.speculator.write_times();
        ratios.sort_unstable_by_key(|(size, _)| *size);
        tracing::debug!(?ratios, "steps of several tokens");
        Some(ratios)
    }
}

/// The number that brings the most, and how many times as fast as one by one it is.
fn best(ratios: &[(usize, f64)]) -> (usize, f64) {
    ratios.iter().fold((1, 1.0), |best, (size, ratio)| {
        let gain = *size as f64 / ratio;
        if gain > best.1 * LEAST_GAIN { (*size, gain) } else { best }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_is_taken_that_brings_the_most() {
        assert_eq!(best(&[(2, 1.9), (4, 2.0), (8, 3.2), (16, 8.0)]), (8, 2.5));
    }

    #[test]
    fn more_at_once_that_bring_hardly_more_are_not_worth_their_cells() {
        assert_eq!(best(&[(2, 1.0), (4, 1.97), (8, 3.9)]), (2, 2.0));
    }

    #[test]
    fn a_machine_that_gains_nothing_answers_one_by_one() {
        assert_eq!(best(&[(2, 2.0), (4, 4.1)]), (1, 1.0));
        assert_eq!(best(&[]), (1, 1.0));
    }
}
