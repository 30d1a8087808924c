//! llama.cpp's RPC, as far as it is compiled in: it is asked for by name, so that nothing of it need be there to link.

use std::ffi::{CStr, CString, c_char};

use llama_cpp_sys_2 as sys;

use super::{LISTING, PoisonError, start};

const BACKEND: &CStr = c"RPC";
const ADD_SERVER: &CStr = c"ggml_backend_rpc_add_server";

/// `ggml_backend_rpc_add_server`, of ggml-rpc.h.
type AddServer = unsafe extern "C" fn(*const c_char) -> sys::ggml_backend_reg_t;

/// Makes the devices of a server known (`HOST:PORT`), for good; to be called once for each. The connection stays open: it
/// is made on this thread, and others use it. llama.cpp ends the process if nobody is there, so somebody has to be.
///
/// # Errors
/// A sentence, if llama.cpp was compiled without it, or the server has no device.
pub fn add_server(endpoint: &str) -> Result<(), String> {
    start()?;
    let without = || {
        "llama.cpp was compiled without RPC; build with \
         `GGML_RPC=ON cargo build --release --features rpc --target-dir target/rpc`"
            .to_owned()
    };
    let name = CString::new(endpoint).map_err(|_| "the server's name has a zero in it")?;
    let _listing = LISTING.lock().unwrap_or_else(PoisonError::into_inner);
    // SAFETY: llama.cpp was started, the names are strings that live until the calls return, and the pointer it gives for
    // `ADD_SERVER` is that function. Nobody lists devices while some are added: all who do are behind the lock. A back end
    // that is made for a device is never freed, and so is the connection that it holds, which all others share.
    unsafe {
        let rpc = sys::ggml_backend_reg_by_name(BACKEND.as_ptr());
        if rpc.is_null() {
            return Err(without());
        }
        let add = sys::ggml_backend_reg_get_proc_address(rpc, ADD_SERVER.as_ptr());
        if add.is_null() {
            return Err(without());
        }
        let add = std::mem::transmute::<*mut std::ffi::c_void, AddServer>(add);
        let server = add(name.as_ptr());
        if server.is_null() || sys::ggml_backend_reg_dev_count(server) == 0 {
            return Err(format!("the RPC server behind {endpoint} has no device"));
        }
        sys::ggml_backend_register(server);
        sys::ggml_backend_dev_init(sys::ggml_backend_reg_dev_get(server, 0), std::ptr::null());
    }
    Ok(())
}
