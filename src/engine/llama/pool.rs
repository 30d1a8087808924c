//! ggml's thread pools, for the one thing that OpenMP has no call for: to hold the threads that compute to some cores.
//! Each of them is held when it begins to compute, so that contexts with different crews can follow each other.

use std::ffi::{CStr, c_int};
use std::ptr::NonNull;

use llama_cpp_sys_2 as sys;

use crate::hardware::cores::{self, CoreSet, Crew};

type New = unsafe extern "C" fn(*mut sys::ggml_threadpool_params) -> sys::ggml_threadpool_t;
type Free = unsafe extern "C" fn(sys::ggml_threadpool_t);

/// Threads that are held to cores.
#[derive(Debug)]
pub(super) struct Pool {
    pool: NonNull<sys::ggml_threadpool>,
    free: Free,
}

impl Pool {
    /// A pool for a crew that is to be held to its cores. `None` for one that may run everywhere, and where ggml has no
    /// such call. The calling thread, which computes along, is held, too, if it is alone.
    pub fn new(crew: &Crew) -> Option<Self> {
        let cores = cores::pinning(crew)?;
        if crew.threads == 1 {
            // ggml holds threads only where there are several.
            cores::pin(&cores);
            return None;
        }
        Self::of(crew.threads, &cores)
    }

    /// A pool of threads that are held to these cores.
    pub fn of(threads: u32, cores: &CoreSet) -> Option<Self> {
        let new = function(c"ggml_threadpool_new")?;
        let free = function(c"ggml_threadpool_free")?;
        // SAFETY: ggml's CPU backend gives these names to these two functions.
        let (new, free) = unsafe {
            (
                std::mem::transmute::<NonNull<std::ffi::c_void>, New>(new),
                std::mem::transmute::<NonNull<std::ffi::c_void>, Free>(free),
            )
        };
        // SAFETY: makes a plain value.
        let mut parameters =
            unsafe { sys::ggml_threadpool_params_default(c_int::try_from(threads).unwrap_or(c_int::MAX)) };
        if cores.numbers().any(|core| core >= parameters.cpumask.len()) {
            return None;
        }
        cores.numbers().for_each(|core| parameters.cpumask[core] = true);
        // SAFETY: the parameters live through the call, which copies them.
        let pool = NonNull::new(unsafe { new(&raw mut parameters) })?;
        Some(Self { pool, free })
    }

    pub fn raw(&self) -> sys::ggml_threadpool_t {
        self.pool.as_ptr()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // SAFETY: made by `ggml_threadpool_new`, freed once; contexts that know it are gone (see `Context`).
        unsafe { (self.free)(self.pool.as_ptr()) }
    }
}

/// A function that the CPU backend hands out by its name: a build with several of them has it in none that is linked.
fn function(name: &CStr) -> Option<NonNull<std::ffi::c_void>> {
    // SAFETY: the calls take a kind of device, a device and its registry, both checked, and a string.
    unsafe {
        let device = sys::ggml_backend_dev_by_type(sys::GGML_BACKEND_DEVICE_TYPE_CPU);
        if device.is_null() {
            return None;
        }
        let registry = sys::ggml_backend_dev_backend_reg(device);
        if registry.is_null() {
            return None;
        }
        NonNull::new(sys::ggml_backend_reg_get_proc_address(registry, name.as_ptr()))
    }
}
