//! Needles in haystacks: facts are hidden in a text, the text's cache is compressed, and the facts are asked for. The
//! text is computed once for every number format; each way of compressing begins from a copy, and each needle is asked for
//! in a conversation of its own.
//!
//! A question is known when it stands behind the text in the same message and is there when cells are given up. It is
//! unknown when it comes in a message of its own afterwards. A budget counts the cells of the conversation before the
//! question; what is recalled, the question and the answer come on top of it. What the budget is not for, the attention
//! sinks and the last words before the question, stays whatever the policy, as in a chat.

use serde::{Deserialize, Serialize};

use super::case::{Haystack, Kind, Needle};
use super::policy::{Budget, Policy};
use super::{Rigs, Settings};
use crate::bench::Ended;
use crate::bench::exact;
use crate::bench::report::Report;
use crate::chat::{Message, Role};
use crate::engine::KvType;
use crate::engine::lab::{Kept, Lab, LabError, Limits, Rig, Token};

/// Of an answer.
const MOST_TOKENS: u32 = 32;
const ANNOUNCEMENT: &str = "I will ask you about this text.";
const ASSENT: &str = "Good. What would you like to know?";

/// A way of asking: a cell of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Setup {
    pub policy: Policy,
    #[serde(rename = "budget_percent")]
    pub budget: Budget,
    pub question: Knowledge,
    /// Whether evicted text is brought back that the question seems to be about.
    pub recall: bool,
}

/// When the question comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Knowledge {
    /// Before cells are given up.
    Known,
    /// Afterwards.
    Unknown,
}

/// What came of a setup.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub exact: u32,
    pub asked: u32,
    /// Bytes of the compressed caches, all cases together.
    pub bytes: u64,
}

/// What came of all setups, in the order of the table.
#[derive(Clone, Debug, Default)]
pub struct Needles {
    tallies: Vec<(Setup, Tally)>,
}

impl Needles {
    pub fn add(&mut self, setup: Setup, exact: u32, asked: u32, bytes: u64) {
        let place = self.tallies.iter().position(|(other, _)| *other == setup);
        let place = place.unwrap_or_else(|| {
            self.tallies.push((setup, Tally::default()));
            self.tallies.len() - 1
        });
        let tally = &mut self.tallies[place].1;
        tally.exact += exact;
        tally.asked += asked;
        tally.bytes += bytes;
    }

    pub fn get(&self, setup: Setup) -> Option<Tally> {
        self.tallies.iter().find(|(other, _)| *other == setup).map(|(_, tally)| *tally)
    }

    /// Whether what left was brought back in some of them.
    pub fn has_recall(&self) -> bool {
        self.tallies.iter().any(|(setup, _)| setup.recall)
    }

    /// The policies with their budgets, in order.
    pub fn rows(&self) -> Vec<(Policy, Budget)> {
        let mut rows = Vec::new();
        for (setup, _) in &self.tallies {
            if !rows.contains(&(setup.policy, setup.budget)) {
                rows.push((setup.policy, setup.budget));
            }
        }
        rows.sort_by_key(|(policy, budget)| {
            (Policy::ALL.iter().position(|other| other == policy), std::cmp::Reverse(*budget))
        });
        rows
    }

    /// What the whole cache in 16 bits came to.
    pub fn full(&self, question: Knowledge) -> Option<Tally> {
        self.get(Setup { policy: Policy::Full, budget: Budget::WHOLE, question, recall: false })
    }
}

/// One question and its answer.
#[derive(Serialize)]
struct Record<'a> {
    suite: &'static str,
    test: &'static str,
    #[serde(flatten)]
    setup: Setup,
    type_k: KvType,
    type_v: KvType,
    seed: u64,
    case: u32,
    kind: Kind,
    source: &'a str,
    length: u32,
    needle_depth_percent: u32,
    /// Tokens before the question.
    n_prompt: usize,
    /// Cells that are left of those.
    n_cells: usize,
    kv_bytes: usize,
    expected: &'a str,
    answer: &'a str,
    recalled_passages: usize,
    is_exact: bool,
}

/// Asks for all needles.
///
/// # Errors
/// If it was stopped, the model fails or a record cannot be written.
pub fn measure(lab: &Lab, settings: &Settings, report: &Report) -> Result<(), Ended> {
    let mut all = Needles::default();
    let needles = &mut all;
    let cells = settings.lengths.iter().copied().max().unwrap_or_default();
    let mut rigs = Rigs::make(lab, &settings.policies, cells, report)?;
    let ratios = super::BytesPerToken::of(lab);
    let (mut number, mut asked) = (0, 0);
    while asked < settings.cases {
        let bytes_per_token = |text: &_| ratios.get(text);
        let haystack =
            Haystack::draw(settings.seed, number, asked, settings.cases, &settings.lengths, &bytes_per_token);
        number += 1;
        asked += haystack.needles.len() as u32;
        let unit = format!("needles up to {asked}");
        if report.is_done(lab.subject(), &unit) {
            continue;
        }
        let run = Run { lab, settings, report, haystack: &haystack, until: asked };
        for (policies, rig) in rigs.iter_mut() {
            // The whole text is left in the cache, and is common to both.
            run.ask(rig, policies, Knowledge::Known, needles)?;
            run.ask(rig, policies, Knowledge::Unknown, needles)?;
        }
        report.done(lab.subject(), &unit)?;
        report.note(&run.sum_up(needles));
    }
    Ok(())
}

/// A text whose needles are being asked for.
struct Run<'a> {
    lab: &'a Lab,
    settings: &'a Settings,
    report: &'a Report,
    haystack: &'a Haystack,
    /// Needles in it and in the texts before it.
    until: u32,
}

impl Run<'_> {
    /// Asks under all policies of this rig's number formats, and leaves the cache as it was before any of them.
    fn ask(
        &self,
        rig: &mut Rig<'_>,
        policies: &[Policy],
        question: Knowledge,
        needles: &mut Needles,
    ) -> Result<(), Ended> {
        let prompt = before_question(rig, &self.haystack.text, question)?;
        let types = policies.first().map(|policy| policy.types().to_string()).unwrap_or_default();
        rig.fill(&prompt, &|done| {
            self.tell(&format!("{types}: computing the text, {done} of {} tokens", prompt.len()))
        })?;
        let whole = rig.keep()?;
        for policy in policies {
            for budget in policy.budgets(&self.settings.budgets) {
                let setup = Setup { policy: *policy, budget, question, recall: false };
                // What is given up depends on the question, if that is known.
                let mut left = None;
                for needle in &self.haystack.needles {
                    if question == Knowledge::Known || left.is_none() {
                        rig.put_back(&whole)?;
                        if policy.evicts() {
                            self.evict(rig, setup, needle, budget.cells(prompt.len()))?;
                        }
                        left = Some(rig.keep()?);
                    }
                    let Some(left) = &left else { continue };
                    self.ask_for_needle(rig, setup, needle, prompt.len(), left, needles)?;
                }
            }
        }
        Ok(rig.put_back(&whole)?)
    }

    /// Asks behind what is left of the text, with and without bringing back what is gone.
    fn ask_for_needle(
        &self,
        rig: &mut Rig<'_>,
        setup: Setup,
        needle: &Needle,
        prompt_tokens: usize,
        left: &Kept,
        needles: &mut Needles,
    ) -> Result<(), Ended> {
        // Without anything evicted there is nothing to recall.
        for recall in [false, true].into_iter().filter(|recall| setup.policy.evicts() || !recall) {
            rig.put_back(left)?;
            rig.limit(super::limits(setup.policy, setup.budget.cells(prompt_tokens), recall));
            self.ask_all(rig, Setup { recall, ..setup }, needle, prompt_tokens, left, needles)?;
        }
        Ok(())
    }

    /// Gives up cells, seeing what the questions attend to where they are known: all of them then.
    fn evict(&self, rig: &mut Rig<'_>, setup: Setup, needle: &Needle, cells: usize) -> Result<(), LabError> {
        self.tell(&format!("evicting, {} {}, question {:?}", setup.policy, setup.budget, setup.question));
        let mut messages = opening(&self.haystack.text, setup.question);
        let questions: Vec<&str> = needle.questions.iter().map(|question| question.text.as_str()).collect();
        ask_for(&mut messages, &questions.join(" "));
        rig.limit(Limits::default());
        rig.begin_turn(&messages)?;
        if setup.question == Knowledge::Known {
            rig.observe_question()?;
        }
        rig.evict_to(setup.policy.evict(), cells)
    }

    /// Asks the questions about a needle, one after the other in one conversation.
    fn ask_all(
        &self,
        rig: &mut Rig<'_>,
        setup: Setup,
        needle: &Needle,
        prompt_tokens: usize,
        cache: &Kept,
        needles: &mut Needles,
    ) -> Result<(), Ended> {
        self.tell(&format!("asking, {} {}, question {:?}", setup.policy, setup.budget, setup.question));
        let mut messages = opening(&self.haystack.text, setup.question);
        let mut exact_answers = 0;
        for (place, question) in needle.questions.iter().enumerate() {
            ask_for(&mut messages, &question.text);
            let answer = rig.answer(&messages, MOST_TOKENS)?;
            let is_exact = exact::holds(&answer.text, &question.answer);
            exact_answers += u32::from(is_exact);
            let types = setup.policy.types();
            let record = Record {
                suite: "kv",
                test: "needle",
                setup,
                type_k: types.k,
                type_v: types.v,
                seed: self.settings.seed,
                case: needle.number,
                kind: needle.kind,
                source: self.haystack.source,
                length: self.haystack.length,
                needle_depth_percent: needle.depth,
                n_prompt: prompt_tokens,
                n_cells: cache.cells(),
                kv_bytes: cache.bytes(),
                expected: &question.answer,
                answer: &answer.text,
                recalled_passages: answer.recalled.len(),
                is_exact,
            };
            let Setup { policy, budget, question: knowledge, recall } = setup;
            let how = if recall { " + recall" } else { "" };
            let key = format!("needle {}.{place}, {policy} {budget}, {knowledge:?}{how}", needle.number);
            self.report.case(self.lab.subject(), &key, &record)?;
            messages.push(Message::new(Role::Assistant, answer.text));
        }
        needles.add(setup, exact_answers, needle.questions.len() as u32, cache.bytes() as u64);
        Ok(())
    }

    fn tell(&self, what: &str) {
        self.report.progress(&format!("{}: {what}", self.which()));
    }

    fn which(&self) -> String {
        let first = self.until + 1 - self.haystack.needles.len() as u32;
        let numbers = if first == self.until { first.to_string() } else { format!("{first} to {}", self.until) };
        format!("needle {numbers} of {}", self.settings.cases)
    }

    /// A line when a text is done: which it was, and how the whole cache does so far.
    fn sum_up(&self, needles: &Needles) -> String {
        let full =
            |question| needles.full(question).map_or("–".into(), |tally| format!("{}/{}", tally.exact, tally.asked));
        format!(
            "{} ({}, {} tokens); full cache so far: known {}, unknown {}",
            self.which(),
            self.haystack.source,
            self.haystack.length,
            full(Knowledge::Known),
            full(Knowledge::Unknown)
        )
    }
}

/// The conversation before the first question; with a known question, the message that it is to end.
fn opening(document: &str, question: Knowledge) -> Vec<Message> {
    match question {
        Knowledge::Known => vec![Message::new(Role::User, format!("{document}\n\n"))],
        Knowledge::Unknown => vec![
            Message::new(Role::User, format!("{document}\n\n{ANNOUNCEMENT}")),
            Message::new(Role::Assistant, ASSENT),
        ],
    }
}

/// Puts a question at the end of the person's message, or into one of its own.
fn ask_for(messages: &mut Vec<Message>, question: &str) {
    match messages.last_mut() {
        Some(last) if last.role == Role::User => last.text += question,
        _ => messages.push(Message::new(Role::User, question)),
    }
}

/// The tokens that the conversation has before the question, whatever the question.
fn before_question(rig: &mut Rig<'_>, document: &str, question: Knowledge) -> Result<Vec<Token>, LabError> {
    let mut tokens_with = |text: &str| {
        let mut messages = opening(document, question);
        ask_for(&mut messages, text);
        rig.tokens_of(&messages)
    };
    let (mut one, other) = (tokens_with("What?")?, tokens_with("How?")?);
    let common = one.iter().zip(&other).take_while(|(one, other)| one == other).count();
    one.truncate(common);
    Ok(one)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setup(policy: Policy, budget: Budget) -> Setup {
        Setup { policy, budget, question: Knowledge::Known, recall: false }
    }

    #[test]
    fn a_known_question_ends_the_message_and_an_unknown_one_is_a_message() {
        let mut known = opening("Text.", Knowledge::Known);
        ask_for(&mut known, "What?");
        assert_eq!(known, [Message::new(Role::User, "Text.\n\nWhat?")]);
        let mut unknown = opening("Text.", Knowledge::Unknown);
        ask_for(&mut unknown, "What?");
        assert_eq!(unknown[2], Message::new(Role::User, "What?"));
        unknown.push(Message::new(Role::Assistant, "That."));
        ask_for(&mut unknown, "And?");
        assert_eq!(unknown.len(), 5);
    }

    #[test]
    fn answers_are_added_up_by_setup_and_rows_are_in_the_order_of_policies() {
        let mut needles = Needles::default();
        needles.add(setup(Policy::Q8, Budget::WHOLE), 1, 2, 50);
        needles.add(setup(Policy::Full, Budget::WHOLE), 2, 2, 100);
        needles.add(setup(Policy::Q8, Budget::WHOLE), 1, 1, 50);
        assert_eq!(needles.get(setup(Policy::Q8, Budget::WHOLE)), Some(Tally { exact: 2, asked: 3, bytes: 100 }));
        assert_eq!(needles.full(Knowledge::Known), Some(Tally { exact: 2, asked: 2, bytes: 100 }));
        assert_eq!(needles.full(Knowledge::Unknown), None);
        assert_eq!(needles.rows(), [(Policy::Full, Budget::WHOLE), (Policy::Q8, Budget::WHOLE)]);
    }
}
