//! Names for the models of others: `OWNER/NAME`, of the letters that installed names have. A shell completes such a
//! name whole (a `:` would break it in bash), and no installed name holds a `/`.

use std::collections::HashMap;
use std::hash::Hash;

use super::{Owner, Sighting};
use crate::models::local::name::from_file_name;
use crate::sha256;

/// Gives each sighting its name. The same files have the same names at all times: what is told apart by more than its
/// short name is so on both sides.
pub fn name(mut sightings: Vec<Sighting>) -> Vec<(String, Sighting)> {
    sightings.sort_by_key(|sighting| sighting.owner);
    let short: Vec<_> = sightings.iter().map(|it| (it.owner, clean(&it.short))).collect();
    let shared = counts(&short);
    let qualify = |(sighting, key): (&Sighting, (Owner, String))| match &sighting.qualifier {
        Some(qualifier) if shared[&key] > 1 => (key.0, clean(&format!("{qualifier}-{}", key.1))),
        _ => key,
    };
    let qualified: Vec<_> = sightings.iter().zip(short).map(qualify).collect();
    let shared = counts(&qualified);
    let mut named: Vec<_> = sightings
        .into_iter()
        .zip(qualified)
        .map(|(sighting, key)| {
            let suffix = if shared[&key] > 1 { format!("-{}", digits(&sighting)) } else { String::new() };
            (format!("{}/{}{suffix}", key.0.prefix(), key.1), sighting)
        })
        .collect();
    named.sort_by(|(one_name, one), (other_name, other)| (one.owner, one_name).cmp(&(other.owner, other_name)));
    named
}

/// A name in the form in which names are compared: an owner's own way of writing it (`qwen2.5:0.5b`) is ours.
pub fn fold(name: &str) -> String {
    name.to_lowercase().replace([':', '/'], "-")
}

fn clean(name: &str) -> String {
    from_file_name(&name.replace('/', "-"))
}

fn counts<K: Hash + Eq + Clone>(keys: &[K]) -> HashMap<K, usize> {
    let mut counts = HashMap::new();
    keys.iter().for_each(|key| *counts.entry(key.clone()).or_default() += 1);
    counts
}

/// Six digits that tell one path from another.
fn digits(sighting: &Sighting) -> String {
    let path = sighting.file.path.as_os_str().as_encoded_bytes();
    sha256::of(path).chars().take(6).collect()
}
