# What llama.cpp's build is told beside its own options; .cargo/config.toml has CMake include it behind `project()`.

# Its kernels for AMX (Intel's server processors since 2023) are left out. With GCC before 14, 13.3, 12.4 and 11.5 they end
# the program with SIGILL, since that loses most of a tile's configuration (https://gcc.gnu.org/PR114098). With that mended,
# a small model's greedy answers came out otherwise than llama.cpp's elsewhere, one with a word that does not exist, and the
# weights were copied. AVX-512 computes instead, two to three times more slowly: whether it is only rounding is open.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64" AND CMAKE_CXX_COMPILER_ID MATCHES "GNU|Clang")
    include(CheckCXXCompilerFlag)
    foreach(feature amx-tile amx-int8 amx-bf16)
        check_cxx_compiler_flag(-mno-${feature} KNOWS_${feature})
        if(KNOWS_${feature})
            add_compile_options(-mno-${feature})
        endif()
    endforeach()
endif()

# A portable build has a module of kernels for each kind of processor. Those that only Intel's processors with AVX-512 take
# are tuned for them, as the kernels of a build for one's own machine are: GCC 12's usual tuning cost 4 % of the speed of
# prompts and of answers on a Cascade Lake.
function(tune_modules)
    include(CheckCXXCompilerFlag)
    set(processors skylake-avx512 cannonlake cascadelake icelake-server cooperlake)
    foreach(module processor IN ZIP_LISTS ARGN processors)
        if(TARGET ggml-cpu-${module})
            check_cxx_compiler_flag(-mtune=${processor} KNOWS_TUNING_${module})
            if(KNOWS_TUNING_${module})
                target_compile_options(ggml-cpu-${module} PRIVATE -mtune=${processor})
            endif()
        endif()
    endforeach()
endfunction()

# Kernels of our own, for each kind of processor: the file says what for. They stand before llama.cpp's, which are renamed.
function(add_kernels)
    if(NOT TARGET ggml-base OR NOT CMAKE_CXX_COMPILER_ID MATCHES "GNU|Clang" OR NOT CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
        return()
    endif()
    get_target_property(folder ggml-base SOURCE_DIR)
    get_property(targets DIRECTORY ${folder} PROPERTY BUILDSYSTEM_TARGETS)
    list(FILTER targets INCLUDE REGEX "^ggml-cpu")
    foreach(target IN LISTS targets)
        get_target_property(sources ${target} SOURCES)
        if(sources MATCHES "llamafile/sgemm.cpp")
            target_sources(${target} PRIVATE ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/../src/engine/llama/kernels/prompts.cpp)
            set_source_files_properties(${folder}/ggml-cpu/llamafile/sgemm.cpp TARGET_DIRECTORY ${target}
                PROPERTIES COMPILE_DEFINITIONS llamafile_sgemm=llama_cpp_sgemm)
        endif()
    endforeach()
endfunction()

if(CMAKE_VERSION VERSION_GREATER_EQUAL 3.19 AND CMAKE_CURRENT_SOURCE_DIR STREQUAL CMAKE_SOURCE_DIR)
    cmake_language(DEFER CALL tune_modules skylakex cannonlake cascadelake icelake cooperlake)
    cmake_language(DEFER CALL add_kernels)
endif()

# Where its RPC backend is compiled (`GGML_RPC=ON`, see docs/rpc.md): without RDMA, which it would take up with any library
# that it finds, and which the relay in src/engine/rpc/ does not pass on.
set(GGML_RPC_RDMA OFF CACHE BOOL "")
