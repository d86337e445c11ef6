//! What refers to what, at load: flags to flags, cohorts to cohorts. An evaluation then needs no check for circles.

/// References from each item to others, by position.
#[derive(Debug, Default)]
pub(super) struct Graph(Vec<Vec<u32>>);

impl Graph {
    pub(super) fn new(items: usize) -> Self {
        Graph(vec![Vec::new(); items])
    }

    pub(super) fn add(&mut self, from: usize, to: u32) {
        if let Some(targets) = self.0.get_mut(from) {
            targets.push(to);
        }
    }

    /// For each item how deep its references go and how many items are reached along all ways, both saturating.
    /// `None` for what is in a circle or refers to one.
    pub(super) fn measure(&self) -> Vec<Option<Measure>> {
        let mut sources = vec![Vec::new(); self.0.len()];
        let mut open: Vec<usize> = self.0.iter().map(Vec::len).collect();
        for (from, targets) in self.0.iter().enumerate() {
            for to in targets {
                if let Some(sources) = sources.get_mut(*to as usize) {
                    sources.push(from);
                }
            }
        }
        let mut ready: Vec<usize> = (0..open.len()).filter(|item| open.get(*item) == Some(&0)).collect();
        let mut measures: Vec<Option<Measure>> = vec![None; self.0.len()];
        while let Some(item) = ready.pop() {
            let mut measure = Measure { depth: 1, reached: 1 };
            for target in self.0.get(item).into_iter().flatten() {
                if let Some(Some(below)) = measures.get(*target as usize) {
                    measure.depth = measure.depth.max(below.depth.saturating_add(1));
                    measure.reached = measure.reached.saturating_add(below.reached);
                }
            }
            if let Some(place) = measures.get_mut(item) {
                *place = Some(measure);
            }
            for source in sources.get(item).into_iter().flatten() {
                if let Some(count) = open.get_mut(*source) {
                    *count -= 1;
                    if *count == 0 {
                        ready.push(*source);
                    }
                }
            }
        }
        measures
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Measure {
    pub depth: u32,
    pub reached: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn circles_depth_and_ways_are_measured() {
        let mut graph = Graph::new(6);
        for (from, to) in [(0, 1), (0, 1), (1, 2), (3, 4), (4, 3), (5, 3)] {
            graph.add(from, to);
        }
        let measured = |depth, reached| Some(Measure { depth, reached });
        assert_eq!(graph.measure(), [measured(3, 5), measured(2, 2), measured(1, 1), None, None, None]);
    }
}
