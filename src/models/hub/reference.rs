//! How a file of the hub is named: `hf:OWNER/REPO`, `hf:OWNER/REPO:QUANT` or `hf:OWNER/REPO/FILE`, each of them with
//! `@REVISION` behind the repository where another than the newest is meant.

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
    /// A branch, a tag or a commit; `None` is the newest commit of the main branch.
    pub revision: Option<String>,
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
                "`{}` names no file of the hub; write `hf:OWNER/REPO`, `hf:OWNER/REPO:QUANT` or `hf:OWNER/REPO/FILE`, \
                 with `@REVISION` behind `REPO` for another than the newest",
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
        let (name, revision) = match name.split_once('@') {
            Some((name, revision)) => (name, Some(revision)),
            None => (name, None),
        };
        let wanted_is_good = match &wanted {
            Wanted::Any => true,
            Wanted::Quantization(quantization) => is_segment(quantization),
            Wanted::File(file) => is_file(file),
        };
        if is_segment(owner) && is_segment(name) && revision.is_none_or(is_segment) && wanted_is_good {
            return Ok(Self { repository: format!("{owner}/{name}"), revision: revision.map(str::to_owned), wanted });
        }
        Err(bad())
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "hf:{}", self.repository)?;
        if let Some(revision) = &self.revision {
            write!(f, "@{revision}")?;
        }
        match &self.wanted {
            Wanted::Any => Ok(()),
            Wanted::Quantization(quantization) => write!(f, ":{quantization}"),
            Wanted::File(file) => write!(f, "/{file}"),
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
        let plain = ["hf:Qwen/Qwen2.5-GGUF", "hf:Qwen/Qwen2.5-GGUF:Q4_K_M", "hf:a/b/sub/model (1).gguf"];
        let revisions = ["hf:a/b@main", "hf:a/b@v1.0:Q8_0", "hf:a/b@0123abc/sub/model@2.gguf"];
        for text in plain.into_iter().chain(revisions) {
            assert_eq!(Reference::parse(text).expect(text).to_string(), text);
        }
        assert_eq!(
            Reference::parse("a/b").expect("without hf:"),
            Reference { repository: "a/b".into(), revision: None, wanted: Wanted::Any }
        );
        assert_eq!(Reference::parse("a/b@v1.0:Q8_0").expect("a revision").revision.as_deref(), Some("v1.0"));
    }

    #[test]
    fn what_leads_out_of_a_repository_is_refused() {
        for text in ["", "hf:", "hf:a", "hf:a/", "hf:/b", "hf:a/..", "hf:../b", "hf:a/b:", "hf:a/b:../x", "hf:a/b/"] {
            assert!(Reference::parse(text).is_err(), "{text}");
        }
        for text in ["hf:a/b@", "hf:a/b@../x", "hf:a/b@..", "hf:a/b@x@y", "hf:a@x/b", "hf:a/b@x y"] {
            assert!(Reference::parse(text).is_err(), "{text}");
        }
        for text in ["hf:a/b/../c", "hf:a/b//c", "hf:a/b/c\\d", "hf:a b/c", "hf:a/b/c\u{1b}", "hf:a/b?x=1"] {
            assert!(Reference::parse(text).is_err(), "{text}");
        }
    }
}
