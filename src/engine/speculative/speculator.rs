//! What a session knows of drafting: who drafts, what was learned, and what is drafted in the answer under way.

use std::time::Instant;

use super::{Book, Bursts, Controller, Draft, DraftModel, Drafter, Ngrams, Run, TimesFile};
use crate::chat::{DraftedBy, NotDrafted, Speculation};
use crate::engine::llama::Token;
use crate::engine::protocol::{Asked, CancelFlag, GenerateOptions, Speculate, SpeculationOptions};

/// Most drafted tokens in a step, unless it is said otherwise. Each row of logits takes memory.
const MOST_DRAFTED: u32 = 31;

/// Drafts for the answers of a session.
#[derive(Debug)]
pub struct Speculator<'model> {
    options: SpeculationOptions,
    /// The model's cache can give tokens back.
    can_take_back: bool,
    /// Those who look up in the text.
    lookups: Vec<Box<dyn Drafter>>,
    model: Option<(DraftModel<'model>, Bursts)>,
    controller: Controller,
    run: Run,
    /// Who drafted in this answer.
    by: Option<DraftedBy>,
    /// Seconds that the draft of the step under way has taken.
    drafting: f64,
    /// Where the times of steps are kept, if they are.
    times: Option<TimesFile>,
    /// Steps may be timed while nobody waits.
    times_steps: bool,
    /// Guesses were found to save no time here: only who insists has them.
    is_left_out: bool,
}

impl<'model> Speculator<'model> {
    pub fn new(on_gpu: bool, model: Option<DraftModel<'model>>) -> Self {
        Self {
            options: SpeculationOptions::default(),
            can_take_back: true,
            lookups: vec![Box::new(Ngrams::default())],
            model: model.map(|model| (Bursts::new(model.size), model)).map(|(bursts, model)| (model, bursts)),
            controller: Controller::new(on_gpu),
            run: Run::default(),
            by: None,
            drafting: 0.0,
            times: None,
            times_steps: true,
            is_left_out: false,
        }
    }

    /// Nothing is drafted from now on unless somebody insists.
    pub fn leave_out(&mut self) {
        self.is_left_out = true;
    }

    /// Begins with the times that are kept there, and keeps there what is measured.
    pub fn keep_times(&mut self, file: TimesFile) {
        self.controller.costs.recall(&file.recall());
        self.times = Some(file);
    }

    /// Nothing that is measured from here on is kept, and nothing is timed any more.
    pub fn keep_no_times(&mut self) {
        self.times = None;
        self.times_steps = false;
    }

    pub fn keeps_times(&self) -> bool {
        self.times.is_some()
    }

    /// Writes the times of steps, where they are kept and have changed.
    pub fn write_times(&self) {
        if let Some(file) = &self.times
            && file.remember(&self.controller.costs)
        {
            tracing::debug!(times = ?self.controller.costs.times(), "kept the times of steps");
        }
    }

    /// How many tokens at once, up to `most`, are to be timed next while nobody waits; none if nothing is drafted anyway.
    pub fn size_to_time(&self, cells: usize, most: usize, seconds: f64) -> Option<usize> {
        (self.drafts() && self.times_steps).then(|| self.controller.costs.to_time(cells, most, seconds)).flatten()
    }

    /// So many tokens at once took so long, and a single one as long as that.
    pub fn timed(&mut self, tokens: usize, cells: usize, plain: f64, seconds: f64) {
        self.controller.costs.timed(tokens, cells, seconds / plain.max(f64::MIN_POSITIVE));
    }

    /// An answer begins behind this text.
    pub fn begin(&mut self, options: &GenerateOptions, text: &[Token], can_take_back: bool) {
        self.options = options.speculation;
        self.can_take_back = can_take_back;
        self.run = Run::default();
        self.by = None;
        self.controller.begin();
        if self.drafts() {
            self.lookups.iter_mut().for_each(|drafter| drafter.begin(text));
            if let Some((model, _)) = &mut self.model {
                model.begin(text);
                model.draw_by(&options.sampling, options.speculation.fuzzy > 0.0);
            }
        }
    }

    fn drafts(&self) -> bool {
        self.can_take_back && self.options.by != Speculate::Off && !self.is_tuned_off()
    }

    fn is_tuned_off(&self) -> bool {
        self.is_left_out && self.options.by == Speculate::Auto
    }

    pub fn run(&self) -> &Run {
        &self.run
    }

    /// How far an answer may be from what the model would say; 0 for not at all.
    pub fn fuzzy(&self) -> f32 {
        self.options.fuzzy
    }

    /// The answer goes on with this token; `true` if it was computed already.
    pub fn follow(&mut self, token: Token) -> bool {
        if !self.drafts() {
            return false;
        }
        if let Some((guess, ground)) = self.run.guess() {
            self.controller.chosen(ground, guess == token);
        }
        self.lookups.iter_mut().for_each(|drafter| drafter.push(token));
        if let Some((model, _)) = &mut self.model {
            model.push(token);
        }
        self.run.follow(token)
    }

    /// What is known of the run is all that will be: so many cells are in use.
    pub fn end_run(&mut self, cells: usize) {
        let before = *self.controller.book();
        self.controller.settle(&self.run, cells);
        if let (Some(DraftedBy::Draft), Some((_, bursts))) = (self.run.drafted_by(), &mut self.model) {
            let worth = self.controller.book().plain_equivalent() - before.plain_equivalent();
            let seconds = self.run.seconds;
            bursts.judged(self.run.chosen(), self.run.computed(), seconds - worth, seconds);
        }
        self.run = Run::default();
    }

    /// What was to be computed was not.
    pub fn forget_run(&mut self) {
        self.run = Run::default();
    }

    /// The tokens to be computed behind the last one, at most so many; none for a plain step. There is nothing to draft
    /// behind the end of an answer.
    pub fn draft(
        &mut self,
        most: usize,
        cells: usize,
        is_end: impl Fn(Token) -> bool,
        cancel: &[&CancelFlag],
    ) -> Vec<Token> {
        self.drafting = 0.0;
        if !self.drafts() {
            return Vec::new();
        }
        let most = most.min(self.options.most.unwrap_or(MOST_DRAFTED) as usize);
        // One is enough to learn from.
        let mut draft = self.look_up(most.max(1), cancel);
        let end = draft.tokens.iter().position(|token| is_end(*token));
        draft.tokens.truncate(end.unwrap_or(usize::MAX));
        let asked = self.options.by.looks_up();
        let insists = asked == Asked::Always;
        let most_looked_up = if asked == Asked::Never { 0 } else { most };
        let computed = self.controller.decide(&draft, most_looked_up, cells, insists);
        self.run = Run::new(draft, computed);
        if computed == 0
            && let Some(draft) = self.ask_model(most, cells, cancel)
        {
            self.run = Run::new(draft, most);
        }
        self.by = match (self.by, self.run.drafted_by()) {
            (Some(one), Some(other)) if one != other => Some(DraftedBy::Both),
            (one, other) => one.or(other),
        };
        self.run.computed_tokens().to_vec()
    }

    /// The guess of those who look up in the text that most speaks for.
    fn look_up(&mut self, most: usize, cancel: &[&CancelFlag]) -> Draft {
        let worth = |draft: &Draft| (!draft.tokens.is_empty(), draft.ground.matched);
        let drafts = self.lookups.iter_mut().map(|drafter| drafter.draft(most, cancel));
        drafts.reduce(|best, next| if worth(&next) > worth(&best) { next } else { best }).unwrap_or_default()
    }

    /// What the draft model guesses, if it is there and is to be asked.
    fn ask_model(&mut self, most: usize, cells: usize, cancel: &[&CancelFlag]) -> Option<Draft> {
        let asked = self.options.by.asks_model();
        let insists = asked == Asked::Always;
        if asked == Asked::Never || (!insists && self.controller.has_lost()) {
            return None;
        }
        let (model, bursts) = self.model.as_mut().filter(|(model, _)| model.has_room(most))?;
        let behind = model.behind();
        let length = bursts.decide(most, behind, &self.controller.costs, cells, insists);
        if length == 0 {
            return None;
        }
        let started = Instant::now();
        let draft = model.draft(length, cancel);
        self.drafting = started.elapsed().as_secs_f64();
        // What it was behind is computed faster, and once.
        let part = draft.tokens.len() as f64 / (draft.tokens.len() as f64 + behind as f64 / 4.0);
        bursts.guessed(draft.tokens.len(), self.drafting * part, self.controller.costs.plain(cells));
        if draft.tokens.is_empty() {
            bursts.judged(0, 0, self.drafting, 0.0);
            return None;
        }
        Some(draft)
    }

    /// The step that was decided on took so long, drafting not counted.
    pub fn stepped(&mut self, cells: usize, seconds: f64, is_typical: bool) {
        let whole = seconds + self.drafting;
        match self.run.computed() {
            0 => self.controller.plain_step(cells, seconds, whole, is_typical),
            drafted => self.controller.drafted_step(drafted, cells, seconds, whole),
        }
        self.run.seconds = whole;
        if let (true, Some((_, bursts))) = (self.run.drafted_by() != Some(DraftedBy::Draft), &mut self.model) {
            bursts.passed(1, whole);
        }
    }

    /// The sizes of steps that were measured, with how much longer than one token they take.
    pub fn step_ratios(&self, cells: usize) -> Vec<(usize, f64)> {
        self.controller.costs.known(cells)
    }

    pub fn calls(&self) -> u32 {
        self.controller.book().calls
    }

    /// What came of it in this answer.
    pub fn told(&self) -> Speculation {
        let book = self.controller.book();
        let Book { verified_calls, drafted, accepted, .. } = *book;
        Speculation {
            drafter: self.by,
            drafted,
            accepted,
            verified_calls,
            spent_ms: book.spent() * 1000.0,
            plain_ms: book.plain_equivalent() * 1000.0,
            fuzzy: if self.drafts() { self.options.fuzzy } else { 0.0 },
            off: self.why_not(),
        }
    }

    fn why_not(&self) -> Option<NotDrafted> {
        let has_no_model = self.options.by == Speculate::Draft && self.model.is_none();
        [
            (self.options.by == Speculate::Off, NotDrafted::TurnedOff),
            (!self.can_take_back, NotDrafted::CannotTakeBack),
            (self.is_tuned_off(), NotDrafted::Tuned),
            (has_no_model, NotDrafted::NoDraftModel),
            (self.options.by == Speculate::Auto && self.controller.has_lost(), NotDrafted::Lost),
            (self.by.is_none(), NotDrafted::Unlikely),
        ]
        .into_iter()
        .find_map(|(is_so, reason)| is_so.then_some(reason))
    }
}

#[cfg(test)]
impl Speculator<'_> {
    pub fn begin_with(&mut self, speculation: SpeculationOptions, text: &[Token], can_take_back: bool) {
        self.begin(&GenerateOptions { speculation, ..GenerateOptions::default() }, text, can_take_back);
    }

    pub fn draft_freely(&mut self, most: usize, cells: usize) -> Vec<Token> {
        self.draft(most, cells, |_| false, &[])
    }
}
