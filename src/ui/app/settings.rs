//! What can be set while the chat runs: how answers are chosen, and how long the model thinks. It is in force for this
//! chat from its next answer on.

use super::App;
use super::words::Words;
use crate::config::{Auto, Penalty, Probability, Temperature};
use crate::engine::protocol::{GenerateOptions, Speculate, Think};
use crate::text::escape_line;

/// What can be set.
#[derive(Debug)]
pub struct Setting {
    /// Its key in `config.toml`.
    pub name: &'static str,
    pub about: &'static str,
    /// Values that are words.
    pub words: &'static [&'static str],
    shown: fn(&GenerateOptions) -> String,
    set: fn(&mut GenerateOptions, &str) -> Result<(), String>,
}

/// The value that every setting has at the start.
const DEFAULT: &str = "default";

macro_rules! parsed {
    ($kind:ty, $field:expr) => {
        |options: &mut GenerateOptions, text: &str| {
            let field: fn(&mut GenerateOptions, $kind) = $field;
            field(options, text.parse::<$kind>().map_err(|problem| problem.to_string())?);
            Ok(())
        }
    };
}

/// Every setting, in the order of the list.
pub static SETTINGS: &[Setting] = &[
    Setting {
        name: "temp",
        about: "randomness, 0 to 5; 0 always takes the most probable token",
        words: &[],
        shown: |options| options.sampling.temperature.to_string(),
        set: parsed!(Temperature, |options, value| options.sampling.temperature = value.get()),
    },
    Setting {
        name: "top_k",
        about: "choose among so many of the most probable tokens; 0 for all",
        words: &[],
        shown: |options| options.sampling.top_k.to_string(),
        set: |options, text| {
            options.sampling.top_k = text.parse().map_err(|_| "it must be a whole number, 0 for all".to_owned())?;
            Ok(())
        },
    },
    Setting {
        name: "top_p",
        about: "choose among the most probable tokens that reach this together, 0 to 1",
        words: &[],
        shown: |options| options.sampling.top_p.to_string(),
        set: parsed!(Probability, |options, value| options.sampling.top_p = value.get()),
    },
    Setting {
        name: "min_p",
        about: "choose among tokens at least so many times as probable as the best, 0 to 1",
        words: &[],
        shown: |options| options.sampling.min_p.to_string(),
        set: parsed!(Probability, |options, value| options.sampling.min_p = value.get()),
    },
    Setting {
        name: "repeat_penalty",
        about: "makes the last tokens less probable, 1 to 5; 1 is off",
        words: &[],
        shown: |options| options.sampling.repeat_penalty.to_string(),
        set: parsed!(Penalty, |options, value| options.sampling.repeat_penalty = value.get()),
    },
    Setting {
        name: "seed",
        about: "same seed, same answer; `auto` draws one for each",
        words: &["auto"],
        shown: |options| options.sampling.seed.map_or("auto".into(), |seed| seed.to_string()),
        set: parsed!(Auto<0, { u32::MAX }>, |options, value| options.sampling.seed = value.number()),
    },
    Setting {
        name: "max_tokens",
        about: "the answer ends after so many; `auto` when the model ends it",
        words: &["auto"],
        shown: |options| options.max_tokens.map_or("auto".into(), |tokens| tokens.to_string()),
        set: parsed!(Auto<1, { u32::MAX }>, |options, value| options.max_tokens = value.number()),
    },
    Setting {
        name: "stop",
        about: "the answer ends before this text; `none` takes all such texts back",
        words: &["none"],
        shown: |options| match &options.stop[..] {
            [] => "none".into(),
            texts => texts.iter().map(|text| format!("{text:?}")).collect::<Vec<_>>().join(", "),
        },
        set: |options, text| {
            match text {
                "none" => options.stop.clear(),
                _ => options.stop.push(text.replace("\\n", "\n")),
            }
            Ok(())
        },
    },
    Setting {
        name: "think",
        about: "whether a reasoning model thinks, or for how many tokens at most",
        words: &["auto", "on", "off"],
        shown: |options| thinking(options.think),
        set: parsed!(Think, |options, value| options.think = value),
    },
    Setting {
        name: "spec",
        about: "what guesses tokens; `auto` where it pays",
        words: &Speculate::WORDS,
        shown: |options| options.speculation.by.as_str().into(),
        set: parsed!(Speculate, |options, value| options.speculation.by = value),
    },
    Setting {
        name: "loop_breaker",
        about: "whether an answer that repeats itself is ended",
        words: &["on", "off"],
        shown: |options| if options.loop_breaker { "on" } else { "off" }.into(),
        set: |options, text| {
            options.loop_breaker = match text {
                "on" => true,
                "off" => false,
                _ => return Err("it must be `on` or `off`".into()),
            };
            Ok(())
        },
    },
];

fn thinking(think: Think) -> String {
    match think {
        Think::Auto => "auto".into(),
        Think::On => "on".into(),
        Think::Off => "off".into(),
        Think::Budget(tokens) => tokens.to_string(),
    }
}

/// A setting by its name, as it is written here, on the command line or in the file.
///
/// # Errors
/// A sentence with the names that there are.
pub fn setting(name: &str) -> Result<&'static Setting, String> {
    let wanted = name.replace('-', "_");
    let wanted = if wanted == "temperature" { "temp" } else { &wanted };
    let found = SETTINGS.iter().find(|setting| setting.name == wanted);
    found.ok_or_else(|| {
        let names: Vec<&str> = SETTINGS.iter().map(|setting| setting.name).collect();
        format!("there is no setting `{name}`, but {}", names.join(", "))
    })
}

/// There is one of each name.
impl PartialEq for Setting {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Setting {
    /// # Errors
    /// A sentence that says what the value has to be.
    pub fn check(&self, value: &str) -> Result<(), String> {
        if value == DEFAULT {
            return Ok(());
        }
        (self.set)(&mut GenerateOptions::default(), value).map_err(|problem| format!("`{}`: {problem}", self.name))
    }
}

impl App {
    /// Changes a setting, or tells what it is.
    pub(super) fn set(&mut self, setting: &'static Setting, value: Option<&str>) {
        let Some(value) = value else {
            let (name, value) = (setting.name, escape_line(&(setting.shown)(&self.options)));
            let example = setting.words.first().unwrap_or(&"VALUE");
            self.notice(format!("`{name}` is `{value}`: {}; `/set {name} {example}` changes it", setting.about));
            return;
        };
        match self.apply(setting, value) {
            Ok(()) => {
                let value = (setting.shown)(&self.options);
                self.notice(format!(
                    "`{}` is `{}` while this chat is open, from the next answer on",
                    setting.name,
                    escape_line(&value)
                ));
            }
            Err(problem) => self.notice(format!("`{}`: {problem}", setting.name)),
        }
    }

    /// Changes a setting without a word.
    ///
    /// # Errors
    /// What the value has to be.
    pub(super) fn apply(&mut self, setting: &Setting, value: &str) -> Result<(), String> {
        let mut options = self.options.clone();
        match value {
            DEFAULT => {
                if setting.name == "stop" {
                    options.stop.clone_from(&self.new_options.stop);
                    Ok(())
                } else {
                    (setting.set)(&mut options, &(setting.shown)(&self.new_options))
                }
            }
            _ => (setting.set)(&mut options, value),
        }?;
        self.options = options;
        Ok(())
    }

    /// Shows all settings.
    pub(super) fn list_settings(&mut self) {
        let rows = SETTINGS.iter().map(|setting| {
            let (now, first) = ((setting.shown)(&self.options), (setting.shown)(&self.new_options));
            let was = if now == first { String::new() } else { format!(" (was {first})") };
            (setting.name.to_owned(), format!("{now}{was}: {}", setting.about))
        });
        let mut words = Words::titled("Settings of this chat");
        words.rows = rows.collect();
        words.say("`/set NAME VALUE` changes one from the next answer on, `/set NAME default` takes that back");
        self.show_words(words);
    }

    /// What a setting is in this chat, if `/set` has made it another one than in new chats.
    pub(super) fn set_here(&self, setting: &Setting) -> Option<String> {
        let here = (setting.shown)(&self.options);
        (here != (setting.shown)(&self.new_options)).then_some(here)
    }

    /// The value of a setting now.
    pub(super) fn setting_now(&self, setting: &Setting) -> String {
        (setting.shown)(&self.options)
    }

    /// Sets how a reasoning model thinks, or tells it.
    pub(super) fn think(&mut self, think: Option<Think>) {
        if let Some(think) = think {
            self.options.think = think;
        }
        let how = match self.options.think {
            Think::Auto => "the model thinks as its chat template has it".into(),
            Think::On => "the model thinks before it answers, if it can".into(),
            Think::Off | Think::Budget(0) => "the model does not think before it answers".into(),
            Think::Budget(tokens) => format!("the model thinks for at most {tokens} tokens before it answers"),
        };
        let then = match think {
            Some(_) => ", from the next answer on",
            None => "; `/think on`, `off`, `auto` or a number of tokens changes that",
        };
        self.notice(format!("{how}{then}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::Ended;
    use crate::ui::app::tester::Tester;
    use crate::ui::msg::Effect;

    fn options_of_next(tester: &mut Tester) -> GenerateOptions {
        let effects = tester.send("Hi");
        let found = effects.iter().find_map(|effect| match effect {
            Effect::Generate(_, options) => Some(options.clone()),
            _ => None,
        });
        tester.token("Hello", 1);
        tester.finish(Ended::Stop);
        found.unwrap()
    }

    #[test]
    fn a_setting_is_in_force_from_the_next_answer_on_until_another_chat() {
        let mut tester = Tester::ready();
        for text in ["/set temp 0.2", "/set top-k 5", "/set seed 7", "/set stop ###", "/set think 100"] {
            assert!(tester.send(text).is_empty(), "{text}");
            assert!(tester.app.composer.is_empty(), "{text}: {:?}", tester.app.notices());
        }
        let options = options_of_next(&mut tester);
        assert_eq!((options.sampling.temperature, options.sampling.top_k), (0.2, 5));
        assert_eq!((options.sampling.seed, options.think), (Some(7), Think::Budget(100)));
        assert_eq!(options.stop, ["###"]);
        tester.send("/set temp default");
        assert_eq!(options_of_next(&mut tester).sampling.temperature, 0.8);
        tester.send("/new");
        assert_eq!(options_of_next(&mut tester), GenerateOptions::default());
    }

    #[test]
    fn a_value_that_cannot_be_stays_in_the_composer_with_a_sentence() {
        for (text, part) in [
            ("/set temp 9", "9 is not between 0 and 5"),
            ("/set warmth 1", "there is no setting `warmth`, but temp, top_k"),
            ("/set spec always", "`auto`, `off`, `ngram` or `draft`"),
            ("/think twice", "`auto`, `on`, `off` or a number of tokens"),
        ] {
            let mut tester = Tester::ready();
            tester.send(text);
            assert!(tester.app.notices()[0].contains(part), "{:?}", tester.app.notices());
            assert_eq!(tester.app.composer.text(), text);
        }
    }

    #[test]
    fn a_setting_alone_is_told_and_all_are_listed() {
        let mut tester = Tester::ready();
        tester.send("/set temp");
        assert!(tester.app.notices()[0].starts_with("`temp` is `0.8`: randomness"), "{:?}", tester.app.notices());
        tester.send("/set temp 0.3");
        tester.send("/set");
        let words = tester.words();
        assert!(words.contains("temp 0.3 (was 0.8): randomness"), "{words}");
        assert!(SETTINGS.iter().all(|setting| words.contains(setting.name)), "{words}");
    }

    #[test]
    fn every_value_that_is_a_word_can_be_set_and_every_value_shown_set_again() {
        for setting in SETTINGS {
            for word in setting.words {
                assert_eq!(setting.check(word), Ok(()), "{} {word}", setting.name);
            }
            assert_eq!(setting.check(&(setting.shown)(&GenerateOptions::default())), Ok(()), "{}", setting.name);
            assert_eq!(setting.check("default"), Ok(()));
        }
    }

    #[test]
    fn thinking_is_told_and_changed() {
        let mut tester = Tester::ready();
        tester.send("/think");
        assert!(tester.app.notices()[0].contains("as its chat template has it; `/think on`"));
        tester.send("/think off");
        assert_eq!(options_of_next(&mut tester).think, Think::Off);
    }
}
