//! A comparison as a table, as Markdown, and as lines of JSON.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{Comparison, Pair, Verdict};
use crate::bench::record::{Case, Run};
use crate::bench::reports::{Column, Format, Labels, Section, table};
use crate::exit::Failure;
use crate::text::escape_line;

/// From so many cases on, chance alone is likely to bring a difference.
const MANY: usize = 10;

/// # Errors
/// If a comparison has no such form.
pub fn render(comparison: &Comparison, format: Format) -> Result<String, Failure> {
    match format {
        Format::Table | Format::Markdown => Ok(text(comparison, format)),
        Format::Jsonl => Ok(lines(comparison)),
        Format::Csv | Format::Html => {
            Err(Failure::usage("two runs are compared as a table, as Markdown or as JSON lines")
                .hint("add `--format table`, `--format markdown` or `--format jsonl`"))
        }
    }
}

fn text(comparison: &Comparison, format: Format) -> String {
    let is_markdown = format == Format::Markdown;
    let mut text = String::new();
    let paragraph = if is_markdown { "\n" } else { "" };
    for (letter, run) in [("A", comparison.first), ("B", comparison.second)] {
        text += &format!("{letter}: {}\n{paragraph}", escape_line(&about(run)));
    }
    let is_without_speeds = comparison.only_in_first.is_empty() && comparison.only_in_second.is_empty();
    text += &if comparison.pairs.is_empty() && is_without_speeds {
        "none of their tests has a speed in tokens per second, and speeds are what is compared; `tuichat bench MODEL` \
         measures some\n"
            .to_owned()
    } else if comparison.pairs.is_empty() {
        "none of their tests are the same: tests are compared that have the model, the name, the threads and the KV types \
         alike\n"
            .to_owned()
    } else {
        table(&section(comparison), format)
    };
    text += paragraph;
    let mut sentences = Vec::new();
    if !comparison.pairs.is_empty() {
        sentences.push(
            "B : A is the ratio of the means with its interval of 95 %; p is how often chance alone brings as much \
             (Welch's t test)"
                .to_owned(),
        );
    }
    if comparison.pairs.len() >= MANY {
        let count = comparison.pairs.len();
        sentences.push(format!("of {count} tests about {:.0} differ by chance alone", (count as f64 * 0.05).max(1.0)));
    }
    let differ = comparison.differences.iter().map(|it| format!("{} ({} and {})", it.what, it.first, it.second));
    let differ: Vec<String> = differ.collect();
    if !differ.is_empty() {
        sentences.push(format!("they differ in {}", differ.join(", ")));
    }
    for (letter, cases) in [("A", &comparison.only_in_first), ("B", &comparison.only_in_second)] {
        if !cases.is_empty() {
            let names: Vec<String> = cases.iter().map(|case| name(case)).collect();
            sentences.push(format!("only in {letter}: {}", names.join("; ")));
        }
    }
    sentences.extend(comparison.doubts().into_iter().map(|doubt| format!("not to be trusted: {doubt}")));
    for sentence in sentences {
        text += &if is_markdown {
            format!("- {}\n", sentence.replace('|', "\\|"))
        } else {
            format!("{}\n", escape_line(&sentence))
        };
    }
    text
}

/// Who measured, on what.
fn about(run: &Run) -> String {
    let head = &run.head;
    let versions = [("tuichat ", &head.tuichat), ("llama.cpp ", &head.llama_cpp)];
    let versions = versions.iter().filter(|(_, version)| !version.is_empty());
    let mut parts: Vec<String> = versions.map(|(name, version)| format!("{name}{version}")).collect();
    parts.push(head.machine.line());
    parts.retain(|part| !part.is_empty());
    format!("{} ({})", head.id, parts.join("; "))
}

/// A case in a sentence.
fn name(case: &Case) -> String {
    let threads = if case.n_threads == 1 { "thread" } else { "threads" };
    let model = case.model().trim_end_matches(".gguf");
    let kv = match (&case.type_k, &case.type_v) {
        (Some(k), Some(v)) if k != "f16" || v != "f16" => format!(", KV {k}/{v}"),
        _ => String::new(),
    };
    format!("{} of {model} with {} {threads}{kv}", case.test, case.n_threads)
}

fn section(comparison: &Comparison) -> Section {
    let cases: Vec<&Case> = comparison.pairs.iter().map(|pair| pair.second).collect();
    let labels = Labels::of(&cases);
    let names: Vec<String> = cases.iter().map(|case| labels.name(case)).collect();
    let has_names = names.iter().any(|name| !name.is_empty());
    let word = |heading: &str| Column { heading: heading.into(), is_number: false };
    let number = |heading: &str| Column { heading: heading.into(), is_number: true };
    let mut columns = vec![word("test")];
    columns.extend(has_names.then(|| word("of")));
    columns.extend([number("A t/s"), number("B t/s"), number("B : A"), number("95 %"), number("p"), word("")]);
    let row = |(pair, name): (&Pair, &String)| {
        let speed = |case: &Case| case.avg_ts.map_or_else(String::new, |speed| format!("{speed:.2}"));
        let certainty = pair.ratio.certainty;
        let interval = certainty.map_or_else(String::new, |it| format!("{:.3} to {:.3}", it.low, it.high));
        let mut row = vec![escape_line(&pair.second.test)];
        row.extend(has_names.then(|| escape_line(name)));
        row.extend([
            speed(pair.first),
            speed(pair.second),
            format!("{:.3}", pair.ratio.middle),
            interval,
            certainty.map_or_else(String::new, |it| probability(it.probability)),
            said(pair),
        ]);
        row
    };
    Section { title: "Comparison".into(), rows: comparison.pairs.iter().zip(&names).map(row).collect(), columns }
}

/// `B is 8.1 % faster`.
fn said(pair: &Pair) -> String {
    let verdict = pair.ratio.verdict();
    let percent = (pair.ratio.middle - 1.0).abs() * 100.0;
    match verdict {
        Verdict::Faster | Verdict::Slower => format!("B is {percent:.1} % {}", verdict.as_str()),
        Verdict::NoneShown | Verdict::Unknown => verdict.as_str().to_owned(),
    }
}

fn probability(probability: f64) -> String {
    if probability < 0.001 { "<0.001".into() } else { format!("{probability:.3}") }
}

/// A line for the two runs, one for each pair, one for each case without.
fn lines(comparison: &Comparison) -> String {
    let side = |run: &Run| {
        json!({"id": run.head.id, "suite": run.head.suite, "tuichat": run.head.tuichat, "llama_cpp": run.head.llama_cpp,
               "machine": run.head.machine.line(), "valid": run.end.as_ref().map(|end| end.valid)})
    };
    let differ: Map<String, Value> =
        comparison.differences.iter().map(|it| (it.what.clone(), json!([it.first, it.second]))).collect();
    let head = json!({"record": "comparison", "test": "Welch's t on logarithms", "a": side(comparison.first),
                      "b": side(comparison.second), "differences": differ, "doubts": comparison.doubts()});
    let pairs = comparison.pairs.iter().map(|pair| json(&PairLine::from(pair)));
    let left = [("a", &comparison.only_in_first), ("b", &comparison.only_in_second)];
    let left = left.into_iter().flat_map(|(side, cases)| {
        cases.iter().map(move |case| json(&OnlyLine { record: "unmatched", only_in: side, case }))
    });
    std::iter::once(head.to_string()).chain(pairs).chain(left).map(|line| line + "\n").collect()
}

fn json(value: &impl Serialize) -> String {
    // Names and numbers are always JSON.
    serde_json::to_string(value).unwrap_or_default()
}

/// The keys are a contract.
#[derive(Serialize)]
struct PairLine<'a> {
    record: &'static str,
    model: &'a str,
    test: &'a str,
    n_prompt: u32,
    n_gen: u32,
    n_depth: u32,
    n_threads: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    type_k: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    type_v: Option<&'a str>,
    a_avg_ts: Option<f64>,
    b_avg_ts: Option<f64>,
    /// B by A.
    ratio: f64,
    ratio_low: Option<f64>,
    ratio_high: Option<f64>,
    p: Option<f64>,
    verdict: &'static str,
}

impl<'a> From<&Pair<'a>> for PairLine<'a> {
    fn from(pair: &Pair<'a>) -> Self {
        let Pair { first, second, ratio } = pair;
        Self {
            record: "pair",
            model: second.model(),
            test: &second.test,
            n_prompt: second.n_prompt,
            n_gen: second.n_gen,
            n_depth: second.n_depth,
            n_threads: second.n_threads,
            type_k: second.type_k.as_deref(),
            type_v: second.type_v.as_deref(),
            a_avg_ts: first.avg_ts,
            b_avg_ts: second.avg_ts,
            ratio: ratio.middle,
            ratio_low: ratio.certainty.map(|certainty| certainty.low),
            ratio_high: ratio.certainty.map(|certainty| certainty.high),
            p: ratio.certainty.map(|certainty| certainty.probability),
            verdict: ratio.verdict().as_str(),
        }
    }
}

#[derive(Serialize)]
struct OnlyLine<'a> {
    record: &'static str,
    only_in: &'static str,
    #[serde(flatten)]
    case: &'a Case,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::reports::examples;

    /// The second run writes faster and reads as before; a case has no other.
    fn runs() -> (Run, Run) {
        let (first, mut second) = (examples::depth(), examples::depth());
        for speed in &mut second.cases[1].samples_ts {
            *speed *= 1.08;
        }
        second.cases[1].avg_ts = Some(66.31);
        second.cases[2].samples_ts = vec![641.0, 639.5, 642.2];
        second.cases.truncate(3);
        second.head.id = "2026-11-28-1000-depth".into();
        second.head.machine.governor = Some("performance".into());
        (first, second)
    }

    #[test]
    fn a_table_says_what_is_faster_what_is_chance_and_what_differs() {
        let (first, second) = runs();
        insta::assert_snapshot!(render(&Comparison::of(&first, &second), Format::Table).unwrap());
    }

    #[test]
    fn markdown_has_the_same_table() {
        let (first, second) = runs();
        insta::assert_snapshot!(render(&Comparison::of(&first, &second), Format::Markdown).unwrap());
    }

    #[test]
    fn lines_of_json_have_the_runs_each_pair_and_what_is_left() {
        let (first, second) = runs();
        let text = render(&Comparison::of(&first, &second), Format::Jsonl).unwrap();
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let records: Vec<&str> = lines.iter().map(|line| line["record"].as_str().unwrap()).collect();
        assert_eq!(records, ["comparison", "pair", "pair", "pair", "unmatched"]);
        assert_eq!(lines[0]["differences"]["governor"], json!(["ondemand", "performance"]));
        assert_eq!(
            (&lines[2]["verdict"], lines[2]["ratio"].as_f64().map(|it| (it * 1e6).round())),
            (&json!("faster"), Some(1.08e6))
        );
        assert!(lines[2]["ratio_low"].as_f64().unwrap() > 1.0 && lines[2]["p"].as_f64().unwrap() < 0.05);
        assert_eq!((&lines[4]["only_in"], &lines[4]["test"]), (&json!("a"), &json!("tg128 @ d1024")));
    }

    #[test]
    fn runs_that_have_nothing_in_common_say_so() {
        let (first, mut second) = runs();
        second.cases.iter_mut().for_each(|case| case.n_threads = 7);
        let text = render(&Comparison::of(&first, &second), Format::Table).unwrap();
        assert!(
            text.contains("none of their tests are the same")
                && text.contains("only in B: pp512 of tiny-Q4_0 with 7 threads")
        );
        assert!(render(&Comparison::of(&first, &second), Format::Html).is_err());
    }

    #[test]
    fn runs_without_speeds_say_that_these_are_compared() {
        let (mut first, _) = runs();
        first.cases.iter_mut().for_each(|case| case.avg_ts = None);
        let text = render(&Comparison::of(&first, &first), Format::Table).unwrap();
        assert!(text.contains("has a speed in tokens per second") && text.contains("`tuichat bench MODEL`"), "{text}");
    }
}
