//! The results as tables. Shares are always with the counts that they are of.

use super::needles::{Knowledge, Setup, Tally};
use super::speed::{PROMPT, Row, WRITTEN};
use super::{Continuations, Needles, Results, Speeds};
use crate::bench::statistics::{Interval, mean};
use crate::bench::table::Table;

/// What is not measured or cannot be.
const NOTHING: &str = "–";

pub fn render(results: &Results) -> String {
    let mut text = results.subject.title();
    let parts = [needles(&results.needles), continuations(&results.continuations), speeds(&results.speeds)];
    for part in parts.into_iter().flatten() {
        text += &format!("\n{part}");
    }
    text
}

/// Exact answers; the share is that of the whole cache's.
fn needles(needles: &Needles) -> Option<String> {
    let rows = needles.rows();
    if rows.is_empty() {
        return None;
    }
    let columns = [Knowledge::Known, Knowledge::Unknown].map(|question| [(question, false), (question, true)]);
    let columns = columns.concat();
    let mut table = Table::new(["policy", "cells", "bytes", "known", "+ recall", "unknown", "+ recall"]);
    for (policy, budget) in rows {
        let setup = |(question, recall)| Setup { policy, budget, question, recall };
        let cell = |column: &(Knowledge, bool)| match needles.get(setup(*column)) {
            Some(tally) => share(tally, needles.full(column.0)),
            None => NOTHING.to_owned(),
        };
        let size = columns.iter().find_map(|column| bytes_share(needles, setup(*column)));
        let mut row = vec![policy.to_string(), budget.to_string(), size.map_or(NOTHING.into(), percent)];
        row.extend(columns.iter().map(cell));
        table.push(row);
    }
    let title = "needles: exact answers of those asked for, and that as a share of the whole cache's";
    Some(format!("{title}\n{}", table.render()))
}

/// `37/40 97 %`.
fn share(tally: Tally, full: Option<Tally>) -> String {
    let counts = format!("{}/{}", tally.exact, tally.asked);
    match full {
        Some(full) if full.exact > 0 && full.asked > 0 && tally.asked > 0 => {
            format!("{counts} {}", percent(rate(tally) / rate(full)))
        }
        _ => counts,
    }
}

fn rate(tally: Tally) -> f64 {
    f64::from(tally.exact) / f64::from(tally.asked.max(1))
}

/// Bytes of the cache, as a part of the whole cache's in 16 bits.
pub fn bytes_share(needles: &Needles, setup: Setup) -> Option<f64> {
    let (tally, full) = (needles.get(setup)?, needles.full(setup.question)?);
    let each = |tally: Tally| tally.bytes as f64 / f64::from(tally.asked.max(1));
    (full.bytes > 0).then(|| each(tally) / each(full))
}

fn continuations(continuations: &Continuations) -> Option<String> {
    let first = continuations.rows().first()?.summary;
    let mut table = Table::new(["policy", "cells", "bytes", "perplexity", "mean KLD", "p99 KLD", "same top"]);
    for row in continuations.rows() {
        let summary = row.summary;
        table.push(vec![
            row.policy.to_string(),
            row.budget.to_string(),
            mebibytes(row.bytes),
            format!("{:.3}", summary.perplexity),
            format!("{:.4}", summary.mean_kld),
            format!("{:.3}", summary.p99_kld),
            percent(summary.same_top),
        ]);
    }
    Some(format!(
        "continuation: {} tokens, of which the whole cache has a perplexity of {:.3}\n{}",
        first.tokens,
        first.reference_perplexity,
        table.render()
    ))
}

fn speeds(speeds: &Speeds) -> Option<String> {
    speeds.rows().first()?;
    let (prompt, written) = (format!("pp{PROMPT}"), format!("tg{WRITTEN}"));
    let headings = ["depth", "policy", "cells", "bytes", &prompt, "of whole", &written, "of whole"];
    let mut table = Table::new(headings);
    for row in speeds.rows() {
        let full = speeds.full(row.depth);
        let times = |samples: fn(&Row) -> &[f64]| match full {
            Some(full) if mean(samples(full)) > 0.0 => format!("{:.2}", mean(samples(row)) / mean(samples(full))),
            _ => NOTHING.to_owned(),
        };
        table.push(vec![
            row.depth.to_string(),
            row.policy.to_string(),
            row.budget.to_string(),
            mebibytes(row.bytes),
            Interval::of(&row.prefill).told(1),
            times(|row| &row.prefill),
            Interval::of(&row.decode).told(1),
            times(|row| &row.decode),
        ]);
    }
    Some(format!("speed: tokens per second (± 95 % confidence)\n{}", table.render()))
}

fn percent(part: f64) -> String {
    format!("{:.0} %", part * 100.0)
}

fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

#[cfg(test)]
mod tests {
    use super::super::policy::{Budget, Policy};
    use super::*;

    #[test]
    fn a_share_is_of_the_whole_caches_answers_and_has_its_counts() {
        let tally = |exact, asked| Tally { exact, asked, bytes: 0 };
        assert_eq!(share(tally(19, 40), Some(tally(38, 40))), "19/40 50 %");
        assert_eq!(share(tally(39, 40), Some(tally(38, 40))), "39/40 103 %");
        assert_eq!(share(tally(3, 4), Some(tally(0, 4))), "3/4");
        assert_eq!(share(tally(3, 4), None), "3/4");
    }

    #[test]
    fn the_table_of_needles_tells_counts_shares_and_bytes() {
        let mut all = Needles::default();
        for (policy, exact, bytes) in [(Policy::Full, 4, 1000), (Policy::Q8, 3, 531)] {
            for question in [Knowledge::Known, Knowledge::Unknown] {
                all.add(Setup { policy, budget: Budget::WHOLE, question, recall: false }, exact, 5, bytes);
            }
        }
        let text = needles(&all).unwrap();
        let lines: Vec<String> =
            text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(lines[1], "policy cells bytes known + recall unknown + recall");
        assert_eq!(lines[2], "none 100 % 100 % 4/5 100 % – 4/5 100 % –");
        assert_eq!(lines[3], "q8_0 100 % 53 % 3/5 75 % – 3/5 75 % –");
        assert!(needles(&Needles::default()).is_none());
    }
}
