//! A model's context: its KV cache and the decode call.

mod sequences;

use std::ffi::c_void;
use std::ptr::NonNull;
use std::time::Duration;

use llama_cpp_sys_2 as sys;

use super::log;
use super::model::{Model, Token};
use super::observe::{self, Observer};
use super::pool::Pool;
use super::span::Span;
use crate::engine::kv::{KvType, KvTypes};
use crate::engine::protocol::CancelFlag;
use crate::engine::rpc;
use crate::hardware::cores::Crews;

pub use sequences::Row;

/// The sequence of the conversation: the only one, unless there are [`sequences`] beside it.
const SEQUENCE: sys::llama_seq_id = 0;

/// The status of a decode that a server was lost in.
const LOST: i32 = -100;

/// How a context is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContextSettings {
    /// KV cells, that is tokens, it holds; llama.cpp rounds up to a multiple of 256.
    pub cells: u32,
    /// Who computes, and on which cores.
    pub crews: Crews,
    /// Most tokens in one call of [`Context::decode`].
    pub batch: u32,
    /// Number formats of K and V.
    pub types: KvTypes,
    /// Sequences that share the cells: 1 for a conversation.
    pub sequences: u32,
}

/// Whether llama.cpp can give keys of this format other positions. Rounded ones it turns back first with the matrix by
/// which they were rotated, and crashes where there is none: where the heads are no multiple of 64 wide or not all of
/// one width (`build_rope_shift` in its llama-kv-cache.cpp), or where that is switched off.
fn keys_turn(keys: KvType, model: &Model) -> bool {
    let is_off = std::env::var("LLAMA_ATTN_ROT_DISABLE").is_ok_and(|value| value.trim() != "0");
    keys == KvType::F16 || (model.has_rotated_keys() && !is_off)
}

/// What became of a decode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decoded {
    Done,
    /// The flag was set. What the cache then holds is told by [`Context::last_position`].
    Cancelled,
    /// The cells are used up; the cache is as before.
    Full,
    /// llama.cpp failed with this status.
    Failed(i32),
}

/// A context over a model. Made, used and dropped on one thread.
#[derive(Debug)]
pub struct Context<'model> {
    context: NonNull<sys::llama_context>,
    batch: Batch,
    vocabulary_size: usize,
    /// The keys can be rotated where they are.
    keys_turn: bool,
    /// Positions were moved, and the next decode will rotate their keys accordingly.
    moved: bool,
    /// Made by `Box::into_raw`, freed with the context, which knows its place.
    observer: *mut Observer,
    /// Known to the context, also those that it does not use any more.
    pools: Vec<Pool>,
    model: &'model Model,
}

impl<'model> Context<'model> {
    /// Makes a context. Contexts must be made one at a time, since this changes the model.
    ///
    /// # Errors
    /// llama.cpp's own words, usually for want of memory.
    pub fn new(model: &'model Model, settings: ContextSettings) -> Result<Self, String> {
        Self::make(model, settings, sys::LLAMA_FLASH_ATTN_TYPE_AUTO)
    }

    /// The same without flash attention, to see what it brings: nobody sees what is attended to.
    ///
    /// # Errors
    /// As [`Context::new`]; also where the values' format needs flash attention.
    pub fn without_flash_attention(model: &'model Model, settings: ContextSettings) -> Result<Self, String> {
        Self::make(model, settings, sys::LLAMA_FLASH_ATTN_TYPE_DISABLED)
    }

    fn make(
        model: &'model Model,
        settings: ContextSettings,
        flash_attention: sys::llama_flash_attn_type,
    ) -> Result<Self, String> {
        let batch = settings.batch.clamp(1, settings.cells.max(1));
        // SAFETY: a plain value.
        let mut parameters = unsafe { sys::llama_context_default_params() };
        parameters.n_ctx = settings.cells;
        parameters.n_batch = batch;
        parameters.n_ubatch = batch;
        parameters.n_seq_max = settings.sequences.clamp(1, batch);
        parameters.kv_unified = settings.sequences > 1;
        parameters.n_threads = count(settings.crews.decode.threads);
        parameters.n_threads_batch = count(settings.crews.prefill.threads);
        parameters.flash_attn_type = flash_attention;
        parameters.type_k = ggml_type(settings.types.k);
        parameters.type_v = ggml_type(settings.types.v);
        let observer = Box::into_raw(Box::new(Observer::new(settings.crews.prefill.threads as usize)));
        parameters.cb_eval = Some(observe::on_node);
        parameters.cb_eval_user_data = observer.cast();
        log::take_last_error();
        // SAFETY: the model lives longer than the context by the lifetime, and the observer until it is dropped.
        let context = unsafe { sys::llama_init_from_model(model.raw(), parameters) };
        let Some(context) = NonNull::new(context) else {
            // SAFETY: made above, and no context knows it.
            drop(unsafe { Box::from_raw(observer) });
            return Err(log::take_last_error().unwrap_or_else(|| "llama.cpp gives no reason".into()));
        };
        // SAFETY: the context was just made.
        let batch = unsafe { sys::llama_n_batch(context.as_ptr()) };
        let batch = Batch::new(batch as usize);
        let (vocabulary_size, pools) = (model.vocabulary_size(), Vec::new());
        let keys_turn = keys_turn(settings.types.k, model);
        let mut context = Self { context, batch, vocabulary_size, keys_turn, moved: false, observer, pools, model };
        context.hold(settings.crews);
        Ok(context)
    }

    /// Has others compute from now on.
    pub fn set_crews(&mut self, crews: Crews) {
        let (decode, prefill) = (count(crews.decode.threads), count(crews.prefill.threads));
        // SAFETY: the context lives, and computes nothing now; nobody else has the observer then.
        unsafe {
            sys::llama_set_n_threads(self.context.as_ptr(), decode, prefill);
            (*self.observer).set_threads(crews.prefill.threads as usize);
        }
        self.hold(crews);
    }

    /// Holds the threads that compute to their cores.
    fn hold(&mut self, crews: Crews) {
        let mut decode = Pool::new(&crews.decode);
        let mut prefill = if crews.prefill == crews.decode { None } else { Pool::new(&crews.prefill) };
        let has_room = |pool: &Option<Pool>, threads| threads <= 1 || pool.is_some();
        let is_shared = crews.prefill == crews.decode;
        if !has_room(&decode, crews.decode.threads) || !(is_shared || has_room(&prefill, crews.prefill.threads)) {
            // More threads than a pool has would be the end of it.
            (decode, prefill) = (None, None);
        }
        self.attach(decode, prefill);
    }

    fn attach(&mut self, decode: Option<Pool>, prefill: Option<Pool>) {
        let raw = |pool: &Option<Pool>| pool.as_ref().map_or(std::ptr::null_mut(), Pool::raw);
        // SAFETY: the context lives, and the pools until after it: a context may look at the one it had before. Without
        // one for prompts, llama.cpp takes the other for them; without any, threads run where they like.
        unsafe { sys::llama_attach_threadpool(self.context.as_ptr(), raw(&decode), raw(&prefill)) };
        self.pools.extend(decode.into_iter().chain(prefill));
    }

    /// KV cells, after rounding.
    pub fn cells(&self) -> u32 {
        // SAFETY: the context lives.
        unsafe { sys::llama_n_ctx(self.context.as_ptr()) }
    }

    /// Most tokens in one [`Context::decode`].
    pub fn batch_size(&self) -> usize {
        self.batch.capacity
    }

    /// Computes `tokens` at `position` and after, and the logits of the last one. Stops between two operations of
    /// the computation when one of the flags is set (on the CPU; a GPU finishes the batch).
    pub fn decode(&mut self, tokens: &[Token], position: u32, cancel: &[&CancelFlag]) -> Decoded {
        self.compute(tokens, position, Outputs::Last, cancel)
    }

    /// Like [`Context::decode`], but with the logits of every token, see [`Context::logits_of`].
    pub fn decode_with_all_logits(&mut self, tokens: &[Token], position: u32, cancel: &[&CancelFlag]) -> Decoded {
        self.compute(tokens, position, Outputs::All, cancel)
    }

    fn compute(&mut self, tokens: &[Token], position: u32, outputs: Outputs, cancel: &[&CancelFlag]) -> Decoded {
        if tokens.is_empty() || tokens.len() > self.batch.capacity {
            return Decoded::Failed(-1);
        }
        let Ok(position) = i32::try_from(position) else { return Decoded::Full };
        self.batch.fill(tokens, position, outputs);
        self.run(cancel)
    }

    /// Computes what is in the batch.
    fn run(&mut self, cancel: &[&CancelFlag]) -> Decoded {
        let data = std::ptr::from_ref(&cancel).cast_mut().cast::<c_void>();
        rpc::wait_for(cancel);
        // SAFETY: `cancel` outlives the call, and the callback is taken away again before it ends. The batch holds
        // as many tokens as it says, each in one sequence.
        let status = unsafe {
            sys::llama_set_abort_callback(self.context.as_ptr(), Some(is_cancelled), data);
            let status = sys::llama_decode(self.context.as_ptr(), self.batch.raw);
            sys::llama_set_abort_callback(self.context.as_ptr(), None, std::ptr::null_mut());
            if rpc::is_held() {
                // Only then is it known whether the servers were there to the end.
                sys::llama_synchronize(self.context.as_ptr());
            }
            status
        };
        log::set_cancelling(false);
        if rpc::is_lost() {
            return Decoded::Failed(LOST);
        }
        self.moved &= status != 0;
        match status {
            0 => Decoded::Done,
            1 => Decoded::Full,
            2 => Decoded::Cancelled,
            status => Decoded::Failed(status),
        }
    }

    /// The logits of the last token of the last decode, one for each token of the vocabulary.
    pub fn logits(&mut self) -> &[f32] {
        self.logits_at(-1)
    }

    /// The logits of the token with this index of the last [`Context::decode_with_all_logits`]; empty if it has none.
    pub fn logits_of(&mut self, index: usize) -> &[f32] {
        i32::try_from(index).map_or(&[], |index| self.logits_at(index))
    }

    fn logits_at(&mut self, index: i32) -> &[f32] {
        // SAFETY: llama.cpp checks the index (-1 names the last token) and keeps the logits until the next decode,
        // which needs `&mut self`. Null (nothing was decoded, or without them) gives no logits.
        unsafe {
            let logits = sys::llama_get_logits_ith(self.context.as_ptr(), index);
            if logits.is_null() { &[] } else { std::slice::from_raw_parts(logits, self.vocabulary_size) }
        }
    }

    /// The last position in the cache, `None` when it is empty.
    pub fn last_position(&self) -> Option<u32> {
        // SAFETY: the context lives, and with it its memory.
        let last = unsafe { sys::llama_memory_seq_pos_max(sys::llama_get_memory(self.context.as_ptr()), SEQUENCE) };
        u32::try_from(last).ok()
    }

    /// Removes the positions from `from` on. `false` if this kind of memory cannot, or no longer holds what the
    /// positions before it attend to (recurrent models, sliding windows): then the cache is as before and must be
    /// cleared.
    #[must_use]
    pub fn truncate(&mut self, from: u32) -> bool {
        if !self.can_truncate(from) {
            return false;
        }
        let Ok(from) = i32::try_from(from) else { return true };
        // SAFETY: the context lives, and with it its memory; the range is from a position that is not negative to
        // the end.
        unsafe { sys::llama_memory_seq_rm(sys::llama_get_memory(self.context.as_ptr()), SEQUENCE, from, -1) }
    }

    /// Whether the positions before `from` still have everything that they attend to: a restored sliding window begins
    /// where it was saved, and going back needs a whole window.
    pub fn can_truncate(&self, from: u32) -> bool {
        let Ok(from) = i32::try_from(from) else { return true };
        // SAFETY: the context lives, and with it its memory.
        let first = unsafe { sys::llama_memory_seq_pos_min(sys::llama_get_memory(self.context.as_ptr()), SEQUENCE) };
        first <= 0 || from >= first.saturating_add(self.model.window())
    }

    /// Removes positions. `false` if this kind of memory cannot (recurrent models); the cache is as before then.
    #[must_use]
    pub fn remove(&mut self, span: Span) -> bool {
        // SAFETY: the context lives, and with it its memory; a span is a sound range.
        unsafe {
            let memory = sys::llama_get_memory(self.context.as_ptr());
            sys::llama_memory_seq_rm(memory, SEQUENCE, span.start(), span.end())
        }
    }

    /// Whether positions can be given other numbers.
    pub fn can_move(&self) -> bool {
        // SAFETY: the context lives, and with it its memory.
        self.keys_turn && unsafe { sys::llama_memory_can_shift(sys::llama_get_memory(self.context.as_ptr())) }
    }

    /// Gives positions lower numbers, beginning with `to`; nothing may be there. The keys are rotated in the next
    /// decode. Only where [`Context::can_move`].
    pub fn move_down(&mut self, span: Span, to: u32) {
        if let Some(distance) = span.distance_to(to).filter(|distance| *distance < 0) {
            // SAFETY: the context lives, and with it its memory; the span is a sound range, and no position becomes
            // negative, since the first becomes `to`.
            unsafe {
                let memory = sys::llama_get_memory(self.context.as_ptr());
                sys::llama_memory_seq_add(memory, SEQUENCE, span.start(), span.end(), distance);
            }
            self.moved = true;
        }
    }

    /// Whether single positions can be taken out of the middle of the cache: not with recurrent layers, whose state is
    /// one for all positions.
    pub fn can_evict(&self) -> bool {
        !self.model.is_recurrent()
    }

    /// In the next decode, watch how the last `queries` tokens attend to the cells, of which `cells` will be in use,
    /// without holes between them.
    pub fn watch(&mut self, queries: usize, cells: usize) {
        // SAFETY: the observer lives as long as the context, and nothing is being computed.
        unsafe { (*self.observer).watch(queries, cells) }
    }

    /// What watching has taken of the time of all decodes.
    pub fn watching_took(&self) -> Duration {
        // SAFETY: as in `watch`.
        unsafe { (*self.observer).spent }
    }

    /// What was seen in the last decode: how strongly each cell was attended to, 0 to 1. `None` if nothing could be
    /// seen.
    pub fn observed(&mut self) -> Option<Vec<f32>> {
        // SAFETY: as in `watch`.
        unsafe { (*self.observer).take() }
    }

    /// The KV cache's content as bytes that [`Context::set_state`] takes; about `cells in use × bytes per cell`.
    /// `None` if it is larger than `most_bytes`, llama.cpp cannot give it, or positions were moved since the last decode.
    pub fn state(&self, most_bytes: u64) -> Option<Vec<u8>> {
        if self.moved {
            return None;
        }
        // SAFETY: the context lives; the buffer has the length that is said.
        unsafe {
            let length = sys::llama_state_seq_get_size(self.context.as_ptr(), SEQUENCE);
            if length as u64 > most_bytes {
                return None;
            }
            let mut state = Vec::new();
            state.try_reserve_exact(length).ok()?;
            state.resize(length, 0);
            let written =
                sys::llama_state_seq_get_data(self.context.as_ptr(), state.as_mut_ptr(), state.len(), SEQUENCE);
            (written == length && length > 0 && !rpc::is_lost()).then_some(state)
        }
    }

    /// Replaces the cache's content by what [`Context::state`] gave for a context of the same model and KV types.
    /// `false` if llama.cpp does not take it; then the cache is empty. The bytes must be what was saved: llama.cpp
    /// checks their shape, not their values.
    #[must_use]
    pub fn set_state(&mut self, state: &[u8]) -> bool {
        self.clear();
        // SAFETY: the context lives; the buffer has the length that is said, and llama.cpp reads no further.
        let read =
            unsafe { sys::llama_state_seq_set_data(self.context.as_ptr(), state.as_ptr(), state.len(), SEQUENCE) };
        let is_whole = read == state.len();
        if !is_whole {
            self.clear();
        }
        is_whole
    }

    /// Empties the cache.
    pub fn clear(&mut self) {
        // SAFETY: the context lives. The data need not be zeroed: cells without a position are never read.
        unsafe { sys::llama_memory_clear(sys::llama_get_memory(self.context.as_ptr()), false) }
        self.moved = false;
    }
}

impl Drop for Context<'_> {
    fn drop(&mut self) {
        // SAFETY: made by `llama_init_from_model`, freed once; the model still lives. The observer and, as fields, the pools
        // go after the context that knows them.
        unsafe {
            sys::llama_free(self.context.as_ptr());
            drop(Box::from_raw(self.observer));
        }
    }
}

/// Called by the computing threads between operations; `data` points to the flags that [`Context::decode`] was given.
unsafe extern "C" fn is_cancelled(data: *mut c_void) -> bool {
    // SAFETY: see `Context::decode`.
    let flags = unsafe { &*data.cast::<&[&CancelFlag]>() };
    let cancelled = flags.iter().any(|flag| flag.is_cancelled());
    if cancelled {
        log::set_cancelling(true);
    }
    cancelled
}

/// Which tokens of a batch get logits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outputs {
    Last,
    All,
}

/// Threads as llama.cpp counts them.
fn count(threads: u32) -> i32 {
    i32::try_from(threads.max(1)).unwrap_or(1)
}

fn ggml_type(kind: KvType) -> sys::ggml_type {
    match kind {
        KvType::F16 => sys::GGML_TYPE_F16,
        KvType::Q8 => sys::GGML_TYPE_Q8_0,
        KvType::Q5WithOffset => sys::GGML_TYPE_Q5_1,
        KvType::Q5 => sys::GGML_TYPE_Q5_0,
        KvType::Q4WithOffset => sys::GGML_TYPE_Q4_1,
        KvType::Q4 => sys::GGML_TYPE_Q4_0,
        KvType::Q4NonLinear => sys::GGML_TYPE_IQ4_NL,
    }
}

/// llama.cpp's batch, kept and filled again for every decode.
#[derive(Debug)]
struct Batch {
    raw: sys::llama_batch,
    capacity: usize,
}

impl Batch {
    fn new(capacity: usize) -> Self {
        let size = i32::try_from(capacity).unwrap_or(i32::MAX);
        // SAFETY: allocates the arrays for `size` tokens with one sequence each.
        Self { raw: unsafe { sys::llama_batch_init(size, 0, 1) }, capacity }
    }

    /// Puts `tokens` at consecutive positions into the sequence.
    fn fill(&mut self, tokens: &[Token], position: i32, outputs: Outputs) {
        assert!(!tokens.is_empty() && tokens.len() <= self.capacity);
        for (index, token) in tokens.iter().enumerate() {
            let has_logits = outputs == Outputs::All || index + 1 == tokens.len();
            self.put(index, *token, position + index as i32, SEQUENCE, has_logits);
        }
        self.raw.n_tokens = tokens.len() as i32;
    }

    /// Puts tokens of several sequences where they say.
    fn fill_rows(&mut self, rows: &[Row]) {
        for (index, row) in rows.iter().enumerate() {
            self.put(index, row.token, row.position as i32, row.sequence as i32, row.is_asked);
        }
        self.raw.n_tokens = rows.len() as i32;
    }

    fn put(&mut self, index: usize, token: Token, position: i32, sequence: sys::llama_seq_id, has_logits: bool) {
        assert!(index < self.capacity);
        // SAFETY: `index` is below the capacity that the arrays were made with (asserted above), and each token's array
        // of sequences has room for one.
        unsafe {
            *self.raw.token.add(index) = token;
            *self.raw.pos.add(index) = position;
            *self.raw.n_seq_id.add(index) = 1;
            **self.raw.seq_id.add(index) = sequence;
            *self.raw.logits.add(index) = i8::from(has_logits);
        }
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        // SAFETY: made by `llama_batch_init`, freed once.
        unsafe { sys::llama_batch_free(self.raw) }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::collections::BTreeSet;

    use super::super::{Model, Placement};
    use super::*;
    use crate::hardware::cores::{self, CoreSet};

    /// The threads of this process and the cores each may run on.
    fn threads() -> BTreeSet<(String, String)> {
        let read = |task: std::io::Result<std::fs::DirEntry>| {
            let task = task.ok()?.path();
            let status = std::fs::read_to_string(task.join("status")).ok()?;
            let cores = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
            Some((task.file_name()?.to_string_lossy().into_owned(), cores.trim().to_owned()))
        };
        std::fs::read_dir("/proc/self/task").unwrap().filter_map(read).collect()
    }

    #[test]
    fn threads_that_compute_are_held_to_cores_and_others_are_not() {
        let all: CoreSet = cores::allowed().into_iter().collect();
        let Some(last) = all.numbers().last().filter(|_| all.len() > 1) else { return };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tiny.gguf");
        crate::tiny_gguf::TinyModel::default().write(&path).unwrap();
        let compute = || {
            let model = Model::load(&path, &Placement::default(), |_| true).unwrap();
            let crews = Crews::anywhere(2);
            let types = KvTypes::default();
            let mut context =
                Context::new(&model, ContextSettings { cells: 256, crews, batch: 16, types, sequences: 1 }).unwrap();
            let mine = rustix::thread::gettid().as_raw_nonzero().to_string();
            let mut held_to = |cores: &CoreSet, position| {
                context.attach(Pool::of(2, cores), None);
                assert_eq!(context.decode(&[1, 2, 3], position, &[]), Decoded::Done);
                assert_eq!(context.decode(&[4], position + 3, &[]), Decoded::Done);
                let threads = threads();
                let held = |(_, allowed): &&(String, String)| *allowed == cores.to_string();
                let is_mine_held = threads.iter().filter(held).any(|(thread, _)| *thread == mine);
                assert!(is_mine_held, "{threads:?}");
                threads.iter().filter(held).count()
            };
            // One core is a bad place for two threads, but a clear one.
            let on_last = held_to(&[last].into_iter().collect(), 0);
            assert!(on_last >= 2, "this thread and the one it made");
            held_to(&all, 4);
            let process = std::process::id().to_string();
            assert!(threads().contains(&(process, all.to_string())), "the first thread runs everywhere");
        };
        std::thread::scope(|scope| scope.spawn(compute).join().unwrap());
    }
}
