//! About how long a search takes, before anything is timed.

use super::Settings;
use super::setting::{Given, Setting, Space};
use super::sweep;
use super::tuner::{self, ANSWERS};
use crate::bench::outlook::{Known, Outlook, Step};
use crate::engine::{KvType, KvTypes};

/// What a search takes of the time that five turns with each setting would, where timings vary as they usually do.
const PART: f64 = 0.12;
const ROUNDS: f64 = 5.0;

/// All that can be tried is taken to be open.
pub fn of(settings: &Settings, known: &Known<'_>) -> Outlook {
    let prompt = tuner::prompt(known.trained, known.pace.map(|pace| pace.reading(1, 0)));
    let space = Space::of(&Given {
        cpu: known.cpu,
        threads: None,
        types: None,
        guesses: None,
        may_guess: true,
        may_go_without_attention: true,
        borne: &[KvTypes { k: KvType::Q8, v: KvType::Q8 }],
        prompt,
        is_on_gpu: false,
    });
    let all = space.all();
    let turn = |setting: &Setting| {
        let pace = known.pace?;
        let reading = pace.reading(prompt, 0) * known.slower(&setting.crews.prefill);
        Some(reading + pace.writing(ANSWERS.1, prompt) * known.slower(&setting.crews.decode))
    };
    let round: Option<f64> = all.iter().map(turn).sum();
    let usual = turn(&space.usual);
    let swept = round.zip(usual).map(|(round, usual)| round * f64::from(settings.rounds) + usual * sweep::DUEL_TURNS);
    let searched = round.map(|round| PART * ROUNDS * round);
    let step = Step {
        test: format!("each of up to {} settings", all.len()),
        rounds: settings.rounds,
        n_prompt: prompt,
        n_gen: ANSWERS.1,
        ..Step::default()
    };
    match settings.exhaustive {
        true => Outlook {
            steps: vec![step],
            seconds: searched.zip(swept).map(|(searched, swept)| searched + swept),
            ..Outlook::default()
        },
        false => Outlook { steps: Vec::new(), seconds: searched, ..Outlook::default() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::outlook::Pace;
    use crate::bench::tune::synthetic::plain;
    use crate::engine::protocol::Speculate;
    use crate::models::fit::Speed;

    #[test]
    fn a_search_takes_a_part_of_what_every_setting_takes() {
        let cpu = plain(2);
        let usual = cpu.candidates()[0];
        let pace = Some(Pace::Speed(Speed { decode: 32.0, prefill: Some(256.0) }));
        let known = Known { cpu: &cpu, usual, trained: 4096, pace, has_power: false };
        let of = |exhaustive| of(&Settings { exhaustive, rounds: 5, spec: Speculate::Auto }, &known);
        let (short, long) = (of(false), of(true));
        // A turn takes three seconds, or half as much more in the mean over one thread and two.
        let (searched, all) = (short.seconds.unwrap(), long.seconds.unwrap());
        assert!((searched - 0.12 * 5.0 * 48.0 * 4.5).abs() < 1e-6, "{searched}");
        assert!((all - searched - 5.0 * 48.0 * 4.5 - 48.0 * 3.0).abs() < 1e-6, "{all}");
        assert_eq!((short.steps.len(), long.steps[0].test.as_str()), (0, "each of up to 48 settings"));
        assert_eq!(
            super::of(&Settings { exhaustive: true, rounds: 5, spec: Speculate::Auto }, &Known { pace: None, ..known })
                .seconds,
            None
        );
    }
}
