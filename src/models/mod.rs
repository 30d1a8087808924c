//! Finding, importing, downloading and checking model files. It knows nothing of how a model is run or shown.
//!
//! ```text
//! let library = Library::new(models_folder);
//! library.resolve(Some("qwen"))?                     → Found { name, path, sha256 }   what `--model` means
//! library.resolve(None)?                             → the model used last, or the first installed
//! library.remember_used(&name)?                      for the next start without `--model`
//! library.borrowed()?                                → Borrowed { name, owner, path, … }: models of Ollama and others
//! library.list()? / find(name)?                      → Installed { name, path, sha256, size_bytes, … }
//! library.import(file, Import { name, expected_sha256 }, &mut |progress| …)?   → Installed
//! library.remove(name)?                              → Removed { name, freed_bytes }
//! Library::check(path, expected_sha256, &mut |progress| …)?   → Checked { header, sha256 }
//!
//! gguf::read_header(path)?                           → Header: metadata, tensors, quantization(), chat_template(), …
//! identity::sha256_of(path, cache_file, &mut |progress| …)?   → the SHA-256, computed once per file
//! templates::family(&templates::sha256(template))    → the models it is known from
//! catalog::starter(total_memory_bytes)               → the Entry to begin with
//! catalog::smallest()                                → the Entry to get where nobody chooses
//!
//! let hub = Hub::from_environment()?;                HF_ENDPOINT, HF_TOKEN or the token file
//! hub.limited_to(Some(bytes_per_second))             no faster than this
//! hub.search_blocking("words", 20)?                  → Hits
//! let pull = Pull::from_argument("qwen2.5-1.5b-instruct" or "hf:OWNER/REPO@v1:Q4_K_M")?;   or Pull::from(entry)
//! hub.pull_blocking(&library, &pull, &cancel, &mut |progress| …)?   → Installed; `hub.pull(…).await` likewise
//! ```
//!
//! Every failure is a [`ModelError`]: a sentence that says what to type next, and a [`FailureClass`] that says
//! which exit code it calls for.

pub mod catalog;
mod error;
mod files;
pub mod fit;
pub mod gguf;
pub mod hub;
pub mod identity;
mod local;
pub mod offers;
mod progress;
pub mod speeds;
pub mod templates;

pub use error::{FailureClass, ModelError};
pub use files::{check_space, create_private, free_bytes_near, sync_folder, write_atomically};
pub use local::{
    Borrowed, Checked, Elsewhere, Exported, Found, Import, Installed, Library, Origin, Owner, Places, Removed, Taking,
    Unfinished, looks_like_path, shell_word,
};
pub use progress::{Listener, Progress, Step};
