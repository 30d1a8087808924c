//! `tuichat models …` as it is typed.

use std::path::PathBuf;

use clap::Subcommand;

#[derive(Subcommand, Clone, Debug, PartialEq)]
pub enum ModelsCommand {
    /// List the models on this machine
    List {
        /// One JSON array instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Look for models on the hub
    Search {
        #[arg(required = true)]
        words: Vec<String>,
        /// At most this many
        #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
        limit: u16,
        /// One JSON array instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Download a model
    Pull {
        /// A name from the catalogue, or hf:OWNER/REPO[:QUANT|/FILE], with @REVISION behind REPO for another than the
        /// newest; without it, the starter model
        reference: Option<String>,
    },
    /// Tell what is known about a model
    Show {
        #[arg(value_name = "NAME|PATH")]
        model: String,
        /// One JSON object instead of text
        #[arg(long)]
        json: bool,
    },
    /// Delete a model from this machine
    Rm {
        #[arg(value_name = "NAME")]
        model: String,
    },
    /// Take a GGUF file into the model folder
    Import {
        file: PathBuf,
        /// What to call it; without this, the file's name
        #[arg(long)]
        name: Option<String>,
        /// Refuse the file if its SHA-256 is another
        #[arg(long, value_name = "HEX")]
        sha256: Option<String>,
    },
    /// Check whether a model's file is whole and sound
    Check {
        #[arg(value_name = "NAME|PATH")]
        model: String,
    },
    /// Print the model folder, or where a model is
    Path {
        #[arg(value_name = "NAME")]
        model: Option<String>,
    },
}
