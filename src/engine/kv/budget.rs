//! How many tokens the KV cache holds: what was asked for, or what the memory for it gives. Pure.

use crate::engine::protocol::{EngineError, LoadSettings};
use crate::text::mebibytes;

/// Context that is made when nothing else is asked for, if model and memory allow it.
const DEFAULT_CONTEXT: u32 = 16_384;
/// Fewer tokens than these are no conversation; a cache of fewer is made only if they are asked for.
const USABLE_CONTEXT: u32 = 2048;
pub const LEAST_CONTEXT: u32 = 512;
/// llama.cpp rounds the number of cells up to a multiple of this.
const STEP: u64 = 256;

/// Bytes for the KV cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KvRoom {
    /// All there are for it.
    pub most: u64,
    /// What it takes where nobody says.
    pub usual: u64,
}

impl KvRoom {
    /// Of a machine that does not tell its memory.
    pub const UNLIMITED: Self = Self { most: u64::MAX, usual: u64::MAX };

    /// Of a device with so many free bytes, whose buffers take their part of them.
    pub fn of_free(bytes: u64) -> Self {
        const BUFFERS: u64 = 256 << 20;
        let most = bytes.saturating_sub(BUFFERS);
        Self { most, usual: most.min(bytes / 4) }
    }
}

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
    /// Of a model that was trained with so many tokens.
    pub fn of(settings: &LoadSettings, trained: u32) -> Self {
        Self {
            context: settings.context,
            most_bytes: settings.kv.most_bytes,
            // Each answer of many may have as many tokens.
            trained: trained.saturating_mul(settings.expected.map_or(1, |expected| expected.lanes.max(1))),
            useful: settings.expected.map(|expected| expected.most_tokens()),
        }
    }

    /// Tokens that a conversation should have.
    pub fn tokens(&self) -> u32 {
        self.context.unwrap_or(self.longest().min(DEFAULT_CONTEXT).min(self.useful()))
    }

    /// Bytes there are for them: what was said, else all if a number of tokens was asked for, else what is usual.
    pub fn bytes(&self, room: KvRoom) -> u64 {
        self.most_bytes.unwrap_or(if self.context.is_some() { room.most } else { room.usual })
    }

    /// The fewest tokens that will do, where one takes so many bytes.
    pub fn least_tokens(&self, bytes_per_cell: u64) -> u32 {
        match (self.context, self.most_bytes) {
            (Some(tokens), _) => tokens,
            (None, Some(bytes)) => whole_cells(bytes, bytes_per_cell).min(self.longest()),
            (None, None) => self.longest().min(USABLE_CONTEXT).min(self.useful()),
        }
    }

    /// Bytes of a cache of the fewest tokens that will do.
    pub fn least_bytes(&self, bytes_per_cell: u64) -> u64 {
        u64::from(self.least_tokens(bytes_per_cell)).next_multiple_of(STEP).saturating_mul(bytes_per_cell)
    }

    /// Tokens of a cache of at most so many bytes, if that is fewer than would do and still a cache.
    pub fn fewer_tokens(&self, bytes: u64, bytes_per_cell: u64) -> Option<u32> {
        let cells = whole_cells(bytes, bytes_per_cell);
        (u64::from(cells) >= STEP && cells < self.least_tokens(bytes_per_cell)).then_some(cells)
    }

    /// Cells of the cache.
    ///
    /// # Errors
    /// If the memory is not enough, with what would be.
    pub fn cells(&self, bytes_per_cell: u64, room: KvRoom) -> Result<u32, EngineError> {
        let cells = match (self.context, self.most_bytes) {
            (Some(cells), Some(bytes)) => allowed(cells, bytes, bytes_per_cell)?,
            (Some(cells), None) => cells,
            (None, Some(bytes)) => self.cells_of(bytes, bytes_per_cell)?,
            (None, None) => self.usual_cells(bytes_per_cell, room),
        };
        self.check_memory(cells, bytes_per_cell, room)?;
        Ok(cells)
    }

    fn longest(&self) -> u32 {
        if self.trained == 0 { DEFAULT_CONTEXT } else { self.trained }
    }

    fn cells_of(&self, bytes: u64, bytes_per_cell: u64) -> Result<u32, EngineError> {
        let least = LEAST_CONTEXT.min(self.longest());
        let cells = whole_cells(bytes, bytes_per_cell);
        if cells < least {
            let smallest = whole_mebibytes(least, bytes_per_cell);
            return Err(EngineError::NotEnoughMemory(format!(
                "a KV cache of {} holds fewer than {least} tokens of this model; type `--kv-mem {smallest}M` or more",
                mebibytes(bytes)
            )));
        }
        Ok(cells.min(self.longest()))
    }

    /// What the model was trained with, up to [`DEFAULT_CONTEXT`] and the usual bytes, but no fewer than
    /// [`USABLE_CONTEXT`].
    fn usual_cells(&self, bytes_per_cell: u64, room: KvRoom) -> u32 {
        let affordable = whole_cells(room.usual, bytes_per_cell).max(USABLE_CONTEXT);
        self.longest().min(DEFAULT_CONTEXT).min(affordable).min(self.useful())
    }

    fn useful(&self) -> u32 {
        self.useful.unwrap_or(u32::MAX)
    }

    fn check_memory(&self, cells: u32, bytes_per_cell: u64, room: KvRoom) -> Result<(), EngineError> {
        let needed = u64::from(cells).saturating_mul(bytes_per_cell);
        if needed <= room.most {
            return Ok(());
        }
        let next = match (self.context, self.most_bytes, whole_cells(room.most, bytes_per_cell)) {
            (Some(_), _, fitting) if fitting > 0 => {
                let nothing_said = Self { context: None, most_bytes: None, trained: cells, useful: None };
                let usual = nothing_said.usual_cells(bytes_per_cell, room).min(fitting);
                format!("try `--ctx {usual}`, or leave `--ctx` out")
            }
            (None, Some(_), _) => {
                format!("try `--kv-mem {}M`, or leave `--kv-mem` out", (room.most >> 20).max(1))
            }
            (None, None, fitting) if fitting > 0 => {
                format!("type `--ctx {fitting}`, or choose a smaller model")
            }
            _ => "choose a smaller model".into(),
        };
        Err(EngineError::NotEnoughMemory(format!(
            "a context of {cells} tokens takes {} of memory, and there are {} for it; {next}",
            mebibytes(needed),
            mebibytes(room.most)
        )))
    }
}

/// The tokens that were asked for, if they take no more than the bytes that were allowed.
fn allowed(cells: u32, bytes: u64, bytes_per_cell: u64) -> Result<u32, EngineError> {
    let smallest = whole_mebibytes(cells, bytes_per_cell);
    if u64::from(cells).next_multiple_of(STEP).saturating_mul(bytes_per_cell) <= bytes {
        return Ok(cells);
    }
    let fewer = match whole_cells(bytes, bytes_per_cell) {
        0 => String::new(),
        fewer => format!("`--ctx {fewer}` or "),
    };
    Err(EngineError::NotEnoughMemory(format!(
        "a context of {cells} tokens takes {smallest} MiB of memory, and `--kv-mem` allows {}; \
         type {fewer}`--kv-mem {smallest}M`",
        mebibytes(bytes)
    )))
}

/// MiB that hold so many tokens, as llama.cpp makes cells for them.
fn whole_mebibytes(tokens: u32, bytes_per_cell: u64) -> u64 {
    u64::from(tokens).next_multiple_of(STEP).saturating_mul(bytes_per_cell).div_ceil(1 << 20)
}

/// Cells that so many bytes hold, as llama.cpp makes them.
pub fn whole_cells(bytes: u64, bytes_per_cell: u64) -> u32 {
    u32::try_from(bytes / bytes_per_cell.max(1) / STEP * STEP).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn room(most: u64) -> KvRoom {
        KvRoom { most, usual: most / 4 }
    }

    fn nothing(trained: u32) -> Wish {
        Wish { context: None, most_bytes: None, trained, useful: None }
    }

    #[test]
    fn the_default_context_is_what_training_and_memory_allow() {
        assert_eq!(nothing(8192).cells(23_040, room(6 * GIB)), Ok(8192));
        assert_eq!(nothing(131_072).cells(28_672, room(24 * GIB)), Ok(DEFAULT_CONTEXT));
        assert_eq!(nothing(32_768).cells(131_072, room(2 * GIB)), Ok(4096));
        assert_eq!(nothing(0).cells(1024, KvRoom::UNLIMITED), Ok(DEFAULT_CONTEXT));
    }

    #[test]
    fn no_more_cells_are_made_than_are_of_use() {
        let wish = Wish { useful: Some(900), ..nothing(8192) };
        assert_eq!((wish.cells(23_040, room(6 * GIB)), wish.least_tokens(23_040)), (Ok(900), 900));
        let asked_for = Wish { context: Some(4096), ..wish };
        assert_eq!(asked_for.cells(23_040, room(6 * GIB)), Ok(4096));
    }

    #[test]
    fn a_conversation_that_can_be_one_takes_more_than_is_usual() {
        assert_eq!(nothing(32_768).cells(131_072, room(GIB / 2)), Ok(USABLE_CONTEXT));
        assert_eq!(nothing(1024).cells(131_072, room(GIB / 2)), Ok(1024));
        let error = nothing(32_768).cells(131_072, room(GIB / 8)).unwrap_err().to_string();
        assert!(error.ends_with("type `--ctx 1024`, or choose a smaller model"), "{error}");
        assert_eq!(nothing(32_768).fewer_tokens(GIB / 8, 131_072), Some(1024));
        let error = nothing(32_768).cells(131_072, room(GIB / 64)).unwrap_err().to_string();
        assert!(error.ends_with("are 16 MiB for it; choose a smaller model"), "{error}");
        assert_eq!(nothing(32_768).fewer_tokens(GIB / 64, 131_072), None);
    }

    #[test]
    fn a_context_that_does_not_fit_is_refused_with_one_that_does() {
        let wish = |cells| Wish { context: Some(cells), ..nothing(0) };
        let error = wish(1_000_000).cells(131_072, room(2 * GIB)).unwrap_err();
        assert!(matches!(&error, EngineError::NotEnoughMemory(text) if text.contains("--ctx 4096")), "{error}");
        assert_eq!(wish(4096).cells(23_040, room(2 * GIB)), Ok(4096));
        assert_eq!(wish(512).least_bytes(1000), 512_000);
    }

    #[test]
    fn a_budget_gives_whole_steps_of_cells_up_to_what_the_model_was_trained_with() {
        let cells = |bytes, trained| {
            let wish = Wish { most_bytes: Some(bytes), ..nothing(trained) };
            wish.cells(23_040, room(6 * GIB)).map_err(|error| error.to_string())
        };
        assert_eq!(cells(32 << 20, 8192), Ok(1280));
        assert_eq!(cells(GIB, 8192), Ok(8192));
        assert_eq!(cells(6 << 20, 256), Ok(256));
        let refused = "a KV cache of 8 MiB holds fewer than 512 tokens of this model; type `--kv-mem 12M` or more";
        assert_eq!(cells(8 << 20, 8192), Err(refused.into()));
        assert!(cells(12 << 20, 8192).is_ok());
        assert!(cells(16 * GIB, 1_000_000).unwrap_err().contains("--kv-mem 6144M"));
    }

    #[test]
    fn tokens_that_take_more_than_was_allowed_are_refused_with_what_would_do() {
        let cells = |context, bytes| {
            let wish = Wish { context: Some(context), most_bytes: Some(bytes), ..nothing(8192) };
            wish.cells(23_040, room(6 * GIB)).map_err(|error| error.to_string())
        };
        assert_eq!(cells(1024, 23_040 * 1024), Ok(1024));
        let refused = "a context of 1024 tokens takes 23 MiB of memory, and `--kv-mem` allows 8 MiB; ";
        assert_eq!(cells(1024, 8 << 20), Err(format!("{refused}type `--ctx 256` or `--kv-mem 23M`")));
        assert_eq!((cells(256, 8 << 20), cells(1024, 23 << 20)), (Ok(256), Ok(1024)));
        let without = "a context of 1000 tokens takes 23 MiB of memory, and `--kv-mem` allows 1 MiB; ";
        assert_eq!(cells(1000, 1 << 20), Err(format!("{without}type `--kv-mem 23M`")));
    }

    #[test]
    fn of_a_device_what_its_buffers_leave_is_there_and_a_quarter_is_usual() {
        assert_eq!(KvRoom::of_free(4 * GIB), KvRoom { most: 4 * GIB - (256 << 20), usual: GIB });
        assert_eq!(KvRoom::of_free(300 << 20), KvRoom { most: 44 << 20, usual: 44 << 20 });
    }

    #[test]
    fn a_conversation_has_the_tokens_and_bytes_that_were_asked_for_or_are_usual() {
        let asked_for = Wish { context: Some(4096), ..nothing(8192) };
        assert_eq!((asked_for.tokens(), asked_for.bytes(room(GIB))), (4096, GIB));
        assert_eq!((nothing(8192).tokens(), nothing(8192).bytes(room(GIB))), (8192, GIB / 4));
        assert_eq!(Wish { most_bytes: Some(77), ..asked_for }.bytes(room(GIB)), 77);
    }

    #[test]
    fn as_many_tokens_as_will_do_are_not_fewer() {
        let wish = Wish { context: Some(1024), ..nothing(8192) };
        assert_eq!((wish.fewer_tokens(1024 * 1024, 1024), wish.fewer_tokens(768 * 1024, 1024)), (None, Some(768)));
    }

    #[test]
    fn where_no_cell_has_room_no_context_is_offered() {
        let wish = Wish { context: Some(4096), ..nothing(8192) };
        let error = wish.cells(131_072, room(1 << 20)).unwrap_err().to_string();
        assert!(error.ends_with("are 1 MiB for it; choose a smaller model"), "{error}");
    }
}
