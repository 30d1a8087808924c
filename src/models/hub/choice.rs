//! Which of a repository's files to take.

use super::reference::{Reference, Wanted};
use crate::models::ModelError;
use crate::text::escape_line;

/// Best first: small with little loss, then what runs fast everywhere, then larger, then the rest.
const PREFERENCES: [&str; 16] = [
    "Q4_K_M", "Q4_0", "Q5_K_M", "Q8_0", "Q4_K_S", "Q5_K_S", "Q6_K", "Q4_1", "Q5_0", "Q5_1", "IQ4_XS", "IQ4_NL",
    "Q3_K_M", "BF16", "F16", "F32",
];
const LISTED_MAX: usize = 20;

/// The file of the repository that the reference means.
pub fn choose<'a>(reference: &Reference, files: &'a [String]) -> Result<&'a str, ModelError> {
    let models: Vec<&str> = files.iter().map(String::as_str).filter(|file| is_model(file)).collect();
    let chosen = match &reference.wanted {
        Wanted::File(wanted) => files.iter().map(String::as_str).find(|file| file == wanted),
        Wanted::Quantization(wanted) => models.iter().copied().find(|file| has_quantization(file, wanted)),
        Wanted::Any => {
            let preferred = PREFERENCES.iter().find_map(|name| models.iter().find(|file| has_quantization(file, name)));
            preferred.or(models.first()).copied()
        }
    };
    match chosen {
        Some(file) if is_split(file) => Err(ModelError::BadArgument(format!(
            "`{}` of `{}` is split into several files, which is not supported yet; choose another quantization",
            escape_line(file),
            reference.repository
        ))),
        Some(file) => Ok(file),
        None if models.is_empty() => {
            Err(ModelError::NotFound(format!("`{}` holds no GGUF file", reference.repository)))
        }
        None => Err(ModelError::NotFound(format!("`{reference}` is not there; choose from {}", listed(&models)))),
    }
}

/// Whether a file of this name holds a model, and not a part or a by-product of one.
pub fn is_model(file: &str) -> bool {
    let name = file.rsplit('/').next().unwrap_or(file).to_lowercase();
    name.ends_with(".gguf") && !name.contains("mmproj") && !name.contains("imatrix")
}

/// Whether the file's name says this quantization, as in `model-Q4_K_M.gguf` or `model.q4_k_m.gguf`.
fn has_quantization(file: &str, quantization: &str) -> bool {
    let (file, quantization) = (file.to_ascii_uppercase(), quantization.to_ascii_uppercase());
    let is_edge = |neighbour: Option<char>| neighbour.is_none_or(|each| matches!(each, '-' | '.' | '/'));
    file.match_indices(&quantization).any(|(start, found)| {
        is_edge(file[..start].chars().next_back()) && is_edge(file[start + found.len()..].chars().next())
    })
}

/// Whether this is one of several files, as in `model-00001-of-00003.gguf`.
fn is_split(file: &str) -> bool {
    let Some((rest, count)) = file.strip_suffix(".gguf").and_then(|stem| stem.rsplit_once("-of-")) else {
        return false;
    };
    let number = rest.rsplit('-').next().unwrap_or_default();
    [number, count].iter().all(|part| part.len() == 5 && part.bytes().all(|byte| byte.is_ascii_digit()))
}

fn listed(models: &[&str]) -> String {
    let mut names: Vec<String> =
        models.iter().take(LISTED_MAX).map(|file| format!("`{}`", escape_line(file))).collect();
    if models.len() > LISTED_MAX {
        names.push(format!("{} more", models.len() - LISTED_MAX));
    }
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(wanted: &str, files: &[&str]) -> Result<String, String> {
        let files: Vec<String> = files.iter().map(|file| (*file).to_owned()).collect();
        let reference = Reference::parse(&format!("hf:a/b{wanted}")).expect("a good reference");
        choose(&reference, &files).map(str::to_owned).map_err(|error| error.to_string())
    }

    const FILES: [&str; 6] =
        ["README.md", "mmproj-Q4_K_M.gguf", "m-Q8_0.gguf", "m-IQ4_K_M.gguf", "m-Q4_K_M.gguf", "m-Q4_0.gguf"];

    #[test]
    fn the_usual_quantization_is_preferred() {
        assert_eq!(choice("", &FILES).as_deref(), Ok("m-Q4_K_M.gguf"));
        assert_eq!(choice("", &["m.q8_0.gguf", "m.q4_0.gguf"]).as_deref(), Ok("m.q4_0.gguf"));
        assert_eq!(choice("", &["only.gguf"]).as_deref(), Ok("only.gguf"));
    }

    #[test]
    fn a_quantization_is_found_in_any_case() {
        assert_eq!(choice(":q8_0", &FILES).as_deref(), Ok("m-Q8_0.gguf"));
        assert_eq!(choice("/m-Q4_0.gguf", &FILES).as_deref(), Ok("m-Q4_0.gguf"));
    }

    #[test]
    fn what_is_not_there_is_answered_with_what_is() {
        let error = choice(":Q2_K", &FILES).expect_err("there is no Q2_K");
        assert!(error.contains("`m-Q4_0.gguf`") && !error.contains("mmproj"), "{error}");
        assert!(choice("", &["README.md"]).expect_err("no model").contains("no GGUF file"));
    }

    #[test]
    fn split_models_are_refused_for_now() {
        let error = choice(":Q4_K_M", &["m-Q4_K_M-00001-of-00003.gguf"]).expect_err("split");
        assert!(error.contains("split"), "{error}");
        assert!(!is_split("m-1-of-3.gguf"));
    }
}
