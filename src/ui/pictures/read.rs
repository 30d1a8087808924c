//! From a file to a picture as the terminal is sent it. The file may be anything: it must be a regular one of bounded
//! size, and is decoded within limits.

use std::io::{Cursor, Read};
use std::panic::catch_unwind;
use std::sync::Arc;

use image::imageops::{self, FilterType};
use image::{ImageDecoder, ImageReader, Limits, RgbaImage};

use super::{Form, Outcome, Picture, Protocol, Room, Wanted, kitty, strips};
use crate::platform::files;
use crate::ui::tty;

const MOST_BYTES: u64 = 20 << 20;
const MOST_DOTS: u64 = 40_000_000;
/// More dots for a cell cost time and lines, and are hardly seen.
const MOST_CELL: u32 = 40;
/// The size of a cell where the terminal does not tell.
const CELL: Cell = Cell { width: 8, height: 16 };

/// Dots of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cell {
    width: u32,
    height: u32,
}

/// Reads a picture and makes it fit the room.
///
/// # Errors
/// A sentence without a subject that says why it cannot be shown.
pub fn read(wanted: &Wanted) -> Outcome {
    let told = told_cell();
    // A wrong guess would let sixels cover the text below.
    if wanted.room.protocol == Protocol::Sixel && told.is_none() {
        return Err("the terminal does not tell how large its characters are".into());
    }
    read_for(wanted, told.unwrap_or(CELL))
}

/// The size of a cell as the terminal tells it.
fn told_cell() -> Option<Cell> {
    let size = tty::size().ok()?;
    let cell = Cell {
        width: u32::from(size.width).checked_div(u32::from(size.columns))?,
        height: u32::from(size.height).checked_div(u32::from(size.rows))?,
    };
    let is_likely = (2..=200).contains(&cell.width) && (4..=400).contains(&cell.height);
    is_likely.then_some(cell)
}

fn read_for(wanted: &Wanted, cell: Cell) -> Outcome {
    let bytes = bytes(&wanted.path)?;
    // A decoder that fails on a damaged file costs the picture, nothing else.
    let picture = catch_unwind(|| decode(&bytes)).unwrap_or_else(|_| Err("it is damaged".into()))?;
    make(&picture, wanted, cell).map(Arc::new).ok_or_else(|| "it cannot be made fit".into())
}

fn bytes(path: &str) -> Result<Vec<u8>, String> {
    let fails = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => "it is not there any more".to_owned(),
        _ => format!("it cannot be read ({})", crate::text::cause(&error)),
    };
    let file = files::open_at_once(path).map_err(fails)?;
    let about = file.metadata().map_err(fails)?;
    if !about.is_file() {
        return Err("it is no file".into());
    }
    let mut bytes = Vec::new();
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(fails)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(format!("it is larger than {} MB", MOST_BYTES >> 20));
    }
    Ok(bytes)
}

fn decode(bytes: &[u8]) -> Result<RgbaImage, String> {
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|error| error.to_string())?;
    if !reader.format().is_some_and(|format| format.reading_enabled()) {
        return Err("only PNG, JPEG, GIF and WebP are shown".into());
    }
    let damaged = |error| {
        tracing::debug!("a picture: {error}");
        "it is damaged".to_owned()
    };
    let mut decoder = reader.into_decoder().map_err(damaged)?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > MOST_DOTS || width == 0 || height == 0 {
        return Err(format!("it has more than {} million dots", MOST_DOTS / 1_000_000));
    }
    let mut limits = Limits::default();
    limits.max_alloc = Some(MOST_DOTS * 8);
    decoder.set_limits(limits).map_err(damaged)?;
    let orientation = decoder.orientation().map_err(damaged)?;
    let mut picture = image::DynamicImage::from_decoder(decoder).map_err(damaged)?;
    picture.apply_orientation(orientation);
    Ok(picture.to_rgba8())
}

/// How many cells a picture of so many dots takes: no more than its own size, in its proportions.
fn cells(width: u32, height: u32, room: Room, cell: Cell) -> (u16, u16) {
    let most = |cells: u16| if room.protocol == Protocol::Kitty { cells.min(kitty::MOST_CELLS) } else { cells };
    let (columns, rows) = (f64::from(most(room.columns).max(1)), f64::from(most(room.rows).max(1)));
    let (wide, high) = (f64::from(width) / f64::from(cell.width), f64::from(height) / f64::from(cell.height));
    let scale = (columns / wide).min(rows / high).min(1.0);
    let whole = |size: f64, most: f64| (size * scale).round().clamp(1.0, most) as u16;
    (whole(wide, columns), whole(high, rows))
}

fn make(picture: &RgbaImage, wanted: &Wanted, cell: Cell) -> Option<Picture> {
    let room = wanted.room;
    let (columns, rows) = cells(picture.width(), picture.height(), room, cell);
    // Sixels are dots of the screen; the others are fitted to their cells by the terminal.
    let limit = if room.protocol == Protocol::Sixel { u32::MAX } else { MOST_CELL };
    let (width, height) = (u32::from(columns) * cell.width.min(limit), cell.height.min(limit));
    let fitted = imageops::resize(picture, width, u32::from(rows) * height, FilterType::Triangle);
    let form = if room.protocol == Protocol::Kitty {
        let number = number(&[wanted.path.as_bytes(), fitted.as_raw()]);
        Form::Whole { number, sequence: kitty::send(number, columns, rows, &strips::png(&fitted)?) }
    } else {
        let strip = |row: u32| {
            let strip = imageops::crop_imm(&fitted, 0, row * height, width, height).to_image();
            if room.protocol == Protocol::Sixel { Some(strips::sixel(&strip)) } else { strips::iterm(&strip, columns) }
        };
        let first = number(&[wanted.path.as_bytes(), fitted.as_raw()]);
        Form::Strips { first, strips: (0..u32::from(rows)).map(strip).collect::<Option<_>>()? }
    };
    Some(Picture { columns, rows, form })
}

/// A number for this picture in this size, of 24 bits and not 0.
fn number(parts: &[&[u8]]) -> u32 {
    let hash = parts.iter().fold(0, |hash, part| xxhash_rust::xxh3::xxh3_64_with_seed(part, hash));
    ((hash >> 40) as u32).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgba;
    use std::path::Path;

    fn wanted(path: &Path, protocol: Protocol) -> Wanted {
        Wanted { path: path.to_string_lossy().into_owned(), room: Room { protocol, columns: 40, rows: 10 } }
    }

    fn failure(path: &Path) -> String {
        read_for(&wanted(path, Protocol::Kitty), CELL).unwrap_err()
    }

    #[test]
    fn a_picture_keeps_its_proportions_and_is_not_made_larger() {
        let room = Room { protocol: Protocol::Iterm, columns: 40, rows: 10 };
        assert_eq!(cells(1600, 1600, room, CELL), (20, 10));
        assert_eq!(cells(3200, 160, room, CELL), (40, 1));
        assert_eq!(cells(16, 16, room, CELL), (2, 1));
        assert_eq!(cells(1, 40_000, room, CELL), (1, 10));
        let wide = Room { protocol: Protocol::Kitty, columns: 500, rows: 400 };
        assert!(cells(90_000, 90_000, wide, CELL).0 <= kitty::MOST_CELLS);
    }

    #[test]
    fn every_terminal_is_sent_its_own_form() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        RgbaImage::from_pixel(32, 32, Rgba([0, 0, 255, 255])).save(&path).unwrap();
        for (protocol, beginning) in [
            (Protocol::Kitty, "\x1b_Ga=T,U=1,q=2"),
            (Protocol::Iterm, "\x1b]1337;File="),
            (Protocol::Sixel, "\x1bP0;1;0q"),
        ] {
            let picture = read_for(&wanted(&path, protocol), CELL).unwrap();
            assert_eq!((picture.columns, picture.rows), (4, 2));
            let sequences = match &picture.form {
                Form::Whole { sequence, .. } => vec![sequence],
                Form::Strips { strips, .. } => strips.iter().collect(),
            };
            assert_eq!(sequences.len(), if protocol == Protocol::Kitty { 1 } else { 2 });
            assert!(sequences.iter().all(|sequence| sequence.starts_with(beginning.as_bytes())));
        }
    }

    #[test]
    fn what_is_no_picture_to_show_is_refused_with_a_reason() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            path
        };
        assert_eq!(failure(Path::new("/no/such/picture.png")), "it is not there any more");
        if cfg!(unix) {
            assert_eq!(failure(folder.path()), "it is no file");
            assert_eq!(failure(Path::new("/dev/zero")), "it is no file");
        }
        assert_eq!(failure(&file("a.png", b"\x89PNG\r\n\x1a\n and then nothing")), "it is damaged");
        assert_eq!(failure(&file("a.txt", b"hello")), "only PNG, JPEG, GIF and WebP are shown");
        let large = file("b.png", b"");
        std::fs::File::options().write(true).open(&large).unwrap().set_len(MOST_BYTES + 1).unwrap();
        assert_eq!(failure(&large), "it is larger than 20 MB");
    }

    #[test]
    fn a_small_file_that_says_it_is_huge_is_not_decoded() {
        // The header of a PNG file of 60000 × 60000 dots.
        let header = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\xea`\0\0\xea`\x08\x06\0\0\0\x80\xd2uB\0\0\0\x09IDAT123456789";
        assert!(decode(header).unwrap_err().contains("million dots"));
    }
}
