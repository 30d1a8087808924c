// Products of weights in llama.cpp's older formats (q4_0, q4_1, q5_0, q5_1, q8_0) with several columns at once: what reading
// a prompt consists of, and judging guesses, and answering side by side. On x86 with AVX2 at least.
//
// llama.cpp multiplies these formats a weight's row and a column at a time, unpacking the row for each column anew. Here a
// tile of rows is unpacked once for all columns, into the order that the processor's instruction for four products of bytes
// takes (dpbusd where it is there): what is computed is the same to the last bit within a block of 32, and blocks are
// added in order, so only the rounding of sums differs.
//
// .cargo/llama-cpp.cmake compiles this file as a part of llama.cpp's CPU backend, in the place of `llamafile_sgemm`, whose
// own definition is called `llama_cpp_sgemm` there and gets what is not for this file. Its threads, their work areas, and
// the rounding of the columns to 8 bits are llama.cpp's.

#include "ggml-cpu-impl.h"
#include "ggml-quants.h"
#include "llamafile/sgemm.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <immintrin.h>

extern "C" bool llama_cpp_sgemm(const ggml_compute_params * params, int64_t m, int64_t n, int64_t k, const void * a,
                                int64_t lda, const void * b, int64_t ldb, void * c, int64_t ldc, int a_type, int b_type,
                                int c_type);

namespace {

// Whether llama.cpp's own are wanted, to compare with. Asked when the first product is computed and not when the file is
// loaded: a portable build loads modules for processors that this one is not, to see which it is.
bool are_theirs_wanted() {
    static const bool wanted = [] {
        const char * kernels = getenv("TUICHAT_KERNELS");
        return kernels && !strcmp(kernels, "llama.cpp");
    }();
    return wanted;
}

constexpr int BLOCK = 32;
// Blocks of a row that are unpacked at once: two tiles of them fit into the first-level cache.
constexpr int64_t PANEL = 16;

#if defined(__AVX512F__) && defined(__AVX512BW__)
#define IS_WIDE
constexpr int LANES = 16;
using Ints = __m512i;
using Floats = __m512;
inline Ints bytes_of(uint32_t four) { return _mm512_set1_epi32((int) four); }
inline Ints load(const void * at) { return _mm512_load_si512(at); }
inline Floats load(const float * at) { return _mm512_load_ps(at); }
inline Floats load_anywhere(const float * at) { return _mm512_loadu_ps(at); }
inline void store(void * at, Ints value) { _mm512_store_si512(at, value); }
inline void store_anywhere(float * at, Floats value) { _mm512_storeu_ps(at, value); }
inline Floats all(float value) { return _mm512_set1_ps(value); }
inline Floats as_floats(Ints value) { return _mm512_cvtepi32_ps(value); }
inline Floats times(Floats a, Floats b) { return _mm512_mul_ps(a, b); }
inline Floats plus_product(Floats a, Floats b, Floats sum) { return _mm512_fmadd_ps(a, b, sum); }
inline Ints plus(Ints a, Ints b) { return _mm512_add_epi32(a, b); }
inline Ints flipped(Ints a, Ints b) { return _mm512_xor_si512(a, b); }
inline Ints of_lanes(__m128i a, __m128i b, __m128i c, __m128i d) {
    const __m256i low = _mm256_inserti128_si256(_mm256_castsi128_si256(a), b, 1);
    const __m256i high = _mm256_inserti128_si256(_mm256_castsi128_si256(c), d, 1);
    return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}
inline Ints low_32(Ints a, Ints b) { return _mm512_unpacklo_epi32(a, b); }
inline Ints high_32(Ints a, Ints b) { return _mm512_unpackhi_epi32(a, b); }
inline Ints low_64(Ints a, Ints b) { return _mm512_unpacklo_epi64(a, b); }
inline Ints high_64(Ints a, Ints b) { return _mm512_unpackhi_epi64(a, b); }
inline Floats of_halves(const ggml_half * at) { return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *) at)); }
inline Ints pairs_of(Ints unsigned_bytes, Ints bytes) { return _mm512_maddubs_epi16(unsigned_bytes, bytes); }
inline Ints sums_of(Ints pairs) { return _mm512_madd_epi16(pairs, _mm512_set1_epi16(1)); }
inline Ints plus_16(Ints a, Ints b) { return _mm512_add_epi16(a, b); }
#if defined(__AVX512VNNI__)
#define HAS_DPBUSD
inline Ints plus_dots(Ints sum, Ints unsigned_bytes, Ints bytes) { return _mm512_dpbusd_epi32(sum, unsigned_bytes, bytes); }
#endif
#define HAS_LANES
#elif defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)
constexpr int LANES = 8;
using Ints = __m256i;
using Floats = __m256;
inline Ints bytes_of(uint32_t four) { return _mm256_set1_epi32((int) four); }
inline Ints load(const void * at) { return _mm256_load_si256((const __m256i *) at); }
inline Floats load(const float * at) { return _mm256_load_ps(at); }
inline Floats load_anywhere(const float * at) { return _mm256_loadu_ps(at); }
inline void store(void * at, Ints value) { _mm256_store_si256((__m256i *) at, value); }
inline void store_anywhere(float * at, Floats value) { _mm256_storeu_ps(at, value); }
inline Floats all(float value) { return _mm256_set1_ps(value); }
inline Floats as_floats(Ints value) { return _mm256_cvtepi32_ps(value); }
inline Floats times(Floats a, Floats b) { return _mm256_mul_ps(a, b); }
inline Floats plus_product(Floats a, Floats b, Floats sum) { return _mm256_fmadd_ps(a, b, sum); }
inline Ints plus(Ints a, Ints b) { return _mm256_add_epi32(a, b); }
inline Ints flipped(Ints a, Ints b) { return _mm256_xor_si256(a, b); }
inline Ints of_lanes(__m128i a, __m128i b) { return _mm256_inserti128_si256(_mm256_castsi128_si256(a), b, 1); }
inline Ints low_32(Ints a, Ints b) { return _mm256_unpacklo_epi32(a, b); }
inline Ints high_32(Ints a, Ints b) { return _mm256_unpackhi_epi32(a, b); }
inline Ints low_64(Ints a, Ints b) { return _mm256_unpacklo_epi64(a, b); }
inline Ints high_64(Ints a, Ints b) { return _mm256_unpackhi_epi64(a, b); }
inline Floats of_halves(const ggml_half * at) { return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *) at)); }
inline Ints pairs_of(Ints unsigned_bytes, Ints bytes) { return _mm256_maddubs_epi16(unsigned_bytes, bytes); }
inline Ints sums_of(Ints pairs) { return _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)); }
inline Ints plus_16(Ints a, Ints b) { return _mm256_add_epi16(a, b); }
#if defined(__AVXVNNI__)
#define HAS_DPBUSD
inline Ints plus_dots(Ints sum, Ints unsigned_bytes, Ints bytes) { return _mm256_dpbusd_avx_epi32(sum, unsigned_bytes, bytes); }
#elif defined(__AVX512VNNI__) && defined(__AVX512VL__)
#define HAS_DPBUSD
inline Ints plus_dots(Ints sum, Ints unsigned_bytes, Ints bytes) { return _mm256_dpbusd_epi32(sum, unsigned_bytes, bytes); }
#endif
#define HAS_LANES
#endif

#ifdef HAS_LANES

// The 32 weights of a block, a byte each.
struct Bytes {
    __m128i low, high;
};

inline Bytes nibbles(const uint8_t * at) {
    const __m128i both = _mm_loadu_si128((const __m128i *) at);
    const __m128i mask = _mm_set1_epi8(15);
    return { _mm_and_si128(both, mask), _mm_and_si128(_mm_srli_epi16(both, 4), mask) };
}

// Each bit of 16 as a byte: 16 where it is set, else 0.
inline __m128i fifth_bits(const uint8_t * at) {
    const __m128i spread = _mm_shuffle_epi8(_mm_cvtsi32_si128(at[0] | at[1] << 8), _mm_set_epi64x(0x0101010101010101, 0));
    const __m128i bits = _mm_set1_epi64x((long long) 0x8040201008040201);
    return _mm_and_si128(_mm_cmpeq_epi8(_mm_and_si128(spread, bits), bits), _mm_set1_epi8(16));
}

inline Bytes with_fifth_bits(Bytes bytes, const uint8_t * at) {
    return { _mm_or_si128(bytes.low, fifth_bits(at)), _mm_or_si128(bytes.high, fifth_bits(at + 2)) };
}

inline Bytes less(Bytes bytes, char offset) {
    const __m128i all = _mm_set1_epi8(offset);
    return { _mm_sub_epi8(bytes.low, all), _mm_sub_epi8(bytes.high, all) };
}

// From how many columns on unpacking pays (measured, see docs/machine.md): llama.cpp multiplies formats that have a smallest
// value a column at a time, and has faster kernels for the others.
#if defined(IS_WIDE) && defined(HAS_DPBUSD)
constexpr int LEAST_OF_SMALLEST = 2, LEAST_OF_OTHERS = 5;
#else
constexpr int LEAST_OF_SMALLEST = 8, LEAST_OF_OTHERS = 16;
#endif

// How each format is unpacked. Weights that have a smallest value are unsigned bytes, and the columns signed ones. The
// others are signed; then 128 is added to each byte of a column, to make it unsigned, and taken away from the sum again.
struct Q4_0 {
    using Block = block_q4_0;
    using Column = block_q8_0;
    static constexpr bool HAS_SMALLEST = false;
    static Bytes bytes(const Block & block) { return less(nibbles(block.qs), 8); }
};
struct Q4_1 {
    using Block = block_q4_1;
    using Column = block_q8_1;
    static constexpr bool HAS_SMALLEST = true;
    static Bytes bytes(const Block & block) { return nibbles(block.qs); }
};
struct Q5_0 {
    using Block = block_q5_0;
    using Column = block_q8_0;
    static constexpr bool HAS_SMALLEST = false;
    static Bytes bytes(const Block & block) { return less(with_fifth_bits(nibbles(block.qs), block.qh), 16); }
};
struct Q5_1 {
    using Block = block_q5_1;
    using Column = block_q8_1;
    static constexpr bool HAS_SMALLEST = true;
    static Bytes bytes(const Block & block) { return with_fifth_bits(nibbles(block.qs), block.qh); }
};
#ifdef HAS_DPBUSD
struct Q8_0 {
    using Block = block_q8_0;
    using Column = block_q8_0;
    static constexpr bool HAS_SMALLEST = false;
    static Bytes bytes(const Block & block) {
        return { _mm_loadu_si128((const __m128i *) block.qs), _mm_loadu_si128((const __m128i *) (block.qs + 16)) };
    }
};
#endif

// A block of LANES rows.
struct alignas(64) Tile {
    // Four neighbours of each row, then the next four.
    uint8_t bytes[BLOCK / 4][LANES][4];
    float scale[LANES];
    float smallest[LANES];
    // What the sum of products begins with: -128 times the sum of the weights where 128 is added to the columns' bytes.
    int32_t start[LANES];
};

// From LANES rows with 16 bytes of each to four vectors with four bytes of each row.
inline void turn(const __m128i * rows, uint8_t (*to)[LANES][4]) {
#ifdef IS_WIDE
    const Ints a = of_lanes(rows[0], rows[4], rows[8], rows[12]), b = of_lanes(rows[1], rows[5], rows[9], rows[13]);
    const Ints c = of_lanes(rows[2], rows[6], rows[10], rows[14]), d = of_lanes(rows[3], rows[7], rows[11], rows[15]);
#else
    const Ints a = of_lanes(rows[0], rows[4]), b = of_lanes(rows[1], rows[5]);
    const Ints c = of_lanes(rows[2], rows[6]), d = of_lanes(rows[3], rows[7]);
#endif
    const Ints low_ab = low_32(a, b), low_cd = low_32(c, d), high_ab = high_32(a, b), high_cd = high_32(c, d);
    store(to[0], low_64(low_ab, low_cd));
    store(to[1], high_64(low_ab, low_cd));
    store(to[2], low_64(high_ab, high_cd));
    store(to[3], high_64(high_ab, high_cd));
}

// Unpacks a block of `rows` rows, `stride` blocks apart; those that are missing are zeros.
template <class Format> void unpack(const typename Format::Block * block, int64_t stride, int rows, Tile & tile) {
    __m128i low[LANES], high[LANES];
    ggml_half scales[LANES] = {}, smallest[LANES] = {};
    for (int row = 0; row < LANES; row++) {
        if (row >= rows) {
            low[row] = high[row] = _mm_setzero_si128();
            continue;
        }
        const auto & one = block[row * stride];
        const Bytes bytes = Format::bytes(one);
        low[row] = bytes.low;
        high[row] = bytes.high;
        scales[row] = one.d;
        if constexpr (Format::HAS_SMALLEST) {
            smallest[row] = one.m;
        }
    }
    turn(low, tile.bytes);
    turn(high, tile.bytes + BLOCK / 8);
    store_anywhere(tile.scale, of_halves(scales));
    if constexpr (Format::HAS_SMALLEST) {
        store_anywhere(tile.smallest, of_halves(smallest));
    } else {
        Ints sum = bytes_of(0);
        for (int four = 0; four < BLOCK / 4; four++) {
            // 64 and -2 instead of -128 at once, which does not fit into 16 bits twice.
            const Ints pairs = pairs_of(bytes_of(0x40404040), load(tile.bytes[four]));
            sum = plus(sum, sums_of(pairs));
        }
        alignas(64) int32_t sums[LANES];
        store(sums, sum);
        for (int row = 0; row < LANES; row++) {
            tile.start[row] = -2 * sums[row];
        }
    }
}

// The products of a block of one format's tile with four bytes of a column at a time.
template <class Format, int TILES, int COLUMNS> struct Dots {
    Ints sums[TILES][COLUMNS];

    void begin(const Tile * tiles) {
        for (int tile = 0; tile < TILES; tile++) {
            for (int column = 0; column < COLUMNS; column++) {
                sums[tile][column] = Format::HAS_SMALLEST ? bytes_of(0) : load(tiles[tile].start);
            }
        }
    }

    static Ints four_of(const int8_t * at) {
        uint32_t four;
        memcpy(&four, at, sizeof four);
        return Format::HAS_SMALLEST ? bytes_of(four) : flipped(bytes_of(four), bytes_of(0x80808080));
    }

#ifdef HAS_DPBUSD
    void add(const Tile * tiles, const typename Format::Column * const * columns, int64_t block) {
        for (int four = 0; four < BLOCK / 4; four++) {
            Ints weights[TILES];
            for (int tile = 0; tile < TILES; tile++) {
                weights[tile] = load(tiles[tile].bytes[four]);
            }
            for (int column = 0; column < COLUMNS; column++) {
                const Ints bytes = four_of(columns[column][block].qs + 4 * four);
                for (int tile = 0; tile < TILES; tile++) {
                    Ints & sum = sums[tile][column];
                    sum = Format::HAS_SMALLEST ? plus_dots(sum, weights[tile], bytes) : plus_dots(sum, bytes, weights[tile]);
                }
            }
        }
    }
#else
    // Pairs of products are added in 16 bits, four times at most: 4 * 2 * 255 * 16 fits.
    void add(const Tile * tiles, const typename Format::Column * const * columns, int64_t block) {
        for (int half = 0; half < 2; half++) {
            for (int column = 0; column < COLUMNS; column++) {
                Ints pairs[TILES];
                for (int four = 4 * half; four < 4 * half + 4; four++) {
                    const Ints bytes = four_of(columns[column][block].qs + 4 * four);
                    for (int tile = 0; tile < TILES; tile++) {
                        const Ints weights = load(tiles[tile].bytes[four]);
                        const Ints products = Format::HAS_SMALLEST ? pairs_of(weights, bytes) : pairs_of(bytes, weights);
                        pairs[tile] = four == 4 * half ? products : plus_16(pairs[tile], products);
                    }
                }
                for (int tile = 0; tile < TILES; tile++) {
                    sums[tile][column] = plus(sums[tile][column], sums_of(pairs[tile]));
                }
            }
        }
    }
#endif
};

inline Floats read(const float * at, int rows) {
    if (rows == LANES) {
        return load_anywhere(at);
    }
    float some[LANES] = {};
    memcpy(some, at, rows * sizeof(float));
    return load_anywhere(some);
}

inline void write(float * at, Floats value, int rows) {
    if (rows == LANES) {
        return store_anywhere(at, value);
    }
    float some[LANES];
    store_anywhere(some, value);
    memcpy(at, some, rows * sizeof(float));
}

// The product of an unpacked panel of TILES tiles, `rows` rows in all, with COLUMNS columns. Where it is the first panel of
// the rows it is written, else it is added to what is there.
template <class Format, int TILES, int COLUMNS>
void multiply(const Tile (*panel)[TILES], int64_t blocks, const typename Format::Column * column, int64_t stride, float * to,
              int64_t to_stride, int rows, bool is_first) {
    const typename Format::Column * columns[COLUMNS];
    Floats sums[TILES][COLUMNS];
    for (int c = 0; c < COLUMNS; c++) {
        columns[c] = column + c * stride;
        for (int tile = 0; tile < TILES; tile++) {
            const int count = std::clamp(rows - tile * LANES, 0, LANES);
            sums[tile][c] = is_first ? all(0) : read(to + c * to_stride + tile * LANES, count);
        }
    }
    for (int64_t block = 0; block < blocks; block++) {
        const Tile * tiles = panel[block];
        Dots<Format, TILES, COLUMNS> dots;
        dots.begin(tiles);
        dots.add(tiles, columns, block);
        for (int c = 0; c < COLUMNS; c++) {
            const auto & one = columns[c][block];
            const Floats scale = all(_cvtsh_ss(one.d));
            for (int tile = 0; tile < TILES; tile++) {
                Floats & sum = sums[tile][c];
                sum = plus_product(as_floats(dots.sums[tile][c]), times(load(tiles[tile].scale), scale), sum);
                if constexpr (Format::HAS_SMALLEST) {
                    sum = plus_product(load(tiles[tile].smallest), all(_cvtsh_ss(one.s)), sum);
                }
            }
        }
    }
    for (int c = 0; c < COLUMNS; c++) {
        for (int tile = 0; tile < TILES; tile++) {
            write(to + c * to_stride + tile * LANES, sums[tile][c], std::clamp(rows - tile * LANES, 0, LANES));
        }
    }
}

#ifdef IS_WIDE
constexpr int TILES = 2, COLUMNS = 4;
#else
constexpr int TILES = 1, COLUMNS = 4;
#endif

// The same with `many` columns, MOST at most.
template <class Format, int MOST>
void multiply_some(int64_t many, const Tile (*panel)[TILES], int64_t blocks, const typename Format::Column * columns,
                   int64_t stride, float * to, int64_t to_stride, int rows, bool is_first) {
    if constexpr (MOST > 1) {
        if (many < MOST) {
            return multiply_some<Format, MOST - 1>(many, panel, blocks, columns, stride, to, to_stride, rows, is_first);
        }
    }
    multiply<Format, TILES, MOST>(panel, blocks, columns, stride, to, to_stride, rows, is_first);
}

// One job of a thread: the product of TILES tiles of rows with all columns.
template <class Format>
void multiply_rows(const typename Format::Block * rows, int64_t row_stride, int count, int64_t blocks,
                   const typename Format::Column * columns, int64_t column_stride, int64_t n, float * to, int64_t to_stride) {
    alignas(64) Tile panel[PANEL][TILES];
    for (int64_t first = 0; first < blocks; first += PANEL) {
        const int64_t many = std::min(PANEL, blocks - first);
        for (int64_t block = 0; block < many; block++) {
            for (int tile = 0; tile < TILES; tile++) {
                const int here = std::clamp(count - tile * LANES, 0, LANES);
                unpack<Format>(rows + tile * LANES * row_stride + first + block, row_stride, here, panel[block][tile]);
            }
        }
        for (int64_t column = 0; column < n; column += COLUMNS) {
            multiply_some<Format, COLUMNS>(std::min<int64_t>(COLUMNS, n - column), panel, many,
                                           columns + column * column_stride + first, column_stride, to + column * to_stride,
                                           to_stride, count, first == 0);
        }
    }
}

// False, and nothing done, where it does not pay.
template <class Format>
bool multiply_all(const ggml_compute_params * params, int64_t m, int64_t n, int64_t k, const void * a, int64_t lda,
                  const void * b, int64_t ldb, void * c, int64_t ldc) {
    if (n < (Format::HAS_SMALLEST ? LEAST_OF_SMALLEST : LEAST_OF_OTHERS)) {
        return false;
    }
    constexpr int64_t ROWS = LANES * TILES;
    const int64_t jobs = (m + ROWS - 1) / ROWS;
    // Every thread begins with the job of its number; whoever is done takes the next.
    if (params->ith == 0) {
        ggml_threadpool_chunk_set(params->threadpool, params->nth);
    }
    ggml_barrier(params->threadpool);
    for (int64_t job = params->ith; job < jobs; job = ggml_threadpool_chunk_add(params->threadpool, 1)) {
        const int64_t row = job * ROWS;
        multiply_rows<Format>((const typename Format::Block *) a + row * lda, lda, (int) std::min(ROWS, m - row), k,
                              (const typename Format::Column *) b, ldb, n, (float *) c + row, ldc);
    }
    ggml_barrier(params->threadpool);
    return true;
}

#endif

}  // namespace

bool llamafile_sgemm(const ggml_compute_params * params, int64_t m, int64_t n, int64_t k, const void * a, int64_t lda,
                     const void * b, int64_t ldb, void * c, int64_t ldc, int a_type, int b_type, int c_type) {
#ifdef HAS_LANES
    const auto are = [=](int weights, int columns) {
        return a_type == weights && b_type == columns && c_type == GGML_TYPE_F32 && !are_theirs_wanted();
    };
    if ((are(GGML_TYPE_Q4_0, GGML_TYPE_Q8_0) && multiply_all<Q4_0>(params, m, n, k, a, lda, b, ldb, c, ldc)) ||
        (are(GGML_TYPE_Q4_1, GGML_TYPE_Q8_1) && multiply_all<Q4_1>(params, m, n, k, a, lda, b, ldb, c, ldc)) ||
        (are(GGML_TYPE_Q5_0, GGML_TYPE_Q8_0) && multiply_all<Q5_0>(params, m, n, k, a, lda, b, ldb, c, ldc)) ||
        (are(GGML_TYPE_Q5_1, GGML_TYPE_Q8_1) && multiply_all<Q5_1>(params, m, n, k, a, lda, b, ldb, c, ldc))) {
        return true;
    }
#ifdef HAS_DPBUSD
    if (are(GGML_TYPE_Q8_0, GGML_TYPE_Q8_0) && multiply_all<Q8_0>(params, m, n, k, a, lda, b, ldb, c, ldc)) {
        return true;
    }
#endif
#endif
    return llama_cpp_sgemm(params, m, n, k, a, lda, b, ldb, c, ldc, a_type, b_type, c_type);
}
