//! Several sequences in one cache, computed side by side: what they begin with alike is in cells that they share. The
//! first sequence is the conversation that the rest of [`Context`] is about.

use llama_cpp_sys_2 as sys;

use super::{Context, Decoded};
use crate::engine::llama::Token;
use crate::engine::protocol::CancelFlag;

/// A token to be computed, in its sequence and behind whatever that holds before its position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    pub token: Token,
    pub position: u32,
    pub sequence: u32,
    /// Its logits are wanted.
    pub is_asked: bool,
}

impl Context<'_> {
    /// Sequences there may be, the conversation's included.
    pub fn sequences(&self) -> u32 {
        // SAFETY: the context lives.
        unsafe { sys::llama_n_seq_max(self.context.as_ptr()) }
    }

    /// Computes these tokens at once; those of a sequence stand in the order of their positions. See
    /// [`Context::logits_of`] for the logits of those that ask, by their index.
    pub fn decode_rows(&mut self, rows: &[Row], cancel: &[&CancelFlag]) -> Decoded {
        let sequences = self.sequences();
        let is_sound = |row: &Row| row.sequence < sequences && i32::try_from(row.position).is_ok();
        if rows.is_empty() || rows.len() > self.batch.capacity || !rows.iter().all(is_sound) {
            return Decoded::Failed(-1);
        }
        self.batch.fill_rows(rows);
        self.run(cancel)
    }

    /// Lets an empty sequence begin with the first `length` tokens of another one, in the same cells. A cache that cannot
    /// be cut (see [`Context::can_evict`]) shares all of them, or none.
    pub fn share(&mut self, from: u32, sequence: u32, length: u32) {
        let is_sound = self.is_beside(sequence) && from < self.sequences() && from != sequence;
        let numbers = (i32::try_from(from), i32::try_from(sequence), i32::try_from(length));
        let (true, (Ok(from), Ok(to), Ok(end))) = (is_sound, numbers) else { return };
        let end = if self.can_evict() { end } else { -1 };
        // SAFETY: the context lives, and with it its memory, which has these sequences (checked above).
        unsafe {
            let memory = sys::llama_get_memory(self.context.as_ptr());
            sys::llama_memory_seq_cp(memory, from, to, 0, end);
        }
    }

    /// Empties a sequence. Cells that it shared stay with the others.
    pub fn forget(&mut self, sequence: u32) {
        if let (true, Ok(sequence)) = (self.is_beside(sequence), i32::try_from(sequence)) {
            // SAFETY: as in `share`; taking out a whole sequence always succeeds.
            unsafe { sys::llama_memory_seq_rm(sys::llama_get_memory(self.context.as_ptr()), sequence, -1, -1) };
        }
    }

    /// Whether this is a sequence, and not the conversation's.
    fn is_beside(&self, sequence: u32) -> bool {
        sequence > 0 && sequence < self.sequences()
    }
}
