//! A search as people read it.

use super::records::{CHOICE, SWEEP, TRIED};
use super::tuner::PROMPT_SECONDS;
use crate::bench::record::{Case, Run};
use crate::bench::speed::{title, trusted};
use crate::bench::table::Table;
use crate::text::escape_line;

/// All that a run of this suite came to.
pub fn render(run: &Run) -> String {
    let mut parts = Vec::new();
    for cases in run.by_model() {
        let of = |test: &str| cases.iter().find(|case| case.test == test).copied();
        let Some(choice) = of(CHOICE) else { continue };
        let tried: Vec<&Case> = cases.iter().filter(|case| case.test == TRIED).copied().collect();
        let swept = of(SWEEP).map(sweep).unwrap_or_default();
        parts.push(format!("{}{}{}{swept}", title(choice), table(&tried), chosen(choice)));
    }
    parts.extend(unfinished(run));
    parts.join("\n") + &trusted(run)
}

/// Models of which there are timings and no choice yet.
fn unfinished(run: &Run) -> Option<String> {
    let is_chosen = |model: &str| run.cases.iter().any(|case| case.test == CHOICE && case.model() == model);
    let model = &run.timings.iter().find(|timing| !is_chosen(&timing.model))?.model;
    let count = run.timings.iter().filter(|timing| timing.model == *model).count();
    Some(format!("{}: {count} timings so far, and nothing is chosen yet\n", escape_line(model)))
}

fn table(tried: &[&Case]) -> String {
    let mut table = Table::new(["what", "tried", "tok/s", "of", "against the usual"]);
    let mut last = "";
    for case in tried {
        let (title, is) = (case.text("title").unwrap_or_default(), |key: &str| flag(case, key));
        let mark = if is("is_chosen") && !is("is_only_told") { "* " } else { "" };
        let against = match (is("is_usual"), case.number("ratio")) {
            (false, Some(ratio)) => gain(ratio, case),
            _ => "usual".into(),
        };
        let of = match (case.n_prompt, case.n_gen) {
            (prompt, 0) => format!("pp{prompt}"),
            (0, written) => format!("tg{written}"),
            (prompt, written) => format!("pp{prompt}+tg{written}"),
        };
        table.push(vec![
            if title == last { String::new() } else { title.to_owned() },
            format!("{mark}{}", escape_line(case.text("level").unwrap_or_default())),
            case.number("tokens_per_second").map_or_else(|| "–".into(), |speed| format!("{speed:.1}")),
            of,
            against,
        ]);
        last = title;
    }
    table.render()
}

fn flag(case: &Case, key: &str) -> bool {
    case.rest.get(key).is_some_and(|value| value == true)
}

/// `+12 % (+10 … +14)`.
fn gain(ratio: f64, case: &Case) -> String {
    let percent = |ratio: f64| format!("{:+.1}", (ratio - 1.0) * 100.0);
    match (case.number("ratio_ci95_low"), case.number("ratio_ci95_high")) {
        (Some(low), Some(high)) => format!("{} % ({} … {})", percent(ratio), percent(low), percent(high)),
        _ => format!("{} %", percent(ratio)),
    }
}

fn chosen(case: &Case) -> String {
    let number = |key: &str| case.number(key).unwrap_or_default();
    let word = |key: &str| escape_line(case.text(key).unwrap_or_default());
    let crew = |threads: &str, cores: &str| match word(cores) {
        cores if cores.is_empty() => format!("{:.0}", number(threads)),
        cores => format!("{:.0} on cores {cores}", number(threads)),
    };
    let (decode, prefill) = (crew("decode_threads", "decode_cores"), crew("prefill_threads", "prefill_cores"));
    let threads = match decode == prefill {
        true => format!("threads {decode}"),
        false => format!("threads {decode} for answers and {prefill} for prompts"),
    };
    let (k, v) = (case.type_k.clone().unwrap_or_default(), case.type_v.clone().unwrap_or_default());
    let types = if k == v { k } else { format!("{k}/{v}") };
    let guesses = if flag(case, "spec") { "on" } else { "off" };
    let mut lines = vec![format!(
        "chosen: {threads}; {:.0} tokens at once; KV cache {}; guessing {guesses}",
        number("batch"),
        escape_line(&types)
    )];
    lines.push(match (flag(case, "is_usual"), flag(case, "fell_back")) {
        (_, true) => "what looked faster is not, as a whole, so it is the usual setting".into(),
        (true, false) => "that is the usual setting: nothing else is faster".into(),
        (false, false) => format!(
            "against the usual setting: {} tokens per second in a turn of {} tokens and an answer of {}",
            gain(number("ratio"), case),
            case.n_prompt,
            case.n_gen
        ),
    });
    lines.extend(untried(case));
    lines.push(format!("{:.0} timings in {:.0} seconds", number("timings"), number("seconds")));
    lines.push(match (flag(case, "is_disturbed"), flag(case, "is_remembered")) {
        (true, _) => {
            "something else was computing meanwhile, so this is not remembered; try again when the machine is idle"
                .into()
        }
        (false, true) => "chats and `-p` with this model use it from now on, unless you set something else".into(),
        (false, false) => "it is not remembered, since `private` is set".into(),
    });
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// What could not be told, or was taken to be so.
fn untried(case: &Case) -> Vec<String> {
    let mut lines = Vec::new();
    let set: Vec<String> = case
        .rest
        .get("set")
        .and_then(|set| set.as_array())
        .into_iter()
        .flatten()
        .filter_map(|set| set.as_str().map(escape_line))
        .collect();
    if !set.is_empty() {
        lines.push(format!("not tried, because you have set it: {}", set.join(", ")));
    }
    if let Some(tokens) = case.number("untold_batches") {
        lines.push(format!(
            "more than {tokens:.0} tokens at once were not compared: a longer prompt than that takes more than \
             {PROMPT_SECONDS:.0} seconds here, or is more than the model takes"
        ));
    }
    if let Some(part) = case.number("repeated_part") {
        lines.push(format!(
            "guesses are taken to be right in {:.0} % of an answer, which depends on what is written; `--suite spec` \
             measures it",
            part * 100.0
        ));
    }
    lines
}

fn sweep(case: &Case) -> String {
    let number = |key: &str| case.number(key).unwrap_or_default();
    let (count, seconds) = (number("combinations"), number("seconds"));
    let best = match flag(case, "is_the_choice") {
        true => format!("the chosen setting is the best of all {count:.0}, timed in turn with the next best once more"),
        false => format!(
            "the best of all {count:.0} settings, timed in turn with the chosen one once more: {} ({})",
            gain(number("ratio"), case),
            escape_line(case.text("best").unwrap_or_default())
        ),
    };
    let (loss, part) = (number("loss") * 100.0, number("search_part") * 100.0);
    format!("{best}\nthe search lost {loss:.1} % and took {part:.0} % of the {seconds:.0} seconds that all took\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::record::Line;
    use crate::bench::record::tests::empty;
    use crate::bench::report::Report;
    use crate::bench::tune::records::{Choice, Swept, Tried};
    use crate::bench::tune::setting::{Given, Space, Workload};
    use crate::bench::tune::sweep::Sweep;
    use crate::bench::tune::synthetic::{Machine, Noise, WORKLOAD, given, plain, search};

    /// The run of a search on a machine that is made up.
    fn run(given: &Given<'_>, machine: &mut Machine<'_>, exhaustive: bool) -> Run {
        let found = search(machine, Space::of(given));
        let report = Report::new(empty("tune"), None, None, true);
        let subject = crate::bench::report::subject_of(&Case {
            model_filename: "tiny.gguf".into(),
            model_type: "llama 134.52 M Q4_1".into(),
            n_threads: 2,
            ..Case::default()
        });
        for tried in Tried::all(&found, WORKLOAD) {
            report.case(&subject, &tried.key(), &tried).unwrap();
        }
        let choice = Choice::of(&found, WORKLOAD, Some((100.0, 10.0))).measured(61.4, false, true);
        report.case(&subject, CHOICE, &choice).unwrap();
        if exhaustive {
            let mut sweep = Sweep::new(found.space(), found.chosen(), 3);
            while let Some(trial) = sweep.next() {
                sweep.took(machine.time(&trial));
            }
            report.case(&subject, SWEEP, &Swept::of(&sweep, &found.space().open(), 61.4, 400.0)).unwrap();
        }
        report.run().clone()
    }

    #[test]
    fn the_page_tells_what_was_tried_what_it_gains_and_what_is_chosen() {
        let cpu = plain(2);
        let mut machine = Machine { best_batch: 256, noise: Noise::BothWays(0.01), ..Machine::quiet(&cpu) };
        insta::assert_snapshot!(render(&run(&given(&cpu), &mut machine, true)));
    }

    #[test]
    fn what_somebody_has_set_and_what_was_not_remembered_is_said() {
        let cpu = plain(2);
        let set = Given { threads: Some(2), guesses: Some(false), ..given(&cpu) };
        let mut run = run(&set, &mut Machine::quiet(&cpu), false);
        let page = render(&run);
        assert!(page.contains("you have set it: threads: 2 on 0-1, guessing tokens: off"), "{page}");
        assert!(page.contains("nothing else is faster") && !page.contains("guesses are taken"), "{page}");
        let choice = run.cases.iter_mut().find(|case| case.test == CHOICE).unwrap();
        choice.rest.insert("is_disturbed".into(), true.into());
        assert!(render(&run).contains("not remembered; try again when the machine is idle"));
        run.add(Line::Done { unit: String::new() });
    }

    #[test]
    fn what_a_short_prompt_does_not_tell_is_said() {
        let cpu = plain(2);
        let slow = Given { prompt: 128, ..given(&cpu) };
        let workload = Workload { prompt: 128, answer: 32 };
        let found = search(&mut Machine::quiet(&cpu), Space::of(&slow));
        let choice = serde_json::to_value(Choice::of(&found, workload, None)).unwrap();
        assert_eq!(choice["untold_batches"], 128);
        assert!(Tried::all(&found, workload).iter().all(|tried| !tried.key().starts_with("tokens at once")));
        let case = serde_json::from_value(choice).unwrap();
        assert!(untried(&case).concat().contains("more than 128 tokens at once were not compared"));
    }
}
