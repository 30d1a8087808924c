//! Ollama's folder: `manifests/HOST/NAMESPACE/NAME/TAG`, a list of layers in JSON, and their contents under
//! `blobs/sha256-HEX` (`blobs/sha256:HEX` in old versions). The models are GGUF files without an ending.

use std::fs;
use std::path::Path;

use serde::Deserialize;

use super::walk::{ModelFile, names_in};
use super::{Owner, Sighting};
use crate::sha256::is_sha256;

const HOST: &str = "registry.ollama.ai";
const NAMESPACE: &str = "library";
const MODEL_LAYER: &str = "application/vnd.ollama.image.model";
/// Real ones have some hundred bytes.
const MANIFEST_BYTES_MAX: u64 = 1 << 20;
const MANIFESTS_MAX: usize = 5000;

#[derive(Deserialize)]
struct Manifest {
    layers: Vec<Layer>,
}

#[derive(Deserialize)]
struct Layer {
    #[serde(rename = "mediaType")]
    media_type: String,
    digest: String,
}

/// Adds the models in `folder`.
pub fn find(folder: &Path, sightings: &mut Vec<Sighting>) {
    let manifests = folder.join("manifests");
    let paths = names_in(&manifests).into_iter().flat_map(|host| below(&manifests, &host));
    let paths = paths.flat_map(|namespace| below(&manifests, &namespace));
    let paths = paths.flat_map(|name| below(&manifests, &name));
    for path in paths.take(MANIFESTS_MAX) {
        let found = sighting(folder, &manifests.join(&path), &path);
        if found.is_none() {
            tracing::debug!(manifest = path, "a manifest of Ollama names no model that is here");
        }
        sightings.extend(found);
    }
}

/// The paths one level below `path`, both from `root`.
fn below(root: &Path, path: &str) -> Vec<String> {
    names_in(&root.join(path)).into_iter().map(|name| format!("{path}/{name}")).collect()
}

fn sighting(folder: &Path, manifest: &Path, path: &str) -> Option<Sighting> {
    let reference = reference(path)?;
    let metadata = fs::metadata(manifest).ok()?;
    let text = (metadata.is_file() && metadata.len() <= MANIFEST_BYTES_MAX).then(|| fs::read(manifest).ok())??;
    let manifest: Manifest = serde_json::from_slice(&text).ok()?;
    let mut layers = manifest.layers.iter().filter(|layer| layer.media_type == MODEL_LAYER);
    let (layer, None) = (layers.next()?, layers.next()) else { return None };
    let sha256 = layer.digest.strip_prefix("sha256:").filter(|hex| is_sha256(hex))?;
    let blobs = ["sha256-", "sha256:"].map(|prefix| folder.join("blobs").join(format!("{prefix}{sha256}")));
    let file = blobs.into_iter().find(|blob| blob.exists()).and_then(ModelFile::at)?;
    let short = reference.strip_suffix(":latest").unwrap_or(&reference).to_owned();
    Some(Sighting {
        owner: Owner::Ollama,
        short,
        qualifier: None,
        repository: repository(path),
        reference,
        sha256: Some(sha256.to_owned()),
        file,
    })
}

/// What Ollama calls the model of this manifest: what is usual is left out.
fn reference(path: &str) -> Option<String> {
    let (name, tag) = path.rsplit_once('/')?;
    let name = name.strip_prefix(HOST).and_then(|rest| rest.strip_prefix('/')).unwrap_or(name);
    let name = name.strip_prefix(NAMESPACE).and_then(|rest| rest.strip_prefix('/')).unwrap_or(name);
    Some(format!("{name}:{tag}"))
}

/// The hub's repository of a model that Ollama took from there.
fn repository(path: &str) -> Option<String> {
    let (name, _) = path.rsplit_once('/')?;
    let rest = name.strip_prefix("hf.co/").or_else(|| name.strip_prefix("huggingface.co/"))?;
    Some(rest.to_owned())
}
