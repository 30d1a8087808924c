//! Watching attention while it is computed: how strongly the last tokens of a batch attend to each cell of the KV cache.
//!
//! llama.cpp asks a callback about every node of its graph, and calls it again with the values of those it said yes to.
//! At a node of flash attention the queries (f32), the keys (any type) and the mask lie in its sources; those on a
//! graphics processor are copied. Nothing is computed anew but the products of a few queries with all keys.
//!
//! Scores are put together defensively (DefensiveKV, arXiv 2510.13334): in each layer and KV head, the maximum over the
//! watched queries and the heads of the group, no lower than the mean over the cells; of these, the mean over KV heads
//! and every second layer.

use std::ffi::c_void;
use std::slice;
use std::time::{Duration, Instant};

use llama_cpp_sys_2 as sys;

use super::lanes::{Columns, LANES, exp, most, total};

/// More queries than this tell hardly more, and cost.
const MOST_QUERIES: usize = 16;
/// What a mask says of a cell that is seen, as an f16: zero, or minus zero.
const SEEN: [u16; 2] = [0x0000, 0x8000];

/// What is watched in the next computation, and what was seen in the last. Its place must not move while a context
/// knows it.
#[derive(Debug)]
pub(super) struct Observer {
    threads: usize,
    watch: Option<Watch>,
    /// What watching has taken.
    pub spent: Duration,
}

#[derive(Debug)]
struct Watch {
    /// Last tokens of the batch whose queries count.
    queries: usize,
    /// Cells in use once the batch is in the cache.
    cells: usize,
    /// For each cell, the sum over KV heads and layers.
    sums: Vec<f32>,
    /// How many KV heads that are.
    heads: usize,
    /// Layers that were computed.
    layers: usize,
}

impl Observer {
    pub fn new(threads: usize) -> Self {
        Self { threads: threads.max(1), watch: None, spent: Duration::ZERO }
    }

    pub fn set_threads(&mut self, threads: usize) {
        self.threads = threads.max(1);
    }

    /// In the next computation, watch the last `queries` tokens; `cells` will be in use then, without holes.
    pub fn watch(&mut self, queries: usize, cells: usize) {
        self.watch = Some(Watch { queries, cells, sums: vec![0.0; cells], heads: 0, layers: 0 });
    }

    /// What was seen: for each cell, how strongly it was attended to, 0 to 1. `None` if nothing could be seen (another
    /// kind of attention).
    pub fn take(&mut self) -> Option<Vec<f32>> {
        let watch = self.watch.take().filter(|watch| watch.heads > 0)?;
        Some(watch.sums.into_iter().map(|sum| sum / watch.heads as f32).collect())
    }
}

/// For `llama_context_params::cb_eval`; `observer` points to an [`Observer`].
pub(super) unsafe extern "C" fn on_node(node: *mut sys::ggml_tensor, ask: bool, observer: *mut c_void) -> bool {
    // SAFETY: the context was made with a pointer to an observer that lives as long as it does and that nothing else
    // touches during a computation; ggml hands over a node that lives.
    let (observer, node) = unsafe { (&mut *observer.cast::<Observer>(), &*node) };
    let Some(watch) = &mut observer.watch else { return false };
    if node.op != sys::GGML_OP_FLASH_ATTN_EXT {
        return false;
    }
    if ask {
        watch.layers += 1;
        // The second, the fourth and so on: half of the cost, and where layers take turns in seeing everything and a
        // window, it is these that see everything.
        return watch.layers.is_multiple_of(2);
    }
    let started = Instant::now();
    // SAFETY: the node was computed, so its sources hold values.
    if let Some(attention) = unsafe { Attention::of(node, watch) } {
        attention.add_to(watch, observer.threads);
    }
    observer.spent += started.elapsed();
    true
}

/// The sources of a node of flash attention.
struct Attention {
    queries: Source,
    keys: Source,
    mask: Source,
    to_float: unsafe extern "C" fn(*const c_void, *mut f32, i64),
    scale: f32,
    /// `0` for none; else logits are `softcap × tanh(logit / softcap)`.
    softcap: f32,
    /// The watched queries, as indices of the batch.
    watched: Vec<usize>,
}

/// A tensor, or a copy of it if it is on a device.
struct Source {
    data: *const u8,
    /// What `data` points into, if it is a copy. The numbers are larger than bytes so that all types are aligned.
    _copy: Option<Vec<u64>>,
    lengths: [usize; 4],
    strides: [usize; 4],
}

// SAFETY: it is only read, while ggml waits for the callback to return, or is a copy that nobody else knows.
unsafe impl Sync for Source {}

impl Source {
    /// `None` if there is none, or it cannot be read.
    ///
    /// # Safety
    /// The pointer is null or that of a computed tensor.
    unsafe fn of(tensor: *const sys::ggml_tensor) -> Option<Self> {
        // SAFETY: null is told apart; a view's buffer is that of what it views.
        let (tensor, is_here) = unsafe {
            let tensor = tensor.as_ref()?;
            let owner = tensor.view_src.as_ref().unwrap_or(tensor);
            (tensor, owner.buffer.is_null() || sys::ggml_backend_buffer_is_host(owner.buffer))
        };
        if tensor.data.is_null() {
            return None;
        }
        let lengths = tensor.ne.map(|length| usize::try_from(length).unwrap_or(0));
        let (data, copy) = if is_here {
            (tensor.data.cast::<u8>().cast_const(), None)
        } else {
            // SAFETY: a tensor on a device has a buffer; so many bytes from its beginning on are those that its lengths
            // and strides reach, and the copy has room for them. What computed it has been waited for.
            let copy = unsafe {
                let bytes = sys::ggml_nbytes(tensor);
                let mut copy: Vec<u64> = Vec::new();
                copy.try_reserve_exact(bytes.div_ceil(8)).ok()?;
                copy.resize(bytes.div_ceil(8), 0);
                sys::ggml_backend_tensor_get(tensor, copy.as_mut_ptr().cast(), 0, bytes);
                copy
            };
            (copy.as_ptr().cast(), Some(copy))
        };
        Some(Self { data, _copy: copy, lengths, strides: tensor.nb })
    }

    fn row(&self, second: usize, third: usize) -> *const u8 {
        assert!(second < self.lengths[1] && third < self.lengths[2]);
        // SAFETY: the indices lie within the tensor (asserted).
        unsafe { self.data.add(second * self.strides[1] + third * self.strides[2]) }
    }
}

impl Attention {
    /// `None` if this is not attention over all cells in use, or not as it is understood here.
    ///
    /// # Safety
    /// The node was computed.
    unsafe fn of(node: &sys::ggml_tensor, watch: &Watch) -> Option<Self> {
        // SAFETY: a computed node has computed sources.
        let (queries, keys, mask) =
            unsafe { (Source::of(node.src[0])?, Source::of(node.src[1])?, Source::of(node.src[3])?) };
        // SAFETY: the sources exist, as was just seen; ggml has traits for every type of tensor.
        let (types, to_float) = unsafe {
            let types = ((*node.src[0]).type_, (*node.src[1]).type_, (*node.src[3]).type_);
            (types, sys::ggml_get_type_traits(types.1).as_ref()?.to_float?)
        };
        let parameter = |index: usize| f32::from_bits(node.op_params[index].cast_unsigned());
        let (scale, most_bias, softcap) = (parameter(0), parameter(1), parameter(2));
        let tokens = queries.lengths[1];
        let fits = types.0 == sys::GGML_TYPE_F32
            && types.2 == sys::GGML_TYPE_F16
            && most_bias == 0.0
            && queries.lengths[0] == keys.lengths[0]
            && queries.lengths[3] == 1
            && keys.lengths[2] > 0
            && queries.lengths[2].is_multiple_of(keys.lengths[2])
            && mask.lengths[1] >= tokens
            && mask.lengths[0] == keys.lengths[1]
            && keys.lengths[1] >= watch.cells
            && tokens > 0;
        if !fits {
            return None;
        }
        let count = watch.queries.clamp(1, tokens);
        let kept = count.min(MOST_QUERIES);
        let watched = (0..kept).map(|index| tokens - count + (index + 1) * count / kept - 1).collect();
        let attention = Self { queries, keys, mask, to_float, scale, softcap, watched };
        // A layer with a sliding window sees fewer cells, and has cells of its own.
        attention.mask_row(tokens - 1)[..watch.cells].iter().all(|value| SEEN.contains(value)).then_some(attention)
    }

    fn mask_row(&self, query: usize) -> &[u16] {
        // SAFETY: a row of the mask holds `lengths[0]` numbers of two bytes.
        unsafe { slice::from_raw_parts(self.mask.row(query, 0).cast(), self.mask.lengths[0]) }
    }

    fn query(&self, query: usize, head: usize) -> &[f32] {
        // SAFETY: a row of queries holds `lengths[0]` numbers of four bytes, as their type was checked.
        unsafe { slice::from_raw_parts(self.queries.row(query, head).cast(), self.queries.lengths[0]) }
    }

    /// Adds what every KV head sees of the cells.
    fn add_to(&self, watch: &mut Watch, threads: usize) {
        let heads = self.keys.lengths[2];
        // Each unit is half of the queries of one KV head, so that few heads are enough for two threads.
        let halves = self.watched.chunks(self.watched.len().div_ceil(2)).collect::<Vec<_>>();
        let units: Vec<(usize, &[usize])> =
            (0..heads).flat_map(|head| halves.iter().map(move |half| (head, *half))).collect();
        let parts: Vec<&[(usize, &[usize])]> = units.chunks(units.len().div_ceil(threads)).collect();
        let cells = watch.cells;
        let seen: Vec<(usize, Vec<f32>)> = std::thread::scope(|scope| {
            let work = |part: &[(usize, &[usize])]| -> Vec<(usize, Vec<f32>)> {
                part.iter().map(|(head, queries)| (*head, self.most_attention(*head, queries, cells))).collect()
            };
            let others: Vec<_> = parts[1..].iter().map(|part| scope.spawn(move || work(part))).collect();
            let mut seen = work(parts[0]);
            // A thread that panicked has nothing to tell.
            seen.extend(others.into_iter().filter_map(|thread| thread.join().ok()).flatten());
            seen
        });
        for head in 0..heads {
            let mut most = vec![0.0_f32; cells];
            for (_, unit) in seen.iter().filter(|(of, _)| *of == head) {
                most.iter_mut().zip(unit).for_each(|(most, seen)| *most = most.max(*seen));
            }
            let mean = most.iter().sum::<f32>() / cells.max(1) as f32;
            watch.sums.iter_mut().zip(&most).for_each(|(sum, most)| *sum += most.max(mean));
            watch.heads += 1;
        }
    }

    /// For each cell, the most that one of these queries attends to it with a head of this KV head's group.
    fn most_attention(&self, kv_head: usize, queries: &[usize], cells: usize) -> Vec<f32> {
        let group = self.queries.lengths[2] / self.keys.lengths[2];
        let of_group = |query: &usize| {
            let query = *query;
            (0..group).map(move |head| (self.query(query, kv_head * group + head), self.mask_row(query)))
        };
        let (queries, masks): (Vec<&[f32]>, Vec<&[u16]>) = queries.iter().flat_map(of_group).unzip();
        let columns = cells.next_multiple_of(LANES);
        let mut logits = vec![f32::NEG_INFINITY; queries.len() * columns];
        let mut keys = Columns::new(self.keys.lengths[0]);
        for first in (0..cells).step_by(LANES) {
            let count = LANES.min(cells - first);
            for lane in 0..count {
                // SAFETY: a row of keys holds so many numbers of its type, and `row` has room for them.
                keys.put(lane, |row| unsafe {
                    (self.to_float)(self.keys.row(first + lane, kv_head).cast(), row.as_mut_ptr(), row.len() as i64);
                });
            }
            for (row, query) in queries.iter().enumerate() {
                let products = keys.products(query);
                let (mask, place) = (&masks[row][first..first + count], row * columns + first);
                for (lane, logit) in logits[place..place + count].iter_mut().enumerate() {
                    *logit = if SEEN.contains(&mask[lane]) { self.logit(products[lane]) } else { f32::NEG_INFINITY };
                }
            }
        }
        let mut seen = vec![0.0_f32; columns];
        for row in logits.chunks_exact_mut(columns) {
            let top = most(row);
            row.iter_mut().for_each(|logit| *logit = exp(*logit - top));
            let part = 1.0 / total(row);
            seen.iter_mut().zip(row.iter()).for_each(|(seen, value)| *seen = seen.max(value * part));
        }
        seen.truncate(cells);
        seen
    }

    fn logit(&self, product: f32) -> f32 {
        let logit = product * self.scale;
        if self.softcap == 0.0 { logit } else { self.softcap * (logit / self.softcap).tanh() }
    }
}
