//! Which of a repository's files to take.

use super::reference::{Reference, Wanted};
use crate::models::ModelError;
use crate::models::gguf::split::PartName;
use crate::text::escape_line;

/// Best first: small with little loss, then what runs fast everywhere, then larger, then the rest.
const PREFERENCES: [&str; 16] = [
    "Q4_K_M", "Q4_0", "Q5_K_M", "Q8_0", "Q4_K_S", "Q5_K_S", "Q6_K", "Q4_1", "Q5_0", "Q5_1", "IQ4_XS", "IQ4_NL",
    "Q3_K_M", "BF16", "F16", "F32",
];
const LISTED_MAX: usize = 20;

/// The file of the repository that the reference means, or all files if the model is split.
pub fn choose<'a>(reference: &Reference, files: &'a [String]) -> Result<Vec<&'a str>, ModelError> {
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
        Some(file) => whole(reference, file, files),
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
pub fn has_quantization(file: &str, quantization: &str) -> bool {
    let (file, quantization) = (file.to_ascii_uppercase(), quantization.to_ascii_uppercase());
    let is_edge = |neighbour: Option<char>| neighbour.is_none_or(|each| matches!(each, '-' | '.' | '/'));
    file.match_indices(&quantization).any(|(start, found)| {
        is_edge(file[..start].chars().next_back()) && is_edge(file[start + found.len()..].chars().next())
    })
}

/// The file with the others that make up the model, if it is one of several.
fn whole<'a>(reference: &Reference, file: &'a str, files: &'a [String]) -> Result<Vec<&'a str>, ModelError> {
    let Some(name) = PartName::parse(file) else { return Ok(vec![file]) };
    name.all()
        .map(|part| {
            files.iter().map(String::as_str).find(|file| *file == part).ok_or_else(|| {
                ModelError::NotFound(format!(
                    "`{}` is split into {} files, and `{}` is not in `{}`; choose another quantization",
                    escape_line(file),
                    name.count,
                    escape_line(&part),
                    reference.repository
                ))
            })
        })
        .collect()
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
        choose(&reference, &files).map(|chosen| chosen.join(" ")).map_err(|error| error.to_string())
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
    fn a_split_model_is_all_its_files() {
        let files = ["m-Q8_0.gguf", "m-Q4_K_M-00002-of-00002.gguf", "m-Q4_K_M-00001-of-00002.gguf"];
        let both = Ok("m-Q4_K_M-00001-of-00002.gguf m-Q4_K_M-00002-of-00002.gguf");
        for wanted in ["", ":Q4_K_M", "/m-Q4_K_M-00001-of-00002.gguf", "/m-Q4_K_M-00002-of-00002.gguf"] {
            assert_eq!(choice(wanted, &files).as_deref().map_err(String::as_str), both, "{wanted}");
        }
        let error = choice("", &["m-00001-of-00003.gguf", "m-00003-of-00003.gguf"]).expect_err("one is missing");
        assert!(error.contains("`m-00002-of-00003.gguf` is not in"), "{error}");
    }

    #[test]
    fn of_many_files_the_first_are_listed_and_the_others_counted() {
        let files = |count: usize| (0..count).map(|number| format!("m{number}.gguf")).collect::<Vec<_>>();
        let listed = |count| super::listed(&files(count).iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(listed(2), "`m0.gguf`, `m1.gguf`");
        assert!(listed(LISTED_MAX).ends_with("`m19.gguf`"));
        assert!(listed(LISTED_MAX + 3).ends_with("`m19.gguf`, 3 more"));
    }
}
