//! The names of installed models, which are also names of files.

use crate::models::ModelError;

const BYTES_MAX: usize = 128;

/// Accepts letters and digits of all scripts, `.`, `-`, `_` and `+`, beginning with a letter or digit: nothing that could
/// leave a folder, hide a file, look like a flag or move a cursor.
///
/// # Errors
/// If the name holds anything else, is empty or longer than 128 bytes.
pub fn check(name: &str) -> Result<(), ModelError> {
    let begins_well = name.starts_with(char::is_alphanumeric);
    if begins_well && name.len() <= BYTES_MAX && name.chars().all(is_allowed) {
        return Ok(());
    }
    Err(ModelError::BadArgument(format!(
        "`{}` cannot be a model's name; use letters, digits and `.`, `-`, `_`, `+`, beginning with a letter or digit",
        crate::text::escape_line(name)
    )))
}

/// A good name made of the name of a file: without its folder and `.gguf`, in small letters.
pub fn from_file_name(file: &str) -> String {
    let last = file.rsplit('/').next().unwrap_or(file).to_lowercase();
    let stem = last.strip_suffix(".gguf").unwrap_or(&last);
    let name: String = stem.chars().map(|each| if is_allowed(each) { each } else { '-' }).collect();
    let name = name.trim_start_matches(|first: char| !first.is_alphanumeric());
    match &name[..name.floor_char_boundary(BYTES_MAX)] {
        "" => "model".to_owned(),
        name => name.to_owned(),
    }
}

fn is_allowed(each: char) -> bool {
    each.is_alphanumeric() || matches!(each, '.' | '-' | '_' | '+')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_that_leave_the_folder_or_mislead_are_refused() {
        let bad = ["", ".", "..", "../x", "a/b", "a\\b", ".hidden", "-f", "a\u{1b}[2J", "a b", "a\u{202e}b", "a\0"];
        for name in bad.into_iter().map(String::from).chain(["x".repeat(129)]) {
            assert!(check(&name).is_err(), "{name:?}");
        }
        for name in ["Qwen2.5-1.5b_instruct+x", "小模型", "étoile", "модель-7b"] {
            assert!(check(name).is_ok(), "{name}");
        }
    }

    #[test]
    fn a_file_gives_a_readable_name() {
        assert_eq!(from_file_name("sub/SmolLM2-135M-Instruct.Q4_1.gguf"), "smollm2-135m-instruct.q4_1");
        assert_eq!(from_file_name("my model (1).gguf"), "my-model--1-");
        assert_eq!(from_file_name("小 模型.gguf"), "小-模型");
        assert_eq!(from_file_name(".gguf"), "model");
        assert_eq!(from_file_name(&"模".repeat(50)), "模".repeat(42), "128 bytes, and no half character");
    }

    proptest! {
        #[test]
        fn any_file_name_gives_a_good_name(file in any::<String>()) {
            prop_assert!(check(&from_file_name(&file)).is_ok());
        }
    }
}
