//! In a portable build the kernels for processors are modules, of which the best for this machine's is loaded when
//! llama.cpp starts. They are looked for beside the program and nowhere else: left alone, llama.cpp goes on to the folder
//! in which it was built and to the current one, and so runs what somebody put there.

use std::path::{Path, PathBuf};

use llama_cpp_2::llama_backend::load_backends_from_path;
use llama_cpp_sys_2 as sys;

/// Where they are, seen from the folder above that of the program (`bin`).
const FROM_PROGRAM: &str = "lib/tuichat";

/// Loads the best module of each kind.
///
/// # Errors
/// If none for the processor is there, in words.
pub fn load() -> Result<(), String> {
    let program = std::env::current_exe().and_then(|program| program.canonicalize());
    let program = program.map_err(|error| format!("it is not known where tuichat itself is ({error})"))?;
    let folder = folder(&program);
    // What loads them takes no other text, and loads nothing at all from a folder that is not there.
    if folder.to_str().is_some_and(|path| !path.contains('\0')) {
        load_backends_from_path(&folder);
    }
    // SAFETY: the call looks through a list of its own.
    if unsafe { sys::ggml_backend_dev_by_type(sys::GGML_BACKEND_DEVICE_TYPE_CPU) }.is_null() {
        return Err(format!(
            "tuichat's modules for this processor are missing, which belong into {}; unpack the whole archive, not only the \
             program",
            folder.display()
        ));
    }
    Ok(())
}

fn folder(program: &Path) -> PathBuf {
    let above = program.parent().and_then(Path::parent).unwrap_or(Path::new("/"));
    above.join(FROM_PROGRAM)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_beside_the_program_however_it_is_started() {
        assert_eq!(folder(Path::new("/usr/bin/tuichat")), Path::new("/usr/lib/tuichat"));
        assert_eq!(
            folder(Path::new("/home/me/tuichat-0.1.0/bin/tuichat")),
            Path::new("/home/me/tuichat-0.1.0/lib/tuichat")
        );
    }
}
