//! The pictures of one question: which it names, which were asked for, and what came of it.

use std::sync::Arc;

use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::{Outcome, Picture, Room, Wanted};
use crate::text::escape_line;
use crate::ui::theme::Theme;
use crate::ui::transcript::wrap;

/// More are named only.
const MOST: usize = 8;

/// The pictures of a question.
#[derive(Debug, Default)]
pub struct Attached {
    pictures: Vec<One>,
    /// Bytes of the text that were looked through.
    read_bytes: Option<usize>,
}

#[derive(Debug)]
struct One {
    path: String,
    /// It is being read.
    is_asked: bool,
    /// What came of it, and for which room.
    outcome: Option<(Room, Outcome)>,
}

impl One {
    fn picture(&self, room: Room) -> Option<&Arc<Picture>> {
        let (made_for, outcome) = self.outcome.as_ref()?;
        let picture = outcome.as_ref().ok()?;
        // Until it is made anew for another window, it stays if there is room.
        let fits = made_for.protocol == room.protocol && picture.columns <= room.columns;
        fits.then_some(picture)
    }

    fn rows(&self, room: Room) -> usize {
        match &self.outcome {
            Some((_, Err(reason))) => self.complaint(reason, room).len(),
            _ => self.picture(room).map_or(0, |picture| usize::from(picture.rows)),
        }
    }

    /// Why it is not shown, folded.
    fn complaint(&self, reason: &str, room: Room) -> Vec<String> {
        let name = escape_line(self.path.rsplit('/').next().unwrap_or_default());
        wrap(&format!("{name} is not shown: {reason}"), usize::from(room.columns))
    }

    fn line(&self, room: Room, row: usize, theme: &Theme) -> Line<'static> {
        match &self.outcome {
            Some((_, Err(reason))) => {
                let text = self.complaint(reason, room).swap_remove(row);
                Line::from(vec![Span::raw("  "), Span::styled(text, theme.dim)])
            }
            _ => {
                let cells = self.picture(room).map(|picture| picture.cells(row));
                let (cells, style) = cells.unwrap_or((String::new(), Style::new()));
                Line::from(vec![Span::raw("  "), Span::styled(cells, style)])
            }
        }
    }
}

impl Attached {
    /// Looks which pictures the text of the question names.
    fn look_at(&mut self, text: &str) {
        if self.read_bytes == Some(text.len()) {
            return;
        }
        self.read_bytes = Some(text.len());
        let named = text.lines().filter_map(|line| line.strip_prefix("[image: ")?.strip_suffix(']'));
        let one = |path: &str| One { path: path.to_owned(), is_asked: false, outcome: None };
        self.pictures = named.filter(|path| path.starts_with('/')).take(MOST).map(one).collect();
    }

    /// How many lines they take below the text.
    pub fn height(&mut self, text: &str, room: Option<Room>) -> usize {
        let Some(room) = room else { return 0 };
        self.look_at(text);
        self.pictures.iter().map(|one| one.rows(room)).sum()
    }

    /// One of those lines.
    pub fn line(&self, mut index: usize, room: Option<Room>, theme: &Theme) -> Line<'static> {
        let Some(room) = room else { return Line::default() };
        for one in &self.pictures {
            let rows = one.rows(room);
            if index < rows {
                return one.line(room, index, theme);
            }
            index -= rows;
        }
        Line::default()
    }

    /// What is to be read now that the question is in view. What failed is not tried again.
    pub fn ask(&mut self, text: &str, room: Room) -> Vec<Wanted> {
        self.look_at(text);
        let is_wanted = |one: &&mut One| {
            let is_done = one.outcome.as_ref().is_some_and(|(made_for, outcome)| *made_for == room || outcome.is_err());
            !one.is_asked && !is_done
        };
        let ask = |one: &mut One| {
            one.is_asked = true;
            Wanted { path: one.path.clone(), room }
        };
        self.pictures.iter_mut().filter(is_wanted).map(ask).collect()
    }

    /// What came of reading a picture, if it is one of these.
    pub fn came(&mut self, wanted: &Wanted, outcome: &Outcome) {
        for one in self.pictures.iter_mut().filter(|one| one.path == wanted.path) {
            one.is_asked = false;
            one.outcome = Some((wanted.room, outcome.clone()));
        }
    }

    pub fn pictures(&self, room: Room) -> impl Iterator<Item = &Arc<Picture>> {
        self.pictures.iter().filter_map(move |one| one.picture(room))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Form, Protocol};
    use super::*;

    const ROOM: Room = Room { protocol: Protocol::Iterm, columns: 60, rows: 10 };
    const TEXT: &str = "[image: /a/b.png]\n\nWhat is this?";

    fn picture() -> Arc<Picture> {
        Arc::new(Picture { columns: 4, rows: 2, form: Form::Strips { first: 7, strips: vec![vec![1], vec![2]] } })
    }

    #[test]
    fn a_picture_is_asked_for_once_and_has_rows_when_it_came() {
        let mut attached = Attached::default();
        let wanted = attached.ask(TEXT, ROOM);
        assert_eq!(wanted, [Wanted { path: "/a/b.png".into(), room: ROOM }]);
        assert!(attached.ask(TEXT, ROOM).is_empty());
        assert_eq!(attached.height(TEXT, Some(ROOM)), 0);
        attached.came(&wanted[0], &Ok(picture()));
        assert_eq!(attached.height(TEXT, Some(ROOM)), 2);
        assert_eq!(attached.height(TEXT, None), 0);
        assert_eq!(attached.line(0, Some(ROOM), &Theme::dark()).width(), 6);
        assert!(attached.ask(TEXT, ROOM).is_empty());
    }

    #[test]
    fn another_window_asks_anew_and_one_too_narrow_shows_no_picture_until_then() {
        let mut attached = Attached::default();
        let wanted = attached.ask(TEXT, ROOM);
        attached.came(&wanted[0], &Ok(picture()));
        let narrow = Room { columns: 3, ..ROOM };
        assert_eq!(attached.height(TEXT, Some(narrow)), 0);
        assert_eq!(attached.ask(TEXT, narrow).len(), 1);
        assert_eq!(attached.height(TEXT, Some(ROOM)), 2);
    }

    #[test]
    fn what_cannot_be_shown_is_named_with_the_reason_and_not_tried_again() {
        let mut attached = Attached::default();
        let wanted = attached.ask(TEXT, ROOM);
        attached.came(&wanted[0], &Err("it is \x1b gone".into()));
        assert_eq!(attached.height(TEXT, Some(ROOM)), 1);
        let line = attached.line(0, Some(ROOM), &Theme::dark()).to_string();
        assert_eq!(line, "  b.png is not shown: it is <U+001B> gone");
        assert!(attached.ask(TEXT, Room { columns: 9, ..ROOM }).is_empty());
    }

    #[test]
    fn only_lines_that_are_a_whole_path_name_a_picture() {
        let asked = |text: &str| Attached::default().ask(text, ROOM).len();
        assert_eq!(asked("see [image: /a.png]"), 0);
        assert_eq!(asked("[image: a.png]"), 0);
        assert_eq!(asked("[image: https://e.org/a.png]"), 0);
        assert_eq!(asked("[image: /a.png]\n[image: /b.png]\nx"), 2);
        assert_eq!(asked(&"[image: /a.png]\n".repeat(20)), MOST);
    }
}
