//! A few lines at the bottom of the normal screen, for a chat that leaves what was said in the terminal's scrollback. What
//! is finished is written above them once, as the text of a program is, without a cell more than it has; so the terminal
//! can fold it anew, and copy it. What needs more room than a few lines has the alternate screen for as long as it is open.
//!
//! Where the lines are is known from where the cursor is: the terminal is asked at the start, and after a change of size.

use std::io;
use std::time::Instant;

use ratatui::backend::Backend;
use ratatui::buffer::Buffer;
use ratatui::layout::{Rect, Size};
use ratatui::style::{Color, Modifier};
use ratatui::text::Line;
use ratatui::{Frame, Terminal, TerminalOptions, Viewport};

use super::links::Hyperlinks;
use super::outlet::Outlet;
use super::tty;

type Screen = Terminal<Hyperlinks<Outlet>>;

/// What is written between these appears at once, in terminals that know them.
const BEGIN: &[u8] = b"\x1b[?2026h";
const END: &[u8] = b"\x1b[?2026l";
/// A reply that takes longer is none, and the lines are at the bottom.
const SLOW: std::time::Duration = std::time::Duration::from_millis(1500);

/// The lines, and where they are.
pub struct Lines {
    screen: Option<Screen>,
    /// Their first row, and how many there are.
    top: u16,
    height: u16,
    size: Size,
    /// Columns that are drawn on in each row.
    widths: Vec<u16>,
    /// The terminal tells where its cursor is.
    tells_cursor: bool,
}

impl Lines {
    /// They begin where the cursor is. The terminal is asked, so nobody else may be reading what is typed.
    pub fn begin() -> io::Result<Self> {
        let size = size()?;
        let mut lines = Self { screen: None, top: 0, height: 0, size, widths: Vec::new(), tells_cursor: true };
        let (column, row) = lines.ask_cursor().unwrap_or((0, size.height.saturating_sub(1)));
        lines.top = row;
        if column > 0 {
            // Behind the last words of somebody else.
            lines.top = (row + 1).min(size.height.saturating_sub(1));
            write(b"\r\n")?;
        }
        Ok(lines)
    }

    /// The first row.
    pub fn top(&self) -> u16 {
        self.top
    }

    pub fn size(&self) -> Size {
        self.size
    }

    /// The next draw repaints all of them.
    pub fn begin_anew(&mut self) {
        self.screen = None;
    }

    /// Whether the terminal has another size than it had.
    pub fn is_resized(&self) -> bool {
        size().is_ok_and(|size| size != self.size)
    }

    /// The terminal has another size: finds the lines again. Nobody else may be reading what is typed.
    pub fn resize(&mut self) -> io::Result<()> {
        let before = self.size;
        self.size = size()?;
        let cursor = self.screen.as_ref().map_or(self.top, |screen| screen.backend().cursor().y);
        let above = usize::from(cursor.saturating_sub(self.top)).min(self.widths.len());
        // Terminals fold rows that have become too long, as those above the cursor.
        let folded = |width: &u16| width.saturating_sub(1) / self.size.width.max(1);
        let folds: u16 = if self.size.width < before.width { self.widths[..above].iter().map(folded).sum() } else { 0 };
        let last = self.size.height.saturating_sub(1);
        self.top = match self.ask_cursor() {
            Some((_, row)) => row.saturating_sub(above as u16 + folds).min(last),
            None => self.size.height.saturating_sub(self.height),
        };
        self.screen = None;
        Ok(())
    }

    /// Where the cursor is, counted from 0.
    fn ask_cursor(&mut self) -> Option<(u16, u16)> {
        if !self.tells_cursor {
            return None;
        }
        let asked = Instant::now();
        let position = crossterm::cursor::position().ok();
        self.tells_cursor = position.is_some() && asked.elapsed() < SLOW;
        position
    }

    /// Writes finished lines above, then draws so many rows. `open` makes a backend.
    pub fn draw(
        &mut self,
        finished: &[Line<'static>],
        height: u16,
        open: impl Fn() -> Hyperlinks<Outlet>,
        view: impl FnOnce(&mut Frame),
    ) -> io::Result<()> {
        let height = height.clamp(1, self.size.height.max(1));
        let is_begun = !finished.is_empty() || self.screen.is_none() || height != self.height;
        if is_begun {
            let mut backend = open();
            backend.write(BEGIN)?;
            self.clear(&mut backend)?;
            self.write_lines(finished, &mut backend)?;
            self.make_room(height, &mut backend)?;
            let area = Rect::new(0, self.top, self.size.width, height);
            self.height = height;
            let options = TerminalOptions { viewport: Viewport::Fixed(area) };
            self.screen = Some(Terminal::with_options(backend, options)?);
        }
        let Some(screen) = &mut self.screen else { return Ok(()) };
        let widths = &mut self.widths;
        screen.draw(|frame| {
            view(frame);
            *widths = drawn_widths(frame.buffer_mut());
        })?;
        if is_begun {
            let backend = screen.backend_mut();
            backend.write(END)?;
            Backend::flush(backend)?;
        }
        Ok(())
    }

    fn clear(&self, backend: &mut Hyperlinks<Outlet>) -> io::Result<()> {
        backend.set_cursor_position((0, self.top))?;
        backend.write(b"\x1b[0m\x1b[J")
    }

    /// Writes lines where the rows begin, which begin behind them then.
    fn write_lines(&mut self, lines: &[Line<'static>], backend: &mut Hyperlinks<Outlet>) -> io::Result<()> {
        let last = self.size.height.saturating_sub(1);
        for line in lines {
            let row = Rect::new(0, self.top, self.size.width, 1);
            let mut buffer = Buffer::empty(row);
            buffer.set_line(0, self.top, line, self.size.width);
            let width = drawn_widths(&buffer).first().copied().unwrap_or(0);
            let cells = (0..width).map(|x| (x, self.top, &buffer[(x, self.top)]));
            let mut behind = 0;
            // What a wide character covers is not drawn.
            let cells = cells.filter(|(x, _, cell)| {
                let is_covered = *x < behind;
                if !is_covered {
                    behind = x + (unicode_width::UnicodeWidthStr::width(cell.symbol()) as u16).max(1);
                }
                !is_covered
            });
            backend.set_cursor_position((0, self.top))?;
            backend.draw(cells)?;
            backend.write(b"\x1b[0m\r\n")?;
            self.top = (self.top + 1).min(last);
        }
        Ok(())
    }

    /// Scrolls as far as so many rows need.
    fn make_room(&mut self, height: u16, backend: &mut Hyperlinks<Outlet>) -> io::Result<()> {
        let missing = (self.top + height).saturating_sub(self.size.height);
        if missing > 0 {
            backend.set_cursor_position((0, self.size.height - 1))?;
            backend.write(&b"\n".repeat(missing.into()))?;
            self.top -= missing;
        }
        Ok(())
    }
}

/// How many columns of each row have something on them.
fn drawn_widths(buffer: &Buffer) -> Vec<u16> {
    let area = buffer.area;
    let is_blank = |x, y| {
        let cell = &buffer[(x, y)];
        let is_marked = Modifier::REVERSED | Modifier::UNDERLINED | Modifier::CROSSED_OUT;
        cell.symbol() == " " && cell.bg == Color::Reset && !cell.modifier.intersects(is_marked)
    };
    let width = |y| (area.left()..area.right()).rev().find(|&x| !is_blank(x, y)).map_or(0, |x| x + 1 - area.left());
    (area.top()..area.bottom()).map(width).collect()
}

fn size() -> io::Result<Size> {
    let size = tty::size()?;
    Ok(Size::new(size.columns.max(1), size.rows.max(1)))
}

fn write(bytes: &[u8]) -> io::Result<()> {
    use std::io::Write;

    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes)?;
    stdout.flush()
}

#[cfg(test)]
mod tests {
    use ratatui::style::Style;

    use super::*;

    #[test]
    fn what_is_drawn_on_ends_with_the_last_cell_that_shows_something() {
        let mut buffer = Buffer::empty(Rect::new(0, 5, 10, 3));
        buffer.set_string(0, 5, "ab  ", Style::new());
        buffer.set_string(0, 6, "a ", Style::new().bg(Color::Blue));
        assert_eq!(drawn_widths(&buffer), [2, 2, 0]);
    }
}
