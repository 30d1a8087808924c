//! `tuichat models search`.

use serde_json::{Value, json};

use super::remarks;
use crate::commands::{Surroundings, print, print_json};
use crate::exit::Failure;
use crate::models::ModelError;
use crate::models::hub::{Hit, Hub};
use crate::text::escape_line;

/// Prints the repositories on the hub that these words find.
pub fn run(words: &str, limit: u16, as_json: bool, surroundings: &Surroundings) -> Result<(), Failure> {
    if surroundings.config.offline {
        let sentence = "a search needs the network, and `offline` is set; take it back with `--offline=no`, or see \
                        what is here with `tuichat models list`";
        return Err(ModelError::Network(sentence.into()).into());
    }
    let hits = Hub::from_environment()?.search_blocking(words, limit.into())?;
    if as_json {
        return print_json(&hits.iter().map(object).collect::<Vec<_>>());
    }
    if hits.is_empty() {
        remarks(surroundings).note("nothing was found; try fewer words");
        return Ok(());
    }
    let repositories: Vec<_> = hits.iter().map(|hit| escape_line(&hit.repository)).collect();
    let width = repositories.iter().map(|repository| repository.chars().count()).max().unwrap_or(0);
    let mut lines = format!("{:<width$}  {:>9}  {:>5}  {:<10}\n", "", "downloads", "likes", "updated");
    for (hit, repository) in hits.iter().zip(repositories) {
        let Hit { downloads, likes, .. } = hit;
        let updated = hit.updated.as_deref().and_then(|updated| updated.get(..10)).map(escape_line);
        let gated = if hit.gated { "  conditions to accept first" } else { "" };
        let updated = updated.as_deref().unwrap_or("not known");
        lines.push_str(&format!("{repository:<width$}  {downloads:>9}  {likes:>5}  {updated:<10}{gated}\n"));
    }
    print(&lines)?;
    remarks(surroundings).note("`tuichat models pull hf:OWNER/REPO` gets one");
    Ok(())
}

fn object(hit: &Hit) -> Value {
    json!({
        "repository": hit.repository,
        "downloads": hit.downloads,
        "likes": hit.likes,
        "updated": hit.updated,
        "gated": hit.gated,
    })
}
