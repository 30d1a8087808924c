//! Models on this machine: the folder in which they are installed, their names, and what an argument of
//! `--model` means. It never touches the network.

mod archive;
mod elsewhere;
mod export;
mod import;
mod library;
pub mod name;
mod resolve;

pub use elsewhere::{Borrowed, Elsewhere, Owner, Places, shell_word};
pub use export::Exported;
pub use import::{Import, Taking};
pub(in crate::models) use library::Split;
pub use library::{Checked, Installed, Library, Origin, Removed, Unfinished};
pub use resolve::{Found, looks_like_path};

#[cfg(test)]
mod tests;
