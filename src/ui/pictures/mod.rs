//! Pictures that are attached to questions, shown where the terminal can.
//!
//! A question that names a picture asks for it once it is in view ([`Attached`]); a thread reads the file and makes of
//! it what the terminal understands ([`read`]); the rows it takes are known only then. For kitty the cells of a picture
//! are characters that stand for its parts. Others are sent a strip of it for each row of cells ([`Shown`]). So a
//! picture scrolls, is cut off and is covered like text. Nothing that an answer names is ever read.

mod attached;
mod kitty;
mod read;
mod screen;
mod strips;
mod terminals;

use std::sync::Arc;

use ratatui::style::Color;

pub use attached::Attached;
pub use kitty::forget;
pub use read::read;
pub use screen::Shown;
pub use terminals::protocol;

/// How a terminal is sent pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// kitty's, with characters that stand for parts of a picture.
    Kitty,
    /// iTerm2's.
    Iterm,
    Sixel,
}

/// How a picture is to be shown, and how many cells there are for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    pub protocol: Protocol,
    pub columns: u16,
    pub rows: u16,
}

/// A picture that is wanted on the screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    pub path: String,
    pub room: Room,
}

/// A picture as the terminal is sent it.
#[derive(Debug, PartialEq, Eq)]
pub struct Picture {
    pub columns: u16,
    pub rows: u16,
    form: Form,
}

#[derive(Debug, PartialEq, Eq)]
enum Form {
    /// Sent once, under a number that is the colour of its cells.
    Whole { number: u32, sequence: Vec<u8> },
    /// A sequence for each row of cells; the numbers of the rows tell them apart.
    Strips { first: u32, strips: Vec<Vec<u8>> },
}

/// What came of reading a picture; else a sentence without a subject.
pub type Outcome = Result<Arc<Picture>, String>;

/// A number of 24 bits as a colour.
fn colour(number: u32) -> Color {
    let [_, red, green, blue] = number.to_be_bytes();
    Color::Rgb(red, green, blue)
}
