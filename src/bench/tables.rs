//! A run as tables, by its suite.

use super::record::Run;
use super::reports::Trust;
use super::{cold, fit, kv, quant, reports, soak, spec, speed, tune};
use crate::text::escape_line;

/// Tables of a run that was read.
pub fn of(run: &Run) -> String {
    let head = &run.head;
    let version = if head.tuichat.is_empty() { head.llama_cpp.clone() } else { format!("tuichat {}", head.tuichat) };
    let about = escape_line(&format!("{} · {} · {version}", head.id, head.machine.line())) + "\n";
    let tables = match run.head.suite.as_str() {
        "quick" | "depth" | "threads" | "sbc" => speed::render(run),
        "quant" => quant::render(run),
        "kv" => kv::render(run),
        "spec" => spec::render(run),
        "cold" => cold::render(run),
        "soak" => soak::render(run),
        "fit" => fit::render(run),
        "tune" => tune::render(run),
        _ => reports::plain(run),
    };
    about + &tables + &partly(run)
}

/// What there is to say of a run that was stopped or killed, or that failed.
fn partly(run: &Run) -> String {
    let verdict = reports::verdict(run);
    if verdict.trust == Trust::Partial { verdict.sentence + "\n" } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::record::tests::{case, empty};
    use crate::bench::record::{BeforeAndAfter, Condition, End, Line, Status};

    #[test]
    fn a_run_that_did_not_come_to_its_end_says_so_and_others_say_nothing() {
        let ended = |status: Option<Status>| {
            let mut run = empty("cold");
            run.add(Line::Case(Box::new(case("start"))));
            run.end = status.map(|status| End {
                ended: run.head.started,
                status,
                valid: true,
                doubts: Vec::new(),
                health: BeforeAndAfter { before: Condition::default(), after: Condition::default() },
                rest: Default::default(),
            });
            of(&run).lines().last().unwrap_or_default().to_owned()
        };
        assert_eq!(ended(Some(Status::Stopped)), "1 case: it was stopped before its end");
        assert_eq!(ended(Some(Status::Failed)), "1 case: it failed before its end");
        assert_eq!(ended(None), "1 case: the run has no end, so it was killed or is still being written");
        assert!(!ended(Some(Status::Whole)).contains("1 case"), "{}", ended(Some(Status::Whole)));
    }
}
