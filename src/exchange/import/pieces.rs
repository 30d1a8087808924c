//! A file of JSON, cut into the values that may be chats: the elements of one array, or one value behind the other, a
//! line for each or not. One value at a time is in memory.

use std::cell::Cell;
use std::fmt;
use std::io::{self, BufRead, Read};
use std::rc::Rc;

use serde::de::{Deserializer, SeqAccess, Visitor};
use serde_json::Value;

use super::ImportError;

/// A chat is not larger; what is has no end.
const MOST_BYTES: u64 = 512 * 1024 * 1024;

/// Where in the file something stands, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Element(usize),
    Line(usize),
    Value(usize),
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Element(number) => write!(formatter, "element {number}"),
            Self::Line(number) => write!(formatter, "line {number}"),
            Self::Value(number) => write!(formatter, "value {number}"),
        }
    }
}

/// A part of the file.
#[derive(Debug)]
pub(super) enum Piece {
    Value(Place, Value),
    /// Something that is no JSON, as a sentence.
    Broken(String),
}

/// Who is handed the pieces.
type Each<'a> = dyn FnMut(Piece) -> Result<(), ImportError> + 'a;

/// Reads a file that begins with `[` or `{`.
pub(super) fn read(mut reader: impl BufRead, each: &mut Each<'_>) -> Result<(), ImportError> {
    if reader.fill_buf().is_ok_and(|buffer| buffer.first() == Some(&b'[')) {
        return elements(reader, each);
    }
    // A value a line, unless the first one is longer than its line.
    let mut line = Vec::new();
    let read = next_line(&mut reader, &mut line);
    if read.is_ok() && serde_json::from_slice::<Value>(&line).is_ok() {
        return lines(reader, line, each);
    }
    values(io::Cursor::new(line).chain(reader), each)
}

/// The rest of a line, as far as a value may be long.
fn next_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<()> {
    line.clear();
    reader.take(MOST_BYTES).read_until(b'\n', line)?;
    if line.len() as u64 == MOST_BYTES && !line.ends_with(b"\n") {
        return Err(too_long());
    }
    Ok(())
}

fn lines(mut reader: impl BufRead, mut line: Vec<u8>, each: &mut Each<'_>) -> Result<(), ImportError> {
    let mut number = 1;
    while !line.is_empty() {
        if !line.trim_ascii().is_empty() {
            let place = Place::Line(number);
            each(match serde_json::from_slice(&line) {
                Ok(value) => Piece::Value(place, value),
                Err(error) => Piece::Broken(format!("{place} is no JSON: {}", reason(&error))),
            })?;
        }
        number += 1;
        if let Err(error) = next_line(&mut reader, &mut line) {
            return each(Piece::Broken(format!("line {number} cannot be read, nor what follows it: {error}")));
        }
    }
    Ok(())
}

fn values(reader: impl Read, each: &mut Each<'_>) -> Result<(), ImportError> {
    let (reader, ration) = Rationed::new(reader);
    let mut number = 0;
    for value in serde_json::Deserializer::from_reader(io::BufReader::new(reader)).into_iter::<Value>() {
        number += 1;
        ration.set(MOST_BYTES);
        let place = Place::Value(number);
        match value {
            Ok(value) => each(Piece::Value(place, value))?,
            Err(error) => return each(Piece::Broken(stopped(place, &error))),
        }
    }
    Ok(())
}

fn elements(reader: impl Read, each: &mut Each<'_>) -> Result<(), ImportError> {
    let (reader, ration) = Rationed::new(reader);
    let mut elements = Elements { each, ration, number: 0, failed: None };
    let mut json = serde_json::Deserializer::from_reader(io::BufReader::new(reader));
    let read = json.deserialize_seq(&mut elements).and_then(|()| json.end());
    match (elements.failed.take(), read) {
        (Some(error), _) => Err(error),
        (None, Ok(())) => Ok(()),
        (None, Err(error)) => {
            let sentence = stopped(Place::Element(elements.number + 1), &error);
            (elements.each)(Piece::Broken(sentence))
        }
    }
}

/// Hands over one element after the other.
struct Elements<'a, 'b> {
    each: &'a mut Each<'b>,
    ration: Rc<Cell<u64>>,
    number: usize,
    /// Why nothing more is wanted.
    failed: Option<ImportError>,
}

impl<'de> Visitor<'de> for &mut Elements<'_, '_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an array of chats")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        while let Some(value) = elements.next_element::<Value>()? {
            self.number += 1;
            self.ration.set(MOST_BYTES);
            if let Err(error) = (self.each)(Piece::Value(Place::Element(self.number), value)) {
                self.failed = Some(error);
                return Err(serde::de::Error::custom("nothing more is wanted"));
            }
        }
        Ok(())
    }
}

/// A reader that hands out so many bytes until it is allowed more.
struct Rationed<R> {
    reader: R,
    left: Rc<Cell<u64>>,
}

impl<R: Read> Rationed<R> {
    fn new(reader: R) -> (Self, Rc<Cell<u64>>) {
        let left = Rc::new(Cell::new(MOST_BYTES));
        (Self { reader, left: Rc::clone(&left) }, left)
    }
}

impl<R: Read> Read for Rationed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left.get() == 0 {
            return Err(too_long());
        }
        let read = self.reader.read(buffer)?;
        self.left.set(self.left.get().saturating_sub(read as u64));
        Ok(read)
    }
}

fn too_long() -> io::Error {
    io::Error::other(format!("one value is longer than {} MiB, which no chat is", MOST_BYTES >> 20))
}

fn stopped(place: Place, error: &serde_json::Error) -> String {
    format!("{place} is no whole JSON, and nothing behind it was read: {}", reason(error))
}

/// What is wrong, with its place in the file.
fn reason(error: &serde_json::Error) -> String {
    crate::text::escape_line(&error.to_string())
}
