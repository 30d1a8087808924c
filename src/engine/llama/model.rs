//! A loaded model: its vocabulary and what its file says of it.

use std::ffi::CString;
use std::path::Path;
use std::pin::Pin;

use llama_cpp_2::LlamaModelLoadError;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::model::params::LlamaModelParams;
use llama_cpp_2::token::LlamaToken;
use llama_cpp_2::token_type::LlamaTokenAttr;
use llama_cpp_2::vocab::LlamaVocab;
use llama_cpp_sys_2 as sys;

use super::{backend, log};

/// A token's number in the model's vocabulary.
pub type Token = i32;

/// What the vocabulary says of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// Ordinary text or a byte.
    Text,
    /// Ends a turn, names a role and so on; also the unknown token. Never printed.
    Control,
    /// Added to the vocabulary by the model's makers (`<think>`, `<tool_call>`), printed as it is written.
    UserDefined,
}

/// Why a model could not be loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadError {
    Cancelled,
    /// llama.cpp's own words.
    Refused(String),
}

/// Where the weights go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placement {
    /// Devices that may hold layers, by [`super::Device::index`]. Empty means the CPU alone.
    pub devices: Vec<usize>,
    /// Layers on those devices, from the last one on; `None` means all. llama.cpp counts what comes after the last layer
    /// as one of them.
    pub gpu_layers: Option<u32>,
    /// Of so many layers, from the first one on, the experts stay on the CPU.
    pub experts_on_cpu: u32,
}

impl Placement {
    /// Everything on the CPU.
    pub fn cpu() -> Self {
        Self { gpu_layers: Some(0), ..Self::default() }
    }

    /// The names of the experts that stay on the CPU, as a regular expression; `None` if none do.
    fn expert_names(&self) -> Option<CString> {
        let numbers: Vec<String> = (0..self.experts_on_cpu).map(|number| number.to_string()).collect();
        let names = format!(r"^blk\.({})\.ffn_(up|down|gate|gate_up)_(ch|)exps\.", numbers.join("|"));
        CString::new(names).ok().filter(|_| self.experts_on_cpu > 0)
    }
}

/// A loaded model. Its weights are mapped into memory as long as this lives.
#[derive(Debug)]
pub struct Model {
    model: LlamaModel,
}

// `Model::raw` relies on it: the crate's type is a transparent wrapper of the pointer.
const _: () = assert!(size_of::<LlamaModel>() == size_of::<*mut sys::llama_model>());
const _: () = assert!(size_of::<LlamaToken>() == size_of::<Token>());

impl Model {
    /// Loads a model. `progress` is called with the part that is done (0 to 1) and cancels by returning `false`.
    ///
    /// # Errors
    /// If it was cancelled, or if llama.cpp does not take the file; a damaged file can also end the process, so it
    /// is checked by [`crate::models::gguf`] first.
    pub fn load(
        path: &Path,
        placement: &Placement,
        progress: impl FnMut(f32) -> bool + 'static,
    ) -> Result<Self, LoadError> {
        let mut params = LlamaModelParams::default()
            .with_n_gpu_layers(placement.gpu_layers.unwrap_or(u32::MAX >> 1))
            .with_devices(&placement.devices)
            .map_err(|error| LoadError::Refused(error.to_string()))?;
        // llama.cpp looks at the text while it loads, which is as long as it lives here.
        let experts = placement.expert_names();
        if let Some(names) = &experts {
            Pin::new(&mut params).add_cpu_buft_override(names);
        }
        Self::load_with(path, params, progress)
    }

    /// Loads only the vocabulary and the metadata: enough to render and tokenise, not to decode.
    ///
    /// # Errors
    /// As [`Model::load`].
    pub fn load_vocabulary(path: &Path) -> Result<Self, LoadError> {
        Self::load_with(path, LlamaModelParams::default().with_vocab_only(true), |_| true)
    }

    fn load_with(
        path: &Path,
        params: LlamaModelParams,
        mut progress: impl FnMut(f32) -> bool + 'static,
    ) -> Result<Self, LoadError> {
        let Some(backend) = backend() else {
            return Err(LoadError::Refused("llama.cpp could not be started".into()));
        };
        if !path.exists() {
            return Err(LoadError::Refused("there is no such file".into()));
        }
        let cancelled = std::rc::Rc::new(std::cell::Cell::new(false));
        let noted = std::rc::Rc::clone(&cancelled);
        let params = params.with_progress_callback(move |part| {
            let go_on = progress(part);
            noted.set(!go_on);
            go_on
        });
        log::take_last_error();
        LlamaModel::load_from_file(backend, path, &params).map(|model| Self { model }).map_err(|error| match error {
            _ if cancelled.get() => LoadError::Cancelled,
            LlamaModelLoadError::NullResult => {
                LoadError::Refused(log::take_last_error().unwrap_or_else(|| "llama.cpp gives no reason".into()))
            }
            other => LoadError::Refused(other.to_string()),
        })
    }

    /// The C++ object, for a context.
    pub(super) fn raw(&self) -> *mut sys::llama_model {
        // SAFETY: `LlamaModel` is `repr(transparent)` over a non-null pointer to `llama_model` (its size is
        // asserted above); the pointer is only used while `self` lives, which the context's lifetime ensures.
        unsafe { *std::ptr::from_ref(&self.model).cast::<*mut sys::llama_model>() }
    }

    fn vocabulary(&self) -> LlamaVocab<'_> {
        self.model.vocab()
    }

    /// Tokens of the vocabulary; logits have this length.
    pub fn vocabulary_size(&self) -> usize {
        usize::try_from(self.vocabulary().n_tokens()).unwrap_or(0)
    }

    /// The tokens of `text`, without any added at its beginning or end. With `parse_special`, the texts of control
    /// tokens become those tokens; without, they are text like any other.
    ///
    /// Text of 1 GiB or more gives nothing: llama.cpp counts in 32 bits.
    pub fn tokenize(&self, text: &str, parse_special: bool) -> Vec<Token> {
        if text.len() >= 1 << 30 {
            return Vec::new();
        }
        let tokens = self.vocabulary().tokenize(text.as_bytes(), false, parse_special);
        tokens.into_iter().map(|token| token.0).collect()
    }

    /// The bytes a token stands for; control tokens stand for nothing.
    pub fn piece(&self, token: Token) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(16);
        self.vocabulary().token_to_piece_into(LlamaToken(token), &mut bytes, false, None);
        bytes
    }

    /// The token as the vocabulary writes it (`<|im_end|>`), lossy where that is no UTF-8.
    pub fn token_text(&self, token: Token) -> String {
        self.vocabulary().text(LlamaToken(token)).map(|text| text.to_string_lossy().into_owned()).unwrap_or_default()
    }

    pub fn token_kind(&self, token: Token) -> TokenKind {
        let attributes = self.vocabulary().attr(LlamaToken(token));
        if attributes.contains(LlamaTokenAttr::Control) || attributes.contains(LlamaTokenAttr::Unknown) {
            TokenKind::Control
        } else if attributes.contains(LlamaTokenAttr::UserDefined) {
            TokenKind::UserDefined
        } else {
            TokenKind::Text
        }
    }

    /// Whether the model ends its turn with this token.
    pub fn is_end_of_generation(&self, token: Token) -> bool {
        self.vocabulary().is_eog(LlamaToken(token))
    }

    /// Whether there is a token with which the model ends its turn.
    pub fn has_end_of_generation(&self) -> bool {
        (0..self.vocabulary().n_tokens()).any(|token| self.is_end_of_generation(token))
    }

    /// The token that begins a text, where the model has one.
    pub fn begin_token(&self) -> Option<Token> {
        some_token(self.vocabulary().bos())
    }

    /// The token that ends a text, where the model has one.
    pub fn end_token(&self) -> Option<Token> {
        some_token(self.vocabulary().eos())
    }

    /// Whether every prompt begins with [`Model::begin_token`].
    pub fn adds_begin_token(&self) -> bool {
        self.vocabulary().should_add_bos()
    }

    /// A value of the file's metadata, as text.
    pub fn metadata(&self, key: &str) -> Option<String> {
        self.model.meta_val_str(key).ok()
    }

    /// The file's Jinja chat template.
    pub fn chat_template(&self) -> Option<String> {
        self.metadata("tokenizer.chat_template").filter(|template| !template.trim().is_empty())
    }

    /// Context length in training, in tokens.
    pub fn trained_context(&self) -> u32 {
        self.model.n_ctx_train()
    }

    pub fn parameters(&self) -> u64 {
        self.model.n_params()
    }

    /// Bytes of the weights.
    pub fn size(&self) -> u64 {
        self.model.size()
    }

    pub fn layers(&self) -> u32 {
        self.model.n_layer()
    }

    pub fn kv_heads(&self) -> u32 {
        self.model.n_head_kv()
    }

    /// Positions that a layer with a sliding window attends to; 0 if the model has none.
    pub fn window(&self) -> i32 {
        // SAFETY: the model lives.
        unsafe { sys::llama_model_n_swa(self.raw()) }
    }

    /// Numbers in one attention head of (K, V).
    pub fn head_lengths(&self) -> (u32, u32) {
        let architecture = self.metadata("general.architecture").unwrap_or_default();
        let length = |name: &str| self.metadata(&format!("{architecture}.attention.{name}"))?.parse().ok();
        let even = u32::try_from(self.model.n_embd()).unwrap_or(0) / self.model.n_head().max(1);
        (length("key_length").unwrap_or(even), length("value_length").unwrap_or(even))
    }
}

fn some_token(token: LlamaToken) -> Option<Token> {
    (token.0 >= 0).then_some(token.0)
}
