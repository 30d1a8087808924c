# What llama.cpp's build is told beside its own options; .cargo/config.toml has CMake include it behind `project()`.

if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    add_compile_options("SHELL:-include \"${CMAKE_CURRENT_LIST_DIR}/amx.h\"")
endif()
