//! Many prompts answered side by side. What they begin with alike is computed once, as the conversation's sequence, and
//! every item has a sequence of its own that begins in the same cells; what only some of them begin with is computed once
//! beside it ([`beginnings`]). In each step of the model, every answer under way
//! goes on by one token, and what is left of the step is filled with prompts that are to begin.
//!
//! Nothing leaves the cache for an answer. When the cells run out, the item that began last gives its own back and begins
//! anew later, with the tokens that were chosen so far; so an item fails for want of room only if it would do so alone.

mod beginnings;
mod lane;
mod prefix;
mod width;

use std::collections::VecDeque;
use std::time::Instant;

use super::answering::Answering;
use super::llama::{Decoded, Row, Token};
use super::prompt;
use super::protocol::Expected;
use super::protocol::{Batch, CancelFlag, EngineError, Evict, Lanes, Prompt, Step, Think};
use super::session::{Go, Session};
use super::template::Rendered;
use crate::chat::Ended;
use beginnings::Beginning;
use lane::Lane;
use width::Width;

/// The beginning that is shared is looked for in so many items.
const LOOKED_AT: usize = 512;
/// An item begins where there is room for so many tokens of its answer, or all of them if they are fewer.
const ROOM_TO_BEGIN: usize = 128;
/// The shared beginning leaves this part of the cells to the items.
const LEFT_PART: usize = 8;

/// A conversation as the model is to see it.
struct Prepared {
    rendered: Rendered,
    tokens: Vec<Token>,
}

/// An item that has not begun.
struct Waiting {
    item: usize,
    /// `None` until it is looked at.
    prepared: Option<Result<Prepared, EngineError>>,
    /// The sequence that it is going to begin in: the conversation's, or one of the beginnings beside it.
    from: u32,
}

/// Whether there is more to do.
enum Next {
    Step(Vec<Row>),
    Done,
}

impl<'model> Session<'model> {
    /// Answers the items of a batch, saying what happens to each through `emit`. Ends early, without an error, when it is
    /// stopped or nobody listens.
    pub fn batch(
        &mut self,
        batch: &Batch,
        cancel: &[&CancelFlag],
        emit: &dyn Fn(Step) -> bool,
    ) -> Result<(), EngineError> {
        // A chat would be compacted in the middle of it.
        self.eviction.policy = Evict::Off;
        self.go_to(None);
        self.keep(0);
        let mut waiting: VecDeque<Waiting> =
            (0..batch.items.len()).map(|item| Waiting { item, prepared: None, from: 0 }).collect();
        for next in waiting.iter_mut().take(LOOKED_AT) {
            if cancel.iter().any(|flag| flag.is_cancelled()) {
                return Ok(());
            }
            let (prompt, options) = &batch.items[next.item];
            next.prepared = Some(self.prepare(prompt, options.think));
        }
        let prompts = waiting.iter().filter_map(|item| item.prepared.as_ref()?.as_ref().ok());
        let prompts: Vec<&[Token]> = prompts.map(|prepared| &prepared.tokens[..]).collect();
        let mut shared = prefix::shared(&prompts, self.context.can_evict());
        let example = prompts.first().map(|prompt| prompt.to_vec()).unwrap_or_default();
        let most = self.cells() - self.cells() / LEFT_PART;
        if shared.len() > most {
            shared.truncate(if self.context.can_evict() { most } else { 0 });
        }
        if self.prefill(&shared, 0, shared.len(), cancel, emit)? != Go::On {
            return Ok(());
        }
        let Some(Width { lanes, reason }) = self.width(batch.lanes, batch.items.len(), &example, cancel)? else {
            return Ok(());
        };
        let beginnings =
            (self.context.sequences() as usize).saturating_sub(1 + lanes).min(Expected::BEGINNINGS as usize);
        let mut run = Run {
            session: self,
            batch,
            cancel,
            emit,
            shared,
            waiting,
            late: VecDeque::new(),
            paused: VecDeque::new(),
            lanes: Vec::new(),
            free: (1..=lanes as u32).rev().collect(),
            beginnings: Vec::new(),
            free_beginnings: (1..=beginnings as u32).map(|number| lanes as u32 + number).collect(),
        };
        let outcome = run.find_beginnings(emit).and_then(|()| {
            let shared_tokens = run.shared.len() + run.beginnings_cells();
            tracing::info!(lanes, reason, shared_tokens, beginnings = run.beginnings.len(), "answers a batch");
            let told = Lanes { lanes: lanes as u32, shared_tokens: shared_tokens as u32, reason };
            if run.is_stopped() || !emit(Step::Lanes(told)) { Ok(()) } else { run.answer_all() }
        });
        run.clear();
        outcome
    }

    fn prepare(&mut self, prompt: &Prompt, think: Think) -> Result<Prepared, EngineError> {
        let rendered = self.render(prompt, think)?;
        let tokens = prompt::tokenize(self.model, &self.special, self.ledger.known_answers(), &rendered);
        if tokens.is_empty() {
            return Err(EngineError::Failed("there is nothing to answer".into()));
        }
        Ok(Prepared { rendered, tokens })
    }
}

/// A batch under way.
struct Run<'r, 'model> {
    session: &'r mut Session<'model>,
    batch: &'r Batch,
    cancel: &'r [&'r CancelFlag],
    emit: &'r dyn Fn(Step) -> bool,
    /// What the conversation's sequence holds.
    shared: Vec<Token>,
    waiting: VecDeque<Waiting>,
    /// Items that have room only without the shared beginning.
    late: VecDeque<Waiting>,
    /// Items that gave their cells back.
    paused: VecDeque<Lane<'model>>,
    /// In the order in which they began.
    lanes: Vec<Lane<'model>>,
    /// Sequences that nobody uses.
    free: Vec<u32>,
    /// What some of the items begin with, beside what is shared.
    beginnings: Vec<Beginning>,
    /// Sequences for more of them.
    free_beginnings: Vec<u32>,
}

/// What is told of a step that failed.
fn failed(status: i32) -> EngineError {
    EngineError::Failed(format!(
        "the model failed while computing (llama.cpp's status {status}); what is done is done: go on with `--resume`"
    ))
}

impl<'model> Run<'_, 'model> {
    fn answer_all(&mut self) -> Result<(), EngineError> {
        loop {
            self.look_ahead()?;
            let Next::Step(rows) = self.next() else { break };
            if self.is_stopped() {
                return Ok(());
            }
            match self.session.context.decode_rows(&rows, self.cancel) {
                Decoded::Done => self.choose(&rows),
                Decoded::Cancelled => return Ok(()),
                Decoded::Full => self.give_way(),
                Decoded::Failed(status) => return Err(failed(status)),
            }
        }
        Ok(())
    }

    fn is_stopped(&self) -> bool {
        self.cancel.iter().any(|flag| flag.is_cancelled())
    }

    /// Says something of an item.
    fn tell(&self, item: usize, step: Step) -> bool {
        (self.emit)(Step::Item(item, Box::new(step)))
    }

    /// Begins what there is room for, and gives the next step.
    fn next(&mut self) -> Next {
        loop {
            while self.used() > self.session.cells() {
                self.give_way();
            }
            while !self.free.is_empty() && !self.is_stopped() && self.begin_one() {}
            if !self.lanes.is_empty() {
                return Next::Step(self.rows());
            }
            if self.late.is_empty() || self.is_stopped() {
                return Next::Done;
            }
            self.drop_beginnings(|_| true);
            self.shared.clear();
            self.session.keep(0);
            self.waiting = std::mem::take(&mut self.late);
        }
    }

    /// Cells that are needed for what is under way to go on by one token.
    fn used(&self) -> usize {
        self.shared.len() + self.beginnings_cells() + self.lanes.iter().map(Lane::cells).sum::<usize>()
    }

    /// Begins an item, or is done with it otherwise; `false` if none is left or there is no room.
    fn begin_one(&mut self) -> bool {
        let room = self.session.cells().saturating_sub(self.used());
        let Some(&sequence) = self.free.last() else { return false };
        if let Some(lane) = self.paused.front() {
            let is_alone = self.lanes.is_empty();
            if !is_alone && lane.cells() + lane.left().min(ROOM_TO_BEGIN) > room {
                return false;
            }
            if let Some(mut lane) = self.paused.pop_front() {
                lane.restart(sequence);
                self.begin(lane);
            }
            return true;
        }
        let Some(next) = self.waiting.pop_front() else { return false };
        let (item, (prompt, options)) = (next.item, &self.batch.items[next.item]);
        let prepared = match next.prepared.unwrap_or_else(|| self.session.prepare(prompt, options.think)) {
            Ok(prepared) => prepared,
            Err(error) => return self.tell(item, Step::Failed(error)),
        };
        let most = self.most_tokens();
        if prepared.tokens.len() >= most {
            let needed = prepared.tokens.len() as u32 + 1;
            return self.tell(item, Step::Failed(EngineError::ItemTooLong { needed, cells: most as u32 }));
        }
        let (from, common) = self.best(&prepared.tokens);
        let own = prepared.tokens.len() - common;
        let beginning = self.beginnings.iter().find(|beginning| beginning.sequence == from);
        if own + beginning.map_or(0, Beginning::cells) + self.shared.len() >= self.session.cells() {
            self.late.push_back(Waiting { item, prepared: Some(Ok(prepared)), from: 0 });
            self.release(from);
            return true;
        }
        let most_answer = options.max_tokens.unwrap_or(most as u32);
        if !self.lanes.is_empty() && own + (most_answer as usize).min(ROOM_TO_BEGIN) > room {
            self.waiting.push_front(Waiting { item, prepared: Some(Ok(prepared)), from });
            return false;
        }
        let started = Instant::now();
        let tags = self.session.tags();
        let guide = match self.session.guide(prompt, &prepared.rendered, options) {
            Ok(guide) => guide,
            Err(error) => return self.tell(item, Step::Failed(error)),
        };
        let writer = self.session.writer(prompt, &prepared.rendered, options, &tags);
        let answer = Answering::new(self.session.model, options, tags, writer, guide, most_answer, started);
        let mut lane = Lane::new(item, sequence, prepared.tokens, (from, common), answer, started);
        lane.weighed = options.weighed;
        self.begin(lane);
        true
    }

    /// Puts a lane into its sequence, which was free.
    fn begin(&mut self, lane: Lane<'model>) {
        self.free.pop();
        if lane.shared() > 0 {
            self.session.context.share(lane.from, lane.sequence, lane.shared() as u32);
        }
        self.lanes.push(lane);
    }

    /// Tokens that an item may have, its answer's included.
    fn most_tokens(&self) -> usize {
        let (cells, trained) = (self.session.cells(), self.session.model.trained_context() as usize);
        if trained == 0 { cells } else { cells.min(trained) }
    }

    /// The tokens of the next step: first of all answers, then of prompts.
    fn rows(&self) -> Vec<Row> {
        let most = self.session.context.batch_size();
        let mut rows: Vec<Row> = Vec::new();
        for is_writing in [true, false] {
            for lane in self.lanes.iter().filter(|lane| lane.is_writing() == is_writing) {
                rows.extend(lane.rows(most - rows.len()));
            }
        }
        rows
    }

    /// These rows were computed: the answers go on.
    fn choose(&mut self, rows: &[Row]) {
        for row in rows {
            if let Some(lane) = self.lanes.iter_mut().find(|lane| lane.sequence == row.sequence) {
                lane.computed(1);
            }
        }
        let most = self.most_tokens();
        for (index, row) in rows.iter().enumerate().filter(|(_, row)| row.is_asked) {
            let Some(place) = self.lanes.iter().position(|lane| lane.sequence == row.sequence) else { continue };
            let (lane, emit) = (&mut self.lanes[place], self.emit);
            let item = lane.item;
            let chosen = lane.choose(self.session.model, self.session.context.logits_of(index), &|step| {
                emit(Step::Item(item, Box::new(step)))
            });
            match chosen {
                Ok(None) if lane.length() <= most => {}
                Ok(ended) => self.finish(place, ended.unwrap_or(Ended::Length)),
                Err(error) => {
                    let from = self.leave(place).from;
                    self.release(from);
                    self.tell(item, Step::Failed(error));
                }
            }
        }
    }

    fn finish(&mut self, place: usize, ended: Ended) {
        let lane = self.leave(place);
        self.release(lane.from);
        let (item, emit) = (lane.item, self.emit);
        lane.finish(ended, &|step| emit(Step::Item(item, Box::new(step))));
    }

    /// Takes a lane out, and what is in its sequence.
    fn leave(&mut self, place: usize) -> Lane<'model> {
        let lane = self.lanes.remove(place);
        self.session.context.forget(lane.sequence);
        self.free.push(lane.sequence);
        lane
    }

    /// There is no room for all to go on: the one that began last waits. What is alone goes on in the cells of beginnings
    /// that are not its own, or ends.
    fn give_way(&mut self) {
        match self.lanes.len() {
            0 => {}
            1 if self.drop_beginnings(|_| true) => {}
            1 => self.finish(0, Ended::Length),
            count => {
                let lane = self.leave(count - 1);
                self.paused.push_front(lane);
            }
        }
    }

    /// Leaves an empty cache.
    fn clear(&mut self) {
        while !self.lanes.is_empty() {
            self.leave(0);
        }
        self.drop_beginnings(|_| true);
        self.session.keep(0);
    }
}
