//! A prompt and an answer, timed step by step: the parts in which the prompt is computed, and each token of the answer.
//! Beside each step a [`Reference`] is timed, so that it is known how fast the machine was at that moment.

use std::time::Instant;

use crate::bench::statistics::{faster_half, percentile};
use crate::engine::KvTypes;
use crate::engine::lab::{Lab, LabError, Rig, Token};
use crate::models::fit::Timed;

/// Tokens before the one that is timed for reference.
const BEGINNING: usize = 8;
/// How often the reference is timed beside a part of a prompt, and beside a token.
const BESIDE_PART: usize = 4;
const BESIDE_TOKEN: usize = 1;
/// The part of all times of the reference that count as undisturbed.
const UNDISTURBED: f64 = 0.1;

/// One token behind a few, always the same.
pub struct Reference<'lab> {
    rig: Rig<'lab>,
    beginning: Vec<Token>,
    next: Token,
    seconds: Vec<f64>,
}

impl<'lab> Reference<'lab> {
    /// With these tokens, of which there must be a few.
    ///
    /// # Errors
    /// If there is no memory for a second KV cache, or the model fails.
    pub fn new(lab: &'lab Lab, tokens: &[Token]) -> Result<Self, LabError> {
        let cells = BEGINNING as u32 + 1;
        let mut rig = lab.rig(cells, KvTypes::default())?;
        let beginning = tokens[..BEGINNING].to_vec();
        rig.fill(&beginning, &|_| {})?;
        Ok(Self { rig, beginning, next: tokens[BEGINNING], seconds: Vec::new() })
    }

    /// Seconds that it takes now.
    fn time(&mut self, times: usize) -> Result<f64, LabError> {
        let mut all = Vec::with_capacity(times);
        for _ in 0..times {
            self.rig.fill(&self.beginning, &|_| {})?;
            let started = Instant::now();
            self.rig.go_on(&[self.next])?;
            all.push(started.elapsed().as_secs_f64());
        }
        self.seconds.extend(&all);
        Ok(faster_half(&all))
    }

    /// Seconds that it took when nothing interfered.
    pub fn undisturbed(&self) -> Option<f64> {
        percentile(&self.seconds, UNDISTURBED)
    }
}

/// One time through: what each step took, in seconds and in times of the reference beside it.
#[derive(Clone, Debug, PartialEq)]
pub struct Steps {
    of_prompt: Vec<f64>,
    of_answer: Vec<f64>,
    seconds: f64,
}

impl Steps {
    /// Computes so many tokens as a prompt and as many more, one by one, as an answer.
    ///
    /// # Errors
    /// If it was stopped, or the model fails.
    pub fn time(
        rig: &mut Rig<'_>,
        reference: &mut Reference<'_>,
        tokens: &[Token],
        prompt: u32,
        written: u32,
    ) -> Result<Self, LabError> {
        let (text, answer) = tokens[..(prompt + written) as usize].split_at(prompt as usize);
        let mut seconds = 0.0;
        let mut steps = |rig: &mut Rig<'_>, parts: std::slice::Chunks<'_, Token>, times: usize| {
            let mut before = reference.time(times)?;
            let mut steps = Vec::with_capacity(parts.len());
            for part in parts {
                let started = Instant::now();
                rig.go_on(part)?;
                let took = started.elapsed().as_secs_f64();
                let after = reference.time(times)?;
                steps.push(took / f64::midpoint(before, after));
                (before, seconds) = (after, seconds + took);
            }
            Ok::<_, LabError>(steps)
        };
        rig.fill(&[], &|_| {})?;
        let of_prompt = steps(rig, text.chunks(rig.most_at_once()), BESIDE_PART)?;
        let of_answer = steps(rig, answer.chunks(1), BESIDE_TOKEN)?;
        Ok(Self { of_prompt, of_answer, seconds })
    }
}

/// What a prompt and an answer of so many tokens take while the reference takes so many seconds: of each step the median
/// of all times through, and these summed.
pub fn undisturbed(runs: &[Steps], reference: f64, prompt: u32, written: u32) -> Option<Timed> {
    let first = runs.first()?;
    let sum = |steps: fn(&Steps) -> &Vec<f64>| -> Option<f64> {
        let of_step = |step| -> Option<f64> {
            let all = runs.iter().map(|run| steps(run).get(step).copied()).collect::<Option<Vec<f64>>>()?;
            percentile(&all, 0.5)
        };
        Some((0..steps(first).len()).map(of_step).sum::<Option<f64>>()? * reference)
    };
    Some(Timed {
        prompt,
        written,
        prompt_seconds: sum(|run| &run.of_prompt)?,
        written_seconds: sum(|run| &run.of_answer)?,
    })
}

/// Seconds that the middle one of all times through took, with whatever interfered.
pub fn median(runs: &[Steps]) -> Option<f64> {
    percentile(&runs.iter().map(|run| run.seconds).collect::<Vec<_>>(), 0.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_count_in_times_of_the_reference_and_a_hiccup_does_not_count() {
        let run = |of_prompt: &[f64], of_answer: &[f64], seconds| Steps {
            of_prompt: of_prompt.into(),
            of_answer: of_answer.into(),
            seconds,
        };
        let runs = [
            run(&[9.0, 2.0], &[1.0, 1.0, 9.0], 3.0),
            run(&[4.0, 9.0], &[9.0, 1.0, 1.0], 9.0),
            run(&[4.0, 2.0], &[1.0, 9.0, 1.0], 1.0),
        ];
        let timed = Timed { prompt: 8, written: 3, prompt_seconds: 0.6, written_seconds: 0.3 };
        let found = undisturbed(&runs, 0.1, 8, 3).unwrap();
        assert!((found.prompt_seconds - timed.prompt_seconds).abs() < 1e-12, "{found:?}");
        assert!((found.written_seconds - timed.written_seconds).abs() < 1e-12, "{found:?}");
        assert_eq!((found.prompt, found.written, median(&runs)), (8, 3, Some(3.0)));
    }

    #[test]
    fn nothing_timed_is_nothing() {
        assert_eq!((undisturbed(&[], 0.1, 8, 4), median(&[])), (None, None));
    }
}
