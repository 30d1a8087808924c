//! The results for people: a table for each model, what stands beside it, and whether it is to be trusted.

use crate::bench::record::{Case, Run};
use crate::bench::table::Table;
use crate::bench::trust::ANCHOR;
use crate::bench::{peers, quality};
use crate::text::mebibytes;

/// What is not measured or cannot be.
const NOTHING: &str = "–";

/// What a row of the table is about, and how it is written.
type Label = (&'static str, fn(&Case) -> String);

/// All that a run of these suites came to.
pub fn render(run: &Run) -> String {
    let tables: Vec<String> = run.by_model().iter().map(|cases| of_model(run, cases)).collect();
    let mut text = tables.join("\n");
    text += &beside(run);
    text
}

/// A prompt and its answer.
struct Row<'a> {
    prompt: Option<&'a Case>,
    answer: Option<&'a Case>,
}

impl<'a> Row<'a> {
    fn any(&self) -> Option<&'a Case> {
        self.prompt.or(self.answer)
    }
}

fn of_model(run: &Run, cases: &[&Case]) -> String {
    let mut text = title(cases[0]);
    if run.head.suite == "threads" {
        text = text.replacen(&format!("{}, ", threads(cases[0])), "", 1);
    }
    let rows = rows(cases);
    if !rows.is_empty() {
        text += &table(run, &rows);
    }
    text += &peers::cases::table(cases);
    text += &quality::sentence(cases);
    text
}

/// A line about the model, and what it runs on.
pub fn title(case: &Case) -> String {
    let name = case.text("model_name").unwrap_or_else(|| case.model());
    let (kind, backend) = (&case.model_type, case.text("backends").unwrap_or("CPU"));
    let parts: Vec<&str> = kind.split(' ').collect();
    let kind = match parts[..] {
        [architecture, .., format] => format!("{architecture} {format}"),
        _ => kind.clone(),
    };
    format!("{name} ({kind}, {}, {backend})\n", threads(case))
}

fn threads(case: &Case) -> String {
    if case.n_threads == 1 { "1 thread".into() } else { format!("{} threads", case.n_threads) }
}

/// Prompts with their answers, in the order in which they were measured.
fn rows<'a>(cases: &[&'a Case]) -> Vec<Row<'a>> {
    let mut rows: Vec<(&str, Row<'a>)> = Vec::new();
    for &case in cases {
        let Some(item) = case.text("item").filter(|_| case.test != ANCHOR) else { continue };
        let row = match rows.iter_mut().find(|(name, _)| *name == item) {
            Some((_, row)) => row,
            None => {
                rows.push((item, Row { prompt: None, answer: None }));
                let Some((_, row)) = rows.last_mut() else { continue };
                row
            }
        };
        if case.n_prompt > 0 { row.prompt = Some(case) } else { row.answer = Some(case) }
    }
    rows.into_iter().map(|(_, row)| row).collect()
}

fn table(run: &Run, rows: &[Row<'_>]) -> String {
    let labels: Vec<Label> = match run.head.suite.as_str() {
        "sbc" => vec![("task", |case| case.text("task").unwrap_or(NOTHING).to_owned())],
        "threads" => vec![("threads", |case| case.n_threads.to_string())],
        _ => vec![("depth", |case| case.n_depth.to_string())],
    };
    let has = |of: fn(&Case) -> bool| rows.iter().any(|row| row.prompt.is_some_and(of) || row.answer.is_some_and(of));
    let has_cores = has(|case| case.text("cores").is_some());
    let has_energy = has(|case| case.joules_per_token.is_some());
    let has_answers = rows.iter().any(|row| row.answer.is_some());
    let is_task = has(|case| case.text("task").is_some());
    let tokens = |of: fn(&Row<'_>) -> Option<u32>, short: &str, long: &str| {
        let mut all: Vec<u32> = rows.iter().filter_map(of).collect();
        all.dedup();
        match all[..] {
            [tokens] => format!("{short}{tokens} tok/s"),
            _ => format!("{long} tok/s"),
        }
    };
    let prompt = tokens(|row| row.prompt.map(|case| case.n_prompt), "pp", "prompt");
    let answer = tokens(|row| row.answer.map(|case| case.n_gen), "tg", "answer");
    let mut headings: Vec<&str> = labels.iter().map(|(heading, _)| *heading).collect();
    headings.extend(has_cores.then_some("cores"));
    headings.extend(if is_task { &["tokens", "first after"][..] } else { &[] });
    headings.extend([prompt.as_str(), answer.as_str()]);
    headings.extend(if has_answers { &["token ms p50", "p95", "of bandwidth"][..] } else { &[] });
    headings.push("memory");
    headings.extend(if has_energy { &["J/prompt token", "J/token", "net"][..] } else { &[] });
    let mut table = Table::new(headings);
    for row in rows {
        let Some(any) = row.any() else { continue };
        let mut cells: Vec<String> = labels.iter().map(|(_, label)| label(any)).collect();
        cells.extend(has_cores.then(|| any.text("cores").unwrap_or(NOTHING).to_owned()));
        if is_task {
            let count = |case: Option<&Case>| case.map_or(0, |case| case.n_prompt + case.n_gen);
            cells.push(format!("{} + {}", count(row.prompt), count(row.answer)));
            let first = row.prompt.and_then(|case| case.ttft_ms);
            cells.push(first.map_or_else(|| NOTHING.into(), |ms| format!("{:.2} s", ms / 1000.0)));
        }
        cells.extend([speed(row.prompt), speed(row.answer)]);
        if has_answers {
            let ms = |of: fn(&Case) -> Option<f64>| number(row.answer.and_then(of), 1);
            let share = row.answer.and_then(|case| case.share_of_bandwidth);
            cells.extend([ms(|case| case.token_ms_p50), ms(|case| case.token_ms_p95)]);
            cells.push(share.map_or_else(|| NOTHING.into(), |share| format!("{:.0} %", share * 100.0)));
        }
        cells.push(memory(row.answer.or(row.prompt)));
        if has_energy {
            let joules = |case: Option<&Case>| number(case.and_then(|case| case.joules_per_token), 3);
            let net = number(row.answer.and_then(|case| case.joules_per_token_net), 3);
            cells.extend([joules(row.prompt), joules(row.answer), net]);
        }
        table.push(cells);
    }
    table.render()
}

pub fn number(number: Option<f64>, digits: usize) -> String {
    number.map_or_else(|| NOTHING.into(), |number| format!("{number:.digits$}"))
}

/// The mean, and how far it may be off with a probability of 95 %.
pub fn speed(case: Option<&Case>) -> String {
    let Some((case, middle)) = case.and_then(|case| Some((case, case.avg_ts?))) else { return NOTHING.into() };
    match case.ci95_high_ts {
        Some(high) => format!("{middle:.1} ± {:.1}", high - middle),
        None => format!("{middle:.1}"),
    }
}

/// All of this program's memory.
pub fn memory(case: Option<&Case>) -> String {
    let bytes = case.and_then(|case| Some(case.pss_file_bytes? + case.pss_anonymous_bytes?));
    bytes.map_or_else(|| NOTHING.into(), mebibytes)
}

/// What holds for all models, and whether it is to be trusted.
pub fn beside(run: &Run) -> String {
    circumstances(run) + &trusted(run)
}

/// What holds for all models: how it was measured, how the machine felt, what it drew while idle. Nothing where nothing
/// was timed in rounds.
pub fn circumstances(run: &Run) -> String {
    let timed = |case: &&Case| !case.samples_ts.is_empty() && case.test != ANCHOR && !peers::cases::is_peer(case);
    let Some(case) = run.cases.iter().find(timed) else { return String::new() };
    let rounds = run.cases.iter().filter(timed).map(|case| case.samples_ts.len()).min().unwrap_or_default();
    let mut lines = vec![match rounds {
        1 => "of one round, so nothing tells how far it can be relied on".to_owned(),
        _ => format!("means of {rounds} rounds with their 95 % intervals"),
    }];
    let bandwidth = case.number("bandwidth_bytes_per_second");
    lines.extend(bandwidth.map(|speed| format!("memory is read at {:.1} GB/s", speed / 1e9)));
    let health = run.end.as_ref().map(|end| end.health).unwrap_or_default();
    if let Some(after) = health.after.celsius {
        let before = health.before.celsius.map(|before| format!("{before:.0} to ")).unwrap_or_default();
        lines.push(format!("{before}{after:.0} °C"));
    }
    let source = case.text("power_source").unwrap_or_default();
    let power = match case.idle_watts {
        Some(watts) => format!("{watts:.2} W while idle, as told by {source}\n"),
        None if source.is_empty() => String::new(),
        None if run.cases.iter().any(|case| case.joules_per_token.is_some()) => format!("power as told by {source}\n"),
        None => format!("{source}\n"),
    };
    let silent = run.cases.iter().filter_map(|case| Some((case.number("n_power")?, case)));
    let silent = silent.min_by(|(one, _), (other, _)| one.total_cmp(other)).map(|(told, case)| {
        format!("power is not known of all rounds: of {} it is of {told} of {}\n", case.test, case.samples_ts.len())
    });
    format!("{}\n{power}{}", lines.join("; "), silent.unwrap_or_default())
}

/// What speaks against the figures.
pub fn trusted(run: &Run) -> String {
    let doubts = run.end.iter().flat_map(|end| &end.doubts);
    doubts.map(|doubt| format!("not to be trusted: {doubt}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::record::tests::empty;
    use crate::bench::record::{BeforeAndAfter, Condition, End, Line, Status};
    use crate::bench::speed::tests_of::quiet;

    fn run(doubts: &[&str]) -> Run {
        let mut run = empty("quick");
        quiet(&[0]).into_iter().for_each(|case| run.add(Line::Case(Box::new(case))));
        let at = |celsius| Condition { celsius: Some(celsius), ..Condition::default() };
        run.add(Line::End(Box::new(End {
            ended: run.head.started,
            status: Status::Whole,
            valid: doubts.is_empty(),
            doubts: doubts.iter().map(|doubt| (*doubt).to_owned()).collect(),
            health: BeforeAndAfter { before: at(48.2), after: at(61.0) },
            rest: Default::default(),
        })));
        run
    }

    #[test]
    fn a_run_is_a_table_and_what_stands_beside_it() {
        assert_eq!(
            render(&run(&[])),
            "Tiny (llama Q4_0, 4 threads, CPU)\n\
             depth  pp512 tok/s  tg128 tok/s  token ms p50    p95  of bandwidth   memory  J/prompt token  J/token    net\n\
             0      100.0 ± 2.5   10.0 ± 0.2         100.0  100.9          59 %  300 MiB           0.050    0.900  0.600\n\
             means of 3 rounds with their 95 % intervals; memory is read at 17.0 GB/s; 48 to 61 °C\n\
             3.00 W while idle, as told by the battery\n"
        );
        assert!(render(&run(&["it was hot"])).ends_with("not to be trusted: it was hot\n"));
    }

    #[test]
    fn tasks_and_core_sets_have_columns_where_there_are_such() {
        let mut run = run(&[]);
        run.head.suite = "sbc".into();
        for case in &mut run.cases {
            case.rest.insert("task".into(), "explain".into());
            case.rest.insert("cores".into(), "big".into());
        }
        let text = render(&run);
        let line = |number: usize| text.lines().nth(number).unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(line(1).starts_with("task cores tokens first after pp512 tok/s"), "{text}");
        assert!(line(2).starts_with("explain big 512 + 128 5.12 s 100.0"), "{text}");
    }
}
