//! What the program does, in short sentences: when it begins to do something else, and now and then while that takes
//! long.

use std::time::{Duration, Instant};

use crate::chat::Stats;
use crate::config::Status;
use crate::ui::app::{Activity, App};
use crate::ui::view;

use super::page::sentence;

/// Nothing is said of something that takes less.
const LONG: Duration = Duration::from_secs(2);
/// How far it is, is said so often.
const AGAIN: Duration = Duration::from_secs(5);
/// A download that nothing waits for but itself takes longer.
const DOWNLOAD_AGAIN: Duration = Duration::from_secs(15);

#[derive(Clone, Debug, Default, PartialEq)]
enum Stage {
    #[default]
    Nothing,
    Downloading,
    Loading,
    Trying(String),
    Thinking,
    Answering,
    Idle,
}

/// What was said last.
#[derive(Debug, Default)]
pub struct Doing {
    stage: Stage,
    began: Option<Instant>,
    said_at: Option<Instant>,
    queued: usize,
}

impl Doing {
    /// What there is to say now.
    pub fn look(&mut self, app: &App, status: Status, now: Instant) -> Vec<String> {
        let mut said = Vec::new();
        let stage = stage(app);
        if stage != self.stage {
            let before = std::mem::replace(&mut self.stage, stage);
            self.began = Some(now);
            self.said_at = None;
            said.extend(self.begins(app, status, &before));
        } else if status == Status::Full && self.is_time(now) {
            let progress = progress(app);
            if progress.is_some() {
                self.said_at = Some(now);
            }
            said.extend(progress);
        }
        said.extend(self.waits(app, status));
        said
    }

    fn is_time(&self, now: Instant) -> bool {
        let since = |at: Option<Instant>| at.map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        let again = if self.stage == Stage::Downloading { DOWNLOAD_AGAIN } else { AGAIN };
        since(self.began) >= LONG && self.said_at.is_none_or(|at| now.saturating_duration_since(at) >= again)
    }

    fn begins(&self, app: &App, status: Status, before: &Stage) -> Option<String> {
        let was_loading = matches!(before, Stage::Loading | Stage::Trying(_));
        let name = crate::text::escape_line(app.model_name());
        match (&self.stage, status) {
            (_, Status::Off) => None,
            (Stage::Loading, Status::Full) => Some(format!("Loading the model {name}.")),
            (Stage::Trying(words), Status::Full) => Some(sentence(words)),
            (Stage::Thinking, _) => Some("Thinking.".into()),
            (Stage::Idle, Status::Full) if was_loading && app.model().is_some() => {
                Some(format!("The model {name} is ready."))
            }
            (Stage::Idle, Status::Brief) if was_loading && app.model().is_some() => Some("Ready.".into()),
            _ => None,
        }
    }

    /// A message was sent that waits.
    fn waits(&mut self, app: &App, status: Status) -> Option<String> {
        let queued = app.queued().len();
        let is_more = queued > std::mem::replace(&mut self.queued, queued);
        let is_told = is_more && status != Status::Off && app.is_answering();
        is_told.then(|| "Your message waits for the end of this answer.".into())
    }
}

fn stage(app: &App) -> Stage {
    match app.activity() {
        _ if app.is_starting() => Stage::Nothing,
        Activity::NoModel(_) if app.awaits_model() => Stage::Downloading,
        Activity::NoModel(_) => Stage::Nothing,
        Activity::Loading(_) => Stage::Loading,
        Activity::Trying(_) => Stage::Trying(view::doing(app)),
        Activity::Idle => Stage::Idle,
        Activity::Prefilling { .. } | Activity::Selecting { .. } => Stage::Thinking,
        Activity::Answering(_) | Activity::Stopping => Stage::Answering,
    }
}

/// How far it is.
fn progress(app: &App) -> Option<String> {
    let percent = |done: u32, total: u32| u64::from(done) * 100 / u64::from(total.max(1));
    match app.activity() {
        Activity::NoModel(_) => {
            let download = app.download()?;
            Some(sentence(&view::short_progress(download.progress.as_ref())))
        }
        Activity::Loading(part) => Some(format!("Loading, {:.0} %.", part * 100.0)),
        Activity::Prefilling { done, total } if *total > 0 => {
            Some(format!("Reading the prompt, {} %.", percent(*done, *total)))
        }
        Activity::Selecting { done, total } => Some(format!("Looking through the text, {} %.", percent(*done, *total))),
        _ => None,
    }
}

/// An answer has ended as it should.
pub fn done(stats: Option<&Stats>, status: Status) -> Option<String> {
    match (status, stats) {
        (Status::Off, _) => None,
        (Status::Full, Some(stats)) if stats.usage.completion_tokens > 0 => {
            let tokens = match stats.usage.completion_tokens {
                1 => "1 token".to_owned(),
                tokens => format!("{tokens} tokens"),
            };
            let speed = match stats.decode_tokens_per_second() {
                Some(speed) if speed < 9.95 => format!(", {speed:.1} per second"),
                Some(speed) => format!(", {speed:.0} per second"),
                None => String::new(),
            };
            Some(format!("Answer done, {tokens}{speed}."))
        }
        (Status::Full | Status::Brief, _) => Some("Answer done.".into()),
    }
}
