//! `tuichat models check`: what there is to know of a file before it is used.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::{remarks, size, with_progress};
use crate::commands::{Surroundings, print, print_json};
use crate::engine::protocol::EngineError;
use crate::exit::Failure;
use crate::models::gguf::Header;
use crate::models::{Checked, Found, Library, ModelError, catalog, identity, templates};
use crate::text::{escape_line, parameters};

/// What is wanted of a check.
#[derive(Clone, Copy, Debug)]
pub struct How {
    /// One JSON object instead of lines.
    pub as_json: bool,
    /// Whether the file is loaded, in a child process.
    pub loads: bool,
}

/// What is known of a file whose header is sound.
struct Report<'a> {
    model: &'a Found,
    header: Header,
    /// Computed now.
    sha256: String,
    /// Its files and their hashes: more than one if it is split.
    files: Vec<(PathBuf, String)>,
    template: Option<Template>,
    /// `None` if it was not tried.
    loads: Option<bool>,
    /// Why the file is not sound.
    problem: Option<Failure>,
    warnings: Vec<String>,
}

struct Template {
    bytes: usize,
    sha256: String,
    family: Option<&'static str>,
}

/// Reads a whole file, loads it once, and prints what was found. `typed` is what names the model.
pub fn run(typed: &str, model: &Found, how: How, surroundings: &Surroundings) -> Result<(), Failure> {
    let checked = match with_progress(surroundings, |listener| Library::check(&model.path, None, listener)) {
        Ok(checked) => checked,
        Err(error) => return Err(unreadable(model, how, error)?),
    };
    let mut report = Report::new(model, checked);
    report.look_at_template(typed);
    report.compare_hash();
    if let Some(hashes) = surroundings.hashes_file() {
        identity::remember(&model.path, &hashes, &report.sha256);
    }
    if how.loads && report.problem.is_none() {
        report.load(surroundings);
    }
    if how.as_json {
        print_json(&report.object())?;
    } else {
        print(&report.lines())?;
    }
    report.warnings.iter().for_each(|sentence| remarks(surroundings).warning(sentence));
    report.problem.map_or(Ok(()), Err)
}

/// What a script is told of a file that was not read to its end.
fn unreadable(model: &Found, how: How, error: ModelError) -> Result<Failure, Failure> {
    if how.as_json {
        let path = model.path.to_string_lossy();
        print_json(&json!({"name": model.name, "path": path, "sound": false, "problem": error.to_string()}))?;
    }
    Ok(error.into())
}

impl<'a> Report<'a> {
    fn new(model: &'a Found, checked: Checked) -> Self {
        let Checked { header, sha256, files } = checked;
        Self { model, header, sha256, files, template: None, loads: None, problem: None, warnings: Vec::new() }
    }

    fn look_at_template(&mut self, typed: &str) {
        let Some(template) = self.header.chat_template() else { return };
        let sha256 = templates::sha256(template);
        let family = templates::family(&sha256);
        if family.is_none() {
            self.warnings.push(format!(
                "its chat template is none of those that tuichat knows (SHA-256 {sha256}): read it with \
                 `tuichat models show {} --template`",
                escape_line(typed)
            ));
        }
        self.template = Some(Template { bytes: template.len(), sha256, family });
    }

    fn compare_hash(&mut self) {
        let Some(expected) = self.model.sha256.clone().filter(|expected| *expected != self.sha256) else { return };
        let what = format!("`{}`", self.model.path.display());
        let problem = Failure::from(ModelError::WrongHash { what, actual: self.sha256.clone(), expected });
        let name = &self.model.name;
        // What is another program's has its owner before the name, and that program gets it anew.
        self.problem = Some(match name.contains('/') {
            true => problem,
            false => problem.hint(format!("`tuichat models rm {name}` removes it; then get it again")),
        });
    }

    fn load(&mut self, surroundings: &Surroundings) {
        let Some(probe) = surroundings.probe() else { return };
        let mut remarks = remarks(surroundings);
        remarks.progress("loading it once");
        let outcome = probe.try_now(&self.model.path);
        remarks.clear();
        match outcome {
            Ok(()) => self.loads = Some(true),
            Err(error @ EngineError::BadModel(_)) => {
                self.loads = Some(false);
                self.problem = Some(Failure::from(&error));
            }
            Err(error) => self.warnings.push(format!("it was not loaded: {error}")),
        }
    }

    fn object(&self) -> Value {
        let Self { model, header, .. } = self;
        let tensors = header.tensors_by_type().into_iter().map(|share| {
            let kind = share.kind.name();
            json!({"type": kind, "count": share.tensors, "bytes": share.bytes, "share": self.share(share.bytes)})
        });
        let template = self
            .template
            .as_ref()
            .map(|template| json!({"bytes": template.bytes, "sha256": template.sha256, "known_from": template.family}));
        json!({
            "name": model.name,
            "path": model.path.to_string_lossy(),
            "size_bytes": header.file_bytes,
            "sound": self.problem.is_none(),
            "problem": self.problem.as_ref().map(|failure| &failure.message),
            "warnings": self.warnings,
            "title": header.name(),
            "architecture": header.architecture(),
            "parameters": header.parameter_count(),
            "quantization": header.quantization(),
            "gguf_version": header.version,
            "trained_context": header.context_length(),
            "layers": header.block_count(),
            "heads": header.head_count(),
            "kv_heads": header.head_count_kv(),
            "key_width": header.key_length(),
            "value_width": header.value_length(),
            "embedding_width": header.embedding_length(),
            "tokenizer": header.text("tokenizer.ggml.model"),
            "vocabulary": header.vocabulary_size(),
            "tensors": tensors.collect::<Vec<_>>(),
            "sha256": self.sha256,
            "expected_sha256": model.sha256,
            "catalogue_name": self.catalogue_name(),
            "template": template,
            "loads": self.loads,
        })
    }

    fn lines(&self) -> String {
        let Self { model, header, .. } = self;
        let number = |number: Option<u64>| number.map_or_else(|| "not known".into(), |number| number.to_string());
        let mut lines = String::new();
        let mut line = |key: &str, value: &str| lines.push_str(&format!("{key:<16}  {}\n", escape_line(value)));
        line("path", &model.path.to_string_lossy());
        line("size", &size(header.file_bytes));
        line("sound", if self.problem.is_none() { "yes" } else { "no" });
        line("title", header.name().unwrap_or("not known"));
        line("architecture", header.architecture());
        line("parameters", &parameters(header.parameter_count()));
        line("quantization", &header.quantization());
        line("GGUF version", &header.version.to_string());
        line("trained context", &number(header.context_length()));
        line("layers", &number(header.block_count()));
        line(
            "heads",
            &format!("{}, and {} of the KV cache", number(header.head_count()), number(header.head_count_kv())),
        );
        line("widths", &self.widths());
        let tokenizer = header.text("tokenizer.ggml.model").unwrap_or("not known");
        line("vocabulary", &format!("{} tokens ({tokenizer})", number(header.vocabulary_size())));
        line("tensors", &header.tensors.len().to_string());
        for share in header.tensors_by_type() {
            let percent = self.share(share.bytes) * 100.0;
            let row = format!("{:>6}  {:>10}  {percent:>5.1} %", share.tensors, size(share.bytes));
            line(&format!("  {}", share.kind.name()), &row);
        }
        line("sha256", &self.sha256);
        line("", &self.origin());
        for (file, sha256) in self.files.iter().filter(|_| self.files.len() > 1) {
            line("  of a file", &format!("{sha256}  {}", file.file_name().unwrap_or_default().to_string_lossy()));
        }
        match &self.template {
            None => line("chat template", "none: it only goes on with a text"),
            Some(Template { bytes, family: Some(family), .. }) => {
                line("chat template", &format!("{bytes} bytes, known from {family}"));
            }
            Some(Template { bytes, family: None, .. }) => line("chat template", &format!("{bytes} bytes, not known")),
        }
        if let Some(template) = &self.template {
            line("", &format!("sha256 {}", template.sha256));
        }
        line("loads", self.loads.map_or("not tried", |loads| if loads { "yes" } else { "no" }));
        lines
    }

    fn widths(&self) -> String {
        let width = |name: &str, width: Option<u64>| width.map(|width| format!("{name} {width}"));
        let widths = [
            width("embedding", self.header.embedding_length()),
            width("key", self.header.key_length()),
            width("value", self.header.value_length()),
        ];
        widths.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }

    /// Whose content it is, as far as its hash tells.
    fn origin(&self) -> String {
        match (&self.model.sha256, self.catalogue_name()) {
            (Some(expected), _) if *expected != self.sha256 => format!("instead of {expected}"),
            (_, Some(name)) => format!("that of `{name}` in the catalogue"),
            (Some(_), None) => "as when it was installed".into(),
            (None, None) => "not installed, so there is none to compare it with".into(),
        }
    }

    fn catalogue_name(&self) -> Option<&'static str> {
        catalog::by_sha256(&self.sha256).map(|(entry, _)| entry.name.as_str())
    }

    /// Which part of all tensors' bytes these are, from 0 to 1.
    fn share(&self, bytes: u64) -> f64 {
        let all: u64 = self.header.tensors.iter().map(|tensor| tensor.bytes).sum();
        bytes as f64 / all.max(1) as f64
    }
}
