//! The suite `quant`: one model in several formats of numbers, how fast each is and what it still can. With one file, it
//! is written anew in other formats, here and for as long as it takes; with several, they are compared as they are.
//! Speeds are those of the formats. What a file that was rounded already can after it was rounded again is less than what a
//! file made from the original weights can, and that is said.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Map, Value};

use super::Ended;
use super::outlook::{Known, Outlook, Step};
use super::quality;
use super::record::{Case, Run};
use super::report::Report;
use super::speed::{self, memory, number, trusted};
use super::suite::{self, Measurement, Models};
use super::table::Table;
use crate::engine::lab::{Format, Lab, quantize};
use crate::engine::protocol::LoadSettings;
use crate::exit::Failure;
use crate::models::{check_space, create_private};
use crate::text::{cause, file_size};

/// Under this name a case says from which format its file was rounded.
const FROM: &str = "requantised_from";

/// The suite.
pub struct Quant {
    pub settings: speed::Settings,
    /// Into which a single file is written.
    pub formats: Vec<Format>,
    /// Where files lie while they are measured.
    pub folder: PathBuf,
}

impl Measurement for Quant {
    fn settings(&self) -> Map<String, Value> {
        let mut settings = suite::settings(&self.settings);
        settings.insert("formats".into(), serde_json::to_value(&self.formats).unwrap_or_default());
        settings
    }

    fn measure(&mut self, models: &Models<'_>, report: &Report) -> Result<(), Ended> {
        let mut formats = Vec::new();
        models.each(report, |lab| {
            formats.push(lab.subject().quantization.clone());
            speed::measure(lab, &self.settings, &Map::new(), models.cancel, report)
        })?;
        let ([model], [given]) = (models.all, &formats[..]) else { return Ok(()) };
        for &format in self.formats.iter().filter(|format| format.as_str() != given) {
            self.requantised(model, given, format, models, report)?;
        }
        // Nothing about the file that was given has changed.
        models.each(report, |lab| speed::look_again(lab, &self.settings, report))
    }

    fn outlook(&self, known: &Known<'_>) -> Outlook {
        let of_one = speed::outlook_of(&self.settings, known);
        // How long it takes to write a model anew is not known.
        let named = |format: &Format| {
            let name = move |step: &Step| Step { test: format!("{}, {}", step.test, format.as_str()), ..step.clone() };
            of_one.steps.iter().map(name).collect::<Vec<_>>()
        };
        Outlook { steps: self.formats.iter().flat_map(named).collect(), seconds: None, ..Outlook::default() }
    }

    fn has_speeds(&self) -> bool {
        true
    }

    fn tables(&self, run: &Run) -> String {
        render(run)
    }
}

impl Quant {
    /// Writes the model in this format, measures it, and removes it.
    fn requantised(
        &self,
        model: &LoadSettings,
        given: &str,
        format: Format,
        models: &Models<'_>,
        report: &Report,
    ) -> Result<(), Ended> {
        let stem = model.path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let folder = Written::folder(&self.folder)?;
        let path = folder.0.path().join(format!("{stem}-as-{}.gguf", format.as_str()));
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if report.run().cases.iter().any(|case| case.model() == name && case.test == quality::WORD) {
            return Ok(());
        }
        report.progress(&format!("writing it as {}", format.as_str()));
        let bytes = std::fs::metadata(&model.path).map_or(0, |file| file.len());
        // The largest format takes twice as much as the usual ones.
        check_space(folder.0.path(), bytes.saturating_mul(2)).map_err(Failure::from)?;
        let threads =
            model.threads.unwrap_or_else(|| crate::hardware::cores::this_machine().choose(None).crews.prefill.threads);
        if let Err(words) = quantize(&model.path, &path, format, threads) {
            report.note(&format!("note: {} is left out: {words}", format.as_str()));
            return Ok(());
        }
        if models.cancel.is_cancelled() {
            return Err(Ended::Stopped);
        }
        let name = model.name.as_ref().map(|name| format!("{name} as {}", format.as_str()));
        let lab = Lab::open(&LoadSettings { path, name, ..model.clone() }, models.cancel)?;
        let extra = [(FROM.to_owned(), Value::from(given))].into_iter().collect();
        speed::measure(&lab, &self.settings, &extra, models.cancel, report)
    }
}

/// A folder that is gone with what is in it when this is.
struct Written(tempfile::TempDir);

impl Written {
    fn folder(within: &Path) -> Result<Self, Failure> {
        let made = create_private(within).and_then(|()| tempfile::tempdir_in(within));
        left_behind(within).for_each(|folder| drop(std::fs::remove_dir_all(folder)));
        let failed = |error: &std::io::Error| {
            Failure::disk(format!("cannot write into `{}`: {}", within.display(), cause(error)))
        };
        made.map(Self).map_err(|error| failed(&error))
    }
}

/// Folders that a killed run left behind; one that is in use is younger.
fn left_behind(within: &Path) -> impl Iterator<Item = PathBuf> {
    const OLD: Duration = Duration::from_secs(24 * 60 * 60);
    let is_old = |entry: &std::fs::DirEntry| {
        let age = entry.metadata().and_then(|data| data.modified()).ok().and_then(|time| time.elapsed().ok());
        age.is_some_and(|age| age > OLD)
    };
    let entries = std::fs::read_dir(within).into_iter().flatten().flatten();
    entries.filter(is_old).map(|entry| entry.path())
}

/// All that a run of this suite came to.
pub fn render(run: &Run) -> String {
    let Some(first) = run.cases.first() else { return trusted(run) };
    let (mut text, models) = (speed::title(first), run.models());
    let of = |model: &str, wanted: fn(&Case) -> bool| {
        run.cases.iter().find(|case| {
            case.model() == model && case.text("item").is_some() == (case.test != quality::WORD) && wanted(case)
        })
    };
    let prompt = of(models[0], |case| case.n_prompt > 0).map_or_else(|| "prompt".into(), |case| case.test.clone());
    let answer = of(models[0], |case| case.n_gen > 0).map_or_else(|| "answer".into(), |case| case.test.clone());
    let (prompt, answer) = (format!("{prompt} tok/s"), format!("{answer} tok/s"));
    let has_energy = run.cases.iter().any(|case| case.joules_per_token.is_some());
    let mut headings = vec!["format", "weights", &prompt, &answer, "of bandwidth", "memory"];
    headings.extend(has_energy.then_some("J/token"));
    headings.extend(["right", "perplexity"]);
    let mut table = Table::new(headings);
    for model in &models {
        let (read, written) = (of(model, |case| case.n_prompt > 0), of(model, |case| case.n_gen > 0));
        let judged = of(model, |case| case.test == quality::WORD);
        let Some(any) = written.or(read).or(judged) else { continue };
        let mark = if any.text(FROM).is_some() { "*" } else { "" };
        let format = any.model_type.rsplit(' ').next().unwrap_or_default();
        let share = written.and_then(|case| case.share_of_bandwidth);
        let share = share.map_or_else(|| "–".into(), |share| format!("{:.0} %", share * 100.0));
        let mut row =
            vec![format!("{format}{mark}"), file_size(any.model_size), speed::speed(read), speed::speed(written)];
        row.extend([share, memory(written.or(read))]);
        row.extend(has_energy.then(|| number(written.and_then(|case| case.joules_per_token), 3)));
        let right = judged.and_then(|case| Some((case.number("n_right")?, case.number("n_questions")?)));
        row.push(right.map_or_else(|| "–".into(), |(right, of)| format!("{right}/{of}")));
        row.push(number(judged.and_then(|case| case.number("perplexity")), 2));
        table.push(row);
    }
    text += &table.render();
    if let Some(from) = run.cases.iter().find_map(|case| case.text(FROM)) {
        text += &format!(
            "* written here from {from}: as fast as such a file, but rounded twice, so worse than one made from the original weights\n"
        );
    }
    text + &speed::beside(run)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::record::Line;
    use crate::bench::record::tests::empty;
    use crate::bench::speed::tests_of::quiet;

    #[test]
    fn formats_stand_below_each_other_with_what_they_still_can() {
        let mut run = empty("quant");
        for (file, format, right) in [("tiny.gguf", "Q8_0", 30), ("tiny-as-Q4_0.gguf", "Q4_0", 3)] {
            let mut judged = quiet(&[0])[0].clone();
            judged.rest.remove("item");
            judged.rest.extend([("n_right".into(), right.into()), ("n_questions".into(), 32.into())]);
            judged.rest.insert("perplexity".into(), 12.5.into());
            let judged = Case { key: "quality".into(), test: quality::WORD.into(), n_prompt: 0, ..judged };
            for mut case in quiet(&[0]).into_iter().chain([judged]) {
                case.key = format!("{file} {}", case.key);
                case.model_filename = format!("/m/{file}");
                case.model_type = format!("llama 135.00 M {format}");
                if file != "tiny.gguf" {
                    case.rest.insert(FROM.into(), "Q8_0".into());
                }
                run.add(Line::Case(Box::new(case)));
            }
        }
        let text = render(&run);
        let lines: Vec<String> =
            text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(lines[1], "format weights pp512 tok/s tg128 tok/s of bandwidth memory J/token right perplexity");
        assert!(lines[2].starts_with("Q8_0 ") && lines[2].ends_with("0.900 30/32 12.50"), "{text}");
        assert!(lines[3].starts_with("Q4_0* ") && lines[3].ends_with("0.900 3/32 12.50"), "{text}");
        assert!(lines[4].starts_with("* written here from Q8_0"), "{text}");
    }
}
