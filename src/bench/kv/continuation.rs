//! The continuation of a long text: the whole cache in 16 bits and a compressed one read the same text on, token by
//! token, and what they expect next is compared.

use std::collections::HashMap;

use serde::Serialize;

use super::policy::{Budget, Policy};
use super::{Rigs, Settings};
use crate::bench::Ended;
use crate::bench::draw::Draw;
use crate::bench::report::Report;
use crate::bench::stream::Stream;
use crate::bench::texts::TEXTS;
use crate::engine::KvType;
use crate::engine::divergence::{Divergence, Summary};
use crate::engine::lab::{Kept, Lab, LabError, Rig, Token};

/// Tokens that are compared in each text.
const FORCED: usize = 192;
/// What was seen in earlier texts is part of what is told of later ones, so all of it is done or nothing.
const UNIT: &str = "continuation";

/// How far the compressed caches are from the whole one, in the order of the table.
#[derive(Clone, Debug, Default)]
pub struct Continuations {
    rows: Vec<Row>,
}

/// What a policy came to with a budget, in all texts.
#[derive(Clone, Debug)]
pub struct Row {
    pub policy: Policy,
    pub budget: Budget,
    /// Of the largest cache.
    pub bytes: u64,
    pub summary: Summary,
}

impl Continuations {
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Takes what a policy came to with a budget, in place of what it came to in fewer texts.
    pub fn put(&mut self, row: Row) {
        match self.rows.iter_mut().find(|other| other.policy == row.policy && other.budget == row.budget) {
            Some(other) => *other = Row { bytes: row.bytes.max(other.bytes), ..row },
            None => self.rows.push(row),
        }
    }
}

/// How far a policy is from the whole cache, with a budget, in the texts so far.
#[derive(Serialize)]
struct Record<'a> {
    suite: &'static str,
    test: &'static str,
    policy: Policy,
    budget_percent: Budget,
    type_k: KvType,
    type_v: KvType,
    seed: u64,
    /// The text that was added last.
    source: &'a str,
    n_prompt: usize,
    n_cells: usize,
    kv_bytes: usize,
    #[serde(flatten)]
    summary: Summary,
}

/// Compares in as many texts as there are cases, one of each at most.
///
/// # Errors
/// If it was stopped, the model fails or a record cannot be written.
pub fn measure(lab: &Lab, settings: &Settings, report: &Report) -> Result<(), Ended> {
    let policies: Vec<Policy> = settings.policies.iter().copied().filter(|policy| *policy != Policy::Full).collect();
    if policies.is_empty() {
        report.note("note: there is nothing to compare the whole cache with; add to `--policies`");
        return Ok(());
    }
    if report.is_done(lab.subject(), UNIT) {
        return Ok(());
    }
    let mut divergences: HashMap<(Policy, Budget), Divergence> = HashMap::new();
    let longest = settings.lengths.iter().copied().max().unwrap_or_default();
    let mut reference = lab.rig(longest, Policy::Full.types())?;
    let mut rigs = Rigs::make(lab, &policies, longest, report)?;
    for (number, text) in (0..settings.cases).zip(&TEXTS) {
        let length = settings.lengths[number as usize % settings.lengths.len()] as usize;
        let mut draw = Draw::new(settings.seed, u64::from(number));
        let tokens = Stream::beginning_in(lab, number as usize, &mut draw).take(length);
        let prompt_tokens = length.saturating_sub(FORCED);
        let (prompt, forced) = tokens.split_at(prompt_tokens);
        let tell = |what: &str| {
            report.progress(&format!("continuation of {}, {prompt_tokens} tokens: {what}", text.name));
        };
        reference.fill(prompt, &|done| tell(&format!("computing, {done} tokens")))?;
        let whole = reference.keep()?;
        for (policies, rig) in rigs.iter_mut() {
            rig.fill(prompt, &|done| tell(&format!("computing again, {done} tokens")))?;
            let cache = rig.keep()?;
            for policy in policies.iter() {
                for budget in policy.budgets(&settings.budgets) {
                    tell(&format!("comparing {policy} {budget}"));
                    rig.put_back(&cache)?;
                    let left = compress(rig, *policy, budget.cells(prompt_tokens))?;
                    reference.put_back(&whole)?;
                    let divergence = divergences.entry((*policy, budget)).or_default();
                    compare(&mut reference, rig, forced, divergence)?;
                    let record = Record {
                        suite: "kv",
                        test: "continuation",
                        policy: *policy,
                        budget_percent: budget,
                        type_k: policy.types().k,
                        type_v: policy.types().v,
                        seed: settings.seed,
                        source: text.name,
                        n_prompt: prompt_tokens,
                        n_cells: left.cells(),
                        kv_bytes: left.bytes(),
                        summary: divergence.summary(),
                    };
                    let key = format!("continuation of {}, {policy} {budget}", text.name);
                    report.case(lab.subject(), &key, &record)?;
                }
            }
        }
        report.note(&format!("continuation of {}, {prompt_tokens} tokens and {FORCED} more: done", text.name));
    }
    Ok(report.done(lab.subject(), UNIT)?)
}

/// Makes the cache as small as the policy has it, and holds it to that; gives what is left.
fn compress(rig: &mut Rig<'_>, policy: Policy, cells: usize) -> Result<Kept, LabError> {
    rig.evict_to(policy.evict(), cells)?;
    let left = rig.keep()?;
    rig.limit(super::limits(policy, cells, false));
    Ok(left)
}

/// Both read the same tokens, one by one; what each expects next is compared.
fn compare(
    reference: &mut Rig<'_>,
    other: &mut Rig<'_>,
    tokens: &[Token],
    divergence: &mut Divergence,
) -> Result<(), LabError> {
    for pair in tokens.windows(2) {
        let expected = reference.go_on(&pair[..1])?;
        divergence.push(expected, other.go_on(&pair[..1])?, pair[1]);
    }
    Ok(())
}
