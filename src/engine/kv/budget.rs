//! How many tokens the KV cache holds: what was asked for, or what the memory for it gives. Pure.

use crate::engine::protocol::EngineError;
use crate::hardware::memory::Memory;
use crate::text::mebibytes;

/// Context that is made when nothing else is asked for, if model and memory allow it.
const DEFAULT_CONTEXT: u32 = 16_384;
pub const LEAST_CONTEXT: u32 = 512;
/// Beside weights and KV cache: buffers of the computation.
const WORKING_BYTES: u64 = 256 << 20;
/// llama.cpp rounds the number of cells up to a multiple of this.
const STEP: u64 = 256;

/// What is wanted of the KV cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wish {
    /// So many tokens, whatever they take.
    pub context: Option<u32>,
    pub most_bytes: Option<u64>,
    /// What the model was trained with; 0 if its file does not say.
    pub trained: u32,
    /// More cells than this are of no use; `None` where nobody knows.
    pub useful: Option<u32>,
}

impl Wish {
    /// Tokens that a conversation should have.
    pub fn tokens(&self) -> u32 {
        self.context.unwrap_or(self.longest().min(DEFAULT_CONTEXT).min(self.useful()))
    }

    /// Bytes there are for them: what was said, else what is free if a number of tokens was asked for, else a quarter
    /// of it.
    pub fn bytes(&self, memory: Option<Memory>) -> u64 {
        let free = memory.map_or(u64::MAX, |memory| memory.available.saturating_sub(WORKING_BYTES));
        self.most_bytes.unwrap_or(if self.context.is_some() { free } else { free / 4 })
    }

    /// Cells of the cache.
    ///
    /// # Errors
    /// If the memory is not enough, with what would be.
    pub fn cells(&self, bytes_per_cell: u64, memory: Option<Memory>) -> Result<u32, EngineError> {
        let cells = match (self.context, self.most_bytes) {
            (Some(cells), _) => cells,
            (None, Some(bytes)) => self.cells_of(bytes, bytes_per_cell)?,
            (None, None) => return Ok(self.default_cells(bytes_per_cell, memory)),
        };
        self.check_memory(cells, bytes_per_cell, memory)?;
        Ok(cells)
    }

    fn longest(&self) -> u32 {
        if self.trained == 0 { DEFAULT_CONTEXT } else { self.trained }
    }

    fn cells_of(&self, bytes: u64, bytes_per_cell: u64) -> Result<u32, EngineError> {
        let least = LEAST_CONTEXT.min(self.longest());
        let cells = whole_cells(bytes, bytes_per_cell);
        if cells < least {
            let smallest = (u64::from(least) * bytes_per_cell).div_ceil(1 << 20);
            return Err(EngineError::NotEnoughMemory(format!(
                "a KV cache of {} holds fewer than {least} tokens of this model; type `--kv-mem {smallest}M` or more",
                mebibytes(bytes)
            )));
        }
        Ok(cells.min(self.longest()))
    }

    /// What the model was trained with, up to [`DEFAULT_CONTEXT`] and a quarter of the free memory.
    fn default_cells(&self, bytes_per_cell: u64, memory: Option<Memory>) -> u32 {
        let affordable = whole_cells(self.bytes(memory), bytes_per_cell);
        self.longest().min(DEFAULT_CONTEXT).min(affordable.max(LEAST_CONTEXT)).min(self.useful())
    }

    fn useful(&self) -> u32 {
        self.useful.unwrap_or(u32::MAX)
    }

    fn check_memory(&self, cells: u32, bytes_per_cell: u64, memory: Option<Memory>) -> Result<(), EngineError> {
        let Some(memory) = memory else { return Ok(()) };
        let needed = u64::from(cells).saturating_mul(bytes_per_cell).saturating_add(WORKING_BYTES);
        if needed <= memory.available {
            return Ok(());
        }
        let (option, value) = match self.context {
            Some(_) => {
                let nothing_said = Self { context: None, most_bytes: None, trained: cells, useful: None };
                ("--ctx", nothing_said.default_cells(bytes_per_cell, Some(memory)).to_string())
            }
            None => ("--kv-mem", format!("{}M", (memory.available.saturating_sub(WORKING_BYTES) >> 20).max(1))),
        };
        Err(EngineError::NotEnoughMemory(format!(
            "a context of {cells} tokens needs {} and {} are free; try `{option} {value}`, or leave `{option}` out",
            mebibytes(needed),
            mebibytes(memory.available)
        )))
    }
}

/// Cells that so many bytes hold, as llama.cpp makes them.
pub fn whole_cells(bytes: u64, bytes_per_cell: u64) -> u32 {
    u32::try_from(bytes / bytes_per_cell.max(1) / STEP * STEP).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn memory(total: u64, available: u64) -> Option<Memory> {
        Some(Memory { total, available })
    }

    fn nothing(trained: u32) -> Wish {
        Wish { context: None, most_bytes: None, trained, useful: None }
    }

    #[test]
    fn no_more_cells_are_made_than_are_of_use() {
        let wish = Wish { useful: Some(900), ..nothing(8192) };
        assert_eq!(wish.cells(23_040, memory(8 * GIB, 6 * GIB)), Ok(900));
        let asked_for = Wish { context: Some(4096), ..wish };
        assert_eq!(asked_for.cells(23_040, memory(8 * GIB, 6 * GIB)), Ok(4096));
    }

    #[test]
    fn the_default_context_is_what_training_and_memory_allow() {
        assert_eq!(nothing(8192).cells(23_040, memory(8 * GIB, 6 * GIB)), Ok(8192));
        assert_eq!(nothing(131_072).cells(28_672, memory(32 * GIB, 24 * GIB)), Ok(DEFAULT_CONTEXT));
        assert_eq!(nothing(32_768).cells(131_072, memory(2 * GIB, GIB)), Ok(1536));
        assert_eq!(nothing(32_768).cells(131_072, memory(GIB, 0)), Ok(LEAST_CONTEXT));
        assert_eq!(nothing(0).cells(1024, None), Ok(DEFAULT_CONTEXT));
    }

    #[test]
    fn a_context_that_does_not_fit_is_refused_with_one_that_does() {
        let wish = |cells| Wish { context: Some(cells), ..nothing(0) };
        let error = wish(1_000_000).cells(131_072, memory(4 * GIB, 2 * GIB)).unwrap_err();
        assert!(matches!(&error, EngineError::NotEnoughMemory(text) if text.contains("--ctx 3584")), "{error}");
        assert_eq!(wish(4096).cells(23_040, memory(4 * GIB, 2 * GIB)), Ok(4096));
    }

    #[test]
    fn a_budget_gives_whole_steps_of_cells_up_to_what_the_model_was_trained_with() {
        let cells = |bytes, trained| {
            let wish = Wish { most_bytes: Some(bytes), ..nothing(trained) };
            wish.cells(23_040, memory(8 * GIB, 6 * GIB)).map_err(|error| error.to_string())
        };
        assert_eq!(cells(32 << 20, 8192), Ok(1280));
        assert_eq!(cells(GIB, 8192), Ok(8192));
        assert_eq!(cells(6 << 20, 256), Ok(256));
        let refused = "a KV cache of 8 MiB holds fewer than 512 tokens of this model; type `--kv-mem 12M` or more";
        assert_eq!(cells(8 << 20, 8192), Err(refused.into()));
        assert!(cells(12 << 20, 8192).is_ok());
        assert!(cells(16 * GIB, 1_000_000).unwrap_err().contains("--kv-mem 5888M"));
    }

    #[test]
    fn a_number_of_tokens_is_stronger_than_a_number_of_bytes() {
        let wish = Wish { context: Some(4096), most_bytes: Some(1), trained: 8192, useful: None };
        assert_eq!(wish.cells(23_040, memory(8 * GIB, 6 * GIB)), Ok(4096));
    }
}
