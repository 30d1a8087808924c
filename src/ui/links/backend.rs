//! Writes frames with the addresses of their links.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::io::{self, Write};
use std::rc::Rc;
use std::sync::Arc;

use ratatui::backend::{Backend, ClearType, CrosstermBackend, WindowSize};
use ratatui::buffer::Cell;
use ratatui::layout::{Position, Size};
use ratatui::style::Color;

use super::Tag;
use crate::ui::pictures::Shown;
use crate::ui::tty;

/// Where the links on the screen lead.
#[derive(Clone, Debug, Default)]
pub struct Targets {
    addresses: HashMap<Tag, Option<Arc<str>>>,
}

impl Targets {
    /// Adds a link. Two addresses with one tag lead nowhere.
    pub fn add(&mut self, tag: Tag, address: &Arc<str>) {
        let known = self.addresses.entry(tag).or_insert_with(|| Some(address.clone()));
        if known.as_ref() != Some(address) {
            *known = None;
        }
    }

    /// Adds those of other lines.
    pub fn extend(&mut self, others: Targets) {
        for (tag, address) in others.addresses {
            match address {
                Some(address) => self.add(tag, &address),
                None => _ = self.addresses.insert(tag, None),
            }
        }
    }

    fn address(&self, tag: Tag) -> Option<&str> {
        self.addresses.get(&tag)?.as_deref()
    }
}

/// A terminal that is told where links lead, if it understands that.
pub struct Hyperlinks<W: Write> {
    terminal: CrosstermBackend<W>,
    /// Those of the frame that is about to be written; `None` if the terminal would not understand.
    targets: Option<Rc<RefCell<Targets>>>,
    /// The pictures of that frame, and what the terminal has of them.
    pictures: Rc<RefCell<Shown>>,
    sent: HashSet<u32>,
    /// Where the cursor was put last.
    cursor: Position,
}

impl<W: Write> Hyperlinks<W> {
    /// Writes to `terminal`; addresses only if there are `targets`.
    pub fn new(terminal: CrosstermBackend<W>, targets: Option<Rc<RefCell<Targets>>>) -> Self {
        Self { terminal, targets, pictures: Rc::default(), sent: HashSet::new(), cursor: Position::ORIGIN }
    }

    /// Where the cursor was put last, as far as this program did it.
    pub fn cursor(&self) -> Position {
        self.cursor
    }

    /// Writes a sequence that draws nothing.
    pub fn write(&mut self, sequence: &[u8]) -> io::Result<()> {
        self.terminal.write_all(sequence)
    }

    /// Writes the pictures of each frame, too.
    pub fn with_pictures(self, pictures: Rc<RefCell<Shown>>) -> Self {
        Self { pictures, ..self }
    }

    /// The pictures that the terminal has, which it then is to forget.
    pub fn take_sent(&mut self) -> HashSet<u32> {
        std::mem::take(&mut self.sent)
    }

    fn begin_link(&mut self, tag: Tag) -> io::Result<bool> {
        let Some(targets) = &self.targets else { return Ok(false) };
        let targets = targets.borrow();
        let Some(address) = targets.address(tag) else { return Ok(false) };
        // With the same id, the rows of a link that was folded are one to the terminal.
        write!(self.terminal, "\x1b]8;id={:06x};{address}\x1b\\", tag.0)?;
        Ok(true)
    }

    /// Writes cells that lead to one place, or nowhere.
    fn draw_run(&mut self, tag: Option<Tag>, run: &[(u16, u16, Cell)]) -> io::Result<()> {
        let is_link = match tag {
            Some(tag) => self.begin_link(tag)?,
            None => false,
        };
        self.terminal.draw(run.iter().map(|(x, y, cell)| (*x, *y, cell)))?;
        if is_link {
            self.terminal.write_all(b"\x1b]8;;\x1b\\")?;
        }
        Ok(())
    }
}

/// Whether the terminal that these environment variables describe can be told of links, or at least passes over them.
pub fn are_understood(env: &impl Fn(&str) -> Option<String>) -> bool {
    let terminal = env("TERM").unwrap_or_default();
    !(terminal.is_empty()
        || matches!(terminal.as_str(), "dumb" | "linux" | "cons25" | "cygwin")
        || terminal.starts_with("vt"))
}

impl<W: Write> Backend for Hyperlinks<W> {
    type Error = io::Error;

    fn draw<'a, I>(&mut self, content: I) -> io::Result<()>
    where
        I: Iterator<Item = (u16, u16, &'a Cell)>,
    {
        let pictures = Rc::clone(&self.pictures);
        let pictures = pictures.borrow();
        pictures.send(&mut self.sent, &mut self.terminal)?;
        let mut strips = HashSet::new();
        let mut run: Vec<(u16, u16, Cell)> = Vec::new();
        let mut run_tag = None;
        for (x, y, cell) in content {
            if pictures.holds(y, cell) {
                strips.insert((y, cell.underline_color));
            }
            let tag = Tag::from_colour(cell.underline_color);
            if tag != run_tag && !run.is_empty() {
                self.draw_run(run_tag, &run)?;
                run.clear();
            }
            run_tag = tag;
            let mut cell = cell.clone();
            if tag.is_some() {
                cell.underline_color = Color::Reset;
            }
            run.push((x, y, cell));
        }
        self.draw_run(run_tag, &run)?;
        pictures.draw(&strips, &mut self.terminal)
    }

    fn append_lines(&mut self, lines: u16) -> io::Result<()> {
        self.terminal.append_lines(lines)
    }

    fn hide_cursor(&mut self) -> io::Result<()> {
        self.terminal.hide_cursor()
    }

    fn show_cursor(&mut self) -> io::Result<()> {
        self.terminal.show_cursor()
    }

    fn get_cursor_position(&mut self) -> io::Result<Position> {
        self.terminal.get_cursor_position()
    }

    fn set_cursor_position<P: Into<Position>>(&mut self, position: P) -> io::Result<()> {
        self.cursor = position.into();
        self.terminal.set_cursor_position(self.cursor)
    }

    fn clear(&mut self) -> io::Result<()> {
        self.terminal.clear()
    }

    fn clear_region(&mut self, clear_type: ClearType) -> io::Result<()> {
        self.terminal.clear_region(clear_type)
    }

    /// It is asked for with each frame, and crossterm opens `/dev/tty` each time to find it.
    fn size(&self) -> io::Result<Size> {
        match tty::size() {
            Ok(size) if size.columns > 0 && size.rows > 0 => Ok(Size::new(size.columns, size.rows)),
            _ => self.terminal.size(),
        }
    }

    fn window_size(&mut self) -> io::Result<WindowSize> {
        self.terminal.window_size()
    }

    fn flush(&mut self) -> io::Result<()> {
        Backend::flush(&mut self.terminal)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Links;
    use super::*;
    use ratatui::buffer::Buffer;
    use ratatui::layout::Rect;
    use ratatui::style::Style;
    use ratatui::text::{Line, Span};

    /// What is written for a line with a link in it.
    fn written(with_targets: bool) -> String {
        let mut links = Links::default();
        let style = links.tag("https://e.org/");
        let mut buffer = Buffer::empty(Rect::new(0, 0, 12, 1));
        let line = Line::from(vec![Span::raw("a "), Span::styled("字b", style), Span::styled(" c", Style::new())]);
        buffer.set_line(0, 0, &line, 12);
        let mut targets = Targets::default();
        let tag = style.underline_color.and_then(Tag::from_colour).expect("a tag");
        targets.add(tag, links.address(tag).expect("an address"));
        let mut bytes = Vec::new();
        let targets = with_targets.then(|| Rc::new(RefCell::new(targets)));
        let mut backend = Hyperlinks::new(CrosstermBackend::new(&mut bytes), targets);
        let before = Buffer::empty(buffer.area);
        backend.draw(before.diff(&buffer).into_iter()).expect("a vector takes everything");
        String::from_utf8(bytes).expect("text")
    }

    #[test]
    fn a_link_stands_between_its_address_and_an_end() {
        let written = written(true);
        let (before, link) = written.split_once("\x1b]8;id=").expect("a link");
        let (link, after) = link.split_once("\x1b]8;;\x1b\\").expect("an end");
        assert!(
            before.contains('a') && link.contains(";https://e.org/\x1b\\") && link.contains('字') && link.contains('b')
        );
        assert!(after.contains('c') && !after.contains("e.org"));
    }

    #[test]
    fn a_terminal_without_links_gets_none_and_no_colour_in_their_place() {
        let written = written(false);
        assert!(
            written.contains('字')
                && !written.contains("\x1b]8")
                && !written.contains("58:")
                && !written.contains("58;2"),
            "{written:?}"
        );
    }

    #[test]
    fn two_addresses_with_one_tag_lead_nowhere() {
        let mut targets = Targets::default();
        let tag = Tag::of("a");
        targets.add(tag, &Arc::from("https://e.org/1"));
        targets.add(tag, &Arc::from("https://e.org/2"));
        targets.add(tag, &Arc::from("https://e.org/1"));
        assert_eq!(targets.address(tag), None);
    }

    #[test]
    fn terminals_known_not_to_understand_are_not_told() {
        let understood = |terminal: &str| are_understood(&|_| Some(terminal.to_owned()));
        assert!(["xterm-256color", "tmux-256color", "screen", "foot", "alacritty"].into_iter().all(understood));
        assert!(!["linux", "dumb", "vt100", ""].into_iter().any(understood));
    }
}
