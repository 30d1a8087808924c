//! What llama.cpp cannot load although the file is whole. Where it only returns an error the sentence here is
//! better; where it would abort the process (assertions in `llama_model_base::load_hparams` and
//! `llama_vocab::impl::load` of llama.cpp) there would be no sentence at all.

use super::{GgufError, Header, Value};

const LAYERS_MAX: u64 = 512;
const EXPERTS_MAX: u64 = 1024;
const ROPE_SCALINGS: [&str; 4] = ["none", "linear", "yarn", "longrope"];

pub fn check(header: &Header) -> Result<(), GgufError> {
    check_is_a_whole_model(header)?;
    check_sizes(header)?;
    check_experts(header)?;
    check_rope(header)?;
    check_vocabulary(header)
}

fn check_is_a_whole_model(header: &Header) -> Result<(), GgufError> {
    if header.architecture().is_empty() {
        return refuse("it does not say its architecture");
    }
    match header.text("general.type") {
        None | Some("model") => {}
        Some("mmproj") => return refuse("it is the vision or audio part of a model, not the model"),
        Some("adapter") => return refuse("it is an adapter for a model, not a model"),
        Some(_) => return refuse("it is no language model"),
    }
    if header.architecture() == "clip" {
        return refuse("it is the vision or audio part of a model, not the model");
    }
    if header.tensors.is_empty() {
        return refuse("it holds no weights");
    }
    Ok(())
}

fn check_sizes(header: &Header) -> Result<(), GgufError> {
    match header.block_count() {
        Some(layers) if (1..=LAYERS_MAX).contains(&layers) => {}
        Some(layers) => return refuse(format!("it has {layers} layers, and 1 to {LAYERS_MAX} are possible")),
        None => return refuse("it does not say how many layers it has"),
    }
    if architecture_number(header, "nextn_predict_layers") > header.block_count().unwrap_or(0) {
        return refuse("it has more layers that predict ahead than layers");
    }
    if header.context_length().unwrap_or(0) == 0 {
        return refuse("it does not say its context length");
    }
    let Some(width) = header.embedding_length().filter(|width| *width > 0) else {
        return refuse("it does not say its embedding length");
    };
    if header.head_count().is_some_and(|heads| heads > width) {
        return refuse("it has more attention heads than its embedding is wide");
    }
    if header.head_count().is_some_and(|heads| heads > 0 && header.head_count_kv() > Some(heads)) {
        return refuse("it has more heads in its KV cache than attention heads");
    }
    Ok(())
}

fn check_experts(header: &Header) -> Result<(), GgufError> {
    let count = architecture_number(header, "expert_count");
    let used = architecture_number(header, "expert_used_count");
    let groups = architecture_number(header, "expert_group_count");
    let groups_used = architecture_number(header, "expert_group_used_count");
    // These families write one expert for none.
    if header.architecture().starts_with("hunyuan") && count <= 1 {
        return Ok(());
    }
    let fits = if count == 0 {
        used == 0 && groups == 0
    } else {
        let groups_fit = groups <= 1 || (count.is_multiple_of(groups) && (1..groups).contains(&groups_used));
        count <= EXPERTS_MAX && (1..=count).contains(&used) && groups < count && groups_fit
    };
    if fits {
        return Ok(());
    }
    refuse(format!("its expert counts do not fit together ({count} experts in {groups} groups, {used} used)"))
}

fn check_rope(header: &Header) -> Result<(), GgufError> {
    match header.text(&format!("{}.rope.scaling.type", header.architecture())) {
        Some(scaling) if !ROPE_SCALINGS.contains(&scaling) => {
            refuse(format!("it names an unknown way of scaling positions, `{}`", crate::text::escape_line(scaling)))
        }
        _ => Ok(()),
    }
}

fn check_vocabulary(header: &Header) -> Result<(), GgufError> {
    let tokenizer = match header.text("tokenizer.ggml.model") {
        None => return refuse("it does not say how text becomes tokens"),
        Some("no_vocab" | "none") => return refuse("it has no vocabulary"),
        Some(tokenizer) => tokenizer,
    };
    let Some(Value::Length(tokens @ 1..)) = header.metadata.get("tokenizer.ggml.tokens") else {
        return refuse("it has no vocabulary");
    };
    let adds_begin_token = header.metadata.get("tokenizer.ggml.add_bos_token") == Some(&Value::Bool(true));
    let needs_begin_token = adds_begin_token || tokenizer == "gemma4";
    // The others have a number that is taken where the file names none.
    let has_begin_token = match header.unsigned("tokenizer.ggml.bos_token_id") {
        Some(id) => id < *tokens,
        None => !matches!(tokenizer, "t5" | "gemma4"),
    };
    if needs_begin_token && !has_begin_token {
        return refuse("the token it begins every text with is not in its vocabulary");
    }
    Ok(())
}

fn architecture_number(header: &Header, key: &str) -> u64 {
    header.of_architecture(key).unwrap_or(0)
}

fn refuse(why: impl Into<String>) -> Result<(), GgufError> {
    Err(GgufError::Unloadable(why.into()))
}
