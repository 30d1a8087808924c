//! The bytes of a KV cache as rows, one for each cell, and such bytes put together from other rows. What the rows hold
//! is llama.cpp's business: they are only moved, so every number format is the same to this.
//!
//! As in `state`, the layout is checked and given up on rather than guessed: a cache with a sliding window (two caches
//! in one), without values (latent attention) or with values that lie across (no flash attention) is not cut into rows.

use std::ops::Range;

use super::state::{Beginning, Reader};

/// Bytes about each cell: its position, how many sequences it belongs to, and which.
const CELL_BYTES: usize = 12;
/// Bytes before each layer's rows: their type, and the length of one.
const SECTION_HEAD_BYTES: usize = 12;

/// A cache as bytes, cut into rows.
#[derive(Debug)]
pub struct Rows<'b> {
    /// The bytes up to the number of cells.
    beginning: &'b [u8],
    positions: Vec<u32>,
    /// How the values lie, and the numbers of layers and rotations.
    form: &'b [u8],
    /// The keys of each layer, then the values of each.
    sections: Vec<Section<'b>>,
}

#[derive(Debug)]
struct Section<'b> {
    head: &'b [u8],
    row_bytes: usize,
    rows: &'b [u8],
}

impl<'b> Rows<'b> {
    /// `None` for a layout that is not known, and for an empty cache.
    pub fn read(bytes: &'b [u8]) -> Option<Self> {
        let mut reader = Reader { bytes };
        let Beginning { length, positions } = Beginning::read(&mut reader)?;
        let cells = positions.len();
        let form = reader.take(16)?;
        let (transposed, layers) = (number(form, 0), number(form, 4) as usize);
        if transposed != 0 || cells == 0 || layers == 0 {
            return None;
        }
        let mut sections = Vec::new();
        while !reader.bytes.is_empty() {
            let head = reader.take(SECTION_HEAD_BYTES)?;
            let row_bytes = usize::try_from(u64::from_le_bytes(head[4..].try_into().ok()?)).ok()?;
            let rows = reader.take(row_bytes.checked_mul(cells)?)?;
            sections.push(Section { head, row_bytes, rows });
        }
        (sections.len() == 2 * layers).then_some(Self { beginning: &bytes[..length], positions, form, sections })
    }

    /// The positions of the cells, in the cells' order.
    pub fn positions(&self) -> &[u32] {
        &self.positions
    }

    /// Bytes of one cell in all layers.
    pub fn row_bytes(&self) -> usize {
        self.sections.iter().map(|section| section.row_bytes).sum()
    }

    /// Adds the row of a cell to others.
    pub fn copy_row(&self, cell: usize, rows: &mut Vec<u8>) {
        for section in &self.sections {
            rows.extend_from_slice(&section.rows[cell * section.row_bytes..(cell + 1) * section.row_bytes]);
        }
    }

    /// A cache of the same form with cells at these positions, the rows of which are to be put in. `None` for want of
    /// memory.
    pub fn rebuild(&self, positions: &[u32]) -> Option<Rebuilt> {
        let heads = self.sections.len() * SECTION_HEAD_BYTES;
        let per_cell = CELL_BYTES + self.row_bytes();
        let length = self.beginning.len() + 4 + self.form.len() + heads + positions.len().checked_mul(per_cell)?;
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(length).ok()?;
        bytes.extend_from_slice(self.beginning);
        bytes.extend_from_slice(&u32::try_from(positions.len()).ok()?.to_le_bytes());
        for position in positions {
            bytes.extend_from_slice(&position.to_le_bytes());
            bytes.extend_from_slice(&1_u32.to_le_bytes());
            bytes.extend_from_slice(&0_u32.to_le_bytes());
        }
        bytes.extend_from_slice(self.form);
        let mut places = Vec::with_capacity(self.sections.len());
        for section in &self.sections {
            bytes.extend_from_slice(section.head);
            places.push((bytes.len(), section.row_bytes));
            bytes.resize(bytes.len() + section.row_bytes * positions.len(), 0);
        }
        Some(Rebuilt { bytes, places, cells: positions.len() })
    }
}

/// A cache as bytes that is being put together.
#[derive(Debug)]
pub struct Rebuilt {
    bytes: Vec<u8>,
    /// Where each section's rows begin, and how long they are.
    places: Vec<(usize, usize)>,
    cells: usize,
}

impl Rebuilt {
    /// Puts the rows of these cells of another cache of the same form into the cells from `cell` on.
    pub fn copy(&mut self, cell: usize, from: &Rows<'_>, cells: Range<usize>) {
        assert!(cell + cells.len() <= self.cells);
        for ((start, row_bytes), section) in self.places.iter().zip(&from.sections) {
            let to = start + cell * row_bytes;
            let rows = &section.rows[cells.start * row_bytes..cells.end * row_bytes];
            self.bytes[to..to + rows.len()].copy_from_slice(rows);
        }
    }

    /// Puts a row that [`Rows::copy_row`] gave into a cell.
    pub fn put(&mut self, cell: usize, row: &[u8]) {
        assert!(cell < self.cells);
        let mut rest = row;
        for (start, row_bytes) in &self.places {
            let (part, behind) = rest.split_at(*row_bytes);
            self.bytes[start + cell * row_bytes..][..part.len()].copy_from_slice(part);
            rest = behind;
        }
    }

    /// What llama.cpp takes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

fn number(bytes: &[u8], place: usize) -> u32 {
    bytes.get(place..place + 4).and_then(|four| four.try_into().ok()).map_or(0, u32::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A cache of this many cells and layers, whose rows tell where they are from.
    fn cache(positions: &[u32], layers: u8, row_bytes: u8) -> Vec<u8> {
        let mut numbers = vec![0xaf14_3cd8, 0, 1, positions.len() as u32];
        numbers.extend(positions.iter().flat_map(|position| [*position, 1, 0]));
        numbers.extend([0, u32::from(layers), 0, 0]);
        let mut bytes: Vec<u8> = numbers.into_iter().flat_map(u32::to_le_bytes).collect();
        for section in 0..2 * layers {
            bytes.extend(1_u32.to_le_bytes());
            bytes.extend(u64::from(row_bytes + section).to_le_bytes());
            for position in positions {
                bytes.extend((0..row_bytes + section).map(|byte| byte ^ section ^ *position as u8));
            }
        }
        bytes
    }

    fn row(rows: &Rows<'_>, cell: usize) -> Vec<u8> {
        let mut row = Vec::new();
        rows.copy_row(cell, &mut row);
        row
    }

    #[test]
    fn what_is_not_cut_as_expected_is_not_read() {
        let whole = cache(&[3, 4, 9], 2, 5);
        assert!(Rows::read(&whole).is_some());
        for length in 0..whole.len() {
            assert!(Rows::read(&whole[..length]).is_none(), "cut at {length}");
        }
        // Two caches in one, as with sliding windows; and values that lie across.
        assert!(Rows::read(&[&whole[..], &whole[8..]].concat()).is_none());
        let mut across = whole;
        across[16 + 3 * CELL_BYTES] = 1;
        assert!(Rows::read(&across).is_none());
        assert!(Rows::read(&cache(&[], 2, 5)).is_none());
    }

    proptest! {
        #[test]
        fn all_rows_put_together_again_are_the_same_bytes(cells in 1..9_u32, layers in 1..4_u8, row_bytes in 1..20_u8) {
            let positions: Vec<u32> = (0..cells).map(|cell| cell * cell + 2).collect();
            let bytes = cache(&positions, layers, row_bytes);
            let rows = Rows::read(&bytes).unwrap();
            let mut copied = rows.rebuild(&positions).unwrap();
            copied.copy(0, &rows, 0..cells as usize);
            prop_assert_eq!(copied.bytes(), &bytes[..]);
            let mut put = rows.rebuild(&positions).unwrap();
            for cell in 0..cells as usize {
                put.put(cell, &row(&rows, cell));
            }
            prop_assert_eq!(put.bytes(), &bytes[..]);
        }

        #[test]
        fn a_cache_of_chosen_rows_has_those_and_no_others(chosen in proptest::collection::vec(any::<bool>(), 1..12)) {
            let positions: Vec<u32> = (0..chosen.len() as u32).map(|cell| 3 * cell).collect();
            let bytes = cache(&positions, 2, 7);
            let rows = Rows::read(&bytes).unwrap();
            let kept: Vec<usize> = (0..chosen.len()).filter(|cell| chosen[*cell]).collect();
            let kept_positions: Vec<u32> = kept.iter().map(|cell| positions[*cell]).collect();
            let mut rebuilt = rows.rebuild(&kept_positions).unwrap();
            for (place, cell) in kept.iter().enumerate() {
                if place % 2 == 0 {
                    rebuilt.copy(place, &rows, *cell..cell + 1);
                } else {
                    rebuilt.put(place, &row(&rows, *cell));
                }
            }
            prop_assert_eq!(rebuilt.bytes(), &cache(&kept_positions, 2, 7)[..]);
        }
    }
}
