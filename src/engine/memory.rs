//! Whether there is memory for a model, and what of it the KV cache gets: decided by the model's header before anything
//! of it is loaded. All but [`plan`] and its reading of the memory is pure.
//!
//! Weights are mapped from the file: the system may drop them and read them again, for every token if they have no room.
//! So they count, although nothing would be killed for them. Repacked weights, the cache and the buffers cannot be
//! dropped; what was repacked counts once, since what it was copied from is handed back.
//!
//! What is given up until the rest has room are tokens of context, down to [`Wish::least_tokens`], and exact numbers in the
//! KV cache. The latter comes after the load, since it is the model that tells whether it bears that; how much room there
//! is for the cache is decided here all the same.

use super::backend::Choice;
use super::kv::{KvRoom, KvTypes, Wish};
use super::llama;
use super::protocol::{EngineError, LoadSettings};
use crate::hardware::memory::Memory;
use crate::models::fit::{Anatomy, Machine, Needs};
use crate::models::gguf::{Header, TensorType};
use crate::text::mebibytes;

/// Part of the free memory that is left to others, ...
const LEFT_PART: u64 = 10;
/// ... which need not be more than this.
const LEFT_BYTES: u64 = 256 << 20;
/// Part of the free memory that a cache takes of which nobody said how large it is to be.
const USUAL_PART: u64 = 4;
/// Tokens of a batch, whose buffers are counted.
const BATCH: u64 = 512;

/// What a model and its cache would take.
#[derive(Clone, Debug, PartialEq)]
pub struct Demand {
    /// Without a KV cache.
    needs: Needs,
    wish: Wish,
    /// Bytes of a token in the KV cache: in the types that were asked for, else in 16 bits.
    cell_bytes: u64,
    /// The same in the roundest types that may come of it.
    least_cell_bytes: u64,
}

/// How a model is loaded in the memory that there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// There is room for weights that cannot be dropped, since they are copied in the order that kernels want.
    pub has_room_to_repack: bool,
    /// What there is for the KV cache.
    pub kv: KvRoom,
    /// Bytes of weights that are used where they are mapped, and so may be taken for free memory once they are there.
    pub mapped: u64,
}

/// Why a model cannot be loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shortage {
    /// Bytes that it needs with so many tokens of context.
    pub needed: u64,
    pub tokens: u32,
    pub memory: Memory,
    /// Bytes of the free memory that it may take.
    pub room: u64,
    /// Tokens of context with which it would fit.
    pub fitting: Option<u32>,
    /// It could be loaded all the same, and would be read from the disk for every token.
    pub can_insist: bool,
}

/// How the model with this header is loaded in the memory that there is now. What a graphics processor holds is not
/// counted.
///
/// # Errors
/// If there is no memory for it.
pub fn plan(header: &Header, settings: &LoadSettings, choice: &Choice) -> Result<Plan, EngineError> {
    let demand = Demand::new(header, llama::repacked_types(), Wish::of(settings, trained(header)), settings.kv.types);
    let demand = demand.beside(choice.own_bytes, choice.is_all_in_own_memory);
    let memory = Memory::read();
    let planned = demand.plan(memory, settings.insists);
    tracing::info!(?demand, ?memory, ?planned, "counted the memory that the model takes");
    planned.map_err(|shortage| shortage.error())
}

fn trained(header: &Header) -> u32 {
    header.context_length().and_then(|tokens| u32::try_from(tokens).ok()).unwrap_or(0)
}

/// Whether a model can be loaded to see whether it can be: with a context of a few tokens.
///
/// # Errors
/// A sentence, if there is no memory for that.
pub fn check_trial(header: &Header, memory: Option<Memory>) -> Result<(), EngineError> {
    let wish = Wish { context: Some(BATCH as u32), most_bytes: None, trained: 0, useful: None };
    let planned = Demand::new(header, Vec::new(), wish, Some(KvTypes::default())).plan(memory, false);
    planned.map(drop).map_err(|Shortage { needed, room, .. }| {
        EngineError::NotEnoughMemory(format!(
            "loading it takes {} of memory, and there are {} for it",
            mebibytes(needed),
            mebibytes(room)
        ))
    })
}

/// Bytes that a program may take where there are so many.
fn room(memory: Memory) -> u64 {
    memory.available - (memory.available / LEFT_PART).min(LEFT_BYTES)
}

impl Demand {
    /// Of the model with this header, of whose weights llama.cpp copies those of the types in `repacks`.
    pub fn new(header: &Header, repacks: Vec<TensorType>, wish: Wish, types: Option<KvTypes>) -> Self {
        let anatomy = Anatomy::of_header(header);
        let needs = anatomy.needs(BATCH, &Machine { repacks, ..Machine::default() });
        let exact = anatomy.kv_bytes_per_token;
        let (key, value) = (header.key_length().unwrap_or(1).max(1), header.value_length().unwrap_or(1).max(1));
        let rounded = |types: KvTypes| types.bytes_of(exact, key, value);
        Self {
            needs: Needs { kv: 0, ..needs },
            wish,
            cell_bytes: types.map_or(exact, rounded),
            least_cell_bytes: rounded(types.unwrap_or(KvTypes::ROUNDEST)),
        }
    }

    /// The same where a graphics processor with memory of its own holds so many bytes of the weights, and the cache or not.
    pub fn beside(self, bytes: u64, has_cache: bool) -> Self {
        let weights = self.needs.weights.saturating_sub(bytes);
        let (repacked, seldom_read) = (self.needs.repacked.min(weights), self.needs.seldom_read.min(weights));
        let (cell_bytes, least_cell_bytes) = if has_cache { (0, 0) } else { (self.cell_bytes, self.least_cell_bytes) };
        let needs = Needs { weights, repacked, seldom_read, ..self.needs };
        Self { needs, cell_bytes, least_cell_bytes, ..self }
    }

    /// Decides. With `insists` weights that have no room are no hindrance.
    ///
    /// # Errors
    /// If it does not fit, whatever is given up.
    pub fn plan(&self, memory: Option<Memory>, insists: bool) -> Result<Plan, Shortage> {
        let Some(memory) = memory else {
            return Ok(Plan { has_room_to_repack: true, kv: KvRoom::UNLIMITED, mapped: 0 });
        };
        let room = room(memory);
        let weights = if insists { 0 } else { self.read_weights() };
        let least = weights.saturating_add(self.needs.working);
        let for_cache = room.saturating_sub(least);
        if least > room || self.least_cache(self.least_cell_bytes) > for_cache {
            return Err(self.shortage(memory, insists));
        }
        let kept = self.needs.repacked.saturating_add(self.needs.working);
        let has_room_to_repack = kept.saturating_add(self.least_cache(self.cell_bytes)) <= room;
        let repacked = if has_room_to_repack { self.needs.repacked } else { 0 };
        // Without the copies, the cache may be as large as it is.
        let most = if has_room_to_repack { for_cache.min(room - kept) } else { for_cache };
        Ok(Plan {
            has_room_to_repack,
            kv: KvRoom { most, usual: most.min(memory.available / USUAL_PART) },
            mapped: self.needs.weights.saturating_sub(repacked),
        })
    }

    /// Bytes of weights that are read for tokens, of whichever copy.
    fn read_weights(&self) -> u64 {
        self.needs.weights.saturating_sub(self.needs.seldom_read)
    }

    fn least_cache(&self, cell_bytes: u64) -> u64 {
        self.wish.least_bytes(cell_bytes)
    }

    fn shortage(&self, memory: Memory, insists: bool) -> Shortage {
        let room = room(memory);
        let beside = self.read_weights().saturating_add(self.needs.working);
        let weightless = self.needs.working.saturating_add(self.least_cache(self.least_cell_bytes));
        Shortage {
            needed: beside.saturating_add(self.least_cache(self.least_cell_bytes)),
            tokens: self.wish.least_tokens(self.least_cell_bytes),
            memory,
            room,
            fitting: room.checked_sub(beside).and_then(|left| self.wish.fewer_tokens(left, self.cell_bytes)),
            can_insist: !insists && weightless <= room,
        }
    }
}

impl Shortage {
    /// The sentence, with what to type next as far as that is about this model.
    pub fn error(&self) -> EngineError {
        let Self { needed, tokens, memory, room, .. } = self;
        let next = match (self.fitting, self.can_insist) {
            (Some(tokens), _) => format!("type `--ctx {tokens}`"),
            (None, true) => "choose a smaller model, or let this one be read from the disk for every token with `--memory-check off`".into(),
            (None, false) => "choose a smaller model".into(),
        };
        EngineError::NotEnoughMemory(format!(
            "the model needs {} of memory with a context of {tokens} tokens, and may take {} of the {} that are free; {next}",
            mebibytes(*needed),
            mebibytes(*room),
            mebibytes(memory.available)
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    /// Weights of 1000 MiB, of which 600 would be copied, 100 of buffers, and a cache of 10 MiB for every 256 tokens.
    fn demand(context: Option<u32>) -> Demand {
        let needs = Needs { weights: 1000 * MIB, repacked: 600 * MIB, seldom_read: 0, kv: 0, working: 100 * MIB };
        let wish = Wish { context, most_bytes: None, trained: 32_768, useful: None };
        Demand { needs, wish, cell_bytes: 10 * MIB / 256, least_cell_bytes: 10 * MIB / 256 / 4 }
    }

    /// Memory of which a program may take so many MiB.
    fn of_room(mebibytes: u64) -> Option<Memory> {
        let available = (mebibytes * MIB * 10).div_ceil(9);
        let memory = Memory { total: 4 * available, available };
        assert_eq!(room(memory) / MIB, mebibytes);
        Some(memory)
    }

    fn plan(context: Option<u32>, mebibytes: u64) -> Result<Plan, Shortage> {
        demand(context).plan(of_room(mebibytes), false)
    }

    #[test]
    fn what_fits_is_loaded_as_ever() {
        let plan = plan(None, 2000).unwrap();
        assert!(plan.has_room_to_repack);
        assert_eq!((plan.kv.most / MIB, plan.kv.usual / MIB), (900, 555));
        assert_eq!(plan.mapped, 400 * MIB);
        let unknown = demand(None).plan(None, false).unwrap();
        assert!(unknown.has_room_to_repack && unknown.kv == KvRoom::UNLIMITED);
    }

    #[test]
    fn the_context_gives_way_to_the_weights_and_is_rounded_before_the_model_goes() {
        // 2048 tokens take 80 MiB, and rounded 20.
        assert_eq!(plan(None, 1180).unwrap().kv.most / MIB, 80);
        assert_eq!(plan(None, 1120).unwrap().kv.most / MIB, 20);
        assert!(plan(None, 1119).is_err());
    }

    #[test]
    fn a_context_that_was_asked_for_is_not_shortened_but_one_that_fits_is_named() {
        assert!(plan(Some(16_384), 1740).is_ok());
        let shortage = plan(Some(16_384), 1206).unwrap_err();
        assert_eq!((shortage.needed / MIB, shortage.tokens, shortage.fitting), (1260, 16_384, Some(2560)));
        let sentence = shortage.error().to_string();
        let expected = "the model needs 1260 MiB of memory with a context of 16384 tokens, and may take 1206 MiB of the \
                        1340 MiB that are free; type `--ctx 2560`";
        assert_eq!(sentence, expected);
        assert!(plan(Some(256), 1103).is_ok(), "fewer tokens than usual may be asked for");
        assert_eq!(plan(None, 1115).unwrap_err().fitting, Some(256));
    }

    #[test]
    fn a_model_that_cannot_fit_is_refused_unless_someone_insists() {
        let shortage = plan(None, 540).unwrap_err();
        assert_eq!((shortage.fitting, shortage.can_insist), (None, true));
        let sentence = shortage.error().to_string();
        assert!(
            sentence.contains("needs 1120 MiB") && sentence.contains("may take 540 MiB of the 600 MiB"),
            "{sentence}"
        );
        assert!(
            sentence.contains("choose a smaller model, or") && sentence.contains("`--memory-check off`"),
            "{sentence}"
        );
        let forced = demand(None).plan(of_room(540), true).unwrap();
        assert!(!forced.has_room_to_repack && forced.kv.most / MIB == 440, "{forced:?}");
        let copied = demand(None).plan(of_room(800), true).unwrap();
        assert!(
            copied.has_room_to_repack && copied.kv.most / MIB == 100,
            "what cannot be dropped has room: {copied:?}"
        );
        let hopeless = demand(None).plan(of_room(110), true).unwrap_err();
        assert!(!hopeless.can_insist && !hopeless.error().to_string().contains("memory-check"));
    }

    #[test]
    fn embeddings_that_are_looked_up_need_not_be_in_memory() {
        let mut demand = demand(None);
        demand.needs.seldom_read = 200 * MIB;
        assert!(demand.plan(of_room(920), false).is_ok());
        assert!(demand.plan(of_room(919), false).is_err());
    }

    #[test]
    fn a_large_machine_leaves_no_tenth_of_itself_to_others() {
        let memory = Memory { total: 64 << 30, available: 64 << 30 };
        assert_eq!(room(memory), (64 << 30) - LEFT_BYTES);
    }

    #[test]
    fn absurd_numbers_do_not_fit() {
        let mut demand = demand(None);
        demand.needs.weights = u64::MAX;
        demand.cell_bytes = u64::MAX;
        demand.least_cell_bytes = u64::MAX;
        assert!(demand.plan(of_room(1000), false).is_err());
        assert!(demand.plan(of_room(1000), true).is_err());
    }
}
