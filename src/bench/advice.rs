//! The recommendation: which model, in which format, for the best answers, for the fastest ones, and in between; how fast
//! it is here, what it draws, and how long a battery lasts. Pure. What is not known is left out, and what was not measured
//! is said not to be.

use serde::Serialize;

use super::record::{Case, Run};
use super::trust::ANCHOR;
use crate::text::escape_line;

/// Tokens per second that people read along with, ...
const READABLE: f64 = 5.0;
/// ... and that are pleasant.
const PLEASANT: f64 = 10.0;
/// What is said where nothing is known.
pub const NOTHING: &str = "there is nothing to recommend: no model that is known has room here, or nothing is known of its \
                           speed; `tuichat bench MODEL` measures one";
/// Of two that are nearly as fast as the fastest, the better one is taken.
const NEARLY: f64 = 0.8;

/// A model that has room here.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// What one types to get it.
    pub name: String,
    pub quantization: String,
    pub parameters: u64,
    pub bytes: u64,
    /// It is on this machine.
    pub is_here: bool,
    /// Tokens per second of an answer.
    pub speed: f64,
    /// They were seen here, and are no prediction.
    pub is_measured: bool,
    /// Something speaks against what was seen.
    pub is_doubtful: bool,
    pub power: Option<Power>,
}

/// What the machine drew while a model wrote.
#[derive(Clone, Debug, PartialEq)]
pub struct Power {
    pub watts: f64,
    /// What told it.
    pub source: String,
}

impl Candidate {
    /// How good its answers may be, as a rule of thumb: by its numbers, and less so where they have few bits.
    fn quality(&self) -> f64 {
        let bits = self.bytes as f64 * 8.0 / (self.parameters.max(1) as f64);
        let kept = match bits {
            bits if bits >= 6.0 => 1.0,
            bits if bits >= 4.5 => 0.95,
            bits if bits >= 4.0 => 0.9,
            bits if bits >= 3.0 => 0.6,
            _ => 0.3,
        };
        self.parameters as f64 * kept
    }
}

/// What is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Aim {
    Quality,
    Balance,
    Speed,
}

impl Aim {
    pub const ALL: [Self; 3] = [Self::Quality, Self::Balance, Self::Speed];

    fn word(self) -> &'static str {
        match self {
            Self::Quality => "quality",
            Self::Balance => "balance",
            Self::Speed => "speed",
        }
    }
}

/// What is recommended for an aim.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Advice {
    record: &'static str,
    pub aim: Aim,
    pub model: String,
    pub quantization: String,
    pub is_here: bool,
    pub tokens_per_second: f64,
    pub is_measured: bool,
    pub is_doubtful: bool,
    pub watts: Option<f64>,
    pub power_source: Option<String>,
    pub battery_hours: Option<f64>,
}

impl Advice {
    fn of(aim: Aim, candidate: &Candidate, battery_watt_hours: Option<f64>) -> Self {
        let power = candidate.power.as_ref().filter(|power| power.watts > 0.0);
        Self {
            record: "advice",
            aim,
            model: candidate.name.clone(),
            quantization: candidate.quantization.clone(),
            is_here: candidate.is_here,
            tokens_per_second: candidate.speed,
            is_measured: candidate.is_measured,
            is_doubtful: candidate.is_doubtful,
            watts: power.map(|power| power.watts),
            power_source: power.map(|power| power.source.clone()),
            battery_hours: battery_watt_hours.zip(power).map(|(hours, power)| hours / power.watts),
        }
    }

    /// `qwen2.5-1.5b-instruct at Q4_K_M, 12.3 tokens per second (measured), 6.1 watts, 8.2 hours on your battery`.
    fn sentence(&self) -> String {
        let basis = match (self.is_measured, self.is_doubtful) {
            (false, _) => "predicted",
            (true, false) => "measured",
            (true, true) => "measured, but not to be trusted",
        };
        let decimals = if self.tokens_per_second < 10.0 { 1 } else { 0 };
        let mut parts = vec![
            format!("{} at {}", escape_line(&self.model), escape_line(&self.quantization)),
            format!("{:.decimals$} tokens per second ({basis})", self.tokens_per_second),
        ];
        parts.extend(self.watts.map(|watts| format!("{watts:.1} watts")));
        parts.extend(self.battery_hours.map(|hours| format!("{hours:.1} hours on your battery")));
        parts.join(", ")
    }
}

/// What to take, for each aim; nothing if nothing has room, or no speed is known.
pub fn advise(candidates: &[Candidate], battery_watt_hours: Option<f64>) -> Vec<Advice> {
    let of = |aim| Some(Advice::of(aim, take(aim, candidates)?, battery_watt_hours));
    Aim::ALL.into_iter().filter_map(of).collect()
}

fn take(aim: Aim, candidates: &[Candidate]) -> Option<&Candidate> {
    let fastest = candidates.iter().map(|candidate| candidate.speed).max_by(f64::total_cmp)?;
    let least = match aim {
        Aim::Quality => READABLE,
        Aim::Balance => PLEASANT,
        Aim::Speed => f64::INFINITY,
    };
    // Where nothing is as fast as it should be, what is nearly the fastest has to do.
    let least = least.min(fastest * NEARLY);
    let fast = candidates.iter().filter(|candidate| candidate.speed >= least);
    fast.max_by(|one, other| {
        let worth = |it: &Candidate| (it.quality(), it.is_here, it.speed);
        let ((a, b, c), (x, y, z)) = (worth(one), worth(other));
        a.total_cmp(&x).then(b.cmp(&y)).then(c.total_cmp(&z))
    })
}

/// The recommendation as people read it; `machine` is a line about it.
pub fn render(machine: &str, advice: &[Advice]) -> String {
    let mut lines: Vec<(Vec<&str>, &Advice)> = Vec::new();
    for one in advice {
        match lines.iter_mut().find(|(_, other)| (&other.model, &other.quantization) == (&one.model, &one.quantization))
        {
            Some((aims, _)) => aims.push(one.aim.word()),
            None => lines.push((vec![one.aim.word()], one)),
        }
    }
    if lines.is_empty() {
        return format!("{NOTHING}\n");
    }
    let mut text = format!("on this machine ({}):\n", escape_line(machine));
    for (aims, one) in &lines {
        text += &format!("  for {}: {}\n", list(aims), one.sentence());
    }
    let mut sources: Vec<&str> = advice.iter().filter_map(|one| one.power_source.as_deref()).collect();
    sources.dedup();
    for source in sources {
        text += &format!("watts while it writes, as told by {}\n", escape_line(source));
    }
    let missing: Vec<&str> = lines.iter().filter(|(_, one)| !one.is_here).map(|(_, one)| one.model.as_str()).collect();
    for model in missing {
        text += &format!("`tuichat models pull {0}` gets {0}, which is not here yet\n", escape_line(model));
    }
    if let Some((_, one)) = lines.iter().find(|(_, one)| one.is_here && (!one.is_measured || one.is_doubtful)) {
        let model = escape_line(&one.model);
        text += &match one.is_measured {
            true => format!("`tuichat bench {model}` measures again, best on a machine that does nothing else\n"),
            false => format!("`tuichat bench {model}` measures instead of predicting\n"),
        };
    }
    text
}

fn list(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [more @ .., last] => format!("{} and {last}", more.join(", ")),
    }
}

/// What a kept run says of how fast a model writes, with nothing before it: tokens per second, and what that drew.
pub fn measured(run: &Run, model: &str) -> Option<(f64, Option<Power>)> {
    let is_plain = |case: &&Case| {
        case.model() == model
            && case.runtime == super::record::TUICHAT
            && case.test != ANCHOR
            && case.n_gen > 0
            && case.n_depth == 0
    };
    let case = run.cases.iter().filter(is_plain).find(|case| case.avg_ts.is_some())?;
    let speed = case.avg_ts?;
    let power = case.joules_per_token.map(|joules| Power {
        watts: joules * speed,
        source: case.text("power_source").unwrap_or("the machine").to_owned(),
    });
    Some((speed, power))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::record::tests::{case, empty};

    /// A model of so many millions of parameters in about so many bits each.
    fn candidate(name: &str, millions: u64, bits: u64, speed: f64) -> Candidate {
        Candidate {
            name: name.into(),
            quantization: format!("Q{bits}_K"),
            parameters: millions * 1_000_000,
            bytes: millions * 1_000_000 * bits / 8,
            is_here: false,
            speed,
            is_measured: false,
            is_doubtful: false,
            power: None,
        }
    }

    fn taken(candidates: &[Candidate]) -> Vec<String> {
        advise(candidates, None).into_iter().map(|advice| format!("{} {}", advice.model, advice.quantization)).collect()
    }

    #[test]
    fn the_best_that_can_be_read_along_the_best_that_is_pleasant_and_the_fastest() {
        let board = [
            candidate("tiny", 135, 8, 60.0),
            candidate("small", 360, 5, 30.0),
            candidate("middle", 1500, 5, 11.0),
            candidate("large", 3000, 5, 5.5),
            candidate("huge", 7000, 5, 2.2),
        ];
        assert_eq!(taken(&board), ["large Q5_K", "middle Q5_K", "tiny Q8_K"]);
        assert_eq!(taken(&board[..1]), ["tiny Q8_K"; 3]);
        assert!(taken(&[]).is_empty());
    }

    #[test]
    fn where_all_are_slow_the_better_of_the_fastest_have_to_do() {
        let slow =
            [candidate("small", 360, 5, 3.0), candidate("middle", 500, 5, 2.6), candidate("large", 3000, 5, 0.4)];
        assert_eq!(taken(&slow), ["middle Q5_K"; 3]);
    }

    #[test]
    fn a_larger_model_in_few_bits_is_not_better_than_a_smaller_one_in_many() {
        let both = [candidate("large", 2000, 2, 20.0), candidate("small", 1500, 5, 20.0)];
        assert_eq!(taken(&both)[0], "small Q5_K");
        let formats = [candidate("one", 1500, 4, 20.0), candidate("one", 1500, 8, 12.0)];
        assert_eq!(taken(&formats)[..2], ["one Q8_K", "one Q8_K"]);
    }

    #[test]
    fn watts_and_hours_are_told_where_they_are_known_and_left_out_where_not() {
        let measured = Candidate {
            is_here: true,
            is_measured: true,
            power: Some(Power { watts: 6.0, source: "the battery".into() }),
            ..candidate("middle", 1500, 5, 11.0)
        };
        let all = [candidate("large", 3000, 5, 5.5), measured, candidate("tiny", 135, 8, 61.4)];
        let advice = advise(&all, Some(50.0));
        insta::assert_snapshot!(render("Raspberry Pi 5 Model B, 4 Cortex-A76, 7.9 GiB", &advice), @r"
        on this machine (Raspberry Pi 5 Model B, 4 Cortex-A76, 7.9 GiB):
          for quality: large at Q5_K, 5.5 tokens per second (predicted)
          for balance: middle at Q5_K, 11 tokens per second (measured), 6.0 watts, 8.3 hours on your battery
          for speed: tiny at Q8_K, 61 tokens per second (predicted)
        watts while it writes, as told by the battery
        `tuichat models pull large` gets large, which is not here yet
        `tuichat models pull tiny` gets tiny, which is not here yet
        ");
        assert_eq!(advise(&all, None)[1].battery_hours, None);
        let same = render("a board", &advise(&all[1..2], None));
        assert!(
            same.contains(
                "for quality, balance and speed: middle at Q5_K, 11 tokens per second (measured), 6.0 watts\n"
            ),
            "{same}"
        );
        let doubtful = Candidate { is_doubtful: true, ..all[1].clone() };
        let told = render("a board", &advise(&[doubtful], None));
        assert!(
            told.contains("(measured, but not to be trusted)") && told.contains("`tuichat bench middle`"),
            "{told}"
        );
        let nothing = render("a board", &[]);
        assert!(
            nothing.starts_with("there is nothing to recommend") && nothing.contains("`tuichat bench"),
            "{nothing}"
        );
    }

    #[test]
    fn a_run_tells_how_fast_a_model_wrote_and_what_that_drew() {
        let mut run = empty("quick");
        let speed = |key: &str, n_gen, n_depth, speed| crate::bench::record::Case {
            model_filename: "/models/m.gguf".into(),
            runtime: crate::bench::record::TUICHAT.into(),
            n_gen,
            n_depth,
            avg_ts: Some(speed),
            joules_per_token: Some(0.5),
            ..case(key)
        };
        run.cases =
            vec![speed("pp512", 0, 0, 400.0), speed("tg128 @ d512", 128, 512, 10.0), speed("tg128", 128, 0, 12.0)];
        let (seen, power) = measured(&run, "m.gguf").unwrap();
        assert_eq!((seen, power.unwrap().watts), (12.0, 6.0));
        assert_eq!(measured(&run, "other.gguf"), None);
        run.cases[2].runtime = "ollama".into();
        assert_eq!(measured(&run, "m.gguf"), None);
    }
}
