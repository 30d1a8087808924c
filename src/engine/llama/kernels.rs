//! What is expected of the kernels in `kernels/`, which are compiled as a part of llama.cpp (see .cargo/llama-cpp.cmake).

use std::ptr;

use llama_cpp_sys_2 as sys;

/// A matrix of weights in one of llama.cpp's formats, and the columns that it is multiplied with.
struct Product {
    format: sys::ggml_type,
    rows: usize,
    length: usize,
    weights: Vec<u8>,
}

impl Product {
    fn new(format: sys::ggml_type, rows: usize, length: usize, random: &mut fastrand::Rng) -> Self {
        super::start().unwrap();
        let values = numbers(rows * length, random);
        // SAFETY: the format's rows are of a whole number of blocks, and have this many bytes.
        let weights = unsafe {
            let mut weights = vec![0; rows * sys::ggml_row_size(format, length as i64)];
            let to = weights.as_mut_ptr().cast();
            sys::ggml_quantize_chunk(format, values.as_ptr(), to, 0, rows as i64, length as i64, ptr::null());
            weights
        };
        Self { format, rows, length, weights }
    }

    /// The product with `columns`, one behind another, `rows` numbers for each.
    fn with(&self, columns: &[f32], threads: i32) -> Vec<f32> {
        let count = columns.len() / self.length;
        let memory = self.weights.len() + (columns.len() + self.rows * count) * 4;
        let params = sys::ggml_init_params {
            // Beside the numbers: their heads, the graph, and a copy of the columns in the format they are rounded to.
            mem_size: memory + columns.len() * 4 + (1 << 20),
            mem_buffer: ptr::null_mut(),
            no_alloc: false,
        };
        // SAFETY: the context holds what is made in it until it is freed; the bytes copied are those of the tensors.
        unsafe {
            let context = sys::ggml_init(params);
            let weights = sys::ggml_new_tensor_2d(context, self.format, self.length as i64, self.rows as i64);
            let given = sys::ggml_new_tensor_2d(context, sys::GGML_TYPE_F32, self.length as i64, count as i64);
            self.weights.as_ptr().copy_to(sys::ggml_get_data(weights).cast(), self.weights.len());
            columns.as_ptr().copy_to(sys::ggml_get_data(given).cast(), columns.len());
            let product = sys::ggml_mul_mat(context, weights, given);
            let graph = sys::ggml_new_graph(context);
            sys::ggml_build_forward_expand(graph, product);
            assert_eq!(sys::ggml_graph_compute_with_ctx(context, graph, threads), sys::GGML_STATUS_SUCCESS);
            let numbers = std::slice::from_raw_parts(sys::ggml_get_data_f32(product), self.rows * count).to_vec();
            sys::ggml_free(context);
            numbers
        }
    }
}

fn numbers(count: usize, random: &mut fastrand::Rng) -> Vec<f32> {
    std::iter::repeat_with(|| random.f32() * 2.0 - 1.0).take(count).collect()
}

const FORMATS: [sys::ggml_type; 5] =
    [sys::GGML_TYPE_Q4_0, sys::GGML_TYPE_Q4_1, sys::GGML_TYPE_Q5_0, sys::GGML_TYPE_Q5_1, sys::GGML_TYPE_Q8_0];

#[test]
fn many_columns_at_once_come_to_what_each_of_them_comes_to_alone() {
    let mut random = fastrand::Rng::with_seed(40);
    for format in FORMATS {
        // Fewer rows than a tile has, some over, and several; one block, a panel and a bit, and several panels.
        for (rows, length) in [(1, 32), (7, 96), (33, 544), (100, 1536), (576, 576)] {
            let product = Product::new(format, rows, length, &mut random);
            for (count, threads) in [(2, 1), (5, 2), (15, 2), (16, 1), (18, 3), (67, 2)] {
                let columns = numbers(count * length, &mut random);
                let together = product.with(&columns, threads);
                let alone = columns.chunks(length).flat_map(|column| product.with(column, 1));
                for (place, (together, alone)) in together.iter().zip(alone).enumerate() {
                    // Sums of so many products, none above 1, in another order.
                    let most = 1e-6 * length as f32;
                    let what = || format!("format {format}, {rows} of {length}, {count} columns, number {place}");
                    assert!((together - alone).abs() <= most, "{}: {together} for {alone}", what());
                }
            }
        }
    }
}
