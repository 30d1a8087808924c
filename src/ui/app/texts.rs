//! Texts with names: finding one, and beginning a message with it under the settings that it brings along.

use super::{App, setting};
use crate::prompts::{Form, PromptText};
use crate::text::escape_line;
use crate::ui::msg::Effect;

impl App {
    /// Puts the text of this name into the composer.
    pub(super) fn use_prompt(&mut self, name: String) -> Vec<Effect> {
        self.wanted.prompt = Some(name);
        vec![Effect::ListPrompts]
    }

    /// The texts are there, in which one may be looked for.
    pub(super) fn prompts_listed(&mut self, prompts: Vec<PromptText>, problems: Vec<String>) -> Vec<Effect> {
        problems.into_iter().for_each(|problem| self.notice(problem));
        let found = self.wanted.prompt.take().map(|wanted| called(&wanted, &prompts));
        self.prompts = Some(prompts);
        match found {
            None => Vec::new(),
            Some(Ok(prompt)) => self.write_prompt(&prompt),
            Some(Err(sentence)) => {
                self.notice(sentence);
                Vec::new()
            }
        }
    }

    /// Puts a text into the composer. What its head says is in force in this chat, or in a new one where a system prompt
    /// needs that.
    pub(super) fn write_prompt(&mut self, prompt: &PromptText) -> Vec<Effect> {
        let head = &prompt.head;
        if head.system.is_some() && head.system != self.system {
            self.change_system(head.system.clone());
        }
        let (mut set, mut left_out) = (Vec::new(), Vec::new());
        for (name, value) in head.written() {
            match setting(name).and_then(|setting| self.apply(setting, &value)) {
                Ok(()) => set.push(format!("{name} {}", escape_line(&value))),
                Err(_) => left_out.push(format!("`{name}`")),
            }
        }
        if !set.is_empty() {
            self.notice(format!("`{}` sets for this chat: {}", escape_line(&prompt.name), set.join(", ")));
        }
        if !left_out.is_empty() {
            self.notice(format!("{} of this text count for `--prompt-name` only", left_out.join(", ")));
        }
        let text = Form::of(prompt).begun();
        let text = if self.composer.is_empty() { crate::ui::slash::written(&text) } else { text };
        if let Err(sentence) = self.composer.paste(&text) {
            self.notice(sentence);
        }
        head.model.clone().map_or_else(Vec::new, |model| self.use_model(model))
    }
}

/// The text of this name, else the only one whose name begins so.
fn called(wanted: &str, prompts: &[PromptText]) -> Result<PromptText, String> {
    let exact = prompts.iter().find(|prompt| prompt.name == wanted);
    let mut beginning = prompts.iter().filter(|prompt| prompt.name.starts_with(wanted));
    let found = exact.or_else(|| beginning.next().filter(|_| beginning.next().is_none()));
    found.cloned().ok_or_else(|| {
        let names: Vec<String> = prompts.iter().map(|prompt| format!("`{}`", escape_line(&prompt.name))).collect();
        format!("no text is called `{}`; there are {}", escape_line(wanted), names.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use crate::prompts::PromptText;
    use crate::ui::app::tester::{Tester, prompt};
    use crate::ui::msg::{Effect, Msg};

    /// `/prompt mail`, which has this head.
    fn write(tester: &mut Tester, head: &str) -> Vec<Effect> {
        let folder = tempfile::tempdir().unwrap();
        let text = format!("+++\n{head}\n+++\nReply in {{{{tone}}}} words to {{{{name}}}}");
        std::fs::write(folder.path().join("mail.md"), text).unwrap();
        let (texts, problems): (Vec<PromptText>, _) = crate::prompts::all(folder.path());
        assert_eq!(problems, [""; 0]);
        tester.send("/prompt mail");
        tester.update(Msg::Prompts { texts, problems })
    }

    #[test]
    fn what_a_text_says_of_itself_is_in_force_in_the_chat() {
        let mut tester = Tester::ready();
        let head = "system = \"Be kind\"\n[settings]\ntemp = 0.25\nextract = \"code\"\n[variables]\ntone = \"few\"";
        write(&mut tester, head);
        let notices = tester.app.notices().join("\n");
        assert!(notices.contains("`mail` sets for this chat: temp 0.25"), "{notices}");
        assert!(notices.contains("`extract` of this text count for `--prompt-name` only"), "{notices}");
        let effects = tester.send("");
        let asked = prompt(&effects).unwrap();
        assert_eq!(asked.messages[0].text, "Be kind");
        assert_eq!(asked.messages[1].text, "Reply in few words to {{name}}");
        assert_eq!(tester.app.options.sampling.temperature, 0.25);
    }

    #[test]
    fn the_model_of_a_text_is_looked_for() {
        let mut tester = Tester::ready();
        let effects = write(&mut tester, "model = \"qwen\"");
        assert!(matches!(effects[..], [Effect::ListModels]), "{effects:?}");
    }

    #[test]
    fn a_text_is_put_into_the_composer_and_not_sent() {
        let prompts = || {
            vec![PromptText { name: "review".into(), text: "/Review this\nand that".into(), ..PromptText::default() }]
        };
        for named in ["review", "rev"] {
            let mut tester = Tester::ready();
            assert!(matches!(tester.send(&format!("/prompt {named}"))[..], [Effect::ListPrompts]));
            tester.update(Msg::Prompts { texts: prompts(), problems: Vec::new() });
            assert_eq!(tester.app.composer.text(), "/Review this\nand that");
        }
        let mut tester = Tester::ready();
        tester.send("/prompt poem");
        tester.update(Msg::Prompts { texts: prompts(), problems: vec!["cannot read `x.md`".into()] });
        assert_eq!(tester.app.notices(), ["cannot read `x.md`", "no text is called `poem`; there are `review`"]);
        assert!(tester.app.composer.is_empty());
    }
}
