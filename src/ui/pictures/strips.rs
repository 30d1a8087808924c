//! A row of cells of a picture in iTerm2's form and as sixels.

use std::fmt::Write;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use image::{ImageFormat, RgbaImage};

/// Steps of each colour: the cube of 216 colours.
const STEPS: u32 = 6;
/// Rows of dots in one sixel.
const BAND: u32 = 6;
/// An ordered pattern that makes more of few colours.
const PATTERN: [[u32; 4]; 4] = [[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]];

/// A picture as a PNG file.
pub fn png(picture: &RgbaImage) -> Option<Vec<u8>> {
    let mut file = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut file, ImageFormat::Png).ok()?;
    Some(file.into_inner())
}

/// One row of cells for iTerm2 and those that do as it does.
pub fn iterm(strip: &RgbaImage, columns: u16) -> Option<Vec<u8>> {
    let file = png(strip)?;
    let size = file.len();
    let head = format!(
        "\x1b]1337;File=inline=1;size={size};width={columns};height=1;preserveAspectRatio=0;doNotMoveCursor=1:"
    );
    Some(format!("{head}{}\x07", BASE64_STANDARD.encode(file)).into_bytes())
}

/// One row of cells as sixels. What is more transparent than not stays as it is on the screen.
pub fn sixel(strip: &RgbaImage) -> Vec<u8> {
    let (width, height) = strip.dimensions();
    let mut sequence = format!("\x1bP0;1;0q\"1;1;{width};{height}");
    let used: std::collections::BTreeSet<u32> =
        strip.enumerate_pixels().filter_map(|(x, y, pixel)| register(x, y, pixel.0)).collect();
    for register in used {
        let [red, green, blue] = [register / 36, register / 6 % 6, register % 6].map(|step| step * 100 / (STEPS - 1));
        // A string takes everything.
        let _ = write!(sequence, "#{register};2;{red};{green};{blue}");
    }
    for top in (0..height).step_by(BAND as usize) {
        if top > 0 {
            sequence.push('-');
        }
        push_band(strip, top, &mut sequence);
    }
    sequence.push_str("\x1b\\");
    sequence.into_bytes()
}

/// The colour of a dot among the 216; nothing for a transparent one.
fn register(x: u32, y: u32, [red, green, blue, alpha]: [u8; 4]) -> Option<u32> {
    let threshold = PATTERN[(y % 4) as usize][(x % 4) as usize] * 2 + 1;
    let step = |value: u8| (u32::from(value) * (STEPS - 1) * 32 + threshold * 255) / (255 * 32);
    let [red, green, blue] = [red, green, blue].map(|value| step(value).min(STEPS - 1));
    (alpha >= 128).then_some(red * 36 + green * 6 + blue)
}

/// Six rows of dots, one colour after the other.
fn push_band(strip: &RgbaImage, top: u32, sequence: &mut String) {
    let (width, height) = strip.dimensions();
    let mut colours = std::collections::BTreeMap::<u32, Vec<u8>>::new();
    for y in top..height.min(top + BAND) {
        for x in 0..width {
            if let Some(register) = register(x, y, strip.get_pixel(x, y).0) {
                let row = colours.entry(register).or_insert_with(|| vec![0; width as usize]);
                row[x as usize] |= 1 << (y - top);
            }
        }
    }
    for (index, (register, dots)) in colours.into_iter().enumerate() {
        if index > 0 {
            sequence.push('$');
        }
        let _ = write!(sequence, "#{register}");
        for run in dots.chunk_by(|left, right| left == right) {
            let sixel = char::from(run[0] + b'?');
            match run.len() {
                count @ 4.. => drop(write!(sequence, "!{count}{sixel}")),
                count => sequence.extend(std::iter::repeat_n(sixel, count)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgba;

    #[test]
    fn a_strip_for_iterm_is_a_png_file_one_row_high() {
        let strip = RgbaImage::from_pixel(8, 16, Rgba([255, 0, 0, 255]));
        let sequence = String::from_utf8(iterm(&strip, 1).unwrap()).unwrap();
        let (head, file) = sequence.strip_suffix('\x07').unwrap().split_once(':').unwrap();
        assert!(head.starts_with("\x1b]1337;File=inline=1;size=") && head.contains(";width=1;height=1;"), "{head}");
        assert_eq!(image::load_from_memory(&BASE64_STANDARD.decode(file).unwrap()).unwrap().to_rgba8(), strip);
    }

    #[test]
    fn sixels_are_bands_of_six_rows_with_runs() {
        let mut strip = RgbaImage::from_pixel(5, 7, Rgba([255, 255, 255, 255]));
        strip.put_pixel(0, 6, Rgba([0, 0, 0, 255]));
        strip.put_pixel(4, 6, Rgba([0, 0, 0, 0]));
        let sequence = String::from_utf8(sixel(&strip)).unwrap();
        assert_eq!(sequence, "\x1bP0;1;0q\"1;1;5;7#0;2;0;0;0#215;2;100;100;100#215!5~-#0@!4?$#215?@@@?\x1b\\");
    }
}
