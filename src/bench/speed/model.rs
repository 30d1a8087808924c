//! A real model as something that is timed.

use std::time::Instant;

use super::cases;
use super::plan::Item;
use super::timing::{Player, Samples};
use crate::bench::energy::Sampler;
use crate::bench::live::Event;
use crate::bench::peers::Peers;
use crate::bench::report::Report;
use crate::engine::KvTypes;
use crate::engine::lab::{Kept, Lab, LabError, Rig, Token};
use crate::hardware::cores::Crews;
use crate::hardware::paging::Paging;

/// A context, the text that it reads, and a meter beside it.
pub struct Model<'a, 'lab> {
    rig: Rig<'lab>,
    /// Enough for what is deepest.
    tokens: Vec<Token>,
    /// Who computes where nobody is named.
    usual: Crews,
    sampler: Option<&'a Sampler>,
    report: &'a Report,
    /// The deepest beginning that was needed so far, in tokens and as it was computed.
    beginning: Option<(u32, Kept)>,
    position: usize,
    crews: Crews,
    /// Other programs that are measured in turn with it.
    peers: Option<Peers>,
}

impl<'a, 'lab> Model<'a, 'lab> {
    /// A model with an empty context in which all of the tokens have room.
    ///
    /// # Errors
    /// If there is not enough memory.
    pub fn new(
        lab: &'lab Lab,
        tokens: Vec<Token>,
        sampler: Option<&'a Sampler>,
        report: &'a Report,
    ) -> Result<Self, LabError> {
        let rig = lab.rig(u32::try_from(tokens.len()).unwrap_or(u32::MAX), KvTypes::default())?;
        let usual = lab.crews();
        Ok(Self { rig, tokens, usual, sampler, report, beginning: None, position: 0, crews: usual, peers: None })
    }
}

impl Model<'_, '_> {
    /// From now on these are measured in turn with it; gives those that were before.
    pub fn take_turns_with(&mut self, peers: Option<Peers>) -> Option<Peers> {
        std::mem::replace(&mut self.peers, peers)
    }
}

impl Player for Model<'_, '_> {
    fn begin(&mut self, item: &Item) -> Result<(), LabError> {
        let crews = item.crews.unwrap_or(self.usual);
        if crews != self.crews {
            self.rig.set_crews(crews);
            self.crews = crews;
        }
        self.position = item.depth as usize;
        match &self.beginning {
            _ if item.depth == 0 => self.rig.fill(&[], &|_| {}),
            Some((depth, kept)) if *depth == item.depth => self.rig.put_back(kept),
            beginning => {
                if let Some((_, kept)) = beginning {
                    self.rig.put_back(kept)?;
                }
                let depth = item.depth;
                let tell = |done| self.report.progress(&format!("depth {depth}: computing, {done} tokens"));
                self.rig.fill(&self.tokens[..self.position], &tell)?;
                self.beginning = Some((depth, self.rig.keep()?));
                Ok(())
            }
        }
    }

    fn compute(&mut self, tokens: u32) -> Result<(), LabError> {
        let behind = self.position + tokens as usize;
        for part in self.tokens[self.position..behind].chunks(self.rig.most_at_once()) {
            self.rig.go_on(part)?;
        }
        self.position = behind;
        if tokens == 1 {
            self.report.wrote();
        }
        Ok(())
    }

    fn now(&self) -> Instant {
        Instant::now()
    }

    fn joules(&self, from: Instant, to: Instant) -> Option<f64> {
        self.sampler?.joules(from, to)
    }

    fn major_faults(&self) -> Option<u64> {
        Paging::read().map(|paging| paging.major_faults)
    }

    fn timed(&self, item: &Item, samples: &Samples, counts: bool) {
        let (prompt, answer) = cases::called(item);
        let prompt = prompt.zip(samples.prefill.last().copied());
        let speeds = prompt.into_iter().chain(answer.zip(samples.decode.last().copied())).collect();
        self.report.show(Event::Timed { speeds, counts });
    }

    fn others(&mut self, round: u32, is_before: bool) -> Result<(), LabError> {
        let Some(peers) = self.peers.as_mut().filter(|peers| !peers.is_empty()) else { return Ok(()) };
        if Peers::are_first_in(round) != is_before {
            return Ok(());
        }
        self.report.progress(&format!("round {round}: {}", peers.names()));
        let mut notes = Vec::new();
        let done = peers.round(round, &mut notes);
        notes.iter().for_each(|note| self.report.note(note));
        done.map_err(|_| LabError::Cancelled)
    }
}
