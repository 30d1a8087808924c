//! The list of models to choose among, over the chat: a row for each, and what is known of the chosen one below.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::Paragraph;
use unicode_width::UnicodeWidthStr;

use crate::models::fit::Verdict;
use crate::models::offers::{Offer, Place};
use crate::models::{Progress, Step};
use crate::text::{escape_line, file_size};
use crate::ui::app::{App, Picker, Stopped};
use crate::ui::transcript::wrap;

use super::popups::{Extent, open_box};
use super::{duration, field, fitted};

/// Below so many rows nothing is left free between the list and what is known of the chosen model.
const ROWS_FOR_A_GAP: usize = 10;
/// Rows of what is known of the chosen model.
const MOST_WORDS: usize = 4;
/// A name may take so many columns before the columns beside it give way.
const NAME_WIDTH: usize = 24;
const RECOMMENDED: &str = "  recommended";
const RECOMMENDED_BRIEFLY: &str = "  best";
/// Columns before a name.
const MARK: usize = 2;
const GAP: usize = 2;

pub fn draw(app: &App, picker: &Picker, screen: Rect, frame: &mut Frame) {
    let theme = app.theme();
    let offers = picker.matching(app.offers().unwrap_or_default());
    let mut table = Table::new(app, &offers);
    let extent = Extent { rows: offers.len().max(1) + 2 + MOST_WORDS, columns: table.columns(), hangs: false };
    let inside = open_box("Choose a model", keys(app, screen.width), extent, theme, screen, frame);
    if inside.is_empty() {
        return;
    }
    field::draw("filter: ", &picker.filter, theme.accent, inside, frame);
    let below = Rect { y: inside.y + 1, height: inside.height - 1, ..inside };
    if offers.is_empty() {
        let words = match app.offers() {
            None => "looking for models",
            Some([]) => "there are none",
            Some(_) if picker.filter.text().starts_with("hf:") => {
                "Esc, then `/model hf:OWNER/REPO`, gets it from the hub"
            }
            Some(_) => "no model matches",
        };
        frame.render_widget(Paragraph::new(words).style(theme.dim), below);
        return;
    }
    table.fit(below.width.into());
    let words = table.words(picker.chosen, usize::from(below.height));
    let gap = usize::from(usize::from(inside.height) >= ROWS_FOR_A_GAP && !words.is_empty());
    let height = usize::from(below.height).saturating_sub(words.len() + gap);
    let first = (picker.chosen + 1).saturating_sub(height);
    let lines: Vec<Line> =
        (first..offers.len()).take(height).map(|row| table.line(row, row == picker.chosen)).collect();
    frame.render_widget(Paragraph::new(lines), below);
    let rows = words.len() as u16;
    let place = Rect { y: below.bottom().saturating_sub(rows), height: rows, ..below }.intersection(below);
    frame.render_widget(Paragraph::new(words.join("\n")).style(theme.dim), place);
}

/// The most helpful words that fit under the list.
fn keys(app: &App, width: u16) -> &'static str {
    let choices = match app.download() {
        Some(_) => ["Enter chooses, Del stops the download, typing filters, Esc closes", "Del stops it, Esc closes"],
        None => ["Enter chooses, typing filters, Esc closes", "Enter chooses, Esc closes"],
    };
    let room = usize::from(width).saturating_sub(8);
    choices.into_iter().find(|words| words.width() <= room).unwrap_or(choices[1])
}

/// The rows, with as many columns as there is room for.
struct Table<'a> {
    app: &'a App,
    offers: &'a [&'a Offer],
    width: usize,
    /// The cells beside the names, and how wide each column of them is.
    cells: Vec<Vec<String>>,
    widths: Vec<usize>,
    /// Some columns are left out.
    is_narrow: bool,
}

impl<'a> Table<'a> {
    fn new(app: &'a App, offers: &'a [&'a Offer]) -> Self {
        let cells: Vec<Vec<String>> = offers.iter().map(|offer| cells(app, offer).into()).collect();
        let widths = (0..3).map(|column| cells.iter().map(|row| row[column].width()).max().unwrap_or(0)).collect();
        Self { app, offers, width: 0, cells, widths, is_narrow: false }
    }

    /// Columns in which nothing has to be cut.
    fn columns(&self) -> usize {
        self.columns_beside() + self.longest(|offer| name_width(offer) + recommended(offer).len())
    }

    fn columns_beside(&self) -> usize {
        MARK + self.widths.iter().filter(|width| **width > 0).map(|width| width + GAP).sum::<usize>()
    }

    fn longest(&self, columns: impl Fn(&Offer) -> usize) -> usize {
        self.offers.iter().map(|offer| columns(offer)).max().unwrap_or(0)
    }

    /// Leaves columns out that have no room.
    fn fit(&mut self, width: usize) {
        self.width = width;
        let name = self.longest(|offer| name_width(offer).min(NAME_WIDTH));
        while self.widths.len() > 1 && self.columns_beside() + name > width {
            self.widths.pop();
            self.is_narrow = true;
        }
        let columns = self.widths.len();
        self.cells.iter_mut().for_each(|row| row.truncate(columns));
    }

    /// Columns for a name and what is said behind it.
    fn room_for_name(&self) -> usize {
        self.width.saturating_sub(self.columns_beside())
    }

    fn line(&self, row: usize, is_chosen: bool) -> Line<'static> {
        let ascii = self.app.theme().ascii;
        let mut beside = String::new();
        for (cell, width) in self.cells[row].iter().zip(&self.widths).filter(|(_, width)| **width > 0) {
            let padding = " ".repeat(width.saturating_sub(cell.width()));
            beside.push_str(&format!("{}{cell}{padding}", " ".repeat(GAP)));
        }
        let mark = if is_chosen { "> " } else { "  " };
        let room = self.room_for_name();
        let offer = self.offers[row];
        let suffix = match recommended(offer) {
            "" => "",
            whole if name_width(offer) + whole.len() <= room => whole,
            _ => RECOMMENDED_BRIEFLY,
        };
        let name = fitted(&offer.name, room.saturating_sub(suffix.len()), ascii) + suffix;
        let gap = " ".repeat(room.saturating_sub(name.width()));
        let line = Line::raw(fitted(&format!("{mark}{name}{gap}{beside}"), self.width, ascii));
        if is_chosen { line.style(self.app.theme().selection) } else { line }
    }

    /// What is known of an offer, folded into so many rows that the list keeps most of `height`.
    fn words(&self, row: usize, height: usize) -> Vec<String> {
        let Some(offer) = self.offers.get(row) else { return Vec::new() };
        let sentences = self.sentences(offer).into_iter().filter(|sentence| !sentence.is_empty());
        let text = sentences.map(|sentence| format!("{sentence}.")).collect::<Vec<_>>().join(" ");
        let mut lines = wrap(&text, self.width.max(1));
        let most = (height * 3 / 7).min(MOST_WORDS);
        if lines.len() > most {
            lines.truncate(most);
            let dots = if self.app.theme().ascii { "~" } else { "…" };
            if let Some(last) = lines.last_mut() {
                *last = fitted(last, self.width.saturating_sub(1), self.app.theme().ascii) + dots;
            }
        }
        lines
    }

    fn sentences(&self, offer: &Offer) -> Vec<String> {
        let app = self.app;
        let download = app.download().filter(|it| is_of(offer, &it.name));
        let stopped = app.stopped_download().filter(|it| is_of(offer, &it.name));
        let state = match (&offer.place, download, stopped) {
            _ if app.is_unavailable(offer) => {
                "Not here, and `offline` is set: `--offline=no` allows to get it, `tuichat models import FILE` brings a \
                 file"
                    .into()
            }
            (_, Some(download), _) => capitalised(&progress_words(download.progress.as_ref())),
            (_, None, Some(Stopped { progress: None, .. })) => "The download did not begin; Enter tries again".into(),
            (_, None, Some(Stopped { progress: Some(progress), .. })) => {
                format!("The download stopped at {} %; Enter goes on", percent(progress))
            }
            (Place::Here { .. }, ..) if app.is_in_use(offer) => "It is in use now".into(),
            (Place::Here { owner: Some(owner), .. }, ..) => format!("On this machine, of {owner}"),
            (Place::Download { bytes: Some(bytes), .. }, ..) if self.is_narrow => {
                format!("{} to download", file_size(*bytes))
            }
            _ => String::new(),
        };
        let dropped = match (offer.verdict, offer.tokens_per_second.filter(|_| self.is_narrow)) {
            (Some(verdict), Some(tokens)) => capitalised(&format!("{verdict}, {}", speed(tokens))),
            (Some(verdict), None) if self.is_narrow => capitalised(&verdict.to_string()),
            (_, Some(tokens)) => speed(tokens),
            _ => String::new(),
        };
        let recommended = if offer.is_recommended { "Recommended for this machine" } else { "" };
        let note = capitalised(offer.note.trim_end_matches('.'));
        let whole_name =
            if name_width(offer) > self.room_for_name() { escape_line(&offer.name) } else { String::new() };
        vec![whole_name, state, dropped, recommended.into(), note]
    }
}

fn name_width(offer: &Offer) -> usize {
    escape_line(&offer.name).width()
}

/// What is said behind a name.
fn recommended(offer: &Offer) -> &'static str {
    if offer.is_recommended { RECOMMENDED } else { "" }
}

/// Whether the download of this name is the offer's.
fn is_of(offer: &Offer, name: &str) -> bool {
    matches!(offer.place, Place::Download { .. }) && offer.name == name
}

/// Where a model is, how it suits this machine and how fast it is there, as far as that is known.
pub fn cells(app: &App, offer: &Offer) -> [String; 3] {
    [
        place(app, offer),
        offer.verdict.map(short).unwrap_or_default(),
        offer.tokens_per_second.map(speed).unwrap_or_default(),
    ]
}

/// Where it is, in a column.
fn place(app: &App, offer: &Offer) -> String {
    if let Some(download) = app.download().filter(|download| is_of(offer, &download.name)) {
        return download.progress.as_ref().map_or("asking".into(), |progress| format!("{} %", percent(progress)));
    }
    if app.stopped_download().is_some_and(|stopped| is_of(offer, &stopped.name) && stopped.progress.is_some()) {
        return "stopped".into();
    }
    match &offer.place {
        Place::Here { .. } | Place::Server { .. } if app.is_in_use(offer) => "in use".into(),
        Place::Server { model, .. } if model.is_empty() => "no answer".into(),
        Place::Server { host: None, .. } => "a server here".into(),
        Place::Server { host: Some(host), .. } => fitted(&format!("on {host}"), 20, app.theme().ascii),
        Place::Here { owner: None, .. } => "here".into(),
        Place::Here { owner: Some(owner), .. } => format!("here, {}", fitted(owner, 12, app.theme().ascii)),
        Place::Download { .. } if app.is_unavailable(offer) => "not here".into(),
        Place::Download { bytes: Some(bytes), .. } => file_size(*bytes),
        Place::Download { bytes: None, .. } => "download".into(),
    }
}

/// A verdict in a column.
fn short(verdict: Verdict) -> String {
    match verdict {
        Verdict::SmallerContext(_) => "smaller context".into(),
        Verdict::RunsWell | Verdict::Fits | Verdict::RunsSlowly | Verdict::DoesNotFit => verdict.to_string(),
    }
}

fn speed(tokens_per_second: f64) -> String {
    match tokens_per_second {
        ..9.95 => format!("{tokens_per_second:.1} tok/s"),
        _ => format!("{tokens_per_second:.0} tok/s"),
    }
}

fn percent(progress: &Progress) -> u64 {
    progress.done_bytes.saturating_mul(100) / progress.total_bytes.max(1)
}

/// How far a download is, in a few words.
pub fn short_progress(progress: Option<&Progress>) -> String {
    match progress {
        None => "asking the hub".into(),
        Some(Progress { step: Step::Waiting, .. }) => "waiting for another tuichat's download".into(),
        Some(progress) => {
            let doing = if progress.step == Step::Hashing { "checking" } else { "downloading" };
            format!("{doing} {} %", percent(progress))
        }
    }
}

/// How fast a download is and how long it takes, as far as that is known.
pub fn pace(progress: &Progress) -> Option<String> {
    let speed = progress.bytes_per_second.filter(|speed| *speed > 0.0 && progress.step != Step::Waiting)?;
    let left = progress.total_bytes.saturating_sub(progress.done_bytes) as f64 / speed;
    Some(format!("{}/s, {} left", file_size(speed as u64), duration(left * 1000.0)))
}

fn progress_words(progress: Option<&Progress>) -> String {
    let mut words = short_progress(progress);
    if let Some(progress) = progress.filter(|progress| progress.step != Step::Waiting) {
        words.push_str(&format!(" of {}", file_size(progress.total_bytes)));
        words.extend(pace(progress).map(|pace| format!(", {pace}")));
    }
    words
}

fn capitalised(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or(String::new(), |first| first.to_uppercase().chain(characters).collect())
}
