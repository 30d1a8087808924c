//! The terminal: what it says it can show and tell. It is asked nothing, since an answer could end up as text.

use std::io::{self, IsTerminal};

use serde::Serialize;

use super::finding::{Finding, Section, object};
use super::system::System;
use crate::ui::theme::{self, Depth};
use crate::ui::tty;

/// Columns and rows below which the chat is cramped.
const LEAST_SIZE: (u16, u16) = (60, 15);

/// Terminals that tell Shift-Enter from Enter, by parts of `TERM` and `TERM_PROGRAM`.
const TELL_KEYS_APART: [&str; 7] = ["kitty", "ghostty", "foot", "alacritty", "wezterm", "rio", "contour"];

/// What the program's ends are connected to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Ends {
    pub stdin: bool,
    pub stdout: bool,
    pub stderr: bool,
    /// Columns and rows.
    #[serde(skip)]
    pub size: Option<(u16, u16)>,
}

impl Ends {
    /// Those of this process.
    pub fn of_this_process() -> Self {
        Self {
            stdin: io::stdin().is_terminal(),
            stdout: io::stdout().is_terminal(),
            stderr: io::stderr().is_terminal(),
            size: tty::size_of_any().map(|size| (size.columns, size.rows)),
        }
    }

    fn has_any(self) -> bool {
        self.stdin || self.stdout || self.stderr
    }
}

/// What is known of the terminal.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Terminal {
    is_terminal: Ends,
    columns: Option<u16>,
    rows: Option<u16>,
    term: Option<String>,
    colorterm: Option<String>,
    no_color: bool,
    /// `none`, `16`, `256` or `16 million`.
    colours: &'static str,
    utf8: bool,
    locale: Option<String>,
    inside: Vec<&'static str>,
    /// Whether pasted text is told from what is typed, as far as that is known.
    bracketed_paste: Option<bool>,
    /// Whether Shift-Enter is told from Enter, as far as that is known.
    tells_keys_apart: Option<bool>,
}

impl Terminal {
    pub fn read(system: &System<'_>, ends: Ends) -> Self {
        let seen = theme::Terminal::detect(&system.variable);
        let term = system.set("TERM");
        let program = system.set("TERM_PROGRAM").unwrap_or_default();
        let kind = format!("{} {program}", term.as_deref().unwrap_or_default()).to_lowercase();
        let inside = [
            ("tmux", system.set("TMUX").is_some()),
            ("screen", system.set("STY").is_some()),
            ("Zellij", system.set("ZELLIJ").is_some()),
            ("SSH", system.set("SSH_CONNECTION").is_some() || system.set("SSH_TTY").is_some()),
        ];
        let inside: Vec<&str> = inside.into_iter().filter(|(_, is_it)| *is_it).map(|(name, _)| name).collect();
        let is_plain = matches!(term.as_deref(), Some("dumb" | "linux" | "vt100" | "vt220"));
        let is_within = inside.iter().any(|name| *name != "SSH");
        let tells = TELL_KEYS_APART.iter().any(|name| kind.contains(name));
        Self {
            is_terminal: ends,
            columns: ends.size.map(|(columns, _)| columns),
            rows: ends.size.map(|(_, rows)| rows),
            colorterm: system.set("COLORTERM"),
            no_color: system.set("NO_COLOR").is_some(),
            colours: match seen.depth {
                _ if !seen.has_colours => "none",
                Depth::True => "16 million",
                Depth::TwoHundredFiftySix => "256",
                Depth::Sixteen => "16",
            },
            utf8: !seen.ascii,
            locale: ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| system.set(name)),
            // The console of Windows has no such thing.
            bracketed_paste: if is_plain || cfg!(windows) {
                Some(false)
            } else {
                (kind.contains("xterm") || tells || is_within).then_some(true)
            },
            tells_keys_apart: match (is_plain, is_within, tells) {
                (true, ..) => Some(false),
                // It depends on what is around it and on the settings.
                (_, true, _) => None,
                (_, _, true) => Some(true),
                _ => kind.contains("apple_terminal").then_some(false),
            },
            inside,
            term,
        }
    }

    pub fn section(&self) -> Section {
        let Self { is_terminal: ends, .. } = self;
        let mut facts = Vec::new();
        let connected: Vec<&str> = [("stdin", ends.stdin), ("stdout", ends.stdout), ("stderr", ends.stderr)]
            .into_iter()
            .filter(|(_, is_it)| *is_it)
            .map(|(name, _)| name)
            .collect();
        facts.push(("connected", if connected.is_empty() { "no terminal".into() } else { connected.join(", ") }));
        let no_term = if cfg!(windows) { "the console of Windows" } else { "`TERM` is not set" };
        let mut kind = self.term.clone().unwrap_or_else(|| no_term.into());
        if !self.inside.is_empty() {
            kind.push_str(&format!(", in {}", self.inside.join(" and ")));
        }
        facts.push(("kind", kind));
        if let (Some(columns), Some(rows)) = (self.columns, self.rows) {
            facts.push(("size", format!("{columns} columns, {rows} rows")));
        }
        let why = if self.no_color { ", because `NO_COLOR` is set" } else { "" };
        facts.push(("colours", format!("{}{why}", self.colours)));
        let locale = self.locale.as_deref().unwrap_or("no locale is set");
        facts.push(("text", format!("{} ({locale})", if self.utf8 { "UTF-8" } else { "ASCII lines and marks" })));
        let known = |is_so: Option<bool>| match is_so {
            Some(true) => "yes",
            Some(false) => "no",
            None => "not known",
        };
        facts.push(("Shift-Enter", format!("told from Enter: {}", known(self.tells_keys_apart))));
        facts.push(("paste", format!("told from typing: {}", known(self.bracketed_paste))));
        Section { name: "terminal", title: "Terminal", facts, findings: self.findings(), object: object(self) }
    }

    fn findings(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        if !self.is_terminal.has_any() {
            return findings;
        }
        if self.term.as_deref() == Some("dumb") {
            findings.push(Finding::warning(
                "this terminal cannot show a chat (`TERM` is `dumb`)",
                "`tuichat -p TEXT` answers all the same; in another terminal, `export TERM=xterm-256color`",
            ));
        } else if self.term.is_none() && !cfg!(windows) {
            findings.push(Finding::note(
                "`TERM` is not set, so nobody knows what this terminal can show",
                "`export TERM=xterm-256color`",
            ));
        }
        if !self.utf8 {
            findings.push(Finding::note(
                "the locale is not UTF-8: lines and marks are drawn in ASCII, and other letters may not show",
                "`export LC_ALL=C.UTF-8`",
            ));
        }
        if let (Some(columns), Some(rows)) = (self.columns, self.rows)
            && (1..LEAST_SIZE.0).contains(&columns) | (1..LEAST_SIZE.1).contains(&rows)
        {
            findings.push(Finding::note(
                format!("{columns} columns and {rows} rows are little for a chat"),
                format!("make the window larger: {} columns and {} rows", LEAST_SIZE.0, LEAST_SIZE.1),
            ));
        }
        if self.inside.contains(&"tmux") && self.colours == "16" {
            findings.push(Finding::note(
                "tmux shows 16 colours only",
                "write `set -g default-terminal tmux-256color` into ~/.tmux.conf",
            ));
        }
        findings
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::super::system::fixture::Fixture;
    use super::*;

    const ENDS: Ends = Ends { stdin: true, stdout: true, stderr: true, size: Some((80, 24)) };

    fn read(variables: &[(&'static str, &'static str)], ends: Ends) -> Terminal {
        Fixture::new(&[], variables).examine(|system| Terminal::read(system, ends))
    }

    #[test]
    fn a_good_terminal_has_no_findings() {
        let variables = [("TERM", "xterm-kitty"), ("COLORTERM", "truecolor"), ("LANG", "de_DE.UTF-8")];
        let terminal = read(&variables, ENDS);
        assert_eq!(terminal.findings(), []);
        assert_eq!((terminal.colours, terminal.utf8, terminal.tells_keys_apart), ("16 million", true, Some(true)));
    }

    #[test]
    fn a_dumb_terminal_and_a_plain_locale_are_told() {
        let terminal = read(&[("TERM", "dumb"), ("LANG", "C")], ENDS);
        let levels: Vec<Level> = terminal.findings().iter().map(|finding| finding.level).collect();
        assert_eq!(levels, [Level::Warning, Level::Note]);
        assert_eq!((terminal.colours, terminal.bracketed_paste), ("none", Some(false)));
    }

    #[test]
    fn without_any_terminal_nothing_is_said_of_it() {
        let terminal = read(&[], Ends::default());
        assert_eq!(terminal.findings(), []);
        assert_eq!(terminal.section().facts[0], ("connected", "no terminal".into()));
    }

    #[test]
    fn what_is_around_it_is_told_and_what_is_not_known_is_not_claimed() {
        let variables = [("TERM", "screen"), ("TMUX", "x"), ("SSH_TTY", "y"), ("LANG", "C.UTF-8")];
        let terminal = read(&variables, Ends { size: Some((40, 10)), ..ENDS });
        assert_eq!((terminal.inside.as_slice(), terminal.tells_keys_apart), (&["tmux", "SSH"][..], None));
        let whats: Vec<String> = terminal.findings().into_iter().map(|finding| finding.what).collect();
        assert!(whats[0].starts_with("40 columns") && whats[1].contains("16 colours"), "{whats:?}");
    }

    #[test]
    fn no_color_is_said_to_be_why() {
        let terminal = read(&[("TERM", "xterm-256color"), ("NO_COLOR", "1"), ("LANG", "C.UTF-8")], ENDS);
        assert!(terminal.section().facts.iter().any(|(_, fact)| fact == "none, because `NO_COLOR` is set"));
    }
}
