//! kitty's form: the picture is sent once, and cells with characters that stand for its parts show it.

use std::fmt::Write;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

/// The character that stands for a part of a picture; its colour is the picture's number.
const PLACEHOLDER: char = '\u{10EEEE}';
/// What may be sent in one piece.
const PIECE: usize = 4096;
/// The marks over it that count its row and its column, in the order that the protocol gives them.
const MARKS: [u16; 148] = [
    0x0305, 0x030d, 0x030e, 0x0310, 0x0312, 0x033d, 0x033e, 0x033f, 0x0346, 0x034a, 0x034b, 0x034c, 0x0350, 0x0351,
    0x0352, 0x0357, 0x035b, 0x0363, 0x0364, 0x0365, 0x0366, 0x0367, 0x0368, 0x0369, 0x036a, 0x036b, 0x036c, 0x036d,
    0x036e, 0x036f, 0x0483, 0x0484, 0x0485, 0x0486, 0x0487, 0x0592, 0x0593, 0x0594, 0x0595, 0x0597, 0x0598, 0x0599,
    0x059c, 0x059d, 0x059e, 0x059f, 0x05a0, 0x05a1, 0x05a8, 0x05a9, 0x05ab, 0x05ac, 0x05af, 0x05c4, 0x0610, 0x0611,
    0x0612, 0x0613, 0x0614, 0x0615, 0x0616, 0x0617, 0x0657, 0x0658, 0x0659, 0x065a, 0x065b, 0x065d, 0x065e, 0x06d6,
    0x06d7, 0x06d8, 0x06d9, 0x06da, 0x06db, 0x06dc, 0x06df, 0x06e0, 0x06e1, 0x06e2, 0x06e4, 0x06e7, 0x06e8, 0x06eb,
    0x06ec, 0x0730, 0x0732, 0x0733, 0x0735, 0x0736, 0x073a, 0x073d, 0x073f, 0x0740, 0x0741, 0x0743, 0x0745, 0x0747,
    0x0749, 0x074a, 0x07eb, 0x07ec, 0x07ed, 0x07ee, 0x07ef, 0x07f0, 0x07f1, 0x07f3, 0x0816, 0x0817, 0x0818, 0x0819,
    0x081b, 0x081c, 0x081d, 0x081e, 0x081f, 0x0820, 0x0821, 0x0822, 0x0823, 0x0825, 0x0826, 0x0827, 0x0829, 0x082a,
    0x082b, 0x082c, 0x082d, 0x0951, 0x0953, 0x0954, 0x0f82, 0x0f83, 0x0f86, 0x0f87, 0x135d, 0x135e, 0x135f, 0x17dd,
    0x193a, 0x1a17, 0x1a75, 0x1a76, 0x1a77, 0x1a78, 0x1a79, 0x1a7a,
];
/// More rows or columns cannot be told apart.
pub const MOST_CELLS: u16 = MARKS.len() as u16;

/// The sequence that hands over a PNG file, to be shown in so many cells.
pub fn send(number: u32, columns: u16, rows: u16, file: &[u8]) -> Vec<u8> {
    let encoded = BASE64_STANDARD.encode(file);
    let mut sequence = String::with_capacity(encoded.len() + encoded.len() / 128 + 64);
    let mut rest = encoded.as_str();
    let mut head = format!("a=T,U=1,q=2,f=100,i={number},c={columns},r={rows},");
    while !rest.is_empty() {
        let (piece, others) = rest.split_at(rest.len().min(PIECE));
        // A string takes everything.
        let _ = write!(sequence, "\x1b_G{head}m={};{piece}\x1b\\", u8::from(!others.is_empty()));
        head.clear();
        rest = others;
    }
    sequence.into_bytes()
}

/// The sequence that has the terminal forget a picture.
pub fn forget(number: u32) -> Vec<u8> {
    format!("\x1b_Ga=d,d=I,q=2,i={number}\x1b\\").into_bytes()
}

/// The cells of one row.
pub fn cells(row: u16, columns: u16) -> String {
    let mark = |index: u16| MARKS.get(usize::from(index)).and_then(|mark| char::from_u32(u32::from(*mark)));
    let cell = |column| [Some(PLACEHOLDER), mark(row), mark(column)].into_iter().flatten();
    (0..columns).flat_map(cell).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use unicode_width::UnicodeWidthStr;

    #[test]
    fn a_small_picture_is_sent_in_one_piece_that_asks_for_no_reply() {
        assert_eq!(send(258, 3, 2, b"PNG"), b"\x1b_Ga=T,U=1,q=2,f=100,i=258,c=3,r=2,m=0;UE5H\x1b\\");
    }

    #[test]
    fn a_large_one_is_sent_in_pieces() {
        let sent = String::from_utf8(send(1, 1, 1, &[0; 4000])).unwrap();
        let pieces: Vec<&str> = sent.split_terminator("\x1b\\").collect();
        assert_eq!(pieces.len(), 2);
        assert!(pieces[0].contains(",m=1;") && pieces[1].starts_with("\x1b_Gm=0;"));
        assert!(pieces.iter().all(|piece| piece.split_once(';').unwrap().1.len() <= PIECE));
    }

    #[test]
    fn every_cell_is_one_column_and_says_which_part_it_is() {
        assert_eq!(cells(1, 2), "\u{10EEEE}\u{30D}\u{305}\u{10EEEE}\u{30D}\u{30D}");
        assert_eq!(cells(3, MOST_CELLS).width(), usize::from(MOST_CELLS));
    }
}
