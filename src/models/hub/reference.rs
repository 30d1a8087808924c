//! How a file of the hub is named: `hf:OWNER/REPO`, `hf:OWNER/REPO:QUANT` or `hf:OWNER/REPO/FILE`.

use std::fmt;

use crate::models::ModelError;
use crate::text::escape_line;

/// Which file of a repository is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Whichever suits most people.
    Any,
    /// The one with this quantization, such as `Q4_K_M`.
    Quantization(String),
    /// The one of this name.
    File(String),
}

/// A file of the hub, or the wish for one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The repository, as in `OWNER/REPO`.
    pub repository: String,
    /// Which of its files.
    pub wanted: Wanted,
}

impl Reference {
    /// Reads a reference; the `hf:` may be missing.
    ///
    /// # Errors
    /// If it is not of the form above, or holds anything that could lead out of the repository.
    pub fn parse(text: &str) -> Result<Self, ModelError> {
        let bad = || {
            ModelError::BadArgument(format!(
                "`{}` names no file of the hub; write `hf:OWNER/REPO`, `hf:OWNER/REPO:QUANT` or `hf:OWNER/REPO/FILE`",
                escape_line(text)
            ))
        };
        let rest = text.strip_prefix("hf:").unwrap_or(text);
        let (owner, rest) = rest.split_once('/').ok_or_else(bad)?;
        let (name, wanted) = match rest.split_once([':', '/']) {
            None => (rest, Wanted::Any),
            Some((name, quantization)) if rest[name.len()..].starts_with(':') => {
                (name, Wanted::Quantization(quantization.to_owned()))
            }
            Some((name, file)) => (name, Wanted::File(file.to_owned())),
        };
        let wanted_is_good = match &wanted {
            Wanted::Any => true,
            Wanted::Quantization(quantization) => is_segment(quantization),
            Wanted::File(file) => is_file(file),
        };
        if is_segment(owner) && is_segment(name) && wanted_is_good {
            return Ok(Self { repository: format!("{owner}/{name}"), wanted });
        }
        Err(bad())
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.wanted {
            Wanted::Any => write!(f, "hf:{}", self.repository),
            Wanted::Quantization(quantization) => write!(f, "hf:{}:{quantization}", self.repository),
            Wanted::File(file) => write!(f, "hf:{}/{file}", self.repository),
        }
    }
}

/// Whether this is a path inside a repository, and nothing that could lead out of it.
pub fn is_file(path: &str) -> bool {
    path.split('/').all(|segment| {
        !matches!(segment, "" | "." | "..") && !segment.contains(['\\', ':']) && escape_line(segment) == segment
    })
}

fn is_segment(text: &str) -> bool {
    let allowed = |each: char| each.is_ascii_alphanumeric() || matches!(each, '.' | '-' | '_');
    text.starts_with(|first: char| first.is_ascii_alphanumeric()) && text.chars().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_read_back_as_they_were_written() {
        for text in ["hf:Qwen/Qwen2.5-GGUF", "hf:Qwen/Qwen2.5-GGUF:Q4_K_M", "hf:a/b/sub/model (1).gguf"] {
            assert_eq!(Reference::parse(text).expect(text).to_string(), text);
        }
        assert_eq!(
            Reference::parse("a/b").expect("without hf:"),
            Reference { repository: "a/b".into(), wanted: Wanted::Any }
        );
    }

    #[test]
    fn what_leads_out_of_a_repository_is_refused() {
        for text in ["", "hf:", "hf:a", "hf:a/", "hf:/b", "hf:a/..", "hf:../b", "hf:a/b:", "hf:a/b:../x", "hf:a/b/"] {
            assert!(Reference::parse(text).is_err(), "{text}");
        }
        for text in ["hf:a/b/../c", "hf:a/b//c", "hf:a/b/c\\d", "hf:a b/c", "hf:a/b/c\u{1b}", "hf:a/b?x=1"] {
            assert!(Reference::parse(text).is_err(), "{text}");
        }
    }
}
