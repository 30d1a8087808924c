//! The memory allocator, for what Rust has no call for: to give memory that was freed back to the system. Rendering and
//! tokenising a long conversation takes much for a moment. glibc would keep up to 64 MiB of it for each thread
//! (`M_MMAP_THRESHOLD` and `M_TRIM_THRESHOLD` in mallopt(3) grow with what was freed), which on a small machine is
//! memory that the model's file could lie in. Other allocators have no such calls and are left alone.

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod glibc {
    use std::ffi::c_int;

    /// The numbers that malloc.h gives them.
    pub const TRIM_THRESHOLD: c_int = -1;
    pub const MMAP_THRESHOLD: c_int = -3;

    unsafe extern "C" {
        pub fn mallopt(parameter: c_int, value: c_int) -> c_int;
        pub fn malloc_trim(keep: usize) -> c_int;
    }
}

/// From now on larger pieces of memory go back to the system when they are freed.
pub fn give_back_what_is_freed() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        /// In bytes: above what the loop of an answer needs again and again.
        const LARGE: std::ffi::c_int = 256 << 10;
        // SAFETY: the call may be made at any time, and takes numbers.
        unsafe {
            glibc::mallopt(glibc::MMAP_THRESHOLD, LARGE);
            glibc::mallopt(glibc::TRIM_THRESHOLD, LARGE);
        }
    }
}

/// Gives back what lies free between other things. Takes some milliseconds, so it is done while nobody waits.
pub fn give_back_what_is_free() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: the call may be made at any time, and touches free memory only.
    unsafe {
        glibc::malloc_trim(0)
    };
}
