//! The anchor: the item that was measured first is measured again every few blocks. Nothing about it changed, so what
//! changed is the machine.

use super::cases;
use super::plan::Item;
use super::timing::{Player, Rounds, time};
use crate::bench::Ended;
use crate::bench::record::Case;
use crate::bench::report::Report;
use crate::bench::statistics::mean;
use crate::bench::trust::{ANCHOR, ANCHOR_RATIO};

/// After so many blocks it is measured again.
const EVERY: u32 = 3;
pub(super) const ROUNDS: Rounds = Rounds { wanted: 2, within: None };

/// How often it is measured again beside so many blocks.
pub fn times(blocks: u32) -> u32 {
    // See [`Anchor::look`]: after each few blocks but the last, and at the end.
    if blocks < 2 { 0 } else { (blocks - 1).div_ceil(EVERY).max(1) }
}

/// What is measured again, for a model.
pub struct Anchor {
    item: Option<Item>,
    base: Case,
    blocks: u32,
}

impl Anchor {
    /// The item is only the first of several if something else is measured after it.
    pub fn new(item: Option<Item>, base: &Case, report: &Report) -> Self {
        let is_there = report.run().cases.iter().any(|case| case.model_filename == base.model_filename);
        // A run that is gone on with looks at once, or as soon as it can.
        Self { item, base: base.clone(), blocks: if is_there { EVERY } else { 0 } }
    }

    /// A block was measured: it may be time. The last one is followed by the end, unless it was the only one.
    ///
    /// # Errors
    /// If it was stopped, the model fails or a record cannot be written.
    pub fn look(&mut self, player: &mut impl Player, is_last: bool, report: &Report) -> Result<(), Ended> {
        self.blocks += 1;
        if self.blocks > EVERY || (is_last && self.blocks > 1) {
            self.blocks = 1;
            self.look_now(player, report)?;
        }
        Ok(())
    }

    /// Measures it again, if it was measured.
    ///
    /// # Errors
    /// As [`Self::look`].
    pub fn look_now(&self, player: &mut impl Player, report: &Report) -> Result<(), Ended> {
        let Some(item) = &self.item else { return Ok(()) };
        let Some(first) = self.first(item, report) else { return Ok(()) };
        let tell = |_: &_, _: &_, _, _| report.progress("measuring again what was measured first");
        let samples = time(player, std::slice::from_ref(item), ROUNDS, &tell)?;
        let speeds = samples.first().map(|samples| match item.written {
            0 => samples.prefill.clone(),
            _ => samples.decode.clone(),
        });
        let speeds = speeds.unwrap_or_default();
        let ratio = mean(&speeds) / first;
        let number = 1 + report.run().cases.iter().filter(|case| self.is_mine(case) && case.test == ANCHOR).count();
        let mut rest = self.base.rest.clone();
        rest.insert(ANCHOR_RATIO.into(), ratio.into());
        let case = Case {
            key: format!("{}: {ANCHOR} {number}", self.base.model()),
            test: ANCHOR.into(),
            n_gen: item.written,
            n_prompt: if item.written > 0 { 0 } else { item.prompt },
            n_depth: item.answer_depth(),
            avg_ts: Some(mean(&speeds)),
            samples_ts: speeds,
            rest,
            ..self.base.clone()
        };
        Ok(report.add(case)?)
    }

    /// Its speed as it was measured first: that of the answer, if there is one.
    fn first(&self, item: &Item, report: &Report) -> Option<f64> {
        let (prompt, answer) = cases::tests(item);
        let key = cases::key(&self.base, item, &answer.or(prompt)?);
        report.run().cases.iter().find(|case| case.key == key)?.avg_ts.filter(|speed| *speed > 0.0)
    }

    fn is_mine(&self, case: &Case) -> bool {
        case.model_filename == self.base.model_filename
    }
}
