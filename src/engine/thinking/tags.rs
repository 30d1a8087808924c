//! How models mark their thoughts. A chat template names the tags of its model.

/// What stands before and behind a model's thoughts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tags {
    pub open: &'static str,
    pub close: &'static str,
    /// What a model writes before an answer without thoughts, and nobody wants to read; mostly nothing.
    pub answer: &'static str,
    /// Line ends before and behind the closing tag, as the model knows them.
    line_ends: (usize, usize),
}

/// Most reasoning models, and those whose template names no tags.
const THINK: Tags = Tags { line_ends: (1, 2), ..tags("<think>", "</think>") };

/// The first whose opening tag is in a template counts, so the ones that nothing else contains come first.
const KNOWN: [Tags; 12] = [
    // gpt-oss, which speaks in channels.
    Tags {
        answer: "<|channel|>final<|message|>",
        ..tags("<|channel|>analysis<|message|>", "<|end|><|start|>assistant<|channel|>final<|message|>")
    },
    // Gemma 4.
    tags("<|channel>thought\n", "<channel|>"),
    // Magistral, Ministral.
    tags("[THINK]", "[/THINK]"),
    // Command R7B, Command A.
    tags("<|START_THINKING|>", "<|END_THINKING|>"),
    // Seed-OSS.
    tags("<seed:think>", "</seed:think>"),
    // MiniMax M3.
    tags("<mm:think>", "</mm:think>"),
    // Apertus.
    tags("<|inner_prefix|>", "<|inner_suffix|>"),
    // Apriel.
    tags("Here are my reasoning steps:\n", "[BEGIN FINAL RESPONSE]"),
    // Granite 3.2.
    tags("Here is my thought process:", "Here is my response:"),
    THINK,
    // EXAONE Deep.
    tags("<thought>", "</thought>"),
    tags("<thinking>", "</thinking>"),
];

const fn tags(open: &'static str, close: &'static str) -> Tags {
    Tags { open, close, answer: "", line_ends: (0, 0) }
}

impl Default for Tags {
    fn default() -> Self {
        THINK
    }
}

impl Tags {
    /// The tags of the model that this chat template belongs to.
    pub fn of(template: &str) -> Self {
        let named = KNOWN.into_iter().find(|tags| template.contains(tags.open.trim_end())).unwrap_or_default();
        Self { line_ends: named.line_ends_in(template).unwrap_or(named.line_ends), ..named }
    }

    /// The line ends that the template's strings have round the closing tag; `None` if none has any.
    fn line_ends_in(&self, template: &str) -> Option<(usize, usize)> {
        let places = template.match_indices(self.close).map(|(start, tag)| {
            let (before, behind) = (&template[..start], &template[start + tag.len()..]);
            let behind = if behind.starts_with(r"\n\n") { 2 } else { usize::from(behind.starts_with(r"\n")) };
            (usize::from(before.ends_with(r"\n")), behind)
        });
        let most = places.fold((0, 0), |most, place| (most.0.max(place.0), most.1.max(place.1)));
        (most != (0, 0)).then_some(most)
    }

    /// Whether a text ends in the opening tag.
    pub fn are_open_at_the_end_of(&self, text: &str) -> bool {
        text.trim_end().ends_with(self.open.trim_end())
    }

    /// What ends the thoughts in this text.
    pub fn closing(&self, thoughts_end_in_their_line: bool) -> String {
        let (before, behind) = self.line_ends;
        let before = if thoughts_end_in_their_line { before } else { 0 };
        format!("{}{}{}", "\n".repeat(before), self.close, "\n".repeat(behind))
    }

    /// Whether a token with this text is a part of a tag.
    pub fn contain(&self, token: &str) -> bool {
        !token.is_empty() && [self.open, self.close, self.answer].iter().any(|tag| tag.contains(token))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tags_are_those_that_the_template_names() {
        for (template, open, close) in [
            ("{{ '<|im_start|>assistant\n' }}", "<think>", "</think>"),
            ("{{ '<|Assistant|><think>\n' }}", "<think>", "</think>"),
            ("think first:[THINK]Your thoughts[/THINK]", "[THINK]", "[/THINK]"),
            (
                "{% if not enable_thinking %}<|START_THINKING|><|END_THINKING|>{% endif %}",
                "<|START_THINKING|>",
                "<|END_THINKING|>",
            ),
            ("{%- set think_begin_token = '<seed:think>' -%}", "<seed:think>", "</seed:think>"),
            ("{{- '<|channel>thought\\n<channel|>' -}}", "<|channel>thought\n", "<channel|>"),
            ("between <think></think> and not <thinking>", "<think>", "</think>"),
            ("'[|assistant|]<thought>\n'", "<thought>", "</thought>"),
        ] {
            let tags = Tags::of(template);
            assert_eq!((tags.open, tags.close), (open, close), "{template}");
        }
    }

    #[test]
    fn the_line_ends_round_the_closing_tag_are_those_of_the_template() {
        let closing = |template| Tags::of(template).closing(true);
        assert_eq!(closing(r"{{ '<think>\n\n</think>\n\n' }}"), "\n</think>\n\n");
        assert_eq!(closing(r"{{ '<think>\n' + thoughts + '\n</think>\n' + content }}"), "\n</think>\n");
        assert_eq!(closing(r"{{ content.split('</think>')[-1] }}"), "\n</think>\n\n", "nothing is known");
        assert_eq!(closing(r"{{ '[THINK]' + thoughts + '[/THINK]' }}"), "[/THINK]");
        assert_eq!(Tags::default().closing(false), "</think>\n\n");
    }

    #[test]
    fn a_prompt_that_ends_in_the_opening_tag_is_open() {
        let tags = Tags::of("<|channel>thought");
        assert!(tags.are_open_at_the_end_of("<|turn>model\n<|channel>thought\n"));
        assert!(!tags.are_open_at_the_end_of("<|turn>model\n<|channel>thought\n<channel|>"));
    }

    #[test]
    fn the_parts_of_a_tag_are_known_and_nothing_else() {
        let tags = Tags::of("<|channel|>analysis<|message|>");
        assert!(["<|channel|>", "<|message|>", "<|end|>", "<|start|>"].iter().all(|token| tags.contain(token)));
        assert!(!["<|return|>", "<think>", ""].iter().any(|token| tags.contain(token)));
    }
}
