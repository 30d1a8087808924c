//! A loaded model: its vocabulary and what its file says of it.

use std::cell::Cell;
use std::ffi::{CStr, CString, c_void};
use std::path::Path;

use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::token::LlamaToken;
use llama_cpp_2::token_type::LlamaTokenAttr;
use llama_cpp_2::vocab::LlamaVocab;
use llama_cpp_sys_2 as sys;

use super::{log, mapped, start};

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
    /// llama.cpp itself does not start, whatever the file is.
    NoStart(String),
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
    /// The processor's weights stay as the file has them. Otherwise those that there is a kernel for are copied in the
    /// order that it wants.
    pub as_stored: bool,
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
    pub fn load(path: &Path, placement: &Placement, mut progress: impl FnMut(f32) -> bool) -> Result<Self, LoadError> {
        // SAFETY: a plain value.
        let mut parameters = unsafe { sys::llama_model_default_params() };
        let layers = placement.gpu_layers.and_then(|layers| i32::try_from(layers).ok());
        parameters.n_gpu_layers = layers.unwrap_or(i32::MAX);
        parameters.use_extra_bufts = !placement.as_stored;
        let mut devices = placement.devices.iter().map(|index| device(*index)).collect::<Result<Vec<_>, _>>()?;
        devices.push(std::ptr::null_mut());
        parameters.devices = devices.as_mut_ptr();
        let experts = placement.expert_names();
        let overrides = experts.as_deref().map(on_cpu);
        if let Some(overrides) = &overrides {
            parameters.tensor_buft_overrides = overrides.as_ptr();
        }
        let dropping = (!placement.as_stored).then(|| mapped::Dropping::of(path));
        Self::load_with(path, parameters, move |part| {
            if let Some(dropping) = &dropping {
                dropping.at(part);
            }
            progress(part)
        })
    }

    /// Loads only the vocabulary and the metadata: enough to render and tokenise, not to decode.
    ///
    /// # Errors
    /// As [`Model::load`].
    pub fn load_vocabulary(path: &Path) -> Result<Self, LoadError> {
        // SAFETY: a plain value.
        let mut parameters = unsafe { sys::llama_model_default_params() };
        parameters.vocab_only = true;
        Self::load_with(path, parameters, |_| true)
    }

    /// What the parameters point to outlives the call.
    fn load_with<F: FnMut(f32) -> bool>(
        path: &Path,
        mut parameters: sys::llama_model_params,
        progress: F,
    ) -> Result<Self, LoadError> {
        start().map_err(|why| LoadError::NoStart(why.into()))?;
        if !path.exists() {
            return Err(LoadError::Refused("there is no such file".into()));
        }
        let name = path.to_str().and_then(|name| CString::new(name).ok());
        let name = name.ok_or_else(|| LoadError::Refused("its path is no UTF-8".into()))?;
        let mut listener = Listener { progress, is_cancelled: Cell::new(false) };
        parameters.progress_callback = Some(on_progress::<F>);
        parameters.progress_callback_user_data = std::ptr::from_mut(&mut listener).cast();
        log::take_last_error();
        // SAFETY: the name, the listener and what the parameters point to live until the call returns, and llama.cpp
        // keeps none of them.
        let model = unsafe { sys::llama_model_load_from_file(name.as_ptr(), parameters) };
        if model.is_null() {
            return Err(match listener.is_cancelled.get() {
                true => LoadError::Cancelled,
                false => {
                    LoadError::Refused(log::take_last_error().unwrap_or_else(|| "llama.cpp gives no reason".into()))
                }
            });
        }
        // SAFETY: the crate's type is a transparent wrapper of a pointer that is not null, and frees it when it is
        // dropped; nobody else does.
        Ok(Self { model: unsafe { std::mem::transmute::<*mut sys::llama_model, LlamaModel>(model) } })
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

    /// Whether it has recurrent layers, whose state is one for all tokens before.
    pub fn is_recurrent(&self) -> bool {
        // SAFETY: the model lives.
        unsafe { sys::llama_model_is_recurrent(self.raw()) || sys::llama_model_is_hybrid(self.raw()) }
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

impl Model {
    /// Whether keys are rotated before they are rounded (`attn_rot_k` in llama.cpp).
    pub(super) fn has_rotated_keys(&self) -> bool {
        let architecture = self.metadata("general.architecture").unwrap_or_default();
        let is_of_one_width = self.metadata(&format!("{architecture}.attention.key_length_swa")).is_none();
        is_of_one_width && self.head_lengths().0.is_multiple_of(64)
    }
}

struct Listener<F> {
    progress: F,
    is_cancelled: Cell<bool>,
}

/// For `llama_model_params::progress_callback`; `listener` points to a [`Listener`].
unsafe extern "C" fn on_progress<F: FnMut(f32) -> bool>(part: f32, listener: *mut c_void) -> bool {
    // SAFETY: it was handed over with this function, and nothing else uses it while the model is loaded.
    let listener = unsafe { &mut *listener.cast::<Listener<F>>() };
    let go_on = (listener.progress)(part);
    listener.is_cancelled.set(!go_on);
    go_on
}

fn device(index: usize) -> Result<sys::ggml_backend_dev_t, LoadError> {
    // SAFETY: the index is checked; devices live as long as the process.
    unsafe {
        if index >= sys::ggml_backend_dev_count() {
            return Err(LoadError::Refused(format!("there is no device {index}")));
        }
        Ok(sys::ggml_backend_dev_get(index))
    }
}

/// That weights of these names stay in the CPU's memory, as llama.cpp wants to hear it: a list with an empty last entry,
/// which points to the names.
fn on_cpu(names: &CStr) -> [sys::llama_model_tensor_buft_override; 2] {
    // SAFETY: the call takes nothing.
    let buft = unsafe { sys::ggml_backend_cpu_buffer_type() };
    let last = sys::llama_model_tensor_buft_override { pattern: std::ptr::null(), buft: std::ptr::null_mut() };
    [sys::llama_model_tensor_buft_override { pattern: names.as_ptr(), buft }, last]
}

fn some_token(token: LlamaToken) -> Option<Token> {
    (token.0 >= 0).then_some(token.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::kv::KvTypes;
    use crate::engine::llama::{Context, ContextSettings, Decoded, devices};
    use crate::hardware::cores::Crews;
    use crate::tiny_gguf::TinyModel;

    /// The logits behind a few tokens.
    fn logits(path: &Path, placement: &Placement) -> Vec<f32> {
        let model = Model::load(path, placement, |_| true).unwrap();
        let settings = ContextSettings {
            cells: 256,
            crews: Crews::anywhere(1),
            batch: 64,
            types: KvTypes::default(),
            sequences: 1,
        };
        let mut context = Context::new(&model, settings).unwrap();
        assert_eq!(context.decode(&model.tokenize("The hare slept", false), 0, &[]), Decoded::Done);
        context.logits().to_vec()
    }

    /// On the CPU, and on whatever else there is: `GGML_VK_VISIBLE_DEVICES=0` shows Vulkan's software driver.
    #[test]
    fn wherever_the_experts_are_they_compute_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("experts.gguf");
        TinyModel::default().of_experts().write(&path).unwrap();
        let expected = logits(&path, &Placement::cpu());
        let on: Vec<Vec<usize>> = devices().iter().filter(|it| it.is_gpu()).map(|it| vec![it.index]).collect();
        for devices in on.into_iter().chain([Vec::new()]) {
            for experts_on_cpu in 0..=2 {
                let placement = Placement { devices: devices.clone(), experts_on_cpu, ..Placement::default() };
                let found = logits(&path, &placement);
                let farthest = expected.iter().zip(&found).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                assert!(farthest < 0.05, "{placement:?}: {farthest}");
            }
        }
    }

    #[test]
    fn the_names_of_experts_are_those_of_the_first_layers() {
        let names = |experts_on_cpu| Placement { experts_on_cpu, ..Placement::default() }.expert_names();
        assert_eq!(names(0), None);
        let expected = r"^blk\.(0|1)\.ffn_(up|down|gate|gate_up)_(ch|)exps\.";
        assert_eq!(names(2).unwrap().to_str(), Ok(expected));
    }
}
