//! A conversation of ChatGPT's export: a tree of nodes, each with a message or none. The branches stay; what was said to
//! and by tools is left out, and thoughts go to the answer behind them.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::messages::{join, text, words};
use super::time;
use crate::chat::Role;
use crate::store::{FORM, WholeChat, WholeMessage};

/// A node of the tree that is kept, by its place among those.
struct Kept {
    parent: Option<usize>,
    message: WholeMessage,
    children: usize,
}

/// # Errors
/// A sentence, if nothing was said in it.
pub(super) fn read(conversation: &Map<String, Value>, otherwise: Timestamp) -> Result<WholeChat, String> {
    let empty = Map::new();
    let nodes = conversation.get("mapping").and_then(Value::as_object).unwrap_or(&empty);
    let (mut kept, places) = keep(nodes);
    let current = text(conversation, &["current_node"]).and_then(|id| places.get(id).copied()).flatten();
    let joined = join_speakers(&mut kept);
    let messages = numbered(&kept, &joined);
    if !messages.iter().any(|message| message.role != Role::System) {
        return Err("nothing was said in it".into());
    }
    let created_at = time(conversation.get("create_time")).unwrap_or(otherwise);
    let updated_at = time(conversation.get("update_time")).unwrap_or(created_at).max(created_at);
    let number = |place: usize| number_of(&joined, place);
    let last = messages.last().map(|message| message.id);
    Ok(WholeChat {
        tuichat: FORM,
        title: text(conversation, &["title"]).unwrap_or_default().to_owned(),
        created_at,
        updated_at,
        tags: Vec::new(),
        archived: conversation.get("is_archived") == Some(&Value::Bool(true)),
        leaf: current.map(number).or(last),
        messages,
    })
}

/// The nodes that say something, a parent before its children; and for every node the last of these above it, or itself.
/// What goes in circles is below no root, and left out.
fn keep<'a>(nodes: &'a Map<String, Value>) -> (Vec<Kept>, HashMap<&'a str, Option<usize>>) {
    let parent_of = |node: &'a Value| node.get("parent").and_then(Value::as_str).filter(|id| nodes.contains_key(*id));
    let mut children: HashMap<&str, Vec<&str>> = HashMap::new();
    let mut open: Vec<(&str, Option<usize>, String)> = Vec::new();
    for (id, node) in nodes {
        match parent_of(node) {
            Some(parent) => children.entry(parent).or_default().push(id),
            None => open.push((id, None, String::new())),
        }
    }
    open.reverse();
    let (mut kept, mut places, mut seen) = (Vec::<Kept>::new(), HashMap::new(), HashSet::new());
    while let Some((id, above, mut thoughts)) = open.pop() {
        if !seen.insert(id) {
            continue;
        }
        let node = nodes.get(id).and_then(|node| node.get("message")).and_then(Value::as_object);
        let place = match node.map(said).unwrap_or_default() {
            Said::Nothing => above,
            Said::Thoughts(more) => {
                thoughts.push_str(&more);
                above
            }
            Said::Message(mut message) => {
                if message.role == Role::Assistant {
                    message.thinking = std::mem::take(&mut thoughts);
                }
                if let Some(above) = above.and_then(|above| kept.get_mut(above)) {
                    above.children += 1;
                }
                kept.push(Kept { parent: above, message: *message, children: 0 });
                Some(kept.len() - 1)
            }
        };
        places.insert(id, place);
        // In the order in which they are written, which is that in which they came.
        let below = in_order(nodes, id, children.remove(id).unwrap_or_default());
        open.extend(below.into_iter().rev().map(|child| (child, place, thoughts.clone())));
    }
    (kept, places)
}

/// The children as their parent names them, and then those that it does not.
fn in_order<'a>(nodes: &'a Map<String, Value>, id: &str, children: Vec<&'a str>) -> Vec<&'a str> {
    let named = nodes.get(id).and_then(|node| node.get("children")).and_then(Value::as_array);
    let places: HashMap<&str, usize> = named
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .enumerate()
        .map(|(place, child)| (child, place))
        .collect();
    let mut children = children;
    children.sort_by_key(|child| places.get(child).copied().unwrap_or(usize::MAX));
    children
}

/// What a node says.
#[derive(Default)]
enum Said {
    #[default]
    Nothing,
    Thoughts(String),
    Message(Box<WholeMessage>),
}

fn said(message: &Map<String, Value>) -> Said {
    let empty = Map::new();
    let part = |key: &str| message.get(key).and_then(Value::as_object).unwrap_or(&empty);
    let (author, content, metadata) = (part("author"), part("content"), part("metadata"));
    let role = match text(author, &["role"]) {
        Some("user") => Role::User,
        Some("assistant") => Role::Assistant,
        Some("system") => Role::System,
        _ => return Said::Nothing,
    };
    if text(content, &["content_type"]) == Some("thoughts") {
        return Said::Thoughts(thoughts(content));
    }
    // What is said to a tool is not said to the person.
    let is_to_a_tool = text(message, &["recipient"]).is_some_and(|recipient| recipient != "all");
    let is_hidden = metadata.get("is_visually_hidden_from_conversation") == Some(&Value::Bool(true));
    let is_for_people = matches!(text(content, &["content_type"]), None | Some("text" | "multimodal_text" | "code"));
    let said = content.get("parts").or_else(|| content.get("text")).map(words).unwrap_or_default();
    if is_to_a_tool || is_hidden || !is_for_people || said.trim().is_empty() {
        return Said::Nothing;
    }
    let mut whole = WholeMessage::new(0, None, role, said);
    whole.created_at = time(message.get("create_time"));
    whole.model = text(metadata, &["model_slug"]).filter(|_| role == Role::Assistant).map(str::to_owned);
    Said::Message(Box::new(whole))
}

fn thoughts(content: &Map<String, Value>) -> String {
    let thoughts = content.get("thoughts").and_then(Value::as_array).into_iter().flatten();
    let texts = thoughts.filter_map(Value::as_object).filter_map(|thought| text(thought, &["content", "summary"]));
    texts.collect::<Vec<_>>().join("\n\n")
}

/// What one speaker says in several messages, with no branch between them, becomes one. Says for each which message it
/// is in.
fn join_speakers(kept: &mut [Kept]) -> Vec<usize> {
    let mut joined: Vec<usize> = Vec::with_capacity(kept.len());
    for place in 0..kept.len() {
        let parent = kept[place].parent;
        let into = parent
            .filter(|&parent| kept[parent].children == 1 && kept[parent].message.role == kept[place].message.role);
        match into {
            Some(parent) => {
                let into = joined[parent];
                let empty = WholeMessage::new(0, None, Role::User, "");
                let message = std::mem::replace(&mut kept[place].message, empty);
                kept[place].message.role = message.role;
                join(&mut kept[into].message, message);
                joined.push(into);
            }
            None => joined.push(place),
        }
    }
    joined
}

/// The messages that are left, with the numbers of a chat.
fn numbered(kept: &[Kept], joined: &[usize]) -> Vec<WholeMessage> {
    let left = kept.iter().enumerate().filter(|(place, _)| joined[*place] == *place);
    let messages = left.map(|(place, node)| {
        let parent = node.parent.map(|parent| number_of(joined, parent));
        WholeMessage { id: place as u32 + 1, parent, ..node.message.clone() }
    });
    messages.collect()
}

/// The number of the message that a kept node is in; they have gaps, which are closed later.
fn number_of(joined: &[usize], place: usize) -> u32 {
    joined[place] as u32 + 1
}
