//! The chat templates that are known: `assets/templates.toml`, built into the program. A template that is none of them
//! need not be bad, but it decides what the model sees and says of a conversation, so a person should have read it.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use crate::sha256;

const KNOWN: &str = include_str!("../../assets/templates.toml");

static FAMILIES: LazyLock<BTreeMap<String, Vec<String>>> =
    LazyLock::new(|| toml::from_str(KNOWN).expect("assets/templates.toml is part of the program and tested"));

/// The SHA-256 by which a template is known, in lower-case hex. White space at its end counts for nothing.
pub fn sha256(template: &str) -> String {
    sha256::of(template.trim_end())
}

/// The family of models that a template with this [`sha256()`] was found with, such as `Qwen 3`.
pub fn family(sha256: &str) -> Option<&'static str> {
    let known = FAMILIES.iter().find(|(_, templates)| templates.iter().any(|known| known == sha256));
    known.map(|(family, _)| family.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sha256::is_sha256;

    #[test]
    fn the_list_is_well_formed() {
        assert!(FAMILIES.len() > 40);
        assert!(FAMILIES.values().flatten().all(|sha256| is_sha256(sha256)));
    }

    #[test]
    fn a_template_is_known_whatever_white_space_ends_it() {
        let chatml = "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + \
                      '<|im_end|>' + '\\n'}}{% endfor %}{% if add_generation_prompt %}\
                      {{ '<|im_start|>assistant\\n' }}{% endif %}";
        assert_eq!(family(&sha256(chatml)), family(&sha256(&format!("{chatml}\n"))));
        assert!(family(&sha256(chatml)).is_some(), "{}", sha256(chatml));
        assert_eq!(family(&sha256(&chatml.replace("assistant", "Assistant"))), None);
    }
}
