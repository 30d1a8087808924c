/* Processors with AMX ended the program with SIGILL: GCC before 14, 13.3, 12.4 and 11.5 takes a tile's configuration for
 * eight bytes long instead of 64, and leaves out whatever writes the others (https://gcc.gnu.org/PR114098). */
#ifdef __AMX_TILE__
#include <immintrin.h>

static inline __attribute__((always_inline)) void load_tile_config(const void *config) {
    __asm__ volatile("ldtilecfg\t%X0" ::"m"(*(const char(*)[64])config));
}
#define _tile_loadconfig load_tile_config
#endif
