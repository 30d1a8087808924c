//! The figures of a run in rows and columns, as every form of it has them. A column that no case has anything for is left
//! out.

use std::cmp::Ordering;

use serde_json::Value;

use super::NOTHING;
use crate::bench::record::{Case, Run, TUICHAT};
use crate::bench::trust::ANCHOR;
use crate::text::{escape_line, parameters};

/// What a case is called.
const TEST: &str = "test";
/// Values that say by themselves what they are.
const UNNAMED: [&str; 4] = ["model", "size", "backend", "runtime"];

/// A table before it has a form.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Section {
    pub title: String,
    pub columns: Vec<Column>,
    /// As many cells as there are columns.
    pub rows: Vec<Vec<String>>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    pub heading: String,
    /// Numbers stand to the right.
    pub is_number: bool,
}

impl Section {
    /// The columns that say the same of every case as one line, and the table without them.
    pub fn folded(&self) -> (String, Self) {
        let is_alike = |place: usize| {
            let cells = self.rows.iter().map(|row| &row[place]);
            self.rows.len() > 1
                && self.columns[place].heading != TEST
                && cells.clone().zip(cells.skip(1)).all(|(one, other)| one == other)
        };
        let (alike, others): (Vec<usize>, Vec<usize>) = (0..self.columns.len()).partition(|place| is_alike(*place));
        let told = alike.iter().map(|place| {
            let (name, value) = (&self.columns[*place].heading, &self.rows[0][*place]);
            match value.as_str() {
                value if UNNAMED.contains(&name.as_str()) => value.to_owned(),
                "1" => format!("1 {}", name.strip_suffix('s').unwrap_or(name)),
                value => format!("{value} {name}"),
            }
        });
        let line = told.collect::<Vec<_>>().join(", ");
        let rows = self.rows.iter().map(|row| others.iter().map(|place| row[*place].clone()).collect());
        let columns = others.iter().map(|place| self.columns[*place].clone());
        (line, Self { title: self.title.clone(), columns: columns.collect(), rows: rows.collect() })
    }
}

/// Something that is told of a case.
struct Figure {
    heading: &'static str,
    is_number: bool,
    /// Not worth a column if it is this everywhere.
    usual: &'static str,
    of: fn(&Case) -> Option<String>,
}

const fn word(heading: &'static str, usual: &'static str, of: fn(&Case) -> Option<String>) -> Figure {
    Figure { heading, is_number: false, usual, of }
}

const fn number(heading: &'static str, of: fn(&Case) -> Option<String>) -> Figure {
    Figure { heading, is_number: true, usual: NOTHING, of }
}

/// The first ones are llama-bench's, in its order.
const FIGURES: [Figure; 27] = [
    word("model", NOTHING, |case| Some(model(case)).filter(|name| !name.is_empty())),
    number("size", |case| (case.model_size > 0).then(|| bytes(case.model_size))),
    number("params", |case| (case.model_n_params > 0).then(|| parameters(case.model_n_params))),
    word("runtime", TUICHAT, |case| Some(case.runtime.clone()).filter(|name| !name.is_empty())),
    word("backend", "CPU", |case| case.text("backends").map(str::to_owned)),
    number("threads", |case| (case.n_threads > 0).then(|| case.n_threads.to_string())),
    word("cores", NOTHING, |case| case.text("cores").map(str::to_owned)),
    word("KV", "f16", kv_types),
    word("cache", NOTHING, |case| Some(policy(case)).filter(|policy| !policy.is_empty())),
    word("guesses", NOTHING, |case| case.text("spec").map(str::to_owned)),
    word("task", NOTHING, task),
    number("behind", |case| case.text("policy").map(|_| case.n_depth.to_string())),
    word(TEST, NOTHING, |case| Some(case.test.clone()).filter(|test| !test.is_empty())),
    number("until", |case| case.number("until_seconds").map(clock)),
    number("t/s", speed),
    number("95 %", interval),
    number("token ms p50", |case| decimals(case.token_ms_p50, 1)),
    number("p95", |case| decimals(case.token_ms_p95, 1)),
    number("first token ms", |case| decimals(case.ttft_ms, 0)),
    number("of bandwidth", |case| case.share_of_bandwidth.map(|share| format!("{:.0} %", share * 100.0))),
    number("J/token", |case| decimals(case.joules_per_token, 3)),
    number("net", |case| decimals(case.joules_per_token_net, 3)),
    number("W", |case| decimals(case.number("watts"), 2)),
    number("°C", |case| decimals(case.number("celsius"), 0)),
    number("MHz", |case| decimals(case.number("mhz"), 0)),
    number("memory", |case| case.pss_anonymous_bytes.map(|own| bytes(own + case.pss_file_bytes.unwrap_or_default()))),
    number("faults", |case| case.major_faults.filter(|faults| *faults > 0).map(|faults| faults.to_string())),
];

/// What was timed, and what else there is, by its kind.
pub fn of(run: &Run) -> Vec<Section> {
    let cases = run.cases.iter().filter(|case| !is_anchor(case));
    let (timed, others): (Vec<&Case>, Vec<&Case>) = cases.partition(|case| case.avg_ts.is_some());
    let mut sections = Vec::new();
    if !timed.is_empty() {
        sections.push(speeds(&timed));
    }
    let mut kinds: Vec<&str> = Vec::new();
    for case in &others {
        if !kinds.contains(&case.test.as_str()) {
            kinds.push(&case.test);
        }
    }
    sections.extend(kinds.into_iter().map(|kind| {
        let cases: Vec<&Case> = others.iter().copied().filter(|case| case.test == kind).collect();
        of_kind(kind, &cases)
    }));
    sections
}

/// What was measured again to see whether the machine changed: a doubt says if it did.
pub fn is_anchor(case: &Case) -> bool {
    case.test == ANCHOR
}

fn speeds(cases: &[&Case]) -> Section {
    let mut section = Section { title: "Speed".into(), rows: vec![Vec::new(); cases.len()], ..Section::default() };
    for Figure { heading, is_number, usual, of } in FIGURES {
        let cells: Vec<String> =
            cases.iter().map(|case| of(case).map_or(NOTHING.into(), |cell| escape_line(&cell))).collect();
        if cells.iter().all(|cell| cell == usual || cell == NOTHING) {
            continue;
        }
        section.columns.push(Column { heading: heading.into(), is_number });
        section.rows.iter_mut().zip(cells).for_each(|(row, cell)| row.push(cell));
    }
    section
}

/// Cases of a suite that has words of its own: whatever they say.
fn of_kind(kind: &str, cases: &[&Case]) -> Section {
    let mut names: Vec<&str> = Vec::new();
    for name in
        cases.iter().flat_map(|case| case.rest.iter()).filter(|(_, value)| is_plain(value)).map(|(name, _)| name)
    {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    let has_models = cases.windows(2).any(|pair| model(pair[0]) != model(pair[1]));
    let is_number = |name: &str| cases.iter().all(|case| case.rest.get(name).is_none_or(|value| !value.is_string()));
    let mut columns = Vec::new();
    if has_models {
        columns.push(Column { heading: "model".into(), is_number: false });
    }
    columns.extend(names.iter().map(|name| Column { heading: escape_line(name), is_number: is_number(name) }));
    let row = |case: &&Case| {
        let model = has_models.then(|| escape_line(&model(case)));
        let cells = names.iter().map(|name| case.rest.get(*name).map_or(NOTHING.into(), plain));
        model.into_iter().chain(cells).collect()
    };
    Section { title: escape_line(kind), rows: cases.iter().map(row).collect(), columns }
}

fn is_plain(value: &Value) -> bool {
    matches!(value, Value::Bool(_) | Value::Number(_) | Value::String(_))
}

/// A value of JSON in a cell or a sentence.
pub fn plain(value: &Value) -> String {
    match value {
        Value::Null => NOTHING.into(),
        Value::Bool(true) => "yes".into(),
        Value::Bool(false) => "no".into(),
        Value::Number(number) => match (number.as_u64(), number.as_f64()) {
            (None, Some(number)) => round(number),
            _ => number.to_string(),
        },
        Value::String(text) => escape_line(text),
        Value::Array(values) => values.iter().map(plain).collect::<Vec<_>>().join(", "),
        Value::Object(_) => escape_line(&value.to_string()),
    }
}

/// Four digits that say something.
fn round(number: f64) -> String {
    let digits = (3 - number.abs().max(1e-4).log10().floor() as i32).clamp(0, 6) as usize;
    let text = format!("{number:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// The name of the model's file without what all of them end with.
pub fn model(case: &Case) -> String {
    let name = case.model();
    name.strip_suffix(".gguf").unwrap_or(name).to_owned()
}

/// How the KV cache is made smaller, and how small.
pub fn policy(case: &Case) -> String {
    let Some(policy) = case.text("policy") else { return String::new() };
    let budget = case.number("budget_percent").filter(|percent| *percent < 100.0);
    budget.map_or_else(|| policy.to_owned(), |percent| format!("{policy} {percent} %"))
}

/// What somebody would want with it; of the suite `kv`, which half of a request it is.
fn task(case: &Case) -> Option<String> {
    let half = case.text("policy").map(|_| if case.n_prompt > 0 { "reading" } else { "writing" });
    case.text("task").or(half).map(str::to_owned)
}

/// `f16`, or both where they differ.
pub fn kv_types(case: &Case) -> Option<String> {
    let (k, v) = (case.type_k.as_deref()?, case.type_v.as_deref()?);
    Some(if k == v { k.to_owned() } else { format!("{k}/{v}") })
}

/// The mean and the deviation of its samples, as llama-bench has them.
pub fn speed(case: &Case) -> Option<String> {
    let mean = case.avg_ts?;
    Some(match case.stddev_ts {
        Some(deviation) if case.samples_ts.len() != 1 => format!("{mean:.2} ± {deviation:.2}"),
        _ => format!("{mean:.2}"),
    })
}

/// The bounds of the mean.
pub fn interval(case: &Case) -> Option<String> {
    Some(format!("{:.2} to {:.2}", case.ci95_low_ts?, case.ci95_high_ts?))
}

/// Reading before writing, shorter before longer, and in that order behind longer and longer beginnings.
pub fn test_order(one: &Case, other: &Case) -> Ordering {
    let place = |case: &Case| (case.n_depth, case.n_gen > 0, case.n_prompt, case.n_gen);
    place(one).cmp(&place(other))
}

fn clock(seconds: f64) -> String {
    let seconds = seconds as u64;
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

fn decimals(value: Option<f64>, digits: usize) -> Option<String> {
    value.map(|value| format!("{value:.digits$}"))
}

fn bytes(bytes: u64) -> String {
    let mebibytes = bytes as f64 / f64::from(1 << 20);
    if mebibytes < 1024.0 { format!("{mebibytes:.2} MiB") } else { format!("{:.2} GiB", mebibytes / 1024.0) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::bench::reports::examples;

    fn headings(section: &Section) -> Vec<&str> {
        section.columns.iter().map(|column| column.heading.as_str()).collect()
    }

    #[test]
    fn columns_are_llama_benchs_and_those_that_have_something() {
        let sections = of(&examples::depth());
        assert_eq!(
            headings(&sections[0]),
            ["model", "size", "params", "threads", "test", "t/s", "95 %", "token ms p50", "p95", "J/token"]
        );
        assert_eq!(
            sections[0].rows[1],
            [
                "tiny-Q4_0",
                "86.00 MiB",
                "134.52 M",
                "2",
                "tg128",
                "61.40 ± 0.50",
                "60.16 to 62.64",
                "16.2",
                "17.0",
                "0.210"
            ]
        );
        assert_eq!(sections[0].rows[0][7], NOTHING);
    }

    #[test]
    fn what_is_the_same_everywhere_stands_above_the_table() {
        let (line, table) = of(&examples::depth())[0].folded();
        assert_eq!(line, "tiny-Q4_0, 86.00 MiB, 134.52 M params, 2 threads");
        assert_eq!(headings(&table), ["test", "t/s", "95 %", "token ms p50", "p95", "J/token"]);
        assert_eq!(table.rows[1][0], "tg128");
        let mut alone = examples::depth();
        alone.cases.iter_mut().for_each(|case| case.n_threads = 1);
        assert!(of(&alone)[0].folded().0.ends_with(", 1 thread"));
        let mut one = examples::depth();
        one.cases.truncate(1);
        assert_eq!(of(&one)[0].folded().0, "");
    }

    #[test]
    fn cases_of_other_kinds_have_a_table_of_what_they_say() {
        let mut run = examples::depth();
        let rest = json!({"policy": "score\u{1b}", "exact": 7, "share": 0.123456, "texts": [1, 2], "is_best": true});
        let rest = rest.as_object().unwrap().clone();
        run.cases.push(Case {
            test: "needle".into(),
            model_filename: "tiny-Q4_0.gguf".into(),
            rest,
            ..Case::default()
        });
        let section = of(&run).remove(1);
        assert_eq!(
            (section.title.as_str(), headings(&section)),
            ("needle", vec!["policy", "exact", "share", "is_best"])
        );
        assert_eq!(section.rows, [["score<U+001B>", "7", "0.1235", "yes"]]);
    }

    #[test]
    fn numbers_have_the_digits_that_say_something() {
        let rounded = [1234.5678, 12.3456, 0.012_345_6, 3.0, -0.5, 0.0].map(round);
        assert_eq!(rounded, ["1235", "12.35", "0.01235", "3", "-0.5", "0"]);
    }
}
