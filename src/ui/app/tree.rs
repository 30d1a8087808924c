//! All messages of the chat on the screen: a tree, of which the transcript shows one branch. What is on that branch is
//! in the transcript; the other messages are kept here until their branch is shown. A chat that is not saved has its
//! tree all the same.

use std::collections::HashMap;

use super::news::Known;
use crate::store::{MOST_DELETIONS, MessageId};
use crate::ui::transcript::{Entry, Evicted, Siblings, Transcript};

/// Names a message of the tree; a later one is greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct NodeId(usize);

#[derive(Debug, Default)]
struct Node {
    parent: Option<NodeId>,
    children: Vec<NodeId>,
    /// The message while it is not on the screen.
    kept: Option<Entry>,
}

/// A message that was deleted with all below it.
#[derive(Debug)]
pub(super) struct Deletion {
    pub node: NodeId,
    /// The branch that was on the screen; the message is on it.
    pub shown: Vec<NodeId>,
}

/// The messages of a chat by who follows whom.
#[derive(Debug, Default)]
pub(super) struct Tree {
    nodes: Vec<Node>,
    roots: Vec<NodeId>,
    /// The branch on the screen, one node for each question and answer of the transcript, in their order.
    path: Vec<NodeId>,
    /// Branches as they were before an exchange was taken back, the last one last.
    undone: Vec<Vec<NodeId>>,
    /// What was deleted and can be put back, the last one last.
    deleted: Vec<Deletion>,
}

impl Tree {
    /// All messages, a parent before its children, with the transcript that shows some of them.
    pub(super) fn all<'a>(&'a self, transcript: &'a Transcript) -> Vec<(NodeId, Option<NodeId>, &'a Entry)> {
        let mut open = self.roots.clone();
        let mut nodes = Vec::new();
        while let Some(node) = open.pop() {
            nodes.push(node);
            open.extend(&self.node(node).children);
        }
        nodes.sort_unstable();
        let shown: Vec<usize> = transcript.messages().collect();
        let entry = |node: NodeId| match self.path.iter().position(|other| *other == node) {
            Some(place) => transcript.entries().get(*shown.get(place)?),
            None => self.node(node).kept.as_ref(),
        };
        nodes.into_iter().filter_map(|node| Some((node, self.node(node).parent, entry(node)?))).collect()
    }

    /// Puts a message that is not on the screen below another one.
    pub(super) fn keep(&mut self, parent: Option<NodeId>, entry: Entry) -> NodeId {
        self.insert(parent, Some(entry))
    }

    /// Notes a message that was put at the end of the transcript.
    pub(super) fn add(&mut self, transcript: &mut Transcript) {
        let node = self.insert(self.path.last().copied(), None);
        self.path.push(node);
        self.mark_siblings(self.path.len() - 1, transcript);
    }

    fn insert(&mut self, parent: Option<NodeId>, kept: Option<Entry>) -> NodeId {
        let node = NodeId(self.nodes.len());
        self.nodes.push(Node { parent, children: Vec::new(), kept });
        self.children_mut(parent).push(node);
        node
    }

    fn node(&self, node: NodeId) -> &Node {
        &self.nodes[node.0]
    }

    fn children(&self, parent: Option<NodeId>) -> &[NodeId] {
        parent.map_or(&self.roots, |parent| &self.node(parent).children)
    }

    fn children_mut(&mut self, parent: Option<NodeId>) -> &mut Vec<NodeId> {
        match parent {
            Some(parent) => &mut self.nodes[parent.0].children,
            None => &mut self.roots,
        }
    }

    /// The branch on the screen.
    pub(super) fn path(&self) -> &[NodeId] {
        &self.path
    }

    /// Whether the message is no answer without a word, which there is no use in going to.
    fn is_worth_showing(&self, node: NodeId) -> bool {
        self.node(node).kept.as_ref().is_none_or(Entry::is_told)
    }

    /// Whether it is no question that was taken back before a word was said to it.
    fn was_not_taken_back(&self, node: NodeId) -> bool {
        let is_question = matches!(self.node(node).kept, Some(Entry::Question(_)));
        !is_question || self.node(node).children.iter().any(|&answer| self.is_worth_showing(answer))
    }

    /// The messages in the place of one that is on the screen, itself included, the oldest first.
    pub(super) fn siblings(&self, node: NodeId) -> Vec<NodeId> {
        let all = self.children(self.node(node).parent).iter().copied();
        let counts = |other| self.is_worth_showing(other) && self.was_not_taken_back(other);
        all.filter(|&other| other == node || counts(other)).collect()
    }

    /// The last branch through a message: it, all above it, and what was said last below it.
    pub(super) fn branch_through(&self, node: NodeId) -> Vec<NodeId> {
        let mut newest = node;
        let mut below = self.node(node).children.clone();
        while let Some(next) = below.pop() {
            if next > newest && self.is_worth_showing(next) {
                newest = next;
            }
            below.extend(&self.node(next).children);
        }
        self.branch_to(newest)
    }

    /// A message and all above it, from the first on.
    pub(super) fn branch_to(&self, node: NodeId) -> Vec<NodeId> {
        let mut branch: Vec<_> = std::iter::successors(Some(node), |node| self.node(*node).parent).collect();
        branch.reverse();
        branch
    }

    /// The branch on the screen is about to lose its last exchange.
    pub(super) fn note_undo(&mut self) {
        self.undone.push(self.path.clone());
    }

    /// The branch as it was before the last exchange was taken back from here; else what was said last below its end.
    pub(super) fn redo(&mut self) -> Option<Vec<NodeId>> {
        let goes_on_here = |branch: &Vec<NodeId>| branch.len() > self.path.len() && branch.starts_with(&self.path);
        let noted = self.undone.pop().filter(goes_on_here);
        if noted.is_none() {
            self.undone.clear();
        }
        noted.or_else(|| self.newest_below_end())
    }

    /// What was said last below the end of the branch on the screen.
    fn newest_below_end(&self) -> Option<Vec<NodeId>> {
        let below = self.children(self.path.last().copied()).iter();
        let branches = below.filter(|&&node| self.is_worth_showing(node)).map(|&node| self.branch_through(node));
        branches.max_by_key(|branch| branch.last().copied())
    }

    /// Whether something follows the last message on the screen, on another branch.
    pub(super) fn goes_on_below(&self) -> bool {
        !self.children(self.path.last().copied()).is_empty()
    }

    /// Takes the messages from this one of the branch on off the screen, and what stands between and below them.
    pub(super) fn cut(&mut self, from: usize, transcript: &mut Transcript) {
        let Some(place) = transcript.messages().nth(from) else { return };
        let messages = transcript.split_off(place).into_iter().filter(|entry| !matches!(entry, Entry::Note(_)));
        for (node, entry) in self.path.drain(from..).zip(messages) {
            self.nodes[node.0].kept = Some(entry);
        }
    }

    /// Shows another branch. Messages that both have stay as they are.
    pub(super) fn show(&mut self, branch: &[NodeId], transcript: &mut Transcript) {
        let common = self.path.iter().zip(branch).take_while(|(old, new)| old == new).count();
        self.cut(common, transcript);
        for &node in branch.iter().skip(common) {
            let Some(mut entry) = self.nodes[node.0].kept.take() else { break };
            // What the cache holds of it is not known until the engine is asked.
            if let Some(hold) = entry.hold_mut() {
                hold.evicted = Evicted::default();
            }
            transcript.push(entry);
            self.path.push(node);
        }
        self.mark_siblings(common, transcript);
    }

    /// Where each message is that has a place on disk.
    pub(super) fn known(&self, transcript: &Transcript) -> HashMap<MessageId, Known> {
        let places = self.path.iter().zip(transcript.messages());
        let shown = places.map(|(&node, place)| (node, Some(place), transcript.entries().get(place)));
        let kept = self.nodes.iter().enumerate().map(|(index, node)| (NodeId(index), None, node.kept.as_ref()));
        let on_disk = shown.chain(kept).filter_map(|(node, entry, message)| {
            let id = message?.saved()?.get()?;
            Some((*id, Known { node, entry }))
        });
        on_disk.collect()
    }

    pub(super) fn entry_mut<'a>(&'a mut self, known: Known, transcript: &'a mut Transcript) -> Option<&'a mut Entry> {
        match known.entry {
            Some(entry) => transcript.entry_mut(entry),
            None => self.nodes[known.node.0].kept.as_mut(),
        }
    }

    /// Writes beside all messages on the screen how many there are in their places.
    pub(super) fn mark_all(&self, transcript: &mut Transcript) {
        self.mark_siblings(0, transcript);
    }

    /// Takes a message that is not on the screen out of the tree, with everything below it. [`put_back`](Self::put_back)
    /// brings it back.
    pub(super) fn delete(&mut self, deletion: Deletion, transcript: &mut Transcript) {
        self.take_out(deletion.node, transcript);
        self.deleted.push(deletion);
        if self.deleted.len() > MOST_DELETIONS {
            let oldest = self.deleted.remove(0);
            self.forget_below(oldest.node);
        }
    }

    /// Nothing that was deleted can be put back any more.
    pub(super) fn forget_deletions(&mut self) {
        for deletion in std::mem::take(&mut self.deleted) {
            self.forget_below(deletion.node);
        }
    }

    /// Puts the message back that was deleted last, with everything below it.
    pub(super) fn put_back(&mut self) -> Option<Deletion> {
        let deletion = self.deleted.pop()?;
        let node = deletion.node;
        let siblings = self.children_mut(self.node(node).parent);
        // The oldest first, as they were made.
        let place = siblings.partition_point(|&other| other < node);
        siblings.insert(place, node);
        Some(deletion)
    }

    /// Forgets a message that is not on the screen, and everything below it.
    pub(super) fn remove(&mut self, node: NodeId, transcript: &mut Transcript) {
        self.take_out(node, transcript);
        self.forget_below(node);
    }

    fn forget_below(&mut self, node: NodeId) {
        let mut gone = vec![node];
        while let Some(next) = gone.pop() {
            gone.append(&mut std::mem::take(&mut self.nodes[next.0]).children);
        }
    }

    fn take_out(&mut self, node: NodeId, transcript: &mut Transcript) {
        let parent = self.node(node).parent;
        self.undone.clear();
        self.children_mut(parent).retain(|&child| child != node);
        let above = parent.map_or(0, |parent| self.branch_to(parent).len());
        self.mark_siblings(above, transcript);
    }

    /// Writes beside the messages from this one of the branch on how many there are in their places.
    fn mark_siblings(&self, from: usize, transcript: &mut Transcript) {
        let places: Vec<usize> = transcript.messages().skip(from).collect();
        for (&node, place) in self.path.iter().skip(from).zip(places) {
            let siblings = self.siblings(node);
            let place_among = siblings.iter().position(|&other| other == node).map_or(0, |index| index + 1);
            if let Some(entry) = transcript.entry_mut(place) {
                entry.set_siblings(Siblings { place: place_among, count: siblings.len() });
            }
        }
    }
}
