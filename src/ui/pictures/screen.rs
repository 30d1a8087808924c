//! The pictures of a frame on their way to the terminal.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::{self, Write};
use std::sync::Arc;

use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Style};

use super::{Form, Picture, colour, kitty};

/// So many pictures the terminal keeps beside those in view.
const MOST_KEPT: usize = 16;

impl Picture {
    /// What stands in the cells of one of its rows.
    pub(super) fn cells(&self, row: usize) -> (String, Style) {
        match &self.form {
            Form::Whole { number, .. } => {
                (kitty::cells(row.min(usize::from(u16::MAX)) as u16, self.columns), Style::new().fg(colour(*number)))
            }
            Form::Strips { first, .. } => {
                let number = first.wrapping_add(row as u32);
                (" ".repeat(usize::from(self.columns)), Style::new().underline_color(colour(number)))
            }
        }
    }
}

/// The pictures of a frame and where their strips lie.
#[derive(Debug, Default)]
pub struct Shown {
    pictures: Vec<Arc<Picture>>,
    /// By row and colour: the first column of a strip, the picture and its row.
    strips: HashMap<(u16, Color), (u16, usize, usize)>,
}

impl Shown {
    /// Finds the pictures in what was drawn. A strip that something covers in part is taken out whole, so that each is
    /// there in all its cells or in none.
    pub fn place(pictures: Vec<Arc<Picture>>, buffer: &mut Buffer) -> Self {
        let mut colours = HashMap::new();
        for (index, picture) in pictures.iter().enumerate() {
            if let Form::Strips { first, strips } = &picture.form {
                let rows = (0..strips.len()).map(|row| (colour(first.wrapping_add(row as u32)), (index, row)));
                colours.extend(rows);
            }
        }
        let mut strips = HashMap::new();
        if !colours.is_empty() {
            for y in buffer.area.top()..buffer.area.bottom() {
                let mut found: HashMap<Color, Vec<u16>> = HashMap::new();
                for x in buffer.area.left()..buffer.area.right() {
                    let cell = &buffer[(x, y)];
                    if colours.contains_key(&cell.underline_color) && cell.symbol() == " " {
                        found.entry(cell.underline_color).or_default().push(x);
                    }
                }
                for (colour, columns) in found {
                    let (picture, row) = colours[&colour];
                    if columns.len() == usize::from(pictures[picture].columns) {
                        strips.insert((y, colour), (columns[0], picture, row));
                    } else {
                        columns.iter().for_each(|x| buffer[(*x, y)].underline_color = Color::Reset);
                    }
                }
            }
        }
        Self { pictures, strips }
    }

    /// Whether the cell belongs to a strip.
    pub fn holds(&self, y: u16, cell: &Cell) -> bool {
        self.strips.contains_key(&(y, cell.underline_color))
    }

    /// Hands over what the terminal has not got yet, and has it forget what has long been out of view.
    pub fn send(&self, sent: &mut HashSet<u32>, terminal: &mut impl Write) -> io::Result<()> {
        let mut in_view = HashSet::new();
        for picture in &self.pictures {
            if let Form::Whole { number, sequence } = &picture.form {
                in_view.insert(*number);
                if sent.insert(*number) {
                    terminal.write_all(sequence)?;
                }
            }
        }
        if sent.len() > in_view.len() + MOST_KEPT {
            for number in sent.extract_if(|number| !in_view.contains(number)) {
                terminal.write_all(&kitty::forget(number))?;
            }
        }
        Ok(())
    }

    /// Draws the strips whose cells were written, from the top.
    pub fn draw(&self, changed: &HashSet<(u16, Color)>, terminal: &mut impl Write) -> io::Result<()> {
        let strips = changed.iter().filter_map(|place| Some((place.0, self.strips.get(place)?)));
        for (y, (x, picture, row)) in strips.collect::<BTreeMap<_, _>>() {
            let Some(Form::Strips { strips, .. }) = self.pictures.get(*picture).map(|picture| &picture.form) else {
                continue;
            };
            if let Some(strip) = strips.get(*row) {
                write!(terminal, "\x1b[{};{}H", y + 1, x + 1)?;
                terminal.write_all(strip)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::layout::Rect;
    use ratatui::text::{Line, Span};

    fn strips() -> Arc<Picture> {
        let strips = vec![b"<top>".to_vec(), b"<bottom>".to_vec()];
        Arc::new(Picture { columns: 3, rows: 2, form: Form::Strips { first: 500, strips } })
    }

    fn whole(number: u32) -> Arc<Picture> {
        Arc::new(Picture { columns: 3, rows: 2, form: Form::Whole { number, sequence: b"<sent>".to_vec() } })
    }

    /// A screen with the picture two columns from the left, its first row at `top`.
    fn screen(picture: &Picture, top: u16) -> Buffer {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 10, 5));
        for row in 0..picture.rows.min(5 - top) {
            let (cells, style) = picture.cells(usize::from(row));
            let line = Line::from(vec![Span::raw("  "), Span::styled(cells, style)]);
            buffer.set_line(0, top + row, &line, 10);
        }
        buffer
    }

    /// What is written of the strips when the screen becomes this one.
    fn drawn(before: &Buffer, after: &mut Buffer) -> String {
        let shown = Shown::place(vec![strips()], after);
        let cells = before.diff(after);
        let held = cells.iter().filter(|(_, y, cell)| shown.holds(*y, cell));
        let changed = held.map(|(_, y, cell)| (*y, cell.underline_color)).collect();
        let mut bytes = Vec::new();
        shown.draw(&changed, &mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn strips_are_drawn_where_their_cells_lie_and_again_only_when_they_moved() {
        let picture = strips();
        let mut first = screen(&picture, 1);
        assert_eq!(drawn(&Buffer::empty(first.area), &mut first), "\x1b[2;3H<top>\x1b[3;3H<bottom>");
        assert_eq!(drawn(&first, &mut screen(&picture, 1)), "");
        assert_eq!(drawn(&first, &mut screen(&picture, 2)), "\x1b[3;3H<top>\x1b[4;3H<bottom>");
        assert_eq!(drawn(&first, &mut screen(&picture, 4)), "\x1b[5;3H<top>");
    }

    #[test]
    fn a_strip_that_is_covered_in_part_gives_way_and_comes_back() {
        let picture = strips();
        let mut before = screen(&picture, 1);
        Shown::place(vec![picture.clone()], &mut before);
        let mut covered = screen(&picture, 1);
        covered[(3, 2)].set_symbol("x").underline_color = Color::Reset;
        assert_eq!(drawn(&before, &mut covered), "");
        // Every cell of the row is written, which removes what was drawn over it.
        let written: Vec<u16> = before.diff(&covered).iter().filter(|(_, y, _)| *y == 2).map(|(x, ..)| *x).collect();
        assert_eq!(written, [2, 3, 4]);
        assert_eq!(drawn(&covered, &mut screen(&picture, 1)), "\x1b[3;3H<bottom>");
    }

    #[test]
    fn a_whole_picture_is_sent_once_and_forgotten_when_long_out_of_view() {
        let mut sent = HashSet::new();
        let mut written = |picture| {
            let mut bytes = Vec::new();
            let shown = Shown::place(vec![picture], &mut Buffer::empty(Rect::new(0, 0, 10, 5)));
            shown.send(&mut sent, &mut bytes).unwrap();
            String::from_utf8(bytes).unwrap()
        };
        assert_eq!(written(whole(1)), "<sent>");
        assert_eq!(written(whole(1)), "");
        let all: String = (2..=MOST_KEPT as u32 + 2).map(|number| written(whole(number))).collect();
        assert!(all.contains("\x1b_Ga=d,d=I,q=2,i=1\x1b\\"));
        assert_eq!(written(whole(1)), "<sent>");
    }

    #[test]
    fn without_pictures_nothing_is_written() {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 10, 5));
        let shown = Shown::place(Vec::new(), &mut buffer);
        let mut bytes = Vec::new();
        shown.send(&mut HashSet::new(), &mut bytes).unwrap();
        shown.draw(&HashSet::from([(1, colour(500))]), &mut bytes).unwrap();
        assert!(bytes.is_empty());
    }
}
