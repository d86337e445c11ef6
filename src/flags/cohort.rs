//! Cohorts are compiled into groups of nodes.

use super::compile::Compiler;
use super::definitions::{Filter, Node, Unknown};
use super::graph::Graph;
use super::texts::Span;
use super::tree::Value;

/// Cohorts that refer to others deeper than this, or whose evaluation could visit more cohorts, are unknown.
const MAX_DEPTH: u32 = 20;
const MAX_REACHED: u32 = 1000;

impl Compiler {
    /// Compiles all cohorts of the definitions.
    pub(super) fn cohorts(&mut self, cohorts: Option<&Value<'_>>) {
        let Some(Value::Object(members)) = cohorts else { return };
        for (id, _) in members {
            let next = u32::try_from(self.cohort_ids.len()).unwrap_or(u32::MAX);
            self.cohort_ids.entry((&**id).into()).or_insert(next);
        }
        let count = self.cohort_ids.len();
        self.out.cohorts = vec![Node::Unknown(Unknown::COHORT); count];
        let mut graph = Graph::new(count);
        for (id, cohort) in members {
            let Some(&index) = self.cohort_ids.get(&**id) else { continue };
            let first_filter = self.out.filters.len();
            let root = self.node(cohort);
            for filter in self.out.filters.iter().skip(first_filter) {
                if let Filter::Cohort { index: to, .. } = filter {
                    graph.add(index as usize, *to);
                }
            }
            if let Some(place) = self.out.cohorts.get_mut(index as usize) {
                *place = root;
            }
        }
        for (root, measure) in self.out.cohorts.iter_mut().zip(graph.measure()) {
            if !measure.is_some_and(|measure| measure.depth <= MAX_DEPTH && measure.reached <= MAX_REACHED) {
                *root = Node::Unknown(Unknown::COHORT);
            }
        }
    }

    /// One element: nothing, a group, or a filter. What it is, is decided for each element by itself.
    fn node(&mut self, value: &Value<'_>) -> Node {
        let Value::Object(members) = value else { return Node::Unknown(Unknown::COHORT) };
        if members.is_empty() {
            return Node::Always;
        }
        let kind = value.get("type").and_then(Value::as_text);
        if value.member("values").is_none() && !matches!(kind, Some("AND" | "OR")) {
            return self.leaf(value);
        }
        let elements = match value.get("values") {
            None => &[],
            Some(Value::Array(elements)) => elements.as_slice(),
            Some(_) => return Node::Unknown(Unknown::COHORT),
        };
        if elements.is_empty() {
            return Node::Always;
        }
        let nodes: Vec<Node> = elements.iter().map(|element| self.node(element)).collect();
        let start = self.out.nodes.len();
        self.out.nodes.extend(nodes);
        let span = Span::since(start, &self.out.nodes);
        match kind {
            Some("AND") => Node::All(span),
            Some("OR") => Node::Any(span),
            _ => Node::Unknown(Unknown::COHORT),
        }
    }

    fn leaf(&mut self, value: &Value<'_>) -> Node {
        let filter = match value.get("type").and_then(Value::as_text) {
            Some("flag") => Filter::Unknown(Unknown::UNSUPPORTED),
            _ => self.filter(value, None),
        };
        let index = u32::try_from(self.out.filters.len()).unwrap_or(u32::MAX);
        self.out.filters.push(filter);
        Node::Filter { index, negated: value.get("negation").and_then(Value::as_bool) == Some(true) }
    }

    /// The cohort that a filter names.
    pub(super) fn cohort_filter(&self, value: &Value<'_>) -> Filter {
        let negated = match value.get("operator").map(|operator| operator.as_text()) {
            None | Some(Some("in" | "exact")) => false,
            Some(Some("not_in")) => true,
            _ => return Filter::Unknown(Unknown::UNSUPPORTED),
        };
        let id = value.get("value").map(Value::text);
        // Static cohorts are not in the definitions.
        match id.and_then(|id| self.cohort_ids.get(&*id)) {
            Some(index) => Filter::Cohort { index: *index, negated },
            None => Filter::Unknown(Unknown::COHORT),
        }
    }
}
