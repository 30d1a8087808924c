//! `bench --tune`: how many threads are the fastest with a model, as a table of all that were tried.

use serde::Serialize;

use super::Ended;
use super::report::Report;
use super::table::Table;
use crate::engine::lab::Lab;
use crate::engine::tuning::{Outcome, Times, median};
use crate::hardware::cores::{CoreChoice, Crew};

/// Tries numbers of threads with a model, remembers the fastest, and says what was tried and chosen.
///
/// # Errors
/// If it was stopped, the model fails or a record cannot be written.
pub fn run(lab: &Lab, report: &Report) -> Result<String, Ended> {
    let tell = |threads: u32| report.progress(&format!("{}: {}", lab.subject().name, threads_word(threads)));
    let (outcome, choice) = lab.tune(&tell)?;
    for (crew, times) in &outcome.tried {
        report.record(lab.subject(), &Record::of(crew, times, &outcome))?;
    }
    report.clear();
    Ok(render(&title(lab), &outcome, &choice))
}

fn title(lab: &Lab) -> String {
    let subject = lab.subject();
    format!("{} ({} {}, {})\n", subject.name, subject.architecture, subject.quantization, subject.backend)
}

/// Threads that were tried.
#[derive(Serialize)]
struct Record {
    test: &'static str,
    tried_threads: u32,
    cores: String,
    decode_tokens_per_second: Option<f64>,
    prefill_tokens_per_second: Option<f64>,
    chosen_for_decode: bool,
    chosen_for_prefill: bool,
    /// Something else was computing, so it is not remembered.
    is_disturbed: bool,
}

impl Record {
    fn of(crew: &Crew, times: &Times, outcome: &Outcome) -> Self {
        Self {
            test: "tune",
            tried_threads: crew.threads,
            cores: crew.cores.to_string(),
            decode_tokens_per_second: speed(&times.decode),
            prefill_tokens_per_second: speed(&times.prefill),
            chosen_for_decode: outcome.crews.decode == *crew,
            chosen_for_prefill: outcome.crews.prefill == *crew,
            is_disturbed: outcome.is_disturbed,
        }
    }
}

/// Tokens per second, by the median of what a token took.
fn speed(seconds: &[f64]) -> Option<f64> {
    median(seconds.to_vec()).map(|seconds| 1.0 / seconds)
}

fn render(title: &str, outcome: &Outcome, choice: &CoreChoice) -> String {
    let mut table = Table::new(["threads", "cores", "answers tok/s", "prompts tok/s"]);
    for (crew, times) in &outcome.tried {
        let cell = |seconds: &[f64], chosen: &Crew| {
            let mark = if chosen == crew { "* " } else { "" };
            speed(seconds).map_or_else(|| "–".into(), |speed| format!("{mark}{speed:.1}"))
        };
        table.push(vec![
            crew.threads.to_string(),
            crew.cores.to_string(),
            cell(&times.decode, &outcome.crews.decode),
            cell(&times.prefill, &outcome.crews.prefill),
        ]);
    }
    let last = match outcome.is_disturbed {
        true => "something else was computing meanwhile, so this is not remembered; try again when the machine is idle",
        false => &choice.reason,
    };
    format!("{title}{}{last}\n", table.render())
}

fn threads_word(threads: u32) -> String {
    format!("trying {threads} thread{}", if threads == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hardware::cores::{CoreSet, Cpu, Crews};

    #[test]
    fn the_table_marks_what_was_chosen_for_answers_and_for_prompts() {
        let crew = |threads, cores| Crew { threads, cores: CoreSet::parse(cores).unwrap() };
        let (fast, all) = (crew(4, "4-7"), crew(8, "0-7"));
        let times = |decode, prefill| Times { decode: vec![decode], prefill: vec![prefill], share: vec![1.0] };
        let outcome = Outcome {
            tried: vec![(fast, times(0.1, 0.02)), (all, times(0.2, 0.01))],
            crews: Crews { decode: fast, prefill: all },
            is_disturbed: false,
        };
        let text = render("Tiny\n", &outcome, &Cpu::default().measured(outcome.crews));
        assert_eq!(
            text,
            "Tiny\nthreads  cores  answers tok/s  prompts tok/s\n4          4-7         * 10.0           50.0\n8          0-7            5.0        * 100.0\n4 threads for answers and 8 for prompts on cores 4-7 and 0-7: the fastest of those that were tried with this model\n"
        );
        let disturbed = Outcome { is_disturbed: true, ..outcome };
        let text = render("Tiny\n", &disturbed, &Cpu::default().measured(disturbed.crews));
        assert!(text.ends_with("try again when the machine is idle\n"), "{text}");
    }
}
