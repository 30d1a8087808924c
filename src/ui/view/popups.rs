//! What lies over the chat: the help (`help`), the list of chats (`chats`), the search of them
//! (`searching`), the models to choose among (`picker`), and what the context
//! holds (`context`).

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::symbols::border;
use ratatui::text::Span;
use ratatui::widgets::{Block, Padding, Paragraph};

use crate::ui::app::{App, Popup};
use crate::ui::theme::Theme;

use super::{asking, chats, confirm, context, erase, fitted, help, palette, panel, picker, searching, words};

const MOST_WIDTH: u16 = 90;
/// Rows and columns that a box leaves free round itself, and those of its border.
const MARGIN: u16 = 2;
const BORDER: u16 = 2;

pub fn draw(app: &App, screen: Rect, frame: &mut Frame) {
    match app.popup() {
        Popup::Closed => {}
        Popup::Help { top, filter } => help::draw(app, *top, filter, screen, frame),
        Popup::Chats(list) => chats::draw(app, list, screen, frame),
        Popup::Search(search) => searching::draw(app, search, screen, frame),
        Popup::Models(list) => picker::draw(app, list, screen, frame),
        Popup::Confirm(question) => confirm::draw(app.theme(), question, screen, frame),
        Popup::Ask(asked) => asking::draw(app.theme(), asked, screen, frame),
        Popup::Palette(palette) => palette::draw(app, palette, screen, frame),
        Popup::Settings(panel) => panel::draw(app, panel, screen, frame),
        Popup::Words(words) => words::draw(app.theme(), words, screen, frame),
        Popup::Context { top } => context::draw(app, *top, screen, frame),
    }
}

/// On a screen as small as this there is no room for a border and a margin: what lies over the chat takes all of it.
fn is_tiny(screen: Rect) -> bool {
    screen.width < 32 || screen.height < 9
}

/// How much room a box wants for what is in it, and where it lies.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extent {
    pub rows: usize,
    /// Boxes of text are as wide as can be read; one of columns may be wider.
    pub columns: usize,
    /// It hangs from the top, and so does not jump when it gets lower; else it is in the middle.
    pub hangs: bool,
}

/// So many rows of text, in the middle.
impl From<usize> for Extent {
    fn from(rows: usize) -> Self {
        Self { rows, columns: 0, hangs: false }
    }
}

/// Columns of a box with its border.
fn width(screen: Rect, columns: usize) -> u16 {
    let wanted = u16::try_from(columns).unwrap_or(u16::MAX).saturating_add(BORDER + 2);
    screen.width.saturating_sub(MARGIN).min(MOST_WIDTH.max(wanted))
}

/// Columns inside of a box of text.
pub(super) fn inner_width(screen: Rect) -> usize {
    if is_tiny(screen) {
        return screen.width.into();
    }
    usize::from(width(screen, 0).saturating_sub(BORDER + 2))
}

/// Opens an empty box over the screen, with a border unless the person wants none; returns its inside.
pub(super) fn open_box(
    title: &str,
    bottom: &str,
    extent: impl Into<Extent>,
    theme: &Theme,
    screen: Rect,
    frame: &mut Frame,
) -> Rect {
    if is_tiny(screen) {
        let [head, inside] = Layout::vertical([Constraint::Length(1), Constraint::Fill(1)]).areas(screen);
        erase(screen, theme, frame);
        let words = fitted(&format!("{title}: {bottom}"), screen.width.into(), theme.ascii);
        frame.render_widget(Paragraph::new(words).style(theme.heading), head);
        return inside;
    }
    let Extent { rows, columns, hangs } = extent.into();
    let width = width(screen, columns);
    let height = screen.height.saturating_sub(MARGIN).min(rows.min(1000) as u16 + BORDER);
    let above = if hangs { MARGIN / 2 } else { (screen.height - height) / 2 };
    let place = Rect { x: screen.x + (screen.width - width) / 2, y: screen.y + above, width, height };
    let room = usize::from(width).saturating_sub(4);
    // The titles keep their rows without a border, and the text its columns.
    let block = match theme.borders {
        true => Block::bordered().padding(Padding::horizontal(1)),
        false => Block::new().padding(Padding::horizontal(2)),
    };
    let block = block
        .border_set(if theme.ascii { ASCII_BORDER } else { border::ROUNDED })
        .border_style(theme.border)
        .title(Span::styled(format!(" {} ", fitted(title, room, theme.ascii)), theme.heading))
        .title_bottom(Span::styled(format!(" {} ", fitted(bottom, room, theme.ascii)), theme.dim));
    let inside = block.inner(place);
    erase(place, theme, frame);
    frame.render_widget(block, place);
    inside
}

const ASCII_BORDER: border::Set = border::Set {
    top_left: "+",
    top_right: "+",
    bottom_left: "+",
    bottom_right: "+",
    vertical_left: "|",
    vertical_right: "|",
    horizontal_top: "-",
    horizontal_bottom: "-",
};

/// How far the text over the chat can be scrolled on this screen.
pub fn most_scroll(app: &App, screen: Rect) -> u16 {
    let lines = match app.popup() {
        Popup::Help { filter, .. } => help::height(app, filter, screen),
        Popup::Context { .. } => context::height(app),
        Popup::Words(words) => words::height(words, screen),
        Popup::Confirm(question) => confirm::height(question, screen),
        Popup::Ask(asked) => asking::height(asked, screen),
        Popup::Closed
        | Popup::Chats(_)
        | Popup::Search(_)
        | Popup::Models(_)
        | Popup::Palette(_)
        | Popup::Settings(_) => 0,
    };
    let room = if is_tiny(screen) { screen.height - 1 } else { screen.height.saturating_sub(MARGIN + BORDER) };
    lines.min(u16::MAX.into()).saturating_sub(room.into()) as u16
}
