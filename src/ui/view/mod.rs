//! Draws the state. [`lay_out`] fits the remembered layouts to the size, [`draw`] then only reads.
//!
//! The screen from the top: transcript, what waits to be sent, notices, composer, status line. Too small a window shows the composer's last
//! rows rather than nothing, and says so when not even that is possible.

mod asking;
mod chats;
mod clusters;
mod completion;
mod composer;
mod confirm;
mod context;
mod field;
mod help;
mod palette;
mod panel;
mod picker;
mod popups;
mod queue;
mod row;
mod searching;
mod status;
mod transcript;
mod words;

pub use super::days::duration;
pub use confirm::{Facts, facts};
pub use help::{Section, commands};
pub use picker::{cells, short_progress};
pub use status::doing;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::widgets::{Clear, Paragraph};

use super::app::App;
use super::composer::Composer;
use super::theme::Theme;
use super::transcript::wrap;
use crate::text::fitted;

/// A window below this cannot be used.
const LEAST_WIDTH: u16 = 10;
const LEAST_HEIGHT: u16 = 4;
/// Longer lines of text are hard to read.
pub const MOST_TEXT_WIDTH: u16 = 120;
/// Rows of notices at once.
const MOST_NOTICE_ROWS: usize = 6;

/// Where everything is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    transcript: Rect,
    queue: Rect,
    notices: Rect,
    notice_lines: Vec<String>,
    composer: Rect,
    status: Rect,
}

/// Fits the state to a screen of this size.
pub fn lay_out(app: &mut App, area: Rect) -> Places {
    lay_out_on(app, area, area)
}

/// Fits the state to some rows of a screen of this size.
pub fn lay_out_on(app: &mut App, area: Rect, screen: Rect) -> Places {
    if is_too_small(screen) {
        return Places::default();
    }
    app.limit_popup_scroll(popups::most_scroll(app, area));
    let notice_lines = notice_lines(app, screen);
    let queued_rows = queue::rows(app, screen);
    // A picture takes half of the window at most.
    let pictures = app.picture_protocol().map(|protocol| (protocol, (area.height / 2).max(1)));
    let (transcript, composer, theme) = app.layout_parts();
    let composer_rows = composer_rows(composer, screen);
    let [above, queue, notices, composer, status] = Layout::vertical([
        Constraint::Fill(1),
        Constraint::Length(queued_rows),
        Constraint::Length(notice_lines.len() as u16),
        Constraint::Length(composer_rows),
        Constraint::Length(1),
    ])
    .areas(area);
    let text = Rect { width: above.width.min(MOST_TEXT_WIDTH), ..above };
    transcript.show_pictures(pictures);
    transcript.lay_out(text.width, text.height, theme);
    Places { transcript: text, queue, notices, notice_lines, composer, status }
}

/// How many rows the state takes that is not in the scrollback: what is written and what is being said, but not more than
/// leaves room for what was there before.
pub fn wanted_rows(app: &mut App, screen: Rect) -> u16 {
    let around = notice_lines(app, screen).len() as u16 + queue::rows(app, screen) + 1;
    let menu = completion::rows(app);
    let most = usize::from(screen.height * 2 / 3);
    let (transcript, composer, theme) = app.layout_parts();
    let text = transcript.shown_height(screen.width.min(MOST_TEXT_WIDTH), theme, most) as u16;
    (text.max(menu) + composer_rows(composer, screen) + around).min(screen.height)
}

/// Rows of the composer, with the rule above the text.
fn composer_rows(composer: &mut Composer, screen: Rect) -> u16 {
    let most = (screen.height / 3).max(2) - 1;
    composer.fit(composer::text_width(screen.width), most) + 1
}

fn is_too_small(area: Rect) -> bool {
    area.width < LEAST_WIDTH || area.height < LEAST_HEIGHT
}

/// The notices, folded; in a low window only as many as leave room for the rest.
fn notice_lines(app: &App, area: Rect) -> Vec<String> {
    let room = usize::from(area.height / 3).min(MOST_NOTICE_ROWS);
    let stops = "press Esc again to stop the download; what came of it is kept";
    let asks = [
        app.stops_download_on_escape().then(|| stops.to_owned()),
        app.leaves_on_interrupt().then(|| "press Ctrl-C again to leave".to_owned()),
    ];
    let texts = app.notices().iter().cloned().chain(asks.into_iter().flatten());
    let mut lines: Vec<String> =
        texts.flat_map(|text| wrap(&text, usize::from(area.width).saturating_sub(2))).collect();
    lines.drain(..lines.len().saturating_sub(room));
    lines
}

/// Draws the state into the frame.
pub fn draw(app: &App, places: &Places, frame: &mut Frame) {
    let area = frame.area();
    if *places == Places::default() {
        frame.render_widget(Paragraph::new("too small"), area);
        return;
    }
    let canvas = app.theme().canvas();
    if canvas != Style::default() {
        frame.buffer_mut().set_style(area, canvas);
    }
    transcript::draw(app, places.transcript, frame);
    queue::draw(app, places.queue, frame);
    draw_notices(app, places, frame);
    composer::draw(app, places.composer, frame);
    completion::draw(app, places.composer, frame);
    status::draw(app, places.status, frame);
    popups::draw(app, area, frame);
    clusters::mark_covered(frame.buffer_mut());
}

fn draw_notices(app: &App, places: &Places, frame: &mut Frame) {
    let mark = if app.theme().ascii { "! " } else { "▲ " };
    let lines = places.notice_lines.iter().enumerate();
    let text: Vec<String> =
        lines.map(|(index, line)| format!("{}{line}", if index == 0 { mark } else { "  " })).collect();
    frame.render_widget(Paragraph::new(text.join("\n")).style(app.theme().warning), places.notices);
}

/// Leaves nothing of what is drawn there but the background.
fn erase(place: Rect, theme: &Theme, frame: &mut Frame) {
    frame.render_widget(Clear, place);
    frame.buffer_mut().set_style(place, theme.canvas());
}

/// A horizontal rule with words in it, so that parts of the screen are told apart without colour. Without borders the
/// words alone.
pub fn rule(width: u16, words: &str, theme: &Theme) -> String {
    let ascii = theme.ascii;
    let dash = match (theme.borders, ascii) {
        (false, _) => " ",
        (true, true) => "-",
        (true, false) => "─",
    };
    let words = if ascii { words.replace('·', "|") } else { words.to_owned() };
    let words = fitted(&words, usize::from(width).saturating_sub(3), ascii);
    let head = if words.is_empty() { dash.to_owned() } else { format!("{dash} {words} ") };
    let rest = usize::from(width).saturating_sub(unicode_width::UnicodeWidthStr::width(head.as_str()));
    head + &dash.repeat(rest)
}

/// `text` on one line, cut or filled to this many columns.
fn padded(text: &str, width: usize, ascii: bool) -> String {
    let text = fitted(text, width, ascii);
    let gap = width.saturating_sub(unicode_width::UnicodeWidthStr::width(text.as_str()));
    text + &" ".repeat(gap)
}

/// One line in the first row of `area`, all of which has the style.
fn line(frame: &mut Frame, area: Rect, text: &str, style: Style) {
    let area = area.intersection(frame.area());
    let buffer = frame.buffer_mut();
    buffer.set_style(area, style);
    if !area.is_empty() {
        buffer.set_stringn(area.x, area.y, text, area.width.into(), style);
    }
}

#[cfg(test)]
mod examples;
#[cfg(test)]
mod gallery;
#[cfg(test)]
mod tests;
